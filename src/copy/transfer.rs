//! One piece of content on its way.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::options::{CopyOptions, PreCopy};
use super::progress::{CopyAction, CopyEvent};
use crate::content::{Body, OpenAt, Source};
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::reference::{RepositoryName, Tag};
use crate::registry::{MountOutcome, Mounter, Repository};

pub(super) struct Transfer<'a> {
    source: &'a dyn Repository,
    destination: &'a dyn Repository,
    options: &'a CopyOptions,
    node: &'a Descriptor,
    announced: AtomicBool,
    left_out: AtomicBool,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(
        source: &'a dyn Repository,
        destination: &'a dyn Repository,
        options: &'a CopyOptions,
        node: &'a Descriptor,
    ) -> Self {
        Self {
            source,
            destination,
            options,
            node,
            announced: AtomicBool::new(false),
            left_out: AtomicBool::new(false),
        }
    }

    /// Mounts or copies a blob, unless the destination has it.
    pub(super) async fn blob(&self) -> Result<CopyAction> {
        let mount_from = self.mount_candidates().await?;
        let mounter = self.destination.blobs().mounter();
        // A push or mount of what is there costs no more than the question whether it is.
        if self.options.dry_run && self.destination.exists(self.node).await? {
            return self.skipped().await;
        }
        match mounter {
            Some(_) if self.options.dry_run && !mount_from.is_empty() => Ok(CopyAction::Mounted),
            _ if self.options.dry_run => Ok(CopyAction::Copied),
            Some(mounter) if !mount_from.is_empty() => self.mount(mounter, &mount_from).await,
            _ => self.push().await,
        }
    }

    /// Pushes a manifest as `target`. Its successors are all there.
    pub(super) async fn manifest(
        &self,
        target: &Descriptor,
        content: Bytes,
        tags: &[Tag],
    ) -> Result<CopyAction> {
        if self.options.dry_run {
            return Ok(CopyAction::Copied);
        }
        if self.announce().await? == PreCopy::Skip {
            return Ok(CopyAction::Skipped);
        }
        self.options.event(CopyEvent::Started(self.node));
        let length = content.len() as u64;
        let source = Source::from(content);
        if tags.is_empty() {
            self.destination.push(target, source).await?;
        } else {
            self.destination
                .push_reference(target, source, tags)
                .await?;
        }
        self.options.event(CopyEvent::Bytes(self.node, length));
        self.copied().await
    }

    async fn mount_candidates(&self) -> Result<Vec<RepositoryName>> {
        let mut candidates = match &self.options.hooks {
            Some(hooks) if self.destination.blobs().mounter().is_some() => {
                hooks.mount_from(self.node).await?
            }
            _ => Vec::new(),
        };
        let same_registry = self.source.registry().is_some()
            && self.source.registry() == self.destination.registry();
        let source = self.source.name();
        let destination = self.destination.name();
        if same_registry && source != destination && !candidates.contains(source) {
            candidates.push(source.clone());
        }
        Ok(candidates)
    }

    /// Tries one repository after the other, and gives the last one the content to fall back on.
    async fn mount(
        &self,
        mounter: &dyn Mounter,
        candidates: &[RepositoryName],
    ) -> Result<CopyAction> {
        let Some((last, others)) = candidates.split_last() else {
            return self.push().await;
        };
        for from in others {
            match mounter.mount(self.node, from, None).await {
                Ok(_) => return self.mounted().await,
                Err(error) if error.is_not_found() || error.is_unsupported() => {}
                Err(error) => return Err(error.with_operation("mount").with_subject(from)),
            }
        }
        let fallback = Some(Source::open_at(self));
        match mounter.mount(self.node, last, fallback).await {
            Ok(MountOutcome::Mounted) => self.mounted().await,
            Ok(MountOutcome::Pushed) => self.copied().await,
            Ok(MountOutcome::Present) => self.skipped().await,
            Err(_) if self.left_out.load(Ordering::Acquire) => Ok(CopyAction::Skipped),
            Err(error) => Err(error),
        }
    }

    async fn push(&self) -> Result<CopyAction> {
        let source = Source::open_at(self);
        match self.destination.push(self.node, source).await {
            // The destination had it, so it never asked for the content.
            Ok(()) if !self.announced.load(Ordering::Acquire) => self.skipped().await,
            Ok(()) => self.copied().await,
            Err(_) if self.left_out.load(Ordering::Acquire) => Ok(CopyAction::Skipped),
            Err(error) => Err(error),
        }
    }

    /// Asks the caller, once, whether the content shall be copied.
    async fn announce(&self) -> Result<PreCopy> {
        if self.announced.swap(true, Ordering::AcqRel) {
            return Ok(PreCopy::Copy);
        }
        let decision = match &self.options.hooks {
            Some(hooks) => hooks.pre_copy(self.node).await?,
            None => PreCopy::Copy,
        };
        self.left_out
            .store(decision == PreCopy::Skip, Ordering::Release);
        Ok(decision)
    }

    async fn copied(&self) -> Result<CopyAction> {
        if let Some(hooks) = &self.options.hooks {
            hooks.post_copy(self.node).await?;
        }
        Ok(CopyAction::Copied)
    }

    async fn mounted(&self) -> Result<CopyAction> {
        if let Some(hooks) = &self.options.hooks {
            hooks.on_mounted(self.node).await?;
        }
        Ok(CopyAction::Mounted)
    }

    /// Says that the destination has it.
    pub(super) async fn skipped(&self) -> Result<CopyAction> {
        match &self.options.hooks {
            Some(hooks) if !self.options.dry_run => hooks.on_skipped(self.node).await?,
            _ => {}
        }
        Ok(CopyAction::Skipped)
    }
}

/// The content in the source repository, counted as it is read.
#[async_trait]
impl OpenAt for Transfer<'_> {
    async fn open_at(&self, offset: u64) -> Result<Body> {
        if self.announce().await? == PreCopy::Skip {
            return Err(Error::new(ErrorKind::Aborted, "left out by the caller"));
        }
        self.options.event(CopyEvent::Started(self.node));
        let content = if offset == 0 {
            self.source.fetch(self.node).await
        } else {
            self.source.fetch_range(self.node, (offset..).into()).await
        };
        let body = content.during("fetch", self.node.digest())?.into_body();
        Ok(match &self.options.hooks {
            Some(hooks) => {
                let hooks = hooks.clone();
                let node = self.node.clone();
                body.inspect(move |bytes| hooks.on_event(CopyEvent::Bytes(&node, bytes)))
            }
            None => body,
        })
    }
}
