//! Several writers, and changes that come too late.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tranship::prelude::*;
use tranship::{Error, ErrorKind};
use tranship_layout::Layout;

use crate::faulty::{Faulty, Op, precondition};
use crate::support::{described, layout, push_image, tag};

const INDEX: &str = "app/index.json";

async fn index(store: &Faulty) -> Value {
    serde_json::from_slice(&store.read(INDEX).await).expect("JSON")
}

async fn write_index(store: &Faulty, index: &Value) {
    let content = index.to_string();
    let put = store.inner.put(&Path::from(INDEX), content.into()).await;
    put.expect("written");
}

/// Puts a lease into the index, or takes it away.
async fn lease(store: &Faulty, holder: Option<&str>) {
    let mut index = index(store).await;
    match holder {
        Some(holder) => index["annotations"] = json!({"io.tranship.gc": holder, "kept": "yes"}),
        None => index["annotations"] = json!({"kept": "yes"}),
    }
    write_index(store, &index).await;
}

async fn tags(layout: &Layout) -> Vec<String> {
    let tags = tranship::tags(layout).await.expect("tags");
    tags.iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn a_change_that_comes_too_late_a_hundred_times_is_made_in_the_end() {
    let store = Arc::new(Faulty::new());
    let one = layout(&store).await;
    let image = push_image(&one, "v1").await.expect("pushed");
    let lost = AtomicUsize::new(0);
    store.fail(move |op, key| {
        let is_lost = op == Op::Update && key == INDEX && lost.fetch_add(1, Ordering::SeqCst) < 100;
        is_lost.then(|| precondition(key))
    });
    one.tag(&image, &tag("v2")).await.expect("tagged");
    assert_eq!(tags(&layout(&store).await).await, ["v1", "v2"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_always_comes_too_late_is_a_conflict_that_can_be_tried_again() {
    let store = Arc::new(Faulty::new());
    let one = layout(&store).await;
    let image = push_image(&one, "v1").await.expect("pushed");
    store.fail(|op, key| (op == Op::Update && key == INDEX).then(|| precondition(key)));
    let error = one.tag(&image, &tag("v2")).await.expect_err("too late");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.is_retryable());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_two_layouts_tag_at_the_same_time_is_all_there() {
    let store = Arc::new(Faulty::new());
    *store.delay.lock().expect("a lock") = Some(Duration::from_millis(1));
    let layouts = [layout(&store).await, layout(&store).await];
    let image = push_image(&layouts[0], "v1").await.expect("pushed");
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let (layout, image) = (layouts[task % 2].clone(), image.clone());
        tasks.spawn(async move {
            for number in 0..50 {
                let tag = tag(&format!("t{task}-{number:02}"));
                layout.tag(&image, &tag).await?;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no panic").expect("tagged");
    }
    assert_eq!(tags(&layout(&store).await).await.len(), 401);
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_not_made_twice() {
    let store = Arc::new(Faulty::new());
    let one = layout(&store).await;
    push_image(&one, "v1").await.expect("pushed");
    // The store repeats a request whose answer got lost, and finds the condition broken by itself.
    store.fail_afterwards(|op, key| (op == Op::Update && key == INDEX).then(|| precondition(key)));
    one.untag(&tag("v1")).await.expect("untagged once");
    assert!(tags(&one).await.is_empty());
}

#[tokio::test]
async fn the_marker_comes_before_the_index_and_blobs_after_both() {
    let store = Arc::new(Faulty::new());
    push_image(&layout(&store).await, "v1")
        .await
        .expect("pushed");
    let written = store.written();
    let begin: Vec<_> = written
        .iter()
        .filter(|key| !key.contains(".tranship"))
        .take(2)
        .collect();
    assert_eq!(begin, ["app/oci-layout", INDEX]);
    assert!(written[3].starts_with("app/blobs/"), "{written:?}");
    assert_eq!(
        *store.read("app/oci-layout").await,
        *br#"{"imageLayoutVersion":"1.0.0"}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_until_a_lease_is_given_back() {
    let store = Arc::new(Faulty::new());
    let one = layout(&store).await;
    let image = push_image(&one, "v1").await.expect("pushed");
    lease(&store, Some("somebody")).await;
    let (v2, began) = (tag("v2"), Instant::now());
    let (tagged, ()) = tokio::join!(one.tag(&image, &v2), async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        assert_eq!(
            index(&store).await["manifests"].as_array().map(Vec::len),
            Some(1)
        );
        lease(&store, None).await;
    });
    tagged.expect("tagged");
    assert!(
        (7..12).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(index(&store).await["annotations"], json!({"kept": "yes"}));
    assert_eq!(tags(&one).await, ["v1", "v2"]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_the_dead_runs_out_and_goes_with_the_next_change() {
    let store = Arc::new(Faulty::new());
    let one = layout(&store).await;
    let image = push_image(&one, "v1").await.expect("pushed");
    lease(&store, Some("somebody")).await;
    // What is known of the index is known with the lease.
    assert_eq!(tags(&one).await, ["v1"]);
    let began = Instant::now();
    one.tag(&image, &tag("v2")).await.expect("tagged");
    assert!(
        (60..70).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(index(&store).await["annotations"], json!({"kept": "yes"}));
    assert_eq!(tags(&one).await, ["v1", "v2"]);
}

#[tokio::test]
async fn a_manifest_is_removed_while_the_index_says_so() {
    let store = Arc::new(Faulty::new());
    let one = layout(&store).await;
    let image = push_image(&one, "v1").await.expect("pushed");
    let watched = Arc::downgrade(&store);
    let leased = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&leased);
    store.fail(move |op, _| {
        let store = watched.upgrade()?;
        if op == Op::Delete {
            let index = futures_util::FutureExt::now_or_never(index(&store)).expect("at hand");
            assert!(index["annotations"]["io.tranship.gc"].is_string());
            assert_eq!(index["manifests"], json!([]));
            seen.fetch_add(1, Ordering::SeqCst);
        }
        None
    });
    one.delete(&image).await.expect("deleted");
    assert_eq!(leased.load(Ordering::SeqCst), 1);
    assert_eq!(index(&store).await.get("annotations"), None);
    assert!(!one.exists(&image).await.expect("known"));
}

#[tokio::test]
async fn a_batch_whose_blob_somebody_removed_changes_nothing() {
    let store = Arc::new(Faulty::new());
    let (one, other) = (layout(&store).await, layout(&store).await);
    let blob = described(b"old");
    one.push(&blob, (&b"old"[..]).into()).await.expect("pushed");
    let batch = other.batch().expect("a batch");
    let target = &batch;
    // The batch finds it there, and goes on that.
    target
        .push(&blob, (&b"old"[..]).into())
        .await
        .expect("pushed");
    let manifest = tranship::Manifest::new(blob.clone(), vec![]);
    let content = tranship::encode_json(&manifest).expect("JSON");
    let root = tranship::Descriptor::of(tranship::MediaType::IMAGE_MANIFEST, &content);
    let pushed = target
        .push_reference(&root, content.into(), &[tag("v1")])
        .await;
    pushed.expect("pushed");
    one.blobs().delete(&blob).await.expect("deleted");
    let error = batch.commit().await.expect_err("vanished");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.is_retryable());
    assert!(tags(&other).await.is_empty());
}

/// Returns how many requests a push of a tag needs beside `tags` others.
async fn requests_of_a_push(tags: usize) -> usize {
    let store = Arc::new(Faulty::new());
    let one = layout(&store).await;
    let image = push_image(&one, "v1").await.expect("pushed");
    let mut index = index(&store).await;
    let entry = index["manifests"][0].clone();
    let entries = (0..tags).map(|number| {
        let mut entry = entry.clone();
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": format!("t{number}")});
        entry
    });
    index["manifests"] = entries.collect();
    write_index(&store, &index).await;

    let other = layout(&store).await;
    let before = store.requests();
    push_image(&other, "v2").await.expect("pushed");
    other.tag(&image, &tag("v3")).await.expect("tagged");
    let requests = store.requests() - before;
    assert_eq!(self::tags(&one).await.len(), tags + 2);
    requests
}

#[tokio::test]
async fn a_push_costs_as_many_requests_beside_5000_tags_as_beside_100() {
    assert_eq!(
        requests_of_a_push(5000).await,
        requests_of_a_push(100).await
    );
}

#[tokio::test]
async fn an_index_that_has_not_changed_is_not_read_again() {
    let store = Arc::new(Faulty::new());
    let one = layout(&store).await;
    push_image(&one, "v1").await.expect("pushed");
    one.resolve(&tag("v1").into()).await.expect("found");
    let (asked, unchanged) = (store.asked(INDEX).len(), store.unchanged());
    for _ in 0..3 {
        one.resolve(&tag("v1").into()).await.expect("found");
    }
    assert_eq!(store.asked(INDEX)[asked..], [Op::Get, Op::Get, Op::Get]);
    assert_eq!(store.unchanged() - unchanged, 3);
}
