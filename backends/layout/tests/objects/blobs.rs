//! Blobs: in parts, as a whole or not at all, and in bounded memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt as _};
use tokio::task::JoinSet;
use tranship::prelude::*;
use tranship::{Descriptor, ErrorKind, PushOutcome, Source};
use tranship_layout::{LayoutOptions, LayoutRegistry};

use crate::faulty::{Faulty, Op, answer};
use crate::support::{MIB, Noise, described, layout};

/// What was asked of the blob `target`, but for looks.
fn asked(store: &Faulty, target: &Descriptor) -> Vec<Op> {
    let mut asked = store.asked(&target.digest().hex());
    asked.retain(|op| *op != Op::Head);
    asked
}

/// Waits for what goes on in the background.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} never happened");
}

#[tokio::test]
async fn a_large_blob_comes_in_parts_and_a_small_one_at_once() {
    let store = Arc::new(Faulty::new());
    let layout = layout(&store).await;
    let (small, large) = (Noise::new(5 * MIB, 1), Noise::new(11 * MIB, 2));
    for noise in [&small, &large] {
        let target = noise.described();
        layout
            .push(&target, Source::open_at(noise))
            .await
            .expect("pushed");
        let fetched = layout.fetch(&target).await.expect("found");
        fetched.bytes(u64::MAX).await.expect("intact");
    }
    assert_eq!(asked(&store, &small.described()), [Op::Put, Op::Get]);
    let parts = [Op::Part, Op::Part, Op::Part, Op::Complete, Op::Get];
    assert_eq!(asked(&store, &large.described()), parts);
}

#[tokio::test]
async fn content_that_is_not_what_it_claims_is_given_up() {
    let store = Arc::new(Faulty::new());
    let layout = layout(&store).await;
    let noise = Noise::new(11 * MIB, 1);
    let sizes = [10 * MIB, 12 * MIB, 16 * MIB, 200 * MIB];
    let resized = |size: usize| {
        let described = noise.described();
        Descriptor::new(
            described.media_type().clone(),
            *described.digest(),
            size as u64,
        )
    };
    let mut wrong: Vec<_> = sizes
        .into_iter()
        .map(|size| (resized(size), ErrorKind::SizeMismatch))
        .collect();
    wrong.push((
        Noise::new(11 * MIB, 2).described(),
        ErrorKind::DigestMismatch,
    ));
    for (target, kind) in wrong {
        let error = layout.push(&target, Source::open_at(&noise)).await;
        assert_eq!(error.expect_err("refused").kind(), kind);
        assert!(!layout.exists(&target).await.expect("known"));
        let asked = asked(&store, &target);
        assert_eq!(asked.last(), Some(&Op::Abort), "{asked:?}");
        assert!(!asked.contains(&Op::Complete), "{asked:?}");
    }
}

async fn fails_at(op: Op) -> (Arc<Faulty>, tranship::Error, Descriptor) {
    let store = Arc::new(Faulty::new());
    let layout = layout(&store).await;
    store.fail(move |now, _| {
        (now == op).then(|| answer("500 Internal Server Error", "InternalError"))
    });
    let noise = Noise::new(11 * MIB, 1);
    let target = noise.described();
    let error = layout.push(&target, Source::open_at(&noise)).await;
    let error = error.expect_err("failed");
    assert!(!layout.exists(&target).await.expect("known"));
    (store, error, target)
}

#[tokio::test]
async fn a_part_that_fails_ends_the_push_and_leaves_nothing() {
    let (store, error, target) = fails_at(Op::Part).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(asked(&store, &target).last(), Some(&Op::Abort));
}

#[tokio::test]
async fn a_completion_that_fails_leaves_nothing() {
    let (store, error, target) = fails_at(Op::Complete).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(asked(&store, &target).last(), Some(&Op::Abort));
}

