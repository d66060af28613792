//! The key that tokens are signed with.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use jsonwebtoken::{DecodingKey, EncodingKey};
use tranship::{Error, ErrorKind, Result};

use crate::random::random_bytes;
use crate::reload::ReloadedFiles;

/// The length of a key, in bytes; as RFC 7518, section 3.2, requires for HMAC with SHA-256.
const MIN_LENGTH: usize = 32;

/// The secret key with which a server signs the tokens that it issues, and recognises them. Clones are the same key.
#[derive(Clone)]
pub struct TokenKey(Source);

#[derive(Clone)]
enum Source {
    Generated(Arc<Keys>),
    File(Arc<ReloadedFiles<Keys>>),
}

pub(super) struct Keys {
    pub(super) encoding: EncodingKey,
    pub(super) decoding: DecodingKey,
}

impl TokenKey {
    /// Generates a key. Only this process recognises tokens that are signed with it.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if the system has no random numbers.
    pub fn generate() -> Result<Self> {
        let keys = Keys::new(&random_bytes::<MIN_LENGTH>()?)?;
        Ok(Self(Source::Generated(Arc::new(keys))))
    }

    /// Reads the key from the file at `path`: at least 32 bytes, such as the output of `openssl rand -base64 32`.
    /// White space at both ends is not part of it. Servers with the same key accept each other's tokens. The file is
    /// read again when it changes; tokens of the earlier key are then invalid.
    ///
    /// # Errors
    /// - The error of reading the file.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if the file has fewer than 32 bytes.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let decode = |contents: &[Vec<u8>]| Keys::new(contents.concat().trim_ascii());
        let file = ReloadedFiles::open(vec![path.into()], decode).await?;
        Ok(Self(Source::File(Arc::new(file))))
    }

    /// Returns whether the key remains after the end of the process.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(self.0, Source::File(_))
    }

    pub(super) async fn current(&self) -> Arc<Keys> {
        match &self.0 {
            Source::Generated(keys) => Arc::clone(keys),
            Source::File(file) => file.current().await,
        }
    }
}

impl Keys {
    fn new(secret: &[u8]) -> Result<Self> {
        let invalid = || {
            Error::new(
                ErrorKind::InvalidInput,
                format!("the token key has fewer than {MIN_LENGTH} bytes"),
            )
            .with_hint("generate one with `openssl rand -base64 32`")
        };
        if secret.len() < MIN_LENGTH {
            return Err(invalid());
        }
        Ok(Self {
            encoding: EncodingKey::from_secret(secret).map_err(|_| invalid())?,
            decoding: DecodingKey::from_secret(secret).map_err(|_| invalid())?,
        })
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(..)")
    }
}
