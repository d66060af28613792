//! Temporary files and uploads of processes that died, or that lost interest.

use std::fs::{File, ReadDir, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tranship::Result;

use super::pages::pages;
use super::paths::Paths;
use crate::driver::file::{age, failed, is_shared, open_no_follow, stat_regular};
use crate::driver::{Leftover, LeftoverKind, Pages};

/// Who may still need a file.
enum Hold {
    /// Nobody: the lock is held by us until this is dropped.
    Free(Option<File>),
    Taken,
}

/// What was left behind and is at least `min_age` old.
pub(super) fn list(paths: Arc<Paths>, min_age: Duration) -> Pages<'static, Leftover> {
    let walk = Walk {
        paths,
        min_age,
        kinds: vec![LeftoverKind::Upload, LeftoverKind::Temporary],
        open: None,
    };
    pages(walk, Walk::next)
}

struct Walk {
    paths: Arc<Paths>,
    min_age: Duration,
    /// The directories to come, the next one last.
    kinds: Vec<LeftoverKind>,
    open: Option<(LeftoverKind, PathBuf, ReadDir)>,
}

impl Walk {
    fn next(&mut self, count: usize) -> Result<Vec<Leftover>> {
        let mut page = Vec::new();
        while page.len() < count {
            let Some((kind, directory, entries)) = &mut self.open else {
                let Some(kind) = self.kinds.pop() else {
                    break;
                };
                if let Some(directory) = directory_of(&self.paths, kind)? {
                    let entries = std::fs::read_dir(&directory)
                        .map_err(|error| failed("listed", &directory, error))?;
                    self.open = Some((kind, directory, entries));
                }
                continue;
            };
            let kind = *kind;
            let Some(entry) = entries.next() else {
                self.open = None;
                continue;
            };
            let entry = entry.map_err(|error| failed("listed", directory, error))?;
            if let Ok(name) = entry.file_name().into_string() {
                page.extend(look_at(directory, kind, name, self.min_age)?);
            }
        }
        Ok(page)
    }
}

fn directory_of(paths: &Paths, kind: LeftoverKind) -> Result<Option<PathBuf>> {
    match kind {
        LeftoverKind::Temporary => paths.existing_temporary(),
        LeftoverKind::Upload => paths.existing_uploads(),
    }
}

/// The file, if it is old and nobody holds it.
fn look_at(
    directory: &Path,
    kind: LeftoverKind,
    name: String,
    min_age: Duration,
) -> Result<Option<Leftover>> {
    let path = directory.join(&name);
    let metadata = match std::fs::symlink_metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("inspected", &path, error)),
    };
    // What is young is not even tried: its owner may be about to lock it.
    if !metadata.is_file() || age(&metadata) < min_age || matches!(hold(kind, &path)?, Hold::Taken)
    {
        return Ok(None);
    }
    Ok(Some(Leftover {
        kind,
        name,
        size: metadata.len(),
        is_shared: is_shared(&metadata),
    }))
}

/// Takes hold of a file, if nobody else has it.
fn hold(kind: LeftoverKind, path: &Path) -> Result<Hold> {
    if kind == LeftoverKind::Temporary {
        return Ok(Hold::Free(None));
    }
    let Some(file) = open_no_follow(File::options().read(true), path)? else {
        return Ok(Hold::Free(None));
    };
    match file.try_lock() {
        Ok(()) => Ok(Hold::Free(Some(file))),
        Err(TryLockError::WouldBlock) => Ok(Hold::Taken),
        Err(TryLockError::Error(error)) => Err(failed("locked", path, error)),
    }
}

/// Removes a leftover, unless somebody has come back to it.
pub(super) fn remove(paths: &Paths, leftover: &Leftover, min_age: Duration) -> Result<bool> {
    let Some(directory) = directory_of(paths, leftover.kind)? else {
        return Ok(false);
    };
    let path = directory.join(&leftover.name);
    // Who resumes an upload waits for the lock, and sees then that the file is gone.
    let Hold::Free(_held) = hold(leftover.kind, &path)? else {
        return Ok(false);
    };
    match stat_regular(&path)? {
        Some(metadata) if age(&metadata) >= min_age => {}
        _ => return Ok(false),
    }
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("removed", &path, error)),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;
    use crate::driver::local::Local;
    use crate::driver::{Driver as _, Maintenance as _};
    use crate::options::Durability;

    async fn listed(layout: &Local, min_age: Duration) -> Vec<Leftover> {
        let pages: Vec<_> = layout
            .leftovers(min_age)
            .try_collect()
            .await
            .expect("listed");
        pages.concat()
    }

    #[tokio::test]
    async fn an_upload_is_left_over_when_nobody_holds_it() {
        let root = tempfile::tempdir().expect("a directory");
        let layout = Local::new(root.path().to_owned(), Durability::Relaxed);
        let mut upload = layout.start_upload().await.expect("started");
        upload.write(0, b"abc"[..].into()).await.expect("written");
        assert!(listed(&layout, Duration::ZERO).await.is_empty());
        let id = upload.id().clone();
        drop(upload);
        let found = listed(&layout, Duration::ZERO).await;
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind, found[0].size), (LeftoverKind::Upload, 3));

        let upload = layout.resume_upload(&id).await.expect("resumed");
        let removed = layout.remove_leftover(&found[0], Duration::ZERO).await;
        assert!(!removed.expect("looked"), "it is in use again");
        drop(upload);
        let removed = layout
            .remove_leftover(&found[0], Duration::from_secs(60))
            .await;
        assert!(!removed.expect("looked"), "it was just used");
        let removed = layout.remove_leftover(&found[0], Duration::ZERO).await;
        assert!(removed.expect("removed"));
        let error = layout.resume_upload(&id).await.err().expect("gone");
        assert!(error.is_not_found());
    }

    #[tokio::test]
    async fn only_what_is_old_enough_is_left_over() {
        let root = tempfile::tempdir().expect("a directory");
        let layout = Local::new(root.path().to_owned(), Durability::Relaxed);
        let directory = root.path().join(".tranship/tmp");
        std::fs::create_dir_all(directory.join("directory")).expect("created");
        std::fs::write(directory.join("file"), "abcd").expect("written");
        assert!(listed(&layout, Duration::from_secs(60)).await.is_empty());
        let found = listed(&layout, Duration::ZERO).await;
        assert_eq!(found.len(), 1);
        let found = &found[0];
        assert_eq!(
            (found.kind, found.name.as_str(), found.size),
            (LeftoverKind::Temporary, "file", 4)
        );
    }
}
