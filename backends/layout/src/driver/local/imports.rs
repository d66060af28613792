//! Which ways of importing files without a copy of their bytes work here.

use std::fs::Metadata;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::paths::Paths;
use crate::driver::BLOBS;
use crate::driver::file::identity;

/// The abilities of the file system of a layout.
#[derive(Debug, Default)]
pub(super) struct Imports {
    cannot_clone: AtomicBool,
    cannot_link: AtomicBool,
    /// The device that stores the layout, once it was looked for.
    device: OnceLock<Option<u64>>,
}

impl Imports {
    /// Whether it is worth trying to clone files into the layout.
    pub(super) fn may_clone(&self) -> bool {
        !self.cannot_clone.load(Ordering::Relaxed)
    }

    /// Says that the layout's file system cannot clone files.
    pub(super) fn forget_clones(&self) {
        self.cannot_clone.store(true, Ordering::Relaxed);
    }

    /// Whether it is worth trying to link a file with this metadata into the layout.
    pub(super) fn may_link(&self, paths: &Paths, file: &Metadata) -> bool {
        let device = |metadata: &Metadata| identity(metadata).map(|(device, _)| device);
        let here = || {
            let blobs = paths.file(BLOBS);
            // A layout that does not exist yet will be on the file system of the directories above it.
            let found = blobs
                .ancestors()
                .find_map(|path| std::fs::metadata(path).ok());
            device(&found?)
        };
        !self.cannot_link.load(Ordering::Relaxed) && *self.device.get_or_init(here) == device(file)
    }

    /// Says that files cannot be linked into the layout.
    pub(super) fn forget_links(&self) {
        self.cannot_link.store(true, Ordering::Relaxed);
    }
}
