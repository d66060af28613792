//! Token servers on other hosts.

use std::net::Ipv4Addr;

use tranship::*;
use tranship_remote::SecurityPolicy;

use super::{
    fetching, got_no_secret, is_refused, repository, repository_with, wanting_credentials,
};
use crate::fake::{Fake, Reply};

/// Its challenge would lead the credentials to whichever token server it names.
#[tokio::test]
async fn the_token_server_of_another_origin_is_not_asked() {
    let tokens = Fake::start(|_| Reply::new(200).body(r#"{"token":"t"}"#)).await;
    let challenge = format!("Bearer realm=\"{}\"", tokens.url("/token"));
    let storage =
        Fake::start(move |_| Reply::new(401).header("www-authenticate", &challenge)).await;
    let target = storage.url("/hello");
    let registry = wanting_credentials(move |_| Reply::redirect(&target)).await;
    let error = fetching(&repository(&registry)).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    got_no_secret(&storage);
    tokens.was_not_asked();
}

#[tokio::test]
async fn the_policy_can_forbid_a_token_server_on_another_host() {
    let tokens = Fake::start_on(Ipv4Addr::new(127, 0, 0, 2).into(), |_| {
        Reply::new(200).body(r#"{"token":"t"}"#)
    })
    .await;
    let realm = tokens.url("/token");
    let registry = Fake::start(move |seen| match seen.header("authorization") {
        Some("Bearer t") => Reply::new(200).body("hello"),
        _ => Reply::new(401).header("www-authenticate", format!("Bearer realm=\"{realm}\"")),
    })
    .await;
    let policy = SecurityPolicy::default().with_foreign_token_servers(false);
    let error = fetching(&repository_with(&registry, policy)).await;
    is_refused(&error.expect_err("refused"));
    tokens.was_not_asked();

    fetching(&repository(&registry)).await.expect("read");
    let asked = tokens.seen().pop().expect("a request");
    assert!(asked.header("authorization").is_some());
    assert_eq!(
        asked.header("x-secret"),
        None,
        "it is for the registry only"
    );
}

#[tokio::test]
async fn a_token_server_that_redirects_is_not_followed() {
    let other = Fake::start(|_| Reply::new(200).body(r#"{"token":"t"}"#)).await;
    let target = other.url("/token");
    let tokens = Fake::start(move |_| Reply::redirect(&target)).await;
    let realm = tokens.url("/token");
    let registry = Fake::start(move |_| {
        Reply::new(401).header("www-authenticate", format!("Bearer realm=\"{realm}\""))
    })
    .await;
    let error = fetching(&repository(&registry)).await;
    let error = error.expect_err("no token");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    other.was_not_asked();
}
