//! The manifests of a layout: those that `index.json` lists, and the blobs that read as manifests.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tranship::{
    Body, ByteRange, Content, Descriptor, Digest, Error, ErrorKind, ManifestDocument, PushOutcome,
    Result, Source, Tag, TagOrDigest,
};

use crate::children::Children;
use crate::driver::check_size;
use crate::graph::Node;
use crate::index::Edit;
use crate::store::Store;

/// How often a manifest is stored again that somebody deletes at the same time.
const MAX_ATTEMPTS: u32 = 16;

pub(crate) struct Manifests {
    store: Arc<Store>,
}

impl Manifests {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    pub(crate) async fn read(&self, target: &Descriptor) -> Result<Content> {
        let content = self.bytes(target).await?;
        Ok(Content::from_bytes(target.clone(), content))
    }

    /// Returns the manifest's bytes, unchecked.
    async fn bytes(&self, target: &Descriptor) -> Result<Bytes> {
        let missing = || Error::not_found(target.digest());
        let digest = target.digest();
        let content = self
            .store
            .read_manifest(digest)
            .await?
            .ok_or_else(missing)?;
        if self.store.graph().node(digest).is_none()
            && ManifestDocument::sniff(&content).is_none()
            && self.store.index().await?.listed(digest).is_none()
        {
            return Err(missing().with_hint("there is a blob of this digest, which is no manifest"));
        }
        check_size(content.len() as u64, target)?;
        Ok(content)
    }

    pub(crate) async fn read_range(
        &self,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        let range = range.resolve(target.size())?;
        let content = self.bytes(target).await?;
        let bounds = |at| usize::try_from(at).unwrap_or(usize::MAX);
        let part = content.slice(bounds(range.start)..bounds(range.end));
        Ok(Content::partial(
            target.clone(),
            range,
            Body::from_bytes(part),
        ))
    }

