//! Whom a client takes for its registry, and whom a registry takes for its client.

use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use tranship::{ErrorKind, Result};
use tranship_remote::{
    CertificateDirectories, RemoteOptions, RemoteRegistry, RetryPolicy, TlsOptions,
};

use super::fake::{Fake, Reply, SECURE_NAME, name, server_config};

/// A certificate for `host`, its key, and what it was made of.
struct Certified {
    params: CertificateParams,
    key: KeyPair,
    certificate: Certificate,
}

impl Certified {
    fn by_itself(host: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = Self::params(host, change);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            params,
            key,
            certificate,
        }
    }

    /// As `openssl req -x509` makes them.
    fn made_out_for_an_authority(host: &str) -> Self {
        Self::by_itself(host, be_an_authority)
    }

    fn by_an_authority(host: &str, authority: &Self) -> Self {
        let (params, key) = Self::params(host, |_| {});
        let issuer = Issuer::from_params(&authority.params, &authority.key);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        Self {
            params,
            key,
            certificate,
        }
    }

    fn params(
        host: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (CertificateParams, KeyPair) {
        let mut params = CertificateParams::new([host.to_owned()]).expect("a name");
        change(&mut params);
        (params, KeyPair::generate().expect("a key"))
    }

    /// A registry that shows it, and wants one of `clients` in return.
    async fn serve(&self, clients: Option<&Self>) -> Fake {
        let builder = server_config();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                let root = clients.certificate.der().clone();
                roots.add(root).expect("an authority");
                let clients = WebPkiClientVerifier::builder_with_provider(
                    Arc::new(roots),
                    Arc::new(ring::default_provider()),
                )
                .build();
                builder.with_client_cert_verifier(clients.expect("a verifier"))
            }
        };
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let config = builder
            .with_single_cert(vec![self.certificate.der().clone()], key.into())
            .expect("a configuration");
        let answer = r#"{"name":"team/app","tags":["v1"]}"#;
        Fake::start_over_tls(config, move |_| Reply::new(200).body(answer)).await
    }

    fn trusted(&self) -> TlsOptions {
        TlsOptions::default().with_roots(self.certificate.pem())
    }
}

fn be_an_authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

/// Asks `registry` for something.
async fn ask(registry: &Fake, tls: TlsOptions) -> Result<()> {
    ask_with(registry, RemoteOptions::default().with_tls(tls)).await
}

async fn ask_with(registry: &Fake, options: RemoteOptions) -> Result<()> {
    let options = options
        .with_retry(RetryPolicy::default().with_max_retries(0))
        .with_resolve(SECURE_NAME, registry.host().parse().expect("an address"));
    let host = format!("{SECURE_NAME}:{}", registry.port());
    let client = RemoteRegistry::with_options(&host.parse().expect("a name"), options)?;
    tranship::tags(&client.open(&name())).await.map(drop)
}

async fn is_not_accepted(registry: &Fake, tls: TlsOptions) {
    let error = ask(registry, tls).await.expect_err("not accepted");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let text = error.to_string();
    assert!(text.contains("certificate is not accepted: it "), "{text}");
    // No name of a Rust type.
    assert!(!text.contains('(') && !text.contains("Issuer"), "{text}");
    registry.was_not_asked();
}

#[tokio::test]
async fn a_trusted_authority_certifies_registries() {
    let authority = Certified::made_out_for_an_authority("authority.example.com");
    let registry = Certified::by_an_authority(SECURE_NAME, &authority);
    let serving = registry.serve(None).await;
    let error = ask(&serving, TlsOptions::default()).await;
    let text = error.expect_err("not accepted").to_string();
    assert!(text.contains("no authority that is trusted here"), "{text}");
    ask(&serving, authority.trusted()).await.expect("accepted");
}

#[tokio::test]
async fn a_trusted_certificate_may_be_that_of_the_registry() {
    let plain = Certified::by_itself(SECURE_NAME, |_| {});
    let authority = Certified::made_out_for_an_authority(SECURE_NAME);
    for registry in [plain, authority] {
        let serving = registry.serve(None).await;
        let error = ask(&serving, TlsOptions::default()).await;
        let hint = error.expect_err("not accepted").hint().map(str::to_owned);
        assert!(hint.expect("a hint").contains("--ca-file"));
        ask(&serving, registry.trusted()).await.expect("accepted");
    }
}

#[tokio::test]
async fn a_trusted_certificate_is_limited_to_its_name_and_time() {
    let elsewhere = Certified::made_out_for_an_authority("elsewhere.example.com");
    let expired = Certified::by_itself(SECURE_NAME, |params| {
        be_an_authority(params);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    for registry in [elsewhere, expired] {
        is_not_accepted(&registry.serve(None).await, registry.trusted()).await;
    }
}

#[tokio::test]
async fn a_certificate_like_a_trusted_one_is_not_accepted() {
    let trusted = Certified::made_out_for_an_authority(SECURE_NAME);
    let other = Certified::made_out_for_an_authority(SECURE_NAME);
    is_not_accepted(&other.serve(None).await, trusted.trusted()).await;
}

#[tokio::test]
async fn insecure_options_accept_any_certificate() {
    let expired = Certified::by_itself("elsewhere.example.com", |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let serving = expired.serve(None).await;
    let insecure = TlsOptions::default().with_insecure(true);
    ask(&serving, insecure).await.expect("accepted");
}

#[tokio::test]
async fn a_client_certificate_is_sent_to_a_registry_that_requires_one() {
    let registry = Certified::by_itself(SECURE_NAME, |_| {});
    let authority = Certified::made_out_for_an_authority("clients.example.com");
    let client = Certified::by_an_authority("client.example.com", &authority);
    let serving = registry.serve(Some(&authority)).await;

    let error = ask(&serving, registry.trusted()).await;
    assert_eq!(
        error.expect_err("not let in").kind(),
        ErrorKind::Unavailable
    );
    serving.was_not_asked();

    let pem = client.certificate.pem();
    let identity = registry
        .trusted()
        .with_identity(pem.as_bytes(), client.key.serialize_pem().as_bytes());
    ask(&serving, identity).await.expect("let in");

    let another = KeyPair::generate().expect("a key").serialize_pem();
    let mixed_up = registry
        .trusted()
        .with_identity(pem.as_bytes(), another.as_bytes());
    let error = ask(&serving, mixed_up).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
}

#[tokio::test]
async fn certificates_that_docker_keeps_for_a_registry_are_used() {
    let registry = Certified::made_out_for_an_authority(SECURE_NAME);
    let authority = Certified::made_out_for_an_authority("clients.example.com");
    let client = Certified::by_an_authority("client.example.com", &authority);
    let serving = registry.serve(Some(&authority)).await;

    let directory = tempfile::tempdir().expect("a directory");
    let own = directory
        .path()
        .join(format!("{SECURE_NAME}:{}", serving.port()));
    std::fs::create_dir(&own).expect("created");
    for (name, content) in [
        ("ca.crt", registry.certificate.pem()),
        ("client.cert", client.certificate.pem()),
        ("client.key", client.key.serialize_pem()),
    ] {
        std::fs::write(own.join(name), content).expect("written");
    }
    let options =
        RemoteOptions::default().with_certificates(CertificateDirectories::at(directory.path()));
    ask_with(&serving, options).await.expect("let in");

    std::fs::write(own.join("ca.crt"), "nothing").expect("written");
    let options =
        RemoteOptions::default().with_certificates(CertificateDirectories::at(directory.path()));
    let error = ask_with(&serving, options).await.expect_err("broken");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    assert!(error.to_string().contains("ca.crt"), "{error}");
}
