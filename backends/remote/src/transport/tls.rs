//! The configuration of TLS: trusted certificates, and the certificate of the client.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tranship::{Error, ErrorKind, Result};

use crate::tls_options::TlsOptions;

/// Returns a configuration for HTTP/1.1. Add other protocols to `alpn_protocols`.
///
/// # Errors
/// - `InvalidInput` where the options hold something other than certificates and a key in PEM.
/// - `Unsupported` if the process has no TLS provider.
pub(super) fn config(options: &TlsOptions) -> Result<ClientConfig> {
    let provider = provider()?;
    let verifier: Arc<dyn ServerCertVerifier> = if options.insecure {
        Arc::new(AnyCertificate(Arc::clone(&provider)))
    } else {
        Arc::new(TrustedCertificates::new(
            &options.roots,
            Arc::clone(&provider),
        )?)
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("TLS cannot be spoken").with_source(error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &options.identity {
        Some(pem) => {
            let unreadable = "the client's certificate and its private key cannot be read as PEM";
            let chain = certificates(pem).ok_or_else(|| unusable(unreadable))?;
            // Its error may quote the key.
            let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| unusable(unreadable))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                unusable("the client's certificate and its private key do not fit together")
                    .with_source(error)
            })?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
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
            "enable the feature rustls-ring or rustls-aws-lc of tranship-remote, or call \
             rustls::crypto::CryptoProvider::install_default first",
        ),
    )
}

/// Returns the certificates in `pem`, and `None` if there are none, or one cannot be read.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .ok()?;
    (!found.is_empty()).then_some(found)
}

fn unusable(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

/// TrustedCertificatess the authorities of the system and those of the options.
///
/// A certificate in the options is also trusted as the registry's own, even if it is marked as that of an authority, which
/// rustls refuses. `openssl req -x509`, which guides recommend, creates only such certificates.
#[derive(Debug)]
struct TrustedCertificates {
    own: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
    /// Loaded when first needed, because clients in clear text do not need them.
    authorities: OnceLock<Result<Verifier, rustls::Error>>,
}

impl TrustedCertificates {
    fn new(roots: &[Vec<u8>], provider: Arc<CryptoProvider>) -> Result<Self> {
        let mut own = Vec::new();
        for pem in roots {
            let found = certificates(pem).ok_or_else(|| {
                unusable("the trusted authorities hold no certificate in PEM, or a broken one")
            })?;
            own.extend(found);
        }
        let trust = Self {
            own,
            provider,
            authorities: OnceLock::new(),
        };
        if !trust.own.is_empty() {
            trust.authorities().map_err(|error| {
                unusable("a trusted authority's certificate cannot be used").with_source(error)
            })?;
        }
        Ok(trust)
    }

    fn authorities(&self) -> Result<&Verifier, rustls::Error> {
        let made = self.authorities.get_or_init(|| {
            let own = self.own.iter().cloned();
            Verifier::new_with_extra_roots(own, Arc::clone(&self.provider))
        });
        made.as_ref().map_err(Clone::clone)
    }
}

impl ServerCertVerifier for TrustedCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.authorities()?.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // rustls checks the purpose of a certificate after its validity period, and before its name.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_)))
                if self.own.contains(end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities()?
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities()?
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        supported(&self.provider)
    }
}

/// Accepts any certificate.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        supported(&self.0)
    }
}

fn supported(provider: &CryptoProvider) -> Vec<SignatureScheme> {
    provider
        .signature_verification_algorithms
        .supported_schemes()
}

#[cfg(all(test, any(feature = "rustls-ring", feature = "rustls-aws-lc")))]
mod tests {
    use rustls::NamedGroup;

    use super::*;

    #[test]
    fn aws_lc_takes_precedence_over_ring() {
        let provider = provider().expect("a feature of TLS is enabled");
        let has_post_quantum = provider
            .kx_groups
            .iter()
            .any(|group| group.name() == NamedGroup::X25519MLKEM768);
        assert_eq!(has_post_quantum, cfg!(feature = "rustls-aws-lc"));
    }
}
