//! The small traits: one ability each, over content that descriptors name.
//!
//! They are the counterparts of the interfaces of `oras.land/oras-go/v2/content`. Everything here is
//! dyn-compatible; `&dyn Repository` coerces to a reference to any of its supertraits.
//!
//! What all of them promise:
//! - Content is identified by digest and size. A descriptor whose size is wrong names nothing.
//! - Any future may be dropped at any point: no lock stays held, no temporary file and no session
//!   stays behind, and nothing incomplete becomes visible. Whether a change that was under way has
//!   happened is then not known.
//! - Calls may run at the same time, from any number of tasks.

use async_trait::async_trait;

use crate::backend::PushOutcome;
use crate::content::{Content, Source};

use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::reference::{Tag, TagOrDigest};

pub use crate::content::Fetcher;

/// Stores content under its descriptor.
#[async_trait]
pub trait Pusher: Send + Sync {
    /// Stores the content of `source` as `expected`, and returns whether it was stored or present.
    ///
    /// Content that is present is a success, and `source` is not read. Otherwise the content
    /// becomes visible only when it is complete and has the size and digest that `expected` says.
    ///
    /// A repository has one media type for each manifest. Pushing the bytes of a stored manifest again as
    /// another type, which is possible if they have no `mediaType` of their own, changes it for every tag.
    ///
    /// # Errors
    /// - [`DigestMismatch`](crate::ErrorKind::DigestMismatch) or
    ///   [`SizeMismatch`](crate::ErrorKind::SizeMismatch) if the source has other bytes. Nothing is
    ///   stored.
    /// - [`InvalidManifest`](crate::ErrorKind::InvalidManifest) if `expected` is a manifest by its
    ///   media type and the content is not, and
    ///   [`SizeExceedsLimit`](crate::ErrorKind::SizeExceedsLimit) if it is too large for one.
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if the backend is read-only, or does not
    ///   take the digest's algorithm.
    /// - [`StorageFull`](crate::ErrorKind::StorageFull) and
    ///   [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    /// - What `source` fails with, of the same kind, even if all bytes had come before.
    async fn push(&self, expected: &Descriptor, source: Source<'_>) -> Result<PushOutcome>;
}

/// [`Fetcher`] with a look at what is there.
#[async_trait]
pub trait ReadOnlyStorage: Fetcher {
    /// Whether the content of `target` is there, complete: `false` also if something of another size
    /// lies under the digest.
    ///
    /// # Errors
    /// What the backend fails with while looking; absence is no error.
    async fn exists(&self, target: &Descriptor) -> Result<bool>;
}

/// A store of content: [`ReadOnlyStorage`] and [`Pusher`].
pub trait Storage: ReadOnlyStorage + Pusher {}

impl<T: ReadOnlyStorage + Pusher + ?Sized> Storage for T {}

/// Removes content.
#[async_trait]
pub trait Deleter: Send + Sync {
    /// Removes the content of `target`. Deleting a manifest removes the tags that point at it, and
    /// it is no longer listed as a referrer; what it refers to stays.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such content.
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if the backend does not delete.
    async fn delete(&self, target: &Descriptor) -> Result<()>;
}

/// Finds what a tag or digest names.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// The descriptor of what `reference` names. By tag and by digest the answer is the same: media
    /// type, digest and size.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) if it names nothing that is there.
    /// - [`SizeMismatch`](crate::ErrorKind::SizeMismatch) if what is there is not whole, as far as its
    ///   size tells.
    async fn resolve(&self, reference: &TagOrDigest) -> Result<Descriptor>;
}

/// Gives manifests names.
#[async_trait]
pub trait Tagger: Send + Sync {
    /// Points `tag` at the manifest `target`, wherever it pointed before. When the call has
    /// succeeded, every later [`resolve`](Resolver::resolve) sees it.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such manifest.
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if the backend is read-only.
    async fn tag(&self, target: &Descriptor, tag: &Tag) -> Result<()>;
}

/// [`Tagger`] and [`Resolver`].
pub trait TagResolver: Tagger + Resolver {}

impl<T: Tagger + Resolver + ?Sized> TagResolver for T {}

/// Takes names away.
#[async_trait]
pub trait Untagger: Send + Sync {
    /// Removes `tag`; the manifest that it pointed at stays.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such tag.
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if the backend cannot remove a tag alone.
    async fn untag(&self, tag: &Tag) -> Result<()>;
}

/// Walks the graph of manifests against its direction.
#[async_trait]
pub trait PredecessorFinder: Send + Sync {
    /// The manifests that refer to `node` directly: as their subject, or as a child, config or layer
    /// where the backend keeps track of that. In the order of their digests, each once, with artifact
    /// type and annotations filled in as for a list of referrers. None is no error.
    ///
    /// # Errors
    /// What the backend fails with while looking.
    async fn predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>>;
}

/// Reads content by tag or digest, with one request where the backend allows it.
#[async_trait]
pub trait ReferenceFetcher: Send + Sync {
    /// Opens what `reference` names; [`Content::descriptor`] says what that is.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if it names nothing.
    async fn fetch_reference(&self, reference: &TagOrDigest) -> Result<Content>;
}

/// Stores a manifest and points tags at it, with one request where the backend allows it.
#[async_trait]
pub trait ReferencePusher: Send + Sync {
    /// Stores the manifest `expected` and points each of `tags` at it; with no tags it is
    /// [`Pusher::push`]. No tag is visible before the manifest is, and if the manifest cannot be
    /// stored no tag moves.
    ///
    /// # Errors
    /// - As [`Pusher::push`].
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if `expected` is not a manifest.
    async fn push_reference(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        tags: &[Tag],
    ) -> Result<PushOutcome>;
}
