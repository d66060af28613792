//! Where the objects of one layout lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::path::{Path, PathPart};
use tokio::sync::Mutex;
use tranship::{Digest, Result};

use super::bucket::Bucket;
use super::recent::Recent;
use crate::driver::{BLOBS, INDEX, OCI_LAYOUT, PRIVATE, marker};
use crate::index::EMPTY_INDEX;

/// One layout: what lies below one prefix of a store.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) bucket: Arc<Bucket>,
    pub(super) recent: Recent,
    prefix: Path,
    is_layout: AtomicBool,
    deletes: [Mutex<()>; 16],
}

impl Place {
    pub(super) fn new(bucket: Arc<Bucket>, prefix: Path) -> Self {
        Self {
            bucket,
            recent: Recent::default(),
            prefix,
            is_layout: AtomicBool::new(false),
            deletes: Default::default(),
        }
    }

    pub(super) fn prefix(&self) -> &Path {
        &self.prefix
    }

    pub(super) fn marker(&self) -> Path {
        child(&self.prefix, OCI_LAYOUT)
    }

    pub(super) fn index(&self) -> Path {
        child(&self.prefix, INDEX)
    }

    pub(super) fn blob(&self, digest: &Digest) -> Path {
        let blobs = child(&self.blobs(), digest.algorithm().as_str());
        child(&blobs, &digest.hex())
    }

    /// The prefix of the blobs.
    pub(super) fn blobs(&self) -> Path {
        child(&self.prefix, BLOBS)
    }

    /// Removes a blob; `false` if it was not there. Stores do not say whether there was something to
    /// delete, so of several tasks one after the other looks and deletes. Between processes it can
    /// happen that two have deleted the same.
    pub(super) async fn delete_blob(&self, digest: &Digest) -> Result<bool> {
        let slot = digest.as_bytes().first().map_or(0, |byte| byte % 16);
        let _turn = self.deletes[usize::from(slot)].lock().await;
        let key = self.blob(digest);
        if self.bucket.head(&key).await?.is_none() {
            return Ok(false);
        }
        self.recent.forget(digest);
        self.bucket.delete(&key).await?;
        Ok(true)
    }

    /// Says that this is a layout, over whatever says so now.
    pub(super) async fn write_marker(&self) -> Result<()> {
        let content = marker::CONTENT.into();
        self.bucket.put(&self.marker(), content).await.map(drop)
    }

    /// The prefix of the uploads.
    pub(super) fn uploads(&self) -> Path {
        child(&child(&self.prefix, PRIVATE), "uploads")
    }

    fn probe(&self) -> Path {
        child(&child(&self.prefix, PRIVATE), "probe")
    }

    /// Whether changes of the index go on conditions.
    ///
    /// # Errors
    /// `Unsupported` if the store has none and must have.
    pub(super) async fn must_keep_conditions(&self) -> Result<bool> {
        self.bucket.requires_conditions(&self.probe()).await
    }

    /// Makes sure that this can be written to and is a layout. `oci-layout` comes first, then an index;
    /// who finds one and not the other finds an empty layout.
    ///
    /// # Errors
    /// As [`must_keep_conditions`](Self::must_keep_conditions).
    pub(super) async fn prepare(&self) -> Result<()> {
        if self.is_layout.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.must_keep_conditions().await?;
        let (marker, index) = (self.marker(), self.index());
        if self.bucket.head(&marker).await?.is_none() {
            self.bucket.create(&marker, marker::CONTENT.into()).await?;
            self.bucket.create(&index, EMPTY_INDEX.into()).await?;
        }
        self.is_layout.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// What is called `name` below `prefix`. Names are ours, and none needs another spelling.
pub(super) fn child(prefix: &Path, name: &str) -> Path {
    prefix.clone().join(PathPart::from(name))
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::options::LayoutOptions;

    #[test]
    fn objects_lie_where_the_format_says() {
        let store = Arc::new(InMemory::new());
        let bucket = Bucket::new(store, &LayoutOptions::default());
        let bucket = Arc::new(bucket);
        let place = Place::new(Arc::clone(&bucket), Path::from("team/app"));
        let digest = Digest::of(b"x");
        assert_eq!(place.marker().as_ref(), "team/app/oci-layout");
        assert_eq!(place.index().as_ref(), "team/app/index.json");
        let blob = format!("team/app/blobs/sha256/{}", digest.hex());
        assert_eq!(place.blob(&digest).as_ref(), blob);
        assert_eq!(place.uploads().as_ref(), "team/app/.tranship/uploads");
        let root = Place::new(bucket, Path::default());
        assert_eq!(root.index().as_ref(), "index.json");
    }
}
