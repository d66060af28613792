//! Listings.

use tranship::*;

use crate::fake::{Fake, HELLO, Reply, blob};

#[tokio::test]
async fn a_malformed_link_does_not_end_a_listing() {
    for link in [
        "/v2/next; rel=\"next\"",
        "</v2/next; rel=\"next\"",
        "http://[x; rel=next",
    ] {
        let fake = Fake::start(move |_| {
            Reply::new(200)
                .header("link", link)
                .body(r#"{"tags":["v1"]}"#)
        })
        .await;
        let error = tags(&fake.repository()).await.expect_err(link);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{link}: {error:?}");
    }
}

#[tokio::test]
async fn only_a_missing_repository_has_an_empty_listing() {
    for (status, kind) in [
        (401, ErrorKind::Unauthorized),
        (400, ErrorKind::InvalidInput),
    ] {
        let fake = Fake::start(move |_| Reply::new(status)).await;
        let error = tags(&fake.repository()).await.expect_err("refused");
        assert_eq!(error.kind(), kind);
    }
    let fake = Fake::start(|_| Reply::new(404)).await;
    assert!(tags(&fake.repository()).await.expect("none").is_empty());
}

/// As docs/from-oras-go.md says.
#[tokio::test]
async fn a_repository_that_does_not_exist_is_empty() {
    let body = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"unknown"}]}"#;
    let fake = Fake::start(move |_| Reply::new(404).body(body)).await;
    let repository = fake.repository();
    let tag: Tag = "v1".parse().expect("a tag");
    let manifest = Descriptor::of(MediaType::IMAGE_MANIFEST, b"{}");
    for target in [&manifest, &blob(HELLO)] {
        assert!(!repository.exists(target).await.expect("no"));
        let error = repository.fetch(target).await.expect_err("missing");
        assert!(error.is_not_found(), "{error:?}");
        let error = repository.delete(target).await.expect_err("missing");
        assert!(error.is_not_found(), "{error:?}");
        let found = repository.predecessors(target).await;
        assert_eq!(found.expect("none"), []);
    }
    let error = repository.resolve(&tag.into()).await.expect_err("missing");
    assert!(error.is_not_found(), "{error:?}");
    assert!(tags(&repository).await.expect("none").is_empty());
    let error = repository.push(&blob(HELLO), HELLO.into()).await;
    assert!(error.expect_err("missing").is_not_found());
}

/// The tag of the referrers tag scheme names an image.
#[tokio::test]
async fn a_tag_of_referrers_that_is_not_an_index_is_not_changed() {
    let subject = Descriptor::of(MediaType::IMAGE_MANIFEST, b"subject");
    let config = Descriptor::of(MediaType::EMPTY_JSON, b"{}");
    let image = Manifest::new(config.clone(), Vec::new());
    let image = encode_json(&image).expect("JSON").to_vec();
    let fake = Fake::start(move |seen| match seen.method.as_str() {
        "PUT" => Reply::new(201),
        "GET" if seen.target.contains("/manifests/sha256-") => Reply::new(200)
            .header("content-type", MediaType::IMAGE_MANIFEST)
            .body(image.clone()),
        _ => Reply::new(404),
    })
    .await;
    let mut referrer = Manifest::new(config, Vec::new());
    referrer.subject = Some(subject);
    let content = encode_json(&referrer).expect("JSON");
    let descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, &content);
    let error = fake
        .repository()
        .push(&descriptor, content.into())
        .await
        .expect_err("in the way");
    assert_eq!(error.kind(), ErrorKind::InvalidManifest, "{error:?}");
    let puts = fake.seen().into_iter().filter(|seen| seen.method == "PUT");
    assert!(
        puts.into_iter()
            .all(|seen| !seen.target.contains("sha256-"))
    );
}
