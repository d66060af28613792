//! One state of an archive: its blobs and their positions, as its headers describe them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use tranship::{Digest, Error, ErrorKind, Result};
use tranship_tar::{Member, MemberKind, quoted};

use super::image::Image;
use super::member_name::{LayoutFile, MemberName, blob_directory, plain_path};
use super::opened::OpenedArchive;
use super::scan::{corrupt, scan};
use crate::driver::file::check_limit;
use crate::driver::{INDEX, OCI_LAYOUT};

/// How many blobs an archive may have: their positions are kept in memory.
const MAX_BLOBS: usize = 100_000;

/// A blob in an archive.
#[derive(Debug, Clone)]
pub(super) enum Blob {
    /// A part of the archive's file.
    Member {
        data: Range<u64>,
        /// The part with its headers.
        whole: Range<u64>,
    },
    /// Content that is not a member of the archive.
    Generated(Bytes),
}

impl Blob {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Member { data, .. } => data.end - data.start,
            Self::Generated(bytes) => bytes.len() as u64,
        }
    }
}

/// A layout in an archive.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(super) opened: OpenedArchive,
    pub(super) blobs: HashMap<Digest, Blob>,
    pub(super) index: Blob,
    pub(super) marker: Blob,
    /// The directories of blobs, without a slash at the end.
    pub(super) directories: HashSet<String>,
    /// The parts of the file that are not copied to a new archive: members that are written again, and duplicates.
    pub(super) dropped: Vec<Range<u64>>,
    /// The end of the last member.
    pub(super) end: u64,
    /// The content of the `manifest.json` that `docker save` writes beside a layout.
    pub(super) docker_manifest: Option<Range<u64>>,
    /// The images that the layout was made from, if it is a docker-archive.
    pub(super) images: Option<Vec<Image>>,
}

impl Contents {
    /// Reads the headers of the archive `opened`.
    ///
    /// # Errors
    /// `Corrupt` if it is not an archive of a layout, or an ambiguous one.
    pub(super) fn read(opened: OpenedArchive) -> Result<Self> {
        let mut collector = MemberCollector {
            opened: &opened,
            files: HashMap::new(),
            dropped: Vec::new(),
            directories: HashSet::new(),
        };
        let mut docker_manifest = None;
        let end = scan(&opened.file, &opened.path, |member| {
            if plain_path(member.name) == Some("manifest.json") && member.kind == MemberKind::File {
                docker_manifest = Some(member.data.clone());
            }
            collector.add(member)
        })?;
        let MemberCollector {
            mut files,
            mut dropped,
            directories,
            ..
        } = collector;
        let mut required = |file, name: &str| {
            let Some((data, whole)) = files.remove(&file) else {
                return Err(missing(&opened.path, name, docker_manifest.is_some()));
            };
            dropped.push(whole.clone());
            Ok(Blob::Member { data, whole })
        };
        let marker = required(LayoutFile::Marker, OCI_LAYOUT)?;
        let index = required(LayoutFile::Index, INDEX)?;
        let blobs = files.into_iter().filter_map(|(file, (data, whole))| {
            let LayoutFile::Blob(digest) = file else {
                return None;
            };
            Some((digest, Blob::Member { data, whole }))
        });
        Ok(Self {
            blobs: blobs.collect(),
            index,
            marker,
            directories,
            dropped,
            end,
            docker_manifest,
            images: None,
            opened,
        })
    }

    /// Reads a blob, or one of the other files.
    ///
    /// # Errors
    /// `SizeExceedsLimit` before anything is read if there are more than `limit` bytes.
    pub(super) fn bytes(&self, blob: &Blob, limit: u64) -> Result<Bytes> {
        check_limit(blob.size(), limit)?;
        match blob {
            Blob::Member { data, .. } => self.opened.read(data).map(Bytes::from),
            Blob::Generated(bytes) => Ok(bytes.clone()),
        }
    }
}

fn missing(archive: &Path, name: &str, is_docker: bool) -> Error {
    let error = corrupt(
        archive,
        format!("has no {name}, so it is not an image layout"),
    );
    if is_docker {
        return error.with_hint("docker save writes such archives: read it as docker-archive:FILE");
    }
    error.with_hint("it may have been cut off, or made from the directory above the layout")
}

struct MemberCollector<'a> {
    opened: &'a OpenedArchive,
    files: HashMap<LayoutFile, (Range<u64>, Range<u64>)>,
    dropped: Vec<Range<u64>>,
    directories: HashSet<String>,
}

impl MemberCollector<'_> {
    fn add(&mut self, member: &Member<'_>) -> Result<()> {
        let refused = |what: &str| {
            Err(corrupt(
                &self.opened.path,
                format!("its member {} {what}", quoted(member.name)),
            ))
        };
        let file = match MemberName::parse(member.name) {
            MemberName::File(file) => file,
            MemberName::Disguised if member.kind != MemberKind::Directory => {
                return refused("has a name that leads to a file of the layout by a detour");
            }
            MemberName::Disguised | MemberName::Other => {
                if member.kind == MemberKind::Directory {
                    self.directories.extend(blob_directory(member.name));
                }
                return Ok(());
            }
        };
        match member.kind {
            MemberKind::File => {}
            MemberKind::Link { symbolic: true, .. } => {
                return refused("is a symbolic link, which is not followed");
            }
            MemberKind::Link { .. } => return refused("is a hard link, which is not followed"),
            MemberKind::Sparse => return refused("is a sparse file, which a layout cannot have"),
            MemberKind::Directory | MemberKind::Other => return refused("is not a regular file"),
        }
        let too_many = self.files.len() >= MAX_BLOBS;
        match self.files.entry(file) {
            Entry::Vacant(_) if too_many => Err(Error::new(
                ErrorKind::SizeExceedsLimit,
                format!("has more than {MAX_BLOBS} blobs"),
            )
            .with_subject(self.opened.path.display())
            .with_hint("unpack it with tar, and read it as oci:DIR")),
            Entry::Vacant(entry) => {
                entry.insert((member.data.clone(), member.whole.clone()));
                Ok(())
            }
            Entry::Occupied(first) => {
                if !self.opened.are_equal(&first.get().0, &member.data)? {
                    return refused("occurs twice, with different content");
                }
                self.dropped.push(member.whole.clone());
                Ok(())
            }
        }
    }
}
