//! What garbage collection did.

use serde::Serialize;
use tranship::{Descriptor, Digest};

use crate::driver::{LeftoverKind, Stored};

/// What garbage collection did, or with [`dry_run`](Self::dry_run) would do.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GcReport {
    /// Whether nothing was removed in fact.
    pub dry_run: bool,
    /// The entries without a tag that were taken out of `index.json`.
    pub untagged: Vec<Descriptor>,
    /// The blobs and manifests that were removed, in the order of their digests.
    pub removed: Vec<RemovedBlob>,
    /// The files that processes had left behind, and that were removed.
    pub leftovers: Vec<RemovedLeftover>,
    /// How many bytes the removal set free. A file that has other names, as in another layout on the
    /// same disk, frees nothing.
    pub freed: u64,
    /// What is in use and stays.
    pub referenced: Amount,
    /// What nothing refers to, and is too young to go.
    pub young: Amount,
    /// What something that stays refers to and is not there: a layout need not hold everything. What
    /// an absent manifest refers to is not known, so that this is removed like anything else.
    pub absent: Vec<Digest>,
    /// What lies under `blobs/` and is no blob. It is left alone.
    pub strays: Vec<Stray>,
}

/// A blob or manifest that was removed.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemovedBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whether the bytes have another name, so that nothing became free.
    pub shared: bool,
}

/// A file in `.tranship` that was removed.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemovedLeftover {
    /// What it was to become.
    pub kind: LeftoverKind,
    /// Its size in bytes.
    pub size: u64,
    /// Whether the bytes have another name, so that nothing became free.
    pub shared: bool,
}

/// How much there is of something.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Amount {
    /// How many blobs and manifests.
    pub count: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

impl Amount {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Something under `blobs/` that is no blob.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stray {
    /// Where it lies below `blobs/`.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
}

impl GcReport {
    pub(super) fn removed(&mut self, digest: Digest, stored: &Stored) {
        self.free(stored.size, stored.is_shared);
        self.removed.push(RemovedBlob {
            digest,
            size: stored.size,
            shared: stored.is_shared,
        });
    }

    pub(super) fn removed_leftover(&mut self, leftover: &crate::driver::Leftover) {
        self.free(leftover.size, leftover.is_shared);
        self.leftovers.push(RemovedLeftover {
            kind: leftover.kind,
            size: leftover.size,
            shared: leftover.is_shared,
        });
    }

    fn free(&mut self, size: u64, is_shared: bool) {
        if !is_shared {
            self.freed = self.freed.saturating_add(size);
        }
    }
}
