//! Where credentials can be stored: the trait that a login and a logout need.

use std::path::PathBuf;

use async_trait::async_trait;
use tranship::{RegistryName, Result};

use super::credential::Credential;
use super::provider::CredentialProvider;

/// A [`CredentialProvider`] that credentials can be stored in and erased from. A login and a logout need no more, so they
/// work with any of [`CredentialFiles`](crate::CredentialFiles), [`HelperCredentials`](crate::HelperCredentials),
/// [`MemoryCredentials`](crate::MemoryCredentials) and stores of your own.
///
/// A registry that is open keeps the credential that it has used, until the registry refuses it. Open another one to use
/// a new credential.
///
/// ```
/// use std::sync::Arc;
/// use tranship::{RegistryName, Result};
/// use tranship_remote::{
///     Credential, CredentialStore, RemoteOptions, RemoteRegistry, StaticCredentials, StoredIn,
/// };
///
/// /// Stores a credential that the registry accepts.
/// async fn login(
///     registry: &RegistryName,
///     credential: Credential,
///     store: &dyn CredentialStore,
/// ) -> Result<()> {
///     let offered = StaticCredentials::new(registry.clone(), credential.clone());
///     let options = RemoteOptions::default().with_credentials(Arc::new(offered));
///     RemoteRegistry::with_options(registry, options)?.ping().await?;
///     if let StoredIn::PlainText(file) = store.store(registry, &credential).await? {
///         eprintln!("warning: the credentials are not encrypted in {}", file.display());
///     }
///     Ok(())
/// }
/// ```
#[async_trait]
pub trait CredentialStore: CredentialProvider {
    /// Stores `credential` for `registry` and replaces the one that is stored for it. Returns where it is stored.
    ///
    /// Not cancel safe: it may or may not be stored.
    ///
    /// # Errors
    /// - [`InvalidInput`](tranship::ErrorKind::InvalidInput) if the user name has a colon.
    /// - [`Unsupported`](tranship::ErrorKind::Unsupported) if the store does not take credentials of this form.
    /// - What the store fails with.
    async fn store(&self, registry: &RegistryName, credential: &Credential) -> Result<StoredIn>;

    /// Erases the credential for `registry`. Returns whether there was one. Credentials for parts of the registry stay.
    ///
    /// Not cancel safe: it may or may not be erased.
    ///
    /// # Errors
    /// What the store fails with.
    async fn erase(&self, registry: &RegistryName) -> Result<bool>;
}

/// Where [`CredentialStore::store`] put a credential.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredIn {
    /// In this file, in which everyone who can read the file can read it. The user should be warned.
    PlainText(PathBuf),
    /// With the credential helper of this name.
    Helper(String),
    /// In the memory of this process, until it ends.
    Memory,
}
