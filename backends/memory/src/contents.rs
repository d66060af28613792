//! What a registry stores: the contents of its repositories, over one store.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use tranship::UploadHash;
use tranship::{RegistryIdentity, RepositoryName, UploadId};

use crate::lock::{lock, read, write};
use crate::manifest_index::ManifestIndex;
use crate::options::MemoryOptions;
use crate::store::{Blob, Buffer, Shards, Store};

/// What the repositories of a registry have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) identity: RegistryIdentity,
    pub(crate) options: MemoryOptions,
    pub(crate) store: Arc<Store>,
    // Holds repositories with content, with uploads, or with handles; no others, so that
    // asking for names that do not exist fills no memory.
    pub(crate) repositories: RwLock<BTreeMap<RepositoryName, Arc<Contents>>>,
}

impl Shared {
    pub(crate) fn new(options: MemoryOptions) -> Self {
        static REGISTRIES: AtomicU64 = AtomicU64::new(0);
        let number = REGISTRIES.fetch_add(1, Ordering::Relaxed);
        Self {
            identity: RegistryIdentity::new(format!("memory:{number}")),
            store: Store::new(options.quota),
            options,
            repositories: RwLock::default(),
        }
    }

    pub(crate) fn open(this: &Arc<Self>, name: &RepositoryName) -> Handle {
        let handle = |contents: &Arc<Contents>| {
            contents.handles.fetch_add(1, Ordering::Relaxed);
            Handle {
                shared: Arc::clone(this),
                contents: Arc::clone(contents),
                name: name.clone(),
            }
        };
        if let Some(contents) = read(&this.repositories).get(name) {
            return handle(contents);
        }
        let mut repositories = write(&this.repositories);
        handle(repositories.entry(name.clone()).or_default())
    }

    /// The blob of another repository, if it has it.
    pub(crate) fn blob_of(
        &self,
        name: &RepositoryName,
        digest: &tranship::Digest,
    ) -> Option<Arc<Blob>> {
        let contents = read(&self.repositories).get(name).cloned()?;
        read(contents.blobs.of(digest)).get(digest).cloned()
    }
}

/// What one repository holds.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) blobs: Shards<Arc<Blob>>,
    pub(crate) manifests: RwLock<ManifestIndex>,
    pub(crate) uploads: Mutex<OpenUploads>,
    handles: AtomicUsize,
}

impl Contents {
    pub(crate) fn is_empty(&self) -> bool {
        read(&self.manifests).is_empty() && self.blobs.is_empty()
    }

    fn is_unused(&self) -> bool {
        self.handles.load(Ordering::Relaxed) == 0
            && self.is_empty()
            && lock(&self.uploads).is_empty()
    }
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            blobs: Shards::new(),
            manifests: RwLock::default(),
            uploads: Mutex::default(),
            handles: AtomicUsize::new(0),
        }
    }
}

/// A handle of a repository: while there is one, its contents stay in the registry, even
/// empty. All changes go through a handle.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) contents: Arc<Contents>,
    pub(crate) name: RepositoryName,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let was_last = self.contents.handles.fetch_sub(1, Ordering::Relaxed) == 1;
        if !was_last || !self.contents.is_unused() {
            return;
        }
        // Handles are made under this lock, so what is unused under it stays so.
        let mut repositories = write(&self.shared.repositories);
        let is_listed = repositories
            .get(&self.name)
            .is_some_and(|listed| Arc::ptr_eq(listed, &self.contents));
        if is_listed && self.contents.is_unused() {
            repositories.remove(&self.name);
        }
    }
}

/// The open uploads of a repository. The content of one that is being written to is with its writer.
pub(crate) type OpenUploads = HashMap<UploadId, Option<Arrived>>;

/// The content of an upload that has arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) buffer: Buffer,
    pub(crate) hash: UploadHash,
}

impl Arrived {
    pub(crate) fn new(buffer: Buffer) -> Self {
        Self {
            buffer,
            hash: UploadHash::default(),
        }
    }
}
