//! The trait that a store implements to become a [`Repository`](crate::Repository).

mod batch;
mod direct_url;
mod forward;
mod options;
mod pointers;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{TryStreamExt as _, stream};

pub use batch::Batch;
pub use direct_url::DirectUrl;
pub use options::{Access, ContentKind, Presence, PushOptions, PushOutcome, RepositoryInfo};

use crate::capabilities::Support;
use crate::content::{ByteRange, Content, MAX_MANIFEST_SIZE, Source};
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result};
use crate::listing::{ListOptions, Listing};
use crate::media_type::MediaType;
use crate::reference::{RepositoryName, Tag, TagOrDigest};
use crate::upload::{Upload, UploadId};

/// A store of blobs, manifests and tags: the one trait that a backend, or a layer over a backend, implements.
///
/// Programs do not call it. Every type that implements it is a [`Repository`](crate::Repository), and with that a
/// [`Fetcher`](crate::Fetcher), a [`Pusher`](crate::Pusher), a [`TagLister`](crate::TagLister) and so on: this
/// crate implements those traits once, for all backends. It routes each call by the media type of the descriptor to
/// [`ContentKind::Blob`] or [`ContentKind::Manifest`], and adds the operation and the digest to errors, so that a
/// backend need not.
///
/// Four methods are required; a store that has only these can be the source and the destination of a
/// [copy](crate::copy()). Every other method has a default, which uses the required ones or fails with
/// [`Unsupported`](ErrorKind::Unsupported) and the reason that the backend's
/// [`Capabilities`](crate::Capabilities) give. `examples/custom_backend.rs` in the repository is a whole backend.
///
/// What the small traits in [`storage`](crate::storage) promise, a backend has to keep: it verifies content before
/// it becomes visible, and a future that is dropped leaves nothing half-written and no lock held. The crate
/// `tranship-conformance` has scenarios for every promise.
///
/// A layer, which wraps a backend and is one, decides about every method. `#[deny(clippy::missing_trait_methods)]`
/// on its `impl` makes a method that it forgot an error of `cargo clippy`.
#[async_trait]
pub trait Backend: Send + Sync + fmt::Debug {
    /// Returns the name of the repository, the registry that it belongs to, and what it can do.
    fn info(&self) -> RepositoryInfo<'_>;

    /// Opens the content of `target`. The bytes need not be verified: [`Content`] does that.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`](crate::Fetcher::fetch).
    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content>;

    /// Returns the descriptor of what `reference` names: of a manifest its media type, of a blob
    /// [`MediaType::OCTET_STREAM`], which only a digest can name.
    ///
    /// # Errors
    /// - [`InvalidReference`](ErrorKind::InvalidReference) for a blob by a tag.
    /// - As [`Resolver::resolve`](crate::Resolver::resolve).
    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor>;

    /// Stores the content of `source` as `expected`, and for a manifest points [`PushOptions::tags`] at it. Returns
    /// whether the content was stored or present.
    ///
    /// # Errors
    /// As [`Pusher::push`](crate::Pusher::push) and
    /// [`ReferencePusher::push_reference`](crate::ReferencePusher::push_reference).
    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome>;

