//! Users, and what they may do.

mod htpasswd;
mod pattern;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use tranship::RepositoryName;

use htpasswd::PasswordCheck;

pub use htpasswd::Htpasswd;
pub use pattern::NamePattern;

use crate::response_error::{ErrorCode, ResponseError};

/// What a user may do with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Pull and list.
    Read,
    /// Pull, list, push and delete.
    Write,
}

/// The users, and what they may do. Clones share the file of users.
///
/// Without grants every user may do everything. With grants a user may do what one of the user's grants for the
/// repository allows, and nothing else.
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
    /// Admits the users in `users`, and no anonymous callers.
    #[must_use]
    pub fn new(users: Htpasswd) -> Self {
        Self {
            users: Arc::new(users),
            anonymous_read: false,
            grants: Vec::new(),
        }
    }

    /// Lets every caller read all repositories, also without a password.
    #[must_use]
    pub fn with_anonymous_read(mut self, allowed: bool) -> Self {
        self.anonymous_read = allowed;
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

/// The sender of a request.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    access: Option<&'a Access>,
    user: Option<String>,
}

impl<'a> Caller<'a> {
    /// Authenticates the sender of a request with `headers`.
    ///
    /// Empty Basic credentials count as none: podman and skopeo send them if they do not have a login.
    ///
    /// # Errors
    /// - 401 if the request names a user and the password is wrong. Treating it as anonymous would hide the mistake.
    /// - 429 if too many passwords are being checked.
    pub(crate) async fn of(
        access: Option<&'a Access>,
        headers: &HeaderMap,
    ) -> Result<Self, ResponseError> {
        let mut caller = Self { access, user: None };
        let (Some(access), Some(header)) = (access, headers.get(AUTHORIZATION)) else {
            return Ok(caller);
        };
        let (user, password) = basic(header).ok_or_else(unauthorized)?;
        if user.is_empty() && password.is_empty() {
            return Ok(caller);
        }
        match access.users.check(&user, &password).await {
            PasswordCheck::Correct => caller.user = Some(user),
            PasswordCheck::Wrong => return Err(unauthorized()),
            PasswordCheck::Busy => return Err(busy()),
        }
        Ok(caller)
    }

    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns whether the caller has the permission `wanted` for the repository `name`.
    pub(crate) fn may(&self, name: &RepositoryName, wanted: Permission) -> bool {
        self.access
            .is_none_or(|access| access.allows(self.user(), name, wanted))
    }

    /// # Errors
    /// 401 or 403 if the caller does not have the permission `wanted` for the repository `name`.
    pub(crate) fn check(
        &self,
        name: &RepositoryName,
        wanted: Permission,
    ) -> Result<(), ResponseError> {
        if self.may(name, wanted) {
            return Ok(());
        }
        Err(self.forbidden())
    }

    /// # Errors
    /// 401 if the caller is anonymous, although there are passwords.
    pub(crate) fn check_authenticated(&self) -> Result<(), ResponseError> {
        match (self.access, &self.user) {
            (Some(_), None) => Err(unauthorized()),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// 401 if the caller may not list repositories. The list omits those that the caller may not read.
    pub(crate) fn check_list(&self) -> Result<(), ResponseError> {
        match self.access {
            Some(access) if access.anonymous_read => Ok(()),
            _ => self.check_authenticated(),
        }
    }

    fn forbidden(&self) -> ResponseError {
        match self.user {
            None => unauthorized(),
            Some(_) => ResponseError::new(
                StatusCode::FORBIDDEN,
                ErrorCode::Denied,
                "the user may not do this with the repository",
            ),
        }
    }
}

/// Parses the user and the password in a header (RFC 7617).
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

fn busy() -> ResponseError {
    ResponseError::new(
        StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::TooManyRequests,
        "too many passwords are being checked; try again",
    )
    .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
}

fn unauthorized() -> ResponseError {
    ResponseError::new(
        StatusCode::UNAUTHORIZED,
        ErrorCode::Unauthorized,
        "authentication required: log in with a user and the password",
    )
    .with_header(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Basic realm=\"tranship\", charset=\"UTF-8\""),
    )
}
