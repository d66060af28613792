//! Credentials in memory: put there by the program, or read from the content of a file.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tranship::{RegistryName, RepositoryName, Result};

use super::credential::Credential;
use super::document::Document;
use super::provider::CredentialProvider;
use super::server::Server;
use super::store::{CredentialStore, StoredIn};

/// Credentials that are kept in the memory of this process. Clones share them.
///
/// A new one is empty. It can also begin with what a file of Docker or a pull secret of Kubernetes holds, which is read
/// like the `auths` of a file of [`CredentialFiles`](crate::CredentialFiles): a key may be a host, a URL, or a host and a
/// path. Credential helpers that the content names are not run, since whoever wrote it would then choose a program to run.
///
/// ```
/// use tranship::Result;
/// use tranship_remote::{Credential, CredentialProvider, CredentialStore, MemoryCredentials};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let secret = r#"{"auths": {"registry.example": {"auth": "cm9ib3Q6aHVudGVyMg=="}}}"#;
/// let credentials = MemoryCredentials::from_config(secret.as_bytes())?;
/// let registry = "registry.example".parse()?;
/// let robot = Credential::basic("robot", "hunter2");
/// assert_eq!(credentials.credential(&registry, None).await?, Some(robot));
///
/// credentials.store(&registry, &Credential::basic("me", "swordfish")).await?;
/// assert!(credentials.erase(&registry).await?);
/// assert_eq!(credentials.credential(&registry, None).await?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryCredentials(Arc<Mutex<Document>>);

impl MemoryCredentials {
    /// Returns a store without credentials.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the content of a `config.json` of Docker or an `auth.json` of Podman, such as `.dockerconfigjson` of a
    /// Kubernetes secret of type `kubernetes.io/dockerconfigjson`, decoded from base64.
    ///
    /// Each entry is decoded when it is needed; one that cannot be is [`Corrupt`](tranship::ErrorKind::Corrupt) then.
    ///
    /// # Errors
    /// [`Corrupt`](tranship::ErrorKind::Corrupt) if it is not a JSON object, or its `auths` is not one. Nothing of the
    /// content is in the error.
    pub fn from_config(content: &[u8]) -> Result<Self> {
        let mut document = Document::parse(content)?;
        document.auths()?;
        Ok(Self(Arc::new(Mutex::new(document))))
    }

    /// Reads the content of a `.dockercfg`, as older versions of Docker wrote it and Kubernetes secrets of type
    /// `kubernetes.io/dockercfg` hold it: an object of registries, without `auths` around it.
    ///
    /// # Errors
    /// As [`from_config`](Self::from_config).
    pub fn from_dockercfg(content: &[u8]) -> Result<Self> {
        let document = Document::parse(content)?.below_auths();
        Ok(Self(Arc::new(Mutex::new(document))))
    }

    fn document(&self) -> MutexGuard<'_, Document> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCredentials").finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialProvider for MemoryCredentials {
    async fn credential(
        &self,
        registry: &RegistryName,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>> {
        let found = self
            .document()
            .credential(&Server::new(registry), repository);
        found.map_err(|error| {
            error
                .with_operation("look for credentials")
                .with_subject(registry)
        })
    }
}

#[async_trait]
impl CredentialStore for MemoryCredentials {
    async fn store(&self, registry: &RegistryName, credential: &Credential) -> Result<StoredIn> {
        let stored = self
            .document()
            .set(&Server::new(registry), Some(credential));
        stored
            .map(|()| StoredIn::Memory)
            .map_err(|error| error.with_operation("log in").with_subject(registry))
    }

    async fn erase(&self, registry: &RegistryName) -> Result<bool> {
        let erased = self.document().remove(&Server::new(registry));
        erased.map_err(|error| error.with_operation("log out").with_subject(registry))
    }
}

#[cfg(test)]
mod tests {
    use tranship::ErrorKind;

    use super::*;

    fn registry(name: &str) -> RegistryName {
        name.parse().expect("a registry name")
    }

