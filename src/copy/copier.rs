//! The single pieces of work of a copy: looking at a manifest, and moving content.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::bounds::Bounds;
use super::options::{CopyOptions, Existing, ExtendedCopyOptions, Follow};
use super::progress::{CopyAction, CopyEvent, CopyReport, CopyStep};
use super::schedule::{Graph, Place};
use super::transfer::Transfer;
use crate::capabilities::Support;
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::manifest::ManifestDocument;
use crate::reference::{Tag, TagOrDigest};
use crate::registry::Repository;

/// Where a copy begins.
pub(super) struct Root {
    pub(super) descriptor: Descriptor,
    pub(super) content: Option<Bytes>,
}

impl Root {
    pub(super) fn read(descriptor: Descriptor, content: Bytes) -> Self {
        Self {
            descriptor,
            content: Some(content),
        }
    }

    pub(super) fn unread(descriptor: Descriptor) -> Self {
        Self {
            descriptor,
            content: None,
        }
    }
}

/// What a finished piece of work has to say.
pub(super) enum Outcome {
    /// A manifest, and what is known of it now.
    Inspected {
        present: bool,
        content: Option<Bytes>,
        children: Vec<Descriptor>,
        referrers: Vec<Descriptor>,
    },
    Finished(CopyAction),
    /// The destination refused a manifest because it misses something that it refers to.
    Incomplete(Error),
}

pub(super) struct Copier<'a> {
    source: &'a dyn Repository,
    destination: &'a dyn Repository,
    pub(super) options: &'a CopyOptions,
    extended: Option<&'a ExtendedCopyOptions>,
    bounds: Arc<Bounds>,
}

impl<'a> Copier<'a> {
    pub(super) fn new(
        source: &'a dyn Repository,
        destination: &'a dyn Repository,
        options: &'a CopyOptions,
        extended: Option<&'a ExtendedCopyOptions>,
    ) -> Self {
        Self {
            source,
            destination,
            options,
            extended,
            bounds: Arc::default(),
        }
    }

    /// Copies everything and sets the tags.
    pub(super) async fn run(&self, root: Root, tags: &[Tag]) -> Result<CopyReport> {
        if let Support::No(reason) = self.destination.capabilities().push {
            return Err(Error::unsupported(reason)
                .with_operation("copy to")
                .with_subject(self.destination.name()));
        }
        self.destination.expect_pushes();
        if self.is_complete(&root.descriptor, tags).await? {
            return self.skip_all(root.descriptor).await;
        }
        let batch = match self.options.dry_run {
            false => self.destination.batch(),
            true => None,
        };
        let Some(batch) = batch else {
            return self.copy_all(root, tags, self.options.concurrency).await;
        };
        let copier = Copier {
            destination: batch.repository(),
            bounds: Arc::clone(&self.bounds),
            ..*self
        };
        let bound = batch.concurrency().unwrap_or(usize::MAX);
        let concurrency = self.options.concurrency.min(bound);
        let report = copier.copy_all(root, tags, concurrency).await?;
        batch.commit().await.during("copy", report.root.digest())?;
        Ok(report)
    }

    async fn copy_all(&self, root: Root, tags: &[Tag], concurrency: usize) -> Result<CopyReport> {
        // A referrer needs its subject, so with referrers the root is pushed before the end; the
        // tags are set when everything is there.
        let tags_with_root: &[Tag] = if self.extended.is_none() { tags } else { &[] };
        let mut graph = Graph::new(self, &root, tags_with_root);
        graph.run(concurrency.max(1)).await?;
        let still_to_tag = graph.has_untagged_root();
        let report = CopyReport {
            root: root.descriptor,
            steps: graph.into_steps(),
        };
        if still_to_tag && !self.options.dry_run && !tags.is_empty() {
            self.tag(&report.root, root.content, tags).await?;
        }
        Ok(report)
    }

    /// Points the tags at a root that is there.
    async fn tag(&self, root: &Descriptor, content: Option<Bytes>, tags: &[Tag]) -> Result<()> {
        // Pushed once more it gets all of them at once, and need not be read where it is.
        if let Some(content) = content {
            let pushed = self
                .destination
                .push_reference(root, content.into(), tags)
                .await;
            return pushed.during("tag", root.digest());
        }
        for tag in tags {
            self.destination.tag(root, tag).await.during("tag", tag)?;
        }
        Ok(())
    }

