//! What requests to a receiver contain.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use tranship::{Descriptor, MediaType};
use tranship_server::{Event, EventAction, EventSink as _};
use tranship_webhooks::{EventFilter, EventFormat, NotifierOptions, Secret};

use crate::receiver::Receiver;
use crate::{Running, cause, endpoint, push};

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

#[tokio::test]
async fn a_push_has_the_format_of_distribution() {
    let receiver = Receiver::start([]).await;
    let options = NotifierOptions::default()
        .with_endpoint(endpoint(&receiver.url()))
        .with_public_url("https://registry.example/")
        .with_address("node1:5000");
    let running = Running::new(options).await;
    let config = Descriptor::of(MediaType::EMPTY_JSON, b"{}");
    let mut cause = cause();
    cause.time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
    cause.user = Some("ann".into());
    cause.client = Some(([10, 0, 0, 7], 4711).into());
    cause.host = Some("registry.example".into());
    cause.agent = Some("docker/29".into());
    let event = crate::push_event("v1").with_references(&[config]);
    running.notifier.record(&cause, vec![event]);

    let requests = receiver.requests(1).await;
    assert_eq!(requests[0].path, "/hook");
    let media_type = "application/vnd.docker.distribution.events.v2+json";
    assert_eq!(requests[0].header("content-type"), media_type);
    let sent = requests[0].json();
    let instance = &sent["events"][0]["source"]["instanceID"];
    let instance = instance.as_str().expect("an instance").to_owned();
    let expected = json!({"events": [{
        "id": format!("{instance}-0-0"),
        "timestamp": "2023-11-14T22:13:20.250Z",
        "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "size": 2,
            "digest": DIGEST,
            "length": 2,
            "repository": "team/app",
            "url": format!("https://registry.example/v2/team/app/manifests/{DIGEST}"),
            "tag": "v1",
            "references": [
                {"mediaType": "application/vnd.oci.empty.v1+json", "digest": DIGEST, "size": 2}
            ],
        },
        "request": {
            "id": format!("{instance}-0"),
            "addr": "10.0.0.7:4711",
            "host": "registry.example",
            "method": "PUT",
            "useragent": "docker/29",
        },
        "actor": {"name": "ann"},
        "source": {"addr": "node1:5000", "instanceID": instance},
    }]});
    assert_eq!(sent, expected);
    running.stop().await;
}

#[tokio::test]
async fn tags_are_pushes_and_deletes_in_the_format_of_distribution() {
    let receiver = Receiver::start([]).await;
    let options = NotifierOptions::default().with_endpoint(endpoint(&receiver.url()));
    let running = Running::new(options).await;
    let mut tag = crate::push_event("v1");
    tag.action = EventAction::Tag;
    let mut untag = Event::new(EventAction::Untag, tag.repository.clone());
    untag.tag.clone_from(&tag.tag);
    running.notifier.record(&cause(), vec![tag, untag]);

    let requests = receiver.requests(2).await;
    let events = requests
        .iter()
        .map(|request| request.json()["events"][0].clone());
    let events: Vec<_> = events.collect();
    assert_eq!(events[0]["action"], "push");
    assert_eq!(events[0]["target"]["digest"], DIGEST);
    assert_eq!(events[1]["action"], "delete");
    assert_eq!(
        events[1]["target"],
        json!({"repository": "team/app", "tag": "v1"})
    );
    assert_eq!(events[0]["request"]["id"], events[1]["request"]["id"]);
    assert_ne!(events[0]["id"], events[1]["id"]);
    running.stop().await;
}

#[tokio::test]
async fn a_push_is_a_cloud_event() {
    let receiver = Receiver::start([]).await;
    let endpoint = endpoint(&receiver.url()).with_format(EventFormat::CloudEvents);
    let options = NotifierOptions::default()
        .with_endpoint(endpoint)
        .with_public_url("https://registry.example");
    let running = Running::new(options).await;
    push(&running.notifier, &["v1"]);
    let request = receiver.requests(1).await.remove(0);
    assert_eq!(
        request.header("content-type"),
        "application/cloudevents+json"
    );
    let event = request.json();
    for (attribute, expected) in [
        ("specversion", "1.0"),
        ("id", request.header("webhook-id")),
        ("source", "https://registry.example"),
        ("type", "io.github.tranship.manifest.pushed"),
        ("subject", "team/app:v1"),
        ("datacontenttype", "application/json"),
    ] {
        assert_eq!(event[attribute], expected, "{attribute}");
    }
    assert_eq!(event["time"], event["data"]["timestamp"]);
    assert_eq!(event["data"]["target"]["digest"], DIGEST);
    running.stop().await;
}

#[tokio::test]
async fn a_request_is_signed_and_has_the_headers_of_its_endpoint() {
    let receiver = Receiver::start([]).await;
    let secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZg==";
    let endpoint = endpoint(&receiver.url())
        .with_header("X-Team", "registry")
        .expect("a header")
        .with_secret(Secret::parse(secret).expect("a secret"));
    let running = Running::new(NotifierOptions::default().with_endpoint(endpoint)).await;
    push(&running.notifier, &["v1"]);
    let request = receiver.requests(1).await.remove(0);
    assert_eq!(request.header("x-team"), "registry");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"0123456789abcdef").expect("a key");
    let (id, time) = (
        request.header("webhook-id"),
        request.header("webhook-timestamp"),
    );
    mac.update(format!("{id}.{time}.").as_bytes());
    mac.update(&request.body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(request.header("webhook-signature"), expected);
    running.stop().await;
}

#[tokio::test]
async fn each_endpoint_receives_what_its_filter_accepts() {
    let (all, deletes) = (Receiver::start([]).await, Receiver::start([]).await);
    let filter = EventFilter::default().with_actions(vec![EventAction::Delete]);
    let options = NotifierOptions::default()
        .with_endpoint(endpoint(&all.url()))
        .with_endpoint(endpoint(&deletes.url()).with_filter(filter));
    let running = Running::new(options).await;
    push(&running.notifier, &["v1"]);
    let mut delete = crate::push_event("v2");
    delete.action = EventAction::Delete;
    running.notifier.record(&cause(), vec![delete]);
    let requests = all.requests(2).await;
    assert_eq!([requests[0].tag(), requests[1].tag()], ["v1", "v2"]);
    let requests = deletes.requests(1).await;
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].tag(), "v2");
    running.stop().await;
}
