//! The state that all requests share.

use std::sync::Arc;

use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use tranship::{Registry, Repository, RepositoryName};

use crate::mirrors::Mirrors;
use crate::options::ServerOptions;
use crate::query::Query;
use crate::rate_limit::RateLimiter;
use crate::readiness::Readiness;
use crate::redirects::Redirects;
use crate::response::value;
use crate::response_error::{ErrorCode, Resource, ResponseError};
use crate::route::{Route, is_read};
use crate::tag_locks::TagLocks;
use crate::upload_sessions::{Owner, UploadSessions};

/// The state that all requests share.
pub(crate) struct ServerState {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) options: ServerOptions,
    /// The header for the warning of the options.
    pub(crate) warning: Option<HeaderValue>,
    /// Limits the requests of each caller.
    pub(crate) requests: Option<RateLimiter<Owner>>,
    pub(crate) sessions: Arc<UploadSessions>,
    pub(crate) tag_locks: Arc<TagLocks>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) redirects: Redirects,
}

impl ServerState {
    pub(crate) fn new(registry: Arc<dyn Registry>, options: ServerOptions) -> Self {
        Self {
            sessions: Arc::new(UploadSessions::new(&options)),
            tag_locks: Arc::default(),
            readiness: Arc::default(),
            warning: options.warning.as_deref().map(warning),
            redirects: Redirects::new(options.redirects.clone()),
            requests: options.request_rate.map(RateLimiter::new),
            registry,
            options,
        }
    }

    /// Returns the state with another registry and other options, and the same open uploads and locks.
    pub(crate) fn with(&self, registry: Arc<dyn Registry>, options: ServerOptions) -> Self {
        Self {
            sessions: Arc::clone(&self.sessions),
            tag_locks: Arc::clone(&self.tag_locks),
            readiness: Arc::clone(&self.readiness),
            ..Self::new(registry, options)
        }
    }

    /// Returns the route in the mirror that the parameter `ns` of a request names, as containerd sends it. A registry that
    /// is not mirrored is not found, so that a repository of the same name here is not taken for its repository.
    pub(crate) fn in_namespace(&self, route: Route, uri: &Uri) -> Result<Route, ResponseError> {
        let Some(mirrors) = &self.options.mirrors else {
            return Ok(route);
        };
        let Some(namespace) = Query::of(uri).first("ns") else {
            return route.renamed(|name| Ok(mirrors.stored_as(name)));
        };
        route.renamed(|name| {
            let unknown = || {
                ResponseError::new(
                    StatusCode::NOT_FOUND,
                    ErrorCode::NameUnknown,
                    "the registry in the parameter ns is not mirrored here",
                )
            };
            mirrors.in_namespace(&namespace, name).ok_or_else(unknown)
        })
    }

    /// Returns the repository of a mirror that a request reads by the name `name`: that of `route` if the name is short
    /// for it, or the one that is read if the repository of `route` does not exist here.
    pub(crate) fn read_as(
        &self,
        name: Option<&RepositoryName>,
        route: &Route,
        request: &Parts,
    ) -> Option<RepositoryName> {
        let is_content = matches!(
            route,
            Route::Tags(_) | Route::Referrers(..) | Route::Blob(..) | Route::Manifest(..)
        );
        let is_read = is_content && is_read(&request.method);
        let mirrors = self.options.mirrors.as_ref().filter(|_| is_read)?;
        let (name, stored) = (name?, route.repository()?);
        if name != stored {
            // With `ns`, the same name is also that of repositories of other registries.
            let is_short = Query::of(&request.uri).first("ns").is_none();
            return is_short.then(|| stored.clone());
        }
        // A client that pushes asks by HEAD for what it need not send.
        let is_tag = matches!(route, Route::Manifest(_, reference) if !reference.contains(':'));
        mirrors
            .fallback_name(name)
            .filter(|_| request.method == Method::GET || is_tag)
    }

    /// Returns whether the repository of `route` exists here, and not only at a mirror.
    pub(crate) async fn has_local(&self, route: &Route) -> Result<bool, ResponseError> {
        match (&self.options.mirrors, route.repository()) {
            (Some(mirrors), Some(name)) => {
                let has = mirrors.has_local(name).await;
                has.map_err(|error| ResponseError::from_backend(&error, Resource::Repository))
            }
            _ => Ok(true),
        }
    }

    /// Checks that the request for `route` with these headers has not come from this server itself, by one of its mirrors.
    pub(crate) fn check_loop(
        &self,
        route: &Route,
        headers: &HeaderMap,
    ) -> Result<(), ResponseError> {
        match (&self.options.mirrors, route.repository()) {
            (Some(mirrors), Some(name)) if mirrors.is_loop(name, headers) => {
                tracing::error!(repository = %name, "a mirror leads back to this server");
                Err(ResponseError::new(
                    StatusCode::LOOP_DETECTED,
                    ErrorCode::Unknown,
                    format!("the mirror of {name} leads back to this server"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Returns the warning that a response may be out of date (RFC 7234, section 5.5.1), if `is_stale` says so.
    pub(crate) fn stale_warning(
        &self,
        is_stale: impl FnOnce(&Mirrors) -> bool,
    ) -> Option<HeaderValue> {
        let mirrors = self.options.mirrors.as_ref()?;
        is_stale(mirrors).then(|| HeaderValue::from_static("110 - \"Response is Stale\""))
    }

    /// # Errors
    /// 503 while the audit log cannot be written, so that nothing is changed without a record.
    pub(crate) fn check_audit(&self) -> Result<(), ResponseError> {
        match &self.options.audit {
            Some(audit) if !audit.sink.is_available() => Err(ResponseError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::Unknown,
                "nothing can be changed at present, since the audit log of the registry cannot be written",
            )
            .with_header(RETRY_AFTER, HeaderValue::from_static("5"))),
            _ => Ok(()),
        }
    }

    /// Opens the repository `name`.
    pub(crate) async fn repository(
        &self,
        name: &RepositoryName,
    ) -> Result<Arc<dyn Repository>, ResponseError> {
        self.registry
            .repository(name)
            .await
            .map_err(|error| ResponseError::from_backend(&error, Resource::Repository))
    }
}

/// Formats a warning (RFC 7234, section 5.5), without characters that are not allowed in headers.
fn warning(text: &str) -> HeaderValue {
    let mut quoted = String::with_capacity(text.len());
    for character in text
        .chars()
        .filter(|character| matches!(character, ' '..='~'))
    {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    value(format!("299 - \"{quoted}\""))
}
