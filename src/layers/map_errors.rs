//! Replaces errors.

use std::fmt;
use std::sync::Arc;

use futures_util::TryStreamExt as _;

use super::Operation;
use super::intercept::{Intercepted, InterceptedCall, Interceptor, forward_to_intercepted};
use crate::*;

/// A repository or registry whose errors are replaced by those that a function returns, for example with more context.
///
/// That applies to the errors of calls, listings, and content that breaks off while it is read, unless it is in a local
/// file. Errors of methods that return at once and of [`Registry::repository`] are passed on.
///
/// ```
/// use tranship::layers::MapErrors;
/// use tranship::prelude::*;
/// # use tranship_memory::MemoryRepository;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let repository = MapErrors::new(MemoryRepository::new(), |_, error| error.with_hint("ask the team"));
/// let error = repository.resolve(&"v1".parse()?).await.unwrap_err();
/// assert_eq!(error.hint(), Some("ask the team"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MapErrors<T>(Intercepted<T, Mapping>);

impl<T> MapErrors<T> {
    /// Wraps `inner`, a backend or a registry. `map` is called with each error, and must not block.
    pub fn new(inner: T, map: impl Fn(&Operation, Error) -> Error + Send + Sync + 'static) -> Self {
        Self(Intercepted::new(inner, Mapping(Arc::new(map))))
    }
}

forward_to_intercepted!(MapErrors);

type Map = Arc<dyn Fn(&Operation, Error) -> Error + Send + Sync>;

struct Mapping(Map);

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mapping")
    }
}

impl Interceptor for Mapping {
    type Call = Mapped;

    async fn begin(&self, operation: Operation) -> Result<Mapped> {
        let map = Arc::clone(&self.0);
        Ok(Mapped { operation, map })
    }
}

/// A call whose error is mapped if it fails.
pub(super) struct Mapped {
    operation: Operation,
    map: Map,
}

impl InterceptedCall for Mapped {
    fn open(self, body: Body, _: u64) -> Body {
        if body.local_file().is_some() {
            return body;
        }
        let Self { operation, map } = self;
        Body::from_stream(
            body.into_stream()
                .map_err(move |error| map(&operation, error)),
        )
    }

    fn succeed(self, _: u64) {}

    fn fail(self, error: Error) -> Error {
        (self.map)(&self.operation, error)
    }
}
