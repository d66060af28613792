//! The keys with which tokens of a token service are verified.

use std::collections::HashMap;

use jsonwebtoken::Header;
use jsonwebtoken::jwk::JwkSet;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use tranship::{Error, ErrorKind, Result};
use webpki::{anchor_from_trusted_cert, spki_for_anchor};

use super::certificates::verify_chain;
use super::public_key::PublicKey;

/// Trusted keys, by their ids, and root certificates of keys.
#[derive(Debug, Default)]
pub(in crate::access) struct TrustedKeys {
    by_id: HashMap<String, PublicKey>,
    roots: Vec<TrustAnchor<'static>>,
}

impl TrustedKeys {
    /// Decodes a file: a set of JSON Web Keys (RFC 7517), or certificates as PEM.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is neither, or has no key that can be used.
    pub(in crate::access) fn decode(content: &[u8]) -> Result<Self> {
        let keys = if content.trim_ascii_start().starts_with(b"{") {
            Self::from_jwk_set(content)?
        } else {
            Self::from_certificates(content)?
        };
        if keys.by_id.is_empty() {
            return Err(invalid("the file has no public key that can be used")
                .with_hint("keys of RSA, P-256, P-384 and Ed25519 can be used"));
        }
        Ok(keys)
    }

    /// Decodes a set of JSON Web Keys. Keys of unknown kinds are skipped.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is malformed.
    pub(in crate::access) fn from_jwk_set(content: &[u8]) -> Result<Self> {
        let set: JwkSet = serde_json::from_slice(content).map_err(|error| {
            invalid("the file is not a set of JSON Web Keys").with_source(error)
        })?;
        let mut keys = Self::default();
        keys.extend(set.keys.iter().filter_map(PublicKey::from_jwk));
        Ok(keys)
    }

    fn from_certificates(content: &[u8]) -> Result<Self> {
        let not_a_certificate =
            || invalid("the file is neither JSON Web Keys nor certificates as PEM");
        let mut keys = Self::default();
        for certificate in CertificateDer::pem_slice_iter(content) {
            let certificate = certificate.map_err(|_| not_a_certificate())?;
            let root = anchor_from_trusted_cert(&certificate)
                .map_err(|error| not_a_certificate().with_source(error))?;
            keys.extend(PublicKey::from_spki(&spki_for_anchor(&root)));
            keys.roots.push(root.to_owned());
        }
        Ok(keys)
    }

    fn extend(&mut self, keys: impl IntoIterator<Item = PublicKey>) {
        for key in keys {
            for id in key.ids() {
                self.by_id.entry(id.clone()).or_insert_with(|| key.clone());
            }
        }
    }

    /// Returns the key that the header of a token refers to, if it is trusted: by a chain of certificates, or by an id.
    /// A key that a header contains is not used itself, as anyone can have signed with it.
    pub(in crate::access) fn find(&self, header: &Header) -> Option<PublicKey> {
        let embedded = header.jwk.as_ref().map(|jwk| &jwk.common);
        let embedded_chain = embedded.and_then(|key| key.x509_chain.as_ref());
        let embedded_id = embedded.and_then(|key| key.key_id.as_ref());
        if let Some(chain) = header.x5c.as_ref().or(embedded_chain) {
            return verify_chain(chain, &self.roots);
        }
        let id = embedded_id.or(header.kid.as_ref())?;
        self.by_id.get(id).cloned()
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
