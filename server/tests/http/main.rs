//! The server over sockets, as clients use it.

mod access;
mod audit;
mod blobs;
mod client;
mod events;
mod hostile;
mod listings;
mod manifest_checks;
mod manifests;
mod mirrors;
mod oidc;
mod operations;
mod quotas;
mod redirects;
mod referrers;
mod robots;
mod sessions;
#[cfg(feature = "tls")]
mod tls;
mod token_service;
mod tokens;
mod uploads;
