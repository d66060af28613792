//! A repository of a bundle, as the source of its copy to the destination.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tranship::{
    Backend, ByteRange, Content, ContentKind, Descriptor, Registry, Repository, RepositoryName,
    Result, blocking,
};

use super::super::contents::BundleContents;
use super::options::ApplyOptions;
use super::saved;
use crate::jobs::SharedBlobs;

/// What all repositories of one application share.
pub(super) struct Shared<'a> {
    pub(super) contents: Arc<BundleContents>,
    pub(super) destination: &'a dyn Registry,
    pub(super) options: &'a ApplyOptions,
    /// Where the blobs are at the destination that were copied.
    pub(super) blobs: Arc<SharedBlobs>,
    /// The number of the next copy.
    pub(super) next_copy: AtomicUsize,
    /// Blobs that the destination has, and of which saved parts are no longer needed.
    pub(super) completed: Mutex<BTreeSet<u32>>,
}

impl Shared<'_> {
    /// Returns repositories of the destination that have content of the base.
    pub(super) fn holders(&self, number: u32) -> Result<Vec<RepositoryName>> {
        let holders = self.contents.base_holders(number);
        holders.map(|name| self.options.rename(name)).collect()
    }

    /// Removes the saved parts of blobs that the destination has now. Not earlier, since the copies of several images may
    /// read them.
    pub(super) async fn remove_saved_parts(&self) -> Result<()> {
        let Some(directory) = self.options.parts.clone() else {
            return Ok(());
        };
        let completed = {
            let mut completed = self
                .completed
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *completed)
        };
        let contents = Arc::clone(&self.contents);
        blocking::run(move || {
            let mut blobs = completed.into_iter();
            blobs.try_for_each(|number| saved::remove(&directory, &contents, number))
        })
        .await
    }

    /// Opens content of the base at the destination.
    async fn read_base(&self, number: u32, range: Option<ByteRange>) -> Result<Option<Content>> {
        let descriptor = self.contents.node(number)?.descriptor();
        for holder in self.holders(number)? {
            let repository = self.destination.repository(&holder).await?;
            let blobs = repository.blobs();
            let opened = match range {
                None => blobs.fetch(&descriptor).await,
                Some(range) => blobs.fetch_range(&descriptor, range).await,
            };
            match opened {
                Err(error) if error.is_not_found() => {}
                outcome => return outcome.map(Some),
            }
        }
        Ok(None)
    }
}

/// A repository of the bundle. Blobs that only the base has are read from the destination, for a repository of it that
/// cannot mount them from another one.
pub(super) struct ApplySource<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) bundle: Arc<dyn Repository>,
    /// The repository at the destination, which has the manifests of the base.
    pub(super) to: Arc<dyn Repository>,
}

impl fmt::Debug for ApplySource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ApplySource").field(&self.bundle).finish()
    }
}

impl ApplySource<'_> {
    async fn read_base(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: Option<ByteRange>,
    ) -> Result<Option<Content>> {
        let contents = &self.shared.contents;
        let number = contents.lock.number(kind, target.digest());
        let Some(number) = number.filter(|number| contents.is_in_base(*number)) else {
            return Ok(None);
        };
        match (kind, range) {
            (ContentKind::Blob, range) => self.shared.read_base(number, range).await,
            (ContentKind::Manifest, None) => self.to.read(kind, target).await.map(Some),
            (ContentKind::Manifest, Some(range)) => {
                self.to.read_range(kind, target, range).await.map(Some)
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Backend for ApplySource<'_> {
    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        match self.read_base(kind, target, None).await? {
            Some(content) => Ok(content),
            None => self.bundle.read(kind, target).await,
        }
    }

    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        match self.read_base(kind, target, Some(range)).await? {
            Some(content) => Ok(content),
            None => self.bundle.read_range(kind, target, range).await,
        }
    }

    tranship::forward_backend!(self, self.bundle;
        info stat write read_reference direct_url find mount_blob remove set_tag remove_tag list_tags
        list_referrers list_predecessors start_upload resume_upload begin_batch prepare_for_pushes);
}
