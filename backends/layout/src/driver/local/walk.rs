//! Finds the layouts in a directory, in the order of their repositories' names.

use std::io;
use std::path::{Path, PathBuf};

use tranship::{RepositoryName, Result};

use super::paths::uploads_below;
use crate::driver::file::{failed, is_directory, stat_regular};
use crate::driver::repository_path::component_of;
use crate::driver::{BLOBS, INDEX};
use crate::index::{MAX_EMPTY_INDEX, lists_nothing};

/// A walk that can be interrupted after any name. What it holds is one directory's entries for each
/// level, which it reads when it comes there.
#[derive(Debug)]
pub(super) struct Walk {
    last: Option<String>,
    wanted: Listed,
    // The next step is the last one.
    steps: Vec<Step>,
}

/// What a directory must contain for its name to be listed.
#[derive(Debug, Clone, Copy)]
enum Listed {
    /// A layout that is not empty.
    Layout,
    /// A directory of uploads.
    Uploads,
}

impl Listed {
    fn is_in(self, directory: &Path) -> bool {
        match self {
            Self::Layout => holds_something(directory),
            Self::Uploads => uploads_below(directory).is_ok_and(|found| found.is_some()),
        }
    }
}

/// In the order of names, a repository `a` comes before `a-b`, and that before `a/b`: a directory
/// is visited twice, for itself and for what is below, with other names in between.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// The name, and the directory that may be its layout.
    Layout(String, PathBuf),
    /// The names that start with this, and the directory that they are below.
    Below(String, PathBuf),
}

impl Step {
    fn key(&self) -> &str {
        match self {
            Self::Layout(key, _) | Self::Below(key, _) => key,
        }
    }

    /// Whether all names of this step are at or before `last`.
    fn is_before(&self, last: &str) -> bool {
        match self {
            Self::Layout(name, _) => name.as_str() <= last,
            Self::Below(prefix, _) => prefix.as_str() <= last && !last.starts_with(prefix),
        }
    }
}

impl Walk {
    /// Walks the directory `root` for names behind `last`.
    pub(super) fn new(root: &Path, last: Option<String>) -> Self {
        Self {
            last,
            wanted: Listed::Layout,
            steps: vec![Step::Below(String::new(), root.to_owned())],
        }
    }

    /// Walks the directory `root` for what has a directory of uploads, a layout or not.
    pub(super) fn for_uploads(root: &Path) -> Self {
        Self {
            wanted: Listed::Uploads,
            ..Self::new(root, None)
        }
    }

    /// The next names, `count` at the most; fewer only at the end. Blocks.
    pub(super) fn next(&mut self, count: usize) -> Result<Vec<RepositoryName>> {
        let mut names = Vec::new();
        while names.len() < count
            && let Some(step) = self.steps.pop()
        {
            match step {
                Step::Layout(name, directory) => {
                    if self.wanted.is_in(&directory)
                        && let Ok(name) = name.parse()
                    {
                        names.push(name);
                    }
                }
                Step::Below(prefix, directory) => {
                    let mut below = read(&prefix, &directory)?;
                    if let Some(last) = &self.last {
                        below.retain(|step| !step.is_before(last));
                    }
                    below.sort_unstable_by(|one, other| other.key().cmp(one.key()));
                    self.steps.append(&mut below);
                }
            }
        }
        Ok(names)
    }
}

/// Whether `directory` is a layout that lists a manifest or has a blob. Deletes and garbage collection leave layouts
/// without either.
fn holds_something(directory: &Path) -> bool {
    let path = directory.join(INDEX);
    // Anything but a regular file does not make a layout, which opening it reports.
    let Ok(Some(metadata)) = stat_regular(&path) else {
        return false;
    };
    if metadata.len() > MAX_EMPTY_INDEX {
        return true;
    }
    let is_empty = std::fs::read(&path).is_ok_and(|content| lists_nothing(&content));
    !is_empty || has_blobs(&directory.join(BLOBS))
}

