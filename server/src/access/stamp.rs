//! Stamps of stored credentials.

use serde::{Deserialize, Serialize};
use tranship::Digest;

/// How many characters of the digest are kept: 128 bits.
const LENGTH: usize = 32;

/// A stamp of a stored credential, such as the line of a user in the password file. It changes with the credential, so
/// whatever was issued for the old one can be told from what is issued for the new one. It does not reveal the
/// credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct CredentialStamp(String);

impl CredentialStamp {
    /// Returns the stamp of `stored`, which must itself be a hash that cannot be guessed.
    pub(crate) fn of(stored: &str) -> Self {
        let mut hex = Digest::of(stored.as_bytes()).hex();
        hex.truncate(LENGTH);
        Self(hex)
    }
}
