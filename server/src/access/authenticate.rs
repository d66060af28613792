//! Identifying callers, each kind of credential by the part that knows it.

use std::sync::Arc;

use http::HeaderMap;
use tranship::{Error, ErrorKind, Result};

use super::credentials::Credentials;
use super::htpasswd::PasswordRefusal;
use super::identity::{CredentialKind, Login, LoginKind, PresentedToken, Rights, User};
use super::jwt;
use super::robots::{RobotAccount, RobotAccounts, is_secret};
use super::stamp::CredentialStamp;
use super::tokens::Purpose;
use super::{Access, Identity};
use crate::peer::Peer;

impl Access {
    /// Identifies the caller of a request with `headers`, from `peer`. A request without credentials is from the user of
    /// the peer's certificate, or else from an anonymous caller.
    ///
    /// Dropping the future is safe; a password check that has started finishes on its thread.
    ///
    /// # Errors
    /// - [`Unauthorized`](ErrorKind::Unauthorized) if the request has credentials that are not valid. Treating it as
    ///   anonymous would hide the mistake.
    /// - [`RateLimited`](ErrorKind::RateLimited) if too many passwords are being checked, or too many of `peer` were
    ///   wrong.
    pub async fn identify(&self, headers: &HeaderMap, peer: &Peer) -> Result<Identity> {
        match Credentials::of(headers) {
            Credentials::None => Ok(match &peer.user {
                Some(user) => named(user, LoginKind::Certificate, CredentialStamp::of(user)),
                None => Identity::anonymous(),
            }),
            Credentials::Basic { user, password } => self.log_in(&user, &password, peer).await,
            Credentials::Bearer(token) => {
                let identity = self.by_bearer_token(&token).await;
                identity.ok_or_else(|| unauthorized("the token is not valid"))
            }
            Credentials::Invalid => Err(unauthorized("the credentials are malformed")),
        }
    }

    /// Identifies a user by a password, as in a login form on `peer`. It may be the secret of a robot account or an
    /// OpenID Connect token.
    ///
    /// Dropping the future is safe; a password check that has started finishes on its thread.
    ///
    /// # Errors
    /// - [`Unauthorized`](ErrorKind::Unauthorized) if the user does not exist or the password is wrong.
    /// - [`RateLimited`](ErrorKind::RateLimited) if too many passwords are being checked, or too many of `peer` were
    ///   wrong.
    pub async fn log_in(&self, user: &str, password: &[u8], peer: &Peer) -> Result<Identity> {
        // What needs no guessing must not suffer from others who guess at the same address.
        if let Some(identity) = self.without_hashing(user, password).await {
            return Ok(identity);
        }
        if self.login_wait(peer).is_some() {
            let message = "too many wrong passwords; try again later";
            return Err(Error::new(ErrorKind::RateLimited, message));
        }
        let identity = self.by_password(user, password).await;
        if let Err(error) = &identity
            && error.kind() == ErrorKind::Unauthorized
        {
            self.count_failed_login(peer);
        }
        identity
    }

    /// Identifies a user by what can be verified without hashing: a password that was correct before, the secret of a
    /// robot account, or an OpenID Connect token.
    async fn without_hashing(&self, user: &str, password: &[u8]) -> Option<Identity> {
        if let Some(users) = self.users()
            && let Some(stamp) = users.recall(user, password).await
        {
            return Some(named(user, LoginKind::Password, stamp));
        }
        match self.generated(password)? {
            Generated::Secret(robots) => {
                let account = robots.check(user, password).await?;
                Some(robot(&account))
            }
            Generated::Token(token) => self.by_oidc_token(token).await,
        }
    }

    /// Returns what `password` is if it was generated, by its form.
    fn generated<'a>(&'a self, password: &'a [u8]) -> Option<Generated<'a>> {
        if is_secret(password) {
            return self.robots().map(Generated::Secret);
        }
        let token = std::str::from_utf8(password).ok()?;
        (self.has_oidc() && jwt::is_token(token)).then_some(Generated::Token(token))
    }

    async fn by_password(&self, user: &str, password: &[u8]) -> Result<Identity> {
        let wrong = || unauthorized("the user or the password is wrong");
        let users = self.users().ok_or_else(wrong)?;
        if self.generated(password).is_some() {
            return Err(wrong());
        }
        match users.check(user, password).await {
            Ok(stamp) => Ok(named(user, LoginKind::Password, stamp)),
            Err(PasswordRefusal::Wrong) => Err(wrong()),
            Err(PasswordRefusal::Busy) => Err(Error::new(
                ErrorKind::RateLimited,
                "too many passwords are being checked; try again",
            )),
        }
    }

