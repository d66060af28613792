//! Uploads that continue at another origin.

use tranship::*;
use tranship_remote::{SecurityPolicy, UploadMode};

use super::{
    got_no_secret, is_refused, pushing, repository, repository_with, starting_uploads_at,
    wanting_credentials, with_secrets,
};
use crate::fake::{Fake, HELLO, Reply, blob, name};

#[tokio::test]
async fn an_upload_does_not_continue_at_another_origin() {
    let other = Fake::start(|_| Reply::new(201)).await;
    let target = other.url("/upload");
    let registry = starting_uploads_at(target).await;
    is_refused(&pushing(&repository(&registry)).await);
    other.was_not_asked();
}

/// The URL of an upload by the registry's API, on the server `other`.
fn upload_at(other: &Fake) -> String {
    other.url("/v2/library/app/blobs/uploads/1?_state=a%2Fb")
}

/// As where a registry is reached by another name than it is configured with, or a proxy ends TLS.
#[tokio::test]
async fn an_upload_named_by_another_host_stays_at_the_registry() {
    let other = Fake::start(|_| Reply::new(201)).await;
    let target = upload_at(&other);
    let registry = wanting_credentials(move |seen| match seen.method.as_str() {
        "POST" | "PATCH" => Reply::new(202).header("location", &target),
        "PUT" => Reply::new(201),
        _ => Reply::new(404),
    })
    .await;
    for mode in [UploadMode::Auto, UploadMode::Chunked] {
        let options = with_secrets(&registry.host()).with_upload(mode);
        let repository = registry.client(options).open(&name());
        let pushed = repository.push(&blob(HELLO), HELLO.into()).await;
        pushed.expect("pushed");
        let last = registry.seen().pop().expect("a request");
        let expected = "/v2/library/app/blobs/uploads/1?_state=a%2Fb&digest=";
        assert!(last.target.starts_with(expected), "{last:?}");
        assert!(last.header("authorization").is_some(), "{last:?}");
    }
    other.was_not_asked();
}

#[tokio::test]
async fn an_upload_that_the_registry_does_not_know_names_the_option() {
    let other = Fake::start(|_| Reply::new(201)).await;
    let target = upload_at(&other);
    let registry = starting_uploads_at(target).await;
    let error = pushing(&repository(&registry)).await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    let hint = error.hint().expect("a hint");
    assert!(hint.contains(&other.host()), "{hint}");
    assert!(hint.contains("--allow foreign-uploads"), "{hint}");
    other.was_not_asked();

    let policy = SecurityPolicy::default().with_foreign_uploads(true);
    repository_with(&registry, policy)
        .push(&blob(HELLO), HELLO.into())
        .await
        .expect("pushed");
    assert_eq!(other.seen()[0].body, b"hello");
    got_no_secret(&other);
}

#[tokio::test]
async fn an_allowed_upload_at_another_origin_carries_no_secret() {
    let other = Fake::start(|_| Reply::new(201)).await;
    let target = other.url("/upload");
    let registry = starting_uploads_at(target).await;
    let policy = SecurityPolicy::default().with_foreign_uploads(true);
    repository_with(&registry, policy)
        .push(&blob(HELLO), HELLO.into())
        .await
        .expect("pushed");
    assert_eq!(other.seen()[0].body, b"hello");
    got_no_secret(&other);
}

#[tokio::test]
async fn an_upload_is_not_redirected_to_another_origin() {
    let other = Fake::start(|_| Reply::new(201)).await;
    let target = other.url("/upload");
    let registry = wanting_credentials(move |seen| match seen.method.as_str() {
        "POST" => Reply::new(202).header("location", "/v2/library/app/blobs/uploads/1"),
        "PUT" => Reply::redirect(&target),
        _ => Reply::new(404),
    })
    .await;
    is_refused(&pushing(&repository(&registry)).await);
    other.was_not_asked();
}

#[tokio::test]
async fn an_upload_does_not_move_to_another_origin_between_chunks() {
    let other = Fake::start(|_| Reply::new(201)).await;
    let target = other.url("/upload");
    let registry = wanting_credentials(move |seen| match seen.method.as_str() {
        "POST" => Reply::new(202).header("location", "/v2/library/app/blobs/uploads/1"),
        "PATCH" => Reply::new(202).header("location", &target),
        _ => Reply::new(404),
    })
    .await;
    let options = with_secrets(&registry.host());
    let options = options.with_upload(tranship_remote::UploadMode::Chunked);
    let repository = registry.client(options).open(&name());
    is_refused(&pushing(&repository).await);
    other.was_not_asked();
}

#[tokio::test]
async fn an_upload_is_not_resumed_at_another_origin() {
    let other = Fake::start(|_| Reply::new(204)).await;
    let registry = wanting_credentials(|_| Reply::new(404)).await;
    let repository = repository(&registry);
    let uploader = repository.blobs();
    let id = UploadId::new(format!("{} {}", name(), other.url("/upload")));
    let Err(error) = uploader.resume(&id).await else {
        panic!("resumed");
    };
    is_refused(&error);
    other.was_not_asked();
}
