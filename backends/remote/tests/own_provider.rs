//! A program that installs its own TLS provider. The provider belongs to the process, so this test has a process to itself.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{CipherSuite, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tranship_remote::{RemoteOptions, RemoteRegistry, TlsOptions};

/// Serves empty answers, and reports the cipher suite of each connection.
async fn server(config: ServerConfig) -> (SocketAddr, mpsc::UnboundedReceiver<CipherSuite>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let suite = stream.get_ref().1.negotiated_cipher_suite();
            let _ = sender.send(suite.expect("after the handshake").suite());
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let response = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            let _ = stream.write_all(response).await;
            let _ = stream.shutdown().await;
        }
    });
    (address, receiver)
}

#[tokio::test]
async fn the_provider_of_the_process_is_used() {
    // It has one cipher suite, which no default provider prefers.
    let suite = ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
    let own = CryptoProvider {
        cipher_suites: vec![suite],
        ..ring::default_provider()
    };
    own.install_default().expect("no other test installs one");

    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a key");
    let key = PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the suites of ring")
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key.into())
        .expect("the key of the certificate");
    let (address, mut suites) = server(config).await;

    let tls = TlsOptions::default().with_roots(signed.cert.pem());
    let name = address.to_string().parse().expect("a registry's name");
    let options = RemoteOptions::default().with_tls(tls);
    let registry = RemoteRegistry::with_options(&name, options).expect("a client");
    registry.ping().await.expect("a response");
    assert_eq!(suites.recv().await, Some(suite.suite()));
}
