//! The caller's part in a copy.

use async_trait::async_trait;

use super::progress::CopyEvent;
use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::reference::RepositoryName;
use crate::repository::Repository;

/// What to do with content that is about to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PreCopy {
    /// Copy it.
    #[default]
    Copy,
    /// Leave it out. Manifests that refer to it are copied all the same.
    Skip,
}

/// The caller's part in a copy. Every method has a default that changes nothing.
///
/// An error from any of them ends the copy, and is what the copy fails with.
///
/// The last call for a node agrees with its action in the [report](super::CopyReport):
///
/// | in the report | called |
/// |---|---|
/// | [`Copied`](super::CopyAction::Copied) | [`pre_copy`](Self::pre_copy), [`post_copy`](Self::post_copy) |
/// | [`Mounted`](super::CopyAction::Mounted) | [`pre_copy`](Self::pre_copy), [`on_mounted`](Self::on_mounted) |
/// | [`Skipped`](super::CopyAction::Skipped) | [`on_skipped`](Self::on_skipped) |
/// | [`LeftOut`](super::CopyAction::LeftOut) | [`pre_copy`](Self::pre_copy), which returned [`PreCopy::Skip`] |
///
/// There can be earlier calls. If another writer stores a blob between the look for it and the push,
/// [`pre_copy`](Self::pre_copy) comes before [`on_skipped`](Self::on_skipped). If the destination claims to have
/// a manifest and then refuses its parent as incomplete, the manifest is skipped first, and copied later.
///
/// A [dry run](super::CopyOptions::dry_run) calls the methods that decide something, and
/// [`on_skipped`](Self::on_skipped); it does not call [`post_copy`](Self::post_copy) or
/// [`on_mounted`](Self::on_mounted), since nothing was copied.
#[async_trait]
pub trait CopyHooks: Send + Sync {
    /// Replaces the root before anything is copied, for example by one of an index's manifests.
    /// Called before platform selection.
    ///
    /// # Errors
    /// Whatever shall end the copy.
    async fn map_root(&self, source: &dyn Repository, root: Descriptor) -> Result<Descriptor> {
        let _ = source;
        Ok(root)
    }

    /// Chooses which of the successors that a manifest has are copied with it.
    ///
    /// # Errors
    /// Whatever shall end the copy.
    async fn successors(
        &self,
        node: &Descriptor,
        found: Vec<Descriptor>,
    ) -> Result<Vec<Descriptor>> {
        let _ = node;
        Ok(found)
    }

    /// Names repositories of the destination's registry that are likely to have the blob `node`, the likeliest first. The
    /// source itself need not be named. Not called where the destination does not mount.
    ///
    /// A blob is not looked for in the destination before it is mounted, as a mount costs as much. Name a repository only if
    /// a mount from it is more likely than not to succeed.
    ///
    /// # Errors
    /// Whatever shall end the copy.
    async fn mount_from(&self, node: &Descriptor) -> Result<Vec<RepositoryName>> {
        let _ = node;
        Ok(Vec::new())
    }

    /// Decides whether `node` is copied. Called once, after everything that `node` refers to is done and
    /// before it is pushed or mounted.
    ///
    /// It is not called for what the destination has, with one exception: a blob that can be mounted from another
    /// repository is not looked for first, so this is called for it in any case.
    ///
    /// # Errors
    /// Whatever shall end the copy.
    async fn pre_copy(&self, node: &Descriptor) -> Result<PreCopy> {
        let _ = node;
        Ok(PreCopy::Copy)
    }

    /// Called when the bytes of `node` have been copied.
    ///
    /// # Errors
    /// Whatever shall end the copy.
    async fn post_copy(&self, node: &Descriptor) -> Result<()> {
        let _ = node;
        Ok(())
    }

    /// Called when the destination has `node`.
    ///
    /// # Errors
    /// Whatever shall end the copy.
    async fn on_skipped(&self, node: &Descriptor) -> Result<()> {
        let _ = node;
        Ok(())
    }

    /// Called when the blob `node` was mounted.
    ///
    /// # Errors
    /// Whatever shall end the copy.
    async fn on_mounted(&self, node: &Descriptor) -> Result<()> {
        let _ = node;
        Ok(())
    }

    /// Called as the copy proceeds, from wherever the bytes pass: it should return at once.
    fn on_event(&self, event: CopyEvent<'_>) {
        let _ = event;
    }
}
