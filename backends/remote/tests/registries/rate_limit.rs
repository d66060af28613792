//! The limit on pulls that Docker Hub states in headers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tranship::*;
use tranship_remote::{RateLimitWait, RemoteOptions, RemoteRepository};

use crate::fake::{Fake, Reply, Seen, name};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const BODY: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#;

/// Serves one manifest, and counts the fetches of it down from `left`, as Docker Hub does.
fn hub(left: &Arc<AtomicU64>) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let left = Arc::clone(left);
    move |seen| {
        let left = if seen.method == "GET" {
            left.fetch_sub(1, Ordering::SeqCst) - 1
        } else {
            left.load(Ordering::SeqCst)
        };
        Reply::new(200)
            .header("content-type", MANIFEST)
            .header("docker-content-digest", Digest::of(BODY.as_bytes()))
            .header("ratelimit-limit", "100;w=21600")
            .header("ratelimit-remaining", format!("{left};w=21600"))
            .header("docker-ratelimit-source", "203.0.113.9")
            .body(BODY)
    }
}

async fn fetch(repository: &RemoteRepository) {
    let tag: Tag = "v1".parse().expect("a tag");
    let fetched = repository.fetch_reference(&tag.into()).await;
    let content = fetched.expect("a manifest");
    content.bytes(1000).await.expect("its bytes");
}

fn methods(fake: &Fake) -> Vec<String> {
    let seen = fake.seen().into_iter();
    seen.map(|seen| seen.method).collect()
}

#[tokio::test]
async fn the_newest_limit_is_remembered() {
    let left = Arc::new(AtomicU64::new(50));
    let fake = Fake::start(hub(&left)).await;
    let registry = fake.client(RemoteOptions::default());
    assert_eq!(registry.rate_limit(), None);
    let repository = registry.open(&name());
    fetch(&repository).await;
    fetch(&repository).await;
    let status = registry.rate_limit().expect("a limit");
    assert_eq!((status.limit, status.remaining), (Some(100), 48));
    assert_eq!(status.window, Some(Duration::from_secs(6 * 60 * 60)));
    assert_eq!(status.source.as_deref(), Some("203.0.113.9"));
    assert_eq!(status.to_string(), "48 of 100 left");
}

#[tokio::test]
async fn a_fetch_waits_for_the_reserve_and_asks_with_head() {
    let left = Arc::new(AtomicU64::new(4));
    let fake = Fake::start(hub(&left)).await;
    let (waits, told) = tokio::sync::mpsc::unbounded_channel();
    let options = RemoteOptions::default()
        .with_rate_limit_reserve(Some(3))
        .with_rate_limit_waits(move |wait: &RateLimitWait| {
            waits.send(wait.clone()).expect("a receiver");
        });
    let repository = fake.client(options).open(&name());
    fetch(&repository).await;

    // Time does not pass by itself while a blocking task runs.
    let (end, until_end) = mpsc::channel::<()>();
    let blocked = tokio::task::spawn_blocking(move || until_end.recv());
    tokio::time::pause();
    let (mut told, host) = (told, fake.host());
    let moves_the_window = async {
        let wait = told.recv().await.expect("a wait");
        let expected = format!("waiting for the rate limit of {host}: 3 of 100 left");
        assert_eq!((wait.to_string(), wait.reserve), (expected, 3));
        assert_eq!(methods(&fake), ["GET"], "it waits");
        left.store(100, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(61)).await;
    };
    tokio::join!(fetch(&repository), moves_the_window);
    tokio::time::resume();
    drop(end);
    blocked.await.expect("no panic").expect_err("no message");

    assert_eq!(methods(&fake), ["GET", "HEAD", "GET"]);
    let seen = fake.seen();
    assert_eq!(seen[1].target, seen[2].target);
    assert_eq!(seen[1].header("accept"), seen[2].header("accept"));
}

#[tokio::test]
async fn a_refused_fetch_waits_if_there_is_a_reserve() {
    let left = Arc::new(AtomicU64::new(0));
    let (shared, serve) = (Arc::clone(&left), hub(&left));
    let fake = Fake::start(move |seen| {
        if seen.method == "GET" && shared.load(Ordering::SeqCst) == 0 {
            return Reply::new(429)
                .header("retry-after", 3600)
                .header("ratelimit-remaining", "0;w=21600");
        }
        serve(seen)
    })
    .await;
    let (waits, mut told) = tokio::sync::mpsc::unbounded_channel();
    let options = RemoteOptions::default()
        .with_rate_limit_reserve(Some(0))
        .with_rate_limit_waits(move |wait: &RateLimitWait| {
            waits.send(wait.status.remaining).expect("a receiver");
        });
    let repository = fake.client(options).open(&name());

    // Time does not pass by itself while a blocking task runs.
    let (end, until_end) = mpsc::channel::<()>();
    let blocked = tokio::task::spawn_blocking(move || until_end.recv());
    let moves_the_window = async {
        assert_eq!(told.recv().await, Some(0));
        left.store(100, Ordering::SeqCst);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(61)).await;
    };
    tokio::join!(fetch(&repository), moves_the_window);
    tokio::time::resume();
    drop(end);
    blocked.await.expect("no panic").expect_err("no message");
    assert_eq!(methods(&fake), ["GET", "HEAD", "GET"]);
}

#[tokio::test]
async fn heads_and_blobs_do_not_wait() {
    let left = Arc::new(AtomicU64::new(1));
    let fake = Fake::start(hub(&left)).await;
    let options = RemoteOptions::default().with_rate_limit_reserve(Some(3));
    let repository = fake.client(options).open(&name());
    fetch(&repository).await;
    let tag: Tag = "v1".parse().expect("a tag");
    repository.resolve(&tag.into()).await.expect("a manifest");
    let blob = Descriptor::of(MediaType::OCTET_STREAM, BODY.as_bytes());
    let content = repository.fetch(&blob).await.expect("a blob");
    content.bytes(1000).await.expect("its bytes");
    assert_eq!(methods(&fake), ["GET", "HEAD", "GET"]);
}

#[tokio::test]
async fn a_refusal_says_when_to_try_again() {
    let fake = Fake::start(|_| Reply::new(429).header("retry-after", 3600)).await;
    let tag: Tag = "v1".parse().expect("a tag");
    let fetched = fake.repository().fetch_reference(&tag.into()).await;
    let error = fetched.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::RateLimited, "{error:?}");
    let hint = error.hint().expect("a hint");
    assert!(hint.contains("3600 seconds; try again after "), "{hint}");
    assert!(hint.ends_with(" GMT"), "{hint}");
    assert_eq!(fake.seen().len(), 1);
}
