//! Replaces an archive by a new one with a changed index.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tranship::{Digest, Result};

use super::archive_file::ArchiveFile;
use super::assembly::{Assembly, AssemblyGuard};
use super::contents::{Blob, Contents};
use super::maintenance;
use super::read::read_index;
use crate::driver::file::{age, check_limit};
use crate::driver::{IndexChange, IndexEdit, Stored, vanished};
use crate::index::EMPTY_INDEX;

/// The result of a change.
pub(super) struct Published {
    pub(super) version: Option<Arc<Contents>>,
    /// The blobs that were removed.
    pub(super) removed: Vec<Stored>,
}

/// Replaces the archive by the assembled one, with the changes of `edit`. The blobs that `edit` removes are kept if the
/// archive has changed within `min_age`.
pub(super) fn publish(
    archive: &ArchiveFile,
    mut assembly: AssemblyGuard,
    known: Option<&Arc<Contents>>,
    limit: u64,
    min_age: Duration,
    mut edit: IndexEdit,
) -> Result<Published> {
    let mut removed = Vec::new();
    let version = archive.retry_under_lock(|current| {
        let found = read_index(current.as_ref(), known, limit)?;
        let change = edit(found.state())?;
        for (digest, size) in change.required() {
            let stored = assembly.size(&digest).or_else(|| {
                let current = current.as_ref()?;
                current.blobs.get(&digest).map(Blob::size)
            });
            if stored != Some(size) {
                return Err(vanished(&digest));
            }
        }
        let IndexChange {
            content, remove, ..
        } = change;
        let mut without: HashSet<Digest> = remove.into_iter().collect();
        without.retain(|_| {
            let age = current
                .as_ref()
                .map(|current| age(&current.opened.metadata));
            age.is_some_and(|age| age >= min_age)
        });
        removed.clear();
        if let Some(current) = &current {
            without.retain(|digest| current.blobs.contains_key(digest));
            removed.extend(
                without
                    .iter()
                    .filter_map(|digest| maintenance::stored_blob(current, digest)),
            );
        }
        if content.is_none() && without.is_empty() && assembly.is_empty() && current.is_some() {
            return Ok(Some(current));
        }
        let index = match (content, &current) {
            (Some(content), _) => {
                check_limit(content.len() as u64, limit)?;
                content.into_bytes()
            }
            (None, Some(current)) => current.bytes(&current.index, u64::MAX)?,
            (None, None) => Bytes::from_static(EMPTY_INDEX),
        };
        if !assembly.is_current(current.as_ref(), &without) {
            assembly.begin(current, &without)?;
        }
        let Some(new) = assembly.publish(&index)? else {
            return Ok(None);
        };
        *assembly = Assembly::new(assembly.archive());
        Ok(Some(new))
    })?;
    Ok(Published { version, removed })
}
