//! The events that requests cause.

use std::sync::{Arc, Mutex};

use tranship::{Descriptor, Digest};
use tranship_memory::MemoryRegistry;
use tranship_server::{Event, EventCause, EventSink, ReceiverState, ServerOptions};

use crate::client::{Client, INDEX, index};

/// Keeps events as text: the action, the repository with the tag or digest, and what else an event has.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<(EventCause, Event)>>);

impl EventSink for Recorder {
    fn record(&self, cause: &EventCause, events: Vec<Event>) {
        let mut recorded = self.0.lock().expect("not poisoned");
        recorded.extend(events.into_iter().map(|event| (cause.clone(), event)));
    }

    fn receivers(&self) -> Vec<ReceiverState> {
        let mut state = ReceiverState::default();
        state.delivered = self.0.lock().expect("not poisoned").len() as u64;
        state.queued = 7;
        vec![ReceiverState::default(), state]
    }
}

impl Recorder {
    fn take(&self) -> Vec<(EventCause, Event)> {
        std::mem::take(&mut *self.0.lock().expect("not poisoned"))
    }

    /// Takes the events as text.
    #[track_caller]
    fn saw(&self, expected: &[&str]) {
        let events = self.take();
        let texts: Vec<String> = events.iter().map(|(_, event)| text(event)).collect();
        assert_eq!(texts, expected);
    }
}

fn text(event: &Event) -> String {
    let mut text = format!("{} {}", event.action.as_str(), event.repository);
    if let Some(tag) = &event.tag {
        text.push_str(&format!(":{tag}"));
    }
    if let Some(content) = &event.content {
        text.push_str(&format!(" {} {}", content.media_type(), content.size()));
    }
    if let Some(from) = &event.from {
        text.push_str(&format!(" from {from}"));
    }
    text
}

async fn client() -> (Arc<Recorder>, Client) {
    let recorder = Arc::new(Recorder::default());
    let options = ServerOptions::default().with_events(recorder.clone());
    let client = Client::of(Arc::new(MemoryRegistry::new()), options).await;
    (recorder, client)
}

#[tokio::test]
async fn pushes_mounts_and_deletes_of_blobs_are_events() {
    let (recorder, client) = client().await;
    let digest = client.push_blob("from", b"hello").await;
    recorder.saw(&["push from application/octet-stream 5"]);

    let upload = client.start_upload("app").await;
    let other = Digest::of(b"world!");
    recorder.saw(&[]);
    let finish = format!("{upload}?digest={other}");
    client.send("PUT", &finish, &[], b"world!").await.is(201);
    recorder.saw(&["push app application/octet-stream 6"]);

    let mount = format!("/v2/app/blobs/uploads/?mount={digest}&from=from");
    client.send("POST", &mount, &[], b"").await.is(201);
    recorder.saw(&["mount app application/octet-stream 5 from from"]);
    // The repository has it already.
    client.send("POST", &mount, &[], b"").await.is(201);
    recorder.saw(&[]);

    let blob = format!("/v2/app/blobs/{digest}");
    client.get(&blob).await.is(200);
    recorder.saw(&[]);
    client.send("DELETE", &blob, &[], b"").await.is(202);
    recorder.saw(&["delete app application/octet-stream 5"]);
}

#[tokio::test]
async fn pushes_pulls_and_deletes_of_manifests_are_events() {
    let (recorder, client) = client().await;
    let content = index("x");
    let (digest, size) = (Digest::of(&content), content.len());
    client.push_manifest("app", "v1", &content).await.is(201);
    recorder.saw(&[&format!("push app:v1 {INDEX} {size}")]);
    let by_digest = format!("{digest}?tag=v2&tag=v3");
    client
        .push_manifest("app", &by_digest, &content)
        .await
        .is(201);
    recorder.saw(&[
        &format!("push app {INDEX} {size}"),
        &format!("tag app:v2 {INDEX} {size}"),
        &format!("tag app:v3 {INDEX} {size}"),
    ]);

    client.get("/v2/app/manifests/v1").await.is(200);
    client
        .get(&format!("/v2/app/manifests/{digest}"))
        .await
        .is(200);
    recorder.saw(&[
        &format!("pull app:v1 {INDEX} {size}"),
        &format!("pull app {INDEX} {size}"),
    ]);
    let tag = "/v2/app/manifests/v1";
    client.send("HEAD", tag, &[], b"").await.is(200);
    let known = format!("\"{digest}\"");
    let headers = [("If-None-Match", &*known)];
    client.send("GET", tag, &headers, b"").await.is(304);
    recorder.saw(&[]);

    client.send("DELETE", tag, &[], b"").await.is(202);
    recorder.saw(&["untag app:v1"]);
    let manifest = format!("/v2/app/manifests/{digest}");
    client.send("DELETE", &manifest, &[], b"").await.is(202);
    recorder.saw(&[&format!("delete app {INDEX} {size}")]);
}

#[tokio::test]
async fn a_request_that_fails_is_not_an_event() {
    let (recorder, client) = client().await;
    client.get("/v2/app/manifests/v1").await.is(404);
    client.push_manifest("app", "v1", b"{").await.is(400);
    let missing = format!("/v2/app/blobs/{}", Digest::of(b"x"));
    client.send("DELETE", &missing, &[], b"").await.is(404);
    let wrong = format!("/v2/app/blobs/uploads/?digest={}", Digest::of(b"x"));
    client.send("POST", &wrong, &[], b"y").await.is(400);
    recorder.saw(&[]);
}

#[tokio::test]
async fn an_event_has_its_request_and_the_references_of_its_manifest() {
    let (recorder, client) = client().await;
    let blob = client.push_blob("app", b"{}").await;
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
        "config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{blob}","size":2,"annotations":{{"a":"b"}}}},
        "layers":[]}}"#
    );
    recorder.take();
    let agent = "x".repeat(300);
    let headers = [
        ("Content-Type", "application/vnd.oci.image.manifest.v1+json"),
        ("User-Agent", &*agent),
    ];
    let target = "/v2/app/manifests/v1";
    let reply = client.send("PUT", target, &headers, manifest.as_bytes());
    reply.await.is(201);
    let events = recorder.take();
    let (cause, event) = events.first().expect("an event");
    assert_eq!(cause.method, "PUT");
    assert_eq!(cause.user, None);
    assert_eq!(cause.host.as_deref(), Some("registry.example"));
    assert!(cause.client.is_some_and(|client| client.ip().is_loopback()));
    assert_eq!(cause.agent.as_deref(), Some(&agent[..256]));
    let references: Vec<_> = event.references.iter().map(Descriptor::digest).collect();
    assert_eq!(references, [&blob]);
    assert!(event.references[0].annotations().is_empty());
}

#[tokio::test]
async fn the_receivers_of_events_have_metrics() {
    let (_, client) = client().await;
    client.push_blob("app", b"x").await;
    let reply = client.get("/metrics").await;
    let text = String::from_utf8(reply.is(200).body.clone()).expect("text");
    for line in [
        "tranship_events_delivered_total{endpoint=\"0\"} 0",
        "tranship_events_delivered_total{endpoint=\"1\"} 1",
        "tranship_events_dropped_total{endpoint=\"1\"} 0",
        "tranship_events_failed_total{endpoint=\"1\"} 0",
        "tranship_events_queued{endpoint=\"1\"} 7",
    ] {
        assert!(text.lines().any(|each| each == line), "{line} in\n{text}");
    }
}
