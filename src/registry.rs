//! What a registry is: repositories, and in each of them blobs, manifests, tags and referrers.
//!
//! The counterparts of the interfaces of `oras.land/oras-go/v2/registry`. There only the remote
//! client implements them all; here every backend does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;
use futures_util::TryStreamExt as _;

use crate::batch::Batch;
use crate::capabilities::Capabilities;
use crate::content::Source;
use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::media_type::MediaType;
use crate::reference::{RepositoryName, Tag};
use crate::storage::{
    Deleter, PredecessorFinder, ReferenceFetcher, ReferencePusher, Resolver, Storage, TagResolver,
    Tagger, Untagger,
};
use crate::upload::Uploader;

/// A stream of listed items, which asks for the next page only when it is polled for it, and stops
/// when it is dropped.
pub type Listing<'a, T> = std::pin::Pin<Box<dyn Stream<Item = Result<T>> + Send + 'a>>;

/// Where a listing begins, and how it is fetched.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListOptions {
    /// Only what stands behind this in ASCII order is listed. It need not exist.
    pub last: Option<String>,
    /// How many items to ask for at a time: a hint, which a backend that does not page ignores.
    pub page_size: Option<usize>,
}

impl ListOptions {
    /// Lists only what stands behind `last`.
    #[must_use]
    pub fn with_last(mut self, last: impl Into<String>) -> Self {
        self.last = Some(last.into());
        self
    }

    /// Asks for `page_size` items at a time.
    #[must_use]
    pub fn with_page_size(mut self, page_size: usize) -> Self {
        self.page_size = Some(page_size);
        self
    }
}

/// Lists tags.
pub trait TagLister: Send + Sync {
    /// The tags in ASCII order, each once. A repository that does not exist has none.
    ///
    /// # Errors
    /// An item of the stream is an error if a page cannot be had; it is the last item.
    fn tags(&self, options: ListOptions) -> Listing<'_, Tag>;
}

/// Lists what refers to a manifest (distribution-spec, "Listing Referrers").
pub trait ReferrerLister: Send + Sync {
    /// The manifests whose `subject` is `subject`, each once, with their artifact type and their
    /// annotations; those of `artifact_type` only, if it is given. The subject need not exist.
    ///
    /// # Errors
    /// An item of the stream is an error if a page cannot be had; it is the last item.
    fn referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor>;
}

/// How a blob came to be in a repository: by a [mount](Mounter::mount), or by a
/// [push](BlobStore::push_with) that the registry turned into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MountOutcome {
    /// The registry took the blob from another of its repositories. No bytes moved.
    Mounted,
    /// The content of the source was pushed.
    Pushed,
    /// The repository had the blob, so the source was not read. A mount of such a blob may also return
    /// [`Mounted`](Self::Mounted), since a registry need not tell the two apart.
    Present,
}

/// What a repository has stored under the digest of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// The blob.
    Whole,
    /// Content of another size, such as a blob that was cut short. A push replaces it.
    OtherSize,
    /// Nothing.
    Absent,
}

/// How [`BlobStore::push_with`] stores a blob.
///
/// ```
/// use tranship::{Presence, PushOptions};
///
/// let options = PushOptions::default().with_found(Presence::Absent);
/// assert!(!options.resumable);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PushOptions {
    /// What a look has just found, so that the backend need not look again; `None`, the default, if the
    /// caller has not looked.
    pub found: Option<Presence>,
    /// Whether content that has arrived is kept when the push fails or is dropped, so that a later push
    /// of the same blob, in another process too, continues from there. By default it is not.
    ///
    /// A hint: a backend that cannot continue a push ignores it. What is kept takes space until it is
    /// continued, or until the backend or its garbage collection removes it.
    pub resumable: bool,
}

impl PushOptions {
    /// Sets [`found`](Self::found).
    #[must_use]
    pub fn with_found(mut self, found: Presence) -> Self {
        self.found = Some(found);
        self
    }

    /// Sets [`resumable`](Self::resumable).
    #[must_use]
    pub fn with_resumable(mut self, resumable: bool) -> Self {
        self.resumable = resumable;
        self
    }
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
    /// - As [`push`](crate::Pusher::push) where the fallback is used.
    async fn mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<MountOutcome>;
}

/// The blobs of a repository. Tags name manifests, so only digests resolve here, to a descriptor of
/// type [`MediaType::OCTET_STREAM`]; a tag is an
/// [`InvalidReference`](crate::ErrorKind::InvalidReference).
#[async_trait]
pub trait BlobStore: Storage + Deleter + Resolver + ReferenceFetcher {
    /// The way to mount blobs from other repositories, if there is one.
    fn mounter(&self) -> Option<&dyn Mounter> {
        None
    }

    /// The way to upload in pieces, if there is one.
    fn uploader(&self) -> Option<&dyn Uploader> {
        None
    }

    /// Looks for the blob `target`, for a caller that pushes it if it is missing. Unlike
    /// [`exists`](crate::ReadOnlyStorage::exists) it may ask with the rights that a push needs, and it
    /// tells a blob of the wrong size from none.
    ///
    /// # Errors
    /// As [`exists`](crate::ReadOnlyStorage::exists).
    async fn presence(&self, target: &Descriptor) -> Result<Presence> {
        Ok(match self.exists(target).await? {
            true => Presence::Whole,
            false => Presence::Absent,
        })
    }

