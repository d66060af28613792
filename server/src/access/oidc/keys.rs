//! The keys of an issuer, from its discovery document.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::Header;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tranship::{Error, ErrorKind, Result};

use super::{FetchDocument, is_secure};
use crate::access::jwt::{PublicKey, TrustedKeys};

/// How long keys are used before they are fetched again.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How long keys are used if they cannot be fetched again.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest time between two attempts to fetch keys, so that tokens with unknown keys cannot cause more.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// The largest document that is decoded, in bytes.
const MAX_DOCUMENT_SIZE: usize = 1024 * 1024;

#[derive(Debug)]
pub(super) struct IssuerKeys {
    issuer: String,
    fetch: Arc<dyn FetchDocument>,
    cached: Mutex<CachedKeys>,
    /// Lets one caller fetch at a time; the others wait for its result.
    fetching: Semaphore,
}

#[derive(Debug, Default)]
struct CachedKeys {
    keys: Arc<TrustedKeys>,
    fetched: Option<Instant>,
    attempted: Option<Instant>,
}

/// The parts of the discovery document that are needed.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl IssuerKeys {
    pub(super) fn new(issuer: &str, fetch: Arc<dyn FetchDocument>) -> Self {
        Self {
            issuer: issuer.to_owned(),
            fetch,
            cached: Mutex::default(),
            fetching: Semaphore::new(1),
        }
    }

    /// Returns the key that the header of a token refers to. Keys are fetched if they are old or the key is unknown.
    pub(super) async fn find(&self, header: &Header) -> Option<PublicKey> {
        if let Some(key) = self.find_younger(header, REFRESH_INTERVAL) {
            return Some(key);
        }
        {
            // The semaphore is never closed.
            let _permit = self.fetching.acquire().await.ok()?;
            if let Some(key) = self.find_younger(header, REFRESH_INTERVAL) {
                return Some(key);
            }
            if self.begin_attempt() {
                match self.fetch().await {
                    Ok(keys) => {
                        let mut cached = self.lock();
                        cached.keys = Arc::new(keys);
                        cached.fetched = Some(Instant::now());
                    }
                    Err(error) => {
                        tracing::warn!(issuer = self.issuer, %error, "keys were not fetched");
                    }
                }
            }
        }
        self.find_younger(header, MAX_AGE)
    }

    fn find_younger(&self, header: &Header, age: Duration) -> Option<PublicKey> {
        let cached = self.lock();
        let fetched = cached.fetched.filter(|fetched| fetched.elapsed() < age);
        fetched.and_then(|_| cached.keys.find(header))
    }

    /// Returns whether keys may be fetched now, and notes the attempt.
    fn begin_attempt(&self) -> bool {
        let mut cached = self.lock();
        let last = cached.attempted;
        if last.is_some_and(|last| last.elapsed() < RETRY_INTERVAL) {
            return false;
        }
        cached.attempted = Some(Instant::now());
        true
    }

    async fn fetch(&self) -> Result<TrustedKeys> {
        let issuer = self.issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let discovery = self.fetch_bounded(&url).await?;
        let discovery: Discovery = serde_json::from_slice(&discovery)
            .map_err(|error| invalid("the discovery document is malformed").with_source(error))?;
        if discovery.issuer != self.issuer {
            return Err(invalid("the discovery document is of another issuer"));
        }
        if !discovery.jwks_uri.parse().is_ok_and(|url| is_secure(&url)) {
            return Err(invalid("the keys of the issuer are not at an https URL"));
        }
        TrustedKeys::from_jwk_set(&self.fetch_bounded(&discovery.jwks_uri).await?)
    }

    async fn fetch_bounded(&self, url: &str) -> Result<bytes::Bytes> {
        let document = self.fetch.fetch(url).await?;
        if document.len() > MAX_DOCUMENT_SIZE {
            return Err(invalid("a document of the issuer is too large"));
        }
        Ok(document)
    }

    fn lock(&self) -> MutexGuard<'_, CachedKeys> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
