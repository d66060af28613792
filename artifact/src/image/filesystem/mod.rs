//! The file system of an image, read without unpacking it to a disk.
//!
//! | Module | What it is |
//! |---|---|
//! | `tar_reader` | reads the entries of a tar archive |
//! | `layer` | the entries of a layer, and its digests |
//! | `tree` | the layers applied to each other |
//! | `lookup` | one path, from the newest layer down |
//! | `open` | [`Filesystem`]: which image, and reading its layers |
//! | `layer_change` | what one layer changes |
//! | `read`, `export`, `copy_out`, `diff` | what is done with files |

mod content;
mod copy_out;
mod diff;
mod entry;
mod export;
mod kept;
mod layer;
mod layer_change;
mod lookup;
mod open;
mod options;
mod path;
mod read;
mod tar_reader;
mod tree;
mod work_time;

pub use content::FileContent;
pub use copy_out::{CopyOutOptions, CopyOutReport};
pub use diff::{Change, ChangeKind, Changed, Diff, diff};
pub use entry::{Entry, EntryKind};
pub use layer_change::LayerChange;
pub use open::Filesystem;
pub use options::FilesystemOptions;
