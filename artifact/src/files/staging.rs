//! A directory in which files are completed before they get their names.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tranship::blocking;
use tranship::{Error, Result};

use super::dir::{self, Dir};
use super::title::STAGING;

/// The directory with the files, at the paths that they will have in the output directory.
const TREE: &str = "tree";
/// The directory with archives that are not unpacked yet.
const ARCHIVES: &str = "archives";

static COUNT: AtomicU64 = AtomicU64::new(0);

/// The output directory, with a hidden directory in it, on the same file system, that is removed when this and all work
/// in it have ended.
#[derive(Debug)]
pub(super) struct Staging {
    inner: Arc<Inner>,
    /// Yields an error when `inner` is dropped.
    removed: Mutex<Receiver<()>>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) output: Dir,
    pub(super) tree: Dir,
    archives: Dir,
    name: String,
    /// Directories that did not exist before, the outermost first.
    made: Vec<PathBuf>,
    _alive: Sender<()>,
}

impl Staging {
    /// Opens the directory `path`, which is made if it does not exist. Blocks.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let failed = |error| {
            Error::io("cannot be used as the output directory", error).with_subject(path.display())
        };
        let made = make_all(path).map_err(failed)?;
        let output = dir::open(path).map_err(failed)?;
        let (name, directory) = make_unique(&output).map_err(failed)?;
        let (alive, removed) = channel();
        let opened = directory.descend_or_make(&[TREE.to_owned()]);
        let opened =
            opened.and_then(|tree| Ok((tree, directory.descend_or_make(&[ARCHIVES.to_owned()])?)));
        match opened {
            Ok((tree, archives)) => Ok(Self {
                inner: Arc::new(Inner {
                    output,
                    tree,
                    archives,
                    name,
                    made,
                    _alive: alive,
                }),
                removed: Mutex::new(removed),
            }),
            Err(error) => {
                output.remove_all(&name);
                Err(failed(error))
            }
        }
    }

    /// Returns the directories, which are kept until the last lease is dropped.
    pub(super) fn lease(&self) -> Arc<Inner> {
        Arc::clone(&self.inner)
    }

    /// Waits until all work in the directory has ended, and it is removed.
    pub(super) async fn close(self) {
        let Self { inner, removed } = self;
        drop(inner);
        let wait = blocking::run(move || {
            // The sender never sends: it is dropped.
            let removed = removed.into_inner().unwrap_or_else(PoisonError::into_inner);
            let _ = removed.recv();
            Ok(())
        });
        let _ = wait.await;
    }
}

impl Inner {
    /// Creates a file for an archive.
    pub(super) fn create_archive(&self) -> io::Result<std::fs::File> {
        let name = COUNT.fetch_add(1, Ordering::Relaxed).to_string();
        let file = self.archives.create_file(&name, 0o600)?;
        // It needs no name: on most systems it vanishes when it is closed.
        let _ = self.archives.remove_file(&name);
        Ok(file)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.output.remove_all(&self.name);
        for made in self.made.iter().rev() {
            // Fails, as it should, if there is something in it.
            let _ = std::fs::remove_dir(made);
        }
    }
}

/// Makes a directory with those above it, and returns which were made.
fn make_all(path: &Path) -> io::Result<Vec<PathBuf>> {
    let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let mut made: Vec<PathBuf> = path
        .ancestors()
        .take_while(missing)
        .map(Path::to_owned)
        .collect();
    made.reverse();
    std::fs::create_dir_all(path)?;
    Ok(made)
}

fn make_unique(output: &Dir) -> io::Result<(String, Dir)> {
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{STAGING}{}-{count}", std::process::id());
        match output.make_directory(&name, 0o700) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => {
                let directory = output.subdirectory(&name)?;
                return Ok((name, directory));
            }
        }
    }
}
