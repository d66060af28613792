//! Changes that are made together, so that what each of them costs is paid once.

use std::fmt;

use async_trait::async_trait;

use super::Backend;
use crate::error::Result;

/// A repository whose changes are made together: [`Repository::batch`](crate::Repository::batch) begins one.
///
/// A store that survives a power cut syncs once for a batch, not once for each blob; one that has a list of its
/// manifests writes it once; an archive is written in one go. The copy functions use a batch where there is one.
///
/// Content that is pushed to a batch can be read from it at once. Others see it when [`commit`](Self::commit) has
/// succeeded, and perhaps before. Tags do not move before the commit.
///
/// A batch that is dropped has not set a tag. Blobs may stay, so that a second attempt finds them; otherwise the
/// backend's garbage collection removes them.
///
/// ```
/// # use bytes::Bytes;
/// # use tranship::{Descriptor, Pusher as _, ReferencePusher as _, Repository, Result, Tag};
/// async fn push_all(
///     repository: &dyn Repository,
///     blobs: &[(Descriptor, Bytes)],
///     manifest: (&Descriptor, Bytes),
///     tag: Tag,
/// ) -> Result<()> {
///     let batch = repository.batch();
///     let target = match &batch {
///         Some(batch) => batch as &dyn Repository,
///         None => repository,
///     };
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
    /// Returns the repository as the batch leaves it. Everything that is done to it belongs to the batch. Programs
    /// need not call this, since a `Box<dyn Batch>` is a [`Repository`](crate::Repository) itself.
    fn backend(&self) -> &dyn Backend;

    /// Returns how many concurrent pushes are useful; `None` for any number. If it is one, content is stored in the
    /// order in which it is pushed.
    fn concurrency(&self) -> Option<usize> {
        None
    }

    /// Makes the changes. When this has succeeded, every reader sees them. All content that was pushed
    /// to the batch, or that the batch had when it was asked by [`exists`](crate::ReadOnlyStorage::exists), is
    /// as durable as after a single push, whoever stored it. If this is dropped, it is not known whether the
    /// changes are made.
    ///
    /// # Errors
    /// As [`push`](crate::Pusher::push) and [`tag`](crate::Tagger::tag). In that case no tag has moved.
    async fn commit(self: Box<Self>) -> Result<()>;
}
