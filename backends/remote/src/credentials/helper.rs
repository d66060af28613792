//! Credential helpers: programs called `docker-credential-NAME` that keep credentials (Docker's
//! credential helper protocol).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::try_join3;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tranship::{Error, ErrorKind, Result};

use super::credential::Credential;
use super::secret::Secret;

/// How long a helper may take, unless the caller says otherwise: it may have to ask the user to unlock the keychain.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

/// The user name that says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// More than any output has.
const LONGEST_ANSWER: u64 = 1024 * 1024;

/// As much of an explanation as fits into a terminal.
const LONGEST_MESSAGE: usize = 300;

/// A helper that is installed.
#[derive(Debug, Clone)]
pub(crate) struct Helper {
    program: PathBuf,
    timeout: Duration,
}

/// What a helper is told to store.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Login<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    username: &'a str,
    secret: &'a str,
}

/// What a helper has stored. A field that is `null` is read as an empty one.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    username: Option<String>,
    secret: Option<String>,
}

impl Helper {
    /// Looks for the helper called `name` in the directories of `search_path`, as `$PATH` has them.
    /// This blocks.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if `name` could name anything but a file in such a directory.
    pub(crate) fn find(
        name: &str,
        search_path: Option<&OsStr>,
        timeout: Duration,
    ) -> Result<Option<Self>> {
        check_name(name)?;
        let file = format!("docker-credential-{name}{}", std::env::consts::EXE_SUFFIX);
        let directories = search_path.map(std::env::split_paths);
        // A directory that is not absolute may belong to another user.
        let program = directories
            .into_iter()
            .flatten()
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(&file))
            .find(|program| is_executable(program));
        Ok(program.map(|program| Self { program, timeout }))
    }

    /// The credential for `server`.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] if the helper fails, [`ErrorKind::Timeout`] if it does not end.
    pub(crate) async fn get(&self, server: &str) -> Result<Option<Credential>> {
        let output = self.run("get", server.as_bytes(), None).await?;
        let Some(output) = output else {
            return Ok(None);
        };
        // What serde says may quote the secret.
        let stored: Option<Stored> = serde_json::from_slice(&output)
            .map_err(|_| self.failure("does not return the JSON of a credential"))?;
        let stored = stored.unwrap_or_default();
        let username = stored.username.unwrap_or_default();
        let secret = Secret::new(stored.secret.unwrap_or_default());
        Ok(match username.as_str() {
            "" if secret.expose().is_empty() => None,
            TOKEN_USER => Some(Credential::IdentityToken(secret)),
            _ => Some(Credential::basic(username, secret)),
        })
    }

    /// Keeps `credential` for `server`.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`ErrorKind::Unsupported`] for an access token, for which the
    /// protocol has no place.
    pub(crate) async fn store(&self, server: &str, credential: &Credential) -> Result<()> {
        let (username, secret) = match credential {
            Credential::Basic { username, password } => (username.as_str(), password),
            Credential::IdentityToken(token) => (TOKEN_USER, token),
            Credential::AccessToken(_) => {
                return Err(Error::unsupported(
                    "credential helpers keep passwords and identity tokens, but no access tokens",
                ));
            }
        };
        let login = Login {
            server_url: server,
            username,
            secret: secret.expose(),
        };
        let input = serde_json::to_vec(&login)
            .map_err(|_| self.failure("cannot be told the credential"))?;
        self.run("store", &input, Some(secret)).await?;
        Ok(())
    }

    /// Forgets the credential for `server`; it need not have one.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(crate) async fn erase(&self, server: &str) -> Result<()> {
        self.run("erase", server.as_bytes(), None).await?;
        Ok(())
    }

    /// What the helper writes; `None` if it says that it has no such credential.
    async fn run(
        &self,
        action: &'static str,
        input: &[u8],
        secret: Option<&Secret>,
    ) -> Result<Option<Vec<u8>>> {
        let run = self.run_to_its_end(action, input);
        let ended = tokio::time::timeout(self.timeout, run).await;
        // By now the helper is dead, for it is killed when it is dropped.
        let output = ended.map_err(|_| {
            let seconds = self.timeout.as_secs();
            let message = format!("{} did not end within {seconds} s", self.name());
            Error::new(ErrorKind::Timeout, message).with_retryable(false)
        })??;
        if output.success {
            return Ok(Some(output.stdout));
        }
        let said = |bytes: &[u8]| explanation(bytes, secret);
        let message = match said(&output.stdout) {
            message if message.is_empty() => said(&output.stderr),
            message => message,
        };
        if message.contains("credentials not found") {
            return Ok(None);
        }
        Err(self.failure(&format!("fails to {action}: {message}")))
    }

    async fn run_to_its_end(&self, action: &'static str, input: &[u8]) -> Result<Output> {
        let cannot = |what: &str| {
            let message = format!("cannot {what} {}", self.name());
            move |error| Error::new(ErrorKind::Unauthorized, message).with_source(error)
        };
        let mut child = Command::new(&self.program)
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot("run"))?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                // A helper that does not need its input may close it.
                let _ = stdin.write_all(input).await;
            }
            Ok(())
        };
        let ((), stdout, stderr) = try_join3(write, read(stdout), read(stderr))
            .await
            .map_err(cannot("hear"))?;
        let status = child.wait().await.map_err(cannot("wait for"))?;
        Ok(Output {
            success: status.success(),
            stdout,
            stderr,
        })
    }

    fn name(&self) -> String {
        let name = self.program.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn failure(&self, what: &str) -> Error {
        Error::new(ErrorKind::Unauthorized, format!("{} {what}", self.name()))
    }
}

/// Checks that `name` cannot name anything but a file in a directory.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if it can.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "the name of a credential helper has characters that no such name has",
        ));
    }
    Ok(())
}

struct Output {
    success: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let read = pipe
            .take(LONGEST_ANSWER + 1)
            .read_to_end(&mut bytes)
            .await?;
        if read as u64 > LONGEST_ANSWER {
            return Err(std::io::Error::other("it says too much"));
        }
    }
    Ok(bytes)
}

/// The last line that a helper wrote, without the secret that it may have repeated.
fn explanation(bytes: &[u8], secret: Option<&Secret>) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.trim().lines().next_back().unwrap_or_default();
    let line = match secret.map(Secret::expose) {
        Some(secret) if !secret.is_empty() => line.replace(secret, "…"),
        _ => line.to_owned(),
    };
    line.chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_MESSAGE)
        .collect()
}

#[cfg(unix)]
fn is_executable(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    program
        .metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(program: &Path) -> bool {
    program.is_file()
}

#[cfg(all(test, unix))]
mod tests;
