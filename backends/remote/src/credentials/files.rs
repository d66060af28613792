//! The credentials that Docker and Podman keep.

mod entry;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use tranship::{Error, ErrorKind, RegistryName, RepositoryName, Result, blocking};

use self::entry::{Entry, HelperSearch, not_installed};
use super::credential::Credential;
use super::disk;
use super::document::Document;
use super::environment::{DOCKER_AUTH_CONFIG, Environment, USER_ID};
use super::helper;
use super::provider::CredentialProvider;
use super::secret::Secret;
use super::server::Server;
use super::store::{CredentialStore, StoredIn};

/// The credentials in Docker's `config.json` and Podman's `auth.json`, and those that the
/// credential helpers keep which are named there.
///
/// The first file that has a credential for the registry counts. In a file, the helper of the
/// registry in `credHelpers` is asked first, then that of all registries in `credsStore`, then comes
/// what stands in `auths`. Files are read anew each time, so that a login by another program counts.
///
/// The variable `DOCKER_AUTH_CONFIG` is read like a file that comes before all others, as Docker does.
/// Nothing is stored there.
///
/// `docker.io`, `https://index.docker.io/v1/` and `registry-1.docker.io` are one registry. Keys of
/// `auths` may have a path, as Podman writes them: `registry.example/team` is for the repositories
/// below `team`. Where several keys fit the longest counts.
///
/// ```
/// use tranship_remote::{CredentialFiles, Environment};
///
/// let environment = Environment::new([("HOME", "/home/me")]);
/// let files = CredentialFiles::new(&environment);
/// let paths: Vec<_> = files.paths().collect();
/// # #[cfg(unix)]
/// assert_eq!(
///     paths,
///     [
///         std::path::Path::new("/home/me/.config/containers/auth.json"),
///         std::path::Path::new("/home/me/.docker/config.json"),
///     ]
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFiles {
    /// The content of a file that the environment holds.
    inline: Option<Secret>,
    paths: Vec<PathBuf>,
    /// Where credentials go that no file has yet.
    default: Option<PathBuf>,
    search_path: Option<OsString>,
    helper_timeout: Duration,
    allows_plain_text: bool,
}

impl CredentialFiles {
    /// What `DOCKER_AUTH_CONFIG` holds, and then the files where Podman and Docker look for credentials,
    /// in this order:
    ///
    /// 1. `$REGISTRY_AUTH_FILE`
    /// 2. `$XDG_RUNTIME_DIR/containers/auth.json`; on Linux without that variable `/run/containers/UID/auth.json`, where UID
    ///    is the number of the user
    /// 3. `$XDG_CONFIG_HOME/containers/auth.json`, where `~/.config` is the default
    /// 4. `$DOCKER_CONFIG/config.json`, where `~/.docker` is the default
    ///
    /// Credentials that are new go to the first if it is set, else to the last.
    #[must_use]
    pub fn new(environment: &Environment) -> Self {
        let home = environment
            .path("HOME")
            .or_else(|| environment.path("USERPROFILE"));
        let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let explicit = environment.path("REGISTRY_AUTH_FILE");
        let docker = environment
            .path("DOCKER_CONFIG")
            .or_else(|| below_home(".docker"))
            .map(|directory| directory.join("config.json"));
        let containers = |directory: PathBuf| directory.join("containers");
        let of_user = environment.path(USER_ID);
        let podman = [
            environment
                .path("XDG_RUNTIME_DIR")
                .map(containers)
                .or_else(|| Some(Path::new("/run/containers").join(of_user?))),
            environment
                .path("XDG_CONFIG_HOME")
                .or_else(|| below_home(".config"))
                .map(containers),
        ];
        let podman = podman
            .into_iter()
            .flatten()
            .map(|directory| directory.join("auth.json"));
        let mut paths: Vec<PathBuf> = explicit.clone().into_iter().collect();
        paths.extend(podman);
        paths.extend(docker.clone());
        let inline = environment.get(DOCKER_AUTH_CONFIG);
        Self {
            // A value that is not UTF-8 is not JSON either, which is an error when it is used.
            inline: inline.map(|text| Secret::new(text.to_string_lossy())),
            paths,
            default: explicit.or(docker),
            ..Self::empty(environment)
        }
    }