fn has_blobs(blobs: &Path) -> bool {
    let algorithms = std::fs::read_dir(blobs).into_iter().flatten().flatten();
    algorithms
        .filter_map(|algorithm| std::fs::read_dir(algorithm.path()).ok())
        .flatten()
        .flatten()
        // Temporary files are hidden.
        .any(|blob| !blob.file_name().as_encoded_bytes().starts_with(b"."))
}

fn read(prefix: &str, directory: &Path) -> Result<Vec<Step>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        // Removed since its parent was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("listed", directory, error)),
    };
    let mut steps = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed("listed", directory, error))?;
        let file_name = entry.file_name();
        let Some(component) = file_name.to_str().and_then(component_of) else {
            continue;
        };
        let is_directory = match entry.file_type() {
            Ok(kind) => kind.is_dir(),
            Err(_) => is_directory(&entry.path()).unwrap_or(false),
        };
        if is_directory {
            let name = format!("{prefix}{component}");
            steps.push(Step::Below(format!("{name}/"), entry.path()));
            steps.push(Step::Layout(name, entry.path()));
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTS_ONE: &str = r#"{"manifests":[{"digest":"blake3:00","size":1}]}"#;

    fn layouts(names: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for name in names {
            let directory = root.path().join(name);
            std::fs::create_dir_all(&directory).expect("a directory");
            std::fs::write(directory.join(INDEX), LISTS_ONE).expect("an index");
        }
        root
    }

    fn names(root: &Path, last: Option<&str>, page: usize) -> Vec<String> {
        let mut walk = Walk::new(root, last.map(Into::into));
        let mut all = Vec::new();
        loop {
            let names = walk.next(page).expect("readable");
            let is_last = names.len() < page;
            all.extend(names.iter().map(|name| name.as_str().to_owned()));
            if is_last {
                return all;
            }
        }
    }

    const SORTED: [&str; 8] = ["a", "a-b", "a-b/c", "a.b", "a/b", "a/b/c", "a0", "b/c/d"];

    #[test]
    fn names_come_in_their_own_order_not_in_that_of_paths() {
        let root = layouts(&SORTED);
        assert_eq!(names(root.path(), None, 100), SORTED);
        assert_eq!(names(root.path(), None, 1), SORTED);
    }

    #[test]
    fn a_walk_goes_on_behind_any_name_whether_it_exists_or_not() {
        let root = layouts(&SORTED);
        let candidates = SORTED
            .into_iter()
            .chain(["", "a-", "a/", "a/a", "a/b/", "a00", "z"]);
        for last in candidates {
            let behind: Vec<_> = SORTED.into_iter().filter(|name| *name > last).collect();
            assert_eq!(names(root.path(), Some(last), 100), behind, "{last}");
        }
    }

    #[test]
    fn directories_without_an_index_and_foreign_ones_are_passed_over() {
        let root = layouts(&["a", "a/blobs", "B", ".c", "_d", "_blobs"]);
        std::fs::create_dir(root.path().join("empty")).expect("a directory");
        assert_eq!(names(root.path(), None, 100), ["a", "blobs"]);
    }

    #[test]
    fn a_layout_is_passed_over_that_has_neither_a_manifest_nor_a_blob() {
        let root = layouts(&["a", "b", "c", "d"]);
        for name in ["b", "c"] {
            let layout = root.path().join(name);
            std::fs::write(layout.join(INDEX), r#"{"manifests":[]}"#).expect("an index");
            std::fs::create_dir_all(layout.join(BLOBS).join("sha256")).expect("a directory");
        }
        std::fs::write(root.path().join("d").join(INDEX), "torn").expect("an index");
        let blob = root.path().join("c").join(BLOBS).join("sha256").join("00");
        std::fs::write(blob, "").expect("a blob");
        assert_eq!(names(root.path(), None, 100), ["a", "c", "d"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let root = layouts(&["a"]);
        std::os::unix::fs::symlink(root.path(), root.path().join("loop")).expect("a link");
        assert_eq!(names(root.path(), None, 100), ["a"]);
    }
}
