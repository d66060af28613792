//! Makes calls fail at once while a registry cannot be reached.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Operation;
use super::intercept::{Intercepted, InterceptedCall, Interceptor, forward_to_intercepted};
use crate::*;

/// A repository or registry whose calls fail at once for [some time](CircuitBreakerOptions::pause) after a call has not
/// reached it. After that time one call is passed on, and the others keep failing until that one has succeeded; if it has not
/// ended after a second, another one is passed on.
///
/// A call has not reached the registry if its error is [`Unavailable`](ErrorKind::Unavailable) or
/// [`Timeout`](ErrorKind::Timeout), is [retryable](Error::is_retryable), and was not made from an HTTP response. Errors that
/// say anything else come from a registry that responds. The error of [another host](Error::other_host), to which the
/// registry refers, neither makes calls fail nor lets them pass. A caller that gives up after [some
/// seconds](CircuitBreakerOptions::patience), in which the registry has not responded to any call, makes the next call be
/// passed on alone, except one that reads a blob: blobs often come from another host.
///
/// The repositories of a registry share this. [`circuit`](Self::circuit) tells its state. A tokio runtime with timers is
/// needed.
///
/// ```
/// use tranship::layers::{CircuitBreaker, CircuitBreakerOptions};
/// # use tranship_memory::MemoryRegistry;
///
/// let registry = CircuitBreaker::new(MemoryRegistry::new(), CircuitBreakerOptions::default());
/// assert!(!registry.circuit().is_open());
/// ```
#[derive(Debug, Clone)]
pub struct CircuitBreaker<T>(Intercepted<T, Circuit>, Circuit);

impl<T> CircuitBreaker<T> {
    /// Wraps `inner`, a backend or a registry.
    pub fn new(inner: T, options: CircuitBreakerOptions) -> Self {
        let circuit = Circuit(Arc::new(Inner {
            options,
            state: Mutex::default(),
        }));
        Self(Intercepted::new(inner, circuit.clone()), circuit)
    }

    /// Returns the state of the layer, which stays current.
    #[must_use]
    pub fn circuit(&self) -> &Circuit {
        &self.1
    }
}

forward_to_intercepted!(CircuitBreaker);

/// After this time, the call that was passed on no longer keeps others back: one path of a registry may hang alone.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

type OnChange = dyn Fn(Option<&Error>) + Send + Sync;

/// When a [`CircuitBreaker`] makes calls fail.
#[non_exhaustive]
#[derive(Clone)]
pub struct CircuitBreakerOptions {
    /// For how long calls fail at once after one has not reached the registry; 30 seconds by default.
    pub pause: Duration,
    /// A registry that has not responded to any call while a caller waited for so long, and gave up, may be down: the
    /// next call finds out, alone. 5 seconds by default.
    pub patience: Duration,
    on_change: Option<Arc<OnChange>>,
}

impl Default for CircuitBreakerOptions {
    fn default() -> Self {
        Self {
            pause: Duration::from_secs(30),
            patience: Duration::from_secs(5),
            on_change: None,
        }
    }
}

impl CircuitBreakerOptions {
    /// Sets [`pause`](Self::pause). With zero, calls never fail at once.
    #[must_use]
    pub fn with_pause(mut self, time: Duration) -> Self {
        self.pause = time;
        self
    }

    /// Sets [`patience`](Self::patience).
    #[must_use]
    pub fn with_patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Calls `on_change` with the error when calls begin to fail at once, and with `None` when the registry has
    /// responded again. It must not block.
    #[must_use]
    pub fn with_on_change(
        mut self,
        on_change: impl Fn(Option<&Error>) + Send + Sync + 'static,
    ) -> Self {
        self.on_change = Some(Arc::new(on_change));
        self
    }
}

impl fmt::Debug for CircuitBreakerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerOptions")
            .field("pause", &self.pause)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// Whether the calls of a [`CircuitBreaker`] fail at once. Clones share the state.
#[derive(Debug, Clone)]
pub struct Circuit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: CircuitBreakerOptions,
    state: Mutex<CircuitState>,
}

