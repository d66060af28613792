//! URLs with another origin that a registry names. Requests to them do not carry what is meant for the registry, and the
//! policy applies.

mod downgrades;
mod pages;
mod private_addresses;
mod redirects;
mod token_servers;
mod unreachable;
mod uploads;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use tranship::*;
use tranship_remote::{
    Credential, RemoteOptions, RemoteRepository, SecurityPolicy, StaticCredentials,
};

use crate::fake::{Fake, HELLO, Reply, Seen, blob, name};

const PASSWORD: &str = "hunter2";

const HEADER: &str = "for the registry only";

/// Options with credentials for the registry, and a header that is meant for it alone.
fn with_secrets(host: &str) -> RemoteOptions {
    let registry = host.parse().expect("a name");
    let credential = Credential::basic("robot", PASSWORD);
    let mut headers = HeaderMap::new();
    headers.insert("x-secret", HeaderValue::from_static(HEADER));
    RemoteOptions::default()
        .with_credentials(Arc::new(StaticCredentials::new(registry, credential)))
        .with_headers(headers)
}

fn repository(fake: &Fake) -> RemoteRepository {
    repository_with(fake, SecurityPolicy::default())
}

fn repository_with(fake: &Fake, policy: SecurityPolicy) -> RemoteRepository {
    let options = with_secrets(&fake.host()).with_policy(policy);
    fake.client(options).open(&name())
}

/// A registry that requires Basic credentials, and otherwise responds by `handler`.
async fn wanting_credentials(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Fake {
    Fake::start(move |seen| match seen.header("authorization") {
        Some(_) => handler(seen),
        None => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
    })
    .await
}

/// A registry that starts uploads at `target`.
async fn starting_uploads_at(target: String) -> Fake {
    wanting_credentials(move |seen| match seen.method.as_str() {
        "POST" => Reply::new(202).header("location", &target),
        _ => Reply::new(404),
    })
    .await
}

#[track_caller]
fn got_no_secret(fake: &Fake) {
    for seen in fake.seen() {
        assert_eq!(seen.header("authorization"), None, "{seen:?}");
        assert_eq!(seen.header("x-secret"), None, "{seen:?}");
        assert_eq!(seen.header("referer"), None, "{seen:?}");
        assert_eq!(seen.header("cookie"), None, "{seen:?}");
        assert!(!seen.text().contains(PASSWORD), "{seen:?}");
    }
}

#[track_caller]
fn is_refused(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    assert!(!error.is_retryable(), "{error:?}");
}

async fn fetching(repository: &RemoteRepository) -> Result<bytes::Bytes> {
    let content = repository.fetch(&blob(HELLO)).await?;
    content.bytes(u64::MAX).await
}

async fn pushing(repository: &RemoteRepository) -> Error {
    repository
        .push(&blob(HELLO), HELLO.into())
        .await
        .expect_err("refused")
}
