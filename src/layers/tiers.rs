//! Looks for content in one repository after the other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::*;

/// One repository or registry over another: what the upper one does not have is read from the lower one. Everything
/// that is pushed goes to the upper one. Put tiers over tiers for more than two.
///
/// Lists have what either tier has. A tag of the upper tier hides the same tag of the lower one. Nothing can be
/// deleted, since the lower tier would still have it.
///
/// ```
/// use tranship::layers::Tiers;
/// use tranship::prelude::*;
/// # use tranship::MediaType;
/// # use tranship_memory::MemoryRepository;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let base = MemoryRepository::new();
/// let blob = tranship::push_bytes(&base, MediaType::OCTET_STREAM, "from the base").await?;
/// let repository = Tiers::new(MemoryRepository::new(), base);
/// assert_eq!(repository.fetch(&blob).await?.read().await?, "from the base");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Tiers<U, L> {
    upper: U,
    lower: L,
}

impl<U, L> Tiers<U, L> {
    /// Puts `upper` over `lower`. Both are backends, or both are registries.
    pub fn new(upper: U, lower: L) -> Self {
        Self { upper, lower }
    }
}

const REASON: &str = "a lower tier may have it, and is not changed";

fn restrict(capabilities: Capabilities) -> Capabilities {
    let refused = Support::No(REASON);
    capabilities
        .with_delete_blobs(refused)
        .with_delete_manifests(refused)
        .with_untag(refused)
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<U: Backend, L: Backend> Backend for Tiers<U, L> {
    fn info(&self) -> RepositoryInfo<'_> {
        let info = self.upper.info();
        let capabilities = restrict(info.capabilities);
        info.with_capabilities(capabilities)
    }

    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        match self.upper.read(kind, target).await {
            Err(error) if error.is_not_found() => self.lower.read(kind, target).await,
            read => read,
        }
    }

    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        match self.upper.read_range(kind, target, range).await {
            Err(error) if error.is_not_found() => self.lower.read_range(kind, target, range).await,
            read => read,
        }
    }

    async fn read_reference(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Content> {
        match self.upper.read_reference(kind, reference).await {
            Err(error) if error.is_not_found() => self.lower.read_reference(kind, reference).await,
            read => read,
        }
    }

    async fn direct_url(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        valid_for: Duration,
    ) -> Result<Option<DirectUrl>> {
        match self.upper.find(kind, target, Access::Read).await? {
            Presence::Absent => self.lower.direct_url(kind, target, valid_for).await,
            _ => self.upper.direct_url(kind, target, valid_for).await,
        }
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        match self.upper.stat(kind, reference).await {
            Err(error) if error.is_not_found() => self.lower.stat(kind, reference).await,
            found => found,
        }
    }

    async fn find(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        access: Access,
    ) -> Result<Presence> {
        match self.upper.find(kind, target, access).await? {
            Presence::Absent => self.lower.find(kind, target, Access::Read).await,
            found => Ok(found),
        }
    }

    /// Content that only the lower tier has is not stored again. A manifest that gets tags is.
    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        let found = match options.tags {
            [] => self.find(kind, expected, Access::Push).await?,
            _ => Presence::Absent,
        };
        if kind == ContentKind::Blob && found == Presence::Whole {
            return Ok(PushOutcome::Present);
        }
        self.upper.write(kind, expected, source, options).await
    }

    async fn mount_blob(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        let found = self.find(ContentKind::Blob, target, Access::Push).await?;
        if found == Presence::Whole {
            return Ok(PushOutcome::Present);
        }
        self.upper.mount_blob(target, from, fallback).await
    }

    async fn remove(&self, _: ContentKind, _: &Descriptor) -> Result<()> {
        Err(Error::unsupported(REASON))
    }

    async fn remove_tag(&self, _: &Tag) -> Result<()> {
        Err(Error::unsupported(REASON))
    }

    async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        let kind = ContentKind::Manifest;
        if self.upper.find(kind, target, Access::Push).await? == Presence::Whole {
            return self.upper.set_tag(target, tag).await;
        }
        let reference = TagOrDigest::Digest(*target.digest());
        let content = self.lower.read_reference(kind, &reference).await?;
        let stored = content.descriptor().plain();
        if !stored.same_content(target) {
            return Err(Error::not_found(target.digest()));
        }
        let content = content.read().await?;
        let options = PushOptions::default().with_tags(std::slice::from_ref(tag));
        let pushed = self.upper.write(kind, &stored, content.into(), &options);
        pushed.await.map(drop)
    }

    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        let lower = self.lower.list_tags(options.clone());
        merged(self.upper.list_tags(options), lower)
    }

    fn list_referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        let upper = self.upper.list_referrers(subject, artifact_type);
        let lower = self.lower.list_referrers(subject, artifact_type);
        let mut seen = BTreeSet::new();
        let all = upper
            .chain(lower)
            .try_filter(move |referrer| std::future::ready(seen.insert(*referrer.digest())));
        all.boxed()
    }

    async fn list_predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        let mut found = self.upper.list_predecessors(node).await?;
        found.extend(self.lower.list_predecessors(node).await?);
        found.sort_by(|one, other| one.digest().cmp(other.digest()));
        found.dedup_by(|one, other| one.digest() == other.digest());
        Ok(found)
    }

    fn begin_batch(&self) -> Option<Box<dyn Batch + '_>> {
        let upper = self.upper.begin_batch()?;
        let lower: &dyn Backend = &self.lower;
        Some(Box::new(TiersBatch(Tiers::new(upper, lower))))
    }

    forward_backend!(self, self.upper; start_upload resume_upload prepare_for_pushes);
}

#[derive(Debug)]
struct TiersBatch<'a>(Tiers<Box<dyn Batch + 'a>, &'a dyn Backend>);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Batch for TiersBatch<'_> {
    fn backend(&self) -> &dyn Backend {
        &self.0
    }

    fn concurrency(&self) -> Option<usize> {
        self.0.upper.concurrency()
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.0.upper.commit().await
    }
}

/// Merges two listings in the same order; what both have is listed once.
fn merged<'a, T: Ord + Send + 'a>(one: Listing<'a, T>, other: Listing<'a, T>) -> Listing<'a, T> {
    let state = (one, other, None::<T>, None::<T>);
    let merged = stream::try_unfold(state, |(mut one, mut other, mut left, mut right)| async {
        if left.is_none() {
            left = one.try_next().await?;
        }
        if right.is_none() {
            right = other.try_next().await?;
        }
        let next = match (left.take(), right.take()) {
            (Some(first), Some(second)) if first > second => {
                left = Some(first);
                Some(second)
            }
            (Some(first), Some(second)) => {
                right = Some(second).filter(|second| *second != first);
                Some(first)
            }
            (first, second) => first.or(second),
        };
        Ok(next.map(|next| (next, (one, other, left, right))))
    });
    merged.boxed()
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<U: Registry, L: Registry> Registry for Tiers<U, L> {
    fn identity(&self) -> &RegistryIdentity {
        self.upper.identity()
    }

    fn capabilities(&self) -> Capabilities {
        restrict(self.upper.capabilities())
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        let upper = self.upper.repository(name).await?;
        let lower = self.lower.repository(name).await?;
        Ok(Arc::new(Tiers { upper, lower }))
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        let lower = self.lower.repositories(options.clone());
        merged(self.upper.repositories(options), lower)
    }

    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        self.upper.expire_uploads(idle).await
    }
}
