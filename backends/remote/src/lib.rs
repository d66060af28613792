//! Registries that are reached over HTTP, by the distribution spec, as a [`tranship`] backend.
//!
//! [`RemoteRegistry`] is a [`Registry`](tranship::Registry), and hands out repositories:
//!
//! ```no_run
//! use std::sync::Arc;
//! use tranship::{CopyOptions, Registry, Result, copy};
//! use tranship_remote::{Credential, RemoteOptions, RemoteRegistry, StaticCredentials};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let name: tranship::RegistryName = "registry.example.com".parse()?;
//! let credential = Credential::basic("robot", std::env::var("REGISTRY_TOKEN").unwrap_or_default());
//! let options = RemoteOptions::default()
//!     .with_credentials(Arc::new(StaticCredentials::new(name.clone(), credential)));
//! let registry = RemoteRegistry::with_options(&name, options)?;
//!
//! let staging = registry.repository(&"staging/app".parse()?).await?;
//! let released = registry.repository(&"app".parse()?).await?;
//! // Within one registry blobs are mounted, and none of their bytes are moved.
//! copy(&*staging, &"v1".parse()?, &*released, &["v1".parse()?], &CopyOptions::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The capabilities of a registry are learned from its responses to ordinary requests. [`SecurityPolicy`] determines what
//! a registry may make the client do.

mod auth;
mod blobs;
mod capabilities;
mod certificates;
mod credentials;
mod deletion;
mod hosts;
mod link;
mod manifest_changes;
mod manifests;
mod options;
mod pages;
mod policy;
mod rate_limit;
mod redacted_url;
mod referrer_changes;
mod referrers;
mod registry;
mod repository;
mod repository_client;
mod resolver;
mod retry_policy;
mod tls_options;
mod transport;
mod warning;

pub use certificates::CertificateDirectories;
pub use credentials::{
    Credential, CredentialFiles, CredentialProvider, CredentialStore, Credentials, Environment,
    EnvironmentCredentials, HelperCredentials, MemoryCredentials, NoCredentials, Secret,
    StaticCredentials, StoredIn,
};
pub use options::{ReferrersMode, RemoteOptions, Scheme, UploadMode};
pub use policy::{PrivateTargets, SecurityPolicy};
pub use rate_limit::{RateLimitStatus, RateLimitWait};
pub use registry::RemoteRegistry;
pub use repository::RemoteRepository;
/// The HTTP client that [`RemoteOptions::with_client`] takes.
pub use reqwest;
pub use retry_policy::RetryPolicy;
pub use tls_options::TlsOptions;
pub use transport::{DocumentClient, RequestCounts, RequestKind};
pub use warning::Warning;
