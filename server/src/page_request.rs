//! Requests to another service on the same server, which are logged, counted and limited like those of the API.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use http::request::Parts;
use tracing::Span;

use crate::endpoint::Endpoint;
use crate::metrics::Metrics;
use crate::rate_limit::retry_after;
use crate::record::RequestRecord;
use crate::request_id::RequestId;
use crate::state::ServerState;
use crate::upload_sessions::Owner;

/// A request to a page on the same server, from [`RegistryService::begin_page`](crate::RegistryService::begin_page).
///
/// When it is dropped, the request is written to the access log and counted in the metrics. The body of the response
/// should own it, so that length and time are those of the transfer to the client.
pub struct PageRequest {
    record: Box<RequestRecord>,
    received: Arc<AtomicU64>,
    state: Arc<ServerState>,
}

impl PageRequest {
    pub(crate) fn begin(
        id: RequestId,
        state: Arc<ServerState>,
        metrics: &Arc<Metrics>,
        request: &Parts,
    ) -> Self {
        let received = Arc::default();
        // Pages know themselves what belongs into the audit log.
        let record = RequestRecord::begin(id, metrics, None, request, Arc::clone(&received));
        Self {
            record,
            received,
            state,
        }
    }

    /// Returns the id of the request, which the access log has.
    #[must_use]
    pub fn id(&self) -> String {
        self.record.id()
    }

    /// Sets which page it is, as a path with names in braces, for the span of the request.
    pub fn set_page(&mut self, template: &str) {
        self.record.set_endpoint(Endpoint::Page, template);
    }

    /// Returns the span in which the request should be handled.
    #[must_use]
    pub fn span(&self) -> Span {
        self.record.span().clone()
    }

    /// Sets the user that the access log names.
    pub fn set_user(&mut self, user: Option<&str>) {
        self.record.set_user(user);
    }

    /// Counts the request of `user` by the limit on [requests](crate::ServerOptions::request_rate), together with the
    /// requests of that user, or of that address, to the API.
    ///
    /// # Errors
    /// The time to wait, in whole seconds, if the rate is exceeded.
    pub fn check_rate(&self, request: &Parts, user: Option<&str>) -> Result<(), Duration> {
        let Some(requests) = &self.state.requests else {
            return Ok(());
        };
        let counted = requests.count(Owner::new(user, request));
        counted.map_err(|wait| Duration::from_secs(retry_after(wait)))
    }

    /// Counts bytes of the body of the request.
    pub fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Sets the status of the response.
    pub fn set_status(&mut self, status: StatusCode) {
        self.record.set_status(status, None);
    }

    /// Counts bytes of the body of the response.
    pub fn add_sent(&mut self, bytes: usize) {
        self.record.add_sent(bytes);
    }

    /// Notes that all of the response was sent.
    pub fn set_complete(&mut self) {
        self.record.set_complete();
    }
}

impl fmt::Debug for PageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PageRequest").field(&self.record).finish()
    }
}
