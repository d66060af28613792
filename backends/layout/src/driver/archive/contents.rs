//! One state of an archive: which blobs it holds and where, as its headers tell.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use tranship::{Digest, Error, ErrorKind, Result};

use super::image::Image;
use super::opened::Opened;
use super::path::{Claim, LayoutFile, blob_directory, claim, plain};
use super::scan::{Kind, Member, corrupt, scan, show};
use crate::driver::file::check_limit;
use crate::driver::{INDEX, OCI_LAYOUT};

/// How many blobs an archive may have: what is known of each of them stays in memory.
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
    /// What no member holds as it is.
    Made(Bytes),
}

impl Blob {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Member { data, .. } => data.end - data.start,
            Self::Made(bytes) => bytes.len() as u64,
        }
    }
}

/// A layout in an archive.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(super) opened: Opened,
    pub(super) blobs: HashMap<Digest, Blob>,
    pub(super) index: Blob,
    pub(super) marker: Blob,
    /// The directories of blobs, without a slash at the end.
    pub(super) directories: HashSet<String>,
    /// Parts of the file that are not to be taken over into a new one: they are written anew, or
    /// are there twice.
    pub(super) dropped: Vec<Range<u64>>,
    /// Where the last member ends.
    pub(super) end: u64,
    /// The content of the `manifest.json` that `docker save` writes beside a layout.
    pub(super) docker_manifest: Option<Range<u64>>,
    /// What it was made from, if it is an archive of docker.
    pub(super) images: Option<Vec<Image>>,
}

impl Contents {
    /// Reads the headers of the archive `opened`.
    ///
    /// # Errors
    /// `Corrupt` if it is no archive of a layout, or one that cannot be trusted.
    pub(super) fn read(opened: Opened) -> Result<Self> {
        let mut reading = Reading {
            opened: &opened,
            files: HashMap::new(),
            dropped: Vec::new(),
            directories: HashSet::new(),
        };
        let mut docker_manifest = None;
        let end = scan(&opened.file, &opened.path, |member| {
            if plain(member.name) == Some("manifest.json") && member.kind == Kind::File {
                docker_manifest = Some(member.data.clone());
            }
            reading.take(member)
        })?;
        let Reading {
            mut files,
            mut dropped,
            directories,
            ..
        } = reading;
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

    /// The bytes of a blob, or of one of the other files.
    ///
    /// # Errors
    /// `SizeExceedsLimit` before anything is read if there are more than `limit` bytes.
    pub(super) fn bytes(&self, blob: &Blob, limit: u64) -> Result<Bytes> {
        check_limit(blob.size(), limit)?;
        match blob {
            Blob::Member { data, .. } => self.opened.read(data).map(Bytes::from),
            Blob::Made(bytes) => Ok(bytes.clone()),
        }
    }
}

fn missing(archive: &Path, name: &str, is_docker: bool) -> Error {
    let error = corrupt(
        archive,
        format!("holds no {name}, so it is no image layout"),
    );
    if is_docker {
        return error.with_hint("docker save writes such archives: read it as docker-archive:FILE");
    }
    error.with_hint("it may have been cut off, or made from the directory above the layout")
}

struct Reading<'a> {
    opened: &'a Opened,
    files: HashMap<LayoutFile, (Range<u64>, Range<u64>)>,
    dropped: Vec<Range<u64>>,
    directories: HashSet<String>,
}

impl Reading<'_> {
    fn take(&mut self, member: &Member<'_>) -> Result<()> {
        let refused = |what: &str| {
            Err(corrupt(
                &self.opened.path,
                format!("its member {} {what}", show(member.name)),
            ))
        };
        let file = match claim(member.name) {
            Claim::File(file) => file,
            Claim::Disguised if member.kind != Kind::Directory => {
                return refused("has a name that leads to a file of the layout by a detour");
            }
            Claim::Disguised | Claim::Other => {
                if member.kind == Kind::Directory {
                    self.directories.extend(blob_directory(member.name));
                }
                return Ok(());
            }
        };
        match member.kind {
            Kind::File => {}
            Kind::Link { symbolic: true, .. } => {
                return refused("is a symbolic link, which is not followed");
            }
            Kind::Link { .. } => return refused("is a hard link, which is not followed"),
            Kind::Sparse => return refused("is a sparse file, which no layout has"),
            Kind::Directory | Kind::Other => return refused("is not a regular file"),
        }
        let too_many = self.files.len() >= MAX_BLOBS;
        match self.files.entry(file) {
            Entry::Vacant(_) if too_many => Err(Error::new(
                ErrorKind::SizeExceedsLimit,
                format!("holds more than {MAX_BLOBS} blobs"),
            )
            .with_subject(self.opened.path.display())
            .with_hint("unpack it with tar, and read it as oci:DIR")),
            Entry::Vacant(place) => {
                place.insert((member.data.clone(), member.whole.clone()));
                Ok(())
            }
            Entry::Occupied(first) => {
                if !self.opened.are_equal(&first.get().0, &member.data)? {
                    return refused("is there twice, with different content");
                }
                self.dropped.push(member.whole.clone());
                Ok(())
            }
        }
    }
}
