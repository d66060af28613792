//! The caller of a request, and the responses to callers that may not make it.

use std::fmt;

use http::StatusCode;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use tranship::{Error, ErrorKind, RepositoryName};

use super::challenge::{self, TokenError};
use super::scope::{self, Action, Scopes};
use super::{Access, Identity};
use crate::peer::Peer;
use crate::response_error::{ErrorCode, ResponseError, too_many_requests};

/// What a request requires of its caller.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Required<'a> {
    /// Nothing: not even that the credentials are valid.
    Nothing,
    /// Valid credentials, of a user or in a token for anonymous callers.
    Credentials,
    /// A user.
    User,
    /// To list repositories. The list omits those that the caller may not read.
    Catalog,
    /// An action on a repository.
    Repository(&'a RepositoryName, Action),
}

/// Says what the caller must be allowed to do, after "may not".
impl fmt::Display for Required<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing | Self::Credentials => f.write_str("use the registry"),
            Self::User => f.write_str("read the metrics"),
            Self::Catalog => f.write_str("list repositories"),
            Self::Repository(name, action) => {
                let verb = match action {
                    Action::Pull => "pull from",
                    Action::Push => "push to",
                    Action::Delete => "delete from",
                };
                write!(f, "{verb} `{name}`")
            }
        }
    }
}

/// The caller of a request.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    /// `None` if every caller may do everything.
    access: Option<&'a Access>,
    identity: Identity,
}

impl<'a> Caller<'a> {
    /// Identifies the caller of `request`, which requires `required`.
    ///
    /// # Errors
    /// - 401 if the request has credentials that are not valid.
    /// - 429 if too many passwords are being checked, or too many of the address were wrong.
    pub(crate) async fn of(
        access: Option<&'a Access>,
        request: &Parts,
        required: Required<'_>,
    ) -> Result<Self, ResponseError> {
        let identity = match (access, required) {
            (None, _) | (_, Required::Nothing) => Identity::anonymous(),
            (Some(access), _) => access
                .identify(&request.headers, &Peer::of(&request.extensions))
                .await
                .map_err(|error| refused(&error, access, request, required))?,
        };
        Ok(Self { access, identity })
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn user(&self) -> Option<&str> {
        self.identity.user()
    }

    /// Returns whether the caller may do `action` with the repository `name`.
    pub(crate) fn may(&self, name: &RepositoryName, action: Action) -> bool {
        self.access
            .is_none_or(|access| access.allows_action(&self.identity, name, action))
    }

    /// Returns whether the caller may read `mirrored`, a repository of a mirror, by the name `name`. A token is for the
    /// name that the client knows, and the grants are for the repository.
    pub(crate) fn may_read_through(
        &self,
        name: &RepositoryName,
        mirrored: &RepositoryName,
    ) -> bool {
        self.access.is_none_or(|access| {
            self.may(mirrored, Action::Pull)
                || (self.identity.has_scope(name, Action::Pull)
                    && access.grants_action(&self.identity, mirrored, Action::Pull))
        })
    }

    /// Returns whether the repository `name` is listed for the caller. A token to list repositories need not name them.
    pub(crate) fn may_see(&self, name: &RepositoryName) -> bool {
        // A token service that lets a caller list repositories does not say which.
        let lists_all = |scopes: &Scopes| scopes.allow_catalog();
        self.identity.granted_scopes().is_some_and(lists_all)
            || self
                .access
                .is_none_or(|access| access.grants_action(&self.identity, name, Action::Pull))
    }

    /// Checks that the caller has what `request` requires. The repository of a mirror that is read in place of the one in
    /// `required`, if there is one, is `mirrored`: an external token service has to include it in the token.
    ///
    /// # Errors
    /// 401 or 403 if the caller does not have it.
    pub(crate) fn check(
        &self,
        request: &Parts,
        required: Required<'_>,
        mirrored: Option<&RepositoryName>,
    ) -> Result<(), ResponseError> {
        let Some(access) = self.access else {
            return Ok(());
        };
        let identity = &self.identity;
        let is_user = self.user().is_some();
        let (is_granted, is_in_scope) = match required {
            Required::Nothing => return Ok(()),
            Required::Credentials => (is_user || identity.token_id().is_some(), true),
            Required::User => (is_user, true),
            Required::Catalog => (
                access.grants_catalog(identity) && !access.asks_before_listing(identity),
                identity.has_catalog_scope(),
            ),
            Required::Repository(name, action) => (
                access.grants_action(identity, name, action),
                self.may(name, action),
            ),
        };
        let insufficient = || {
            let error = Some(TokenError::InsufficientScope);
            let challenge = challenge(access, request, required, mirrored, error);
            let message = format!("the token does not allow its bearer to {required}");
            unauthorized(message, challenge)
        };
        match (is_granted, is_in_scope) {
            (true, true) => Ok(()),
            (true, false) => Err(insufficient()),
            // The token service may grant more when it is asked for it.
            (false, _) if identity.granted_scopes().is_some() => Err(insufficient()),
            (false, _) if let Some(user) = self.user() => Err(ResponseError::new(
                StatusCode::FORBIDDEN,
                ErrorCode::Denied,
                format!("user `{user}` may not {required}"),
            )),
            (false, _) => {
                let challenge = challenge(access, request, required, mirrored, None);
                Err(unauthorized(lacks_login(required), challenge))
            }
        }
    }
}

/// Converts the error of identifying a caller.
fn refused(
    error: &Error,
    access: &Access,
    request: &Parts,
    required: Required<'_>,
) -> ResponseError {
    match error.kind() {
        ErrorKind::Unauthorized => {
            let invalid = Some(TokenError::Invalid);
            let challenge = challenge(access, request, required, None, invalid);
            unauthorized(error.to_string(), challenge)
        }
        _ => not_identified(error, access, request),
    }
}

/// Converts an error of identifying the caller of `request` that is not about the credentials.
pub(crate) fn not_identified(error: &Error, access: &Access, request: &Parts) -> ResponseError {
    match error.kind() {
        ErrorKind::RateLimited => {
            let wait = access.login_wait(&Peer::of(&request.extensions));
            too_many_requests(error.to_string(), wait.unwrap_or_default())
        }
        _ => {
            tracing::error!(%error, "a caller cannot be identified");
            ResponseError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                ErrorCode::Unknown,
                "the caller cannot be identified",
            )
        }
    }
}

