//! The certificates that the client trusts, and its own.

use std::fmt;

/// The certificates of both sides of a TLS connection, in PEM.
#[non_exhaustive]
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates of authorities that are trusted besides those of the system, and certificates of
    /// registries, each trusted for the names in it.
    pub roots: Vec<Vec<u8>>,
    /// The client's certificate chain and its private key, one after the other.
    pub identity: Option<Vec<u8>>,
    /// Whether any certificate is accepted. Any host on the path can then read and change everything that is
    /// sent, credentials included.
    pub insecure: bool,
}

impl TlsOptions {
    /// Trusts the authorities and registries whose certificates are in `pem`, too.
    #[must_use]
    pub fn with_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// Sets [`identity`](Self::identity) from a certificate chain and its private key.
    #[must_use]
    pub fn with_identity(mut self, certificates: &[u8], key: &[u8]) -> Self {
        self.identity = Some([certificates, b"\n", key].concat());
        self
    }

    /// Sets [`insecure`](Self::insecure).
    #[must_use]
    pub fn with_insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("roots", &self.roots.len())
            .field("identity", &self.identity.is_some())
            .field("insecure", &self.insecure)
            .finish()
    }
}
