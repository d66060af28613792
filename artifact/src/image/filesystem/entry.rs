//! The metadata of a file.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use tranship::Digest;

use super::layer::{LayerEntry, LayerEntryKind};
use super::path::shown;

/// A file, a directory or something else in the file system of an image.
///
/// Its JSON has the fields by their names in camelCase; `mode` is a number, of which the lower 12 bits are used.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The path from the root, such as `/etc/hosts`, without symbolic links in it. In JSON, bytes that are not UTF-8 are
    /// replaced by U+FFFD.
    #[serde(serialize_with = "as_text")]
    pub path: Vec<u8>,
    /// What it is.
    #[serde(flatten)]
    pub kind: EntryKind,
    /// The permissions, and the set-uid, set-gid and sticky bits.
    pub mode: u32,
    /// The number of the owner.
    pub uid: u64,
    /// The number of the group.
    pub gid: u64,
    /// The time of the last change, in seconds since 1970-01-01 UTC.
    pub mtime: i64,
    /// The extended attributes, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "names")]
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// The layer that describes it; `None` for a directory that no layer describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<Digest>,
}

/// What an [`Entry`] is. Its JSON has the name of the kind in `type`, and the fields beside it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum EntryKind {
    /// A regular file.
    File {
        /// The size in bytes.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Where it leads, unchanged.
        #[serde(serialize_with = "as_is")]
        target: Vec<u8>,
    },
    /// A character device.
    CharDevice {
        /// The major number.
        major: u32,
        /// The minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// The major number.
        major: u32,
        /// The minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

impl Entry {
    /// Returns the path as text; bytes that are not UTF-8 are replaced by U+FFFD.
    #[must_use]
    pub fn path_text(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }

    /// Returns whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind == EntryKind::Directory
    }

    /// Returns the type and the permissions as `ls` shows them, such as `-rw-r--r--`.
    #[must_use]
    pub fn permissions(&self) -> String {
        let kind = match self.kind {
            EntryKind::File { .. } => '-',
            EntryKind::Directory => 'd',
            EntryKind::Symlink { .. } => 'l',
            EntryKind::CharDevice { .. } => 'c',
            EntryKind::BlockDevice { .. } => 'b',
            EntryKind::Fifo => 'p',
        };
        let mut text = String::from(kind);
        for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
            let bits = self.mode >> shift;
            text.push(if bits & 4 != 0 { 'r' } else { '-' });
            text.push(if bits & 2 != 0 { 'w' } else { '-' });
            text.push(match (self.mode & special != 0, bits & 1 != 0) {
                (false, false) => '-',
                (false, true) => 'x',
                (true, true) => letter,
                (true, false) => letter.to_ascii_uppercase(),
            });
        }
        text
    }

    pub(super) fn new(path: &[u8], entry: Option<&LayerEntry>, layer: Option<Digest>) -> Self {
        let path = [b"/", path].concat();
        let Some(entry) = entry else {
            return Self {
                path,
                kind: EntryKind::Directory,
                mode: 0o755,
                uid: 0,
                gid: 0,
                mtime: 0,
                xattrs: BTreeMap::new(),
                layer: None,
            };
        };
        Self {
            path,
            kind: kind(&entry.kind),
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattrs: entry.xattrs.iter().cloned().collect(),
            layer,
        }
    }
}

fn kind(kind: &LayerEntryKind) -> EntryKind {
    match kind {
        LayerEntryKind::File { size } => EntryKind::File { size: *size },
        LayerEntryKind::Symlink { target } => EntryKind::Symlink {
            target: target.to_vec(),
        },
        LayerEntryKind::CharDevice { major, minor } => EntryKind::CharDevice {
            major: *major,
            minor: *minor,
        },
        LayerEntryKind::BlockDevice { major, minor } => EntryKind::BlockDevice {
            major: *major,
            minor: *minor,
        },
        LayerEntryKind::Fifo => EntryKind::Fifo,
        // A node is never a hard link or a whiteout.
        LayerEntryKind::Directory
        | LayerEntryKind::HardLink { .. }
        | LayerEntryKind::Whiteout
        | LayerEntryKind::Opaque => EntryKind::Directory,
    }
}

fn as_text<S: Serializer>(path: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown(path.strip_prefix(b"/").unwrap_or(path)))
}

fn as_is<S: Serializer>(target: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(target))
}

fn names<S: Serializer>(
    xattrs: &BTreeMap<String, Vec<u8>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(xattrs.keys())
}
