//! How a file system is read.

use std::time::Duration;

use tranship::{MAX_MANIFEST_SIZE, Platform};

/// How [`Filesystem::open`](super::Filesystem::open) reads an image, and its limits.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct FilesystemOptions {
    /// Which image of an index is read. By default the only one, or that for the platform of this machine.
    pub platform: Option<Platform>,
    /// The largest manifest or config that is read, in bytes; by default 4 MiB.
    pub max_manifest_size: u64,
    /// How many entries the layers may have together; by default 2,000,000.
    pub max_entries: u64,
    /// How much the names, link targets and extended attributes of all entries may be, in bytes; by default 512 MiB.
    pub max_metadata_size: u64,
    /// How much all layers may be when they are decompressed, in bytes; by default 64 GiB.
    pub max_unpacked_size: u64,
    /// How long the layers may be decompressed and hashed, without the time in which their bytes are waited for; by
    /// default not limited.
    pub max_work_time: Duration,
}

impl Default for FilesystemOptions {
    fn default() -> Self {
        Self {
            platform: None,
            max_manifest_size: MAX_MANIFEST_SIZE,
            max_entries: 2_000_000,
            max_metadata_size: 512 * 1024 * 1024,
            max_unpacked_size: 64 * 1024 * 1024 * 1024,
            max_work_time: Duration::MAX,
        }
    }
}

impl FilesystemOptions {
    /// Sets [`platform`](Self::platform).
    #[must_use]
    pub fn with_platform(mut self, platform: Option<Platform>) -> Self {
        self.platform = platform;
        self
    }

    /// Sets [`max_manifest_size`](Self::max_manifest_size), in bytes.
    #[must_use]
    pub fn with_max_manifest_size(mut self, bytes: u64) -> Self {
        self.max_manifest_size = bytes;
        self
    }

    /// Sets [`max_entries`](Self::max_entries).
    #[must_use]
    pub fn with_max_entries(mut self, entries: u64) -> Self {
        self.max_entries = entries;
        self
    }

    /// Sets [`max_metadata_size`](Self::max_metadata_size), in bytes.
    #[must_use]
    pub fn with_max_metadata_size(mut self, bytes: u64) -> Self {
        self.max_metadata_size = bytes;
        self
    }

    /// Sets [`max_unpacked_size`](Self::max_unpacked_size), in bytes.
    #[must_use]
    pub fn with_max_unpacked_size(mut self, bytes: u64) -> Self {
        self.max_unpacked_size = bytes;
        self
    }

    /// Sets [`max_work_time`](Self::max_work_time).
    #[must_use]
    pub fn with_max_work_time(mut self, time: Duration) -> Self {
        self.max_work_time = time;
        self
    }
}
