//! The images that a power cut at one moment may leave.
//!
//! Content that was not synced is lost: the file is empty, or has its length and is all zeros. Names that
//! were not synced may be lost or kept: all of them, all in one directory, or a single one, since a file
//! system may write them in any order.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::recorder::{Entry, Inode, Moment};

/// Files by their paths; a directory has no content.
pub(super) type Image = BTreeMap<PathBuf, Option<Arc<[u8]>>>;

/// How content is lost that was not synced.
#[derive(Debug, Clone, Copy)]
enum Torn {
    Empty,
    Zeros,
}

/// Returns all images that a power cut at `moment` may leave.
pub(super) fn images(moment: &Moment) -> HashSet<Image> {
    let temporary = temporary(moment);
    let changed = moment.names.iter().filter(|(inode, names)| {
        moment.durable_names.get(inode) != Some(names) && !temporary.contains(inode)
    });
    let changed: Vec<Inode> = changed.map(|(inode, _)| *inode).collect();
    let all: HashSet<Inode> = changed.iter().copied().collect();
    let mut kept = vec![(HashSet::new(), None), (all.clone(), None)];
    for inode in &changed {
        let others = all.iter().copied().filter(|other| other != inode);
        kept.push((HashSet::from([*inode]), None));
        kept.push((others.collect(), None));
        for name in changed_names(moment, *inode) {
            kept.push((all.clone(), Some((*inode, name))));
        }
    }
    let mut images = HashSet::new();
    for (kept, lost) in &kept {
        for torn in [Torn::Empty, Torn::Zeros] {
            let mut image = Image::new();
            let cut = Cut {
                moment,
                kept,
                lost: lost.as_ref(),
                torn,
            };
            cut.directory(moment.root, Path::new(""), &mut image);
            images.insert(image);
        }
    }
    images
}

/// Returns the directories of temporary files, which images leave out.
fn temporary(moment: &Moment) -> HashSet<Inode> {
    let named = moment
        .names
        .values()
        .filter_map(|names| names.get(OsStr::new("tmp")));
    let directories = named.filter_map(|entry| match entry {
        Entry::Directory(inode) => Some(*inode),
        Entry::File(_) => None,
    });
    directories.collect()
}

/// Returns the names in a directory that differ from the durable ones.
fn changed_names(moment: &Moment, inode: Inode) -> Vec<OsString> {
    let now = moment.names.get(&inode).cloned().unwrap_or_default();
    let durable = moment
        .durable_names
        .get(&inode)
        .cloned()
        .unwrap_or_default();
    let names: HashSet<&OsString> = now.keys().chain(durable.keys()).collect();
    let changed = names.into_iter();
    let changed = changed.filter(|name| now.get(*name) != durable.get(*name));
    changed.cloned().collect()
}

struct Cut<'a> {
    moment: &'a Moment,
    /// The directories whose names are kept.
    kept: &'a HashSet<Inode>,
    /// One name in one of them that is not.
    lost: Option<&'a (Inode, OsString)>,
    torn: Torn,
}

impl Cut<'_> {
    fn directory(&self, inode: Inode, path: &Path, image: &mut Image) {
        let durable = self.moment.durable_names.get(&inode);
        let names = match self.kept.contains(&inode) {
            true => self.moment.names.get(&inode),
            false => durable,
        };
        let mut names = names.cloned().unwrap_or_default();
        if let Some((_, name)) = self.lost.filter(|(directory, _)| *directory == inode) {
            match durable.and_then(|durable| durable.get(name)) {
                Some(entry) => drop(names.insert(name.clone(), *entry)),
                None => drop(names.remove(name)),
            }
        }
        for (name, entry) in &names {
            let path = path.join(name);
            match *entry {
                Entry::Directory(inode) => {
                    self.directory(inode, &path, image);
                    image.insert(path, None);
                }
                Entry::File(_) if is_ours(&path) => {}
                Entry::File(inode) => {
                    image.insert(path, Some(self.content(inode)));
                }
            }
        }
    }

    fn content(&self, inode: Inode) -> Arc<[u8]> {
        let (length, is_dirty) = self.moment.lengths.get(&inode).copied().unwrap_or_default();
        let durable = self.moment.durable_contents.get(&inode);
        match (durable, self.torn) {
            (Some(durable), _) if !is_dirty => Arc::clone(durable),
            (Some(durable), Torn::Empty) => Arc::clone(durable),
            (_, Torn::Zeros) => vec![0; usize::try_from(length).expect("small")].into(),
            (None, Torn::Empty) => Arc::default(),
        }
    }
}

/// Whether a file is of no consequence after a power cut: a temporary one, or the lock, in which a file that
/// no longer exists may be noted.
fn is_ours(path: &Path) -> bool {
    path.ends_with(".tranship/lock") || path.components().any(|part| part.as_os_str() == "tmp")
}

/// Writes the image into the empty directory `root`.
pub(super) fn write(image: &Image, root: &Path) {
    for (path, content) in image {
        let path = root.join(path);
        match content {
            None => std::fs::create_dir_all(path).expect("a directory"),
            Some(content) => {
                std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
                std::fs::write(path, content).expect("written");
            }
        }
    }
}
