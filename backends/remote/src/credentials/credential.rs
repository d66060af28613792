//! The credential of a user at a registry.

use std::fmt;

use super::secret::Secret;

/// A credential that a registry or its token server accepts.
///
/// `Debug` shows the user name and nothing else.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user name and a password, or a replacement for it such as a personal access token.
    Basic {
        /// The user name. It must not contain a colon, which separates it from the password.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An OAuth2 refresh token, which the token server exchanges for access tokens. Docker calls
    /// it an identity token.
    IdentityToken(Secret),
    /// An access token, which is sent to the registry unchanged. Podman and Docker call it a registry token.
    AccessToken(Secret),
}

impl Credential {
    /// A user name and a password.
    pub fn basic(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::Basic {
            username: username.into(),
            password: password.into(),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { username, password } => f
                .debug_struct("Basic")
                .field("username", username)
                .field("password", password)
                .finish(),
            Self::IdentityToken(token) => f.debug_tuple("IdentityToken").field(token).finish(),
            Self::AccessToken(token) => f.debug_tuple("AccessToken").field(token).finish(),
        }
    }
}
