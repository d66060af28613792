//! Referrers.

use tranship::Digest;
use tranship_server::ServerOptions;

use crate::client::{Client, INDEX, index};

#[tokio::test]
async fn a_subject_is_confirmed_and_its_referrers_are_listed() {
    let client = Client::new().await;
    let subject = Digest::of(&index("x"));
    let referrer = format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"artifactType":"application/vnd.note+json","subject":{{"mediaType":"{INDEX}","digest":"{subject}","size":{}}},"annotations":{{"a":"b"}}}}"#,
        index("x").len()
    );
    let digest = Digest::of(referrer.as_bytes()).to_string();
    let reply = client
        .push_manifest("app", "note", referrer.as_bytes())
        .await;
    assert_eq!(
        reply.is(201).header("oci-subject"),
        Some(&*subject.to_string())
    );
    let list = format!("/v2/app/referrers/{subject}");
    let reply = client.get(&list).await;
    assert_eq!(reply.is(200).header("content-type"), Some(INDEX));
    assert_eq!(reply.header("oci-filters-applied"), None);
    let entry = &reply.json()["manifests"][0];
    assert_eq!(entry["digest"], digest);
    assert_eq!(entry["artifactType"], "application/vnd.note+json");
    assert_eq!(entry["annotations"]["a"], "b");
    for (filter, count) in [
        ("application/vnd.note%2Bjson", 1),
        ("application/vnd.note+json", 1),
        ("application/vnd.other", 0),
    ] {
        let reply = client.get(&format!("{list}?artifactType={filter}")).await;
        assert_eq!(reply.header("oci-filters-applied"), Some("artifactType"));
        assert_eq!(
            reply.json()["manifests"].as_array().map(Vec::len),
            Some(count)
        );
    }
}

#[tokio::test]
async fn an_unknown_subject_has_no_referrers() {
    let client = Client::new().await;
    let digest = Digest::of(b"nothing");
    let reply = client.get(&format!("/v2/no/such/referrers/{digest}")).await;
    assert_eq!(reply.is(200).json()["manifests"], serde_json::json!([]));
    client
        .get("/v2/app/referrers/latest")
        .await
        .fails(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn many_referrers_are_on_several_pages() {
    let client = Client::with(ServerOptions::default().with_max_manifest_size(1024)).await;
    let subject = Digest::of(&index("x"));
    let mut pushed = Vec::new();
    for number in 0..20 {
        let referrer = format!(
            r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"subject":{{"mediaType":"{INDEX}","digest":"{subject}","size":1}},"annotations":{{"n":"{number}"}}}}"#
        );
        let digest = Digest::of(referrer.as_bytes()).to_string();
        client
            .push_manifest("app", &digest, referrer.as_bytes())
            .await
            .is(201);
        pushed.push(digest);
    }
    pushed.sort();
    let mut next = Some(format!("/v2/app/referrers/{subject}"));
    let mut listed = Vec::new();
    while let Some(target) = next {
        let reply = client.get(&target).await;
        assert!(reply.is(200).body.len() <= 1024);
        for entry in reply.json()["manifests"].as_array().expect("a list") {
            listed.push(entry["digest"].as_str().expect("a digest").to_owned());
        }
        next = reply.header("link").map(|link| {
            let (target, rel) = link.split_once(">; ").expect("a link");
            assert_eq!(rel, "rel=\"next\"");
            target.trim_start_matches('<').to_owned()
        });
    }
    assert_eq!(listed, pushed);
}
