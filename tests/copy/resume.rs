use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tranship::*;
use tranship_layout::Layout;
use tranship_memory::MemoryRepository;

use crate::artifacts::{assert_same_graph, push_manifest};
use crate::copy_v1;
use crate::recorder::{Faults, Recorder};

const SIZE: usize = 6_000_000;

/// Notes where transfers are continued, and counts the bytes that are read.
#[derive(Default)]
struct Meter {
    continued: Mutex<Vec<(Digest, u64)>>,
    read: Mutex<HashMap<Digest, u64>>,
}

impl CopyHooks for Meter {
    fn on_event(&self, event: CopyEvent<'_>) {
        match event {
            CopyEvent::Continued(node, offset) => {
                let mut continued = self.continued.lock().expect("not poisoned");
                continued.push((*node.digest(), offset));
            }
            CopyEvent::Bytes(node, bytes) => {
                let mut read = self.read.lock().expect("not poisoned");
                *read.entry(*node.digest()).or_default() += bytes;
            }
            _ => {}
        }
    }
}

/// An image with a large layer under `v1`, and that layer.
async fn push_large(repository: &MemoryRepository) -> (Descriptor, Descriptor) {
    let layer: Bytes = (0..SIZE as u32)
        .map(|number| (number / 251) as u8)
        .collect();
    let layer = push_bytes(repository, MediaType::OCTET_STREAM, layer);
    let layer = layer.await.expect("push");
    let config = crate::artifacts::push_text(repository, "config").await;
    let image = push_manifest(repository, &Manifest::new(config, vec![layer.clone()])).await;
    let tag = "v1".parse().expect("a tag");
    repository.tag(&image, &tag).await.expect("tag");
    (image, layer)
}

async fn layout(path: &Path) -> Layout {
    Layout::create(path).await.expect("a layout")
}

/// Copies into a layout from a source that breaks off, and then, with another `Layout`, from one that
/// does not. Returns what the second copy tells.
async fn copy_twice(path: &Path, options: &CopyOptions) -> (Descriptor, Arc<Meter>) {
    let source = MemoryRepository::new();
    let (image, layer) = push_large(&source).await;
    let breaking = Recorder::new(source.clone()).with_faults(Faults {
        breaks_after: HashMap::from([(*layer.digest(), 4_500_000)]),
        ..Faults::default()
    });
    let error = copy_v1(&breaking, &layout(path).await, options).await;
    assert_eq!(error.expect_err("broken").kind(), ErrorKind::Unavailable);

    let meter = Arc::new(Meter::default());
    let options = options.clone().with_hooks(meter.clone());
    let destination = layout(path).await;
    copy_v1(&source, &destination, &options)
        .await
        .expect("copy");
    assert_same_graph(&source, &destination, &image).await;
    (layer, meter)
}

#[tokio::test]
async fn a_copy_is_continued_inside_a_large_blob() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = CopyOptions::default().with_resumable_from(1_000_000);
    let (layer, meter) = copy_twice(directory.path(), &options).await;
    let continued = meter.continued.lock().expect("not poisoned").clone();
    let [(digest, offset)] = continued[..] else {
        panic!("{continued:?}");
    };
    assert_eq!(digest, *layer.digest());
    assert!(offset > 3_000_000, "{offset}");
    let read = meter.read.lock().expect("not poisoned");
    assert_eq!(read[&digest], SIZE as u64 - offset);
}

#[tokio::test]
async fn nothing_is_kept_unless_asked_for() {
    for options in [
        CopyOptions::default(),
        CopyOptions::default().with_resumable_from(SIZE as u64 + 1),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let (layer, meter) = copy_twice(directory.path(), &options).await;
        assert_eq!(*meter.continued.lock().expect("not poisoned"), []);
        let read = meter.read.lock().expect("not poisoned");
        assert_eq!(read[layer.digest()], SIZE as u64);
    }
}
