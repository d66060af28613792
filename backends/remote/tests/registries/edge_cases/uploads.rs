//! Uploads that fail, move or were mounts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream;
use tranship::*;
use tranship_remote::{RemoteOptions, UploadMode};

use super::{UPLOAD, pushing, requests, starting_uploads};
use crate::fake::{Fake, HELLO, Reply, blob, name};

#[tokio::test]
async fn an_upload_without_a_location_is_an_error() {
    let fake = Fake::start(|seen| match seen.method.as_str() {
        "POST" => Reply::new(202),
        _ => Reply::new(404),
    })
    .await;
    let error = pushing(&fake.repository()).await.expect_err("no location");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn a_refused_upload_has_a_reason_and_is_cancelled() {
    let fake = starting_uploads(|seen| match seen.method.as_str() {
        "PUT" => Reply::new(400)
            .body(r#"{"errors":[{"code":"BLOB_UPLOAD_INVALID","message":"not now"}]}"#),
        _ => Reply::new(204),
    })
    .await;
    let error = pushing(&fake.repository()).await.expect_err("refused");
    assert_eq!(error.registry_errors()[0].code, "BLOB_UPLOAD_INVALID");
    // A spawned task cancels it.
    while fake.seen().len() < 4 {
        tokio::task::yield_now().await;
    }
    let upload = "blobs/uploads/1";
    assert_eq!(
        requests(&fake),
        [
            "HEAD blobs/".to_owned(),
            "POST blobs/uploads/".to_owned(),
            format!("PUT {upload}"),
            format!("DELETE {upload}"),
        ]
    );
}

/// The request that ends an upload is not sent again before it is known what became of it.
#[tokio::test]
async fn after_an_outage_the_state_of_an_upload_is_requested() {
    let tries = AtomicUsize::new(0);
    let fake = starting_uploads(move |seen| match seen.method.as_str() {
        "PUT" if tries.fetch_add(1, Ordering::Relaxed) == 0 => Reply::new(503),
        "PUT" => Reply::new(201),
        _ => Reply::new(204).header("range", "0-0"),
    })
    .await;
    pushing(&fake.repository()).await.expect("pushed");
    assert_eq!(
        requests(&fake),
        [
            "HEAD blobs/",
            "POST blobs/uploads/",
            "PUT blobs/uploads/1",
            "HEAD blobs/",
            "GET blobs/uploads/1",
            "PUT blobs/uploads/1",
        ]
    );
}

#[tokio::test]
async fn an_upload_whose_response_was_lost_is_not_repeated() {
    let there = Arc::new(AtomicUsize::new(0));
    let fake = Fake::start(move |seen| match seen.method.as_str() {
        "HEAD" if there.load(Ordering::Relaxed) > 0 => Reply::new(200).body(HELLO),
        "POST" => Reply::new(202).header("location", UPLOAD),
        "PUT" => {
            there.fetch_add(1, Ordering::Relaxed);
            Reply::new(502)
        }
        _ => Reply::new(404),
    })
    .await;
    pushing(&fake.repository()).await.expect("pushed");
    let puts = requests(&fake);
    assert_eq!(
        puts.iter().filter(|line| line.starts_with("PUT")).count(),
        1
    );
}

#[tokio::test]
async fn content_that_can_be_read_once_is_not_sent_after_a_401() {
    let fake = starting_uploads(|seen| match seen.header("authorization") {
        _ if seen.target == "/v2/" => Reply::new(200),
        None => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
        Some(_) => Reply::new(201),
    })
    .await;
    let once = Source::once(Body::from_stream(stream::iter([Ok(HELLO.into())])));
    let credential = tranship_remote::Credential::basic("robot", "hunter2");
    let registry = fake.host().parse().expect("a name");
    let credentials = tranship_remote::StaticCredentials::new(registry, credential);
    let options = RemoteOptions::default().with_credentials(Arc::new(credentials));
    let repository = fake.client(options).open(&name());
    let error = repository
        .push(&blob(HELLO), once)
        .await
        .expect_err("cannot be sent again");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
}

#[tokio::test]
async fn a_mount_that_becomes_an_upload_is_used_for_the_content() {
    let fake = starting_uploads(|_| Reply::new(201)).await;
    let repository = fake.repository();
    let mounter = repository.blobs();
    let from = "library/other".parse().expect("a name");
    let outcome = mounter
        .mount(&blob(HELLO), &from, Some(HELLO.into()))
        .await
        .expect("pushed");
    assert_eq!(outcome, PushOutcome::Pushed);
    assert_eq!(
        requests(&fake),
        ["POST blobs/uploads/", "HEAD blobs/", "PUT blobs/uploads/1"]
    );
}

#[tokio::test]
async fn a_mount_that_becomes_an_upload_without_content_is_cancelled() {
    let fake = starting_uploads(|_| Reply::new(204)).await;
    let repository = fake.repository();
    let mounter = repository.blobs();
    let from = "library/other".parse().expect("a name");
    let error = mounter.mount(&blob(HELLO), &from, None).await;
    assert!(error.expect_err("not mounted").is_not_found());
    assert_eq!(
        requests(&fake),
        ["POST blobs/uploads/", "DELETE blobs/uploads/1"]
    );
}

#[tokio::test]
async fn an_upload_that_cannot_be_cancelled_hides_no_error() {
    let fake = starting_uploads(|_| Reply::new(400)).await;
    let repository = fake.repository();
    let blobs = repository.blobs();
    let from = "library/other".parse().expect("a name");
    let error = blobs.mount(&blob(HELLO), &from, None).await;
    assert!(error.expect_err("not mounted").is_not_found());
    let upload = blobs.start().await.expect("started");
    let error = upload.commit(&blob(HELLO)).await.expect_err("too short");
    assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error:?}");
}

#[tokio::test]
async fn the_query_of_a_location_comes_back_byte_by_byte() {
    let location = "/upload?_state=a%2Bb%2F%3D&x=%20y+z";
    let fake = Fake::start(move |seen| match seen.method.as_str() {
        "HEAD" => Reply::new(404),
        "POST" | "PATCH" => Reply::new(202).header("location", location),
        _ => Reply::new(201),
    })
    .await;
    let options = RemoteOptions::default().with_upload(UploadMode::Chunked);
    let repository = fake.client(options).open(&name());
    pushing(&repository).await.expect("pushed");
    let seen = fake.seen();
    assert_eq!(seen[2].target, location);
    assert!(
        seen[3]
            .target
            .starts_with(&format!("{location}&digest=sha256"))
    );
}
