//! Manifests and tags.

use std::sync::Arc;

use tranship::{Algorithm, Digest, MediaType};
use tranship_layout::LayoutRegistry;
use tranship_server::ServerOptions;

use crate::client::{Client, INDEX, index};

#[tokio::test]
async fn a_manifest_is_read_by_tag_and_digest_as_it_was_pushed() {
    let client = Client::new().await;
    // Stored byte for byte, blanks and all.
    let content = [&index("one")[..], b"  \n"].concat();
    let digest = Digest::of(&content);
    let reply = client.push_manifest("app", "v1", &content).await;
    reply.is(201);
    let location = format!("/v2/app/manifests/{digest}");
    assert_eq!(reply.header("location"), Some(&*location));
    for target in [location.as_str(), "/v2/app/manifests/v1"] {
        for method in ["GET", "HEAD"] {
            let reply = client.send(method, target, &[], b"").await;
            reply.is(200);
            assert_eq!(reply.header("content-type"), Some(INDEX));
            assert_eq!(
                reply.header("docker-content-digest"),
                Some(&*digest.to_string())
            );
            assert_eq!(
                reply.header("content-length"),
                Some(&*content.len().to_string())
            );
            assert_eq!(reply.body, if method == "GET" { &content[..] } else { b"" });
        }
    }
}

#[tokio::test]
async fn the_type_comes_from_the_header_without_its_parameters() {
    let client = Client::new().await;
    let headers = [("Content-Type", &*format!("{INDEX}; charset=utf-8"))];
    let reply = client
        .send("PUT", "/v2/app/manifests/v1", &headers, &index("x"))
        .await;
    reply.is(201);
    let reply = client.get("/v2/app/manifests/v1").await;
    assert_eq!(reply.header("content-type"), Some(INDEX));
}

#[tokio::test]
async fn the_type_in_the_header_may_have_capitals() {
    let client = Client::new().await;
    let headers = [("Content-Type", &*INDEX.to_ascii_uppercase())];
    let reply = client
        .send("PUT", "/v2/app/manifests/v1", &headers, &index("x"))
        .await;
    reply.is(201);
    let reply = client.get("/v2/app/manifests/v1").await;
    assert_eq!(reply.header("content-type"), Some(INDEX));
}

#[tokio::test]
async fn a_manifest_without_type_is_known_by_its_content() {
    let client = Client::new().await;
    let reply = client
        .send("PUT", "/v2/app/manifests/v1", &[], &index("x"))
        .await;
    reply.is(201);
    let reply = client.send("PUT", "/v2/app/manifests/v2", &[], b"{}").await;
    reply.fails(400, "MANIFEST_INVALID");
}

