//! One file of a bundle: where each of its members is.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tranship::{Digest, Error, ErrorKind, LocalFile, Result};
use tranship_tar::{Member, MemberKind, quoted};

use super::contents::BundleContents;
use super::decode::MAX_ENCODED;
use super::kept::read;
use super::members::{self, MemberName, OCI_LAYOUT_CONTENT, SUM_SIZE};
use super::scan::{Ended, corrupt, scan};
use super::stored_part::{StoredFile, StoredPart};

/// How much of two members is compared at a time, in bytes.
const CHUNK: u64 = 1024 * 1024;

/// One file of a bundle, open.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) path: PathBuf,
    file: Arc<StoredFile>,
    members: BTreeMap<MemberName, Range<u64>>,
    /// The name of a member that no bundle has, such as a link.
    unexpected: Option<String>,
    cut_off: Option<Error>,
}

impl Volume {
    /// Opens a file and reads its headers.
    ///
    /// # Errors
    /// `Corrupt` if it is not a tar file, or has members that two programs would unpack differently.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = Arc::new(StoredFile::open(path)?);
        let mut volume = Self {
            path: path.to_owned(),
            file: Arc::clone(&file),
            members: BTreeMap::new(),
            unexpected: None,
            cut_off: None,
        };
        match scan(&*file.file()?, path, |member| volume.add(member))? {
            Ended::Whole => {}
            Ended::CutOff(error) => volume.cut_off = Some(error),
        }
        Ok(volume)
    }

    fn add(&mut self, member: &Member<'_>) -> Result<()> {
        let name = MemberName::parse(member.name);
        let shown = || quoted(member.name);
        match (&name, &member.kind) {
            (MemberName::Escaping, _) => {
                let message = format!(
                    "has a member with the name {}, which leads out of it",
                    shown()
                );
                return Err(corrupt(&self.path, message));
            }
            (_, MemberKind::Directory) => return Ok(()),
            (MemberName::Other, MemberKind::File) => return Ok(()),
            (MemberName::Other | MemberName::Misplaced, _) => {
                self.unexpected.get_or_insert_with(shown);
                return Ok(());
            }
            (_, MemberKind::File) => {}
            (_, MemberKind::Link { .. } | MemberKind::Sparse | MemberKind::Other) => {
                let message = format!("has {} as something else than a file", shown());
                return Err(corrupt(&self.path, message));
            }
        }
        if let Some(earlier) = self.members.get(&name) {
            if !self.are_equal(earlier, &member.data)? {
                let message = format!("has two different members with the name {}", shown());
                return Err(corrupt(&self.path, message));
            }
            return Ok(());
        }
        self.members.insert(name, member.data.clone());
        Ok(())
    }

    fn are_equal(&self, one: &Range<u64>, other: &Range<u64>) -> Result<bool> {
        let file = self.file.file()?;
        let length = one.end - one.start;
        if length != other.end - other.start {
            return Ok(false);
        }
        let mut offset = 0;
        while offset < length {
            let count = CHUNK.min(length - offset);
            let at = |start: u64| {
                let range = start + offset..start + offset + count;
                read(&LocalFile::new(Arc::clone(&file), range))
            };
            let equal = at(one.start)? == at(other.start)?;
            if !equal {
                return Ok(false);
            }
            offset += count;
        }
        Ok(true)
    }

    /// Closes the file until it is read again.
    pub(super) fn close(&self) {
        self.file.close();
    }

    /// Returns where the content of a member is.
    pub(super) fn member(&self, name: &MemberName) -> Option<StoredPart> {
        let range = self.members.get(name)?.clone();
        Some(StoredPart::new(Arc::clone(&self.file), range))
    }

    /// Reads a member of at most `limit` bytes.
    pub(super) fn read(&self, name: &MemberName, limit: u64) -> Result<Option<Bytes>> {
        let Some(member) = self.member(name) else {
            return Ok(None);
        };
        if member.length() > limit {
            let message = format!("has a member of more than {limit} bytes that is read whole");
            return Err(
                Error::new(ErrorKind::SizeExceedsLimit, message).with_subject(self.path.display())
            );
        }
        read(&member.open()?)
            .map(Some)
            .map_err(|error| error.with_subject(self.path.display()))
    }

    /// Returns the names of all members of the bundle.
    pub(super) fn names(&self) -> impl Iterator<Item = &MemberName> {
        self.members.keys()
    }

    /// Returns the digests of all whole manifests and blobs.
    pub(super) fn blobs(&self) -> impl Iterator<Item = (Digest, u64)> {
        self.members.iter().filter_map(|(name, range)| match name {
            MemberName::Blob(digest) => Some((*digest, range.end - range.start)),
            _ => None,
        })
    }

    /// Reads `bundle.json`; `None` if the file is an archive without one.
    pub(super) fn contents(&self) -> Result<Option<BundleContents>> {
        let Some(text) = self.read(&MemberName::Bundle, MAX_ENCODED)? else {
            return Ok(None);
        };
        let decoded = BundleContents::decode(&text);
        decoded
            .map(Some)
            .map_err(|error| error.with_subject(self.path.display()))
    }

    /// Returns the error for a file that is cut off.
    pub(super) fn take_cut_off(&mut self) -> Option<Error> {
        self.cut_off.take()
    }

    /// Checks that the file has exactly what its `bundle.json` says, apart from files that do not belong to a bundle.
    ///
    /// # Errors
    /// `Corrupt`, with what is missing or superfluous.
    pub(super) fn check(&mut self, contents: &BundleContents) -> Result<()> {
        let expected = expected_members(contents, contents.volume)?;
        let missing = expected
            .iter()
            .filter(|(name, ..)| !self.members.contains_key(name));
        let missing: Vec<u32> = missing.map(|(_, _, number)| *number).collect();
        if let Some(first) = missing.first() {
            let (volume, count) = (contents.volume, missing.len());
            let what = contents.describe(*first);
            let error = match self.cut_off.take() {
                Some(error) => corrupt(
                    &self.path,
                    format!("is volume {volume} and lacks {count} of its {} pieces of content, such as {what}", expected.len()),
                )
                .with_source(error),
                None => corrupt(&self.path, format!("is volume {volume} and lacks {what}")),
            };
            return Err(error.with_hint("it was not copied or written to its end; get it again"));
        }
        if let Some(error) = self.cut_off.take() {
            return Err(error);
        }
        if let Some(name) = &self.unexpected {
            return Err(corrupt(
                &self.path,
                format!("has the member {name}, which a bundle does not have"),
            ));
        }
        let sizes: BTreeMap<&MemberName, u64> = expected
            .iter()
            .map(|(name, size, _)| (name, *size))
            .collect();
        for (name, range) in &self.members {
            let size = range.end - range.start;
            let wanted = match name {
                MemberName::Bundle => continue,
                MemberName::OciLayout => OCI_LAYOUT_CONTENT.len() as u64,
                MemberName::Index => contents.index.map_or(size, |(_, size)| size),
                name => match sizes.get(name) {
                    Some(size) => *size,
                    None => {
                        let message = format!(
                            "has the member {}, which bundle.json does not list",
                            shown(name)
                        );
                        return Err(corrupt(&self.path, message));
                    }
                },
            };
            if size != wanted {
                let message = format!(
                    "has {} with {size} bytes, and bundle.json says {wanted}",
                    shown(name)
                );
                return Err(corrupt(&self.path, message));
            }
        }
        Ok(())
    }
}

