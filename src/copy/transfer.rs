//! One piece of content on its way.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::hooks::PreCopy;
use super::options::CopyOptions;
use super::progress::{CopyAction, CopyEvent};
use super::side::OnSide;
use crate::backend::{Presence, PushOptions, PushOutcome};
use crate::content::{Body, OpenAt, Source};
use crate::descriptor::Descriptor;
use crate::error::{Result, ResultExt as _};
use crate::reference::{RepositoryName, Tag};
use crate::repository::Repository;

pub(super) struct Transfer<'a> {
    source: &'a dyn Repository,
    destination: &'a dyn Repository,
    options: &'a CopyOptions,
    node: &'a Descriptor,
    /// Whether the content was opened before.
    opened: AtomicBool,
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
            opened: AtomicBool::new(false),
        }
    }

    /// Mounts or copies a blob, unless the destination has it or the caller leaves it out.
    pub(super) async fn blob(&self) -> Result<CopyAction> {
        let mounts = self.mounts().await?;
        // A mount costs as much as the look, and usually makes it superfluous.
        let found = if mounts.is_empty() {
            let found = self.destination.blobs().presence(self.node).await;
            Some(found.at_destination()?)
        } else {
            None
        };
        if found == Some(Presence::Whole) {
            return self.skipped().await;
        }
        if self.is_left_out().await? {
            return Ok(CopyAction::LeftOut);
        }
        if self.options.dry_run {
            return Ok(if mounts.is_empty() {
                CopyAction::Copied
            } else {
                CopyAction::Mounted
            });
        }
        match self.mount_or_push(&mounts, found).await.at_destination()? {
            PushOutcome::Mounted => self.mounted().await,
            PushOutcome::Pushed => self.copied().await,
            PushOutcome::Present => self.skipped().await,
        }
    }

    /// Pushes a manifest as `target`. Its successors are all there.
    pub(super) async fn push_manifest(
        &self,
        target: &Descriptor,
        content: Bytes,
        tags: &[Tag],
    ) -> Result<()> {
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
        Ok(())
    }

    /// Returns the repositories that the blob may be mounted from.
    async fn mounts(&self) -> Result<Vec<RepositoryName>> {
        let is_possible = self.destination.capabilities().mount.is_possible();
        let mut from = match &self.options.hooks {
            Some(hooks) if is_possible => hooks.mount_from(self.node).await?,
            _ => Vec::new(),
        };
        let (source, destination) = (self.source, self.destination);
        let is_one_registry =
            source.registry().is_some() && source.registry() == destination.registry();
        let include_source = is_possible && is_one_registry && source.name() != destination.name();
        if include_source && !from.contains(source.name()) {
            from.push(source.name().clone());
        }
        Ok(from)
    }

    /// Tries one repository after the other, and gives the last one the content to fall back on, unless
    /// the push is to be resumable.
    async fn mount_or_push(
        &self,
        mounts: &[RepositoryName],
        found: Option<Presence>,
    ) -> Result<PushOutcome> {
        let destination = self.destination;
        let (last, others) = match mounts.split_last() {
            Some((last, others)) if !self.is_resumable() => (Some(last), others),
            _ => (None, mounts),
        };
        for from in others {
            match destination.mount(self.node, from, None).await {
                // Declined, in whatever way registries do that.
                Err(error) if !error.is_retryable() => {}
                outcome => return outcome.during("mount from", from),
            }
        }
        match last {
            Some(last) => {
                let fallback = Some(Source::open_at(self));
                destination.mount(self.node, last, fallback).await
            }
            None => self.push(found).await,
        }
    }

    /// Whether what has arrived of the node is to be kept if the copy ends too early.
    fn is_resumable(&self) -> bool {
        let least = self.options.resumable_from;
        least.is_some_and(|least| self.node.size() >= least)
    }

    async fn push(&self, found: Option<Presence>) -> Result<PushOutcome> {
        let options = PushOptions::default().with_resumable(self.is_resumable());
        let options = match found {
            Some(found) => options.with_found(found),
            None => options,
        };
        let source = Source::open_at(self);
        let blobs = self.destination.blobs();
        blobs.push_with(self.node, source, &options).await
    }

    /// Asks the caller whether the node is copied.
    pub(super) async fn is_left_out(&self) -> Result<bool> {
        match &self.options.hooks {
            Some(hooks) => Ok(hooks.pre_copy(self.node).await? == PreCopy::Skip),
            None => Ok(false),
        }
    }

    /// Tells the caller that the content was copied.
    pub(super) async fn copied(&self) -> Result<CopyAction> {
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

    /// Tells the caller that the destination has it.
    pub(super) async fn skipped(&self) -> Result<CopyAction> {
        if let Some(hooks) = &self.options.hooks {
            hooks.on_skipped(self.node).await?;
        }
        Ok(CopyAction::Skipped)
    }
}

/// The content in the source repository, counted as it is read.
#[async_trait]
impl OpenAt for Transfer<'_> {
    async fn open_at(&self, offset: u64) -> Result<Body> {
        self.options.event(CopyEvent::Started(self.node));
        if !self.opened.swap(true, Ordering::Relaxed) && offset > 0 {
            self.options.event(CopyEvent::Continued(self.node, offset));
        }
        let content = if offset == 0 {
            self.source.fetch(self.node).await
        } else {
            self.source.fetch_range(self.node, (offset..).into()).await
        };
        let content = content.at_source().during("fetch", self.node.digest())?;
        let body = from_source(content.into_body());
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

/// Says of errors in the middle of a body that the source failed. A local file is read by the destination, whose error
/// it is then.
fn from_source(body: Body) -> Body {
    if body.local_file().is_some() {
        return body;
    }
    Body::from_stream(body.into_stream().map(OnSide::at_source))
}
