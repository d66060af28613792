//! The tokens that the server issues: JSON Web Tokens (RFC 7519), signed with a secret key.
//!
//! A token names its user and the stamp of the user's credential, and lists what the client has asked for. Both are
//! checked again at each use, so that a token does not outlive the rights of its user.

mod key;
mod options;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use tranship::{Error, Result};

use super::identity::{Login, User};
use super::jwt;
use super::scope::Scopes;
use crate::random::random_id;
pub use key::TokenKey;
pub use options::TokenOptions;

/// The audience of tokens if the URL of the server is not configured.
const DEFAULT_SERVICE: &str = "tranship";

/// Issues tokens and recognises them.
#[derive(Debug)]
pub(super) struct TokenIssuer {
    key: TokenKey,
    options: TokenOptions,
    service: String,
}

/// What a token is for. An access token cannot be used as a refresh token, nor the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Access,
    Refresh,
}

/// The claims of a token.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    /// The name of the user, or nothing in a token for anonymous callers.
    pub(super) sub: String,
    iat: u64,
    nbf: u64,
    exp: u64,
    pub(super) jti: String,
    #[serde(default)]
    pub(super) access: Scopes,
    /// The credential of the user. None in a token for anonymous callers, and for a user that this server does not
    /// know, in exchange for another token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) login: Option<Login>,
}

/// A token that has just been issued.
#[derive(Debug)]
pub(crate) struct IssuedToken {
    /// Its id, which is not secret.
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) issued: SystemTime,
    pub(crate) lifetime: Duration,
}

impl TokenIssuer {
    pub(super) fn new(key: TokenKey, options: TokenOptions) -> Self {
        jwt::install_provider();
        let host = options.public_url.as_ref().and_then(|url| url.host_str());
        let service = host.unwrap_or(DEFAULT_SERVICE).to_owned();
        Self {
            key,
            options,
            service,
        }
    }

    pub(super) fn options(&self) -> &TokenOptions {
        &self.options
    }

    /// Returns the name of the service that clients send to the token endpoint.
    pub(super) fn service(&self) -> &str {
        &self.service
    }

    /// Returns whether refresh tokens are issued. A key that ends with the process would make them useless.
    pub(super) fn issues_refresh_tokens(&self) -> bool {
        self.key.is_lasting()
    }

    /// Issues a token for `user`, or for anonymous callers, that expires at `expires` at the latest.
    ///
    /// # Errors
    /// [`Io`](tranship::ErrorKind::Io) if the system has no random numbers.
    pub(super) async fn issue(
        &self,
        purpose: Purpose,
        user: Option<&User>,
        access: Scopes,
        expires: Option<SystemTime>,
    ) -> Result<IssuedToken> {
        let issued = SystemTime::now();
        let now = issued.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = now.as_secs();
        let lifetime = match purpose {
            Purpose::Access => self.options.lifetime,
            Purpose::Refresh => self.options.refresh_lifetime,
        };
        let left = expires.map(|expires| expires.duration_since(issued).unwrap_or_default());
        let lifetime = left.map_or(lifetime, |left| left.min(lifetime));
        let claims = Claims {
            iss: self.service.clone(),
            aud: self.audience(purpose),
            sub: user.map_or_else(String::new, |user| user.name.to_string()),
            iat: now,
            nbf: now,
            exp: now.saturating_add(lifetime.as_secs()),
            jti: random_id()?,
            access,
            login: user.and_then(|user| user.login.clone()),
        };
        let keys = self.key.current().await;
        let header = Header::new(Algorithm::HS256);
        let text = jsonwebtoken::encode(&header, &claims, &keys.encoding)
            .map_err(|error| Error::unsupported("the token cannot be signed").with_source(error))?;
        Ok(IssuedToken {
            id: claims.jti,
            text,
            issued,
            lifetime,
        })
    }

    /// Returns the claims of `token` if this server, or one with the same key, has issued it for `purpose`, and it has
    /// not expired.
    pub(super) async fn verify(&self, purpose: Purpose, token: &str) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&self.service]);
        validation.set_audience(&[self.audience(purpose)]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        let keys = self.key.current().await;
        let decoded = jsonwebtoken::decode(token, &keys.decoding, &validation);
        decoded.ok().map(|token| token.claims)
    }

    fn audience(&self, purpose: Purpose) -> String {
        match purpose {
            Purpose::Access => self.service.clone(),
            Purpose::Refresh => format!("{}/refresh", self.service),
        }
    }
}
