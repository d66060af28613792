//! Moves many images over an air gap as one OCI archive, or as several volumes.

mod contents;
mod decode;
mod encode;
mod graph;
mod index;
mod kept;
mod lock;
mod members;
mod name;
mod packing;
mod plan;
mod planner;
mod tar_header;
mod write;

pub use contents::{BlobPart, BundleContents, ContentLocation};
pub use lock::{ContentNode, Lock, LockedImage, RepositoryContents};
pub use name::BundleName;
pub use plan::{Plan, PlanOptions, PlanTotals};
pub use planner::{BundlePlanner, PlannerOptions};
pub use write::{OpenSink, Sink, WriteOptions, WriteReport, WriterSink, WrittenVolume};
