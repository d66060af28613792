//! Checks of the content that a manifest refers to, and of its type.

use std::sync::Arc;

use tranship::Digest;
use tranship_layout::LayoutRegistry;
use tranship_server::ServerOptions;

use crate::client::{Client, INDEX, index};

/// An index of two manifests, of which nobody pushed either.
fn sparse_index() -> Vec<u8> {
    let child = |content: &[u8]| {
        let digest = Digest::of(content);
        format!(
            r#"{{"mediaType":"{INDEX}","digest":"{digest}","size":{}}}"#,
            content.len()
        )
    };
    let (one, two) = (child(&index("one")), child(&index("two")));
    format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{one},{two}]}}"#).into_bytes()
}

#[tokio::test]
async fn an_index_may_precede_its_manifests_if_allowed() {
    let options = ServerOptions::default().with_complete_manifests(false);
    let client = Client::with(options).await;
    client
        .push_manifest("app", "v1", &sparse_index())
        .await
        .is(201);
}

#[tokio::test]
async fn an_incomplete_manifest_is_refused() {
    let options = ServerOptions::default();
    let root = tempfile::tempdir().expect("a directory");
    let layouts = LayoutRegistry::create(root.path()).await.expect("layouts");
    for client in [
        Client::with(options.clone()).await,
        Client::of(Arc::new(layouts), options).await,
    ] {
        let one = Digest::of(&index("one")).to_string();
        let two = Digest::of(&index("two")).to_string();
        client
            .push_manifest("app", &one, &index("one"))
            .await
            .is(201);
        let reply = client.push_manifest("app", "v1", &sparse_index()).await;
        reply.fails(400, "MANIFEST_BLOB_UNKNOWN");
        let message = reply.json()["errors"][0]["message"].to_string();
        assert!(
            message.contains(&two) && !message.contains(&one),
            "{message}"
        );
        client
            .push_manifest("app", &two, &index("two"))
            .await
            .is(201);
        client
            .push_manifest("app", "v1", &sparse_index())
            .await
            .is(201);
    }
}

#[tokio::test]
async fn a_document_of_two_kinds_is_refused() {
    let client = Client::new().await;
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let both = br#"{"schemaVersion":2,"manifests":[],"config":{},"layers":[]}"#;
    let list = index("x");
    for (media_type, content) in [
        (Some(INDEX), &both[..]),
        (Some(manifest), both),
        (None, both),
        (Some(manifest), &list),
        (
            Some("application/vnd.docker.distribution.manifest.list.v2+json"),
            &list,
        ),
    ] {
        let headers = media_type.map(|media_type| ("Content-Type", media_type));
        let reply = client
            .send("PUT", "/v2/app/manifests/v1", headers.as_slice(), content)
            .await;
        reply.fails(400, "MANIFEST_INVALID");
    }
    client.get("/v2/app/manifests/v1").await.is(404);
}

#[tokio::test]
async fn a_manifest_is_served_with_its_pushed_type() {
    const DOCKER: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    let root = tempfile::tempdir().expect("a directory");
    let layouts = LayoutRegistry::create(root.path()).await.expect("layouts");
    for client in [
        Client::new().await,
        Client::of(Arc::new(layouts), ServerOptions::default()).await,
    ] {
        // It does not say what it is, and looks like an index of OCI.
        let child = br#"{"schemaVersion":2,"manifests":[]}"#;
        let digest = Digest::of(child);
        let target = format!("/v2/app/manifests/{digest}");
        let headers = [("Content-Type", DOCKER)];
        client.send("PUT", &target, &headers, child).await.is(201);
        let listing = format!(
            r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{{"mediaType":"{DOCKER}","digest":"{digest}","size":{}}}]}}"#,
            child.len()
        );
        for _ in 0..2 {
            let reply = client.get(&target).await;
            assert_eq!(reply.header("content-type"), Some(DOCKER));
            let reply = client.push_manifest("app", "all", listing.as_bytes()).await;
            reply.is(201);
        }
    }
}

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A manifest with the config `{}`; `own` gives its media type.
fn image(own: Option<&str>) -> Vec<u8> {
    let config = serde_json::json!({
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": Digest::of(b"{}").to_string(),
        "size": 2,
    });
    let mut image = serde_json::json!({"schemaVersion": 2, "config": config, "layers": []});
    if let Some(own) = own {
        image["mediaType"] = own.into();
    }
    serde_json::to_vec(&image).expect("JSON")
}