#[derive(Debug, Default)]
struct CircuitState {
    /// `None` while calls are passed on.
    open: Option<Open>,
    /// When the registry has responded last.
    responded: Option<Instant>,
}

/// Why calls fail, and until when.
#[derive(Debug)]
struct Open {
    error: Error,
    until: Instant,
    /// When the last call was passed on that has not ended.
    probed: Option<Instant>,
}

impl Circuit {
    /// Returns whether calls fail at once, except for one from time to time.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lock().open.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, CircuitState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, error: &Error) {
        self.open_until(error, Instant::now() + self.0.options.pause);
    }

    /// Opens the circuit so that the very next call is passed on. A caller that has given up may only have had little
    /// patience, and must not take the registry from all others.
    fn suspect(&self, error: &Error) {
        self.open_until(error, Instant::now());
    }

    fn has_responded_since(&self, begun: Instant) -> bool {
        let responded = self.lock().responded;
        responded.is_some_and(|responded| responded >= begun)
    }

    fn open_until(&self, error: &Error, until: Instant) {
        let Inner { options, .. } = &*self.0;
        if options.pause.is_zero() {
            return;
        }
        let open = Open {
            error: error.without_source(),
            until,
            probed: None,
        };
        let before = self.lock().open.replace(open);
        if let (None, Some(on_change)) = (before, &options.on_change) {
            on_change(Some(error));
        }
    }

    fn close(&self) {
        let before = {
            let mut state = self.lock();
            state.responded = Some(Instant::now());
            state.open.take()
        };
        if let (Some(_), Some(on_change)) = (before, &self.0.options.on_change) {
            on_change(None);
        }
    }
}

impl Interceptor for Circuit {
    type Call = Guarded;

    async fn begin(&self, operation: Operation) -> Result<Guarded> {
        let mut is_probe = false;
        if let Some(open) = &mut self.lock().open {
            let left = open.until.saturating_duration_since(Instant::now());
            let is_probed = open.probed.is_some_and(|at| at.elapsed() < PROBE_INTERVAL);
            if is_probed || !left.is_zero() {
                let wait = left.max(PROBE_INTERVAL);
                return Err(open.error.without_source().with_retry_after(wait));
            }
            open.probed = Some(Instant::now());
            is_probe = true;
        }
        Ok(Guarded {
            circuit: self.clone(),
            begun: Instant::now(),
            reads_blob: operation.kind == Some(ContentKind::Blob) && operation.name.is_read(),
            is_probe,
            has_ended: false,
        })
    }
}

/// A call that was passed on.
pub(super) struct Guarded {
    circuit: Circuit,
    begun: Instant,
    reads_blob: bool,
    is_probe: bool,
    has_ended: bool,
}

impl Guarded {
    fn reached(&mut self) {
        self.has_ended = true;
        self.circuit.close();
    }

    /// Lets the next call find out what this one has not.
    fn release(&self) {
        if self.is_probe
            && let Some(open) = &mut self.circuit.lock().open
        {
            open.probed = None;
        }
    }
}

impl InterceptedCall for Guarded {
    fn pause(&mut self) {
        self.reached();
    }

    fn open(mut self, body: Body, _: u64) -> Body {
        self.reached();
        body
    }

    fn succeed(mut self, _: u64) {
        self.reached();
    }

    fn fail(mut self, error: Error) -> Error {
        self.has_ended = true;
        if error.other_host().is_some() {
            self.release();
        } else if is_unreached(&error) {
            self.circuit.open(&error);
        } else {
            self.circuit.close();
        }
        error
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let has_responded = self.circuit.has_responded_since(self.begun);
        let is_long = self.begun.elapsed() >= self.circuit.0.options.patience;
        if is_long && !has_responded && !self.reads_blob {
            let message = "the registry does not respond";
            self.circuit
                .suspect(&Error::new(ErrorKind::Timeout, message));
        } else {
            self.release();
        }
    }
}

fn is_unreached(error: &Error) -> bool {
    let is_of_network = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout);
    is_of_network && error.is_retryable() && error.http_status().is_none()
}
