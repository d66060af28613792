//! Ids of requests, by which logs and events can be compared.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Issues the ids of one server. They differ from those of other servers and of earlier runs.
#[derive(Debug)]
pub(crate) struct RequestIds {
    server: Arc<str>,
    next: AtomicU64,
}

/// The id of a request.
#[derive(Debug, Clone)]
pub(crate) struct RequestId {
    server: Arc<str>,
    number: u64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        // Its keys are random.
        let random = RandomState::new().hash_one(());
        Self {
            server: format!("{random:016x}").into(),
            next: AtomicU64::new(1),
        }
    }

    pub(crate) fn next(&self) -> RequestId {
        RequestId {
            server: Arc::clone(&self.server),
            number: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.server, self.number)
    }
}
