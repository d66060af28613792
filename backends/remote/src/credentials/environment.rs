//! The environment variables that say who the user is, and where that is written down.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use tranship::{Error, ErrorKind, RegistryName, RepositoryName, Result};

use super::credential::Credential;
use super::provider::CredentialProvider;
use super::secret::Secret;

const USERNAME: &str = "TRANSHIP_USERNAME";
const PASSWORD: &str = "TRANSHIP_PASSWORD";
const TOKEN: &str = "TRANSHIP_TOKEN";
const REGISTRY: &str = "TRANSHIP_REGISTRY";
/// What Docker's `config.json` would hold, given by the environment.
pub(super) const DOCKER_AUTH_CONFIG: &str = "DOCKER_AUTH_CONFIG";

/// The number of the user, which is not a variable that shells export.
pub(super) const USER_ID: &str = "UID";

/// All that is ever asked for.
const NAMES: [&str; 12] = [
    USERNAME,
    PASSWORD,
    TOKEN,
    REGISTRY,
    DOCKER_AUTH_CONFIG,
    "DOCKER_CONFIG",
    "REGISTRY_AUTH_FILE",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "HOME",
    "USERPROFILE",
    "PATH",
];

/// Environment variables, read once. `Debug` shows their names only.
///
/// ```
/// use tranship_remote::Environment;
///
/// let environment = Environment::new([("HOME", "/home/me"), ("DOCKER_CONFIG", "")]);
/// assert_eq!(format!("{environment:?}"), r#"Environment["HOME"]"#);
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Those of this process that matter here.
    #[must_use]
    pub fn from_environment() -> Self {
        let given = NAMES.iter().filter_map(|name| {
            let value = std::env::var_os(name)?;
            Some((*name, value))
        });
        let user = user_id().map(|id| (USER_ID, id.to_string().into()));
        Self::new(given.chain(user))
    }

    /// Given ones, names and values. An empty value counts as none.
    pub fn new<N: Into<String>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .filter(|(_, value)| !value.is_empty());
        Self(variables.collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str)
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value.to_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(invalid(format!("{name} is not UTF-8"))),
        }
    }
}

/// Returns the number of the user that this process runs as, on Linux.
#[cfg(target_os = "linux")]
fn user_id() -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;

    let process = std::fs::metadata("/proc/self").ok()?;
    Some(process.uid())
}

#[cfg(not(target_os = "linux"))]
fn user_id() -> Option<u32> {
    None
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")?;
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// The credential that the environment gives: `TRANSHIP_USERNAME` and `TRANSHIP_PASSWORD`, or
/// `TRANSHIP_TOKEN`, an access token.
///
/// They are for the registry that `TRANSHIP_REGISTRY` names, and for no other: a program that copies
/// between two must not show the secret of one to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentCredentials(Option<(RegistryName, Credential)>);

impl EnvironmentCredentials {
    /// What `environment` gives, which may be nothing.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], or [`ErrorKind::InvalidReference`] for the registry, if the
    /// variables contradict one another or cannot be read; it names them and not their values.
    pub fn new(environment: &Environment) -> Result<Self> {
        let registry = match environment.text(REGISTRY)? {
            Some(name) => Some(
                name.parse()
                    .map_err(|error: Error| error.with_operation("read TRANSHIP_REGISTRY"))?,
            ),
            None => None,
        };
        let (username, password) = (environment.text(USERNAME)?, environment.text(PASSWORD)?);
        let credential = match (username, password, environment.text(TOKEN)?) {
            (None, None, None) => None,
            (Some(username), Some(password), None) if !username.contains(':') => {
                Some(Credential::basic(username, password))
            }
            (Some(_), Some(_), None) => {
                return Err(invalid(format!("{USERNAME} has a colon in it")));
            }
            (None, None, Some(token)) => Some(Credential::AccessToken(Secret::new(token))),
            (_, _, Some(_)) => {
                return Err(invalid(format!(
                    "{TOKEN} is set beside {USERNAME} or {PASSWORD}"
                )));
            }
            (Some(_), None, None) => {
                return Err(invalid(format!("{USERNAME} is set without {PASSWORD}")));
            }
            (None, Some(_), None) => {
                return Err(invalid(format!("{PASSWORD} is set without {USERNAME}")));
            }
        };
        match (registry, credential) {
            (Some(registry), Some(credential)) => Ok(Self(Some((registry, credential)))),
            (None, Some(_)) => Err(invalid(format!(
                "credentials are set, and {REGISTRY} does not say for which registry"
            ))),
            (_, None) => Ok(Self(None)),
        }
    }
}

#[async_trait]
impl CredentialProvider for EnvironmentCredentials {
    async fn credential(
        &self,
        registry: &RegistryName,
        _repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>> {
        let meant = self
            .0
            .as_ref()
            .filter(|(only, _)| only.host() == registry.host());
        Ok(meant.map(|(_, credential)| credential.clone()))
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message).with_operation("read the environment")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(variables: &[(&str, &str)]) -> Result<EnvironmentCredentials> {
        EnvironmentCredentials::new(&Environment::new(variables.iter().copied()))
    }

    async fn found(variables: &[(&str, &str)], registry: &str) -> Option<Credential> {
        let credentials = credentials(variables).expect("credentials");
        let registry = registry.parse().expect("a registry name");
        credentials
            .credential(&registry, None)
            .await
            .expect("no error")
    }

    #[tokio::test]
    async fn a_user_name_may_come_with_a_password() {
        let variables = [
            (USERNAME, "user"),
            (PASSWORD, "a:b"),
            (REGISTRY, "a.example"),
        ];
        let expected = Some(Credential::basic("user", "a:b"));
        assert_eq!(found(&variables, "a.example").await, expected);
    }

    #[tokio::test]
    async fn they_are_for_one_registry() {
        let variables = [(TOKEN, "token"), (REGISTRY, "docker.io")];
        let expected = Some(Credential::AccessToken("token".into()));
        assert_eq!(found(&variables, "docker.io").await, expected);
        assert_eq!(found(&variables, "registry-1.docker.io").await, expected);
        assert_eq!(found(&variables, "registry.example").await, None);
    }

    #[tokio::test]
    async fn nothing_or_empty_values_are_no_credentials() {
        assert_eq!(found(&[], "registry.example").await, None);
        assert_eq!(
            found(&[(USERNAME, ""), (TOKEN, "")], "a.example").await,
            None
        );
    }

    #[test]
    fn contradictions_are_errors_that_show_no_value() {
        for variables in [
            &[(USERNAME, "hunter2")][..],
            &[(PASSWORD, "hunter2")],
            &[(TOKEN, "hunter2"), (PASSWORD, "hunter2")],
            &[(USERNAME, "a:hunter2"), (PASSWORD, "hunter2")],
            &[(TOKEN, "hunter2")],
        ] {
            let error = credentials(variables).expect_err("a contradiction");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!format!("{error:?}").contains("hunter2"));
        }
        let error = credentials(&[(REGISTRY, "a/b")]).expect_err("no registry");
        assert_eq!(error.kind(), ErrorKind::InvalidReference);
    }
}