/// Returns the members of manifests and blobs of a volume, with their sizes and numbers.
pub(super) fn expected_members(
    contents: &BundleContents,
    volume: u32,
) -> Result<Vec<(MemberName, u64, u32)>> {
    let manifests = contents.stored_manifests();
    let mut expected: Vec<_> = manifests
        .map(|(number, node)| (MemberName::Blob(node.digest), node.size, number))
        .collect();
    let position = usize::try_from(volume.saturating_sub(1)).unwrap_or(usize::MAX);
    for (number, offset, length) in contents.parts.get(position).into_iter().flatten() {
        let node = contents.node(*number)?;
        if *length == node.size {
            expected.push((MemberName::Blob(node.digest), node.size, *number));
        } else {
            expected.push((MemberName::Part(node.digest, *offset), *length, *number));
            expected.push((MemberName::Sum(node.digest, *offset), SUM_SIZE, *number));
        }
    }
    Ok(expected)
}

/// Returns the name of a member in the file.
pub(super) fn shown(name: &MemberName) -> String {
    match name {
        MemberName::Bundle => members::BUNDLE.into(),
        MemberName::OciLayout => members::OCI_LAYOUT.into(),
        MemberName::Index => members::INDEX.into(),
        MemberName::Blob(digest) => members::blob(digest),
        MemberName::Part(digest, offset) => members::part_name(digest, *offset),
        MemberName::Sum(digest, offset) => members::sum_name(digest, *offset),
        MemberName::Misplaced | MemberName::Other | MemberName::Escaping => "a member".into(),
    }
}
