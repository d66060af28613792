//! Requests of all kinds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tranship::*;
use tranship_remote::RemoteOptions;

use crate::fake::{Fake, HELLO, Reply, blob, name};

/// Old repositories have images of Docker's schema 1, and some registries have types that others do not know.
#[tokio::test]
async fn a_manifest_of_an_unknown_type_is_unsupported() {
    for kind in [
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.example.manifest.v7+json",
    ] {
        let content = r#"{"schemaVersion":1,"name":"app","fsLayers":[]}"#;
        let fake = Fake::start(move |seen| match seen.target.contains("/manifests/") {
            true => Reply::new(200).header("content-type", kind).body(content),
            false => Reply::new(404),
        })
        .await;
        let repository = fake.repository();
        let tag: TagOrDigest = "old".parse().expect("a tag");
        let named = repository.resolve(&tag).await.expect("a digest");
        assert_eq!(named.media_type().as_str(), kind);
        let options = CopyOptions::default();
        let copied = copy(&repository, &tag, &repository, &[], &options).await;
        // Listed by an index, it is looked for among the blobs.
        let fetched = repository.fetch(&named).await;
        for error in [copied.expect_err("refused"), fetched.expect_err("refused")] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
            assert!(error.to_string().contains(kind), "{error}");
        }
    }
}

#[tokio::test]
async fn transient_failures_of_a_read_are_retried() {
    for status in [408, 429, 500, 502, 503, 504] {
        let tries = AtomicUsize::new(0);
        let fake = Fake::start(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::new(status).header("retry-after", 0),
            1 => Reply::new(status).header("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),
            _ => Reply::new(200).body(HELLO),
        })
        .await;
        let content = fake.repository().fetch(&blob(HELLO)).await;
        content.expect("a response").bytes(10).await.expect("whole");
        assert_eq!(fake.seen().len(), 3, "{status}");
    }
}

#[tokio::test]
async fn permanent_failures_are_not_retried() {
    for (status, kind) in [
        (400, ErrorKind::InvalidInput),
        (401, ErrorKind::Unauthorized),
        (403, ErrorKind::Denied),
        (404, ErrorKind::NotFound),
        (405, ErrorKind::Unsupported),
        (501, ErrorKind::Unsupported),
    ] {
        let fake = Fake::start(move |_| Reply::new(status)).await;
        let fetched = fake.repository().fetch(&blob(HELLO)).await;
        let error = fetched.expect_err("refused");
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(error.http_status(), Some(status));
        assert_eq!(fake.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_ping_detects_a_registry() {
    for (status, kind) in [
        (200, None),
        (401, Some(ErrorKind::Unauthorized)),
        (404, Some(ErrorKind::NotFound)),
    ] {
        let fake = Fake::start(move |_| Reply::new(status)).await;
        let pinged = fake.client(RemoteOptions::default()).ping().await;
        assert_eq!(pinged.err().map(|error| error.kind()), kind, "{status}");
        assert_eq!(fake.seen()[0].target, "/v2/");
    }
}

#[tokio::test]
async fn each_warning_is_passed_on_once() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&told);
    let options = RemoteOptions::default()
        .with_warnings(move |warning| keep.lock().expect("no panic").push(warning.clone()));
    let fake = Fake::start(|_| {
        Reply::new(404)
            .header("warning", "299 - \"The end is near.\"")
            .header("warning", "199 - \"Not this one.\"")
    })
    .await;
    let registry = fake.client(options);
    let repository = registry.open(&name());
    for _ in 0..2 {
        repository.fetch(&blob(HELLO)).await.expect_err("missing");
        registry.ping().await.expect_err("missing");
    }
    let told = told.lock().expect("no panic");
    let places: Vec<_> = told.iter().map(|one| one.repository.clone()).collect();
    assert_eq!(places, [Some(name()), None]);
    for warning in &*told {
        assert_eq!(warning.registry.as_str(), fake.host());
        assert_eq!(warning.text, "The end is near.");
    }
}
