//! What a backend is told, and what it returns, beside content.

use crate::capabilities::Capabilities;
use crate::identity::RegistryIdentity;
use crate::reference::{RepositoryName, Tag};
use crate::tag_patterns::TagPatterns;

/// The two kinds of content of a repository, which are addressed separately (distribution-spec, "Pulling Blobs" and
/// "Pulling Manifests").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentKind {
    /// Layers, configs and other content that only a digest names.
    Blob,
    /// Manifests and indexes, which tags can name and which are decoded when they are pushed.
    Manifest,
}

/// With which rights a backend looks for content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Those of a fetch.
    Read,
    /// Those of a push: the caller pushes the content if it is missing.
    Push,
}

/// What a backend says of itself.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct RepositoryInfo<'a> {
    /// The name within the registry, or the name that a store was opened under.
    pub name: &'a RepositoryName,
    /// The registry that the repository belongs to; `None` if it does not belong to one.
    pub registry: Option<&'a RegistryIdentity>,
    /// What the repository can do.
    pub capabilities: Capabilities,
    /// The tags that can be set once, and not be moved or removed. Of two layers that keep tags, those of the outer one.
    pub immutable_tags: Option<&'a TagPatterns>,
}

impl<'a> RepositoryInfo<'a> {
    /// A repository that does not belong to a registry.
    #[must_use]
    pub fn new(name: &'a RepositoryName, capabilities: Capabilities) -> Self {
        Self {
            name,
            registry: None,
            capabilities,
            immutable_tags: None,
        }
    }

    /// Sets [`registry`](Self::registry).
    #[must_use]
    pub fn with_registry(mut self, registry: &'a RegistryIdentity) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Sets [`immutable_tags`](Self::immutable_tags).
    #[must_use]
    pub fn with_immutable_tags(mut self, tags: &'a TagPatterns) -> Self {
        self.immutable_tags = Some(tags);
        self
    }

    /// Replaces [`capabilities`](Self::capabilities).
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }
}

/// How content came to be in a repository: by a [push](crate::Pusher::push), or by a
/// [mount](crate::Mounter::mount).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PushOutcome {
    /// The registry took the blob from another of its repositories. No bytes moved.
    Mounted,
    /// The content of the source was pushed. A backend that cannot tell returns this, too.
    Pushed,
    /// The repository had the content, so the source was not read. A mount of such a blob may also return
    /// [`Mounted`](Self::Mounted), since a registry need not tell the two apart.
    Present,
}

/// What a repository has stored under the digest of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// The content.
    Whole,
    /// Content of another size, such as a blob that was cut short. A push replaces it.
    OtherSize,
    /// Nothing.
    Absent,
}

/// How content is pushed.
///
/// ```
/// use tranship::{Presence, PushOptions};
///
/// let options = PushOptions::default().with_found(Presence::Absent);
/// assert!(!options.resumable);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PushOptions<'a> {
    /// The tags that are pointed at a manifest when it is stored. Blobs do not have tags.
    pub tags: &'a [Tag],
    /// What a look has just found, so that the backend need not look again; `None`, the default, if the
    /// caller has not looked.
    pub found: Option<Presence>,
    /// Whether content that has arrived is kept when the push fails or is dropped, so that a later push
    /// of the same blob, in another process too, continues from there. By default it is not.
    ///
    /// A hint: a backend that cannot continue a push ignores it. What is kept takes space until it is
    /// continued, or until the backend or its garbage collection removes it.
    pub resumable: bool,
}

impl<'a> PushOptions<'a> {
    /// Sets [`tags`](Self::tags).
    #[must_use]
    pub fn with_tags(mut self, tags: &'a [Tag]) -> Self {
        self.tags = tags;
        self
    }

    /// Sets [`found`](Self::found).
    #[must_use]
    pub fn with_found(mut self, found: Presence) -> Self {
        self.found = Some(found);
        self
    }

    /// Sets [`resumable`](Self::resumable).
    #[must_use]
    pub fn with_resumable(mut self, resumable: bool) -> Self {
        self.resumable = resumable;
        self
    }
}