    /// Opens a part of the content of `target`. By default the whole content is [read](Self::read), and the bytes
    /// outside of the range are dropped.
    ///
    /// # Errors
    /// As [`Fetcher::fetch_range`](crate::Fetcher::fetch_range).
    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        let range = range.resolve(target.size())?;
        Ok(self.read(kind, target).await?.into_part(range))
    }

    /// Opens what `reference` names. By default this is [`stat`](Self::stat) and [`read`](Self::read).
    ///
    /// # Errors
    /// As [`ReferenceFetcher::fetch_reference`](crate::ReferenceFetcher::fetch_reference).
    async fn read_reference(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Content> {
        let target = self.stat(kind, reference).await?;
        self.read(kind, &target).await
    }

    /// Returns a URL from which any HTTP client can fetch the content of `target` by GET within the time `valid_for`,
    /// without going through this process; `None`, the default, if the backend does not have such URLs.
    ///
    /// The caller has looked for the content, and has checked that the client may read it: any client that has the
    /// URL can fetch the content. This does not look for the content again.
    ///
    /// A layer whose reads do more than pass content on returns `None` where that would be lost.
    ///
    /// # Errors
    /// What the backend fails with, for example if its credentials cannot sign URLs.
    async fn direct_url(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        valid_for: Duration,
    ) -> Result<Option<DirectUrl>> {
        let _ = (kind, target, valid_for);
        Ok(None)
    }

    /// Looks for the content of `target`, with the rights that `access` needs. By default this is
    /// [`stat`](Self::stat).
    ///
    /// # Errors
    /// What the backend fails with while looking. That the content is absent is not an error.
    async fn find(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        access: Access,
    ) -> Result<Presence> {
        let _ = access;
        match self.stat(kind, &(*target.digest()).into()).await {
            Ok(found) if found.size() == target.size() => Ok(Presence::Whole),
            Ok(_) => Ok(Presence::OtherSize),
            Err(error) if error.kind() == ErrorKind::SizeMismatch => Ok(Presence::OtherSize),
            Err(error) if error.is_not_found() => Ok(Presence::Absent),
            Err(error) => Err(error),
        }
    }

    /// Makes the blob `target` of the repository `from` appear in this one, or pushes it from `fallback`. By default
    /// it is pushed.
    ///
    /// # Errors
    /// As [`Mounter::mount`](crate::Mounter::mount).
    async fn mount_blob(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        let _ = from;
        match fallback {
            Some(source) => {
                let options = PushOptions::default();
                self.write(ContentKind::Blob, target, source, &options)
                    .await
            }
            None => Err(unsupported(
                self.info().capabilities.mount,
                "this store does not mount blobs",
            )),
        }
    }

    /// Removes content: of a manifest also the tags that point at it.
    ///
    /// # Errors
    /// As [`Deleter::delete`](crate::Deleter::delete).
    async fn remove(&self, kind: ContentKind, target: &Descriptor) -> Result<()> {
        let _ = target;
        let capabilities = self.info().capabilities;
        Err(match kind {
            ContentKind::Blob => unsupported(
                capabilities.delete_blobs,
                "this store does not delete blobs",
            ),
            ContentKind::Manifest => unsupported(
                capabilities.delete_manifests,
                "this store does not delete manifests",
            ),
        })
    }

    /// Points `tag` at the manifest `target`. By default the manifest is [read](Self::read) and
    /// [written](Self::write) again with the tag.
    ///
    /// # Errors
    /// As [`Tagger::tag`](crate::Tagger::tag).
    async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        let kind = ContentKind::Manifest;
        // The media type that the manifest is stored with counts, not the one that the caller names.
        let stored = self.stat(kind, &(*target.digest()).into()).await?;
        if stored.size() != target.size() {
            return Err(Error::not_found(target.digest()));
        }
        let content = self.read(kind, &stored).await?;
        let content = content.bytes(MAX_MANIFEST_SIZE).await?;
        let options = PushOptions::default().with_tags(std::slice::from_ref(tag));
        self.write(kind, &stored, content.into(), &options).await?;
        Ok(())
    }

    /// Removes `tag`; the manifest that it points at stays.
    ///
    /// # Errors
    /// As [`Untagger::untag`](crate::Untagger::untag).
    async fn remove_tag(&self, tag: &Tag) -> Result<()> {
        let _ = tag;
        Err(unsupported(
            self.info().capabilities.untag,
            "this store does not remove tags",
        ))
    }

    /// Lists the tags in ASCII order.
    ///
    /// # Errors
    /// As [`TagLister::tags`](crate::TagLister::tags).
    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        let _ = options;
        failed(Error::unsupported("this store does not list its tags"))
    }

    /// Lists the manifests whose subject is `subject`; only those of `artifact_type`, if it is given.
    ///
    /// # Errors
    /// As [`ReferrerLister::referrers`](crate::ReferrerLister::referrers).
    fn list_referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        let _ = (subject, artifact_type);
        let referrers = self.info().capabilities.referrers;
        failed(unsupported(referrers, "this store does not list referrers"))
    }

    /// Returns the manifests that refer to `node` directly, in the order of their digests. By default these are the
    /// [referrers](Self::list_referrers).
    ///
    /// # Errors
    /// As [`PredecessorFinder::predecessors`](crate::PredecessorFinder::predecessors).
    async fn list_predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        let mut found: Vec<Descriptor> = self.list_referrers(node, None).try_collect().await?;
        found.sort_by(|one, other| one.digest().cmp(other.digest()));
        Ok(found)
    }

    /// Starts an upload of a blob in pieces.
    ///
    /// # Errors
    /// As [`Uploader::start`](crate::Uploader::start).
    async fn start_upload(&self) -> Result<Box<dyn Upload>> {
        Err(unsupported(
            self.info().capabilities.uploads,
            "this store does not take uploads in pieces",
        ))
    }

    /// Resumes an upload.
    ///
    /// # Errors
    /// As [`Uploader::resume`](crate::Uploader::resume).
    async fn resume_upload(&self, id: &UploadId) -> Result<Box<dyn Upload>> {
        let _ = id;
        self.start_upload().await
    }

    /// Begins a [`Batch`], if that makes pushes cheaper or safer. By default there are no batches.
    fn begin_batch(&self) -> Option<Box<dyn Batch + '_>> {
        None
    }

    /// Is told that content will be pushed; see [`Repository::expect_pushes`](crate::Repository::expect_pushes). By
    /// default this does nothing.
    fn prepare_for_pushes(&self) {}
}

fn unsupported(support: Support, otherwise: &'static str) -> Error {
    Error::unsupported(support.reason().unwrap_or(otherwise))
}

fn failed<'a, T: Send + 'a>(error: Error) -> Listing<'a, T> {
    Box::pin(stream::iter([Err(error)]))
}