    /// Whether the manifest is stored. A batch may rely on that.
    pub(crate) async fn has(&self, target: &Descriptor) -> Result<bool> {
        match self.bytes(target).await {
            Ok(_) => {
                let vouched = self.store.vouches_for(target.digest()).await?;
                if vouched {
                    self.store.rely_on(target.digest(), target.size());
                }
                Ok(vouched)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::SizeMismatch | ErrorKind::SizeExceedsLimit
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn by_digest(&self, digest: &Digest) -> Result<Descriptor> {
        if let Some(listed) = self.store.index().await?.listed(digest) {
            return Ok(listed.plain());
        }
        let content = match self.store.read_manifest(digest).await {
            // What is too large for a manifest is a blob.
            Err(error) if error.kind() == ErrorKind::SizeExceedsLimit => None,
            content => content?,
        };
        let sniffed = content.as_deref().and_then(|content| {
            let media_type = ManifestDocument::sniff(content)?;
            Some(Descriptor::new(media_type, *digest, content.len() as u64))
        });
        sniffed.ok_or_else(|| Error::not_found(digest))
    }

    pub(crate) async fn stat(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        let found = self.named(reference).await?;
        let driver = self.store.driver().await?;
        match driver.blob_size(found.digest()).await? {
            Some(size) => check_size(size, &found).map(|()| found),
            None => Err(named_and_missing(reference)),
        }
    }

    pub(crate) async fn read_reference(&self, reference: &TagOrDigest) -> Result<Content> {
        // It is listed, or was seen to be a manifest just now, so nobody need look at that again.
        let target = self.named(reference).await?;
        let content = self.store.read_manifest(target.digest()).await?;
        let content = content.ok_or_else(|| named_and_missing(reference))?;
        check_size(content.len() as u64, &target)?;
        Ok(Content::from_bytes(target, content))
    }

    /// What `index.json` says that `reference` names, whether it is there or not.
    async fn named(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        let tag = match reference {
            TagOrDigest::Digest(digest) => return self.by_digest(digest).await,
            TagOrDigest::Tag(tag) => tag,
        };
        let snapshot = self.store.index().await?;
        match snapshot.tagged(tag) {
            Some(target) => Ok(target.plain()),
            None => Err(snapshot.no_such(tag)),
        }
    }

    pub(crate) async fn write(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        tags: &[Tag],
    ) -> Result<PushOutcome> {
        let media_type = expected.media_type();
        if !media_type.is_manifest() {
            return Err(Error::unsupported(format!(
                "{media_type} is not the media type of a manifest"
            )));
        }
        let stored = self.stored_content(expected).await?;
        let mut is_stored = stored.is_some();
        let outcome = match is_stored {
            true => PushOutcome::Present,
            false => PushOutcome::Pushed,
        };
        let content = match stored {
            Some(content) => content,
            None => {
                let limit = self.store.max_manifest_size();
                source.bytes(expected, limit).await?
            }
        };
        let document = ManifestDocument::decode_plain(media_type, &content)?;
        let document = document
            .ok_or_else(|| Error::unsupported(format!("{media_type} cannot be decoded")))?;
        if is_stored {
            let found = vec![expected.plain()];
            self.store.secure_closure(found).await?;
        } else {
            self.store.secure_successors(&document).await?;
        }
        let (node, leaves) = Node::new(expected, document);
        let edit = listing(expected, &node, tags);
        // A batch can be very long, so what its manifests refer to is not kept: whoever asks for that
        // reads them.
        let kept = (!self.store.is_batch()).then(|| Arc::new(node));
        for _ in 0..MAX_ATTEMPTS {
            if !is_stored {
                let driver = self.store.driver().await?;
                driver
                    .put_blob(expected, Source::from(content.clone()))
                    .await?;
            }
            let Some(node) = &kept else {
                self.store.commit(edit).await?;
                return Ok(outcome);
            };
            self.list(&edit).await?;
            self.store.graph().insert(node, &leaves);
            // Somebody may have deleted it before it was listed; from then on nobody does unseen.
            is_stored = self.is_stored(expected).await?;
            if is_stored {
                return Ok(outcome);
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "the manifest is deleted as often as it is pushed",
        ))
    }

    /// The content, if it is there and undamaged.
    async fn stored_content(&self, expected: &Descriptor) -> Result<Option<Bytes>> {
        match self.store.read_manifest(expected.digest()).await {
            Ok(content) => Ok(content.filter(|content| {
                content.len() as u64 == expected.size() && expected.digest().matches(content)
            })),
            Err(error) if error.kind() == ErrorKind::SizeExceedsLimit => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn is_stored(&self, target: &Descriptor) -> Result<bool> {
        let driver = self.store.driver().await?;
        Ok(driver.blob_size(target.digest()).await? == Some(target.size()))
    }

    /// Changes the index, unless it is as wanted.
    async fn list(&self, edit: &Edit) -> Result<()> {
        if self.store.is_batch() {
            return self.store.commit(edit.clone()).await;
        }
        // What was read last is enough to guess by; only that nothing is to be done must be sure.
        let mut snapshot = self.store.last_index().await?;
        let mut version = None;
        if self.store.is_idle(&snapshot, edit) {
            (snapshot, version) = self.store.versioned_index().await?;
        }
        if snapshot.needs_indexes(edit) {
            self.store.load_indexes(&snapshot).await;
        }
        if self.store.is_idle(&snapshot, edit) && version.is_none() {
            (snapshot, version) = self.store.versioned_index().await?;
        }
        // Without a layout an idle change still has to make one.
        if self.store.is_idle(&snapshot, edit) && self.store.is_layout().await? {
            return self.store.secure_index(version.as_ref()).await;
        }
        self.store.commit(edit.clone()).await
    }

    pub(crate) async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        let missing = || Error::not_found(target.digest());
        let node = match self.store.graph().node(target.digest()) {
            Some(node) => Some(node),
            None => {
                let found = self.by_digest(target.digest()).await?;
                self.store.node(&found).await?
            }
        };
        let tags = std::slice::from_ref(tag);
        let edit = match node {
            Some(node) => listing(target, &node, tags),
            // Listed by somebody else, with a media type that we cannot look into.
            None => Edit::List {
                entry: self.by_digest(target.digest()).await?,
                tags: tags.to_vec(),
                children: Children::default(),
            },
        };
        let Edit::List { entry, .. } = &edit else {
            return Err(missing());
        };
        if !entry.same_content(target) || !self.is_stored(target).await? {
            return Err(missing());
        }
        self.store.secure_closure(vec![entry.plain()]).await?;
        self.list(&edit).await?;
        // A batch goes on it from now on.
        if self.store.is_batch() || self.is_stored(target).await? {
            return Ok(());
        }
        // It was deleted meanwhile, and takes its new tag along.
        self.store
            .commit(Edit::Delete {
                target: *target.digest(),
                children: Vec::new(),
            })
            .await?;
        Err(missing())
    }

    pub(crate) async fn remove(&self, target: &Descriptor) -> Result<()> {
        self.store.check_removal()?;
        let digest = target.digest();
        let missing = || Error::not_found(digest);
        let _lock = self.store.deletes().lock(digest).await;
        let found = self.by_digest(digest).await?;
        let snapshot = self.store.index().await?;
        if !found.same_content(target) && !self.is_stored(target).await? {
            return Err(missing());
        }
        let (mut children, mut absent) = (Vec::new(), Vec::new());
        if found.media_type().is_index() {
            // One that is damaged must be deletable too.
            let node = self.store.node(&found).await.unwrap_or_default();
            for child in node.iter().flat_map(|node| node.children.iter()) {
                let kept = if self.is_stored(child).await? {
                    &mut children
                } else {
                    &mut absent
                };
                if child.media_type().is_manifest() {
                    let known = self.store.graph().node(child.digest());
                    kept.push(known.map_or_else(|| child.plain(), |known| known.entry()));
                }
            }
            if !children.is_empty() {
                self.store.load_indexes(&snapshot).await;
            }
        }
        self.store
            .commit(Edit::Delete {
                target: *digest,
                children,
            })
            .await?;
        self.store.graph().forget(digest);
        for child in absent {
            // Pushed meanwhile, as a child of what was listed until now.
            if self.is_stored(&child).await? {
                self.store.secure_closure(vec![child.clone()]).await?;
                let edit = Edit::List {
                    entry: child,
                    tags: Vec::new(),
                    children: Children::default(),
                };
                self.list(&edit).await?;
            }
        }
        Ok(())
    }
}

/// The change that lists a manifest.
fn listing(target: &Descriptor, node: &Node, tags: &[Tag]) -> Edit {
    let mut entry = node.entry();
    if let Some(platform) = target.platform() {
        entry = entry.with_platform(platform.clone());
    }
    if entry == *target {
        // Shares what it says with whoever pushes: an index of a thousand platforms has as many.
        entry = target.clone();
    }
    Edit::List {
        entry,
        tags: tags.to_vec(),
        children: node.children.clone(),
    }
}

fn named_and_missing(reference: &TagOrDigest) -> Error {
    Error::not_found(reference)
        .with_hint("index.json names it, but its manifest is missing: push it again")
}

impl fmt::Debug for Manifests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifests").finish_non_exhaustive()
    }
}
