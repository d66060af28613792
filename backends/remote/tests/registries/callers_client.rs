//! A client that the caller has built: every request goes over it, and none past the security policy.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tranship::*;
use tranship_remote::reqwest::redirect::Policy;
use tranship_remote::{
    CertificateDirectories, Credential, PrivateTargets, RemoteOptions, RemoteRegistry,
    SecurityPolicy, StaticCredentials, TlsOptions, reqwest,
};

use crate::fake::{Fake, HELLO, Reply, SECURE_NAME, Seen, blob, name};

const PASSWORD: &str = "hunter2";
const MARK: &str = "x-client";

/// A client that marks its requests, and trusts the certificates in `pem`.
fn builder(pem: Option<&str>) -> reqwest::ClientBuilder {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(pem) = pem {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
        roots.add(certificate).expect("a certificate");
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the suites")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let marks = [(MARK, "own")].map(|(name, value)| {
        let name: http::HeaderName = name.parse().expect("a name");
        (name, http::HeaderValue::from_static(value))
    });
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent("deployer/1.0")
        .default_headers(marks.into_iter().collect())
}

fn client() -> reqwest::Client {
    let built = builder(None).redirect(Policy::none()).build();
    built.expect("a client")
}

fn with_client(client: reqwest::Client, host: &str) -> RemoteOptions {
    let registry = host.parse().expect("a name");
    let credential = Credential::basic("robot", PASSWORD);
    RemoteOptions::default()
        .with_client(client)
        .with_credentials(Arc::new(StaticCredentials::new(registry, credential)))
}

#[track_caller]
fn came_over_the_client(seen: &[Seen]) {
    for seen in seen {
        assert_eq!(seen.header(MARK), Some("own"), "{seen:?}");
        assert_eq!(seen.header("user-agent"), Some("deployer/1.0"), "{seen:?}");
    }
}

/// Returns a blob that is sent as a stream, not in one piece.
fn large() -> Vec<u8> {
    vec![7; 2 * 1024 * 1024]
}