#[tokio::test]
async fn a_type_that_contradicts_the_content_is_refused() {
    let client = Client::new().await;
    for media_type in [
        MediaType::IMAGE_MANIFEST.as_str(),
        "application/json",
        "nonsense",
    ] {
        let headers = [("Content-Type", media_type)];
        let reply = client
            .send("PUT", "/v2/app/manifests/v1", &headers, &index("x"))
            .await;
        reply.fails(400, "MANIFEST_INVALID");
    }
    let headers = [("Content-Type", INDEX), ("Content-Type", INDEX)];
    let reply = client
        .send("PUT", "/v2/app/manifests/v1", &headers, &index("x"))
        .await;
    reply.fails(400, "MANIFEST_INVALID");
    client
        .get("/v2/app/manifests/v1")
        .await
        .fails(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn a_manifest_under_the_digest_of_another_is_refused() {
    let client = Client::new().await;
    let other = Digest::of(b"other").to_string();
    let reply = client.push_manifest("app", &other, &index("x")).await;
    reply.fails(400, "DIGEST_INVALID");
    client
        .get(&format!("/v2/app/manifests/{other}"))
        .await
        .is(404);
}

#[tokio::test]
async fn a_manifest_may_have_a_digest_of_every_algorithm() {
    let client = Client::new().await;
    for algorithm in Algorithm::ALL {
        let digest = algorithm.digest(&index("x")).to_string();
        let reply = client.push_manifest("app", &digest, &index("x")).await;
        reply.is(201);
        let reply = client.get(&format!("/v2/app/manifests/{digest}")).await;
        assert_eq!(
            reply.is(200).header("docker-content-digest"),
            Some(&*digest)
        );
    }
}

#[tokio::test]
async fn tags_are_set_with_a_push_by_digest() {
    let client = Client::new().await;
    let digest = Digest::of(&index("x"));
    let reference = format!("{digest}?tag=v1.2&tag=v1&tag=latest&tag=v1");
    let reply = client.push_manifest("app", &reference, &index("x")).await;
    assert_eq!(reply.is(201).header("oci-tag"), Some("v1.2, v1, latest"));
    for tag in ["v1.2", "v1", "latest"] {
        let reply = client.get(&format!("/v2/app/manifests/{tag}")).await;
        assert_eq!(
            reply.header("docker-content-digest"),
            Some(&*digest.to_string())
        );
    }
    let bad = format!("{digest}?tag=v2&tag=-");
    client.push_manifest("app", &bad, &index("x")).await.is(400);
    client.get("/v2/app/manifests/v2").await.is(404);
    let many = format!(
        "{digest}?tag=t{}",
        (0..200).map(|n| format!("&tag=t{n}")).collect::<String>()
    );
    client
        .push_manifest("app", &many, &index("x"))
        .await
        .is(414);
}

#[tokio::test]
async fn a_subject_is_told_and_its_referrers_are_listed() {
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
async fn referrers_of_what_nobody_knows_are_none() {
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
async fn too_many_referrers_for_one_index_are_on_several() {
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
async fn an_index_may_come_before_its_manifests_where_allowed() {
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
async fn a_damaged_manifest_is_the_servers_failure_and_its_place_is_not_told() {
    let root = tempfile::tempdir().expect("a directory");
    let layouts = LayoutRegistry::create(root.path()).await.expect("layouts");
    let client = Client::of(Arc::new(layouts), ServerOptions::default()).await;
    client
        .push_manifest("app", "v1", &index("one"))
        .await
        .is(201);
    let digest = Digest::of(&index("one"));
    let path = root.path().join("app/blobs/sha256").join(digest.hex());
    std::fs::remove_file(&path).expect("there");
    std::fs::write(&path, index("two")).expect("written");
    let reply = client.get("/v2/app/manifests/v1").await;
    reply.fails(500, "UNKNOWN");
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    assert!(
        !text.contains(root.path().to_str().expect("Unicode")),
        "{text}"
    );
}

#[tokio::test]
async fn a_tag_that_is_deleted_leaves_its_manifest() {
    let client = Client::new().await;
    let digest = Digest::of(&index("x"));
    client.push_manifest("app", "v1", &index("x")).await.is(201);
    client
        .send("DELETE", "/v2/app/manifests/v1", &[], b"")
        .await
        .is(202);
    client
        .get("/v2/app/manifests/v1")
        .await
        .fails(404, "MANIFEST_UNKNOWN");
    client
        .get(&format!("/v2/app/manifests/{digest}"))
        .await
        .is(200);
    let again = client
        .send("DELETE", "/v2/app/manifests/v1", &[], b"")
        .await;
    again.fails(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn a_manifest_that_is_deleted_takes_its_tags_along() {
    let client = Client::new().await;
    let digest = Digest::of(&index("x"));
    client.push_manifest("app", "v1", &index("x")).await.is(201);
    let target = format!("/v2/app/manifests/{digest}");
    client.send("DELETE", &target, &[], b"").await.is(202);
    client.get("/v2/app/manifests/v1").await.is(404);
    client.get(&target).await.fails(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn who_has_a_manifest_does_not_get_it_again() {
    let client = Client::new().await;
    client.push_manifest("app", "v1", &index("x")).await.is(201);
    let tag = format!("\"{}\"", Digest::of(&index("x")));
    for method in ["GET", "HEAD"] {
        let reply = client
            .send(
                method,
                "/v2/app/manifests/v1",
                &[("If-None-Match", &tag)],
                b"",
            )
            .await;
        assert_eq!(reply.is(304).header("etag"), Some(&*tag));
    }
}

#[tokio::test]
async fn a_tag_moves_only_from_where_the_client_expects_it() {
    let client = Client::new().await;
    let put = async |condition: &(&str, &str), note| {
        let headers = [("Content-Type", INDEX), *condition];
        client
            .send("PUT", "/v2/app/manifests/v1", &headers, &index(note))
            .await
    };
    let one = format!("\"{}\"", Digest::of(&index("one")));
    put(&("If-Match", &one), "two").await.is(412);
    put(&("If-None-Match", "*"), "one").await.is(201);
    put(&("If-None-Match", "*"), "two").await.is(412);
    put(&("If-Match", &one), "two").await.is(201);
    let refused = put(&("If-Match", &one), "three").await;
    refused.fails(412, "DENIED");
    let two = format!("\"{}\"", Digest::of(&index("two")));
    assert_eq!(refused.header("etag"), Some(&*two));
    let delete = async |tag| {
        client
            .send("DELETE", "/v2/app/manifests/v1", &[("If-Match", tag)], b"")
            .await
    };
    delete(&*one).await.is(412);
    delete(&*two).await.is(202);
}

#[tokio::test]
async fn of_many_who_move_a_tag_from_the_same_place_one_succeeds() {
    let client = Client::new().await;
    client.push_manifest("app", "v1", &index("x")).await.is(201);
    let tag = format!("\"{}\"", Digest::of(&index("x")));
    let puts = (0..20).map(async |number: usize| {
        let headers = [("Content-Type", INDEX), ("If-Match", tag.as_str())];
        let content = index(&number.to_string());
        client
            .send("PUT", "/v2/app/manifests/v1", &headers, &content)
            .await
            .status
    });
    let mut statuses = futures_util::future::join_all(puts).await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(
        statuses[1..].iter().all(|&status| status == 412),
        "{statuses:?}"
    );
}

#[tokio::test]
async fn what_is_neither_tag_nor_digest_is_refused() {
    let client = Client::new().await;
    client
        .get("/v2/app/manifests/-")
        .await
        .fails(400, "MANIFEST_INVALID");
    client
        .get("/v2/app/manifests/sha256:1")
        .await
        .fails(400, "DIGEST_INVALID");
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
async fn what_was_pushed_as_one_type_is_served_as_it() {
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
async fn a_referrer_that_misdescribes_its_subject_is_refused() {
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
async fn a_child_pushed_after_its_index_has_the_type_it_was_pushed_as() {
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
