//! Pulls and pushes that fail or are dropped.

use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use tranship::layers::{Inject, InjectOptions, OperationName};
use tranship::{CopyCallbacks, CopyEvent, ErrorKind};
use tranship_artifact::files::{PullOptions, pull, push};

use crate::support::{Case, list, tagged, v1};

/// A repository with two files and a directory, of which the content breaks off.
async fn case() -> Case {
    let case = Case::new();
    case.write("a.bin", vec![1; 300_000]);
    case.write("b.bin", vec![2; 300_000]);
    case.write(
        "data/c.bin",
        (0..300_000_u32)
            .map(|n| (n.wrapping_mul(n) >> 3) as u8)
            .collect::<Vec<_>>(),
    );
    case.push(&["a.bin", "b.bin", "data"]).await;
    case
}

#[tokio::test]
async fn content_that_breaks_off_leaves_nothing() {
    let case = case().await;
    let before = list(case.directory.path());
    for nth in 2..=4 {
        let reads = Arc::new(AtomicU64::new(0));
        let options = InjectOptions::default()
            .with_cuts(move |_| (reads.fetch_add(1, Ordering::Relaxed) + 1 == nth).then_some(1000));
        let breaking = Inject::new(case.repository.clone(), options);
        pull(&breaking, &v1(), case.path("out"), &PullOptions::default())
            .await
            .expect_err("breaks");
        assert_eq!(list(case.directory.path()), before);
    }
}

#[tokio::test]
async fn a_pull_that_is_dropped_leaves_nothing() {
    let case = case().await;
    let before = list(case.directory.path());
    for polls in [1, 2, 3, 5, 8, 13] {
        let slow = InjectOptions::default().with_latency(Duration::from_millis(4));
        let slow = Inject::new(case.repository.clone(), slow);
        {
            let options = PullOptions::default();
            let reference = v1();
            let mut pulling = pin!(pull(&slow, &reference, case.path("out"), &options));
            for _ in 0..polls {
                let polled = pulling
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
                if polled.is_ready() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        // Work on other threads that has begun is completed first.
        for _ in 0..1000 {
            if list(case.directory.path()) == before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(list(case.directory.path()), before);
    }
}

#[tokio::test]
async fn a_failed_push_moves_no_tag() {
    let case = Case::new();
    case.write("a", "1");
    for nth in 1..=3 {
        let options = InjectOptions::default().with_failing_call(
            OperationName::Write,
            nth,
            ErrorKind::Unavailable,
        );
        let failing = Inject::new(case.repository.clone(), options);
        let error = push(&failing, [case.spec("a")], &tagged())
            .await
            .expect_err("fails");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            tranship::tags(&case.repository)
                .await
                .expect("listed")
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_file_that_changes_is_noticed() {
    let case = Case::new();
    let path = case.write("a", vec![1; 300_000]);
    let hooks = CopyCallbacks::new().on_event(move |event| {
        if let CopyEvent::Started(_) = event {
            std::fs::write(&path, vec![2; 300_000]).expect("written");
        }
    });
    let options = tagged().with_hooks(Arc::new(hooks));
    let error = push(&case.repository, [case.spec("a")], &options)
        .await
        .expect_err("changed");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("changed"), "{error}");
}

#[tokio::test]
async fn hooks_see_every_byte_once() {
    let case = case().await;
    let read = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&read);
    let hooks = CopyCallbacks::new().on_event(move |event| {
        if let CopyEvent::Bytes(_, bytes) = event {
            counted.fetch_add(bytes, Ordering::Relaxed);
        }
    });
    let options = PullOptions::default().with_hooks(Arc::new(hooks));
    let report = case.pull(&options).await.expect("pulled");
    let size: u64 = report.files.iter().map(|file| file.descriptor.size()).sum();
    assert_eq!(read.load(Ordering::Relaxed), size);
}
