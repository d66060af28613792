//! The numbers of requests that were sent, by kind.

use std::sync::atomic::{AtomicU64, Ordering};

/// The kind of a request.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestKind {
    /// `GET /v2/`.
    Ping,
    /// `HEAD` of a manifest.
    ManifestHead,
    /// `GET` of a manifest.
    ManifestGet,
    /// `PUT` of a manifest.
    ManifestPut,
    /// `DELETE` of a manifest or tag.
    ManifestDelete,
    /// `HEAD` of a blob.
    BlobHead,
    /// `GET` of a blob or a part of one.
    BlobGet,
    /// `DELETE` of a blob.
    BlobDelete,
    /// `POST` that mounts a blob from a repository that it names.
    Mount,
    /// `POST` that begins an upload.
    UploadStart,
    /// `PATCH` of an upload.
    UploadChunk,
    /// `PUT` that ends an upload.
    UploadEnd,
    /// `GET` of an upload's state.
    UploadStatus,
    /// `DELETE` of an upload.
    UploadCancel,
    /// `GET` of a page of tags.
    Tags,
    /// `GET` of a page of the catalog.
    Catalog,
    /// `GET` of a page of referrers.
    Referrers,
    /// A token server's `GET` or `POST`.
    Token,
}

const KINDS: usize = RequestKind::Token as usize + 1;

/// The numbers of requests of each kind that have been sent, with retries and redirects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestCounts([u64; KINDS]);

impl RequestCounts {
    /// Returns the number of requests of one kind.
    #[must_use]
    pub const fn of(&self, kind: RequestKind) -> u64 {
        self.0[kind as usize]
    }

    /// Returns the number of all requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counter([AtomicU64; KINDS]);

impl Counter {
    pub(crate) fn count(&self, kind: RequestKind) {
        self.0[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> RequestCounts {
        RequestCounts(std::array::from_fn(|kind| {
            self.0[kind].load(Ordering::Relaxed)
        }))
    }
}
