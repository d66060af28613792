//! The settings of a server, from the command line and from a file.

use std::fs;
use std::path::{Path, PathBuf};

use tranship::{Error, ErrorKind, Result, blocking};
use tranship_backends::RegistryLocation;
use tranship_yaml::RepeatedKeys;

use crate::args::{RootArg, Settings};

/// The largest file that is read, in bytes.
const MAX_FILE_SIZE: u64 = 4 * 1024 * 1024;

/// Where the settings come from.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) file: Option<PathBuf>,
    /// The settings of the command line.
    pub(super) given: Settings,
}

impl Config {
    /// Reads the file, if there is one, and returns the settings.
    ///
    /// # Errors
    /// - The error of reading the file.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if the file is malformed, or settings exclude each other.
    pub(super) async fn load(&self) -> Result<Settings> {
        let settings = match &self.file {
            None => self.given.clone(),
            Some(path) => {
                let read = path.clone();
                let file = blocking::run(move || read_file(&read)).await?;
                self.given.clone().over(file)
            }
        };
        check(&settings)?;
        Ok(settings)
    }
}

fn read_file(path: &Path) -> Result<Settings> {
    let name = path.display().to_string();
    let failed = |error| Error::io("the file cannot be read", error).with_subject(&name);
    if fs::metadata(path).map_err(failed)?.len() > MAX_FILE_SIZE {
        let error = Error::new(ErrorKind::SizeExceedsLimit, "the file is larger than 4 MiB");
        return Err(error.with_subject(&name));
    }
    let content = fs::read_to_string(path).map_err(failed)?;
    if content.trim().is_empty() {
        return Ok(Settings::default());
    }
    tranship_yaml::decode(&name, &content, RepeatedKeys::Refuse)
}

/// Checks that settings fit each other. The command line cannot do so, as the other one may be in a file.
fn check(settings: &Settings) -> Result<()> {
    let is_remote = matches!(settings.root, Some(RootArg(RegistryLocation::Remote(_))));
    needs(
        settings.anonymous_read,
        "anonymous-read",
        settings.htpasswd.is_some(),
        "htpasswd",
    )?;
    needs(
        !settings.grant.is_empty(),
        "grant",
        settings.htpasswd.is_some(),
        "htpasswd",
    )?;
    needs(
        settings.tls_cert.is_some(),
        "tls-cert",
        settings.tls_key.is_some(),
        "tls-key",
    )?;
    needs(
        settings.tls_key.is_some(),
        "tls-key",
        settings.tls_cert.is_some(),
        "tls-cert",
    )?;
    needs(
        settings.read_write,
        "read-write",
        is_remote,
        "root, the host of another registry,",
    )?;
    excludes(
        settings.read_only,
        "read-only",
        settings.read_write,
        "read-write",
    )?;
    excludes(
        settings.quota.is_some(),
        "quota",
        settings.root.is_some(),
        "root",
    )
}

fn needs(given: bool, name: &str, needed: bool, other: &str) -> Result<()> {
    if given && !needed {
        let message = format!("the setting {name} needs the setting {other} too");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(())
}

fn excludes(given: bool, name: &str, other_given: bool, other: &str) -> Result<()> {
    if given && other_given {
        let message = format!("the settings {name} and {other} cannot be used together");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(())
}
