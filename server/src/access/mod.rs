//! Users, and what they may do.
//!
//! Two ideas are kept apart: to identify the caller of a request from what it carries (`credentials.rs`,
//! `htpasswd.rs`), and to decide what an identified caller may do (`grants.rs`).

mod caller;
mod challenge;
mod credentials;
mod grants;
mod htpasswd;
mod identity;
mod pattern;
mod scope;
mod stamp;
mod tokens;

use std::sync::Arc;

use http::HeaderMap;
use tranship::{Error, ErrorKind, RepositoryName, Result};

use credentials::Credentials;
use grants::Grants;
use htpasswd::PasswordRefusal;
use identity::PresentedToken;
use tokens::{Purpose, TokenIssuer};

pub(crate) use caller::{Caller, Required, not_identified};
pub(crate) use challenge::{TOKEN_PATH, basic as basic_challenge};
pub use grants::Permission;
pub use htpasswd::Htpasswd;
pub use identity::Identity;
pub use pattern::NamePattern;
pub(crate) use scope::{Action, Scopes};
pub(crate) use tokens::IssuedToken;
pub use tokens::{TokenKey, TokenOptions};

use crate::peer::Peer;

/// The users, and what they may do. Clones share everything, and are cheap.
///
/// Without grants every user may do everything. With grants a user may do what one of the user's grants for the
/// repository allows, and nothing else.
///
/// The service asks it about every request. Another service on the same server, such as a page, uses the same
/// decisions:
///
/// ```
/// use http::HeaderMap;
/// use tranship_server::{Access, Htpasswd, Peer, Permission};
///
/// # async fn example(headers: &HeaderMap) -> tranship::Result<()> {
/// let access = Access::new(Htpasswd::open("users").await?).with_anonymous_read("public/**".parse()?);
/// let caller = access.identify(headers, &Peer::default()).await?;
/// if access.allows(&caller, &"team/app".parse()?, Permission::Read) {
///     println!("{} may read", caller.user().unwrap_or("anyone"));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Access(Arc<Settings>);

#[derive(Debug, Clone)]
struct Settings {
    users: Arc<Htpasswd>,
    grants: Grants,
    issuer: Option<Arc<TokenIssuer>>,
}

impl Access {
    /// Admits the users in `users`, and no anonymous callers.
    #[must_use]
    pub fn new(users: Htpasswd) -> Self {
        Self(Arc::new(Settings {
            users: Arc::new(users),
            grants: Grants::default(),
            issuer: None,
        }))
    }

    /// Lets every caller read the repositories that `names` matches, also without a login. May be called several
    /// times.
    #[must_use]
    pub fn with_anonymous_read(mut self, names: NamePattern) -> Self {
        self.settings().grants.add_anonymous_read(names);
        self
    }

    /// Grants `user` a `permission` for the repositories that `names` matches.
    #[must_use]
    pub fn with_grant(
        mut self,
        user: impl Into<String>,
        names: NamePattern,
        permission: Permission,
    ) -> Self {
        self.settings().grants.add(user.into(), names, permission);
        self
    }

    /// Issues tokens, which are signed with `key`, at the path `/v2/auth/token`, and asks clients for them.
    ///
    /// Clients that pull without a login, such as docker, then get a token for anonymous callers. Without tokens they
    /// are asked for a password. Passwords stay valid everywhere.
    #[must_use]
    pub fn with_tokens(mut self, key: TokenKey, options: TokenOptions) -> Self {
        self.settings().issuer = Some(Arc::new(TokenIssuer::new(key, options)));
        self
    }

    /// Identifies the caller of a request with `headers`, from `peer`. A request without credentials has an anonymous
    /// caller.
    ///
    /// Dropping the future is safe; a password check that has started finishes on its thread.
    ///
    /// # Errors
    /// - [`Unauthorized`](ErrorKind::Unauthorized) if the request has credentials that are not valid. Treating it as
    ///   anonymous would hide the mistake.
    /// - [`RateLimited`](ErrorKind::RateLimited) if too many passwords are being checked.
    pub async fn identify(&self, headers: &HeaderMap, peer: &Peer) -> Result<Identity> {
        match Credentials::of(headers) {
            Credentials::None => Ok(Identity::anonymous()),
            Credentials::Basic { user, password } => self.log_in(&user, &password, peer).await,
            Credentials::Bearer(token) => match self.by_token(Purpose::Access, &token).await {
                Some(identity) => Ok(identity),
                None => Err(unauthorized("the token is not valid")),
            },
            Credentials::Invalid => Err(unauthorized("the credentials are malformed")),
        }
    }

    /// Identifies a user by a password, as in a login form on `peer`.
    ///
    /// Dropping the future is safe; a password check that has started finishes on its thread.
    ///
    /// # Errors
    /// - [`Unauthorized`](ErrorKind::Unauthorized) if the user does not exist or the password is wrong.
    /// - [`RateLimited`](ErrorKind::RateLimited) if too many passwords are being checked.
    pub async fn log_in(&self, user: &str, password: &[u8], _peer: &Peer) -> Result<Identity> {
        match self.0.users.check(user, password).await {
            Ok(stamp) => Ok(Identity::of_user(user, stamp)),
            Err(PasswordRefusal::Wrong) => Err(unauthorized("the user or the password is wrong")),
            Err(PasswordRefusal::Busy) => Err(Error::new(
                ErrorKind::RateLimited,
                "too many passwords are being checked; try again",
            )),
        }
    }

