//! Every backend is a repository.

use async_trait::async_trait;

use super::calls::{self, kind_of};
use super::views::{Blobs, Manifests};
use super::{BlobStore, ManifestStore, Mounter, ReferrerLister, Repository, TagLister};
use crate::backend::{Backend, ContentKind, PushOptions, PushOutcome};
use crate::content::{ByteRange, Content, Source};
use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::listing::{ListOptions, Listing};
use crate::media_type::MediaType;
use crate::reference::{RepositoryName, Tag, TagOrDigest};
use crate::storage::{
    Deleter, Fetcher, PredecessorFinder, Pusher, ReadOnlyStorage, ReferenceFetcher,
    ReferencePusher, Resolver, Tagger, Untagger,
};

impl<B: Backend> Repository for B {
    fn blobs(&self) -> Box<dyn BlobStore + '_> {
        Box::new(Blobs(self))
    }

    fn manifests(&self) -> Box<dyn ManifestStore + '_> {
        Box::new(Manifests(self))
    }
}

#[async_trait]
impl<B: Backend> Fetcher for B {
    async fn fetch(&self, target: &Descriptor) -> Result<Content> {
        calls::fetch(self, kind_of(target), target).await
    }

    async fn fetch_range(&self, target: &Descriptor, range: ByteRange) -> Result<Content> {
        calls::fetch_range(self, kind_of(target), target, range).await
    }
}

#[async_trait]
impl<B: Backend> ReadOnlyStorage for B {
    async fn exists(&self, target: &Descriptor) -> Result<bool> {
        calls::exists(self, kind_of(target), target).await
    }
}

#[async_trait]
impl<B: Backend> Pusher for B {
    async fn push(&self, expected: &Descriptor, source: Source<'_>) -> Result<PushOutcome> {
        let options = PushOptions::default();
        calls::push(self, kind_of(expected), expected, source, &options).await
    }
}

#[async_trait]
impl<B: Backend> Deleter for B {
    async fn delete(&self, target: &Descriptor) -> Result<()> {
        calls::delete(self, kind_of(target), target).await
    }
}

#[async_trait]
impl<B: Backend> Resolver for B {
    async fn resolve(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        calls::resolve(self, ContentKind::Manifest, reference).await
    }
}

#[async_trait]
impl<B: Backend> Tagger for B {
    async fn tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        calls::tag(self, target, tag).await
    }
}

#[async_trait]
impl<B: Backend> Untagger for B {
    async fn untag(&self, tag: &Tag) -> Result<()> {
        calls::untag(self, tag).await
    }
}

#[async_trait]
impl<B: Backend> ReferenceFetcher for B {
    async fn fetch_reference(&self, reference: &TagOrDigest) -> Result<Content> {
        calls::fetch_reference(self, ContentKind::Manifest, reference).await
    }
}

#[async_trait]
impl<B: Backend> ReferencePusher for B {
    async fn push_reference(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        tags: &[Tag],
    ) -> Result<PushOutcome> {
        let options = PushOptions::default().with_tags(tags);
        calls::push(self, ContentKind::Manifest, expected, source, &options).await
    }
}

#[async_trait]
impl<B: Backend> Mounter for B {
    async fn mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        calls::mount(self, target, from, fallback).await
    }
}

impl<B: Backend> TagLister for B {
    fn tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        calls::tags(self, options)
    }
}

impl<B: Backend> ReferrerLister for B {
    fn referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        calls::referrers(self, subject, artifact_type)
    }
}

#[async_trait]
impl<B: Backend> PredecessorFinder for B {
    async fn predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        calls::predecessors(self, node).await
    }
}