#[tokio::test]
async fn every_request_goes_over_the_client() {
    let fake = Fake::start(|seen| {
        let host = seen.header("host").expect("a host");
        match (seen.method.as_str(), seen.header("authorization")) {
            _ if seen.target.starts_with("/token") => Reply::new(200).body(r#"{"token":"t"}"#),
            (_, None) => Reply::new(401).header(
                "www-authenticate",
                format!("Bearer realm=\"http://{host}/token\""),
            ),
            ("GET", _) if seen.target.contains("/blobs/") => Reply::new(200).body(large()),
            ("POST", _) => Reply::new(202).header("location", "/v2/library/app/blobs/uploads/1"),
            ("PUT", _) => Reply::new(201),
            ("GET", _) => Reply::new(200),
            _ => Reply::new(404),
        }
    })
    .await;
    let registry = fake.client(with_client(client(), &fake.host()));
    registry.ping().await.expect("a registry");
    let repository = registry.open(&name());
    let target = blob(&large());
    let content = repository.fetch(&target).await.expect("fetched");
    assert_eq!(content.bytes(u64::MAX).await.expect("whole"), large());

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("blob");
    let mut content = large();
    content.push(1);
    std::fs::write(&path, &content).expect("written");
    let source = Source::file(&path);
    repository
        .push(&blob(&content), source)
        .await
        .expect("pushed");

    let seen = fake.seen();
    came_over_the_client(&seen);
    let has = |method: &str, part: &str| {
        let mut seen = seen.iter();
        seen.any(|seen| seen.method == method && seen.target.contains(part))
    };
    for (method, part) in [("GET", "/token"), ("GET", "/blobs/"), ("PUT", "/uploads/")] {
        assert!(has(method, part), "{method} {part}");
    }
}

#[tokio::test]
async fn a_client_brings_its_own_tls_and_addresses() {
    let (fake, pem) = Fake::start_secure(|_| Reply::new(200)).await;
    let built = builder(Some(&pem))
        .redirect(Policy::none())
        .resolve(SECURE_NAME, fake.host().parse().expect("an address"))
        .build();
    let host = format!("{SECURE_NAME}:{}", fake.port());
    let options = with_client(built.expect("a client"), &host);
    let registry = RemoteRegistry::with_options(&host.parse().expect("a name"), options);
    registry.expect("a client").ping().await.expect("reached");
    came_over_the_client(&fake.seen());
}

#[tokio::test]
async fn redirects_are_followed_without_credentials() {
    let storage = Fake::start(|_| Reply::new(200).body(HELLO)).await;
    let location = storage.url("/bucket/blob");
    let fake = Fake::start(move |seen| match seen.header("authorization") {
        None => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
        Some(_) => Reply::redirect(&location),
    })
    .await;
    let repository = fake
        .client(with_client(client(), &fake.host()))
        .open(&name());
    let content = repository.fetch(&blob(HELLO)).await.expect("fetched");
    assert_eq!(content.bytes(10).await.expect("whole"), HELLO);
    let seen = storage.seen();
    came_over_the_client(&seen);
    assert_eq!(seen[0].header("authorization"), None);
}

#[tokio::test]
async fn the_policy_on_redirects_applies() {
    let inside = Fake::start(|_| Reply::new(200).body(HELLO)).await;
    for host in ["127.0.0.1", "localhost"] {
        let target = format!("http://{host}:{}/blob", inside.port());
        let fake = Fake::start(move |_| Reply::redirect(&target)).await;
        let built = builder(None)
            .redirect(Policy::none())
            .resolve(
                "registry.example.com",
                fake.host().parse().expect("an address"),
            )
            .build();
        let host = format!("registry.example.com:{}", fake.port());
        let policy = SecurityPolicy::default().with_private_targets(PrivateTargets::Refused);
        let options = with_client(built.expect("a client"), &host)
            .with_scheme(tranship_remote::Scheme::Http)
            .with_policy(policy);
        let registry = RemoteRegistry::with_options(&host.parse().expect("a name"), options);
        let repository = registry.expect("a client").open(&name());
        let error = repository.fetch(&blob(HELLO)).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    }
    inside.was_not_asked();
}

#[tokio::test]
async fn a_client_that_follows_redirects_is_refused() {
    let storage = Fake::start(|_| Reply::new(200).body(HELLO)).await;
    let location = storage.url("/bucket/blob");
    let fake = Fake::start(move |seen| match seen.header("authorization") {
        None => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
        Some(_) => Reply::redirect(&location),
    })
    .await;
    for policy in [
        Policy::default(),
        Policy::custom(|attempt| attempt.error("no")),
    ] {
        let follows = builder(None).redirect(policy).build().expect("a client");
        let repository = fake
            .client(with_client(follows, &fake.host()))
            .open(&name());
        let error = repository.fetch(&blob(HELLO)).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        assert!(error.hint().expect("a hint").contains("Policy::none()"));
        assert!(!error.is_retryable());
    }
    for seen in storage.seen() {
        assert!(!seen.text().contains("authorization"), "{seen:?}");
    }
}

#[tokio::test]
async fn a_token_server_that_redirects_a_client_is_refused() {
    let fake = Fake::start(|seen| {
        let host = seen.header("host").expect("a host");
        match seen.target.as_str() {
            "/elsewhere" => Reply::new(200).body(r#"{"token":"t"}"#),
            target if target.starts_with("/token") => Reply::redirect("/elsewhere"),
            _ => Reply::new(401).header(
                "www-authenticate",
                format!("Bearer realm=\"http://{host}/token\""),
            ),
        }
    })
    .await;
    let follows = builder(None).build().expect("a client");
    let registry = fake.client(with_client(follows, &fake.host()));
    let error = registry.ping().await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
}

#[test]
fn options_that_a_client_would_ignore_are_refused() {
    let registry = "registry.example".parse().expect("a name");
    let with = RemoteOptions::default().with_client(client());
    let address = "127.0.0.1:80".parse().expect("an address");
    let policy = SecurityPolicy::default();
    for (option, options) in [
        (
            "tls",
            with.clone()
                .with_tls(TlsOptions::default().with_insecure(true)),
        ),
        (
            "certificates",
            with.clone()
                .with_certificates(CertificateDirectories::at("/certificates")),
        ),
        (
            "resolve",
            with.clone().with_resolve("registry.example", address),
        ),
        (
            "proxy",
            with.clone().with_proxy(Some("http://proxy".to_owned())),
        ),
        (
            "connect_timeout",
            with.clone().with_connect_timeout(Duration::from_secs(1)),
        ),
        (
            "policy.max_headers",
            with.clone().with_policy(policy.with_max_headers(7)),
        ),
    ] {
        let error = RemoteRegistry::with_options(&registry, options).expect_err(option);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error.to_string().contains(&format!("option {option} ")),
            "{error}"
        );
    }
    RemoteRegistry::with_options(&registry, with).expect("no contradiction");
}
