//! A layout as the core's traits see it.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use tranship::{
    Access, Backend, Batch, ByteRange, Content, ContentKind, Descriptor, DirectUrl, ListOptions,
    Listing, MediaType, Presence, PushOptions, PushOutcome, RepositoryInfo, RepositoryName, Result,
    ResultExt as _, Source, Support, Tag, TagOrDigest, Upload, UploadId,
};

use crate::graph::Node;
use crate::index::Snapshot;
use crate::layout::Layout;

/// How many tags are listed at a time.
const TAGS: usize = 256;

#[async_trait]
impl Backend for Layout {
    fn info(&self) -> RepositoryInfo<'_> {
        let capabilities = self.shared.store.capabilities();
        let info = RepositoryInfo::new(&self.shared.name, capabilities);
        match &self.shared.registry {
            Some(registry) => info.with_registry(registry),
            None => {
                let alone = capabilities
                    .with_mount(Support::No(
                        "a layout on its own has no sibling repositories to mount from",
                    ))
                    .with_catalog(Support::No("a layout on its own is no registry"));
                info.with_capabilities(alone)
            }
        }
    }

    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        match kind {
            ContentKind::Blob => self.shared.blobs.read(target, None).await,
            ContentKind::Manifest => self.shared.manifests.read(target).await,
        }
    }

    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        match kind {
            ContentKind::Blob => self.shared.blobs.read(target, Some(range)).await,
            ContentKind::Manifest => self.shared.manifests.read_range(target, range).await,
        }
    }

    async fn read_reference(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Content> {
        match kind {
            ContentKind::Blob => {
                let target = self.shared.blobs.stat(reference).await?;
                self.shared.blobs.read(&target, None).await
            }
            ContentKind::Manifest => self.shared.manifests.read_reference(reference).await,
        }
    }

    /// Blobs of an object store have such URLs. Manifests are small, and every client has to see their headers.
    async fn direct_url(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        valid_for: Duration,
    ) -> Result<Option<DirectUrl>> {
        match kind {
            ContentKind::Blob => {
                let driver = self.shared.store.driver().await?;
                driver.direct_url(target.digest(), valid_for).await
            }
            ContentKind::Manifest => Ok(None),
        }
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        match kind {
            ContentKind::Blob => self.shared.blobs.stat(reference).await,
            ContentKind::Manifest => self.shared.manifests.stat(reference).await,
        }
    }

    async fn find(&self, kind: ContentKind, target: &Descriptor, _: Access) -> Result<Presence> {
        let is_stored = match kind {
            ContentKind::Blob => self.shared.blobs.has(target).await?,
            ContentKind::Manifest => self.shared.manifests.has(target).await?,
        };
        Ok(match is_stored {
            true => Presence::Whole,
            false => Presence::Absent,
        })
    }

    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        match kind {
            ContentKind::Blob => self.shared.blobs.write(expected, source, options).await,
            ContentKind::Manifest => {
                let manifests = &self.shared.manifests;
                manifests.write(expected, source, options.tags).await
            }
        }
    }

    async fn mount_blob(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        self.shared.blobs.mount(target, from, fallback).await
    }

    async fn remove(&self, kind: ContentKind, target: &Descriptor) -> Result<()> {
        match kind {
            ContentKind::Blob => self.shared.blobs.remove(target).await,
            ContentKind::Manifest => self.shared.manifests.remove(target).await,
        }
    }

    async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        self.shared.manifests.set_tag(target, tag).await
    }

    async fn remove_tag(&self, tag: &Tag) -> Result<()> {
        self.remove_tag_from_index(tag).await
    }

    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        let listing = async move {
            let snapshot = self.shared.store.index().await;
            let snapshot = snapshot.map_err(|error| error.with_operation("list tags"))?;
            Ok(tags_after(snapshot, options.last).map(Ok))
        };
        Box::pin(listing.into_stream().try_flatten())
    }

    fn list_referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        let digest = *subject.digest();
        let artifact_type = artifact_type.cloned();
        let listing = async move {
            let refers = |node: &Node| {
                node.subject == Some(digest)
                    && (artifact_type.is_none() || node.artifact_type == artifact_type)
            };
            let (found, failure) = self.find_predecessors(&digest, refers).await?;
            // A damaged manifest does not hide the others, nor do they hide it.
            Ok(stream::iter(
                found.into_iter().map(Ok).chain(failure.map(Err)),
            ))
        };
        Box::pin(listing.into_stream().try_flatten())
    }

    async fn list_predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        match self.find_predecessors(node.digest(), |_| true).await? {
            (found, None) => Ok(found),
            (_, Some(failure)) => Err(failure),
        }
    }

    async fn start_upload(&self) -> Result<Box<dyn Upload>> {
        self.shared.store.driver().await?.start_upload().await
    }

    async fn resume_upload(&self, id: &UploadId) -> Result<Box<dyn Upload>> {
        self.shared.store.driver().await?.resume_upload(id).await
    }

    fn begin_batch(&self) -> Option<Box<dyn Batch + '_>> {
        let is_batch = self.shared.store.is_batch();
        (!is_batch).then(|| Box::new(LayoutBatch(self.for_batch())) as Box<dyn Batch>)
    }
}

/// Returns the tags of an index after `last`. A caller that needs few of many does not pay for all.
fn tags_after(snapshot: Arc<Snapshot>, last: Option<String>) -> impl Stream<Item = Tag> {
    let pages = stream::unfold(Some(last), move |last| {
        let page: Option<Vec<Tag>> =
            last.map(|last| snapshot.tags(last.as_deref()).take(TAGS).cloned().collect());
        let next = page.as_ref().and_then(|page| page.get(TAGS - 1));
        let next = next.map(|tag| Some(tag.to_string()));
        ready(page.map(|page| (stream::iter(page), next)))
    });
    pages.flatten()
}

/// Pushes that share their syncs and one write of `index.json`.
#[derive(Debug)]
struct LayoutBatch(Layout);

#[async_trait]
impl Batch for LayoutBatch {
    fn backend(&self) -> &dyn Backend {
        &self.0
    }

    fn concurrency(&self) -> Option<usize> {
        self.0.shared.store.batch_concurrency()
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        let shared = &self.0.shared;
        shared.store.finish().await.during("push to", &shared.name)
    }
}
