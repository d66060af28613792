//! Uploads over stores whose listings are late and whose answers get lost.

use std::sync::Arc;

use bytes::Bytes;
use object_store::Error;
use tranship::prelude::*;
use tranship::{BlobStore, ErrorKind, Upload, UploadId};
use tranship_layout::Layout;

use crate::faulty::{Faulty, Op, answer};
use crate::support::{described, layout};

fn uploader(layout: &Layout) -> Box<dyn BlobStore + '_> {
    layout.blobs()
}

/// An upload of "hello " in two writes.
async fn begun(layout: &Layout) -> Box<dyn Upload> {
    let mut upload = uploader(layout).start().await.expect("started");
    upload.write(0, "hel".into()).await.expect("written");
    upload.write(3, "lo ".into()).await.expect("written");
    upload
}

async fn finish(layout: &Layout, mut upload: Box<dyn Upload>) {
    upload.write(6, "world".into()).await.expect("written");
    let target = described(b"hello world");
    upload.commit(&target).await.expect("committed");
    let found = layout.fetch(&target).await.expect("found");
    assert_eq!(found.bytes(100).await.expect("intact"), "hello world");
}

fn uploads(store: &Faulty) -> Vec<String> {
    let mut keys = store.keys();
    keys.retain(|key| key.contains("uploads"));
    keys
}

#[tokio::test]
async fn a_listing_that_is_late_hides_nothing_that_was_written() {
    let store = Arc::new(Faulty::new());
    let one = layout(&store).await;
    let id: UploadId = begun(&one).await.id().clone();
    *store.unlisted.lock().expect("a lock") = Some("00000003");
    let other = layout(&store).await;
    let upload = uploader(&other).resume(&id).await.expect("resumed");
    assert_eq!(upload.offset(), 6);
    finish(&other, upload).await;
    assert_eq!(uploads(&store), [""; 0]);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_not_refused() {
    let store = Arc::new(Faulty::new());
    let one = layout(&store).await;
    let upload = begun(&one).await;
    store.fail_afterwards(|op, key| {
        let is_part = op == Op::Create && key.ends_with("6");
        is_part.then(|| Error::AlreadyExists {
            path: key.into(),
            source: "412".into(),
        })
    });
    finish(&one, upload).await;
}

#[tokio::test]
async fn a_write_that_failed_half_way_is_found_by_the_next() {
    let store = Arc::new(Faulty::new());
    let one = layout(&store).await;
    let mut upload = begun(&one).await;
    store.fail_afterwards(|op, _| {
        (op == Op::Create).then(|| answer("500 Internal Server Error", "InternalError"))
    });
    let failed = upload.write(6, Bytes::from_static(b"wor")).await;
    assert_eq!(failed.expect_err("failed").kind(), ErrorKind::Unavailable);
    store.fail_afterwards(|_, _| None);
    // It had arrived after all.
    let again = upload.write(6, Bytes::from_static(b"wor")).await;
    assert_eq!(again.expect_err("further").kind(), ErrorKind::RangeInvalid);
    assert_eq!(upload.offset(), 9);
    upload.write(9, "ld".into()).await.expect("written");
    upload
        .commit(&described(b"hello world"))
        .await
        .expect("committed");
}

#[tokio::test]
async fn a_commit_that_the_store_fails_can_be_made_again() {
    let store = Arc::new(Faulty::new());
    let one = layout(&store).await;
    let upload = begun(&one).await;
    let id = upload.id().clone();
    store.fail(|op, key| {
        let is_part = op == Op::Get && key.contains("uploads");
        is_part.then(|| answer("503 Service Unavailable", "SlowDown"))
    });
    let target = described(b"hello ");
    let error = upload.commit(&target).await.expect_err("throttled");
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    store.fail(|_, _| None);
    let upload = uploader(&one).resume(&id).await.expect("resumed");
    upload.commit(&target).await.expect("committed");
    assert_eq!(uploads(&store), [""; 0]);
}
