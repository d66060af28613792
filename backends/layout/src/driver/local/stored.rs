//! Lists what lies under `blobs/`.

use std::fs::{DirEntry, ReadDir};
use std::io;
use std::path::{Path, PathBuf};

use tranship::{Algorithm, Digest, Result};

use super::pages::pages;
use super::paths::Paths;
use crate::driver::file::{age, failed, is_directory, is_shared};
use crate::driver::{BLOBS, Pages, Stored, StoredName};

/// Everything under `blobs/`, page by page.
pub(super) fn list(paths: &Paths) -> Pages<'static, Stored> {
    let walk = Walk {
        root: paths.file(BLOBS),
        open: Vec::new(),
        has_begun: false,
    };
    pages(walk, Walk::next)
}

/// A walk that can be interrupted after any entry.
struct Walk {
    root: PathBuf,
    /// The directory `blobs` first, then one of an algorithm.
    open: Vec<(Option<Algorithm>, PathBuf, ReadDir)>,
    has_begun: bool,
}

impl Walk {
    /// The next entries, `count` at the most; fewer only at the end. Blocks.
    fn next(&mut self, count: usize) -> Result<Vec<Stored>> {
        if !self.has_begun {
            self.has_begun = true;
            if is_directory(&self.root)? {
                let root = self.root.clone();
                self.enter(None, root)?;
            }
        }
        let mut page = Vec::new();
        while page.len() < count
            && let Some((algorithm, directory, entries)) = self.open.last_mut()
        {
            let algorithm = *algorithm;
            let Some(entry) = entries.next() else {
                self.open.pop();
                continue;
            };
            let entry = entry.map_err(|error| failed("listed", directory, error))?;
            match (algorithm, algorithm_of(&entry)) {
                (None, Some(algorithm)) => self.enter(Some(algorithm), entry.path())?,
                _ => page.extend(look_at(&self.root, algorithm, &entry)?),
            }
        }
        Ok(page)
    }

    fn enter(&mut self, algorithm: Option<Algorithm>, directory: PathBuf) -> Result<()> {
        match std::fs::read_dir(&directory) {
            Ok(entries) => self.open.push((algorithm, directory, entries)),
            // Removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("listed", &directory, error)),
        }
        Ok(())
    }
}

/// The algorithm whose blobs lie in a directory.
fn algorithm_of(entry: &DirEntry) -> Option<Algorithm> {
    let algorithm = entry.file_name().to_str()?.parse().ok()?;
    entry.file_type().ok()?.is_dir().then_some(algorithm)
}

/// What an entry is; `None` if it is gone.
fn look_at(root: &Path, algorithm: Option<Algorithm>, entry: &DirEntry) -> Result<Option<Stored>> {
    let path = entry.path();
    // Links are not followed.
    let metadata = match entry.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("inspected", &path, error)),
    };
    let digest = algorithm
        .filter(|_| metadata.is_file())
        .and_then(|algorithm| {
            let hex = entry.file_name().into_string().ok()?;
            format!("{algorithm}:{hex}").parse::<Digest>().ok()
        });
    let name = match digest {
        Some(digest) => StoredName::Blob(digest),
        None => {
            let below = path.strip_prefix(root).unwrap_or(&path);
            StoredName::Stray(below.to_string_lossy().into_owned())
        }
    };
    Ok(Some(Stored {
        name,
        size: if metadata.is_file() {
            metadata.len()
        } else {
            0
        },
        age: age(&metadata),
        is_shared: metadata.is_file() && is_shared(&metadata),
    }))
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::super::pages::PAGE;
    use super::*;

    async fn listed(root: &Path) -> Vec<Stored> {
        let paths = Paths::new(root.to_owned());
        let pages: Vec<_> = list(&paths).try_collect().await.expect("listed");
        assert!(pages.iter().all(|page| page.len() <= PAGE));
        pages.concat()
    }

    #[tokio::test]
    async fn every_blob_is_listed_once_in_pages() {
        let root = tempfile::tempdir().expect("a directory");
        let directory = root.path().join("blobs/sha256");
        std::fs::create_dir_all(&directory).expect("created");
        let digests: Vec<_> = (0..2 * PAGE as u32 + 1)
            .map(|number| Digest::of(&number.to_le_bytes()))
            .collect();
        for digest in &digests {
            std::fs::write(directory.join(digest.hex()), "x").expect("written");
        }
        let mut found: Vec<_> = listed(root.path())
            .await
            .into_iter()
            .map(|stored| match stored.name {
                StoredName::Blob(digest) => digest,
                StoredName::Stray(path) => panic!("{path}"),
            })
            .collect();
        found.sort_unstable();
        let mut digests = digests;
        digests.sort_unstable();
        assert_eq!(found, digests);
    }

    #[tokio::test]
    async fn what_is_no_blob_is_a_stray_with_its_path() {
        let root = tempfile::tempdir().expect("a directory");
        let blobs = root.path().join("blobs");
        let digest = Digest::of(b"");
        std::fs::create_dir_all(blobs.join("sha256/directory")).expect("created");
        std::fs::create_dir_all(blobs.join("blake3")).expect("created");
        std::fs::write(blobs.join("sha256/litter#1"), "xyz").expect("written");
        std::fs::write(blobs.join("sha512"), "").expect("written");
        std::fs::write(blobs.join("sha256").join(digest.hex()), "").expect("written");
        let upper = digest.hex().to_uppercase();
        std::fs::write(blobs.join("sha256").join(&upper), "").expect("written");
        let mut strays: Vec<_> = listed(root.path())
            .await
            .into_iter()
            .filter_map(|stored| match stored.name {
                StoredName::Blob(found) => {
                    assert_eq!(found, digest);
                    None
                }
                StoredName::Stray(path) => Some((path, stored.size)),
            })
            .collect();
        strays.sort_unstable();
        let expected = [
            ("blake3".into(), 0),
            (format!("sha256/{upper}"), 0),
            ("sha256/directory".into(), 0),
            ("sha256/litter#1".into(), 3),
            ("sha512".into(), 0),
        ];
        assert_eq!(strays, expected);
    }

    #[tokio::test]
    async fn a_place_without_blobs_has_none() {
        let root = tempfile::tempdir().expect("a directory");
        assert!(listed(root.path()).await.is_empty());
        assert!(listed(&root.path().join("absent")).await.is_empty());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_linked_blob_is_shared_and_young_and_a_symbolic_link_is_a_stray() {
        use std::time::{Duration, SystemTime};

        let root = tempfile::tempdir().expect("a directory");
        let directory = root.path().join("blobs/sha256");
        std::fs::create_dir_all(&directory).expect("created");
        let origin = root.path().join("origin");
        let file = std::fs::File::create(&origin).expect("created");
        let long_ago = SystemTime::now() - Duration::from_secs(1_000_000);
        file.set_modified(long_ago).expect("set");
        std::fs::hard_link(&origin, directory.join(Digest::of(b"a").hex())).expect("linked");
        let link = directory.join(Digest::of(b"b").hex());
        std::os::unix::fs::symlink(&origin, link).expect("linked");
        for stored in listed(root.path()).await {
            match stored.name {
                StoredName::Blob(digest) => {
                    assert_eq!(digest, Digest::of(b"a"));
                    assert!(stored.is_shared);
                    assert!(stored.age < Duration::from_secs(1000), "{:?}", stored.age);
                }
                StoredName::Stray(_) => assert!(!stored.is_shared),
            }
        }
    }
}
