//! Identified callers.

use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tranship::RepositoryName;

use super::grants::Grant;
use super::scope::{Action, Scopes};
use super::stamp::CredentialStamp;

/// A caller, as [`Access`](crate::Access) has identified it: a user, or an anonymous caller.
///
/// Cheap to clone. An identity says who the caller is, and not what the caller may do:
/// [`Access::allows`](crate::Access::allows) decides that at the time of each use.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    user: Option<User>,
    credential: Option<CredentialKind>,
    token: Option<Arc<PresentedToken>>,
    /// When the identity ends, if its credential says so.
    expires: Option<SystemTime>,
}

/// A kind of credential that callers are identified by.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// The password of a user.
    Password,
    /// The secret of a robot account.
    Robot,
    /// A certificate of the client.
    Certificate,
    /// A token of an OpenID Connect issuer.
    Oidc,
    /// A token of an external token service.
    ExternalToken,
    /// A token of this server.
    Token,
}

#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) name: Arc<str>,
    /// None if another party has identified the user.
    pub(super) login: Option<Login>,
    pub(super) rights: Rights,
}

/// The credential that a user has logged in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Login {
    pub(super) kind: LoginKind,
    pub(super) stamp: CredentialStamp,
}

/// The kinds of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LoginKind {
    /// A password of the password file.
    Password,
    /// The secret of a robot account.
    Robot,
    /// A certificate of the client.
    Certificate,
}

impl LoginKind {
    fn credential(self) -> CredentialKind {
        match self {
            Self::Password => CredentialKind::Password,
            Self::Robot => CredentialKind::Robot,
            Self::Certificate => CredentialKind::Certificate,
        }
    }
}

/// What a user may do.
#[derive(Debug, Clone)]
pub(super) enum Rights {
    /// What the grants of the server for the name of the user allow.
    OfName,
    /// These grants.
    Listed(Arc<[Grant]>),
    /// Only what the token of the user allows.
    OfToken,
}

/// The token that a caller was identified by.
#[derive(Debug)]
pub(super) struct PresentedToken {
    pub(super) id: String,
    /// The most that the caller may do with it.
    pub(super) scopes: Scopes,
    /// Whether its issuer decides what the caller may do, and not this server.
    pub(super) is_authority: bool,
}

impl Identity {
    /// Returns the identity of a caller without a login.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    pub(super) fn of_user(user: User) -> Self {
        Self {
            credential: user.login.as_ref().map(|login| login.kind.credential()),
            user: Some(user),
            ..Self::default()
        }
    }

    /// Returns the identity of a user whose rights are in a token.
    pub(super) fn of_foreign_user(name: &str) -> Self {
        Self::of_user(User {
            name: name.into(),
            login: None,
            rights: Rights::OfToken,
        })
    }

    /// Sets what the caller was identified by, if it is not the login of the user.
    pub(super) fn with_credential(mut self, kind: CredentialKind) -> Self {
        self.credential = Some(kind);
        self
    }

    pub(super) fn with_token(mut self, token: PresentedToken) -> Self {
        self.token = Some(Arc::new(token));
        self
    }

    /// Sets when the identity ends.
    pub(super) fn with_expiry(mut self, expires: Option<SystemTime>) -> Self {
        self.expires = expires;
        self
    }

    pub(super) fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expires
            .is_some_and(|expires| expires <= SystemTime::now())
    }

    /// Returns the identity of the same user, not limited by a token.
    pub(super) fn without_token(mut self) -> Self {
        self.token = None;
        self
    }

    /// Returns the name of the user, or `None` for an anonymous caller.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_ref().map(|user| &*user.name)
    }

    /// Returns what the caller was identified by; `None` for an anonymous caller without a token.
    #[must_use]
    pub fn credential(&self) -> Option<CredentialKind> {
        self.credential
    }

    /// Returns the credential of the user for which the token of the caller was issued, if it is a token of this server.
    pub(crate) fn login(&self) -> Option<CredentialKind> {
        let user = self.user.as_ref()?;
        if self.credential != Some(CredentialKind::Token) {
            return None;
        }
        let login = user.login.as_ref();
        // Only users that this server does not know itself have no login: those of OpenID Connect issuers.
        Some(login.map_or(CredentialKind::Oidc, |login| login.kind.credential()))
    }

    /// Returns the id of the token that the caller was identified by, if any, for logs: it is not secret.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.token.as_ref().map(|token| &*token.id)
    }

    pub(super) fn as_user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Returns the scopes of the caller's token if its issuer decides what the caller may do.
    pub(super) fn granted_scopes(&self) -> Option<&Scopes> {
        let token = self.token.as_ref()?;
        token.is_authority.then_some(&token.scopes)
    }

    /// Returns whether the token of the caller, if any, includes `action` on the repository `name`.
    pub(super) fn has_scope(&self, name: &RepositoryName, action: Action) -> bool {
        let token = self.token.as_ref();
        token.is_none_or(|token| token.scopes.allow(name, action))
    }

    /// Returns whether the token of the caller, if any, includes listing repositories.
    pub(super) fn has_catalog_scope(&self) -> bool {
        let token = self.token.as_ref();
        token.is_none_or(|token| token.scopes.allow_catalog())
    }
}
