//! Deliveries that fail.

use std::time::Duration;

use tranship_server::EventSink as _;
use tranship_webhooks::{NotifierOptions, RetryOptions};

use crate::receiver::{Received, Receiver};
use crate::{Running, endpoint, push, wait_for};

#[tokio::test]
async fn a_failed_delivery_is_repeated_with_the_same_id_in_order() {
    let receiver = Receiver::start([503, 401, 302, 200, 500]).await;
    let options = NotifierOptions::default().with_endpoint(endpoint(&receiver.url()));
    let running = Running::new(options).await;
    push(&running.notifier, &["v1", "v2", "v3"]);
    let requests = receiver.requests(7).await;
    let tags: Vec<_> = requests.iter().map(Received::tag).collect();
    assert_eq!(tags, ["v1", "v1", "v1", "v1", "v2", "v2", "v3"]);
    let ids = requests.iter().map(|request| request.header("webhook-id"));
    let mut ids: Vec<_> = ids.collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    // The redirect was not followed.
    assert!(requests.iter().all(|request| request.path == "/hook"));
    wait_for(&running.notifier, |state| state.queued == 0).await;
    let state = running.notifier.receivers()[0];
    assert_eq!((state.delivered, state.failed, state.dropped), (3, 4, 0));
    running.stop().await;
}

#[tokio::test]
async fn an_event_that_the_receiver_rejects_is_dropped() {
    let receiver = Receiver::start([400]).await;
    let options = NotifierOptions::default().with_endpoint(endpoint(&receiver.url()));
    let running = Running::new(options).await;
    push(&running.notifier, &["v1", "v2"]);
    let requests = receiver.requests(2).await;
    assert_eq!([requests[0].tag(), requests[1].tag()], ["v1", "v2"]);
    wait_for(&running.notifier, |state| state.queued == 0).await;
    let state = running.notifier.receivers()[0];
    assert_eq!((state.delivered, state.failed, state.dropped), (1, 1, 1));
    running.stop().await;
}

#[tokio::test]
async fn an_old_event_is_given_up_when_an_attempt_fails() {
    let receiver = Receiver::start([503]).await;
    let retry = RetryOptions::default().with_give_up_after(Duration::ZERO);
    let endpoint = endpoint(&receiver.url()).with_retry(retry);
    let running = Running::new(NotifierOptions::default().with_endpoint(endpoint)).await;
    push(&running.notifier, &["v1", "v2"]);
    let requests = receiver.requests(2).await;
    assert_eq!([requests[0].tag(), requests[1].tag()], ["v1", "v2"]);
    running.stop().await;
}

#[tokio::test]
async fn a_receiver_that_does_not_respond_times_out() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let silent = silent.expect("a port");
    let url = format!("http://{}/", silent.local_addr().expect("an address"));
    let endpoint = endpoint(&url).with_timeout(Duration::from_millis(5));
    let running = Running::new(NotifierOptions::default().with_endpoint(endpoint)).await;
    push(&running.notifier, &["v1"]);
    wait_for(&running.notifier, |state| state.failed >= 2).await;
    running.stop().await;
}
