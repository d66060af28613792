//! A repository of a cache.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;

use super::Cache;
use super::fallback::{is_down, or_stored};
use super::fills::{Fill, Key};
use super::origin::Origin;
use super::reader::{altered, follow};
use super::spool::{End, Spool};
use super::stall::{Stall, stalled};
use crate::*;

/// How long the upstream may take to resolve a tag that the store does not have. Clients do not wait longer.
const LONGEST_LOOKUP: Duration = Duration::from_secs(60);

/// Blobs that are larger, in bytes, are read while they arrive.
const READ_WHILE_FETCHED: u64 = 64 * 1024;

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl<U: Backend + 'static, S: Backend + 'static> Cache<U, S> {
    fn name(&self) -> &RepositoryName {
        self.upstream.info().name
    }

    async fn is_stored(&self, kind: ContentKind, target: &Descriptor) -> bool {
        // A store that fails is one that does not have it.
        let found = self.store.find(kind, target, Access::Read).await;
        found.is_ok_and(|found| found == Presence::Whole)
    }

    /// Counts a read that needs the upstream.
    fn miss(&self) {
        count(&self.shared.counts.misses);
        count(&self.counts.misses);
    }

    /// Counts a read that the store has answered.
    fn hit(&self, kind: ContentKind, target: &Descriptor) {
        count(&self.shared.counts.hits);
        count(&self.counts.hits);
        if let Some(usage) = self.shared.usage(self.name()) {
            usage.used(self.name(), kind, target);
        }
    }

    /// Returns a new bound on how long the upstream may send nothing.
    fn stall(&self) -> Stall {
        Stall::new(self.shared.options.stall_timeout)
    }

    /// Opens content at the upstream, which is not stored.
    async fn read_upstream(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        self.stall().open(self.upstream.read(kind, target)).await
    }

    /// Opens content that the store does not have, and stores it.
    async fn read_missing(&self, kind: ContentKind, known: Known<'_>) -> Result<Content> {
        self.miss();
        let Some(fill) = self.fill(kind, known).await? else {
            return match known {
                Known::Target(target) => self.read_upstream(kind, target).await,
                Known::Digest(digest) => {
                    let reference = TagOrDigest::Digest(*digest);
                    let content = self.upstream.read_reference(kind, &reference);
                    self.stall().open(content).await
                }
            };
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
            End::Stored => match self.store.read(kind, target).await {
                Ok(content) => Ok(content),
                Err(_) => self.read_upstream(kind, target).await,
            },
        }
    }

    /// Returns the fetch of the content, which begins unless there is one; `None` if it is too large to be stored.
    async fn fill(&self, kind: ContentKind, known: Known<'_>) -> Result<Option<Arc<Fill>>> {
        let key = (self.name().clone(), kind, *known.digest());
        if let Some(fill) = self.shared.fills.get(&key) {
            return Ok(Some(fill));
        }
        let (cache, target) = (self.clone(), known.target().cloned());
        let opening = key.clone();
        let open = move || async move { cache.open(opening, target).await };
        self.shared.openings.join(key, open).await
    }

    /// Opens content at the upstream, and begins to store it.
    async fn open(self, key: Key, target: Option<Descriptor>) -> Result<Option<Arc<Fill>>> {
        let kind = key.1;
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
            return Ok(None);
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
        Ok(Some(fill))
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

    fn moved(&self, tag: &Tag) {
        self.shared.tags.moved(self.name(), tag);
        let key = (self.name().clone(), tag.clone());
        self.shared.tag_lookups.forget(&key);
    }

    /// Asks the upstream what `tag` names, and points the tag of the store at that.
    async fn refresh(&self, tag: &Tag) -> Result<Descriptor> {
        let (name, tags) = (self.name(), &self.shared.tags);
        let ticket = tags.begin();
        let (kind, reference) = (ContentKind::Manifest, TagOrDigest::Tag(tag.clone()));
        let stored = self.store.stat(kind, &reference).await.ok();
        let found = match self.ask_upstream(tag, stored.is_some()).await {
            Ok(found) => found,
            Err(error) if is_down(&error) => {
                let Some(stale) = stored else {
                    return Err(error);
                };
                self.shared.options.report_stale(name, tag, &error);
                // The next readers need not wait until the upstream fails once more.
                tags.extend(name, tag);
                count(&self.shared.stale);
                return Ok(stale);
            }
            Err(error) => {
                if error.is_not_found()
                    && let Some(_turn) = tags.set(name, tag, ticket).await
                {
                    // If that fails, the upstream is asked again all the same.
                    let _ = self.store.remove_tag(tag).await;
                    tags.missing(name, tag, ticket);
                }
                return Err(error);
            }
        };
        if !self.is_stored(kind, &found).await {
            self.miss();
            if let Ok(Some(fill)) = self.fill(kind, Known::Target(&found)).await {
                fill.stored().await;
            }
        }
        let Some(_turn) = tags.set(name, tag, ticket).await else {
            return Ok(found);
        };
        let stored = self.store.stat(kind, &reference).await;
        let is_tagged = stored.is_ok_and(|stored| stored.same_content(&found));
        if is_tagged || self.store.set_tag(&found, tag).await.is_ok() {
            tags.resolved(name, tag, ticket);
        }
        Ok(found)
    }

    /// Asks the upstream what a tag names; not for long if the store has it too. Callers that ask at the same time share
    /// a request, unless tags have no time to live.
    async fn ask_upstream(&self, tag: &Tag, is_stored: bool) -> Result<Descriptor> {
        let upstream = Arc::clone(&self.upstream);
        let reference = TagOrDigest::Tag(tag.clone());
        let ask = async move { upstream.stat(ContentKind::Manifest, &reference).await };
        let asked = async {
            if self.shared.tags.ttl.is_zero() {
                return ask.await;
            }
            let key = (self.name().clone(), tag.clone());
            self.shared.tag_lookups.join(key, || ask).await
        };
        let patience = match is_stored {
            true => self.shared.options.patience,
            false => LONGEST_LOOKUP,
        };
        let answer = tokio::time::timeout(patience, asked).await;
        answer.unwrap_or_else(|_| {
            let message = "the upstream registry did not respond in time";
            Err(Error::new(ErrorKind::Timeout, message))
        })
    }
}

/// How a caller names content.
#[derive(Debug, Clone, Copy)]
enum Known<'a> {
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

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<U: Backend + 'static, S: Backend + 'static> Backend for Cache<U, S> {
    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        if self.is_stored(kind, target).await
            && let Ok(content) = self.store.read(kind, target).await
        {
            self.hit(kind, target);
            return Ok(content);
        }
        self.read_missing(kind, Known::Target(target)).await
    }

    /// A part of content that is missing is read from the upstream, and nothing is stored.
    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        if self.is_stored(kind, target).await
            && let Ok(part) = self.store.read_range(kind, target, range).await
        {
            self.hit(kind, target);
            return Ok(part);
        }
        self.miss();
        let part = self.upstream.read_range(kind, target, range);
        self.stall().open(part).await
    }

    /// Content that is missing does not have a URL, so that a read stores it.
    async fn direct_url(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        valid_for: Duration,
    ) -> Result<Option<DirectUrl>> {
        if !self.is_stored(kind, target).await {
            return Ok(None);
        }
        let url = self.store.direct_url(kind, target, valid_for).await?;
        if url.is_some() {
            self.hit(kind, target);
        }
        Ok(url)
    }

    async fn read_reference(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Content> {
        let TagOrDigest::Digest(digest) = reference else {
            let target = self.stat(kind, reference).await?;
            return self.read(kind, &target).await;
        };
        match self.store.read_reference(kind, reference).await {
            Ok(content) => {
                self.hit(kind, content.descriptor());
                Ok(content)
            }
            Err(_) => self.read_missing(kind, Known::Digest(digest)).await,
        }
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        let name = self.name();
        let is_stored = match reference {
            TagOrDigest::Tag(tag) => self.shared.tags.is_fresh(name, tag),
            TagOrDigest::Digest(_) => true,
        };
        if is_stored && let Ok(found) = self.store.stat(kind, reference).await {
            return Ok(found);
        }
        match reference {
            TagOrDigest::Tag(tag) if kind == ContentKind::Manifest => self.refresh(tag).await,
            TagOrDigest::Tag(_) => {
                self.stall()
                    .bound(self.upstream.stat(kind, reference))
                    .await
            }
            TagOrDigest::Digest(digest) => {
                match self.shared.fills.get(&(name.clone(), kind, *digest)) {
                    Some(fill) => Ok(fill.target.clone()),
                    None => {
                        let found = self.upstream.stat(kind, reference);
                        self.stall().bound(found).await
                    }
                }
            }
        }
    }

    async fn find(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        access: Access,
    ) -> Result<Presence> {
        if access == Access::Read && self.is_stored(kind, target).await {
            return Ok(Presence::Whole);
        }
        let found = self.upstream.find(kind, target, access);
        self.stall().bound(found).await
    }

    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        // Before the call too: it may be dropped when the upstream has moved a tag.
        options.tags.iter().for_each(|tag| self.moved(tag));
        let written = self.upstream.write(kind, expected, source, options).await;
        options.tags.iter().for_each(|tag| self.moved(tag));
        written
    }

    async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        self.moved(tag);
        let set = self.upstream.set_tag(target, tag).await;
        self.moved(tag);
        set
    }

    async fn remove_tag(&self, tag: &Tag) -> Result<()> {
        self.moved(tag);
        let removed = self.upstream.remove_tag(tag).await;
        self.moved(tag);
        if removed.is_ok() {
            // While the upstream is down, it must not be resolved by the store.
            let _ = self.store.remove_tag(tag).await;
        }
        removed
    }

    async fn remove(&self, kind: ContentKind, target: &Descriptor) -> Result<()> {
        self.upstream.remove(kind, target).await?;
        if let Some(usage) = self.shared.usage(self.name()) {
            usage.removed(self.name(), kind, target);
        }
        match self.store.remove(kind, target).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        let listing = self.upstream.list_tags(options.clone());
        let patience = self.shared.options.stall_timeout;
        or_stored(listing, patience, move || self.store.list_tags(options))
    }

    fn list_referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        let (subject, artifact_type) = (subject.clone(), artifact_type.cloned());
        let listing = self
            .upstream
            .list_referrers(&subject, artifact_type.as_ref());
        let patience = self.shared.options.stall_timeout;
        or_stored(listing, patience, move || {
            self.store.list_referrers(&subject, artifact_type.as_ref())
        })
    }

    async fn list_predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        match self.upstream.list_predecessors(node).await {
            Err(error) if is_down(&error) => self.store.list_predecessors(node).await,
            found => found,
        }
    }

    /// Returns `None`: the tags of a batch would move unnoticed.
    fn begin_batch(&self) -> Option<Box<dyn Batch + '_>> {
        None
    }

    forward_backend!(self, self.upstream; info mount_blob start_upload resume_upload prepare_for_pushes);
}
