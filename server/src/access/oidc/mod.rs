//! OpenID Connect: tokens of systems such as CI services, which say who runs a job.

mod keys;
mod rule;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Map, Value};
use tranship::{Error, ErrorKind, Result};
use url::{Host, Url};

use super::grants::Grant;
use super::identity::{CredentialKind, Identity, Rights, User};
use super::jwt::{self, Expected};
use super::public_url;
use keys::IssuerKeys;
pub use rule::OidcRule;

/// Fetches documents of an issuer, since the server does not have an HTTP client.
pub trait FetchDocument: std::fmt::Debug + Send + Sync {
    /// Fetches the document at `url`, which uses HTTPS or is on this machine.
    ///
    /// An implementation limits the time and the size, and follows no redirects. Dropping the future ends the request.
    ///
    /// # Errors
    /// Any error; keys that have been fetched before stay in use for a day.
    fn fetch<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Bytes>>;
}

/// An issuer of OpenID Connect tokens, and what their bearers may do.
///
/// A client sends such a token as a password, with any user name, or as a bearer token. The keys of the issuer are
/// fetched when the first token arrives, and again every hour.
#[derive(Debug)]
pub struct OidcIssuer {
    issuer: String,
    /// The only audience.
    audiences: [String; 1],
    rules: Vec<OidcRule>,
    keys: IssuerKeys,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl OidcIssuer {
    /// Accepts the tokens of `issuer`, a URL, for `audience`. They give no rights without a
    /// [rule](Self::with_rule).
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if `issuer` is not an `https` URL, or has a user or a password. An `http` URL is accepted for this
    /// machine, by an address such as `127.0.0.1` or as `localhost`.
    pub fn new(issuer: &str, audience: &str, fetch: Arc<dyn FetchDocument>) -> Result<Self> {
        jwt::install_provider();
        if !is_secure(&public_url::parse("the issuer", issuer)?) {
            let message = "the issuer is not an https URL";
            return Err(Error::new(ErrorKind::InvalidInput, message).with_subject(issuer));
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            audiences: [audience.to_owned()],
            rules: Vec::new(),
            keys: IssuerKeys::new(issuer, fetch),
        })
    }

    /// Adds a rule. The bearer of a token has the grants of all rules that match it.
    #[must_use]
    pub fn with_rule(mut self, rule: OidcRule) -> Self {
        self.rules.push(rule);
        self
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Identifies the bearer of `token`, if it is valid and a rule matches it.
    pub(super) async fn identify(&self, token: &str) -> Option<Identity> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let key = self.keys.find(&header).await?;
        let expected = Expected {
            issuer: &self.issuer,
            audiences: &self.audiences,
        };
        let mut claims: Claims = jwt::verify(token, &key, expected)?;
        let expires = jwt::time(claims.exp);
        let name = claims.sub.clone();
        claims.others.insert("sub".to_owned(), claims.sub.into());
        let matching = self
            .rules
            .iter()
            .filter(|rule| rule.matches(&claims.others));
        let grants: Arc<[Grant]> = matching.flat_map(OidcRule::grants).cloned().collect();
        if grants.is_empty() {
            tracing::info!(
                issuer = self.issuer,
                subject = name,
                "no rule matches the token"
            );
            return None;
        }
        let user = User {
            name: name.into(),
            login: None,
            rights: Rights::Listed(grants),
        };
        let identity = Identity::of_user(user).with_credential(CredentialKind::Oidc);
        Some(identity.with_expiry(expires))
    }
}

/// Returns whether keys may be fetched from `url`.
fn is_secure(url: &Url) -> bool {
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && is_local))
}
