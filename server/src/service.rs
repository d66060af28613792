//! The service of a registry, and what other services on the same server share with it.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tranship::{ErrorKind, Registry, RepositoryName, Tag};

use crate::access::{Access, Identity};
use crate::audit::{AuditActor, AuditOperation, AuditRecord};
use crate::events::Event;
use crate::metrics::{GcOutcome, Metrics};
use crate::mirrors::Mirrors;
use crate::options::ServerOptions;
use crate::page_request::PageRequest;
use crate::request_body::RequestBody;
use crate::request_id::RequestIds;
use crate::response_body::ResponseBody;
use crate::state::ServerState;
use crate::tag_locks::TagGuard;
use crate::{dispatch, events, uploads};

/// Serves `registry` as the API of the distribution spec, under `/v2/`.
///
/// The service can be mounted in any server that accepts a [`tower_service::Service`], for example as the fallback of
/// an axum router. Locations in its responses are paths that begin with `/v2/`, so it must not be mounted below a
/// prefix.
#[must_use]
pub fn router(registry: Arc<dyn Registry>, options: ServerOptions) -> RegistryService {
    let metrics = Arc::new(Metrics::new(&options));
    RegistryService {
        shared: Arc::new(Shared {
            state: RwLock::new(Arc::new(ServerState::new(registry, options))),
            request_ids: RequestIds::new(),
            metrics,
        }),
    }
}

impl RegistryService {
    /// Returns the registry that is served. Another service on the same server, such as a page, reads it.
    #[must_use]
    pub fn registry(&self) -> Arc<dyn Registry> {
        Arc::clone(&self.shared.state().registry)
    }

    /// Returns the mirrors, if there are any.
    #[must_use]
    pub fn mirrors(&self) -> Option<Arc<Mirrors>> {
        self.shared.state().options.mirrors.clone()
    }

    /// Returns the name under which the repository `name` is stored, for which rights are granted: a repository of a
    /// [mirror](crate::Mirrors) may have a short name too.
    #[must_use]
    pub fn stored_name(&self, name: &RepositoryName) -> RepositoryName {
        let state = self.shared.state();
        let mirrors = state.options.mirrors.as_ref();
        mirrors.map_or_else(|| name.clone(), |mirrors| mirrors.stored_as(name))
    }

    /// Begins a request to another service on the same server, such as a page, so that it is logged, counted and limited
    /// like a request to the API.
    #[must_use]
    pub fn begin_page(&self, request: &Parts) -> PageRequest {
        let id = self.shared.request_ids.next();
        PageRequest::begin(id, self.shared.state(), &self.shared.metrics, request)
    }

    /// Passes an event to the sink of events and to the audit log, if there are some: a change that another service on the
    /// same server has made for `caller` by `request`, which has the id `id`.
    pub fn report(&self, event: Event, request: &Parts, caller: &Identity, id: &str) {
        let options = &self.shared.state().options;
        if let Some(audit) = &options.audit {
            let record = AuditRecord::of_event(AuditActor::Client, &event).by(request, caller);
            audit.sink.record(record.with_request(id));
        }
        if let Some(sink) = &options.events {
            let mut cause = events::cause(request, caller.user());
            cause.request = Some(id.to_owned());
            sink.record(&cause, vec![event]);
        }
    }

    /// Passes a record to the audit log, if there is one: of a request to another service on the same server that was
    /// refused, or that has failed.
    pub fn audit(&self, record: AuditRecord) {
        if let Some(audit) = &self.shared.state().options.audit {
            audit.sink.record(record);
        }
    }