    /// The file at `path` and nothing else. It need not exist.
    pub fn at(path: impl Into<PathBuf>, environment: &Environment) -> Self {
        let path = path.into();
        Self {
            paths: vec![path.clone()],
            default: Some(path),
            ..Self::empty(environment)
        }
    }

    fn empty(environment: &Environment) -> Self {
        Self {
            inline: None,
            paths: Vec::new(),
            default: None,
            search_path: environment.get("PATH").map(OsString::from),
            helper_timeout: helper::TIMEOUT,
            allows_plain_text: true,
        }
    }

    /// Gives a credential helper this long to answer, instead of two minutes.
    #[must_use]
    pub fn with_helper_timeout(mut self, timeout: Duration) -> Self {
        self.helper_timeout = timeout;
        self
    }

    /// Sets whether a credential may be stored in a file itself, which encodes but does not encrypt it. By default it may,
    /// and [`store`](Self::store) returns [`StoredIn::PlainText`] so that the caller can warn. Otherwise such a
    /// `store` is an error, and stores nothing. Credentials that are in a file already are used either way.
    ///
    /// ```
    /// use tranship::ErrorKind;
    /// use tranship_remote::{Credential, CredentialFiles, Environment};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> tranship::Result<()> {
    /// let environment = Environment::from_environment();
    /// let files = CredentialFiles::at("/nonexistent/config.json", &environment).with_plain_text(false);
    /// let me = Credential::basic("me", "swordfish");
    /// let refused = files.store(&"registry.example".parse()?, &me).await;
    /// assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_plain_text(mut self, allowed: bool) -> Self {
        self.allows_plain_text = allowed;
        self
    }

    /// Returns whether `DOCKER_AUTH_CONFIG` is set and has something on `registry`. If so, it is used
    /// whatever the files hold.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it cannot be understood.
    pub fn has_inline(&self, registry: &RegistryName) -> Result<bool> {
        let server = Server::new(registry);
        let document = self.inline_document()?;
        Ok(document.is_some_and(|document| document.knows(&server)))
    }

    /// The files, in the order in which they are searched. Not all need exist.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(PathBuf::as_path)
    }

    /// Keeps a credential for a registry, where Docker and Podman find it: in the first file that
    /// has one for that registry already, else in the default one, and with the helper that is
    /// named there. The file is created, readable by its owner only, if need be.
    ///
    /// Not cancel safe: the helper and the file may or may not have been told.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`] if the user name has a colon, or there is no home directory.
    /// - [`ErrorKind::PermissionDenied`] without a helper, unless [plain text](Self::with_plain_text) is allowed.
    /// - [`ErrorKind::Corrupt`] if a file cannot be understood; it is left alone.
    /// - [`ErrorKind::Unauthorized`] or [`ErrorKind::Timeout`] if the helper fails.
    /// - [`ErrorKind::Unsupported`] if it is an access token and there is a helper.
    /// - As the file system.
    pub async fn store(
        &self,
        registry: &RegistryName,
        credential: &Credential,
    ) -> Result<StoredIn> {
        self.store_in_one(&Server::new(registry), credential)
            .await
            .map_err(|error| error.with_operation("log in").with_subject(registry))
    }

    /// Forgets the credentials for a registry, wherever [`credential`](CredentialProvider) would find
    /// them. Those for parts of the registry stay. Returns whether there were any.
    ///
    /// Not cancel safe, as [`store`](Self::store).
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub async fn erase(&self, registry: &RegistryName) -> Result<bool> {
        self.erase_everywhere(&Server::new(registry))
            .await
            .map_err(|error| error.with_operation("log out").with_subject(registry))
    }

    async fn find(
        &self,
        server: &Server,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>> {
        if let Some(entry) = self.read_inline(server, repository).await?
            && let Some(credential) = entry.credential(server).await?
        {
            return Ok(Some(credential));
        }
        for path in &self.paths {
            let entry = self.read(path, server, repository).await?;
            if let Some(credential) = entry.credential(server).await? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }

    async fn store_in_one(&self, server: &Server, credential: &Credential) -> Result<StoredIn> {
        let mut target = None;
        for path in &self.paths {
            let entry = self.read(path, server, None).await?;
            if entry.known {
                target = Some((path, entry));
                break;
            }
        }
        let (path, entry) = match (target, &self.default) {
            (Some(target), _) => target,
            (None, Some(path)) => (path, self.read(path, server, None).await?),
            (None, None) => {
                let message = "there is no home directory to keep credentials in";
                return Err(Error::new(ErrorKind::InvalidInput, message)
                    .with_hint("set DOCKER_CONFIG or name a file"));
            }
        };
        let Some(choice) = entry.choice else {
            if !self.allows_plain_text {
                return Err(plain_text_refused(path));
            }
            let (server, credential) = (server.clone(), credential.clone());
            in_file(path, move |path| {
                disk::change(path, |document| {
                    document.set(&server, Some(&credential)).map(|()| true)
                })
            })
            .await?;
            return Ok(StoredIn::PlainText(path.clone()));
        };
        let helper = entry
            .helper
            .ok_or_else(|| not_installed(&choice.name, path))?;
        helper.store(server.name(), credential).await?;
        // As Docker does, to list the registry, and so that no older secret stays in the file.
        let server = server.clone();
        in_file(path, move |path| {
            disk::change(path, |document| document.set(&server, None).map(|()| true))
        })
        .await?;
        Ok(StoredIn::Helper(choice.name))
    }

    async fn erase_everywhere(&self, server: &Server) -> Result<bool> {
        let mut erased = false;
        for path in &self.paths {
            let entry = self.read(path, server, None).await?;
            if let Some(helper) = entry.helper
                && helper.get(server.name()).await?.is_some()
            {
                helper.erase(server.name()).await?;
                erased = true;
            }
            if entry.known {
                let server = server.clone();
                let change =
                    move |path: &Path| disk::change(path, |document| document.remove(&server));
                erased |= in_file(path, change).await?;
            }
        }
        Ok(erased)
    }

    fn inline_document(&self) -> Result<Option<Document>> {
        let Some(text) = &self.inline else {
            return Ok(None);
        };
        let document = Document::parse(text.expose().as_bytes());
        document
            .map(Some)
            .map_err(|error| error.with_subject(DOCKER_AUTH_CONFIG))
    }

    /// What `DOCKER_AUTH_CONFIG` says about the server.
    async fn read_inline(
        &self,
        server: &Server,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Entry>> {
        let Some(document) = self.inline_document()? else {
            return Ok(None);
        };
        let (search, server) = (self.search(), server.clone());
        let repository = repository.cloned();
        let entry = in_file(Path::new(DOCKER_AUTH_CONFIG), move |name| {
            Entry::of(&document, &server, repository.as_ref(), name, &search)
        });
        entry.await.map(Some)
    }

    /// What the file at `path` says about the server.
    async fn read(
        &self,
        path: &Path,
        server: &Server,
        repository: Option<&RepositoryName>,
    ) -> Result<Entry> {
        let (search, server) = (self.search(), server.clone());
        let repository = repository.cloned();
        in_file(path, move |path| {
            let document = disk::read(path)?.unwrap_or_default();
            Entry::of(&document, &server, repository.as_ref(), path, &search)
        })
        .await
    }

    fn search(&self) -> HelperSearch {
        HelperSearch {
            path: self.search_path.clone(),
            timeout: self.helper_timeout,
        }
    }
}

#[async_trait]
impl CredentialProvider for CredentialFiles {
    async fn credential(
        &self,
        registry: &RegistryName,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>> {
        self.find(&Server::new(registry), repository)
            .await
            .map_err(|error| {
                error
                    .with_operation("look for credentials")
                    .with_subject(registry)
            })
    }
}

#[async_trait]
impl CredentialStore for CredentialFiles {
    async fn store(&self, registry: &RegistryName, credential: &Credential) -> Result<StoredIn> {
        Self::store(self, registry, credential).await
    }

    async fn erase(&self, registry: &RegistryName) -> Result<bool> {
        Self::erase(self, registry).await
    }
}

fn plain_text_refused(path: &Path) -> Error {
    let path = path.display();
    let message = format!("the credentials would be stored unencrypted in {path}");
    Error::new(ErrorKind::PermissionDenied, message).with_hint(format!(
        "name a credential helper in {path}, such as {{\"credsStore\": \"secretservice\"}}, or allow plain text"
    ))
}

/// Runs `work` on a file on a blocking thread.
async fn in_file<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> Result<T> + Send + 'static,
) -> Result<T> {
    let owned = path.to_owned();
    let result = blocking::run(move || work(&owned)).await;
    result.map_err(|error| error.with_subject(path.display()))
}

#[cfg(all(test, unix))]
mod tests;
