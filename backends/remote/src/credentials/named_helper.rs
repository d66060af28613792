//! One credential helper that the program names, for all registries.

use std::ffi::OsString;
use std::time::Duration;

use async_trait::async_trait;
use tranship::{Error, ErrorKind, RegistryName, RepositoryName, Result, blocking};

use super::credential::Credential;
use super::environment::Environment;
use super::helper::{self, Helper};
use super::provider::CredentialProvider;
use super::server::Server;
use super::store::{CredentialStore, StoredIn};

/// The credentials that one credential helper keeps, such as `pass`, `secretservice`, `osxkeychain` or `wincred`, or one
/// that a cloud registry comes with. No file needs to name it.
///
/// The helper is the program `docker-credential-NAME` in an absolute directory of `PATH`. It is run with `get`, `store` or
/// `erase` for each operation, and asked for the whole registry: helpers do not know of repositories. It keeps user names
/// with passwords and identity tokens.
///
/// ```
/// use std::sync::Arc;
/// use tranship_remote::{Environment, HelperCredentials, RemoteOptions};
///
/// let environment = Environment::from_environment();
/// let credentials = HelperCredentials::new("pass", &environment)?;
/// let options = RemoteOptions::default().with_credentials(Arc::new(credentials));
/// # Ok::<_, tranship::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelperCredentials {
    name: String,
    search_path: Option<OsString>,
    timeout: Duration,
}

impl HelperCredentials {
    /// Returns the credentials of the helper `docker-credential-NAME`, which is looked for in `PATH` of `environment` each
    /// time that it is needed.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the name has characters other than ASCII letters, digits, `-`, `_` and
    /// `.`, or none.
    pub fn new(name: impl Into<String>, environment: &Environment) -> Result<Self> {
        let name = name.into();
        helper::check_name(&name)?;
        Ok(Self {
            name,
            search_path: environment.get("PATH").map(OsString::from),
            timeout: helper::TIMEOUT,
        })
    }

    /// Gives the helper this long to respond, instead of two minutes. It is killed afterwards.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns the name of the helper, without `docker-credential-`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn find(&self) -> Result<Helper> {
        let own = self.clone();
        let found =
            blocking::run(move || Helper::find(&own.name, own.search_path.as_deref(), own.timeout));
        found.await?.ok_or_else(|| {
            let message = format!("docker-credential-{} is not installed", self.name);
            Error::new(ErrorKind::Unauthorized, message)
                .with_hint("install it in an absolute directory of PATH, or use another helper")
        })
    }

    async fn erase_if_any(&self, server: &Server) -> Result<bool> {
        let helper = self.find().await?;
        if helper.get(server.name()).await?.is_none() {
            return Ok(false);
        }
        helper.erase(server.name()).await?;
        Ok(true)
    }
}

/// # Errors
/// [`Unauthorized`](ErrorKind::Unauthorized) if the helper is not installed or fails, and
/// [`Timeout`](ErrorKind::Timeout) if it does not end.
#[async_trait]
impl CredentialProvider for HelperCredentials {
    async fn credential(
        &self,
        registry: &RegistryName,
        _repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>> {
        let found = async { self.find().await?.get(Server::new(registry).name()).await };
        found.await.map_err(|error| {
            error
                .with_operation("look for credentials")
                .with_subject(registry)
        })
    }
}

/// Errors are those of the provider, and [`Unsupported`](ErrorKind::Unsupported) for an access token, which the protocol of
/// helpers does not know.
#[async_trait]
impl CredentialStore for HelperCredentials {
    async fn store(&self, registry: &RegistryName, credential: &Credential) -> Result<StoredIn> {
        let server = Server::new(registry);
        let stored = async { self.find().await?.store(server.name(), credential).await };
        stored
            .await
            .map(|()| StoredIn::Helper(self.name.clone()))
            .map_err(|error| error.with_operation("log in").with_subject(registry))
    }

    async fn erase(&self, registry: &RegistryName) -> Result<bool> {
        let erased = self.erase_if_any(&Server::new(registry)).await;
        erased.map_err(|error| error.with_operation("log out").with_subject(registry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_a_path_is_refused() {
        let environment = Environment::new([("PATH", "/bin")]);
        for name in ["", "../evil", "a/b", "a b", "pass\0"] {
            let error = HelperCredentials::new(name, &environment).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }

    #[cfg(unix)]
    mod installed {
        use super::*;
        use crate::credentials::test_helper::{KEEPS, install};

        fn registry(name: &str) -> RegistryName {
            name.parse().expect("a registry name")
        }

        fn helper_in(directory: &std::path::Path) -> HelperCredentials {
            let environment = Environment::new([("PATH", directory)]);
            HelperCredentials::new("keeps", &environment).expect("a name")
        }

        #[tokio::test]
        async fn a_helper_stores_finds_and_erases() {
            let directory = tempfile::tempdir().expect("a directory");
            install(directory.path(), "keeps", KEEPS);
            let store: &dyn CredentialStore = &helper_in(directory.path());
            let hub = registry("docker.io");
            assert_eq!(store.credential(&hub, None).await.expect("none"), None);
            for credential in [
                Credential::basic("user", "hunter2"),
                Credential::IdentityToken("identity".into()),
            ] {
                let stored = store.store(&hub, &credential).await.expect("stored");
                assert_eq!(stored, StoredIn::Helper("keeps".to_owned()));
                let other_name = registry("registry-1.docker.io");
                let found = store.credential(&other_name, None).await;
                assert_eq!(found.expect("no error"), Some(credential));
            }
            assert!(store.erase(&hub).await.expect("erased"));
            assert!(!store.erase(&hub).await.expect("nothing left"));
        }

        #[tokio::test]
        async fn an_access_token_is_not_stored() {
            let directory = tempfile::tempdir().expect("a directory");
            install(directory.path(), "keeps", KEEPS);
            let token = Credential::AccessToken("hunter2".into());
            let helper = helper_in(directory.path());
            let stored = helper.store(&registry("a.example"), &token).await;
            let error = stored.expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }

        #[tokio::test]
        async fn a_helper_that_is_not_installed_is_an_error() {
            let directory = tempfile::tempdir().expect("a directory");
            let helper = helper_in(directory.path());
            let error = helper.credential(&registry("a.example"), None).await;
            let error = error.expect_err("not installed");
            assert_eq!(error.kind(), ErrorKind::Unauthorized);
            assert!(
                error.to_string().contains("docker-credential-keeps"),
                "{error}"
            );
            assert!(error.hint().is_some());
        }

        #[tokio::test]
        async fn a_helper_that_does_not_end_is_killed() {
            let directory = tempfile::tempdir().expect("a directory");
            install(directory.path(), "keeps", "exec sleep 600");
            let helper = helper_in(directory.path()).with_timeout(Duration::from_millis(50));
            let error = helper.credential(&registry("a.example"), None).await;
            assert_eq!(error.expect_err("too slow").kind(), ErrorKind::Timeout);
        }
    }
}
