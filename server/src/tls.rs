//! Certificates for TLS.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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

fn decode(contents: &[Vec<u8>]) -> Result<Arc<ServerConfig>> {
    let invalid = |message: &'static str| Error::new(ErrorKind::InvalidInput, message);
    let [certificates, key] = contents else {
        return Err(invalid("a certificate and a key are needed"));
    };
    let certificates = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| invalid("the certificate is not PEM").with_source(error))?;
    if certificates.is_empty() {
        return Err(invalid("there is no certificate in the file"));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| invalid("the private key is not PEM").with_source(error))?;
    let mut config = ServerConfig::builder_with_provider(provider()?)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid("no version of TLS can be offered").with_source(error))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| {
            invalid("the private key is not the one of the certificate").with_source(error)
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
