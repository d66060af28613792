//! The options of a notifier.

use std::path::PathBuf;

use crate::endpoint::Endpoint;

/// Options of [`Notifier::open`](crate::Notifier::open).
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct NotifierOptions {
    /// The receivers. None by default.
    pub endpoints: Vec<Endpoint>,
    /// The directory of the queues, which is created if it does not exist. One notifier at a time can use it. With
    /// `None`, the default, the queues are in memory, and lost when the process ends.
    pub directory: Option<PathBuf>,
    /// How many bytes of events may wait for each endpoint. If there are more, the oldest ones are dropped. 64 MiB by
    /// default, about 60,000 events.
    pub max_queue_size: u64,
    /// The URL of the server as clients know it, such as `https://registry.example`, from which the URLs of manifests
    /// and blobs in events are built. Events have no URLs by default.
    pub public_url: Option<String>,
    /// The address of this server in events, for example its host name and port. None by default.
    pub address: Option<String>,
}

impl Default for NotifierOptions {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            directory: None,
            max_queue_size: 64 * 1024 * 1024,
            public_url: None,
            address: None,
        }
    }
}

impl NotifierOptions {
    /// Adds an endpoint.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Keeps the queues in `directory`.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Keeps up to `bytes` of events for each endpoint.
    #[must_use]
    pub fn with_max_queue_size(mut self, bytes: u64) -> Self {
        self.max_queue_size = bytes;
        self
    }

    /// Sets [`public_url`](Self::public_url).
    #[must_use]
    pub fn with_public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// Sets [`address`](Self::address).
    #[must_use]
    pub fn with_address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }
}
