//! `index.json` (image-spec, "index.json file"): what a layout lists, and under which tags.

mod change;
mod decode;
mod digests;
mod draft;
mod entries;
mod keys;
mod names;
mod snapshot;
mod sorted_set;
mod tag_claims;
mod writer;

pub use self::snapshot::IndexEntry;

pub(crate) use self::change::{Edit, Holders};
pub(crate) use self::draft::Draft;
pub(crate) use self::entries::Entry;
#[cfg(feature = "archive")]
pub(crate) use self::names::{CONTAINERD_NAME, REF_NAME};
pub(crate) use self::names::{Name, UNTYPED};
pub(crate) use self::snapshot::{EMPTY_INDEX, MAX_EMPTY_INDEX, Snapshot, lists_nothing};
pub(crate) use self::writer::{Request, Writer, fail};
