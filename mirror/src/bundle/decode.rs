//! Reads `bundle.json` and locks. They may come from a stranger: every number is checked.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use tranship::{Error, ErrorKind, MediaType, Printable, Result};

use super::contents::{BundleContents, MAX_VOLUMES};
use super::documents::{
    BundleDocument, ContentEntry, LockDocument, PartEntry, RepositoryEntry, TOO_MANY, Version,
};
use super::encode::{BUNDLE_TYPE, LOCK_TYPE};
use super::lock::Lock;
use super::name::BundleName;
use super::node::{ContentNode, RepositoryContents, invalid, too_many_contents};

/// The longest `bundle.json`, and the longest lock, in bytes.
pub(super) const MAX_ENCODED: u64 = 64 * 1024 * 1024;

impl Lock {
    /// Returns the lock as text. The same lock always makes the same text.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        super::encode::lock(self).into_bytes()
    }

    /// Reads the text of a lock, or the `bundle.json` of a bundle, which contains one.
    ///
    /// # Errors
    /// - [`Corrupt`](ErrorKind::Corrupt) if it is damaged or contradicts itself.
    /// - [`UnsupportedVersion`](ErrorKind::UnsupportedVersion) if a later version has written it.
    /// - [`SizeExceedsLimit`](ErrorKind::SizeExceedsLimit) if it has more than 64 MiB or a million pieces of content.
    pub fn decode(text: &[u8]) -> Result<Self> {
        check_version(text, &[LOCK_TYPE, BUNDLE_TYPE], "lock")?;
        if is_of_type(text, BUNDLE_TYPE) {
            return Ok(BundleContents::decode(text)?.lock);
        }
        let document: LockDocument = decode(text, "lock")?;
        build_lock(
            &document.types,
            document.contents.0,
            document.repositories.0,
        )
    }
}

impl BundleContents {
    /// Reads the text of `bundle.json`.
    ///
    /// # Errors
    /// As [`Lock::decode`].
    pub(super) fn decode(text: &[u8]) -> Result<Self> {
        check_version(text, &[BUNDLE_TYPE], "bundle.json")?;
        let document: BundleDocument = decode(text, "bundle.json")?;
        if !(1..=MAX_VOLUMES).contains(&document.volumes) {
            return Err(invalid(format!(
                "{} is not a number of volumes",
                document.volumes
            )));
        }
        if !(1..=document.volumes).contains(&document.volume) {
            let (volume, volumes) = (document.volume, document.volumes);
            return Err(invalid(format!(
                "volume {volume} of {volumes} cannot exist"
            )));
        }
        let lock = build_lock(
            &document.types,
            document.contents.0,
            document.repositories.0,
        )?;
        let base = document.base.unwrap_or_default().0;
        let parts = match document.parts {
            None if document.volumes == 1 => vec![all_blobs(&lock, &base)],
            Some(parts) if document.volumes > 1 => read_parts(&lock, parts)?,
            _ => return Err(invalid("the parts are not those of its volumes")),
        };
        if parts.len() != usize::try_from(document.volumes).unwrap_or(usize::MAX) {
            return Err(invalid("the parts are not those of its volumes"));
        }
        let is_sorted = |numbers: &Vec<u32>| numbers.is_sorted_by(|one, next| one < next);
        if !base.values().all(is_sorted) {
            return Err(invalid("the base is not in ascending order"));
        }
        let (digest, size) = document.index;
        let contents = Self::new(lock, base, parts, Some((digest.0, size)))?;
        if contents.set != document.set.0 {
            return Err(invalid(
                "the digest of the set does not match: bundle.json was changed",
            ));
        }
        Ok(contents.with_volume(document.volume))
    }
}

/// Returns all blobs that are not in the base, whole.
pub(super) fn all_blobs(
    lock: &Lock,
    base: &BTreeMap<BundleName, Vec<u32>>,
) -> Vec<(u32, u64, u64)> {
    let in_base: std::collections::HashSet<u32> = base.values().flatten().copied().collect();
    let nodes = (0_u32..).zip(lock.contents());
    let blobs = nodes.filter(|(number, node)| !node.is_manifest() && !in_base.contains(number));
    blobs.map(|(number, node)| (number, 0, node.size)).collect()
}

fn read_parts(lock: &Lock, parts: Vec<Vec<PartEntry>>) -> Result<Vec<Vec<(u32, u64, u64)>>> {
    let read = |entry: PartEntry| match entry {
        PartEntry::Whole(number) => {
            let node = lock.get(number);
            let node = node.ok_or_else(|| invalid("a part of content that is not listed"))?;
            Ok((number, 0, node.size))
        }
        PartEntry::Part(number, offset, length) => Ok((number, offset, length)),
    };
    parts
        .into_iter()
        .map(|volume| volume.into_iter().map(read).collect())
        .collect()
}

fn build_lock(
    types: &[String],
    contents: Vec<ContentEntry>,
    repositories: BTreeMap<BundleName, RepositoryEntry>,
) -> Result<Lock> {
    let types: Vec<MediaType> = types
        .iter()
        .map(|text| MediaType::from_stored(text))
        .collect();
    let mut nodes = Vec::new();
    for entry in contents {
        let (media_type, children) = match entry.manifest {
            Some((number, children)) => {
                let media_type = usize::try_from(number)
                    .ok()
                    .and_then(|number| types.get(number));
                let media_type = media_type.ok_or_else(|| invalid("a type that is not listed"))?;
                (Some(media_type.clone()), children.into_boxed_slice())
            }
            None => (None, Box::default()),
        };
        nodes.push(ContentNode {
            digest: entry.digest,
            size: entry.size,
            media_type,
            children,
        });
    }
    let repositories = repositories.into_iter().map(|(name, entry)| {
        let contents = RepositoryContents {
            tags: entry.tags.0,
            manifests: entry.manifests,
            is_incomplete: entry.incomplete,
        };
        (name, contents)
    });
    Lock::new(nodes, repositories.collect())
}

fn decode<T: DeserializeOwned>(text: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| {
        if error.to_string().contains(TOO_MANY) {
            return too_many_contents();
        }
        invalid(format!("{what} cannot be read")).with_source(error)
    })
}

/// Checks the size, the type and the version of a document before the rest of it is read.
fn check_version(text: &[u8], types: &[&str], what: &str) -> Result<()> {
    if text.len() as u64 > MAX_ENCODED {
        let message = format!("{what} has more than {MAX_ENCODED} bytes");
        return Err(Error::new(ErrorKind::SizeExceedsLimit, message));
    }
    let found: Version = decode(text, what)?;
    if !types.contains(&found.media_type.as_str()) {
        let found = Printable(&found.media_type);
        return Err(invalid(format!(
            "{what} has the type {found}, which is not known"
        )));
    }
    if found.schema_version != 1 {
        let message = format!("{what} has version {} of its format", found.schema_version);
        return Err(Error::new(ErrorKind::UnsupportedVersion, message)
            .with_hint("it was written by a later version of tranship; use that"));
    }
    Ok(())
}

fn is_of_type(text: &[u8], media_type: &str) -> bool {
    serde_json::from_slice::<Version>(text).is_ok_and(|found| found.media_type == media_type)
}
