//! A repository of a cache: where each call goes.

use std::time::Duration;

use async_trait::async_trait;

use super::Cache;
use super::fallback::is_down;
use super::fetch::Known;
use super::lists::ListKey;
use crate::*;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<U: Backend + 'static, S: Backend + 'static> Backend for Cache<U, S> {
    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        match self.store.read(kind, target).await {
            Ok(content) => {
                self.hit(kind, target);
                Ok(content)
            }
            Err(_) => self.read_missing(kind, Known::Target(target)).await,
        }
    }

    /// A part of content that is missing is read from the upstream, and nothing is stored.
    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        if let Ok(part) = self.store.read_range(kind, target, range).await {
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
        let is_in_store = match reference {
            TagOrDigest::Digest(_) => true,
            TagOrDigest::Tag(tag) => self.shared.tags.is_fresh(self.name(), tag),
        };
        if is_in_store && let Ok(content) = self.store.read_reference(kind, reference).await {
            self.hit(kind, content.descriptor());
            return Ok(content);
        }
        match reference {
            TagOrDigest::Digest(digest) => self.read_missing(kind, Known::Digest(digest)).await,
            TagOrDigest::Tag(_) => {
                let target = self.stat(kind, reference).await?;
                self.read(kind, &target).await
            }
        }
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        match reference {
            TagOrDigest::Tag(tag) if kind == ContentKind::Manifest => {
                match self.resolve_stored(tag).await {
                    Some(found) => Ok(found),
                    None => self.refresh(tag).await,
                }
            }
            TagOrDigest::Tag(_) => {
                let found = self.upstream.stat(kind, reference);
                self.stall().bound(found).await
            }
            TagOrDigest::Digest(digest) => {
                if let Ok(found) = self.store.stat(kind, reference).await {
                    return Ok(found);
                }
                let key = (self.name().clone(), kind, *digest);
                match self.shared.fills.get(&key) {
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
        self.changes(kind, options);
        let written = self.upstream.write(kind, expected, source, options).await;
        self.changes(kind, options);
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
        self.shared.lists.changed(self.name());
        let removed = self.upstream.remove(kind, target).await;
        self.shared.lists.changed(self.name());
        removed?;
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
        self.list_or_stored(ListKey::Tags, listing, move || {
            self.store.list_tags(options)
        })
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
        let key = ListKey::referrers(subject.digest(), artifact_type.as_ref());
        self.list_or_stored(key, listing, move || {
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
