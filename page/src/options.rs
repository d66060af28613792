//! The options of the pages.

use std::time::Duration;

/// Options of [`Page`](crate::Page).
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct PageOptions {
    /// How long a login is valid. 12 hours by default.
    pub session_lifetime: Duration,
    /// How many logins are kept. The oldest ones end when there are more. 10,000 by default.
    pub max_sessions: usize,
    /// How long a page collects details, such as sizes, before it is sent without the remaining ones. 2 seconds by
    /// default.
    pub details_timeout: Duration,
    /// How long reading one page or one file of an image may take. 30 seconds by default.
    pub timeout: Duration,
    /// The largest document, such as an SBOM, that is shown in place, in bytes. 8 MiB by default.
    pub max_document_size: u64,
    /// The largest layers of an image whose files are listed, in bytes, together and compressed. 512 MiB by default.
    pub max_layers_size: u64,
    /// How much the layers that a page reads may be when they are decompressed, in bytes. 2 GiB by default.
    pub max_unpacked_size: u64,
    /// How long a page may decompress layers, without the time in which their bytes are waited for. 5 seconds by default.
    pub max_layers_time: Duration,
    /// How many requests may read layers at a time, at most one of each user, or of each address. 2 by default.
    pub max_layer_readers: usize,
    /// Whether pages are shown only to browsers that name a loopback address or `localhost` as the host. Set it for a
    /// server that only this machine reaches: a site whose name is made to resolve to a loopback address could otherwise
    /// read the pages and send their forms (DNS rebinding). False by default.
    pub local_hosts_only: bool,
}

impl Default for PageOptions {
    fn default() -> Self {
        Self {
            session_lifetime: Duration::from_secs(12 * 60 * 60),
            max_sessions: 10_000,
            details_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(30),
            max_document_size: 8 * 1024 * 1024,
            max_layers_size: 512 * 1024 * 1024,
            max_unpacked_size: 2 * 1024 * 1024 * 1024,
            max_layers_time: Duration::from_secs(5),
            max_layer_readers: 2,
            local_hosts_only: false,
        }
    }
}

impl PageOptions {
    /// Sets [`session_lifetime`](Self::session_lifetime).
    #[must_use]
    pub fn with_session_lifetime(mut self, time: Duration) -> Self {
        self.session_lifetime = time;
        self
    }

    /// Sets [`max_sessions`](Self::max_sessions); at least 1.
    #[must_use]
    pub fn with_max_sessions(mut self, count: usize) -> Self {
        self.max_sessions = count.max(1);
        self
    }

    /// Sets [`details_timeout`](Self::details_timeout).
    #[must_use]
    pub fn with_details_timeout(mut self, time: Duration) -> Self {
        self.details_timeout = time;
        self
    }

    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub fn with_timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// Sets [`local_hosts_only`](Self::local_hosts_only).
    #[must_use]
    pub fn with_local_hosts_only(mut self, only: bool) -> Self {
        self.local_hosts_only = only;
        self
    }

    /// Sets [`max_document_size`](Self::max_document_size), in bytes.
    #[must_use]
    pub fn with_max_document_size(mut self, bytes: u64) -> Self {
        self.max_document_size = bytes;
        self
    }

    /// Sets [`max_layers_size`](Self::max_layers_size), in bytes.
    #[must_use]
    pub fn with_max_layers_size(mut self, bytes: u64) -> Self {
        self.max_layers_size = bytes;
        self
    }

    /// Sets [`max_unpacked_size`](Self::max_unpacked_size), in bytes.
    #[must_use]
    pub fn with_max_unpacked_size(mut self, bytes: u64) -> Self {
        self.max_unpacked_size = bytes;
        self
    }

    /// Sets [`max_layers_time`](Self::max_layers_time).
    #[must_use]
    pub fn with_max_layers_time(mut self, time: Duration) -> Self {
        self.max_layers_time = time;
        self
    }

    /// Sets [`max_layer_readers`](Self::max_layer_readers); at least 1.
    #[must_use]
    pub fn with_max_layer_readers(mut self, count: usize) -> Self {
        self.max_layer_readers = count.max(1);
        self
    }
}
