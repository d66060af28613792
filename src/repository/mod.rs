//! What a repository is: blobs, manifests, tags and referrers under one name.
//!
//! The counterparts of the interfaces of `oras.land/oras-go/v2/registry`. They are implemented here, once, for
//! every [`Backend`].

mod blanket;
mod calls;
mod views;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;

use crate::backend::{Backend, Batch, Presence, PushOptions, PushOutcome};
use crate::capabilities::Capabilities;
use crate::content::Source;
use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::identity::RegistryIdentity;
use crate::listing::{ListOptions, Listing};
use crate::media_type::MediaType;
use crate::reference::{RepositoryName, Tag};
use crate::storage::{
    Deleter, PredecessorFinder, ReferenceFetcher, ReferencePusher, Resolver, Storage, TagResolver,
    Tagger, Untagger,
};
use crate::upload::Uploader;

/// Lists tags.
pub trait TagLister: Send + Sync {
    /// Lists the tags in ASCII order, each once. A repository that does not exist has no tags.
    ///
    /// # Errors
    /// An item of the stream is an error if a page cannot be fetched; it is the last item.
    fn tags(&self, options: ListOptions) -> Listing<'_, Tag>;
}

/// Lists what refers to a manifest (distribution-spec, "Listing Referrers").
pub trait ReferrerLister: Send + Sync {
    /// Lists the manifests whose `subject` is `subject`, each once, with their artifact type and their
    /// annotations; only those of `artifact_type`, if it is given. The subject need not exist.
    ///
    /// # Errors
    /// An item of the stream is an error if a page cannot be fetched; it is the last item.
    fn referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor>;
}

/// Makes a blob of one repository appear in another of the same registry.
#[async_trait]
pub trait Mounter: Send + Sync {
    /// Makes the blob `target` of the repository `from` appear in this one. If that cannot be done,
    /// for whatever reason, the blob is pushed from `fallback`, unless this repository has it: content
    /// that is stored is never sent again.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) if `from` does not have the blob and there is no
    ///   `fallback`.
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if the repository does not mount blobs and there is no
    ///   `fallback`.
    /// - As [`push`](crate::Pusher::push) if the fallback is used.
    async fn mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome>;
}

/// The blobs of a repository. Tags name manifests, so only digests resolve here, to a descriptor of
/// type [`MediaType::OCTET_STREAM`]; a tag is an
/// [`InvalidReference`](crate::ErrorKind::InvalidReference).
#[async_trait]
pub trait BlobStore: Storage + Deleter + Resolver + ReferenceFetcher + Mounter + Uploader {
    /// Looks for the blob `target`, for a caller that pushes it if it is missing. Unlike
    /// [`exists`](crate::ReadOnlyStorage::exists) it may ask with the rights that a push needs, and it
    /// tells a blob of the wrong size from none.
    ///
    /// # Errors
    /// As [`exists`](crate::ReadOnlyStorage::exists).
    async fn presence(&self, target: &Descriptor) -> Result<Presence>;

    /// Stores the content of `source` as the blob `expected`, as [`push`](crate::Pusher::push) does.
    ///
    /// If the future is dropped, nothing stays behind unless the push is
    /// [resumable](PushOptions::resumable).
    ///
    /// # Errors
    /// - As [`push`](crate::Pusher::push).
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if the options have tags.
    async fn push_with(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome>;
}

/// The manifests of a repository. Stored byte for byte as they were pushed, and never larger than the
/// backend's limit ([`MAX_MANIFEST_SIZE`](crate::MAX_MANIFEST_SIZE) unless configured).
pub trait ManifestStore:
    Storage + Deleter + Resolver + Tagger + ReferenceFetcher + ReferencePusher
{
}

impl<T> ManifestStore for T where
    T: Storage + Deleter + Resolver + Tagger + ReferenceFetcher + ReferencePusher + ?Sized
{
}

/// A repository: blobs, manifests, tags and referrers under one name.
///
/// Its own operations go to [`blobs`](Self::blobs) or [`manifests`](Self::manifests) by the media
/// type of the descriptor; those by tag or digest go to the manifests. Every [`Backend`] is a repository.
///
/// ```
/// use tranship::{Repository, Result, TagOrDigest};
///
/// /// Returns the total size of the layers, in bytes.
/// async fn weigh(repository: &dyn Repository, reference: &TagOrDigest) -> Result<u64> {
///     let root = repository.resolve(reference).await?;
///     let layers = tranship::successors(repository, &root, tranship::MAX_MANIFEST_SIZE).await?;
///     Ok(layers.iter().map(|layer| layer.size()).sum())
/// }
/// ```
pub trait Repository:
    Backend
    + Storage
    + Deleter
    + TagResolver
    + Untagger
    + ReferenceFetcher
    + ReferencePusher
    + ReferrerLister
    + TagLister
    + PredecessorFinder
    + Mounter
{
    /// Returns the repository's name within its registry. A store that is not part of a registry has the
    /// name that it was opened under.
    fn name(&self) -> &RepositoryName {
        self.info().name
    }

    /// Returns which registry the repository belongs to; `None` if it does not belong to one.
    fn registry(&self) -> Option<&RegistryIdentity> {
        self.info().registry
    }

    /// Returns what the repository can do.
    fn capabilities(&self) -> Capabilities {
        self.info().capabilities
    }

    /// Returns whether `tag` can be set once, and not be moved or removed. The manifest that it names cannot be deleted.
    fn is_immutable(&self, tag: &Tag) -> bool {
        let tags = self.info().immutable_tags;
        tags.is_some_and(|tags| tags.match_tag(tag))
    }

    /// Returns the repository's blobs.
    fn blobs(&self) -> Box<dyn BlobStore + '_>;

    /// Returns the repository's manifests.
    fn manifests(&self) -> Box<dyn ManifestStore + '_>;

    /// Tells the repository that content will be pushed to it, before anything is looked up in it. The
    /// copy functions do so with the destination.
    ///
    /// A registry may show a repository that does not exist yet only to users that may create it (Quay):
    /// a client then asks for the right to push from the first request on, where it would ask for the
    /// right to pull. Most backends do nothing.
    fn expect_pushes(&self) {
        self.prepare_for_pushes();
    }

    /// Begins changes that are made together; `None` if the backend gains nothing by that. Nothing
    /// happens until something is pushed to the batch.
    fn batch(&self) -> Option<Box<dyn Batch + '_>> {
        self.begin_batch()
    }
}

/// Collects all tags of `repository`.
///
/// # Errors
/// As [`TagLister::tags`].
pub async fn tags(repository: &dyn TagLister) -> Result<Vec<Tag>> {
    repository.tags(ListOptions::default()).try_collect().await
}

/// Collects all referrers of `subject`.
///
/// # Errors
/// As [`ReferrerLister::referrers`].
pub async fn referrers(
    repository: &dyn ReferrerLister,
    subject: &Descriptor,
    artifact_type: Option<&MediaType>,
) -> Result<Vec<Descriptor>> {
    repository
        .referrers(subject, artifact_type)
        .try_collect()
        .await
}
