//! The queue between a server and a receiver.

use tokio::net::TcpListener;
use tranship::ErrorKind;
use tranship_server::EventSink as _;
use tranship_webhooks::NotifierOptions;

use crate::receiver::{Received, Receiver};
use crate::{Running, endpoint, open, push, wait_for};

/// A URL at which no process listens, and its port.
async fn closed() -> (String, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (format!("http://127.0.0.1:{port}/hook"), port)
}

#[tokio::test]
async fn events_that_were_not_delivered_are_delivered_by_the_next_process() {
    let directory = tempfile::tempdir().expect("a directory");
    let (url, port) = closed().await;
    let options = NotifierOptions::default()
        .with_endpoint(endpoint(&url))
        .with_directory(directory.path());
    let running = Running::new(options.clone()).await;
    push(&running.notifier, &["v1", "v2"]);
    wait_for(&running.notifier, |state| state.failed > 0).await;
    // This one may be in memory only when the notifier is told to stop.
    push(&running.notifier, &["v3"]);
    running.stop().await;

    let listener = TcpListener::bind(("127.0.0.1", port)).await;
    let receiver = Receiver::on(listener.expect("the port"), []);
    let running = Running::new(options).await;
    assert_eq!(running.notifier.receivers()[0].dropped, 0);
    push(&running.notifier, &["v4"]);
    let requests = receiver.requests(4).await;
    let tags: Vec<_> = requests.iter().map(Received::tag).collect();
    assert_eq!(tags, ["v1", "v2", "v3", "v4"]);
    wait_for(&running.notifier, |state| state.queued == 0).await;
    running.stop().await;
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_events() {
    let (url, port) = closed().await;
    let tags: Vec<String> = (0..200).map(|number| format!("v{number}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let options = NotifierOptions::default()
        .with_endpoint(endpoint(&url))
        .with_max_queue_size(16 * 1024);
    let running = Running::new(options).await;
    push(&running.notifier, &tags);
    wait_for(&running.notifier, |state| {
        state.queued + state.dropped == 200
    })
    .await;
    wait_for(&running.notifier, |state| (1..100).contains(&state.queued)).await;

    let listener = TcpListener::bind(("127.0.0.1", port)).await;
    let receiver = Receiver::on(listener.expect("the port"), []);
    wait_for(&running.notifier, |state| state.queued == 0).await;
    let delivered = running.notifier.receivers()[0].delivered;
    let requests = receiver.requests(1).await;
    assert_eq!(requests.len() as u64, delivered);
    assert_eq!(requests.last().map(Received::tag).as_deref(), Some("v199"));
    running.stop().await;
}

#[tokio::test]
async fn events_for_a_former_endpoint_are_dropped() {
    let directory = tempfile::tempdir().expect("a directory");
    let (url, port) = closed().await;
    let options = NotifierOptions::default().with_directory(directory.path());
    let running = Running::new(options.clone().with_endpoint(endpoint(&url))).await;
    push(&running.notifier, &["v1"]);
    running.stop().await;

    drop(
        open(options.clone())
            .await
            .expect("opened without endpoints"),
    );
    let listener = TcpListener::bind(("127.0.0.1", port)).await;
    let receiver = Receiver::on(listener.expect("the port"), []);
    let running = Running::new(options.with_endpoint(endpoint(&url))).await;
    push(&running.notifier, &["v2"]);
    let requests = receiver.requests(1).await;
    assert_eq!(requests[0].tag(), "v2");
    running.stop().await;
}

#[tokio::test]
async fn one_process_at_a_time_uses_a_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = NotifierOptions::default()
        .with_endpoint(endpoint("http://localhost"))
        .with_directory(directory.path());
    let first = open(options.clone()).await.expect("opened");
    let error = open(options.clone()).await.expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint().is_some());
    drop(first);
    open(options).await.expect("opened");
}

#[tokio::test]
async fn two_endpoints_with_one_url_are_refused() {
    let options = NotifierOptions::default()
        .with_endpoint(endpoint("http://localhost/SECRET"))
        .with_endpoint(endpoint("http://localhost/SECRET"));
    let error = open(options).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!format!("{error} {error:?}").contains("SECRET"));
}

#[tokio::test]
async fn a_queue_that_cannot_be_opened_is_an_error() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let options = NotifierOptions::default().with_directory(file.path());
    open(options).await.expect_err("not a directory");
    let directory = tempfile::tempdir().expect("a directory");
    let damaged = vec![7; 100_000];
    std::fs::write(directory.path().join("queue.redb"), damaged).expect("written");
    let options = NotifierOptions::default().with_directory(directory.path());
    let error = open(options).await.expect_err("not a database");
    assert_eq!(error.kind(), ErrorKind::Io);
}
