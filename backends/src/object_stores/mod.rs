//! Object stores, opened by their URL, with settings from the environment and from options.

#[cfg(feature = "azure")]
mod azure;
mod built;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod endpoint;
#[cfg(feature = "gcs")]
mod gcs;
#[cfg(feature = "http")]
mod http;
mod open;
#[cfg(feature = "s3")]
mod s3;
mod settings;
mod tls_provider;

pub(crate) use self::built::BuiltStore;
pub(crate) use self::open::open;
pub use self::tls_provider::ensure_tls_provider;
