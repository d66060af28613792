//! Moves many images over an air gap as one OCI archive, or as several volumes.
//!
//! | Step | Type |
//! |---|---|
//! | copy the images to find out what the bundle must have | [`BundlePlanner`] |
//! | look at it, and write it to files or elsewhere | [`Plan`] |
//! | open, list and verify the files | [`Bundle`] |
//! | copy what they have to a registry | [`Bundle::apply`] |
//! | leave out of the next bundle what the registry has then | [`Lock`], [`PlannerOptions::base`] |
//! | compare two bundles | [`Lock::diff`] |
//!
//! # The files
//!
//! Each volume is a tar file and, if there is one only, a complete OCI image layout. Members have no times and no owners.
//!
//! | Member | Content |
//! |---|---|
//! | `bundle.json` | what the bundle has, in which volume, and what it expects at the destination |
//! | `oci-layout`, `index.json` | for other programs. Images have their full names, such as `docker.io/library/alpine:3.19` |
//! | `blobs/ALGORITHM/HEX` | all manifests, in each volume; and the blobs of this volume |
//! | `parts/ALGORITHM/HEX/OFFSET` | a part of a blob that does not fit into one volume |
//! | `sums/ALGORITHM/HEX/OFFSET` | the sha256 digest of that part |
//!
//! `bundle.json` numbers all content, each piece after those that it refers to. `contents` has for a blob its digest and
//! size, and for a manifest also the number of its type and the numbers of what it refers to. Digests are by sha256 if they
//! do not name another algorithm. `repositories` has tags and manifests by number, `base` the content that is not in the
//! bundle, by repositories that have it, and `parts` the blobs of each volume: a number, or a number, an offset and a
//! length. `set` is the digest of all that. It is the same in all volumes of a bundle, and in no other bundle.

mod apply;
mod base;
mod contents;
mod decode;
mod diff;
mod documents;
mod encode;
mod graph;
mod index;
mod kept;
mod lay_out;
mod list;
mod lock;
mod members;
mod name;
mod node;
mod open;
mod opened;
mod owners;
mod packing;
mod plain;
mod plan;
mod planner;
mod referrers;
mod repository;
mod scan;
mod stored_part;
mod verify;
mod volume;
mod write;

pub use apply::{AppliedImage, ApplyOptions, ApplyReport, PendingImage};
pub use contents::{BlobPart, BundleContents, ContentLocation};
pub use diff::{ImageChange, LockDiff};
pub use list::BundleImage;
pub use lock::{Lock, LockedImage};
pub use name::BundleName;
pub use node::{ContentNode, RepositoryContents};
pub use open::Bundle;
pub use plan::{Plan, PlanOptions, PlanTotals};
pub use planner::{BundlePlanner, PlannerOptions};
pub use verify::{DamagedMember, MissingContent, VerifyOptions, VerifyReport};
pub use write::{OpenSink, Sink, WriteOptions, WriteReport, WriterSink, WrittenVolume};