    /// Records a login by another service on the same server, such as a form, in the request with the id `id`. `user` is
    /// the name that was given.
    pub async fn audit_login(
        &self,
        request: &Parts,
        id: &str,
        user: &str,
        login: &tranship::Result<Identity>,
    ) {
        let state = self.shared.state();
        if state.options.audit.is_none() {
            return;
        }
        let record = match login {
            Ok(caller) => {
                let login = AuditOperation::Login;
                let record = AuditRecord::of_server(AuditActor::Client, login);
                record.by(request, caller).with_status(StatusCode::OK)
            }
            Err(error) => {
                let failed = AuditOperation::LoginFailed;
                let record = AuditRecord::of_server(AuditActor::Client, failed);
                let mut record = record.by(request, &Identity::anonymous());
                if let Some(access) = &state.options.access {
                    record.set_login_failed(access.known_user(user).await);
                }
                record.with_status(match error.kind() {
                    ErrorKind::Unauthorized => StatusCode::FORBIDDEN,
                    ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                })
            }
        };
        self.audit(record.with_request(id));
    }

    /// Waits until no request changes any of `tags` of the repository `name`, by the name under which it is
    /// [stored](Self::stored_name), and keeps requests from doing so until the guard is dropped. Another service on the
    /// same server does this before it moves or removes a tag.
    ///
    /// Dropping the future releases what was locked.
    pub async fn lock_tags(&self, name: &RepositoryName, tags: &[Tag]) -> TagGuard {
        let state = self.shared.state();
        state.tag_locks.lock(name, tags).await
    }

    /// Returns whether changes are accepted at present: they are not while the audit log cannot be written. Another
    /// service on the same server asks this before it changes something.
    #[must_use]
    pub fn accepts_changes(&self) -> bool {
        self.shared.state().check_audit().is_ok()
    }

    /// Returns the users, and what they may do; `None` if every caller may do everything.
    #[must_use]
    pub fn access(&self) -> Option<Access> {
        self.shared.state().options.access.clone()
    }

    /// Cancels the uploads that have been idle for longer than
    /// [`upload_expiry`](ServerOptions::upload_expiry): those that clients opened here, and, at the first call and then
    /// every hour, those of earlier processes in the backend. Call it about every minute.
    ///
    /// Dropping the future leaves the remaining ones to the next call.
    pub async fn expire_uploads(&self) {
        let state = self.shared.state();
        uploads::expire(&state).await;
        uploads::sweep(&state).await;
    }

    /// Counts a run of garbage collection in `/metrics`, which has freed so many bytes. A program that collects the garbage
    /// of the storage calls this after each run.
    pub fn count_gc(&self, outcome: GcOutcome, freed: u64) {
        self.shared.metrics.count_gc(outcome, freed);
    }

    /// Serves `registry` with `options` from the next request on. Requests that have begun finish with the earlier ones.
    ///
    /// Open uploads stay open, so the new registry must be over the same storage. The limits of open uploads, their expiry
    /// and [`shared`](ServerOptions::shared) do not change, nor do the metrics: those of events, and those by
    /// [`metrics_patterns`](ServerOptions::metrics_patterns).
    pub fn replace(&self, registry: Arc<dyn Registry>, options: ServerOptions) {
        let state = Arc::new(self.shared.state().with(registry, options));
        *self
            .shared
            .state
            .write()
            .unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// A registry as an HTTP service. Clones share all state.
///
/// Dropping the future of a call has the effect of a client that closes its connection: an upload keeps the bytes that
/// it has received, and nothing else remains.
#[derive(Clone)]
pub struct RegistryService {
    shared: Arc<Shared>,
}

/// The state of the endpoints, and what every response needs.
struct Shared {
    state: RwLock<Arc<ServerState>>,
    request_ids: RequestIds,
    metrics: Arc<Metrics>,
}

impl Shared {
    fn state(&self) -> Arc<ServerState> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<B> tower_service::Service<Request<B>> for RegistryService
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let state = shared.state();
        let timeout = state.options.body_timeout;
        let request = request.map(|body| RequestBody::new(body, timeout));
        Box::pin(async move {
            let id = shared.request_ids.next();
            Ok(dispatch::respond(&state, &shared.metrics, id, request).await)
        })
    }
}

impl fmt::Debug for RegistryService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        f.debug_struct("RegistryService")
            .field("registry", &state.registry)
            .field("options", &state.options)
            .finish_non_exhaustive()
    }
}