    /// Returns whether `identity` is still valid: the user exists and has the credential that it was identified by.
    /// A session that outlives a request asks this before each use. Anonymous callers are always valid.
    pub async fn is_current(&self, identity: &Identity) -> bool {
        match identity.as_user() {
            None => true,
            Some(user) => self.0.users.stamp(&user.name).await.as_ref() == Some(&user.stamp),
        }
    }

    /// Returns whether `identity` has the permission `wanted` for the repository `name`.
    #[must_use]
    pub fn allows(&self, identity: &Identity, name: &RepositoryName, wanted: Permission) -> bool {
        let mut actions = Action::ALL.into_iter();
        actions.all(|action| {
            action.permission() > wanted || self.allows_action(identity, name, action)
        })
    }

    /// Returns whether `identity` may do `action` with the repository `name`, by its grants and by its token.
    fn allows_action(&self, identity: &Identity, name: &RepositoryName, action: Action) -> bool {
        // What every caller may read needs no token.
        self.0.grants.allow_anonymous(name, action.permission())
            || (identity.has_scope(name, action) && self.grants_action(identity, name, action))
    }

    /// Returns whether the grants let `identity` do `action` with the repository `name`, whatever its token says.
    fn grants_action(&self, identity: &Identity, name: &RepositoryName, action: Action) -> bool {
        let (grants, wanted) = (&self.0.grants, action.permission());
        grants.allow_anonymous(name, wanted)
            || identity
                .user()
                .is_some_and(|user| grants.allow_user(user, name, wanted))
    }

    /// Issues a token to `identity`, with the part of the scopes `asked` that it may have.
    ///
    /// # Errors
    /// - [`Unsupported`](ErrorKind::Unsupported) if this server does not issue tokens.
    /// - [`Io`](ErrorKind::Io) if the system has no random numbers.
    pub(crate) async fn issue_token(
        &self,
        identity: &Identity,
        asked: &Scopes,
    ) -> Result<IssuedToken> {
        let may_list = identity.user().is_some() || self.has_anonymous_read();
        let allows = |name: &RepositoryName, action| self.allows_action(identity, name, action);
        let granted = asked.granted(allows, may_list);
        self.sign(Purpose::Access, identity, granted).await
    }

    /// Issues a refresh token to `identity`, or `None` if it would not be of any use: `identity` is not a user, or the
    /// key of this server ends with the process.
    ///
    /// # Errors
    /// As [`issue_token`](Self::issue_token).
    pub(crate) async fn issue_refresh_token(
        &self,
        identity: &Identity,
    ) -> Result<Option<IssuedToken>> {
        let is_lasting = self
            .issuer()
            .is_some_and(TokenIssuer::issues_refresh_tokens);
        if identity.user().is_none() || !is_lasting {
            return Ok(None);
        }
        let issued = self.sign(Purpose::Refresh, identity, Scopes::default());
        issued.await.map(Some)
    }

    async fn sign(
        &self,
        purpose: Purpose,
        identity: &Identity,
        scopes: Scopes,
    ) -> Result<IssuedToken> {
        let Some(issuer) = self.issuer() else {
            return Err(Error::unsupported("this server does not issue tokens"));
        };
        let user = identity.as_user().map(|user| (&*user.name, &user.stamp));
        issuer.issue(purpose, user, scopes).await
    }

    /// Identifies the user of a refresh token.
    ///
    /// # Errors
    /// [`Unauthorized`](ErrorKind::Unauthorized) if it is not valid.
    pub(crate) async fn refresh(&self, token: &str) -> Result<Identity> {
        let identity = self.by_token(Purpose::Refresh, token).await;
        let identity = identity.ok_or_else(|| unauthorized("the refresh token is not valid"))?;
        Ok(identity.without_token())
    }

    /// Identifies a caller by a token of this server, if it is valid.
    async fn by_token(&self, purpose: Purpose, token: &str) -> Option<Identity> {
        let claims = self.issuer()?.verify(purpose, token).await?;
        let identity = match claims.stamp {
            None => Identity::anonymous(),
            Some(stamp) => Identity::of_user(&claims.sub, stamp),
        };
        if !self.is_current(&identity).await {
            return None;
        }
        Some(identity.with_token(PresentedToken {
            id: claims.jti,
            scopes: claims.access,
        }))
    }

    fn has_anonymous_read(&self) -> bool {
        self.0.grants.have_anonymous_read()
    }

    fn issuer(&self) -> Option<&TokenIssuer> {
        self.0.issuer.as_deref()
    }

    /// Returns whether this server issues tokens.
    pub(crate) fn issues_tokens(&self) -> bool {
        self.issuer().is_some()
    }

    fn settings(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.0)
    }
}

fn unauthorized(message: &'static str) -> Error {
    Error::new(ErrorKind::Unauthorized, message)
}
