//! An OCI registry in memory, for [`tranship`].
//!
//! [`MemoryRegistry`] is a whole registry; [`MemoryRepository`] a single repository, which is all
//! that most tests need. Both do everything that the core's traits offer: ranges, mounts, uploads
//! that can be resumed, referrers, deletion, and all digest algorithms.
//!
//! ```
//! use tranship::{Descriptor, Index, MediaType, ReferencePusher, Resolver, encode_json};
//! use tranship_memory::MemoryRepository;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> tranship::Result<()> {
//! let repository = MemoryRepository::new();
//! let content = encode_json(&Index::new(vec![]))?;
//! let index = Descriptor::of(MediaType::IMAGE_INDEX, &content);
//! repository.push_reference(&index, content.into(), &["v1".parse()?]).await?;
//! assert_eq!(repository.resolve(&"v1".parse()?).await?, index);
//! # Ok(())
//! # }
//! ```
//!
//! # What is particular to it
//!
//! - **Memory.** Content is stored once for all repositories of a registry, and is free again when
//!   the last repository has let go of it and the last read of it has ended. A
//!   [quota](MemoryOptions::quota) bounds it. What arrives in pieces of 1 MiB and more is kept
//!   without a copy; so a slice of a larger buffer keeps that buffer alive. Smaller pieces are copied
//!   together. Reads never copy, and hand out 1 MiB at a time at the most.
//! - **Pushes are checked** even where another repository of the registry has the content: a
//!   repository gets only what was pushed or mounted into it. Such a push takes no more memory.
//! - **Manifests** are decoded when they are pushed. What they refer to need not be there. A manifest
//!   that is pushed again under another media type is known by that one from then on, with its
//!   tags, and without its source being read again; if it cannot be decoded as that type, the push
//!   fails and nothing changes.
//! - **Blobs and manifests** are two stores: what was pushed as the one is not found as the other.
//! - **Uploads** stay open until they are committed or cancelled: there is no expiry. They can be
//!   resumed by their id, in the same repository, as long as the registry lives.
//! - **Listings** see what is there when they come to it: changes meanwhile may or may not show, but
//!   what stays is listed once.
//!
//! # Threads
//!
//! Nothing waits for anything but its source, and no lock is held while content is read or hashed.
//! Content of 64 KiB and more is hashed on tokio's blocking threads, 1 MiB at a time, while the next
//! bytes arrive; without a tokio runtime the caller's thread does it.

mod blobs;
mod contents;
mod listing;
mod lock;
mod manifest_index;
mod manifests;
mod options;
mod pieces;
mod quota;
mod receive;
mod registry;
mod repository;
mod store;
mod upload;

pub use options::MemoryOptions;
pub use registry::MemoryRegistry;
pub use repository::MemoryRepository;
