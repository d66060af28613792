//! What a layout can be told when it is opened.

use std::path::PathBuf;

use tranship::{MAX_MANIFEST_SIZE, RepositoryName};

#[cfg(feature = "object-store")]
use crate::url_signer::UrlSigner;

/// How an image layout is opened.
///
/// ```
/// use tranship_layout::{Durability, LayoutOptions};
///
/// let options = LayoutOptions::default()
///     .with_durability(Durability::Relaxed)
///     .with_max_manifest_size(8 * 1024 * 1024);
/// assert_eq!(options.max_index_size, 64 * 1024 * 1024);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutOptions {
    /// The repository's name. Unless it is given, the name of the directory is taken, in lower case
    /// and with `-` for what no repository name has. The repositories of a
    /// [`LayoutRegistry`](crate::LayoutRegistry) have their own.
    pub name: Option<RepositoryName>,
    /// How large a manifest may be, in bytes: 4 MiB.
    pub max_manifest_size: u64,
    /// How large `index.json` may be, in bytes: 64 MiB, some 200,000 tags.
    pub max_index_size: u64,
    /// A directory. Symbolic links in a layout on a local disk that lead to files in it are followed, and the layout
    /// is only read; unless it is given, no link is followed. Build tools such as Bazel make layouts of links to
    /// their caches.
    ///
    /// Of a layout that others made, a link may lead to any file that this process can read. Name the directory of
    /// the build, not `/`.
    pub follow_links: Option<PathBuf>,
    /// How large a compressed archive may be when it is decompressed, in bytes: 64 GiB.
    pub max_unpacked_size: u64,
    /// What a finished call promises.
    pub durability: Durability,
    /// Whether an object store is written to that has no conditional PUT, such as WebDAV: no. There
    /// **one writer at a time** is all that goes; two would undo each other's changes, and nobody would
    /// notice. Where a store has conditions they are used all the same.
    pub unconditional_put: bool,
    /// How much of what is pushed to an object store may be in memory at a time, in bytes, for all
    /// pushes together: 10 MiB, two parts on their way. More is faster on a fast line to a distant store.
    ///
    /// A single part is held in any case. It is 5 MiB for blobs of up to 48 GiB, and a 10,000th of
    /// larger ones. So is one part more for each source that hangs for seconds, which would hold up
    /// the others otherwise.
    pub upload_memory: u64,
    /// Signs the URLs of [`Backend::direct_url`](tranship::Backend::direct_url) for blobs in an object store. With
    /// `None`, the default, blobs do not have such URLs.
    #[cfg(feature = "object-store")]
    pub signer: Option<UrlSigner>,
}

impl Default for LayoutOptions {
    fn default() -> Self {
        Self {
            name: None,
            max_manifest_size: MAX_MANIFEST_SIZE,
            max_index_size: 64 * 1024 * 1024,
            follow_links: None,
            max_unpacked_size: 64 * 1024 * 1024 * 1024,
            durability: Durability::default(),
            unconditional_put: false,
            upload_memory: 10 * 1024 * 1024,
            #[cfg(feature = "object-store")]
            signer: None,
        }
    }
}

impl LayoutOptions {
    /// Sets [`name`](Self::name).
    #[must_use]
    pub fn with_name(mut self, name: RepositoryName) -> Self {
        self.name = Some(name);
        self
    }

    /// Sets [`max_manifest_size`](Self::max_manifest_size).
    #[must_use]
    pub fn with_max_manifest_size(mut self, bytes: u64) -> Self {
        self.max_manifest_size = bytes;
        self
    }

    /// Sets [`max_index_size`](Self::max_index_size).
    #[must_use]
    pub fn with_max_index_size(mut self, bytes: u64) -> Self {
        self.max_index_size = bytes;
        self
    }

    /// Sets [`follow_links`](Self::follow_links).
    #[must_use]
    pub fn with_follow_links(mut self, root: impl Into<PathBuf>) -> Self {
        self.follow_links = Some(root.into());
        self
    }

    /// Sets [`max_unpacked_size`](Self::max_unpacked_size).
    #[must_use]
    pub fn with_max_unpacked_size(mut self, bytes: u64) -> Self {
        self.max_unpacked_size = bytes;
        self
    }

    /// Sets [`durability`](Self::durability).
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets [`unconditional_put`](Self::unconditional_put).
    #[must_use]
    pub fn with_unconditional_put(mut self, unconditional: bool) -> Self {
        self.unconditional_put = unconditional;
        self
    }

    /// Sets [`signer`](Self::signer).
    #[cfg(feature = "object-store")]
    #[must_use]
    pub fn with_signer(mut self, signer: UrlSigner) -> Self {
        self.signer = Some(signer);
        self
    }

    /// Sets [`upload_memory`](Self::upload_memory).
    #[must_use]
    pub fn with_upload_memory(mut self, bytes: u64) -> Self {
        self.upload_memory = bytes;
        self
    }
}

/// What a finished call promises for a power cut.
///
/// Either way a process that dies leaves nothing half made: files get their names when they are
/// complete.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Durability {
    /// Everything that the result of a successful call depends on is still there, whoever stored it. Files and
    /// directories are synced, blobs before the index that names them. Content that another program has
    /// stored without a sync is synced, too.
    #[default]
    Full,
    /// Nothing is synced. After a power cut what was stored in the last seconds may be missing or
    /// damaged, as with most other tools that write layouts.
    Relaxed,
}
