//! The record of a request: a line of the access log, and metrics.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::header::USER_AGENT;
use http::request::Parts;
use http::{Method, StatusCode, Uri};
use tracing::Span;

use crate::access::Identity;
use crate::audit::{AuditOptions, PendingAudit};
use crate::endpoint::Endpoint;
use crate::events::Event;
use crate::metrics::{Metrics, Outcome, RepositoryLabel};
use crate::peer::Peer;
use crate::request_id::RequestId;
use crate::response_error::ErrorCode;
use crate::route::Route;
use crate::trace;

/// A request, from its head to the last byte of the response, or until the client closes the connection. It is logged
/// and counted when it is dropped.
///
/// The body of the response owns it, so that length and time are those of the transfer to the client.
#[derive(Debug)]
pub(crate) struct RequestRecord {
    id: RequestId,
    metrics: Arc<Metrics>,
    endpoint: Endpoint,
    repository: Option<RepositoryLabel>,
    method: Method,
    status: Option<StatusCode>,
    received: Arc<AtomicU64>,
    sent: u64,
    is_complete: bool,
    started: Instant,
    log: Option<LogFields>,
    span: Span,
    audit: Option<PendingAudit>,
}

#[derive(Debug)]
struct LogFields {
    path: String,
    user: Option<String>,
    client: Option<SocketAddr>,
    agent: Option<String>,
}

impl RequestRecord {
    /// Begins the record of a request. Neither parameters nor ids of uploads are logged: an id is enough to write to
    /// the upload.
    pub(crate) fn begin(
        id: RequestId,
        metrics: &Arc<Metrics>,
        audit: Option<&AuditOptions>,
        request: &Parts,
        received: Arc<AtomicU64>,
    ) -> Box<Self> {
        metrics.begin();
        let is_logged = tracing::enabled!(target: "tranship_server::access", tracing::Level::INFO);
        let path = logged_path(request);
        Box::new(Self {
            metrics: Arc::clone(metrics),
            endpoint: Endpoint::Other,
            repository: None,
            method: request.method.clone(),
            status: None,
            received,
            sent: 0,
            is_complete: false,
            started: Instant::now(),
            span: trace::of_request(request, &path),
            log: is_logged.then(|| LogFields::of(request, path)),
            audit: audit.map(|options| PendingAudit::begin(options, request, &id.to_string())),
            id,
        })
    }

    /// Returns the id of the request.
    pub(crate) fn id(&self) -> String {
        self.id.to_string()
    }

    /// Returns the span in which the request is handled, until the end of the response.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Sets the endpoint, and its path with names in braces.
    pub(crate) fn set_endpoint(&mut self, endpoint: Endpoint, template: &str) {
        self.endpoint = endpoint;
        trace::set_route(&self.span, &self.method, template);
    }

    pub(crate) fn set_route(&mut self, route: &Route, uri: &Uri) {
        if let Some(audit) = &mut self.audit {
            audit.set_route(route, uri);
        }
        self.set_endpoint(route.endpoint(), route.template());
        let name = route.repository();
        self.repository = name.and_then(|name| self.metrics.repository_label(name));
    }

    pub(crate) fn set_user(&mut self, user: Option<&str>) {
        if let Some(log) = &mut self.log {
            log.user = user.map(ToOwned::to_owned);
        }
    }

    pub(crate) fn set_caller(&mut self, caller: &Identity) {
        self.set_user(caller.user());
        if let Some(audit) = &mut self.audit {
            audit.set_caller(caller);
        }
    }

    /// Notes that `caller` gets the token with the id `token`.
    pub(crate) fn set_issued(&mut self, caller: &Identity, token: &str) {
        self.set_caller(caller);
        if let Some(audit) = &mut self.audit {
            audit.set_token(token);
        }
    }

    /// Returns the part for the audit log, if there is one.
    pub(crate) fn audit(&mut self) -> Option<&mut PendingAudit> {
        self.audit.as_mut()
    }

    pub(crate) fn add_events(&mut self, events: &[Event]) {
        if let Some(audit) = &mut self.audit {
            audit.add_events(events);
        }
    }

    /// Sets how the request ends. It is in the audit log from now on.
    pub(crate) fn set_status(&mut self, status: StatusCode, code: Option<ErrorCode>) {
        self.status = Some(status);
        trace::set_status(&self.span, status);
        if let Some(audit) = &mut self.audit {
            audit.finish(Some(status), code);
        }
    }

    pub(crate) fn add_sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    pub(crate) fn set_complete(&mut self) {
        self.is_complete = true;
    }
}

impl LogFields {
    fn of(request: &Parts, path: Cow<'_, str>) -> Self {
        Self {
            path: path.into_owned(),
            user: None,
            client: Peer::of(&request.extensions).address,
            agent: user_agent(request).map(Into::into),
        }
    }
}

/// Returns the path of a request without the id of an upload.
fn logged_path(request: &Parts) -> Cow<'_, str> {
    let path = request.uri.path();
    match path.rsplit_once("/blobs/uploads/") {
        Some((before, id)) if !id.is_empty() && !id.contains('/') => {
            format!("{before}/blobs/uploads/…").into()
        }
        _ => path.into(),
    }
}

/// Returns the `User-Agent` of a request, if it is printable ASCII.
pub(crate) fn user_agent(request: &Parts) -> Option<&str> {
    request.headers.get(USER_AGENT)?.to_str().ok()
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        let outcome = Outcome {
            endpoint: self.endpoint,
            repository: self.repository.as_ref(),
            method: &self.method,
            status: self.status,
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent,
            took: self.started.elapsed(),
        };
        self.metrics.end(&outcome);
        let Some(log) = &self.log else { return };
        tracing::info!(
            target: "tranship_server::access",
            request = %self.id,
            client = log.client.map(tracing::field::display),
            user = log.user,
            method = %self.method,
            path = log.path,
            status = self.status.map(|status| status.as_u16()),
            complete = self.is_complete,
            received = outcome.received,
            sent = outcome.sent,
            microseconds = u64::try_from(outcome.took.as_micros()).unwrap_or(u64::MAX),
            agent = log.agent,
        );
    }
}