    /// Whether every tag names the root already: one question answers for the whole copy.
    async fn is_complete(&self, root: &Descriptor, tags: &[Tag]) -> Result<bool> {
        if tags.is_empty() || self.extended.is_some() || self.options.existing != Existing::Trust {
            return Ok(false);
        }
        for tag in tags {
            match self
                .destination
                .resolve(&TagOrDigest::Tag(tag.clone()))
                .await
            {
                Ok(found) if found.same_content(root) => {}
                Ok(_) => return Ok(false),
                // What is not whole is copied again.
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::SizeMismatch) =>
                {
                    return Ok(false);
                }
                Err(error) => return Err(error.with_operation("resolve").with_subject(tag)),
            }
        }
        Ok(true)
    }

    async fn skip_all(&self, root: Descriptor) -> Result<CopyReport> {
        self.options.event(CopyEvent::Found(&root));
        let action = self.transfer(&root).skipped().await?;
        self.options.event(CopyEvent::Done(&root, action));
        let step = CopyStep {
            descriptor: root.clone(),
            action,
        };
        Ok(CopyReport {
            root,
            steps: vec![step],
        })
    }

    fn transfer<'n>(&'n self, node: &'n Descriptor) -> Transfer<'n> {
        Transfer::new(self.source, self.destination, self.options, node)
    }

    pub(super) async fn inspect_manifest(
        &self,
        node: Descriptor,
        content: Option<Bytes>,
        place: Place,
        forced: bool,
    ) -> Result<Outcome> {
        let present = !forced
            && self
                .destination
                .exists(&node)
                .await
                .during("look for", node.digest())?;
        let referrers = self.followed_from(&node, place).await?;
        let trusted = present && self.options.existing == Existing::Trust;
        // Below an index that is there, manifests may have referrers that are not.
        let needed = !trusted || (self.extended.is_some() && node.media_type().is_index());
        if !needed {
            return Ok(Outcome::Inspected {
                present,
                content: None,
                children: Vec::new(),
                referrers,
            });
        }
        let content = match content {
            Some(content) => content,
            None => self
                .source
                .fetch(&node)
                .await
                .during("fetch", node.digest())?
                .bytes(self.options.max_manifest_size)
                .await
                .during("fetch", node.digest())?,
        };
        let mut children = self.successors(&node, &content).await?;
        if trusted {
            children.retain(|child| child.media_type().is_manifest());
        }
        Ok(Outcome::Inspected {
            present,
            content: (!present).then_some(content),
            children,
            referrers,
        })
    }

    async fn successors(&self, node: &Descriptor, content: &[u8]) -> Result<Vec<Descriptor>> {
        let document =
            ManifestDocument::decode(node.media_type(), content).during("decode", node.digest())?;
        let mut found = document.map_or_else(Vec::new, ManifestDocument::into_successors);
        if !self.options.include_non_distributable {
            found.retain(|child| !child.media_type().is_non_distributable());
        }
        match &self.options.hooks {
            Some(hooks) => hooks.successors(node, found).await,
            None => Ok(found),
        }
    }

    /// What an extended copy goes on to from `node`, against the direction of the graph.
    async fn followed_from(&self, node: &Descriptor, place: Place) -> Result<Vec<Descriptor>> {
        let Some(extended) = self.extended else {
            return Ok(Vec::new());
        };
        if extended
            .depth
            .is_some_and(|depth| place.steps as usize >= depth)
        {
            return Ok(Vec::new());
        }
        let mut found: Vec<Descriptor> = if extended.follow == Follow::Predecessors && place.upward
        {
            self.source
                .predecessors(node)
                .await
                .during("find predecessors of", node.digest())?
        } else {
            self.source
                .referrers(node, None)
                .try_collect()
                .await
                .during("list referrers of", node.digest())?
        };
        found.retain(|referrer| extended.follows(referrer));
        let admitted = self.bounds.admit(place.steps as usize, &found);
        admitted.during("list referrers of", node.digest())?;
        Ok(found)
    }

    /// Copies a blob, or says that it need not be.
    pub(super) async fn copy_blob(&self, node: Descriptor) -> Result<Outcome> {
        let copied = self.transfer(&node).blob().await;
        let action = copied.during("copy", node.digest())?;
        Ok(Outcome::Finished(action))
    }

    /// Pushes a manifest as `target`.
    pub(super) async fn copy_manifest(
        &self,
        node: Descriptor,
        target: Descriptor,
        content: Bytes,
        tags: Vec<Tag>,
    ) -> Result<Outcome> {
        match self.transfer(&node).manifest(&target, content, &tags).await {
            Ok(action) => Ok(Outcome::Finished(action)),
            Err(error) if error.kind() == ErrorKind::ManifestBlobUnknown => {
                Ok(Outcome::Incomplete(error))
            }
            Err(error) => Err(error.with_operation("copy").with_subject(node.digest())),
        }
    }

    pub(super) async fn pass_over(&self, node: Descriptor) -> Result<Outcome> {
        let action = self.transfer(&node).skipped().await?;
        Ok(Outcome::Finished(action))
    }
}
