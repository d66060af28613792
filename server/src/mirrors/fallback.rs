//! A repository in place of one that does not exist.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{
    Backend, ByteRange, Content, ContentKind, Descriptor, DirectUrl, ListOptions, Listing,
    MediaType, Repository, Result, Tag, TagOrDigest,
};

/// A local repository while it has a tag, and a mirror until then. So one name never has content of both. Everything is pushed to the local one.
#[derive(Debug)]
pub(super) struct Fallback {
    local: Arc<dyn Repository>,
    mirror: Arc<dyn Repository>,
}

impl Fallback {
    pub(super) fn new(local: Arc<dyn Repository>, mirror: Arc<dyn Repository>) -> Self {
        Self { local, mirror }
    }

    async fn is_local(&self) -> Result<bool> {
        let options = ListOptions::default().with_page_size(1);
        let first = self.local.list_tags(options).try_next().await?;
        Ok(first.is_some())
    }

    /// Returns what was `found` in the local repository, or the repository to read from if nothing was.
    async fn or_mirror<T>(&self, found: Result<T>) -> Result<Result<T, &dyn Backend>> {
        match found {
            Err(error) if error.is_not_found() => match self.is_local().await {
                Ok(false) => Ok(Err(&self.mirror)),
                _ => Err(error),
            },
            found => found.map(Ok),
        }
    }

    /// Returns the listing of the repository that is read.
    fn listing<'a, T: Send + 'a>(
        &'a self,
        list: impl FnOnce(&'a dyn Backend) -> Listing<'a, T> + Send + 'a,
    ) -> Listing<'a, T> {
        let listing = async move {
            match self.is_local().await {
                Ok(true) => list(&self.local),
                Ok(false) => list(&self.mirror),
                Err(error) => stream::iter([Err(error)]).boxed(),
            }
        };
        stream::once(listing).flatten().boxed()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Backend for Fallback {
    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        match self.or_mirror(self.local.read(kind, target).await).await? {
            Ok(content) => Ok(content),
            Err(mirror) => mirror.read(kind, target).await,
        }
    }

    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        let found = self.local.read_range(kind, target, range).await;
        match self.or_mirror(found).await? {
            Ok(content) => Ok(content),
            Err(mirror) => mirror.read_range(kind, target, range).await,
        }
    }

    async fn read_reference(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Content> {
        let found = self.local.read_reference(kind, reference).await;
        match self.or_mirror(found).await? {
            Ok(content) => Ok(content),
            Err(mirror) => mirror.read_reference(kind, reference).await,
        }
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        let found = self.local.stat(kind, reference).await;
        match self.or_mirror(found).await? {
            Ok(found) => Ok(found),
            Err(mirror) => mirror.stat(kind, reference).await,
        }
    }

    async fn direct_url(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        valid_for: Duration,
    ) -> Result<Option<DirectUrl>> {
        let found = self.local.stat(kind, &(*target.digest()).into()).await;
        match self.or_mirror(found).await? {
            Ok(_) => self.local.direct_url(kind, target, valid_for).await,
            Err(mirror) => mirror.direct_url(kind, target, valid_for).await,
        }
    }

    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        self.listing(move |repository| repository.list_tags(options))
    }

    fn list_referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        let (subject, artifact_type) = (subject.clone(), artifact_type.cloned());
        self.listing(move |repository| repository.list_referrers(&subject, artifact_type.as_ref()))
    }

    async fn list_predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        match self.is_local().await? {
            true => self.local.list_predecessors(node).await,
            false => self.mirror.list_predecessors(node).await,
        }
    }

    tranship::forward_backend!(self, self.local;
        info find write mount_blob remove set_tag remove_tag start_upload resume_upload begin_batch
        prepare_for_pushes);
}
