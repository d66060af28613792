//! The entries of one layer: its headers, read once.

use std::io::{self, BufReader, Read};
use std::time::Duration;

use tranship::decompress::DecompressingReader;
use tranship::{Digest, Digester, Error, ErrorKind, Result};

use super::path::{self, ancestors};
use super::tar_reader::{RawKind, TarReader, unreadable};
use super::work_time::{TimedSource, WorkTime};

/// How many bytes are decompressed at a time.
const BUFFER: usize = 64 * 1024;

/// The prefix of the name of a whiteout.
const WHITEOUT: &[u8] = b".wh.";
/// The name of the whiteout that hides everything that lower layers have in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// The prefix of names that AUFS kept for itself.
const AUFS: &[u8] = b".wh..wh.";

/// An entry of a layer.
#[derive(Debug, Clone)]
pub(super) struct LayerEntry {
    /// Where it is, or what it removes.
    pub(super) path: Box<[u8]>,
    pub(super) kind: LayerEntryKind,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) mtime: i64,
    pub(super) nanoseconds: u32,
    pub(super) xattrs: Box<[(String, Vec<u8>)]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LayerEntryKind {
    File {
        size: u64,
    },
    Directory,
    Symlink {
        target: Box<[u8]>,
    },
    /// Another name for a file whose path is `target`.
    HardLink {
        target: Box<[u8]>,
    },
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    Fifo,
    /// Removes what lower layers have at the path.
    Whiteout,
    /// Removes what lower layers have in the directory.
    Opaque,
}

impl LayerEntryKind {
    /// Returns whether the entry only removes.
    pub(super) fn is_removal(&self) -> bool {
        matches!(self, Self::Whiteout | Self::Opaque)
    }
}

/// Returns whether `path` is one of those that AUFS kept for itself. They are only sources of hard links.
pub(super) fn is_of_aufs(path: &[u8]) -> bool {
    path.starts_with(AUFS)
}

/// All entries of a layer, in their order.
#[derive(Debug, Default)]
pub(super) struct LayerEntries {
    pub(super) all: Vec<LayerEntry>,
    /// The places in `all`, in the order of the paths.
    by_path: Vec<u32>,
}

impl LayerEntries {
    pub(super) fn new(all: Vec<LayerEntry>) -> Self {
        let mut by_path: Vec<u32> = (0..u32::try_from(all.len()).unwrap_or(u32::MAX)).collect();
        // Stable, so that entries of one path keep their order.
        by_path.sort_by(|a, b| all[*a as usize].path.cmp(&all[*b as usize].path));
        Self { all, by_path }
    }

    /// Returns the entries of `path`, with their places, in their order.
    pub(super) fn at<'a>(
        &'a self,
        path: &'a [u8],
    ) -> impl DoubleEndedIterator<Item = (usize, &'a LayerEntry)> {
        let of = |at: &u32| &*self.all[*at as usize].path;
        let start = self.by_path.partition_point(|at| of(at) < path);
        let end = self.by_path.partition_point(|at| of(at) <= path);
        let found = self.by_path[start..end].iter();
        found.map(|at| (*at as usize, &self.all[*at as usize]))
    }

    /// Returns whether there is an entry below the directory `path` that adds something.
    pub(super) fn has_below(&self, path: &[u8]) -> bool {
        let prefix = path::join(path, b"");
        let of = |at: &u32| &*self.all[*at as usize].path;
        let start = self.by_path.partition_point(|at| of(at) < &*prefix);
        let below = self.by_path[start..].iter();
        below
            .take_while(|at| of(at).starts_with(&prefix))
            .any(|at| !self.all[*at as usize].kind.is_removal())
    }

    /// Returns whether the layer itself says that each parent of the entry at `place` is a directory: one entry for
    /// each, before this one. Otherwise a parent may be a symbolic link of a lower layer.
    pub(super) fn has_own_parents(&self, place: usize) -> bool {
        ancestors(&self.all[place].path).all(|parent| {
            let mut entries = self
                .at(parent)
                .filter(|(_, entry)| !entry.kind.is_removal());
            match (entries.next(), entries.next()) {
                (Some((at, entry)), None) => at < place && entry.kind == LayerEntryKind::Directory,
                _ => false,
            }
        })
    }
}

/// How much the layers of an image may still have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    pub(super) entries: u64,
    pub(super) metadata: u64,
    pub(super) unpacked: u64,
    /// How long they may be decompressed.
    pub(super) time: Duration,
}

