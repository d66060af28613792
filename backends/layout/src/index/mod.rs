//! `index.json` (image-spec, "index.json file"): what a layout lists, and under which tags.

mod change;
mod decode;
mod draft;
mod keys;
mod names;
mod snapshot;
mod writer;

pub use self::snapshot::IndexEntry;

pub(crate) use self::change::{Edit, Holders};
pub(crate) use self::draft::Draft;
#[cfg(feature = "archive")]
pub(crate) use self::names::{CONTAINERD_NAME, REF_NAME};
pub(crate) use self::names::{Name, UNTYPED};
pub(crate) use self::snapshot::{EMPTY_INDEX, Entry, MAX_EMPTY_INDEX, Snapshot, lists_nothing};
pub(crate) use self::writer::{Request, Writer, fail};
