//! Connections over TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tranship::ErrorKind;
use tranship_memory::MemoryRegistry;
use tranship_server::{Server, ServerOptions, Tls, router};

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

async fn ping(address: SocketAddr, trusted: &CertificateDer<'static>) -> std::io::Result<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TcpStream::connect(address).await?;
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    let request = head("GET", "/v2/", &[("Connection", "close")]) + "\r\n";
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
