//! Users, and what they may do.
//!
//! Two ideas are kept apart: to identify the caller of a request from what it carries (`credentials.rs`,
//! `htpasswd.rs`), and to decide what an identified caller may do (`grants.rs`).

mod caller;
mod credentials;
mod grants;
mod htpasswd;
mod identity;
mod pattern;
mod stamp;

use std::sync::Arc;

use http::HeaderMap;
use tranship::{Error, ErrorKind, RepositoryName, Result};

use credentials::Credentials;
use grants::Grants;
use htpasswd::PasswordRefusal;

pub(crate) use caller::Caller;
pub use grants::Permission;
pub use htpasswd::Htpasswd;
pub use identity::Identity;
pub use pattern::NamePattern;

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
}

impl Access {
    /// Admits the users in `users`, and no anonymous callers.
    #[must_use]
    pub fn new(users: Htpasswd) -> Self {
        Self(Arc::new(Settings {
            users: Arc::new(users),
            grants: Grants::default(),
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
            Ok(stamp) => Ok(Identity::new(user, stamp)),
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
        let grants = &self.0.grants;
        grants.allow_anonymous(name, wanted)
            || identity
                .user()
                .is_some_and(|user| grants.allow_user(user, name, wanted))
    }

    fn grants(&self) -> &Grants {
        &self.0.grants
    }

    fn settings(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.0)
    }
}

fn unauthorized(message: &'static str) -> Error {
    Error::new(ErrorKind::Unauthorized, message)
}
