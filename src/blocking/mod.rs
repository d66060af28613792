//! Where blocking work runs, for backends that read and write files or hash much content.
//!
//! A task that blocks keeps its thread from every other task of the runtime. This module is the only place that
//! hands work to blocking threads:
//!
//! - [`run`] for work that takes long, such as a sync or a copy of a large file, and [`start`] for such work beside
//!   something else;
//! - [`Disk`] for short calls, which it makes in place while the file system is quick;
//! - [`Sequence`] for steps that must keep their order, such as appending to a file;
//! - [`read_stream`] for code that reads with [`std::io::Read`], such as decompression, where bytes arrive in a stream;
//! - [`HashingSink`](crate::HashingSink) to hash content while it is written.
//!
//! Outside a tokio runtime the calling thread does all of this work, except for [`read_stream`], which needs one.
//!
//! ```
//! use tranship::blocking;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> tranship::Result<()> {
//! let sum = blocking::run(|| Ok((1..=1_000_000_u64).sum::<u64>())).await?;
//! assert_eq!(sum, 500_000_500_000);
//! # Ok(())
//! # }
//! ```

mod cancel;
mod disk;
mod latency;
mod pool;
mod sequence;
mod stream_reader;
mod task;

pub use cancel::{CancelFlag, CancelOnDrop};
pub use disk::{Disk, Work};
pub use sequence::Sequence;
pub use stream_reader::{StreamReader, read_stream};
pub(crate) use task::SMALL;
pub use task::{Task, run, run_sized, start};
