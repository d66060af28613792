//! OCI image layouts as a tranship backend.
//!
//! [`Layout`] is one image layout in a local directory, as a [`Repository`](tranship::Repository).
//! [`LayoutRegistry`] is a directory of them, as a [`Registry`](tranship::Registry). Both do all that
//! the traits offer. With the feature `object-store` they lie in a bucket as well
//! (`Layout::open_in`), and with `archive` in a tar (`Layout::open_archive`), be it one that
//! `docker save` wrote. What they write, oras, skopeo, umoci, crane and regctl read, and the other way
//! round.
//!
//! ```
//! use tranship::{CopyOptions, Registry, Result};
//! use tranship_layout::{Layout, LayoutRegistry};
//!
//! /// Takes an image from a directory of layouts along, as a layout of its own.
//! async fn take_along() -> Result<()> {
//!     let registry = LayoutRegistry::open("/srv/layouts").await?;
//!     let app = registry.repository(&"team/app".parse()?).await?;
//!     let stick = Layout::create("/media/stick/app").await?;
//!     let tag = "v1".parse()?;
//!     tranship::copy(&*app, &"v1".parse()?, &stick, &[tag], &CopyOptions::default()).await?;
//!     Ok(())
//! }
//! ```
//!
//! # On the disk
//!
//! | Path | |
//! |---|---|
//! | `oci-layout` | says that this is a layout, of version 1.0.0; any other version is refused |
//! | `index.json` | the tags, and the manifests that are not reached otherwise |
//! | `blobs/<algorithm>/<hex>` | blobs and manifests, by sha256, sha384 and sha512; mode 0444 less the umask |
//! | `.tranship/` | ours: temporary files, uploads, and the lock. It can be removed when nobody writes |
//!
//! Nothing is created before something is pushed, and reading never writes. Files and directories
//! that are not mentioned here are left alone.
//!
//! # What is listed
//!
//! `index.json` has one entry for each tag, with the annotation `org.opencontainers.image.ref.name`,
//! and one without a name for each manifest that has no tag and is no child of a listed index. So
//! pushing an index takes the entries of its children away, unless these have tags or say more of
//! them; deleting it lists the children again. A tag that is removed or moved leaves its manifest
//! listed. Entries that we make hold the media type, digest, size, platform and artifact type, and
//! no annotations but the name: those of the manifest are read where they are. Everything that
//! others wrote into the file stays, in its order.
//!
//! Of several entries with the same tag the last one counts, and setting the tag leaves one. A name
//! that is no tag, such as `docker.io/library/alpine:3.18`, answers to the tag behind its last colon,
//! unless there is an entry of that very tag, or names of different manifests end in it. When that
//! tag is moved or removed, the long name is. Any other name is reached by digest only.
//!
//! A manifest is what `index.json` lists, and any blob that reads as one
//! ([`ManifestDocument::sniff`](tranship::ManifestDocument::sniff)): blobs and manifests share their
//! files. Referrers are looked for among the manifests that `index.json` leads to, through indexes
//! too, as those that other tools keep under tags such as `sha256-<hex>`. What is missing is passed
//! over, since a layout may be sparse; what is damaged is an error, after all that was found.
//!
//! # Many at the same time
//!
//! Any number of tasks and processes may use one layout. A blob appears under its name when it is
//! complete and verified. `index.json` is read, changed and replaced under a lock, which the system
//! takes back from a process that dies; changes that come while one is written are written together,
//! and readers see each change at once. A file system that cannot lock is refused for writing.
//!
//! Other tools take no lock. If one replaces `index.json` between our reading and our replacing it, we
//! begin anew, up to the very moment of replacing. What we write while another tool is between *its*
//! reading and writing is lost to it, as it is between any two other tools.
//!
//! # Power cuts and damage
//!
//! With [`Durability::Full`], the default, everything that the result of a successful call depends on
//! survives a power cut, whoever stored it. A blob of the wrong size, as other tools leave it behind when
//! they are stopped, counts as absent and is replaced by the next push. An `index.json` that cannot be read
//! is an error and is never overwritten.
//!
//! # Garbage and checks
//!
//! A push that is not listed in the end, or a manifest that is deleted, leaves blobs behind.
//! [`Layout::collect_garbage`] removes them, while others go on. [`Layout::fsck`] says whether
//! everything is there and what it should be, and [`Layout::repair`] makes it so from another
//! repository. [`LayoutRegistry::layout`] opens the layouts of a registry for that.
//!
//! # Files instead of bytes
//!
//! Between layouts on one file system a blob is cloned, or else linked, and hashed in place: nothing is copied, and
//! nothing unverified appears. A mount within a [`LayoutRegistry`] does not hash again. Everywhere else bytes are hashed
//! and written on blocking threads while the next ones arrive. All large pushes to a layout together hold up to 5 MiB, and
//! one piece of each source.
//!
//! # Layouts from elsewhere
//!
//! A symbolic link inside a layout is refused, as is everything but regular files: following it
//! would read or write outside. The path of the layout itself may lead through links. Digests are
//! file names by their type, and ids of uploads are checked. `index.json` and manifests have
//! [limits](LayoutOptions).

#[cfg(feature = "archive")]
mod archives;
mod blobs;
mod children;
mod deletes;
mod driver;
mod fsck;
mod gc;
mod graph;
mod index;
mod layout;
mod maintenance_lease;
mod manifests;
#[cfg(feature = "object-store")]
mod objects;
mod options;
mod pending;
#[cfg(all(test, unix))]
mod power_cut;
mod recent;
mod registry;
mod repository;
mod siblings;
mod sizes;
mod store;
mod stored_bytes;
#[cfg(feature = "object-store")]
mod url_signer;

pub use driver::LeftoverKind;
#[cfg(feature = "object-store")]
pub use driver::object::ObjectWriter;
pub use fsck::{Finding, FindingKind, FsckOptions, FsckProgress, FsckReport, Repaired, Severity};
pub use gc::{Amount, GcOptions, GcReport, RemovedBlob, RemovedLeftover, Stray};
pub use index::IndexEntry;
pub use layout::Layout;
pub use maintenance_lease::MaintenanceLease;
pub use options::{Durability, LayoutOptions};
pub use registry::LayoutRegistry;
#[cfg(feature = "object-store")]
pub use url_signer::UrlSigner;
