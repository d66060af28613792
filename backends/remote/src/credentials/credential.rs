//! The credential of a user at a registry.

use std::fmt;

use super::secret::Secret;

/// What a registry, or its token server, accepts as proof of who asks.
///
/// `Debug` shows the user name and nothing else.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user name and a password, or what stands in for one: a personal access token, say.
    Basic {
        /// The user name. One with a colon in it cannot be told from the password.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An OAuth2 refresh token, which the token server exchanges for access tokens. Docker calls
    /// it an identity token.
    IdentityToken(Secret),
    /// An access token, sent to the registry as it is. Podman and Docker call it a registry token.
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