fn index_of(media_type: &str, child: &[u8]) -> Vec<u8> {
    let digest = Digest::of(child).to_string();
    let child = serde_json::json!({"mediaType": media_type, "digest": digest, "size": child.len()});
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [child]});
    serde_json::to_vec(&index).expect("JSON")
}

/// Clients of servers over each kind of backend, with an image's config pushed.
async fn clients(options: &ServerOptions) -> Vec<(Client, Option<tempfile::TempDir>)> {
    let directory = tempfile::tempdir().expect("a directory");
    let layouts = LayoutRegistry::create(directory.path())
        .await
        .expect("layouts");
    let clients = vec![
        (Client::with(options.clone()).await, None),
        (
            Client::of(Arc::new(layouts), options.clone()).await,
            Some(directory),
        ),
    ];
    for (client, _) in &clients {
        client.push_blob("app", b"{}").await;
    }
    clients
}

#[tokio::test]
async fn an_index_that_gives_a_child_another_type_is_refused() {
    for complete in [true, false] {
        let options = ServerOptions::default().with_complete_manifests(complete);
        for (client, _directory) in clients(&options).await {
            for (own, said) in [(None, INDEX), (Some(IMAGE), INDEX), (Some(IMAGE), DOCKER)] {
                let image = image(own);
                let headers = [("Content-Type", IMAGE)];
                let target = format!("/v2/app/manifests/{}", Digest::of(&image));
                client.send("PUT", &target, &headers, &image).await.is(201);
                let reply = client
                    .push_manifest("app", "v1", &index_of(said, &image))
                    .await;
                reply.fails(400, "MANIFEST_INVALID");
                let reply = client
                    .push_manifest("app", "v2", &index_of(IMAGE, &image))
                    .await;
                reply.is(201);
            }
            client.get("/v2/app/manifests/v1").await.is(404);
            let image = image(None);
            let reply = client
                .push_manifest("app", "v3", &index_of(DOCKER, &image))
                .await;
            reply.is(201);
        }
    }
}

#[tokio::test]
async fn a_referrer_with_a_wrong_subject_type_is_refused() {
    for (client, _directory) in clients(&ServerOptions::default()).await {
        let image = image(Some(IMAGE));
        let target = "/v2/app/manifests/v1";
        let headers = [("Content-Type", IMAGE)];
        client.send("PUT", target, &headers, &image).await.is(201);
        let (digest, size) = (Digest::of(&image), image.len());
        for (said, size, status) in [
            (INDEX, size, 400),
            (IMAGE, size + 1, 400),
            (IMAGE, size, 201),
        ] {
            let referrer = format!(
                r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"subject":{{"mediaType":"{said}","digest":"{digest}","size":{size}}}}}"#
            );
            let pushed = client.push_manifest("app", "note", referrer.as_bytes());
            pushed.await.is(status);
        }
    }
}

#[tokio::test]
async fn a_child_pushed_after_its_index_keeps_its_type() {
    let options = ServerOptions::default().with_complete_manifests(false);
    for own in [None, Some(IMAGE)] {
        for (client, directory) in clients(&options).await {
            let image = image(own);
            let digest = Digest::of(&image);
            let parent = index_of(INDEX, &image);
            client.push_manifest("app", "v1", &parent).await.is(201);
            let headers = [("Content-Type", IMAGE)];
            let target = format!("/v2/app/manifests/{digest}");
            client.send("PUT", &target, &headers, &image).await.is(201);
            let fresh = match &directory {
                // Another process has to read all of it anew.
                Some(directory) => {
                    let layouts = LayoutRegistry::create(directory.path())
                        .await
                        .expect("layouts");
                    Some(Client::of(Arc::new(layouts), options.clone()).await)
                }
                None => None,
            };
            for client in fresh.iter().chain([&client]) {
                let reply = client.get(&target).await;
                assert_eq!(reply.is(200).header("content-type"), Some(IMAGE));
                let reply = client.get(&format!("/v2/app/referrers/{digest}")).await;
                reply.is(200);
                client.get("/v2/app/tags/list").await.is(200);
                let reply = client.push_manifest("app", "v2", &index("more")).await;
                reply.is(201);
            }
        }
    }
}