    /// Stores the content of `source` as the blob `expected`, as [`push`](crate::Pusher::push) does, and
    /// returns how that came about. A backend that cannot tell returns [`MountOutcome::Pushed`].
    ///
    /// If the future is dropped, nothing stays behind unless the push is
    /// [resumable](PushOptions::resumable).
    ///
    /// # Errors
    /// As [`push`](crate::Pusher::push).
    async fn push_with(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions,
    ) -> Result<MountOutcome> {
        match options.found {
            Some(Presence::Whole) => return Ok(MountOutcome::Present),
            Some(Presence::OtherSize | Presence::Absent) | None => {}
        }
        self.push(expected, source).await?;
        Ok(MountOutcome::Pushed)
    }
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

/// Which registry a repository belongs to: equal for repositories between which blobs can be mounted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RegistryIdentity(Arc<str>);

impl RegistryIdentity {
    /// An identity that a backend derives from where the registry is, such as
    /// `https://registry.example` or the path of a directory.
    #[must_use]
    pub fn new(identity: impl Into<Arc<str>>) -> Self {
        Self(identity.into())
    }
}

impl fmt::Display for RegistryIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A repository: blobs, manifests, tags and referrers under one name.
///
/// Its own operations go to [`blobs`](Self::blobs) or [`manifests`](Self::manifests) by the media
/// type of the descriptor; those by tag or digest go to the manifests. Backends get that part from
/// [`route_by_media_type!`](crate::route_by_media_type).
///
/// ```
/// use tranship::{Repository, Result, TagOrDigest};
///
/// /// The layers' total size, in bytes.
/// async fn weigh(repository: &dyn Repository, reference: &TagOrDigest) -> Result<u64> {
///     let root = repository.resolve(reference).await?;
///     let layers = tranship::successors(repository, &root, tranship::MAX_MANIFEST_SIZE).await?;
///     Ok(layers.iter().map(|layer| layer.size()).sum())
/// }
/// ```
pub trait Repository:
    Storage
    + Deleter
    + TagResolver
    + Untagger
    + ReferenceFetcher
    + ReferencePusher
    + ReferrerLister
    + TagLister
    + PredecessorFinder
    + fmt::Debug
{
    /// The repository's name within its registry. A store that is not part of a registry has the
    /// name that it was opened under.
    fn name(&self) -> &RepositoryName;

    /// Which registry the repository belongs to; `None` if it stands alone.
    fn registry(&self) -> Option<&RegistryIdentity>;

    /// What the repository can do.
    fn capabilities(&self) -> Capabilities;

    /// The repository's blobs.
    fn blobs(&self) -> &dyn BlobStore;

    /// The repository's manifests.
    fn manifests(&self) -> &dyn ManifestStore;

    /// Tells the repository that content will be pushed to it, before anything is looked up in it. The
    /// copy functions do so with the destination.
    ///
    /// A registry may show a repository that does not exist yet only to users that may create it (Quay):
    /// a client then asks for the right to push from the first request on, where it would ask for the
    /// right to pull. Most backends need not know.
    fn expect_pushes(&self) {}

    /// Begins changes that are made together; `None` if the backend gains nothing by that. Nothing
    /// happens until something is pushed through it.
    fn batch(&self) -> Option<Box<dyn Batch + '_>> {
        None
    }
}

/// A registry: repositories by name.
///
/// ```
/// use futures_util::TryStreamExt;
/// use tranship::{ListOptions, Registry, Result};
///
/// async fn print_catalog(registry: &dyn Registry) -> Result<()> {
///     let mut names = registry.repositories(ListOptions::default());
///     while let Some(name) = names.try_next().await? {
///         println!("{name}");
///     }
///     Ok(())
/// }
/// ```
#[async_trait]
pub trait Registry: Send + Sync + fmt::Debug {
    /// Which registry this is.
    fn identity(&self) -> &RegistryIdentity;

    /// What the registry's repositories can do, and whether it lists them.
    fn capabilities(&self) -> Capabilities;

    /// The names of the repositories that hold something, in ASCII order, each once.
    ///
    /// # Errors
    /// An item of the stream is an error if a page cannot be had; it is the last item.
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if the registry has no catalog.
    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName>;

    /// The repository `name`, which need not exist yet: it comes to be with the first push.
    ///
    /// # Errors
    /// What the backend fails with; that the repository does not exist is no error.
    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>>;

    /// Ends the uploads, in all repositories, that have not been written to for `idle` and that no process holds
    /// open, and returns how many. Those that another process left behind are among them. A backend whose uploads
    /// do not outlive the process, or whose own server ends them, does nothing.
    ///
    /// Dropping the future leaves the rest to the next call.
    ///
    /// # Errors
    /// What the backend fails with.
    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        let _ = idle;
        Ok(0)
    }
}

/// The names of all repositories of `registry`, collected.
///
/// # Errors
/// As [`Registry::repositories`].
pub async fn repositories(registry: &dyn Registry) -> Result<Vec<RepositoryName>> {
    registry
        .repositories(ListOptions::default())
        .try_collect()
        .await
}

/// All tags of `repository`, collected.
///
/// # Errors
/// As [`TagLister::tags`].
pub async fn tags(repository: &dyn TagLister) -> Result<Vec<Tag>> {
    repository.tags(ListOptions::default()).try_collect().await
}

/// All referrers of `subject`, collected.
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
