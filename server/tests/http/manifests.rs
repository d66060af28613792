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
async fn a_manifest_without_type_gets_it_from_its_content() {
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
async fn a_damaged_manifest_is_an_error_without_a_path() {
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
async fn deleting_a_tag_keeps_the_manifest() {
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
async fn deleting_a_manifest_deletes_its_tags() {
    let client = Client::new().await;
    let digest = Digest::of(&index("x"));
    client.push_manifest("app", "v1", &index("x")).await.is(201);
    let target = format!("/v2/app/manifests/{digest}");
    client.send("DELETE", &target, &[], b"").await.is(202);
    client.get("/v2/app/manifests/v1").await.is(404);
    client.get(&target).await.fails(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn a_cached_manifest_is_not_sent_again() {
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
async fn a_tag_moves_only_from_the_expected_manifest() {
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
async fn one_of_many_conditional_changes_succeeds() {
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
async fn an_invalid_reference_is_refused() {
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