    /// Returns whether `identity` is still valid: the user exists and has the credential that it was identified by.
    /// A session that outlives a request asks this before each use. Anonymous callers are always valid.
    pub async fn is_current(&self, identity: &Identity) -> bool {
        if identity.is_expired() {
            return false;
        }
        match identity.as_user() {
            Some(User {
                name,
                login: Some(login),
                ..
            }) => self.recognise(name, login).await.is_some(),
            _ => true,
        }
    }

    /// Returns the user that credentials name which are not valid, if there is such a user. The name may be a misplaced
    /// password otherwise, and must not be logged.
    pub(crate) async fn named_user(&self, headers: &HeaderMap) -> Option<String> {
        match Credentials::of(headers) {
            Credentials::Basic { user, .. } => self.known_user(&user).await,
            _ => None,
        }
    }

    /// Returns `name` if there is a user or a robot account with this name. The account may have expired.
    pub(crate) async fn known_user(&self, name: &str) -> Option<String> {
        let is_user = match self.users() {
            Some(users) => users.stamp(name).await.is_some(),
            None => false,
        };
        let is_robot = match self.robots() {
            Some(robots) => robots.have(name).await,
            None => false,
        };
        (is_user || is_robot).then(|| name.to_owned())
    }

    /// Identifies the user of a refresh token.
    ///
    /// # Errors
    /// [`Unauthorized`](ErrorKind::Unauthorized) if it is not valid.
    pub(crate) async fn refresh(&self, token: &str) -> Result<Identity> {
        let identity = self.by_own_token(Purpose::Refresh, token).await;
        let identity = identity.ok_or_else(|| unauthorized("the refresh token is not valid"))?;
        Ok(identity.without_token())
    }

    /// Identifies a caller by a token, if it is valid.
    async fn by_bearer_token(&self, token: &str) -> Option<Identity> {
        if let Some(identity) = self.by_own_token(Purpose::Access, token).await {
            return Some(identity);
        }
        if let Some(service) = self.token_service()
            && let Some(identity) = service.identify(token).await
        {
            return Some(identity);
        }
        self.by_oidc_token(token).await
    }

    /// Identifies a caller by a token of an OpenID Connect issuer, if it is valid.
    async fn by_oidc_token(&self, token: &str) -> Option<Identity> {
        let issuer = self.oidc(&jwt::claimed_issuer(token)?)?;
        issuer.identify(token).await
    }

    /// Identifies a caller by a token of this server, if it is valid.
    async fn by_own_token(&self, purpose: Purpose, token: &str) -> Option<Identity> {
        let claims = self.issuer()?.verify(purpose, token).await?;
        let identity = match claims.login {
            Some(login) => self.recognise(&claims.sub, &login).await?,
            None if claims.sub.is_empty() => Identity::anonymous(),
            None => Identity::of_foreign_user(&claims.sub),
        };
        let user = identity.as_user();
        let token = PresentedToken {
            id: claims.jti,
            scopes: claims.access,
            is_authority: user.is_some_and(|user| user.login.is_none()),
        };
        let identity = identity.with_token(token);
        Some(identity.with_credential(CredentialKind::Token))
    }

    /// Returns the user `name`, if `login`, from an earlier request, is still the user's credential.
    async fn recognise(&self, name: &str, login: &Login) -> Option<Identity> {
        match login.kind {
            LoginKind::Password => {
                let stamp = self.users()?.stamp(name).await?;
                (stamp == login.stamp).then(|| named(name, login.kind, stamp))
            }
            // The certificate is not known here. A token that was issued for it is valid for minutes.
            LoginKind::Certificate => Some(named(name, login.kind, login.stamp.clone())),
            LoginKind::Robot => {
                let account = self.robots()?.find(name).await?;
                (account.stamp() == login.stamp).then(|| robot(&account))
            }
        }
    }
}

/// A password that was generated, and so is not in the password file.
enum Generated<'a> {
    /// The secret of one of these accounts.
    Secret(&'a RobotAccounts),
    Token(&'a str),
}

/// Returns the identity of a user whose rights are those of the name.
fn named(name: &str, kind: LoginKind, stamp: CredentialStamp) -> Identity {
    Identity::of_user(User {
        name: name.into(),
        login: Some(Login { kind, stamp }),
        rights: Rights::OfName,
    })
}

fn robot(account: &RobotAccount) -> Identity {
    Identity::of_user(User {
        name: account.name.as_str().into(),
        login: Some(Login {
            kind: LoginKind::Robot,
            stamp: account.stamp(),
        }),
        rights: Rights::Listed(Arc::clone(&account.grants)),
    })
    .with_expiry(account.expires)
}

fn unauthorized(message: &'static str) -> Error {
    Error::new(ErrorKind::Unauthorized, message)
}
