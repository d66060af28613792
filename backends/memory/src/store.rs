//! The content of all repositories of a registry, each digest once, for as long as somebody holds it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, RwLock, Weak};

use bytes::Bytes;
use futures_util::stream;
use tranship::{Body, Digest, Result};

use crate::lock::{read, write};
use crate::pieces::{Pieces, PiecesBuilder};
use crate::quota::{Quota, Reservation};

/// A map by digest under several locks, so that writers of different content seldom meet.
#[derive(Debug)]
pub(crate) struct Shards<V>([RwLock<HashMap<Digest, V>>; 16]);

impl<V> Shards<V> {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| RwLock::default()))
    }

    /// The part of the map that `digest` belongs to.
    pub(crate) fn of(&self, digest: &Digest) -> &RwLock<HashMap<Digest, V>> {
        let first = digest.as_bytes().first().copied().unwrap_or_default();
        &self.0[usize::from(first % 16)]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|shard| read(shard).is_empty())
    }
}

/// Repositories own the blobs; the store only knows them, to hand the same ones to others.
#[derive(Debug)]
pub(crate) struct Store {
    blobs: Shards<Weak<Blob>>,
    quota: Arc<Quota>,
}

impl Store {
    pub(crate) fn new(quota: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            blobs: Shards::new(),
            quota: Quota::new(quota),
        })
    }

    pub(crate) fn quota(&self) -> &Quota {
        &self.quota
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<Arc<Blob>> {
        read(self.blobs.of(digest))
            .get(digest)
            .and_then(Weak::upgrade)
    }

    /// An empty buffer, whose bytes count from the moment that they are in it.
    pub(crate) fn buffer(&self) -> Buffer {
        Buffer {
            pieces: PiecesBuilder::default(),
            reservation: Reservation::empty(Arc::clone(&self.quota)),
        }
    }

    /// Keeps `content`, which was checked against `digest`. Where the same is there already, that
    /// one is the answer.
    pub(crate) fn insert(self: &Arc<Self>, digest: Digest, content: Filled) -> Arc<Blob> {
        let mut shard = write(self.blobs.of(&digest));
        if let Some(present) = shard.get(&digest).and_then(Weak::upgrade) {
            return present;
        }
        let blob = Arc::new(Blob {
            digest,
            content,
            store: Arc::clone(self),
        });
        shard.insert(digest, Arc::downgrade(&blob));
        blob
    }
}

/// Content on its way in.
#[derive(Debug)]
pub(crate) struct Buffer {
    pieces: PiecesBuilder,
    reservation: Reservation,
}

impl Buffer {
    pub(crate) fn len(&self) -> u64 {
        self.pieces.len()
    }

    /// Appends `chunk`, or leaves all as it is if the quota is reached.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Result<()> {
        self.reservation.grow(chunk.len() as u64)?;
        self.pieces.push(chunk);
        Ok(())
    }

    pub(crate) fn finish(self) -> Filled {
        Filled {
            pieces: self.pieces.finish(),
            _reservation: self.reservation,
        }
    }
}

/// Content that is complete, with the room that it takes.
#[derive(Debug)]
pub(crate) struct Filled {
    pieces: Pieces,
    _reservation: Reservation,
}

impl Filled {
    pub(crate) fn pieces(&self) -> &Pieces {
        &self.pieces
    }
}

/// Stored content. Its bytes are free again when nobody holds it.
#[derive(Debug)]
pub(crate) struct Blob {
    digest: Digest,
    content: Filled,
    store: Arc<Store>,
}

impl Blob {
    pub(crate) fn size(&self) -> u64 {
        self.content.pieces.len()
    }

    /// All bytes together, copied only if they arrived in several large pieces.
    pub(crate) fn to_bytes(&self) -> Bytes {
        self.content.pieces.to_bytes()
    }

    /// The bytes of `range`, which are not copied. The blob lives until they are read.
    pub(crate) fn body(self: Arc<Self>, mut range: Range<u64>) -> Body {
        Body::from_stream(stream::iter(std::iter::from_fn(move || {
            let chunk = self.content.pieces.chunk(&range)?;
            range.start += chunk.len() as u64;
            Some(Ok(chunk))
        })))
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        let mut shard = write(self.store.blobs.of(&self.digest));
        // Somebody may have stored the same content again since the last holder let go.
        if shard
            .get(&self.digest)
            .is_some_and(|blob| blob.strong_count() == 0)
        {
            shard.remove(&self.digest);
        }
    }
}
