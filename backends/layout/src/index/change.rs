//! What can be changed in `index.json`.

use tranship::{Descriptor, Digest, Tag};

use crate::children::Children;

/// One change.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    /// Lists a manifest and points tags at it.
    List {
        /// The entry, without a name.
        entry: Descriptor,
        tags: Vec<Tag>,
        /// The manifest's children, which need no entries of their own.
        children: Children,
    },
    /// Removes a tag. What it pointed at stays listed, unless it can be reached otherwise.
    Untag(Tag),
    /// Removes a manifest, its entries and its blob.
    Delete {
        target: Digest,
        /// The manifest's children, which stay.
        children: Vec<Descriptor>,
    },
}

/// Tells whether a manifest is a child of an index for which the function says that it is listed.
///
/// Grandchildren do not count: what is between may have been deleted by another process, which
/// listed them then. And not all indexes need be known. Either way a manifest is listed that would
/// not have to be, never the other way round.
pub(crate) trait Holders: Send + Sync {
    fn holds(&self, digest: &Digest, is_listed: &dyn Fn(&Digest) -> bool) -> bool;
}
