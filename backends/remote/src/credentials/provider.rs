//! The trait of sources of credentials, and the simplest implementations.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tranship::{RegistryName, RepositoryName, Result};

use super::credential::Credential;

/// Provides the credentials of registries.
///
/// ```
/// use async_trait::async_trait;
/// use tranship::{RegistryName, RepositoryName, Result};
/// use tranship_remote::{Credential, CredentialProvider};
///
/// /// Asks the company's vault.
/// #[derive(Debug)]
/// struct Vault;
///
/// #[async_trait]
/// impl CredentialProvider for Vault {
///     async fn credential(
///         &self,
///         registry: &RegistryName,
///         _repository: Option<&RepositoryName>,
///     ) -> Result<Option<Credential>> {
///         Ok((registry.as_str() == "registry.example")
///             .then(|| Credential::basic("ci", "the password")))
///     }
/// }
/// ```
#[async_trait]
pub trait CredentialProvider: Send + Sync + fmt::Debug {
    /// Returns the credential for `registry`, or for `repository` in it if the operation is about one. Returns `None` if the
    /// provider does not have a credential. The caller keeps the result until the registry refuses it.
    ///
    /// # Errors
    /// Those of the source of the credentials.
    async fn credential(
        &self,
        registry: &RegistryName,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>>;
}

/// Has no credentials: everything is asked for anonymously.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoCredentials;

#[async_trait]
impl CredentialProvider for NoCredentials {
    async fn credential(
        &self,
        _registry: &RegistryName,
        _repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>> {
        Ok(None)
    }
}

/// One credential, for one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticCredentials {
    registry: RegistryName,
    credential: Credential,
}

impl StaticCredentials {
    /// `credential` for `registry`, and nothing for any other.
    #[must_use]
    pub fn new(registry: RegistryName, credential: Credential) -> Self {
        Self {
            registry,
            credential,
        }
    }
}

#[async_trait]
impl CredentialProvider for StaticCredentials {
    async fn credential(
        &self,
        registry: &RegistryName,
        _repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>> {
        // By the host that is dialled, so that `docker.io` and `registry-1.docker.io` are one.
        Ok((registry.host() == self.registry.host()).then(|| self.credential.clone()))
    }
}

/// Several providers, asked one after the other until one has a credential.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    providers: Vec<Arc<dyn CredentialProvider>>,
}

impl Credentials {
    /// No provider yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks `provider` where those before it have nothing.
    #[must_use]
    pub fn or(mut self, provider: impl CredentialProvider + 'static) -> Self {
        self.providers.push(Arc::new(provider));
        self
    }
}

#[async_trait]
impl CredentialProvider for Credentials {
    async fn credential(
        &self,
        registry: &RegistryName,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>> {
        for provider in &self.providers {
            if let Some(credential) = provider.credential(registry, repository).await? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }
}
