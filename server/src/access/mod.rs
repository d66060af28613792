//! Who may do what.

mod htpasswd;
mod pattern;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use tranship::RepositoryName;

use htpasswd::Verdict;

pub use htpasswd::Htpasswd;
pub use pattern::NamePattern;

use crate::failure::{Code, Failure};

/// How much somebody may do with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Pull and list.
    Read,
    /// Pull, list, push and delete.
    Write,
}

/// Who may do what. Clones share the file of users.
///
/// Without grants every user may do everything. With grants each may do what the most generous of
/// those allows that are for him and match the repository, and nothing else.
#[derive(Debug, Clone)]
pub struct Access {
    users: Arc<Htpasswd>,
    anonymous_read: bool,
    grants: Vec<Grant>,
}

#[derive(Debug, Clone)]
struct Grant {
    user: String,
    names: NamePattern,
    permission: Permission,
}

impl Access {
    /// Lets the users of `users` in, and nobody else.
    #[must_use]
    pub fn new(users: Htpasswd) -> Self {
        Self {
            users: Arc::new(users),
            anonymous_read: false,
            grants: Vec::new(),
        }
    }

    /// Lets everybody read everything, without a password too.
    #[must_use]
    pub fn with_anonymous_read(mut self, allowed: bool) -> Self {
        self.anonymous_read = allowed;
        self
    }

    /// Gives `user` a `permission` for the repositories that `names` matches.
    #[must_use]
    pub fn with_grant(
        mut self,
        user: impl Into<String>,
        names: NamePattern,
        permission: Permission,
    ) -> Self {
        self.grants.push(Grant {
            user: user.into(),
            names,
            permission,
        });
        self
    }

    fn allows(&self, user: Option<&str>, name: &RepositoryName, wanted: Permission) -> bool {
        if self.anonymous_read && wanted == Permission::Read {
            return true;
        }
        let Some(user) = user else { return false };
        self.grants.is_empty()
            || self.grants.iter().any(|grant| {
                grant.user == user && grant.permission >= wanted && grant.names.matches(name)
            })
    }
}

/// Who sent a request, as far as is known.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    access: Option<&'a Access>,
    user: Option<String>,
}

impl<'a> Caller<'a> {
    /// Finds out who sent a request with `headers`.
    ///
    /// Empty Basic credentials are none: podman and skopeo send them where they have no login.
    ///
    /// # Errors
    /// A failure if the request names a user and the password is wrong, since treating it as anonymous would
    /// hide the mistake, and if too many passwords are being checked.
    pub(crate) async fn of(
        access: Option<&'a Access>,
        headers: &HeaderMap,
    ) -> Result<Self, Failure> {
        let mut caller = Self { access, user: None };
        let (Some(access), Some(header)) = (access, headers.get(AUTHORIZATION)) else {
            return Ok(caller);
        };
        let (user, password) = basic(header).ok_or_else(unauthorized)?;
        if user.is_empty() && password.is_empty() {
            return Ok(caller);
        }
        match access.users.check(&user, &password).await {
            Verdict::Right => caller.user = Some(user),
            Verdict::Wrong => return Err(unauthorized()),
            Verdict::Busy => return Err(busy()),
        }
        Ok(caller)
    }

    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether the caller may do this with the repository `name`.
    pub(crate) fn may(&self, name: &RepositoryName, wanted: Permission) -> bool {
        self.access
            .is_none_or(|access| access.allows(self.user(), name, wanted))
    }

    /// # Errors
    /// A failure if the caller may not do this with the repository `name`.
    pub(crate) fn check(&self, name: &RepositoryName, wanted: Permission) -> Result<(), Failure> {
        if self.may(name, wanted) {
            return Ok(());
        }
        Err(self.refused())
    }

    /// # Errors
    /// A failure if nobody knows who the caller is, although passwords are asked for.
    pub(crate) fn check_known(&self) -> Result<(), Failure> {
        match (self.access, &self.user) {
            (Some(_), None) => Err(unauthorized()),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// A failure if the caller may not even ask which repositories there are. Those that he may not
    /// read he is not told of.
    pub(crate) fn check_list(&self) -> Result<(), Failure> {
        match self.access {
            Some(access) if access.anonymous_read => Ok(()),
            _ => self.check_known(),
        }
    }

    fn refused(&self) -> Failure {
        match self.user {
            None => unauthorized(),
            Some(_) => Failure::new(
                StatusCode::FORBIDDEN,
                Code::Denied,
                "the user may not do this with the repository",
            ),
        }
    }
}

/// The user and the password of a header (RFC 7617).
fn basic(header: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, credentials) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(credentials.trim()).ok()?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let user = std::str::from_utf8(&decoded[..colon]).ok()?;
    Some((user.to_owned(), decoded[colon + 1..].to_vec()))
}

fn busy() -> Failure {
    Failure::new(
        StatusCode::TOO_MANY_REQUESTS,
        Code::TooManyRequests,
        "too many passwords are being checked; try again",
    )
    .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
}

fn unauthorized() -> Failure {
    Failure::new(
        StatusCode::UNAUTHORIZED,
        Code::Unauthorized,
        "a user and the right password are needed",
    )
    .with_header(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Basic realm=\"tranship\", charset=\"UTF-8\""),
    )
}
