//! A registry over https that names URLs over http.

use tranship::*;
use tranship_remote::{
    PrivateTargets, RemoteRegistry, RemoteRepository, SecurityPolicy, TlsOptions,
};

use super::{fetching, got_no_secret, is_refused, pushing, with_secrets};
use crate::fake::{Fake, Reply, SECURE_NAME, name};

/// A client of a registry that speaks TLS, to which `pem` belongs.
fn secure(fake: &Fake, pem: &str, policy: SecurityPolicy) -> RemoteRepository {
    let host = format!("{SECURE_NAME}:{}", fake.port());
    let options = with_secrets(&host)
        .with_tls(TlsOptions::default().with_roots(pem))
        // So that nothing but the scheme is in the way.
        .with_policy(
            policy
                .with_private_targets(PrivateTargets::Allowed)
                .with_foreign_uploads(true),
        )
        .with_resolve(SECURE_NAME, fake.host().parse().expect("an address"));
    let registry = RemoteRegistry::with_options(&host.parse().expect("a name"), options);
    registry.expect("a client").open(&name())
}

#[tokio::test]
async fn a_redirect_does_not_lead_from_https_to_http() {
    let plain = Fake::start(|_| Reply::new(200).body("hello")).await;
    let target = plain.url("/hello");
    let (registry, pem) = Fake::start_secure(move |_| Reply::redirect(&target)).await;
    let policy = SecurityPolicy::default();
    let error = fetching(&secure(&registry, &pem, policy)).await;
    is_refused(&error.expect_err("refused"));
    plain.was_not_asked();

    let repository = secure(&registry, &pem, policy.with_downgrades(true));
    assert_eq!(fetching(&repository).await.expect("read"), "hello");
    got_no_secret(&plain);
}

#[tokio::test]
async fn an_upload_does_not_continue_over_http() {
    let plain = Fake::start(|_| Reply::new(201)).await;
    let target = plain.url("/upload");
    let (registry, pem) = Fake::start_secure(move |seen| match seen.method.as_str() {
        "POST" => Reply::new(202).header("location", &target),
        _ => Reply::new(404),
    })
    .await;
    is_refused(&pushing(&secure(&registry, &pem, SecurityPolicy::default())).await);
    plain.was_not_asked();
}

#[tokio::test]
async fn tokens_are_not_requested_over_http() {
    let plain = Fake::start(|_| Reply::new(200).body(r#"{"token":"t"}"#)).await;
    let realm = plain.url("/token");
    let (registry, pem) = Fake::start_secure(move |_| {
        Reply::new(401).header("www-authenticate", format!("Bearer realm=\"{realm}\""))
    })
    .await;
    let repository = secure(&registry, &pem, SecurityPolicy::default());
    is_refused(&fetching(&repository).await.expect_err("refused"));
    plain.was_not_asked();
}

#[tokio::test]
async fn the_next_page_is_not_read_over_http() {
    let (registry, pem) = Fake::start_secure(|seen| {
        let host = seen.header("host").expect("a host");
        let page = Reply::new(200).body(r#"{"tags":["v1"]}"#);
        match seen.target.as_str() {
            "/v2/library/app/tags/list" => {
                let target = format!("http://{host}/v2/library/app/tags/list?page=2");
                page.header("link", format!("<{target}>; rel=\"next\""))
            }
            "/v2/library/app/tags/list?page=2" => {
                page.header("link", format!("<http://{host}/tags>; rel=\"next\""))
            }
            _ => Reply::new(404),
        }
    })
    .await;
    let repository = secure(&registry, &pem, SecurityPolicy::default());
    is_refused(&tags(&repository).await.expect_err("refused"));
    // The first link is to a page of the API, which is read over TLS.
    assert_eq!(registry.seen().len(), 2);
}

#[tokio::test]
async fn a_registry_with_an_untrusted_certificate_gets_no_request() {
    let (registry, _) = Fake::start_secure(|_| Reply::new(200).body("hello")).await;
    let (_, other) = Fake::start_secure(|_| Reply::new(200)).await;
    let repository = secure(&registry, &other, SecurityPolicy::default());
    let error = fetching(&repository).await.expect_err("not trusted");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(!error.is_retryable(), "{error:?}");
    registry.was_not_asked();
}
