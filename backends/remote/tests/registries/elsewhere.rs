//! Where a registry leads: to other hosts, without what was meant for it; and not where it may not.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs as _};
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use tranship::*;
use tranship_remote::{
    Credential, PrivateTargets, RemoteOptions, RemoteRegistry, RemoteRepository, Scheme,
    SecurityPolicy, StaticCredentials, TlsOptions, UploadMode,
};

use crate::fake::{Fake, HELLO, Reply, SECURE_NAME, Seen, blob, name};

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

/// A registry that wants Basic credentials, and answers as `handler` to who shows them.
async fn wanting_credentials(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Fake {
    Fake::start(move |seen| match seen.header("authorization") {
        Some(_) => handler(seen),
        None => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
    })
    .await
}

/// One that starts uploads at `target`.
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

#[tokio::test]
async fn a_redirect_to_another_origin_takes_no_secret_along() {
    let storage = Fake::start(|_| Reply::new(200).body("hello")).await;
    let target = storage.url("/bucket/hello?signature=a%2Fb");
    let registry = wanting_credentials(move |_| {
        Reply::redirect(&target).header("set-cookie", "session=1; path=/")
    })
    .await;
    let read = fetching(&repository(&registry)).await.expect("read");
    assert_eq!(read, "hello");
    let [asked] = &storage.seen()[..] else {
        panic!("{:?}", storage.seen());
    };
    assert_eq!(asked.target, "/bucket/hello?signature=a%2Fb");
    got_no_secret(&storage);
    let last = registry.seen().pop().expect("a request");
    assert_eq!(last.header("x-secret"), Some(HEADER));
}

#[tokio::test]
async fn another_origin_that_asks_for_credentials_gets_none() {
    let storage =
        Fake::start(|_| Reply::new(401).header("www-authenticate", "Basic realm=\"x\"")).await;
    let target = storage.url("/hello");
    let registry = wanting_credentials(move |_| Reply::redirect(&target)).await;
    let error = fetching(&repository(&registry)).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    got_no_secret(&storage);
}

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
async fn an_upload_does_not_go_on_at_another_origin() {
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
async fn a_private_registry_redirects_to_private_names() {
    let storage = Fake::start(|_| Reply::new(200).body("hello")).await;
    let target = format!("http://localhost:{}/hello", storage.port());
    // It is named by its address, so no name of it is ever resolved.
    let registry = wanting_credentials(move |_| Reply::redirect(&target)).await;
    let read = fetching(&repository(&registry)).await.expect("read");
    assert_eq!(read, "hello");
    got_no_secret(&storage);
}

#[tokio::test]
async fn an_upload_that_may_go_on_at_another_origin_takes_no_secret_along() {
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

#[tokio::test]
async fn a_page_does_not_lie_on_another_origin() {
    let other = Fake::start(|_| Reply::new(200).body(r#"{"tags":[]}"#)).await;
    let target = other.url("/tags?page=2");
    let registry = wanting_credentials(move |_| {
        Reply::new(200)
            .header("link", format!("<{target}>; rel=\"next\""))
            .body(r#"{"tags":["v1"]}"#)
    })
    .await;
    let error = tags(&repository(&registry)).await.expect_err("refused");
    is_refused(&error);
    other.was_not_asked();
}

#[tokio::test]
async fn a_page_that_is_named_by_another_host_is_read_at_the_registry() {
    let other = Fake::start(|_| Reply::new(200).body(r#"{"tags":[]}"#)).await;
    let target = other.url("/v2/library/app/tags/list?page=2");
    let registry = wanting_credentials(move |seen| match seen.target.as_str() {
        "/v2/library/app/tags/list" => Reply::new(200)
            .header("link", format!("<{target}>; rel=\"next\""))
            .body(r#"{"tags":["v1"]}"#),
        "/v2/library/app/tags/list?page=2" => Reply::new(200).body(r#"{"tags":["v2"]}"#),
        _ => Reply::new(404),
    })
    .await;
    let listed = tags(&repository(&registry)).await.expect("listed");
    assert_eq!(listed.len(), 2);
    other.was_not_asked();
}

#[tokio::test]
async fn a_page_of_referrers_does_not_lie_on_another_origin() {
    let other = Fake::start(|_| Reply::new(404)).await;
    let target = other.url("/referrers/2");
    let registry = wanting_credentials(move |_| {
        Reply::new(200)
            .header("content-type", "application/vnd.oci.image.index.v1+json")
            .header("link", format!("<{target}>; rel=\"next\""))
            .body(r#"{"schemaVersion":2,"manifests":[]}"#)
    })
    .await;
    let subject = blob(b"subject");
    let error = referrers(&repository(&registry), &subject, None)
        .await
        .expect_err("refused");
    is_refused(&error);
    other.was_not_asked();
}

/// What holds for a registry with a public address, which none has here.
fn strict() -> SecurityPolicy {
    SecurityPolicy::default().with_private_targets(PrivateTargets::Refused)
}

/// A registry under a public name.
fn public(fake: &Fake, policy: SecurityPolicy) -> RemoteRepository {
    let host = format!("registry.example.com:{}", fake.port());
    let address = fake.host().parse().expect("an address");
    let options = with_secrets(&host)
        .with_scheme(Scheme::Http)
        .with_policy(policy)
        .with_resolve("registry.example.com", address);
    let registry = RemoteRegistry::with_options(&host.parse().expect("a name"), options);
    registry.expect("a client").open(&name())
}

#[tokio::test]
async fn a_public_registry_does_not_redirect_to_a_private_address() {
    let inside = Fake::start(|_| Reply::new(200).body("hello")).await;
    let target = inside.url("/latest/meta-data");
    let registry = wanting_credentials(move |_| Reply::redirect(&target)).await;
    let repository = public(&registry, strict());
    is_refused(&fetching(&repository).await.expect_err("refused"));
    inside.was_not_asked();

    let policy = SecurityPolicy::default().with_private_targets(PrivateTargets::Allowed);
    let read = fetching(&public(&registry, policy)).await.expect("read");
    assert_eq!(read, "hello");
    got_no_secret(&inside);
}

#[tokio::test]
async fn a_public_registry_does_not_redirect_to_this_machine_by_its_name() {
    let inside = Fake::start(|_| Reply::new(200).body("hello")).await;
    for host in [
        "localhost",
        "LOCALHOST",
        "a.localhost",
        "[::ffff:127.0.0.1]",
        "2130706433",
    ] {
        let target = format!("http://{host}:{}/hello", inside.port());
        let registry = wanting_credentials(move |_| Reply::redirect(&target)).await;
        let repository = public(&registry, strict());
        is_refused(&fetching(&repository).await.expect_err(host));
    }
    inside.was_not_asked();
}

/// The name of this machine, and its address.
fn own_name() -> (String, IpAddr) {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let name = name.trim().to_owned();
    let mut addresses = (name.as_str(), 0).to_socket_addrs().expect("known here");
    let address = addresses.next().expect("an address").ip();
    (name, address)
}

#[tokio::test]
#[ignore = "needs a host name that stands for a private address"]
async fn a_public_registry_does_not_redirect_to_a_name_of_a_private_address() {
    let (name, address) = own_name();
    let inside = Fake::start_on(address, |_| Reply::new(200).body("hello")).await;
    let target = format!("http://{name}:{}/hello", inside.port());
    let registry = wanting_credentials(move |_| Reply::redirect(&target)).await;
    let repository = public(&registry, strict());
    is_refused(&fetching(&repository).await.expect_err("refused"));
    inside.was_not_asked();
}

#[tokio::test]
async fn a_public_registry_has_no_token_server_at_a_private_address() {
    let inside = Fake::start(|_| Reply::new(200).body(r#"{"token":"t"}"#)).await;
    let realm = inside.url("/token");
    let registry = Fake::start(move |_| {
        Reply::new(401).header("www-authenticate", format!("Bearer realm=\"{realm}\""))
    })
    .await;
    let repository = public(&registry, strict());
    is_refused(&fetching(&repository).await.expect_err("refused"));
    inside.was_not_asked();
}

#[tokio::test]
async fn a_public_registry_does_not_take_uploads_at_a_private_address() {
    let inside = Fake::start(|_| Reply::new(201)).await;
    let target = inside.url("/upload");
    let registry = starting_uploads_at(target).await;
    let policy = strict().with_foreign_uploads(true);
    is_refused(&pushing(&public(&registry, policy)).await);
    inside.was_not_asked();
}

#[tokio::test]
async fn a_token_server_on_another_host_is_asked_unless_that_is_forbidden() {
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

#[tokio::test]
async fn other_schemes_and_credentials_in_a_target_are_refused() {
    for target in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/hello",
        "http://user:password@127.0.0.1/hello",
    ] {
        let registry = wanting_credentials(move |_| Reply::redirect(target)).await;
        is_refused(&fetching(&repository(&registry)).await.expect_err(target));
    }
}

#[tokio::test]
async fn what_was_redirected_back_is_the_registry_again() {
    let registry = wanting_credentials(|seen| match seen.target.as_str() {
        "/elsewhere" => Reply::new(200).body("hello"),
        _ => Reply::redirect("/elsewhere"),
    })
    .await;
    let read = fetching(&repository(&registry)).await.expect("read");
    assert_eq!(read, "hello");
}

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
async fn an_upload_does_not_go_on_over_http() {
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
async fn tokens_are_not_asked_for_over_http() {
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
async fn the_next_page_does_not_come_over_http() {
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
async fn a_registry_whose_certificate_nobody_vouches_for_gets_no_request() {
    let (registry, _) = Fake::start_secure(|_| Reply::new(200).body("hello")).await;
    let (_, other) = Fake::start_secure(|_| Reply::new(200)).await;
    let repository = secure(&registry, &other, SecurityPolicy::default());
    let error = fetching(&repository).await.expect_err("not trusted");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(!error.is_retryable(), "{error:?}");
    registry.was_not_asked();
}
