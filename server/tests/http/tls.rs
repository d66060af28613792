//! Connections over TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tranship::ErrorKind;
use tranship_memory::MemoryRegistry;
use tranship_server::{Access, Permission, Server, ServerOptions, Tls, router};

use crate::client::head;

/// Writes a new certificate and its key.
fn write_certificate(directory: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).expect("written");
    made.cert.der().clone()
}

async fn open(directory: &TempDir) -> tranship::Result<Tls> {
    let path = directory.path();
    Tls::open(path.join("cert.pem"), path.join("key.pem")).await
}

type ClientIdentity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

async fn ping(address: SocketAddr, trusted: &CertificateDer<'static>) -> std::io::Result<Vec<u8>> {
    exchange(address, trusted, None, "/v2/").await
}

async fn exchange(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    identity: Option<ClientIdentity>,
    target: &str,
) -> std::io::Result<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some((chain, key)) => config
            .with_client_auth_cert(chain, key)
            .expect("an identity"),
    };
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TcpStream::connect(address).await?;
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    let request = head("GET", target, &[("Connection", "close")]) + "\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = write_certificate(directory.path());
    let tls = open(&directory).await.expect("TLS");
    let service = router(Arc::new(MemoryRegistry::new()), ServerOptions::default());
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0), service)
        .await
        .expect("bound")
        .with_tls(tls);
    let address = server.address().expect("an address");
    let _running = tokio::spawn(server.run(std::future::pending()));
    let answer = ping(address, &first).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"));

    let second = write_certificate(directory.path());
    // The server looks at the files now and then.
    while ping(address, &second).await.is_err() {
        tokio::task::yield_now().await;
    }
    ping(address, &first)
        .await
        .expect_err("another certificate");
}

#[tokio::test]
async fn an_invalid_certificate_is_refused_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    assert!(open(&directory).await.expect_err("missing").is_not_found());
    write_certificate(directory.path());
    let key = std::fs::read(directory.path().join("key.pem")).expect("a key");
    write_certificate(directory.path());
    std::fs::write(directory.path().join("key.pem"), key).expect("written");
    let error = open(&directory).await.expect_err("another key");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    for content in ["", "nonsense", "-----BEGIN CERTIFICATE-----\n%%%\n"] {
        std::fs::write(directory.path().join("cert.pem"), content).expect("written");
        let error = open(&directory).await.expect_err(content);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("cert.pem"), "{error}");
    }
}

/// A request of a client with a certificate for the common name `user`, which `authority` has signed.
async fn ping_as(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    authority: &Issuer<'_, KeyPair>,
    user: &str,
) -> std::io::Result<Vec<u8>> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, user);
    let key = KeyPair::generate().expect("a key");
    let certificate = parameters.signed_by(&key, authority).expect("signed");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let identity = Some((vec![certificate.der().clone()], key));
    exchange(address, trusted, identity, "/v2/team/app/tags/list").await
}

#[tokio::test]
async fn a_client_certificate_names_its_user() {
    let directory = tempfile::tempdir().expect("a directory");
    let trusted = write_certificate(directory.path());
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let root = parameters.self_signed(&key).expect("signed");
    let authority = Issuer::new(parameters, key);
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("clients.pem"), root.pem()).expect("written");
    let clients = path("clients.pem");
    let tls = Tls::open_with_clients(path("cert.pem"), path("key.pem"), &clients).await;

    let team = "team/**".parse().expect("a pattern");
    let access = Access::default().with_grant("ann", team, Permission::Read);
    let options = ServerOptions::default().with_access(access);
    let service = router(Arc::new(MemoryRegistry::new()), options);
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0), service)
        .await
        .expect("bound")
        .with_tls(tls.expect("TLS"));
    let address = server.address().expect("an address");
    let _running = tokio::spawn(server.run(std::future::pending()));
    // The repository does not exist, which only `ann` learns.
    for (user, status) in [("ann", "404"), ("bob", "403")] {
        let reply = ping_as(address, &trusted, &authority, user).await;
        let reply = reply.expect("an answer");
        let expected = format!("HTTP/1.1 {status}");
        assert!(reply.starts_with(expected.as_bytes()), "{user}");
    }
    let reply = ping(address, &trusted).await.expect("an answer");
    assert!(reply.starts_with(b"HTTP/1.1 401"));
    let other = Issuer::new(
        CertificateParams::default(),
        KeyPair::generate().expect("a key"),
    );
    let refused = ping_as(address, &trusted, &other, "ann").await;
    assert!(!refused.is_ok_and(|reply| reply.starts_with(b"HTTP/1.1")));

    std::fs::write(&clients, "").expect("written");
    let error = Tls::open_with_clients(path("cert.pem"), path("key.pem"), clients).await;
    assert_eq!(
        error.expect_err("no authority").kind(),
        ErrorKind::InvalidInput
    );
}
