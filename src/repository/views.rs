//! The two halves of a repository.

use async_trait::async_trait;

use super::calls;
use super::{BlobStore, Mounter};
use crate::backend::{Access, Backend, ContentKind, Presence, PushOptions, PushOutcome};
use crate::content::{ByteRange, Content, Source};
use crate::descriptor::Descriptor;
use crate::error::{Result, ResultExt as _};
use crate::reference::{RepositoryName, Tag, TagOrDigest};
use crate::storage::{
    Deleter, Fetcher, Pusher, ReadOnlyStorage, ReferenceFetcher, ReferencePusher, Resolver, Tagger,
};
use crate::upload::{Upload, UploadId, Uploader};

/// The blobs of a repository.
pub(super) struct Blobs<'a>(pub(super) &'a dyn Backend);

/// The manifests of a repository.
pub(super) struct Manifests<'a>(pub(super) &'a dyn Backend);

macro_rules! store_one_kind {
    ($view:ident, $kind:expr) => {
        #[async_trait]
        impl Fetcher for $view<'_> {
            async fn fetch(&self, target: &Descriptor) -> Result<Content> {
                calls::fetch(self.0, $kind, target).await
            }

            async fn fetch_range(&self, target: &Descriptor, range: ByteRange) -> Result<Content> {
                calls::fetch_range(self.0, $kind, target, range).await
            }
        }

        #[async_trait]
        impl ReadOnlyStorage for $view<'_> {
            async fn exists(&self, target: &Descriptor) -> Result<bool> {
                calls::exists(self.0, $kind, target).await
            }
        }

        #[async_trait]
        impl Pusher for $view<'_> {
            async fn push(&self, expected: &Descriptor, source: Source<'_>) -> Result<PushOutcome> {
                calls::push(self.0, $kind, expected, source, &PushOptions::default()).await
            }
        }

        #[async_trait]
        impl Deleter for $view<'_> {
            async fn delete(&self, target: &Descriptor) -> Result<()> {
                calls::delete(self.0, $kind, target).await
            }
        }

        #[async_trait]
        impl Resolver for $view<'_> {
            async fn resolve(&self, reference: &TagOrDigest) -> Result<Descriptor> {
                calls::resolve(self.0, $kind, reference).await
            }
        }

        #[async_trait]
        impl ReferenceFetcher for $view<'_> {
            async fn fetch_reference(&self, reference: &TagOrDigest) -> Result<Content> {
                calls::fetch_reference(self.0, $kind, reference).await
            }
        }
    };
}

store_one_kind!(Blobs, ContentKind::Blob);
store_one_kind!(Manifests, ContentKind::Manifest);

#[async_trait]
impl Mounter for Blobs<'_> {
    async fn mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        calls::mount(self.0, target, from, fallback).await
    }
}

#[async_trait]
impl Uploader for Blobs<'_> {
    async fn start(&self) -> Result<Box<dyn Upload>> {
        let started = self.0.start_upload().await;
        started.during("start an upload to", self.0.info().name)
    }

    async fn resume(&self, id: &UploadId) -> Result<Box<dyn Upload>> {
        let resumed = self.0.resume_upload(id).await;
        resumed.during("resume an upload to", self.0.info().name)
    }
}

#[async_trait]
impl BlobStore for Blobs<'_> {
    async fn presence(&self, target: &Descriptor) -> Result<Presence> {
        calls::find(self.0, ContentKind::Blob, target, Access::Push).await
    }

    async fn push_with(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        calls::push(self.0, ContentKind::Blob, expected, source, options).await
    }
}

#[async_trait]
impl Tagger for Manifests<'_> {
    async fn tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        calls::tag(self.0, target, tag).await
    }
}

#[async_trait]
impl ReferencePusher for Manifests<'_> {
    async fn push_reference(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        tags: &[Tag],
    ) -> Result<PushOutcome> {
        let options = PushOptions::default().with_tags(tags);
        calls::push(self.0, ContentKind::Manifest, expected, source, &options).await
    }
}
