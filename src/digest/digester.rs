//! Hashing: from bytes to a [`Digest`].

use std::fmt;

use sha2::Digest as _;

use super::algorithm::Algorithm;
use super::name::Digest;

/// Hashes a stream of bytes into a [`Digest`].
///
/// Hashing runs at more than a gigabyte per second on current processors, which is still long enough
/// to hold up an async task: hash large content on a blocking thread.
#[derive(Clone)]
pub struct Digester {
    state: State,
}

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl Digester {
    /// Starts an empty hash.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha384 => State::Sha384(sha2::Sha384::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        };
        Self { state }
    }

    /// Adds `bytes` to what is hashed.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(hasher) => hasher.update(bytes),
            State::Sha384(hasher) => hasher.update(bytes),
            State::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all that was added.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.state {
            State::Sha256(hasher) => Digest::from_hash(Algorithm::Sha256, &hasher.finalize()),
            State::Sha384(hasher) => Digest::from_hash(Algorithm::Sha384, &hasher.finalize()),
            State::Sha512(hasher) => Digest::from_hash(Algorithm::Sha512, &hasher.finalize()),
        }
    }
}

impl Algorithm {
    /// Returns the digest of `content` by this algorithm.
    #[must_use]
    pub fn digest(self, content: &[u8]) -> Digest {
        let mut digester = Digester::new(self);
        digester.update(content);
        digester.finish()
    }
}

impl Digest {
    /// Returns the sha256 digest of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Algorithm::Sha256.digest(content)
    }

    /// Returns whether `content` hashes to this digest.
    #[must_use]
    pub fn matches(&self, content: &[u8]) -> bool {
        self.algorithm().digest(content) == *self
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digester").finish_non_exhaustive()
    }
}
