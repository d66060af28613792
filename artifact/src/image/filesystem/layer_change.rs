//! What one layer changes.

use tranship::{Digest, Error, ErrorKind, Result};

use super::entry::Entry;
use super::layer::LayerEntryKind;
use super::open::Filesystem;

/// What an entry of a layer does to the layers below it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerChange {
    /// Adds or replaces a file, a directory or something else.
    Adds(Entry),
    /// Adds another name for a file.
    Links {
        /// The new name, from the root, such as `/usr/bin/vi`.
        path: Vec<u8>,
        /// The path of the file.
        target: Vec<u8>,
    },
    /// Removes what lower layers have at a path.
    Removes {
        /// The path.
        path: Vec<u8>,
    },
    /// Removes everything that lower layers have in a directory.
    Empties {
        /// The path of the directory.
        path: Vec<u8>,
    },
}

impl LayerChange {
    /// Returns the path that changes, from the root, such as `/etc/hosts`.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        match self {
            Self::Adds(entry) => &entry.path,
            Self::Links { path, .. } | Self::Removes { path } | Self::Empties { path } => path,
        }
    }
}

impl Filesystem<'_> {
    /// Lists what the layer `digest` alone changes, in the order of the layer. Reads only that layer.
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if the image does not have the layer.
    /// - As [`metadata`](Self::metadata) for damaged, large and unsupported layers.
    pub async fn list_layer(&mut self, digest: &Digest) -> Result<Vec<LayerChange>> {
        let number = self.layers().position(|layer| layer.digest() == digest);
        let number = number.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "the image does not have the layer")
                .with_subject(digest)
        })?;
        let entries = self.entries(number).await?;
        let rooted = |path: &[u8]| [b"/", path].concat();
        let changes = entries.all.iter().map(|entry| match &entry.kind {
            LayerEntryKind::Whiteout => LayerChange::Removes {
                path: rooted(&entry.path),
            },
            LayerEntryKind::Opaque => LayerChange::Empties {
                path: rooted(&entry.path),
            },
            LayerEntryKind::HardLink { target } => LayerChange::Links {
                path: rooted(&entry.path),
                target: rooted(target),
            },
            _ => LayerChange::Adds(Entry::new(&entry.path, Some(entry), Some(*digest))),
        });
        Ok(changes.collect())
    }
}
