//! Notes which names and contents are durable.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::checks::Fact;
use crate::driver::disk::Synced;

/// The number of a file or directory.
pub(super) type Inode = u64;

/// Names in a directory.
pub(super) type Names = BTreeMap<OsString, Entry>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    Directory(Inode),
    File(Inode),
}

/// All names at one moment, and the durable ones.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) root: Inode,
    /// The names in each directory.
    pub(super) names: Arc<HashMap<Inode, Names>>,
    /// The length of each file, and whether it was written to since its content was durable.
    pub(super) lengths: Arc<HashMap<Inode, (u64, bool)>>,
    pub(super) durable_names: Arc<HashMap<Inode, Names>>,
    pub(super) durable_contents: Arc<HashMap<Inode, Arc<[u8]>>>,
    /// What was promised by now.
    pub(super) facts: Arc<Vec<Fact>>,
}

/// Runs in the middle of a call.
type Interruption = Box<dyn FnOnce() + Send>;

/// Watches one directory.
#[derive(Debug)]
pub(super) struct Recorder {
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    moments: Vec<Moment>,
    durable_names: Arc<HashMap<Inode, Names>>,
    durable_contents: Arc<HashMap<Inode, Arc<[u8]>>>,
    /// How each durable file was when it was synced: its length and when it was changed.
    synced: HashMap<Inode, (u64, i64, i64)>,
    /// Files with content that could not be written, and is lost whatever is synced later.
    lost: HashMap<Inode, Told>,
    /// Files that were seen, which stay open: their numbers are not given to others.
    open: HashMap<Inode, File>,
    facts: Arc<Vec<Fact>>,
    syncs: usize,
    /// The syncs that fail.
    failing: Range<usize>,
    /// How often the whole file system was synced.
    file_system_syncs: usize,
    calls: usize,
    interruption: Option<(usize, Interruption)>,
}

