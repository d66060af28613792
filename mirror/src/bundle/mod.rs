//! Moves many images over an air gap as one OCI archive, or as several volumes.

mod apply;
mod contents;
mod decode;
mod diff;
mod encode;
mod graph;
mod index;
mod kept;
mod list;
mod lock;
mod members;
mod name;
mod open;
mod packing;
mod plain;
mod plan;
mod planner;
mod referrers;
mod repository;
mod scan;
mod tar_header;
mod verify;
mod volume;
mod write;

pub use apply::{AppliedImage, ApplyOptions, ApplyReport, PendingImage};
pub use contents::{BlobPart, BundleContents, ContentLocation};
pub use diff::{ImageChange, LockDiff};
pub use list::BundleImage;
pub use lock::{ContentNode, Lock, LockedImage, RepositoryContents};
pub use name::BundleName;
pub use open::Bundle;
pub use plan::{Plan, PlanOptions, PlanTotals};
pub use planner::{BundlePlanner, PlannerOptions};
pub use verify::{DamagedMember, MissingContent, VerifyOptions, VerifyReport};
pub use write::{OpenSink, Sink, WriteOptions, WriteReport, WriterSink, WrittenVolume};
