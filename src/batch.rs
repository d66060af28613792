//! Changes that are made together, so that what each of them costs is paid once.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::registry::Repository;

/// Changes of one repository that are made together: [`Repository::batch`] begins them.
///
/// A store that promises to survive a power cut pays for the promise once in a batch, not once for
/// each blob; one that keeps a list of its manifests writes it once; an archive is written in one go.
/// The copy functions use a batch where there is one.
///
/// What is pushed through [`repository`](Self::repository) is there at once for whoever asks that
/// view. For others it is there when [`commit`](Self::commit) has succeeded, and perhaps before. No
/// tag moves before the commit.
///
/// A batch that is dropped has set no tag. Blobs may stay, so that a second attempt finds them; the
/// backend's garbage collection removes them otherwise.
///
/// ```
/// # use bytes::Bytes;
/// # use tranship::{Descriptor, Pusher, Repository, Result, Tag};
/// async fn push_all(
///     repository: &dyn Repository,
///     blobs: &[(Descriptor, Bytes)],
///     manifest: (&Descriptor, Bytes),
///     tag: Tag,
/// ) -> Result<()> {
///     let batch = repository.batch();
///     let target = batch.as_ref().map_or(repository, |batch| batch.repository());
///     for (descriptor, content) in blobs {
///         target.push(descriptor, content.clone().into()).await?;
///     }
///     target.push_reference(manifest.0, manifest.1.into(), &[tag]).await?;
///     match batch {
///         Some(batch) => batch.commit().await,
///         None => Ok(()),
///     }
/// }
/// ```
#[async_trait]
pub trait Batch: Send + Sync + fmt::Debug {
    /// The repository as the batch leaves it. Whatever is done through it belongs to the batch.
    fn repository(&self) -> &dyn Repository;

    /// How many pushes at a time are of use; `None` if as many as the caller likes. Where it is one,
    /// content is kept in the order in which it is pushed.
    fn concurrency(&self) -> Option<usize> {
        None
    }

    /// Makes the changes. When this has succeeded, every reader sees them. All content that was pushed
    /// through the batch, or that it had when it was asked by [`exists`](crate::ReadOnlyStorage::exists), is
    /// as durable as after a single push, whoever stored it. If this is dropped, it is not known whether the
    /// changes are made.
    ///
    /// # Errors
    /// As [`push`](crate::Pusher::push) and [`tag`](crate::Tagger::tag). No tag has moved then.
    async fn commit(self: Box<Self>) -> Result<()>;
}