/// Which syncs have reported that content was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// One of the file system. The next one of the file fails.
    FileSystemOnly,
    /// One of the file. All later ones succeed.
    Once,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl Recorder {
    /// Watches `root`, in which everything is durable.
    pub(super) fn watch(root: &Path) -> Arc<Self> {
        let recorder = Arc::new(Self {
            root: root.to_owned(),
            state: Mutex::default(),
        });
        let mut state = recorder.lock();
        state.sync_everything(root);
        state.note(root);
        drop(state);
        super::register(root, &recorder);
        recorder
    }

    /// Makes sync number `first` from now on fail, and as many in all.
    pub(super) fn fail(&self, first: usize, count: usize) {
        let mut state = self.lock();
        let first = state.syncs + first;
        state.failing = first..first + count;
    }

    /// Runs `interruption` before call number `call` from now on, in the thread that makes it.
    pub(super) fn interrupt(&self, call: usize, interruption: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        state.interruption = Some((state.calls + call, Box::new(interruption)));
    }

    /// Whether the failure or the interruption that was asked for has not come.
    pub(super) fn is_waiting(&self) -> bool {
        let state = self.lock();
        let is_to_fail = !state.failing.is_empty() && state.failing.start >= state.syncs;
        is_to_fail || state.interruption.is_some()
    }

    /// From now on this is promised, and nothing else.
    pub(super) fn promise(&self, facts: impl IntoIterator<Item = Fact>) {
        let mut state = self.lock();
        state.facts = Arc::new(facts.into_iter().collect());
        state.note(&self.root);
    }

    /// From now on this is promised too.
    pub(super) fn promise_more(&self, facts: impl IntoIterator<Item = Fact>) {
        let mut state = self.lock();
        let facts = state.facts.iter().cloned().chain(facts).collect();
        state.facts = Arc::new(facts);
        state.note(&self.root);
    }

    /// How much was promised so far.
    pub(super) fn promised(&self) -> usize {
        self.lock().facts.len()
    }

    /// How many syncs there were.
    pub(super) fn syncs(&self) -> usize {
        self.lock().syncs
    }

    /// How many of them were of the whole file system.
    pub(super) fn file_system_syncs(&self) -> usize {
        self.lock().file_system_syncs
    }

    /// The last moment.
    pub(super) fn last_moment(&self) -> Vec<Moment> {
        self.lock().moments.last().cloned().into_iter().collect()
    }

    /// All moments so far, in their order.
    pub(super) fn moments(&self) -> Vec<Moment> {
        self.lock().moments.clone()
    }

    pub(super) fn naming<T>(&self, call: impl FnOnce() -> T) -> T {
        self.interrupted();
        let mut state = self.lock();
        let made = call();
        state.note(&self.root);
        made
    }

    pub(super) fn syncing(&self, path: &Path, synced: Synced<'_>) -> io::Result<()> {
        self.interrupted();
        let mut state = self.lock();
        let number = state.syncs;
        state.syncs += 1;
        state.file_system_syncs += usize::from(matches!(synced, Synced::FileSystem));
        let outcome = match state.failing.contains(&number) {
            true => state.fail(&self.root, synced),
            false => state.sync(&self.root, path, synced),
        };
        state.note(&self.root);
        outcome
    }

    /// Counts a call, and runs the interruption that is due before it.
    fn interrupted(&self) {
        let interruption = {
            let mut state = self.lock();
            let number = state.calls;
            state.calls += 1;
            match &state.interruption {
                Some((call, _)) if *call == number => state.interruption.take(),
                _ => None,
            }
        };
        if let Some((_, interruption)) = interruption {
            interruption();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failure() -> io::Error {
    io::Error::other("the disk has failed")
}

impl State {
    fn sync(&mut self, root: &Path, path: &Path, synced: Synced<'_>) -> io::Result<()> {
        match synced {
            Synced::File(file) => self.sync_file(file),
            Synced::Directory => {
                let inode = std::fs::metadata(path)?.ino();
                self.sync_names(path, inode)
            }
            Synced::FileSystem => {
                self.sync_everything(root);
                Ok(())
            }
        }
    }

    /// Loses the content that was not synced. As on Linux, the next sync has nothing to write and succeeds.
    fn fail(&mut self, root: &Path, synced: Synced<'_>) -> io::Result<()> {
        let mut lose = |file: &File, told: Told| {
            if let Ok(metadata) = file.metadata()
                && self.is_dirty(&metadata)
            {
                self.hold(metadata.ino(), file);
                self.lost.insert(metadata.ino(), told);
            }
        };
        match synced {
            Synced::File(file) => lose(file, Told::Once),
            Synced::FileSystem => {
                for path in files_below(root) {
                    if let Ok(file) = File::open(path) {
                        lose(&file, Told::FileSystemOnly);
                    }
                }
            }
            // Names are in a journal. A file system that cannot write that stops.
            Synced::Directory => {}
        }
        Err(failure())
    }

    fn is_dirty(&self, metadata: &std::fs::Metadata) -> bool {
        self.synced.get(&metadata.ino()) != Some(&state_of(metadata))
    }

    fn sync_file(&mut self, file: &File) -> io::Result<()> {
        let metadata = file.metadata()?;
        let inode = metadata.ino();
        if let Some(told) = self.lost.get_mut(&inode) {
            return match std::mem::replace(told, Told::Once) {
                Told::FileSystemOnly => Err(failure()),
                Told::Once => Ok(()),
            };
        }
        if !self.is_dirty(&metadata) {
            return Ok(());
        }
        let mut content = vec![0; usize::try_from(metadata.len()).expect("small")];
        std::os::unix::fs::FileExt::read_exact_at(file, &mut content, 0)?;
        Arc::make_mut(&mut self.durable_contents).insert(inode, content.into());
        self.synced.insert(inode, state_of(&metadata));
        self.hold(inode, file);
        Ok(())
    }

    fn sync_names(&mut self, path: &Path, inode: Inode) -> io::Result<()> {
        let names = names_in(path)?;
        self.hold_all(path, &names);
        Arc::make_mut(&mut self.durable_names).insert(inode, names);
        Ok(())
    }

    fn sync_everything(&mut self, directory: &Path) {
        let Ok(metadata) = std::fs::metadata(directory) else {
            return;
        };
        // Another thread may remove files at the same time.
        let _ = self.sync_names(directory, metadata.ino());
        for (name, entry) in names_in(directory).unwrap_or_default() {
            let path = directory.join(name);
            match entry {
                Entry::Directory(_) => self.sync_everything(&path),
                Entry::File(_) => {
                    if let Ok(file) = File::open(&path) {
                        let _ = self.sync_file(&file);
                    }
                }
            }
        }
    }

    fn hold(&mut self, inode: Inode, file: &File) {
        self.open
            .entry(inode)
            .or_insert_with(|| file.try_clone().expect("an open file"));
    }

    fn hold_all(&mut self, directory: &Path, names: &Names) {
        for (name, entry) in names {
            let (Entry::Directory(inode) | Entry::File(inode)) = *entry;
            if !self.open.contains_key(&inode)
                && let Ok(file) = File::open(directory.join(name))
            {
                self.open.insert(inode, file);
            }
        }
    }

    /// Notes what there is now.
    fn note(&mut self, root: &Path) {
        let (mut names, mut lengths) = (HashMap::new(), HashMap::new());
        let root_inode = std::fs::metadata(root).expect("a directory").ino();
        let mut next = vec![(root.to_owned(), root_inode)];
        while let Some((directory, inode)) = next.pop() {
            let found = names_in(&directory).unwrap_or_default();
            for (name, entry) in &found {
                let path = directory.join(name);
                match *entry {
                    Entry::Directory(inode) => next.push((path, inode)),
                    Entry::File(inode) => {
                        if let Ok(metadata) = std::fs::symlink_metadata(path) {
                            let is_dirty = self.is_dirty(&metadata);
                            lengths.insert(inode, (metadata.len(), is_dirty));
                        }
                    }
                }
            }
            names.insert(inode, found);
        }
        self.moments.push(Moment {
            root: root_inode,
            names: Arc::new(names),
            lengths: Arc::new(lengths),
            durable_names: Arc::clone(&self.durable_names),
            durable_contents: Arc::clone(&self.durable_contents),
            facts: Arc::clone(&self.facts),
        });
    }
}

fn state_of(metadata: &std::fs::Metadata) -> (u64, i64, i64) {
    (metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

fn names_in(directory: &Path) -> io::Result<Names> {
    let mut names = Names::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        // What is gone since it was listed is gone.
        if let Ok(metadata) = entry.metadata() {
            let found = match metadata.is_dir() {
                true => Entry::Directory(metadata.ino()),
                false => Entry::File(metadata.ino()),
            };
            names.insert(entry.file_name(), found);
        }
    }
    Ok(names)
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (name, entry) in names_in(directory).unwrap_or_default() {
        let path = directory.join(name);
        match entry {
            Entry::Directory(_) => files.extend(files_below(&path)),
            Entry::File(_) => files.push(path),
        }
    }
    files
}
