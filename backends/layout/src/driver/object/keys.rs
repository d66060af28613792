//! The keys of the objects of one layout.

use object_store::path::{Path, PathPart};
use tranship::{Digest, RepositoryName};

use crate::driver::repository_path::directories_of;
use crate::driver::{BLOBS, INDEX, OCI_LAYOUT, PRIVATE};

/// The keys of the objects of one layout: those below one prefix.
#[derive(Debug)]
pub(super) struct ObjectKeys {
    prefix: Path,
}

impl ObjectKeys {
    pub(super) fn new(prefix: Path) -> Self {
        Self { prefix }
    }

    /// Returns the prefix of all keys.
    pub(super) fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Returns the key of `oci-layout`.
    pub(super) fn marker(&self) -> Path {
        child(&self.prefix, OCI_LAYOUT)
    }

    /// Returns the key of `index.json`.
    pub(super) fn index(&self) -> Path {
        child(&self.prefix, INDEX)
    }

    pub(super) fn blob(&self, digest: &Digest) -> Path {
        let blobs = child(&self.blobs(), digest.algorithm().as_str());
        child(&blobs, &digest.hex())
    }

    /// Returns the prefix of the blobs.
    pub(super) fn blobs(&self) -> Path {
        child(&self.prefix, BLOBS)
    }

    /// Returns the prefix of the uploads.
    pub(super) fn uploads(&self) -> Path {
        child(&child(&self.prefix, PRIVATE), "uploads")
    }

    /// Returns the key of an object that does not exist.
    pub(super) fn probe(&self) -> Path {
        child(&child(&self.prefix, PRIVATE), "probe")
    }
}

/// Returns the key of the lease for the maintenance of the layouts below `prefix`.
pub(super) fn maintenance_lease(prefix: &Path) -> Path {
    child(&child(prefix, PRIVATE), "lease-upkeep.json")
}

/// Returns the prefix of the layout of `name`, one of those below `prefix`.
pub(super) fn layout_prefix(prefix: &Path, name: &RepositoryName) -> Path {
    directories_of(name).fold(prefix.clone(), |prefix, directory| {
        child(&prefix, &directory)
    })
}

/// Returns the key of the catalog of the layouts below `prefix`.
pub(super) fn catalog(prefix: &Path) -> Path {
    child(&child(prefix, PRIVATE), "catalog.json")
}

/// Returns the key `name` below `prefix`. All names are ours, and none contains a character that has to be encoded.
pub(super) fn child(prefix: &Path, name: &str) -> Path {
    prefix.clone().join(PathPart::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_the_layout_format() {
        let keys = ObjectKeys::new(Path::from("team/app"));
        let digest = Digest::of(b"x");
        assert_eq!(keys.marker().as_ref(), "team/app/oci-layout");
        assert_eq!(keys.index().as_ref(), "team/app/index.json");
        let blob = format!("team/app/blobs/sha256/{}", digest.hex());
        assert_eq!(keys.blob(&digest).as_ref(), blob);
        assert_eq!(keys.uploads().as_ref(), "team/app/.tranship/uploads");
        let root = ObjectKeys::new(Path::default());
        assert_eq!(root.index().as_ref(), "index.json");
    }
}