/// Tells a caller without a login what lacks one. It is the same for a repository that does not exist.
fn lacks_login(required: Required<'_>) -> String {
    match required {
        Required::Nothing | Required::Credentials => {
            "authentication required: log in with a user and the password".to_owned()
        }
        _ => format!(
            "authentication required: a caller without a login may not {required}; a login may give the right"
        ),
    }
}

fn unauthorized(message: impl Into<String>, challenge: HeaderValue) -> ResponseError {
    ResponseError::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message)
        .with_header(WWW_AUTHENTICATE, challenge)
}

/// Returns the value of `WWW-Authenticate` for a request that was refused because of `error`.
fn challenge(
    access: &Access,
    request: &Parts,
    required: Required<'_>,
    mirrored: Option<&RepositoryName>,
    error: Option<TokenError>,
) -> HeaderValue {
    match challenge::token_source(access, request) {
        None => challenge::basic(),
        Some(source) => {
            let scope = match required {
                Required::Repository(name, action) => {
                    // This server grants the scope of `name` to users that may read `mirrored`.
                    let mirrored = mirrored.filter(|_| access.token_service().is_some());
                    let names = [Some(name), mirrored].into_iter().flatten();
                    let scopes: Vec<_> = names.map(|name| scope::required(name, action)).collect();
                    Some(scopes.join(" "))
                }
                Required::Catalog => Some(scope::CATALOG.to_owned()),
                _ => None,
            };
            challenge::bearer(&source, scope.as_deref(), error)
        }
    }
}