#[tokio::test]
async fn a_push_that_is_dropped_leaves_nothing() {
    let store = Arc::new(Faulty::new());
    let layout = layout(&store).await;
    let noise = Noise {
        hangs_at: Some(7 * MIB),
        ..Noise::new(11 * MIB, 1)
    };
    let target = noise.described();
    tokio::select! {
        _ = layout.push(&target, Source::open_at(&noise)) => panic!("it hangs"),
        () = eventually("a part", || asked(&store, &target).contains(&Op::Part)) => {}
    }
    eventually("giving up", || asked(&store, &target).contains(&Op::Abort)).await;
    assert!(!layout.exists(&target).await.expect("known"));
    let noise = Noise::new(11 * MIB, 1);
    layout
        .push(&target, Source::open_at(&noise))
        .await
        .expect("pushed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_hold_no_more_than_their_stock_of_memory_however_large_and_many() {
    let store = Arc::new(Faulty::new());
    let layout = layout(&store).await;
    let made = Arc::new(AtomicUsize::new(0));
    let before = store.arrived.load(Ordering::SeqCst);
    let (sampled, counted) = (Arc::clone(&made), Arc::clone(&store.arrived));
    let mut pushes = JoinSet::new();
    for seed in 0..6 {
        let noise = Noise {
            made: Arc::clone(&made),
            ..Noise::new(21 * MIB, seed * 40)
        };
        let layout = layout.clone();
        pushes.spawn(async move {
            let target = noise.described();
            layout.push(&target, Source::open_at(&noise)).await
        });
    }
    let sampling = tokio::spawn(async move {
        let mut most = 0;
        loop {
            // What has arrived is looked at first, so that this never counts too little.
            let arrived = counted.load(Ordering::SeqCst) - before;
            most = most.max(sampled.load(Ordering::SeqCst).saturating_sub(arrived));
            if arrived >= 6 * 21 * MIB {
                return most;
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    });
    while let Some(pushed) = pushes.join_next().await {
        pushed.expect("no panic").expect("pushed");
    }
    let most = sampling.await.expect("no panic");
    assert!(most > 5 * MIB, "{most}");
    // A piece of each source may be in its hands.
    assert!(most <= 10 * MIB + 6 * 64 * 1024, "{most}");
}

#[tokio::test(start_paused = true)]
async fn sources_that_hang_do_not_hold_up_others() {
    let store = Arc::new(Faulty::new());
    let layout = layout(&store).await;
    let mut hanging = JoinSet::new();
    for seed in 0..4 {
        let noise = Noise {
            hangs_at: Some(MIB),
            ..Noise::new(11 * MIB, seed)
        };
        let layout = layout.clone();
        hanging.spawn(async move {
            layout
                .push(&noise.described(), Source::open_at(&noise))
                .await
        });
    }
    let noise = Noise::new(11 * MIB, 100);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let push = layout
        .push(&noise.described(), Source::open_at(&noise))
        .await;
    push.expect("pushed");
    assert_eq!(hanging.len(), 4);
}

#[tokio::test]
async fn a_blob_that_was_cut_short_is_told_and_pushed_again() {
    let store = Arc::new(Faulty::new());
    let layout = layout(&store).await;
    let content = Bytes::from_static(b"whole");
    let target = described(&content);
    layout
        .push(&target, content.clone().into())
        .await
        .expect("pushed");
    let key = Path::from(format!("app/blobs/sha256/{}", target.digest().hex()));
    store.inner.put(&key, "who".into()).await.expect("cut");
    for range in [0..5, 1..2, 4..5, 5..5] {
        let fetched = layout.fetch_range(&target, range.into()).await;
        assert_eq!(fetched.expect_err("cut").kind(), ErrorKind::SizeMismatch);
    }
    layout
        .push(&target, content.clone().into())
        .await
        .expect("pushed");
    let fetched = layout.fetch(&target).await.expect("found");
    assert_eq!(fetched.bytes(100).await.expect("whole"), content);
}

#[tokio::test]
async fn a_mount_is_a_copy_by_the_store_or_else_through_us() {
    for can_copy in [true, false] {
        let store = Arc::new(Faulty::new());
        if !can_copy {
            store.fail(|op, _| {
                let why = "there is no copy".into();
                (op == Op::Copy).then_some(Error::NotSupported { source: why })
            });
        }
        let options = LayoutOptions::default();
        let registry = LayoutRegistry::create_in(store.clone(), "", options).await;
        let registry = registry.expect("a registry");
        let (from, to) = (
            "from".parse().expect("a name"),
            "to".parse().expect("a name"),
        );
        let source = registry.repository(&from).await.expect("opened");
        let content = Bytes::from_static(b"mounted");
        let target = described(&content);
        source
            .push(&target, content.clone().into())
            .await
            .expect("pushed");
        let destination = registry.repository(&to).await.expect("opened");
        let mounted = destination.mount(&target, &from, None).await;
        assert_eq!(mounted.expect("mounted"), PushOutcome::Mounted);
        let found = destination.fetch(&target).await.expect("found");
        assert_eq!(found.bytes(100).await.expect("intact"), content);
        let puts = store.asked(&format!("to/blobs/sha256/{}", target.digest().hex()));
        assert_eq!(puts.contains(&Op::Put), !can_copy);
    }
}
