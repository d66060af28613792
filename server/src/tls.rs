//! Certificates for TLS.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tranship::{Error, ErrorKind, Result};

use crate::reload::ReloadedFiles;

/// A certificate and its key, in files that are read again when they change. Connections that are open at that time
/// keep the old one.
#[derive(Debug)]
pub struct Tls(ReloadedFiles<Arc<ServerConfig>>);

impl Tls {
    /// Reads a chain of certificates, the server's own first, and its private key. Both are PEM.
    ///
    /// # Errors
    /// - [`Io`](ErrorKind::Io) and its like if a file cannot be read.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if a file is not PEM, or the key is not that of the
    ///   certificate.
    /// - [`Unsupported`](ErrorKind::Unsupported) if the process has no TLS provider: neither of the features
    ///   `rustls-ring` and `rustls-aws-lc` is enabled, and the program has not installed one with
    ///   `rustls::crypto::CryptoProvider::install_default`.
    pub async fn open(certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self> {
        let paths = vec![certificates.into(), key.into()];
        Ok(Self(ReloadedFiles::open(paths, decode).await?))
    }

    /// As [`open`](Self::open), and asks clients for a certificate of the authorities in the file `authorities`, as
    /// PEM. A client need not have one. One that has is the user that the certificate names: the common name of its
    /// subject, or else the first alternative name that is an email address, a host name or a URI.
    ///
    /// # Errors
    /// - As [`open`](Self::open).
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if `authorities` has no certificate of an authority.
    pub async fn open_with_clients(
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        authorities: impl Into<PathBuf>,
    ) -> Result<Self> {
        let paths = vec![certificates.into(), key.into(), authorities.into()];
        Ok(Self(ReloadedFiles::open(paths, decode).await?))
    }

    pub(crate) async fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&*self.0.current().await))
    }
}

/// Returns the provider of the process, or else that of the enabled feature.
fn provider() -> Result<Arc<CryptoProvider>> {
    if let Some(provider) = CryptoProvider::get_default() {
        return Ok(Arc::clone(provider));
    }
    #[cfg(feature = "rustls-aws-lc")]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "rustls-ring", not(feature = "rustls-aws-lc")))]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "rustls-ring", feature = "rustls-aws-lc")))]
    Err(
        Error::unsupported("this program has no TLS provider").with_hint(
            "enable the feature rustls-ring or rustls-aws-lc of tranship-server, or call \
             rustls::crypto::CryptoProvider::install_default first",
        ),
    )
}

fn decode_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let invalid = |message: &'static str| Error::new(ErrorKind::InvalidInput, message);
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| invalid("the certificate is not PEM").with_source(error))?;
    if certificates.is_empty() {
        return Err(invalid("there is no certificate in the file"));
    }
    Ok(certificates)
}

/// Returns what verifies the certificates of clients. Those without one are admitted too, and have to log in otherwise.
fn verifier(
    authorities: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>> {
    let message = "the authorities of client certificates cannot be used";
    let mut roots = RootCertStore::empty();
    for certificate in decode_certificates(authorities)? {
        roots
            .add(certificate)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, message).with_source(error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| Error::new(ErrorKind::InvalidInput, message).with_source(error))
}

fn decode(contents: &[Vec<u8>]) -> Result<Arc<ServerConfig>> {
    let invalid = |message: &'static str| Error::new(ErrorKind::InvalidInput, message);
    let [certificates, key, authorities @ ..] = contents else {
        return Err(invalid("a certificate and a key are needed"));
    };
    let certificates = decode_certificates(certificates)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| invalid("the private key is not PEM").with_source(error))?;
    let provider = provider()?;
    let verifier = match authorities.first() {
        Some(authorities) => verifier(authorities, Arc::clone(&provider))?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid("no version of TLS can be offered").with_source(error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, key)
        .map_err(|error| {
            invalid("the private key is not the one of the certificate").with_source(error)
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
