//! Describes images and artifacts, reads the file system of an image, and verifies content.
//!
//! | Function or type | What it does |
//! |---|---|
//! | [`inspect()`] | describes an image, an index or an artifact |
//! | [`Filesystem`] | lists, reads, copies and exports the files of an image, without unpacking it |
//! | [`diff()`] | compares the files of two images |
//! | [`verify()`] | reads and hashes everything that a reference leads to |

pub(crate) mod config;
mod filesystem;
mod inspect;
mod select;
mod verify;

pub use filesystem::{
    Change, ChangeKind, Changed, CopyOutOptions, CopyOutReport, Diff, Entry, EntryKind,
    FileContent, Filesystem, FilesystemOptions, LayerChange, diff,
};
pub use inspect::{
    ConfigSummary, InspectOptions, Inspection, Kind, LayerSummary, ManifestSummary, ReferrerCount,
    ReferrerSummary, fetch_config, inspect,
};
pub use verify::{
    Amount, Finding, FindingKind, Severity, VerifyOptions, VerifyProgress, VerifyReport, verify,
};
