//! Removes blobs that nobody refers to, while nobody can change what is referred to.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use tranship::Result;

use super::commit::Commit;
use super::index::{
    FileVersion, MAX_ATTEMPTS, is_current, note, read, replace, replaced_all_the_time, secure_file,
    secure_version,
};
use super::lock::Lock;
use crate::driver::file::{age, failed, is_shared, stat_regular};
use crate::driver::{Stored, StoredName, SweepPlan, Swept, disk};

/// Removes what `plan` says, under the lock of the index.
pub(super) fn sweep(
    commit: &Commit,
    mut known: Option<FileVersion>,
    limit: u64,
    min_age: Duration,
    mut plan: SweepPlan,
) -> Result<Swept<FileVersion>> {
    let lock = Lock::take(&commit.paths)?;
    let mut removed = Vec::new();
    let mut directories = BTreeSet::new();
    'attempts: for _ in 0..MAX_ATTEMPTS {
        let found = read(commit, known.as_ref(), limit)?;
        let wanted = plan(found.state())?;
        known = found.into_version();
        if let Some(content) = &wanted.content {
            secure_version(commit, known.as_ref(), Some(&lock))?;
            let frees = !wanted.remove.is_empty();
            match replace(commit, known.as_ref(), content, limit, frees)? {
                Some(version) => known = Some(version),
                None => continue,
            }
            note(commit, &lock, known.as_ref());
        } else if !wanted.remove.is_empty() {
            // If a power cut brought an older state back, that might name what is removed now.
            secure_file(commit, Some(&lock))?;
        }
        for digest in wanted.remove {
            // Whoever takes no lock is noticed up to the moment of removing.
            if !is_current(commit, known.as_ref())? {
                continue 'attempts;
            }
            let Some(path) = commit.paths.blob(&digest)? else {
                continue;
            };
            let Some(metadata) = stat_regular(&path)? else {
                continue;
            };
            let age = age(&metadata);
            if age < min_age {
                continue;
            }
            match disk::remove_file(&path) {
                Ok(()) => removed.push(Stored {
                    name: StoredName::Blob(digest),
                    size: metadata.len(),
                    age,
                    is_shared: is_shared(&metadata),
                }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("removed", &path, error)),
            }
            if let Some(directory) = path.parent() {
                directories.insert(directory.to_owned());
            }
        }
        for directory in &directories {
            commit.sync_directory(directory)?;
        }
        return Ok(Swept {
            version: known,
            removed,
        });
    }
    Err(replaced_all_the_time(commit))
}
