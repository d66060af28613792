//! The single pieces of work of a copy: looking at a manifest, finding the manifests that refer to a node,
//! and moving content.

use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::extended::{ExtendedCopyOptions, Follow};
use super::options::{CopyOptions, Existing};
use super::platforms::PartialRoot;
use super::progress::CopyAction;
use super::side::OnSide as _;
use super::transfer::Transfer;
use crate::descriptor::Descriptor;
use crate::digest_tag::digest_tagged;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::graph::{describe_referrer, fetch_document};
use crate::manifest::ManifestDocument;
use crate::reference::Tag;
use crate::repository::Repository;
use crate::storage::Fetcher;

/// What a piece of work has found or done.
pub(super) enum Outcome {
    /// A manifest, and what is known of it now.
    Inspected {
        present: bool,
        content: Option<Bytes>,
        children: Vec<Descriptor>,
    },
    /// The manifests that refer to a node, and those that a tag attaches to it.
    Followed {
        /// Whether the node was followed upward when that began.
        is_upward: bool,
        found: Vec<Descriptor>,
        attached: Vec<(Tag, Descriptor)>,
    },
    Finished(CopyAction),
    /// The destination refused a manifest because it misses something that it refers to.
    Incomplete(Error),
}

#[derive(Clone, Copy)]
pub(super) struct Copier<'a> {
    pub(super) source: &'a dyn Repository,
    pub(super) destination: &'a dyn Repository,
    pub(super) options: &'a CopyOptions,
    pub(super) extended: Option<&'a ExtendedCopyOptions>,
    /// The sparse root, if there is one: only a part of it is copied.
    pub(super) partial: Option<&'a PartialRoot>,
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
            partial: None,
        }
    }

    /// Whether only a part of what `node` refers to is copied. The destination may have another part.
    fn is_partial(&self, node: &Descriptor) -> bool {
        self.partial
            .is_some_and(|partial| partial.digest == *node.digest())
    }

    pub(super) fn transfer<'n>(&'n self, node: &'n Descriptor) -> Transfer<'n> {
        Transfer::new(self.source, self.destination, self.options, node)
    }

    /// Finds out whether the destination has a manifest, and if not, what the manifest refers to. Where the
    /// destination has it, `look_below` finds the manifests below it, which may have referrers.
    pub(super) async fn inspect_manifest(
        &self,
        node: Descriptor,
        content: Option<Bytes>,
        look_below: bool,
        forced: bool,
    ) -> Result<Outcome> {
        let present = !forced
            && self
                .destination
                .exists(&node)
                .await
                .at_destination()
                .during("look for", node.digest())?;
        let is_trusted =
            present && self.options.existing == Existing::Trust && !self.is_partial(&node);
        if is_trusted && !look_below {
            return Ok(Outcome::Inspected {
                present,
                content: None,
                children: Vec::new(),
            });
        }
        let content = match content {
            Some(content) => content,
            None if is_trusted => self.read_present(&node).await?,
            None => self.read(self.source, &node).await.at_source()?,
        };
        let mut children = self.successors(&node, &content).await?;
        if is_trusted {
            children.retain(|child| child.media_type().is_manifest());
        }
        Ok(Outcome::Inspected {
            present,
            content: (!present).then_some(content),
            children,
        })
    }

    /// Reads a manifest that the destination has. It is read there, since registries count how often
    /// manifests are read, and copies are made from public registries to private places.
    async fn read_present(&self, node: &Descriptor) -> Result<Bytes> {
        match self.read(self.destination, node).await {
            Ok(content) => Ok(content),
            Err(_) => self.read(self.source, node).await.at_source(),
        }
    }

    async fn read(&self, store: &dyn Fetcher, node: &Descriptor) -> Result<Bytes> {
        let content = store.fetch(node).await.during("fetch", node.digest())?;
        let content = content.bytes(self.options.max_manifest_size).await;
        content.during("fetch", node.digest())
    }

    async fn successors(&self, node: &Descriptor, content: &[u8]) -> Result<Vec<Descriptor>> {
        let document =
            ManifestDocument::decode(node.media_type(), content).during("decode", node.digest())?;
        let mut found = document.map_or_else(Vec::new, ManifestDocument::into_successors);
        if let Some(partial) = self.partial.filter(|_| self.is_partial(node)) {
            found.retain(|child| !partial.leaves_out(child));
        }
        if !self.options.include_non_distributable {
            found.retain(|child| !child.media_type().is_non_distributable());
        }
        match &self.options.hooks {
            Some(hooks) => hooks.successors(node, found).await,
            None => Ok(found),
        }
    }

    /// Finds the manifests that an extended copy reaches from `node` by one step against the direction of the
    /// graph. `with_tags` includes those that digest tags attach.
    pub(super) async fn follow(
        &self,
        node: Descriptor,
        is_upward: bool,
        with_tags: bool,
    ) -> Result<Outcome> {
        let Some(extended) = self.extended else {
            return Ok(Outcome::Followed {
                is_upward,
                found: Vec::new(),
                attached: Vec::new(),
            });
        };
        let mut found: Vec<Descriptor> = if extended.follow == Follow::Predecessors && is_upward {
            self.source
                .predecessors(&node)
                .await
                .at_source()
                .during("find predecessors of", node.digest())?
        } else {
            self.source
                .referrers(&node, None)
                .try_collect()
                .await
                .at_source()
                .during("list referrers of", node.digest())?
        };
        found.retain(|referrer| extended.follows(referrer));
        let attached = match with_tags && extended.digest_tags {
            true => self.attached(&node, extended).await?,
            false => Vec::new(),
        };
        Ok(Outcome::Followed {
            is_upward,
            found,
            attached,
        })
    }

    async fn attached(
        &self,
        node: &Descriptor,
        extended: &ExtendedCopyOptions,
    ) -> Result<Vec<(Tag, Descriptor)>> {
        let attached = digest_tagged(self.source, node.digest()).await;
        let mut attached = attached.at_source()?;
        if !extended.has_filters() {
            return Ok(attached);
        }
        for (tag, descriptor) in std::mem::take(&mut attached) {
            let limit = self.options.max_manifest_size;
            let document = fetch_document(self.source, &descriptor, limit).await;
            let document = document.at_source().during("fetch", &tag)?;
            let described = document.map(|document| describe_referrer(&descriptor, &document));
            if described.is_some_and(|described| extended.follows(&described)) {
                attached.push((tag, descriptor));
            }
        }
        Ok(attached)
    }

    /// Copies a blob, or finds out that it need not be.
    pub(super) async fn copy_blob(&self, node: Descriptor) -> Result<Outcome> {
        let copied = self.transfer(&node).blob().await;
        let action = copied.during("copy", node.digest())?;
        Ok(Outcome::Finished(action))
    }

    /// Pushes a manifest as `target`. On the first try the caller may leave it out.
    pub(super) async fn copy_manifest(
        &self,
        node: Descriptor,
        target: Descriptor,
        content: Bytes,
        tags: Vec<Tag>,
        is_first_try: bool,
    ) -> Result<Outcome> {
        let transfer = self.transfer(&node);
        if is_first_try && transfer.is_left_out().await.during("copy", node.digest())? {
            return Ok(Outcome::Finished(CopyAction::LeftOut));
        }
        if self.options.dry_run {
            return Ok(Outcome::Finished(CopyAction::Copied));
        }
        let pushed = transfer.push_manifest(&target, content, &tags).await;
        match pushed.at_destination() {
            Ok(()) => {
                let action = transfer.copied().await.during("copy", node.digest())?;
                Ok(Outcome::Finished(action))
            }
            Err(error) if error.kind() == ErrorKind::ManifestBlobUnknown => {
                Ok(Outcome::Incomplete(error))
            }
            Err(error) => Err(error.with_operation("copy").with_subject(node.digest())),
        }
    }

    pub(super) async fn pass_over(&self, node: Descriptor) -> Result<Outcome> {
        let action = self.transfer(&node).skipped().await;
        let action = action.during("copy", node.digest())?;
        Ok(Outcome::Finished(action))
    }
}
