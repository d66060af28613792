//! Tells a function of every call that has succeeded.

use std::fmt;
use std::sync::Arc;

use super::Operation;
use super::intercept::{Intercepted, InterceptedCall, Interceptor, forward_to_intercepted};
use crate::*;

/// A repository or registry that calls a function after each call that has succeeded.
///
/// The function is called before the caller has the result: when content is open, before it is read; of a listing, when
/// it has ended. The caller waits for it, so it must not block. Methods that return at once, such as [`Backend::info`],
/// and [`Registry::repository`] are passed on.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use tranship::layers::Notify;
/// use tranship::prelude::*;
/// use tranship::{MediaType, push_bytes};
/// # use tranship_memory::MemoryRepository;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let names = Arc::new(Mutex::new(Vec::new()));
/// let seen = Arc::clone(&names);
/// let repository = Notify::new(MemoryRepository::new(), move |operation| {
///     seen.lock().unwrap().push(operation.name.as_str());
/// });
/// push_bytes(&repository, MediaType::OCTET_STREAM, "hello").await?;
/// assert_eq!(*names.lock().unwrap(), ["write"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Notify<T>(Intercepted<T, Listener>);

impl<T> Notify<T> {
    /// Wraps `inner`, a backend or a registry.
    pub fn new(inner: T, notify: impl Fn(&Operation) + Send + Sync + 'static) -> Self {
        Self(Intercepted::new(inner, Listener(Arc::new(notify))))
    }
}

forward_to_intercepted!(Notify);

struct Listener(Arc<dyn Fn(&Operation) + Send + Sync>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl Interceptor for Listener {
    type Call = Notified;

    async fn begin(&self, operation: Operation) -> Result<Notified> {
        let notify = Arc::clone(&self.0);
        Ok(Notified { operation, notify })
    }
}

/// A call of which the function is told if it succeeds.
pub(super) struct Notified {
    operation: Operation,
    notify: Arc<dyn Fn(&Operation) + Send + Sync>,
}

impl InterceptedCall for Notified {
    fn open(self, body: Body, _: u64) -> Body {
        (self.notify)(&self.operation);
        body
    }

    fn succeed(self, _: u64) {
        (self.notify)(&self.operation);
    }

    fn fail(self, error: Error) -> Error {
        error
    }
}
