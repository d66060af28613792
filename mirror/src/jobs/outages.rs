//! Registries that cannot be reached.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tranship::{Error, ErrorKind, RegistryIdentity, Repository};

/// After so many images in a row that failed because a registry could not be reached, the rest of its images is not
/// tried: each would take as long as all its retries.
const LIMIT: usize = 3;

/// Counts failures of registries that cannot be reached.
#[derive(Debug, Default)]
pub(super) struct Outages {
    failures: Mutex<HashMap<RegistryIdentity, usize>>,
}

impl Outages {
    /// Returns an error if the registry of `repository` was found to be out of reach.
    pub(super) fn check(&self, repository: &dyn Repository) -> Result<(), Error> {
        let Some(registry) = repository.registry() else {
            return Ok(());
        };
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.get(registry).is_none_or(|count| *count < LIMIT) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "not tried, because the registry could not be reached for the images before",
        )
        .with_subject(registry)
        .with_retryable(true))
    }

    /// Notes whether a request to the registry of `repository` succeeded.
    pub(super) fn note(&self, repository: &dyn Repository, error: Option<&Error>) {
        let Some(registry) = repository.registry() else {
            return;
        };
        let is_outage = error.is_some_and(|error| {
            error.kind() == ErrorKind::Unavailable && error.http_status().is_none()
        });
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if is_outage {
            *failures.entry(registry.clone()).or_default() += 1;
        } else if error.is_none() {
            failures.remove(registry);
        }
    }
}
