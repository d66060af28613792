//! `login` and `logout`.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use console::Term;
use serde::Serialize;
use tokio::io::AsyncReadExt as _;
use tranship::{Error, ErrorKind, RegistryName, Result};
use tranship_backends::remote::{
    Credential, CredentialFiles, Environment, RemoteRegistry, StaticCredentials, StoredIn,
};

use crate::args::{Login, Logout};
use crate::command_error::{At as _, Outcome};
use crate::output::Output;
use crate::registries::Registries;

/// A password or token longer than that is none, in bytes.
const LONGEST_SECRET: u64 = 64 * 1024;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LoggedIn {
    registry: String,
    /// The credential helper, or the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    helper: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

impl fmt::Display for LoggedIn {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LoggedOut {
    registry: String,
    had_credentials: bool,
}

impl fmt::Display for LoggedOut {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

pub(super) async fn login(args: Login, registries: &Registries, output: Output) -> Outcome {
    let registry = &args.registry;
    if args.password.is_some() {
        output.note("warning: other users of this machine can see a password on the command line; --password-stdin hides it");
    }
    let credential = credential(&args).await?;
    let offered = StaticCredentials::new(registry.clone(), credential.clone());
    let options = registries
        .options(registry)?
        .with_credentials(Arc::new(offered));
    let reached = RemoteRegistry::with_options(registry, options)?
        .ping()
        .await;
    reached.map_err(not_accepted).at(registry)?;
    let files = registries
        .files(&Environment::from_environment())
        .with_plain_text(!args.no_plain_text);
    let stored = files.store(registry, &credential).await.at(registry)?;
    let mut result = LoggedIn {
        registry: registry.to_string(),
        helper: None,
        file: None,
    };
    match stored {
        StoredIn::Helper(name) => {
            output.note(format_args!(
                "logged in to {registry}; docker-credential-{name} keeps the credentials"
            ));
            result.helper = Some(name);
        }
        StoredIn::PlainText(path) => {
            let path = path.display().to_string();
            output.note(format_args!("logged in to {registry}"));
            output.note(format_args!(
                "warning: the credentials are kept unencrypted in {path}; a credential helper would encrypt them"
            ));
            result.file = Some(path);
        }
        _ => {}
    }
    warn_of_inline(&files, registry, output);
    output.print(&result).await
}

/// Tells that the environment goes before whatever was stored or removed.
fn warn_of_inline(files: &CredentialFiles, registry: &RegistryName, output: Output) {
    // A variable that cannot be read is an error when it is needed, and says nothing about this login.
    if files.has_inline(registry).unwrap_or(false) {
        output.note(format_args!(
            "warning: DOCKER_AUTH_CONFIG is set and has credentials for {registry}, which are used instead"
        ));
    }
}

pub(super) async fn logout(args: Logout, registries: &Registries, output: Output) -> Outcome {
    let registry = &args.registry;
    let files = registries.files(&Environment::from_environment());
    let had_credentials = files.erase(registry).await.at(registry)?;
    output.note(match had_credentials {
        true => format!("logged out of {registry}"),
        false => format!("there were no credentials for {registry}"),
    });
    warn_of_inline(&files, registry, output);
    let result = LoggedOut {
        registry: registry.to_string(),
        had_credentials,
    };
    output.print(&result).await
}

fn not_accepted(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unauthorized | ErrorKind::Denied => {
            Error::new(error.kind(), "the registry does not accept the credentials")
                .with_hint("nothing was kept; look at the user name and the password or token")
                .with_registry_errors(error.registry_errors().to_vec())
                .with_source(error)
        }
        _ => error,
    }
}

async fn credential(args: &Login) -> Result<Credential> {
    if args.identity_token_stdin {
        return Ok(Credential::IdentityToken(from_stdin().await?.into()));
    }
    let username = match &args.username {
        Some(username) => username.clone(),
        None if args.password_stdin || args.password.is_some() => {
            return Err(missing("the user name is missing", "--username"));
        }
        None => ask("user name", &args.registry, Hidden::No).await?,
    };
    if username.is_empty() || username.contains(':') {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "a user name is not empty and has no colon",
        ));
    }
    let password = match &args.password {
        Some(password) => password.expose().to_owned(),
        None if args.password_stdin => from_stdin().await?,
        None => ask("password", &args.registry, Hidden::Yes).await?,
    };
    Ok(Credential::basic(username, password))
}

/// All of standard input, without the end of its last line.
pub(super) async fn from_stdin() -> Result<String> {
    let mut text = String::new();
    let mut stdin = tokio::io::stdin().take(LONGEST_SECRET + 1);
    let read = stdin.read_to_string(&mut text).await;
    read.map_err(|error| Error::io("standard input cannot be read", error))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() || text.len() as u64 > LONGEST_SECRET {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "standard input holds no password or token",
        ));
    }
    Ok(text.to_owned())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hidden {
    Yes,
    No,
}

/// Asks on the terminal, on a thread of its own: a read from a terminal cannot be cancelled, and the
/// runtime would wait for one of its threads when Ctrl-C ends the program.
async fn ask(what: &'static str, registry: &RegistryName, hidden: Hidden) -> Result<String> {
    // `console` returns an empty line where standard error is not a terminal, and the prompt would not be seen.
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(match hidden {
            Hidden::Yes => missing(
                "there is no terminal to ask for the password on",
                "--password-stdin",
            ),
            Hidden::No => missing(
                "there is no terminal to ask for the user name on",
                "--username",
            ),
        });
    }
    let prompt = format!("{what} for {registry}: ");
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let answer = match hidden {
            Hidden::Yes => {
                let _ = write!(std::io::stderr(), "{prompt}");
                Term::stderr().read_secure_line()
            }
            Hidden::No => {
                let _ = write!(std::io::stderr(), "{prompt}");
                let mut line = String::new();
                let read = std::io::stdin().read_line(&mut line);
                read.map(|_| line.trim_end_matches(['\r', '\n']).to_owned())
            }
        };
        let _ = sender.send(answer);
    });
    match receiver.await {
        Ok(answer) => answer.map_err(|error| Error::io("no answer was read", error)),
        Err(error) => Err(Error::new(ErrorKind::Io, "no answer was read").with_source(error)),
    }
}

fn missing(message: &'static str, option: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, message).with_hint(format!("give {option}"))
}
