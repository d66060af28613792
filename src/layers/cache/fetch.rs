//! Fetches content that the store does not have.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;

use super::Cache;
use super::fills::{Fill, Key};
use super::origin::Origin;
use super::reader::{altered, follow};
use super::spool::{End, Spool};
use super::stall::{Stall, stalled};
use crate::*;

/// Blobs that are larger, in bytes, are read while they arrive.
const READ_WHILE_FETCHED: u64 = 64 * 1024;

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// How a caller names content.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known<'a> {
    Digest(&'a Digest),
    Target(&'a Descriptor),
}

impl<'a> Known<'a> {
    fn digest(self) -> &'a Digest {
        match self {
            Self::Digest(digest) => digest,
            Self::Target(target) => target.digest(),
        }
    }

    fn target(self) -> Option<&'a Descriptor> {
        match self {
            Self::Digest(_) => None,
            Self::Target(target) => Some(target),
        }
    }
}

/// Content that the store did not have when a caller looked.
#[derive(Clone)]
pub(super) enum Opened {
    /// It is being fetched.
    Fill(Arc<Fill>),
    /// The store has it by now.
    Stored(Descriptor),
    /// It is too large to be stored.
    TooLarge(Descriptor),
}

impl<U: Backend + 'static, S: Backend + 'static> Cache<U, S> {
    pub(super) fn name(&self) -> &RepositoryName {
        self.upstream.info().name
    }

    pub(super) async fn is_stored(&self, kind: ContentKind, target: &Descriptor) -> bool {
        // A store that fails is one that does not have it.
        let found = self.store.find(kind, target, Access::Read).await;
        found.is_ok_and(|found| found == Presence::Whole)
    }

    /// Counts a read that needs the upstream.
    pub(super) fn miss(&self) {
        count(&self.shared.counts.misses);
        count(&self.counts.misses);
    }

    /// Counts a read that the store has answered.
    pub(super) fn hit(&self, kind: ContentKind, target: &Descriptor) {
        count(&self.shared.counts.hits);
        count(&self.counts.hits);
        if let Some(usage) = self.shared.usage(self.name()) {
            usage.used(self.name(), kind, target);
        }
    }

    /// Returns a new bound on how long the upstream may send nothing.
    pub(super) fn stall(&self) -> Stall {
        Stall::new(self.shared.options.stall_timeout)
    }

    /// Opens content at the upstream, which is not stored.
    async fn read_upstream(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        self.stall().open(self.upstream.read(kind, target)).await
    }

    /// Opens content that the store does not have, and stores it.
    pub(super) async fn read_missing(
        &self,
        kind: ContentKind,
        known: Known<'_>,
    ) -> Result<Content> {
        self.miss();
        let fill = match self.fill(kind, known).await? {
            Opened::Fill(fill) => fill,
            Opened::Stored(target) => return self.read_stored(kind, &target).await,
            Opened::TooLarge(target) => return self.read_upstream(kind, &target).await,
        };
        let (upstream, store) = (Arc::clone(&self.upstream), Arc::clone(&self.store));
        let target = fill.target.clone();
        let patience = self.shared.options.stall_timeout;
        let rest = move |end, offset: u64| {
            let (upstream, store) = (Arc::clone(&upstream), Arc::clone(&store));
            let (target, range) = (target.clone(), ByteRange::from(offset..));
            async move {
                match end {
                    End::Stored => store.read_range(kind, &target, range).await,
                    _ => {
                        let content = upstream.read_range(kind, &target, range);
                        Stall::new(patience).open(content).await
                    }
                }
            }
            .boxed()
        };
        if let Some(content) = follow(Arc::clone(&fill), patience, rest) {
            return Ok(content);
        }
        let target = &fill.target;
        match fill.stored().await {
            End::Altered => Err(altered(target)),
            End::Stalled => Err(stalled(patience)),
            End::Failed => self.read_upstream(kind, target).await,
            End::Stored => self.read_stored(kind, target).await,
        }
    }

    /// Opens content that was stored a moment ago.
    async fn read_stored(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        match self.store.read(kind, target).await {
            Ok(content) => Ok(content),
            Err(_) => self.read_upstream(kind, target).await,
        }
    }

    /// Returns the fetch of the content, which begins unless there is one.
    pub(super) async fn fill(&self, kind: ContentKind, known: Known<'_>) -> Result<Opened> {
        let key = (self.name().clone(), kind, *known.digest());
        if let Some(fill) = self.shared.fills.get(&key) {
            return Ok(Opened::Fill(fill));
        }
        let (cache, target) = (self.clone(), known.target().cloned());
        let opening = key.clone();
        let open = move || async move { cache.open(opening, target).await };
        self.shared.openings.join(key, open).await
    }

    /// Opens content at the upstream, and begins to store it.
    async fn open(self, key: Key, target: Option<Descriptor>) -> Result<Opened> {
        let kind = key.1;
        // Another fetch may have ended since the caller did not find the content.
        if let Ok(stored) = self.store.stat(kind, &key.2.into()).await {
            return Ok(Opened::Stored(target.unwrap_or(stored)));
        }
        // Time that opening takes does not count for the bytes.
        let stall = self.stall();
        let content = match &target {
            Some(target) => stall.bound(self.upstream.read(kind, target)).await?,
            None => {
                let reference = key.2.into();
                let content = self.upstream.read_reference(kind, &reference);
                stall.bound(content).await?
            }
        };
        let target = target.unwrap_or_else(|| content.descriptor().plain());
        if !self.shared.has_room_for(&key.0, &target) {
            return Ok(Opened::TooLarge(target));
        }
        let spool = if kind == ContentKind::Blob && target.size() > READ_WHILE_FETCHED {
            // Without the file, readers wait for the store.
            Spool::create(self.shared.options.spool_directory.clone())
                .await
                .ok()
        } else {
            None
        };
        let fills = Arc::clone(&self.shared);
        let expected = target.clone();
        let fill = fills.fills.begin(key, &target, spool, move |spool| {
            self.store_content(kind, expected, content, spool).boxed()
        });
        Ok(Opened::Fill(fill))
    }

    async fn store_content(
        self,
        kind: ContentKind,
        target: Descriptor,
        content: Content,
        spool: Option<Arc<Spool>>,
    ) -> End {
        let upstream: Arc<dyn Backend> = Arc::clone(&self.upstream) as _;
        let origin = Origin {
            upstream,
            kind,
            target: target.clone(),
            opened: Mutex::new(Some(content)),
            spool,
            stall: Arc::new(self.stall()),
        };
        let source = Source::open_at(&origin);
        let options = PushOptions::default();
        match self.store.write(kind, &target, source, &options).await {
            Ok(_) => {
                if let Some(usage) = self.shared.usage(self.name()) {
                    usage.used(self.name(), kind, &target);
                }
                End::Stored
            }
            Err(error) => match error.kind() {
                _ if origin.stall.is_exceeded() => End::Stalled,
                ErrorKind::DigestMismatch | ErrorKind::SizeMismatch => End::Altered,
                _ => End::Failed,
            },
        }
    }
}
