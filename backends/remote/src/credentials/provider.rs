//! Where credentials come from: the trait, and the simplest of its implementations.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tranship::{RegistryName, RepositoryName, Result};

use super::credential::Credential;

/// Knows credentials.
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
    /// The credential for `registry`, and there for `repository`, where the operation at hand is
    /// about one. Answers are kept by the caller until the registry refuses them.
    ///
    /// # Errors
    /// What kept the provider from knowing. Not to have a credential is `None`, and no error.
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