/// Reads a layer from its start to its end, and calls `visit` with each entry, its place, and a reader of its content.
///
/// The source is read to its end, so that a source that verifies its content does so. The decompressed bytes must have the
/// digest `diff_id`.
pub(super) fn read_layer<R: Read>(
    source: R,
    diff_id: Option<Digest>,
    allowance: &mut Allowance,
    mut visit: impl FnMut(usize, LayerEntry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let time = WorkTime::with_limit(allowance.time);
    let source = TimedSource::new(source, time.clone());
    let decompressed = DecompressingReader::new(source).map_err(unreadable)?;
    let digester = diff_id.map(|digest| Digester::new(digest.algorithm()));
    let mut hashed = HashedReader {
        source: decompressed,
        digester,
        left: allowance.unpacked,
        time: time.clone(),
        start: [0; 6],
        read: 0,
    };
    let buffered = BufReader::with_capacity(BUFFER, &mut hashed);
    let mut tar = TarReader::new(buffered);
    for place in 0.. {
        let entry = match tar.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(error) if place == 0 => {
                drop(tar);
                return Err(explain(error, &hashed.start));
            }
            Err(error) => return Err(error),
        };
        let entry = layer_entry(entry)?;
        if allowance.entries == 0 {
            return Err(Error::new(
                ErrorKind::SizeExceedsLimit,
                "the layers have more entries than the limit",
            ));
        }
        allowance.entries -= 1;
        let size = metadata_size(&entry);
        let left = allowance.metadata.checked_sub(size);
        allowance.metadata = left.ok_or_else(|| {
            Error::new(
                ErrorKind::SizeExceedsLimit,
                "the names and attributes of the entries have more bytes than the limit",
            )
        })?;
        visit(place, entry, &mut tar)?;
    }
    tar.drain()?;
    allowance.unpacked = hashed.left;
    allowance.time = time.left();
    match (hashed.digester.map(Digester::finish), diff_id) {
        (Some(found), Some(expected)) if found != expected => Err(Error::new(
            ErrorKind::DigestMismatch,
            format!(
                "the layer decompresses to {found}, and the config of the image says {expected}"
            ),
        )
        .with_hint("the image was put together wrongly; build it again")),
        _ => Ok(()),
    }
}

/// Says in which format a layer is that cannot be read.
fn explain(error: Error, start: &[u8]) -> Error {
    let format = match start {
        [0xfd, b'7', b'z', b'X', b'Z', 0] => "xz",
        [b'B', b'Z', b'h', ..] => "bzip2",
        _ => return error,
    };
    Error::unsupported(format!(
        "the layer is compressed by {format}, which images do not use"
    ))
}

fn metadata_size(entry: &LayerEntry) -> u64 {
    let target = match &entry.kind {
        LayerEntryKind::Symlink { target } | LayerEntryKind::HardLink { target } => target.len(),
        _ => 0,
    };
    let xattrs = entry.xattrs.iter();
    let xattrs: usize = xattrs.map(|(name, value)| name.len() + value.len()).sum();
    (entry.path.len() + target + xattrs) as u64
}

/// Makes an entry of what the headers say.
fn layer_entry(raw: super::tar_reader::RawEntry) -> Result<LayerEntry> {
    let invalid = |name: &[u8], what: &str| {
        let name = String::from_utf8_lossy(name.get(..160).unwrap_or(name)).into_owned();
        Error::new(
            ErrorKind::Corrupt,
            format!("the layer has the name {name:?}, which {what}"),
        )
    };
    let path = path::normalize(&raw.name).map_err(|what| invalid(&raw.name, what))?;
    let (directory, name) = path::split_last(&path);
    let hidden = path::components(directory).find(|part| part.starts_with(WHITEOUT));
    if hidden.is_some_and(|_| !is_of_aufs(&path)) {
        return Err(invalid(&raw.name, "is below a whiteout"));
    }
    let (path, kind) = if name == OPAQUE {
        (directory.into(), LayerEntryKind::Opaque)
    } else if is_of_aufs(&path) || !name.starts_with(WHITEOUT) {
        let kind = match raw.kind {
            RawKind::File => LayerEntryKind::File { size: raw.size },
            RawKind::Directory => LayerEntryKind::Directory,
            RawKind::Symlink => {
                if raw.target.contains(&0) || raw.target.len() > path::MAX_PATH {
                    return Err(invalid(&raw.name, "links to an invalid path"));
                }
                let target = raw.target.into();
                LayerEntryKind::Symlink { target }
            }
            RawKind::HardLink => {
                let target = path::normalize(&raw.target);
                let target = target.map_err(|what| invalid(&raw.target, what))?;
                LayerEntryKind::HardLink { target }
            }
            RawKind::CharDevice { major, minor } => LayerEntryKind::CharDevice { major, minor },
            RawKind::BlockDevice { major, minor } => LayerEntryKind::BlockDevice { major, minor },
            RawKind::Fifo => LayerEntryKind::Fifo,
        };
        (path, kind)
    } else {
        // Whatever type it has: some programs make whiteouts as hard links of each other.
        let name = &name[WHITEOUT.len()..];
        if name.is_empty() || name == b"." || name == b".." {
            return Err(invalid(&raw.name, "is a whiteout of nothing"));
        }
        (path::join(directory, name).into(), LayerEntryKind::Whiteout)
    };
    if path.is_empty() && !matches!(kind, LayerEntryKind::Directory | LayerEntryKind::Opaque) {
        return Err(invalid(
            &raw.name,
            "replaces the root by something other than a directory",
        ));
    }
    Ok(LayerEntry {
        path,
        kind,
        mode: raw.mode,
        uid: raw.uid,
        gid: raw.gid,
        mtime: raw.mtime,
        nanoseconds: raw.nanoseconds,
        xattrs: raw.xattrs.into(),
    })
}

/// Hashes the bytes that are read, keeps the first ones, and stops at a limit of size or time.
struct HashedReader<R> {
    source: R,
    digester: Option<Digester>,
    left: u64,
    time: WorkTime,
    start: [u8; 6],
    read: usize,
}

impl<R: Read> Read for HashedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        let bytes = &buffer[..length];
        let left = self.left.checked_sub(length as u64);
        self.left = left.ok_or(io::ErrorKind::FileTooLarge)?;
        self.time.check()?;
        if let Some(digester) = &mut self.digester {
            digester.update(bytes);
        }
        if self.read < self.start.len() {
            let wanted = self.start.len() - self.read;
            let first = &bytes[..length.min(wanted)];
            self.start[self.read..self.read + first.len()].copy_from_slice(first);
            self.read += first.len();
        }
        Ok(length)
    }
}
