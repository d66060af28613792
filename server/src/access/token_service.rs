//! Tokens of an external token service, which this server accepts as a resource server. See the
//! [token protocol](https://distribution.github.io/distribution/spec/auth/jwt/).

use std::path::PathBuf;

use serde::Deserialize;
use tranship::{Error, ErrorKind, Result};
use url::Url;

use super::identity::{CredentialKind, Identity, PresentedToken};
use super::jwt::{self, Expected, TrustedKeys};
use super::public_url;
use super::scope::Scopes;
use crate::reload::ReloadedFiles;

/// A token service that says who may do what: its tokens list the rights of their bearers.
#[derive(Debug)]
pub struct TokenService {
    realm: Url,
    /// The only audience.
    audiences: [String; 1],
    issuer: String,
    keys: ReloadedFiles<TrustedKeys>,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
    #[serde(default)]
    jti: String,
    exp: u64,
    #[serde(default)]
    access: Option<Scopes>,
}

impl TokenService {
    /// Accepts the tokens of `issuer` for the audience `service`. Clients get them from the URL `realm`.
    ///
    /// `keys` is a file with the public keys of the issuer: a set of JSON Web Keys, or certificates as PEM, of which
    /// each is also a root for the chains in tokens. It is read again when it changes.
    ///
    /// # Errors
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if `realm` is not an `http` or `https` URL or has a user or a password, if `service` has a
    ///   quotation mark or a backslash, or if the file has no key that can be used.
    /// - The error of reading the file.
    pub async fn open(
        realm: &str,
        service: &str,
        issuer: &str,
        keys: impl Into<PathBuf>,
    ) -> Result<Self> {
        jwt::install_provider();
        let url = public_url::parse("the realm", realm)?;
        if !matches!(url.scheme(), "http" | "https") {
            let message = "the realm is not an http or https URL";
            return Err(Error::new(ErrorKind::InvalidInput, message).with_subject(realm));
        }
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        if !service.bytes().all(is_plain) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the name of the service cannot be sent to clients: it has a quotation mark, a \
                 backslash, or a character that is not in ASCII",
            ));
        }
        let decode = |contents: &[Vec<u8>]| TrustedKeys::decode(&contents.concat());
        Ok(Self {
            realm: url,
            audiences: [service.to_owned()],
            issuer: issuer.to_owned(),
            keys: ReloadedFiles::open(vec![keys.into()], decode).await?,
        })
    }

    pub(super) fn realm(&self) -> &str {
        self.realm.as_str()
    }

    pub(super) fn service(&self) -> &str {
        &self.audiences[0]
    }

    /// Identifies the bearer of `token`, if it is valid.
    pub(super) async fn identify(&self, token: &str) -> Option<Identity> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let key = self.keys.current().await.find(&header)?;
        let expected = Expected {
            issuer: &self.issuer,
            audiences: &self.audiences,
        };
        let claims: Claims = jwt::verify(token, &key, expected)?;
        let identity = if claims.sub.is_empty() {
            Identity::anonymous()
        } else {
            Identity::of_foreign_user(&claims.sub)
        };
        let token = PresentedToken {
            id: claims.jti,
            scopes: claims.access.unwrap_or_default(),
            is_authority: true,
        };
        Some(
            identity
                .with_token(token)
                .with_credential(CredentialKind::ExternalToken)
                .with_expiry(jwt::time(claims.exp)),
        )
    }
}
