use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tranship::*;
use tranship_memory::MemoryRepository;

use crate::artifacts::push_two_platforms;
use crate::{reference, tags};

#[derive(Default)]
struct Meter {
    found: Mutex<Vec<Digest>>,
    done: Mutex<Vec<(Digest, CopyAction)>>,
    bytes: Mutex<HashMap<Digest, u64>>,
}

impl CopyHooks for Meter {
    fn on_event(&self, event: CopyEvent<'_>) {
        match event {
            CopyEvent::Found(node) => {
                self.found
                    .lock()
                    .expect("not poisoned")
                    .push(*node.digest());
            }
            CopyEvent::Bytes(node, bytes) => {
                let mut counts = self.bytes.lock().expect("not poisoned");
                *counts.entry(*node.digest()).or_default() += bytes;
            }
            CopyEvent::Done(node, action) => {
                let mut done = self.done.lock().expect("not poisoned");
                done.push((*node.digest(), action));
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn every_node_is_found_counted_and_done() {
    check_events(&MemoryRepository::new(), &MemoryRepository::new()).await;
}

#[tokio::test]
async fn bytes_that_are_read_from_files_and_not_from_a_stream_are_counted_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let layout = async |name: &str| {
        let path = directory.path().join(name);
        tranship_layout::Layout::create(path)
            .await
            .expect("a layout")
    };
    check_events(&layout("from").await, &layout("to").await).await;
}

async fn check_events(source: &dyn Repository, destination: &dyn Repository) {
    push_two_platforms(source).await;
    let meter = Arc::new(Meter::default());
    let report = copy(
        source,
        &reference("v1"),
        destination,
        &tags(&["v1"]),
        &CopyOptions::default().with_hooks(meter.clone()),
    )
    .await
    .expect("copy");

    let mut found = meter.found.lock().expect("not poisoned").clone();
    let mut done: Vec<Digest> = meter
        .done
        .lock()
        .expect("not poisoned")
        .iter()
        .map(|(digest, action)| {
            assert_eq!(*action, CopyAction::Copied);
            *digest
        })
        .collect();
    found.sort();
    done.sort();
    assert_eq!(found, done);
    let bytes = meter.bytes.lock().expect("not poisoned");
    for step in &report.steps {
        let descriptor = &step.descriptor;
        assert_eq!(bytes[descriptor.digest()], descriptor.size());
    }
}

/// Counts the events that tell the platform of what they are about.
#[derive(Default)]
struct Platforms(Mutex<HashMap<&'static str, usize>>);

impl CopyHooks for Platforms {
    fn on_event(&self, event: CopyEvent<'_>) {
        let (name, node) = match event {
            CopyEvent::Found(node) => ("found", node),
            CopyEvent::Started(node) => ("started", node),
            CopyEvent::Done(node, _) => ("done", node),
            _ => return,
        };
        if node.platform().is_some() {
            *self
                .0
                .lock()
                .expect("not poisoned")
                .entry(name)
                .or_default() += 1;
        }
    }
}

#[tokio::test]
async fn events_tell_the_platform_of_a_manifest_and_the_report_only_what_names_it() {
    let (source, destination) = (MemoryRepository::new(), MemoryRepository::new());
    push_two_platforms(&source).await;
    let platforms = Arc::new(Platforms::default());
    let options = CopyOptions::default().with_hooks(platforms.clone());
    let report = copy(&source, &reference("v1"), &destination, &[], &options).await;

    let seen = platforms.0.lock().expect("not poisoned").clone();
    assert_eq!(
        seen,
        HashMap::from([("found", 2), ("started", 2), ("done", 2)])
    );
    for step in report.expect("copied").steps {
        assert_eq!(step.descriptor, step.descriptor.plain());
    }
}