    async fn found(credentials: &MemoryCredentials, name: &str) -> Option<Credential> {
        let found = credentials.credential(&registry(name), None).await;
        found.expect("no error")
    }

    #[tokio::test]
    async fn what_is_stored_is_found_until_it_is_erased() {
        let credentials = MemoryCredentials::new();
        let store: &dyn CredentialStore = &credentials;
        let hub = registry("docker.io");
        assert!(!store.erase(&hub).await.expect("nothing"));
        for credential in [
            Credential::basic("user", "pass:word"),
            Credential::basic("", ""),
            Credential::IdentityToken("identity".into()),
            Credential::AccessToken("access".into()),
        ] {
            let stored = store.store(&hub, &credential).await.expect("stored");
            assert_eq!(stored, StoredIn::Memory);
            // A clone has it too, by every name of the registry.
            let other = credentials.clone();
            let expected = Some(credential);
            assert_eq!(found(&other, "registry-1.docker.io").await, expected);
        }
        assert_eq!(found(&credentials, "registry.example").await, None);
        assert!(
            store
                .erase(&registry("index.docker.io"))
                .await
                .expect("erased")
        );
        assert_eq!(found(&credentials, "docker.io").await, None);
    }

    #[tokio::test]
    async fn a_user_name_with_a_colon_is_refused() {
        let credentials = MemoryCredentials::new();
        let name = registry("registry.example");
        let credential = Credential::basic("a:b", "c");
        let stored = credentials.store(&name, &credential).await;
        let error = stored.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(found(&credentials, "registry.example").await, None);
    }

    #[tokio::test]
    async fn pull_secrets_are_read_in_both_forms() {
        let robot = Some(Credential::basic("robot", "hunter2"));
        let entries = r#"{
            "https://registry.example/v2/": {"auth": "cm9ib3Q6aHVudGVyMg==", "email": "a@b"},
            "https://index.docker.io/v1/": {"username": "robot", "password": "hunter2"}
        }"#;
        let config = format!(r#"{{"auths": {entries}, "credsStore": "desktop"}}"#);
        for credentials in [
            MemoryCredentials::from_config(config.as_bytes()),
            MemoryCredentials::from_dockercfg(entries.as_bytes()),
        ] {
            let credentials = credentials.expect("read");
            assert_eq!(found(&credentials, "registry.example").await, robot);
            assert_eq!(found(&credentials, "docker.io").await, robot);
            assert_eq!(found(&credentials, "other.example").await, None);
            assert!(!format!("{credentials:?}").contains("hunter2"));
        }
    }

    #[tokio::test]
    async fn a_key_may_have_a_path() {
        let config = r#"{"auths": {
            "registry.example": {"username": "all", "password": "1"},
            "registry.example/team": {"username": "team", "password": "2"}
        }}"#;
        let credentials = MemoryCredentials::from_config(config.as_bytes()).expect("read");
        let name = registry("registry.example");
        for (repository, user) in [("team/app", "team"), ("other", "all")] {
            let repository = repository.parse().expect("a name");
            let found = credentials.credential(&name, Some(&repository)).await;
            let password = if user == "team" { "2" } else { "1" };
            let expected = Credential::basic(user, password);
            assert_eq!(found.expect("no error"), Some(expected));
        }
    }

    #[tokio::test]
    async fn content_that_cannot_be_read_is_an_error_without_it() {
        for content in ["[]", "hunter2", r#"{"auths": "hunter2"}"#] {
            let error = MemoryCredentials::from_config(content.as_bytes()).expect_err(content);
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        let error = MemoryCredentials::from_dockercfg(b"[]").expect_err("no object");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let content = br#"{"registry.example": {"auth": "hunter2!"}}"#;
        let credentials = MemoryCredentials::from_dockercfg(content).expect("read later");
        let name = registry("registry.example");
        let error = credentials.credential(&name, None).await;
        let error = error.expect_err("not base64");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        for empty in ["", "{}", r#"{"auths": null}"#] {
            let credentials = MemoryCredentials::from_config(empty.as_bytes());
            assert_eq!(found(&credentials.expect("empty"), "a.example").await, None);
        }
    }
}
