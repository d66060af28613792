//! One set of traits for OCI registries, and copying between any two of them.
//!
//! A [`Registry`] holds [`Repository`]s; a repository holds blobs, manifests, tags and referrers. The
//! traits are implemented by interchangeable backends, each in a crate of its own: in memory, OCI
//! image layouts, and remote registries. A program that takes `&dyn Repository` works with all of
//! them, and [`copy()`] moves an artifact from any to any other.
//!
//! This crate is the core: it opens no sockets and has no storage. Most programs depend on
//! `tranship-backends`, which brings the backends, and opens them by locations such as `oci:DIR:v1`.
//!
//! | To | see |
//! |---|---|
//! | name things | [`Reference`], [`TagOrDigest`], [`Descriptor`], [`Digest`], [`MediaType`] |
//! | use a store | [`Repository`] and its supertraits in [`storage`] |
//! | read content | [`Content`], which checks itself |
//! | push content | [`Source`], [`Uploader`] |
//! | look into manifests | [`ManifestDocument`], [`successors`], [`referrers`] |
//! | change manifests | [`ManifestEditor`] |
//! | change what a store does | [`layers`] |
//! | write a backend | [`Backend`], [`Registry`], [`Verifier`] |
//!
//! # Features
//!
//! | Feature | What it adds |
//! |---|---|
//! | `decompress` | the module `decompress`, for gzip and Zstandard |
//! | `observe` | the layer `layers::Observe`, with `tracing` and `metrics` |
//!
//! # Concurrency
//!
//! Nothing here spawns tasks: work is done while its future or stream is polled, and ends when that is dropped. Only
//! work that blocks, such as reading local files that are not in memory, runs on tokio's blocking threads, where a piece
//! that has begun is completed. See [`blocking`].

mod backend;
pub mod blocking;
mod capabilities;
mod content;
mod copy;
#[cfg(feature = "decompress")]
pub mod decompress;
mod descriptor;
mod digest;
mod digest_tag;
mod error;
mod graph;
mod human_size;
mod identity;
pub mod layers;
mod lenient;
mod listing;
mod manifest;
mod media_type;
mod pack;
mod platform;
mod printable;
pub mod private_file;
mod reference;
mod registry;
mod repository;
mod resolve;
mod single_flight;
pub mod storage;
mod tag_patterns;
mod tagging;
mod upload;

pub use backend::{
    Access, Backend, Batch, ContentKind, DirectUrl, Presence, PushOptions, PushOutcome,
    RepositoryInfo,
};
pub use capabilities::{Capabilities, Support};
pub use content::{
    Body, ByteRange, ByteStream, Content, Hasher, HashingSink, LocalFile, MAX_MANIFEST_SIZE,
    OpenAt, Source, UploadHash, VerifiedStream, Verifier,
};
pub use copy::{
    CopyAction, CopyCallbacks, CopyEvent, CopyHooks, CopyOptions, CopyReport, CopyStep, Existing,
    ExtendedCopyOptions, Follow, PlatformSubset, PreCopy, ReferrerBounds, SelectedManifests,
    SubsetForm, SubsetReport, attested_digest, copy, copy_graph, copy_tag, extended_copy,
    extended_copy_graph,
};
pub use descriptor::{Annotations, Descriptor};
pub use digest::{Algorithm, Digest, Digester};
pub use digest_tag::{digest_tagged, digest_tags};
pub use error::{CopySide, Error, ErrorKind, RegistryError, Result, ResultExt};
pub use graph::{describe_referrer, fetch_document, successors};
pub use human_size::HumanSize;
pub use identity::RegistryIdentity;
pub use listing::{ListOptions, Listing};
pub use manifest::{
    ArtifactManifest, Index, Manifest, ManifestDocument, ManifestEditor, encode_json,
};
pub use media_type::MediaType;
pub use pack::{PackOptions, PackVersion, pack_and_tag, pack_manifest};
pub use platform::Platform;
pub use printable::{Printable, escape_controls};
pub use reference::{
    Reference, RegistryName, RepositoryName, Tag, TagOrDigest, without_user_information,
};
pub use registry::{Registry, may_have_repository, repositories};
pub use repository::{
    BlobStore, ManifestStore, Mounter, ReferrerLister, Repository, TagLister, referrers, tags,
};
pub use resolve::{ResolveOptions, fetch, fetch_bytes, fetch_manifest, resolve};
#[doc(inline)]
pub use single_flight::SingleFlight;
pub use storage::{
    Deleter, Fetcher, PredecessorFinder, Pusher, ReadOnlyStorage, ReferenceFetcher,
    ReferencePusher, Resolver, Storage, TagResolver, Tagger, Untagger,
};
pub use tag_patterns::TagPatterns;
pub use tagging::{push_bytes, tag, tag_bytes, tag_n};
pub use upload::{Upload, UploadId, Uploader};

/// The traits to use a repository or registry with, for `use tranship::prelude::*`. A `&dyn Repository` has the
/// methods of a repository without it; concrete types need the traits in scope.
pub mod prelude {
    pub use crate::{
        BlobStore as _, Deleter as _, Fetcher as _, ManifestStore as _, Mounter as _,
        PredecessorFinder as _, Pusher as _, ReadOnlyStorage as _, ReferenceFetcher as _,
        ReferencePusher as _, ReferrerLister as _, Registry as _, Repository as _, Resolver as _,
        TagLister as _, Tagger as _, Untagger as _, Upload as _, Uploader as _,
    };
}
