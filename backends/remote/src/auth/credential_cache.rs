//! The credentials for one registry, which are looked up once and kept until the registry refuses them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tranship::{RegistryName, RepositoryName, Result, SingleFlight};

use crate::credentials::{Credential, CredentialProvider};

/// The most credentials that are kept. They are looked up for each repository, because Podman stores them so.
const MOST_CREDENTIALS: usize = 256;

type Known = HashMap<Option<RepositoryName>, Option<Credential>>;

/// Clones share the credentials.
#[derive(Clone)]
pub(super) struct CredentialCache(Arc<State>);

struct State {
    registry: RegistryName,
    provider: Arc<dyn CredentialProvider>,
    known: Mutex<Known>,
    lookups: SingleFlight<Option<RepositoryName>, Option<Credential>>,
}

impl CredentialCache {
    pub(super) fn new(registry: RegistryName, provider: Arc<dyn CredentialProvider>) -> Self {
        Self(Arc::new(State {
            registry,
            provider,
            known: Mutex::default(),
            lookups: SingleFlight::default(),
        }))
    }

    /// Returns the credential for `repository` if it has been looked up.
    pub(super) fn known(&self, repository: &Option<RepositoryName>) -> Option<Credential> {
        self.0.known().get(repository).cloned().flatten()
    }

    /// Returns the credential for `repository`. Concurrent calls share one lookup.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// Those of the provider.
    pub(super) async fn get(
        &self,
        repository: Option<RepositoryName>,
    ) -> Result<Option<Credential>> {
        if let Some(known) = self.0.known().get(&repository) {
            return Ok(known.clone());
        }
        let begin = {
            let (state, repository) = (Arc::clone(&self.0), repository.clone());
            move || async move {
                let (registry, provider) = (&state.registry, &state.provider);
                let credential = provider.credential(registry, repository.as_ref()).await?;
                let mut known = state.known();
                if known.len() >= MOST_CREDENTIALS {
                    known.clear();
                }
                known.insert(repository, credential.clone());
                Ok(credential)
            }
        };
        self.0.lookups.join(repository, begin).await
    }

    /// Replaces the credential for `repository`.
    pub(super) fn replace(&self, repository: Option<RepositoryName>, credential: Credential) {
        self.0.known().insert(repository, Some(credential));
    }

    /// Makes the next call look up the credential for `repository` again.
    pub(super) fn forget(&self, repository: &Option<RepositoryName>) {
        self.0.known().remove(repository);
    }

    /// Forgets all credentials.
    pub(super) fn clear(&self) {
        self.0.known().clear();
    }
}

impl State {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
