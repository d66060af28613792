//! The caller of a request, and the responses to callers that may not do something.

use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use tranship::{Error, ErrorKind, RepositoryName};

use super::{Access, Identity, Permission};
use crate::peer::Peer;
use crate::response_error::{ErrorCode, ResponseError};

/// The caller of a request.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    /// `None` if every caller may do everything.
    access: Option<&'a Access>,
    identity: Identity,
}

impl<'a> Caller<'a> {
    /// Identifies the caller of `request`.
    ///
    /// # Errors
    /// - 401 if the request has credentials that are not valid.
    /// - 429 if too many passwords are being checked.
    pub(crate) async fn of(
        access: Option<&'a Access>,
        request: &Parts,
    ) -> Result<Self, ResponseError> {
        let identity = match access {
            None => Identity::anonymous(),
            Some(access) => access
                .identify(&request.headers, &Peer::of(&request.extensions))
                .await
                .map_err(|error| refused(&error))?,
        };
        Ok(Self { access, identity })
    }

    /// Returns a caller that is not identified, for endpoints that are open to all.
    pub(crate) fn anyone() -> Self {
        Self {
            access: None,
            identity: Identity::anonymous(),
        }
    }

    pub(crate) fn user(&self) -> Option<&str> {
        self.identity.user()
    }

    /// Returns whether the caller has the permission `wanted` for the repository `name`.
    pub(crate) fn may(&self, name: &RepositoryName, wanted: Permission) -> bool {
        self.access
            .is_none_or(|access| access.allows(&self.identity, name, wanted))
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
    /// 401 if the caller is anonymous, although there are users.
    pub(crate) fn check_authenticated(&self) -> Result<(), ResponseError> {
        match (self.access, self.user()) {
            (Some(_), None) => Err(unauthorized()),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// 401 if the caller may not list repositories. The list omits those that the caller may not read.
    pub(crate) fn check_list(&self) -> Result<(), ResponseError> {
        match self.access {
            Some(access) if access.grants().have_anonymous_read() => Ok(()),
            _ => self.check_authenticated(),
        }
    }

    fn forbidden(&self) -> ResponseError {
        match self.user() {
            None => unauthorized(),
            Some(_) => ResponseError::new(
                StatusCode::FORBIDDEN,
                ErrorCode::Denied,
                "the user may not do this with the repository",
            ),
        }
    }
}

/// Converts the error of identifying a caller.
fn refused(error: &Error) -> ResponseError {
    match error.kind() {
        ErrorKind::RateLimited => ResponseError::new(
            StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::TooManyRequests,
            error.to_string(),
        )
        .with_header(RETRY_AFTER, HeaderValue::from_static("1")),
        _ => unauthorized(),
    }
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
