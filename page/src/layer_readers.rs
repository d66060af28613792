//! Bounds how many requests read layers at a time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Whose requests wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Reader {
    User(String),
    /// The address of a viewer that has not logged in, if it is known.
    Address(Option<IpAddr>),
}

/// The right to read layers, until it is dropped.
#[derive(Debug)]
pub(crate) struct ReadingPermit {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

/// Lets a number of requests read layers, and one of each viewer, so that a viewer of large images does not keep others
/// from reading.
#[derive(Debug)]
pub(crate) struct LayerReaders {
    shared: Arc<Semaphore>,
    viewers: Mutex<HashMap<Reader, Arc<Semaphore>>>,
}

impl LayerReaders {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            shared: Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS))),
            viewers: Mutex::default(),
        }
    }

    /// Waits until few enough other requests read layers, and no other one of `reader`.
    pub(crate) async fn acquire(&self, reader: Reader) -> Result<ReadingPermit, AcquireError> {
        let own = self.own(reader).acquire_owned().await?;
        let shared = Arc::clone(&self.shared).acquire_owned().await?;
        Ok(ReadingPermit {
            _own: own,
            _shared: shared,
        })
    }

    fn own(&self, reader: Reader) -> Arc<Semaphore> {
        let mut viewers = self.viewers.lock().unwrap_or_else(PoisonError::into_inner);
        // Permits and waiters have a reference.
        viewers.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        let own = viewers.entry(reader);
        Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(1))))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn user(name: &str) -> Reader {
        Reader::User(name.to_owned())
    }

    #[tokio::test]
    async fn a_viewer_does_not_keep_others_from_reading() {
        let readers = LayerReaders::new(2);
        let first = readers.acquire(user("ann")).await.expect("open");
        assert!(readers.acquire(user("ann")).now_or_never().is_none());
        let second = readers.acquire(user("bob")).now_or_never();
        assert!(second.is_some());
        let address = Reader::Address(None);
        assert!(readers.acquire(address).now_or_never().is_none(), "two");
        drop(first);
        assert!(readers.acquire(user("ann")).now_or_never().is_some());
    }

    #[tokio::test]
    async fn viewers_that_do_not_read_are_forgotten() {
        let readers = LayerReaders::new(2);
        for number in 0..100 {
            let permit = readers.acquire(user(&number.to_string())).await;
            drop(permit.expect("open"));
        }
        assert_eq!(readers.viewers.lock().expect("not poisoned").len(), 1);
    }
}
