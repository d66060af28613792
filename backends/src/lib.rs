//! Every [`tranship`] backend behind a feature, and functions that open any of them by its
//! [`Location`].
//!
//! | Feature | Backend | Locations |
//! |---|---|---|
//! | `layout` | `layout`: OCI image layouts on a local disk | `oci:DIR`, `layouts:ROOT//NAME` |
//! | `archive` | `layout`, in tar archives | `oci-archive:FILE`, `docker-archive:FILE` |
//! | `remote` | `remote`: registries that are reached over HTTP | `HOST/NAME` |
//! | `memory` | `memory`: registries in memory | none: `memory::MemoryRegistry::new()` makes one |
//! | `s3`, `gcs`, `azure`, `http` | `layout`, in object stores | `oci:URL`, `layouts:URL//NAME` |
//! | `rustls-ring`, `rustls-aws-lc` | | |
//!
//! The first four and `rustls-ring` are on by default. To open a location whose feature is not enabled is
//! [`Unsupported`](tranship::ErrorKind::Unsupported).
//!
//! The last two are providers of TLS. Where both are enabled, aws-lc-rs is used; a provider that the process has installed
//! takes precedence over both. The object stores need one of them; `remote` does without if the program installs its own.
//!
//! [`docs/development.md`](https://github.com/tranship/tranship/blob/main/docs/development.md#features-and-their-cost)
//! lists what each feature costs in crates and in seconds of building.
//!
//! This crate is all that a program needs: the core is [`tranship_backends::tranship`](tranship).
//!
//! # Copy between two locations
//!
//! ```
//! # use tranship_backends::tranship;
//! use tranship::{CopyOptions, copy};
//! use tranship_backends::Location;
//!
//! # async fn pack_something(at: &Location) -> tranship::Result<()> {
//! #     let repository = tranship_backends::open(at).await?;
//! #     let options = tranship::PackOptions::new("application/vnd.example".parse()?);
//! #     tranship::pack_and_tag(&*repository, &options, &["v1".parse()?]).await.map(drop)
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> tranship::Result<()> {
//! # if cfg!(not(feature = "layout")) { return Ok(()); }
//! # let directory = tempfile::tempdir().unwrap();
//! # let directory = directory.path().display();
//! // Strings such as "oci:build/app:v1" and "layouts:/srv/registry//team/app".
//! let from: Location = format!("oci:{directory}/build/app:v1").parse()?;
//! let to: Location = format!("layouts:{directory}/registry//team/app").parse()?;
//! # pack_something(&from).await?;
//! let source = tranship_backends::open(&from).await?;
//! let destination = tranship_backends::open(&to).await?;
//!
//! let tags = ["v1".parse()?, "latest".parse()?];
//! let report = copy(
//!     &*source,
//!     from.reference().expect("a tag"),
//!     &*destination,
//!     &tags,
//!     &CopyOptions::default(),
//! )
//! .await?;
//! let latest = destination.resolve(&"latest".parse()?).await?;
//! assert_eq!(latest.digest(), report.root.digest());
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "archive")]
mod archives;
#[cfg(feature = "layout")]
mod existing_repository;
#[cfg(feature = "layout")]
mod layouts;
mod location;
#[cfg(feature = "objects")]
mod object_layouts;
#[cfg(feature = "objects")]
mod object_stores;
mod open;
#[cfg(feature = "layout")]
mod open_layout;
mod options;
#[cfg(feature = "remote")]
mod remotes;

pub use location::{
    DockerArchiveLocation, LayoutLocation, LayoutPath, LayoutRegistryLocation, Location,
    ObjectLayoutLocation, ObjectLayoutRegistryLocation, ObjectStoreUrl, OciArchiveLocation,
    RegistryLocation,
};
#[cfg(feature = "objects")]
pub use object_layouts::create_object;
#[cfg(feature = "objects")]
pub use object_stores::ensure_tls_provider;
pub use open::{open, open_registry, open_registry_with, open_with};
#[cfg(feature = "layout")]
pub use open_layout::{open_layout, open_layout_registry};
pub use options::OpenOptions;
pub use tranship;
#[cfg(feature = "layout")]
#[doc(inline)]
pub use tranship_layout as layout;
#[cfg(feature = "layout")]
#[doc(inline)]
pub use tranship_layout::Durability;
#[cfg(feature = "memory")]
#[doc(inline)]
pub use tranship_memory as memory;
#[cfg(feature = "remote")]
#[doc(inline)]
pub use tranship_remote as remote;

/// The examples in README are compiled with those of the documentation.
#[cfg(all(doctest, feature = "layout", feature = "memory"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The same for the page on credentials.
#[cfg(all(doctest, feature = "remote"))]
#[doc = include_str!("../../docs/auth.md")]
struct Auth;

/// The same for the page on TLS.
#[cfg(all(doctest, feature = "remote"))]
#[doc = include_str!("../../docs/tls.md")]
struct Tls;

/// The same for the page for users of ORAS Go.
#[cfg(all(doctest, feature = "layout", feature = "remote"))]
#[doc = include_str!("../../docs/from-oras-go.md")]
struct FromOrasGo;

/// The same for the page on layers.
#[cfg(all(doctest, feature = "layout", feature = "remote"))]
#[doc = include_str!("../../docs/layers.md")]
struct Layers;
