//! The file of robot accounts, as JSON.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tranship::{Digest, Error, ErrorKind, Result, blocking, private_file};

use super::RobotAccount;
use super::name::RobotName;
use crate::access::grants::Grant;

/// A file of robot accounts, to change it. Servers that use the file notice changes within a second.
///
/// Concurrent changes wait for each other, and a change is durable when it has succeeded.
#[derive(Debug, Clone)]
pub struct RobotFile(PathBuf);

/// The content of the file. Fields that this version does not know are kept.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Document {
    #[serde(default)]
    accounts: Vec<Entry>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    secret: String,
    grants: Vec<String>,
    created: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl RobotFile {
    /// Names the file at `path`, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Creates an account and returns its secret, which cannot be read again later. The file is created if it does not
    /// exist.
    ///
    /// Dropping the future does not stop a change that has begun.
    ///
    /// # Errors
    /// - [`Conflict`](ErrorKind::Conflict) if there is an account `name`, unless it has expired.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if the file is not a file of accounts.
    /// - The error of reading or writing the file.
    pub async fn create(
        &self,
        name: RobotName,
        grants: Vec<Grant>,
        expires: Option<SystemTime>,
    ) -> Result<String> {
        let (account, secret) = RobotAccount::generate(name, grants, expires)?;
        self.change(move |document| {
            let name = account.name.as_str();
            for entry in document.accounts.iter().filter(|entry| entry.name == name) {
                if !entry.decode()?.is_expired() {
                    let message = "there is an account with this name";
                    return Err(Error::new(ErrorKind::Conflict, message)
                        .with_subject(name)
                        .with_hint("revoke it first, or choose another name"));
                }
            }
            document.accounts.retain(|entry| entry.name != name);
            document.accounts.push(Entry::encode(&account));
            Ok(true)
        })
        .await?;
        Ok(secret)
    }

    /// Removes the account `name`. Its secret and the tokens that were issued for it are no longer valid.
    ///
    /// Dropping the future does not stop a change that has begun.
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if the account does not exist.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if the file is not a file of accounts.
    /// - The error of reading or writing the file.
    pub async fn revoke(&self, name: RobotName) -> Result<()> {
        let removed = self.change(move |document| {
            let before = document.accounts.len();
            document
                .accounts
                .retain(|entry| entry.name != name.as_str());
            if document.accounts.len() == before {
                return Err(Error::not_found(format!("account {name}")));
            }
            Ok(true)
        });
        removed.await
    }

    /// Returns all accounts, in the order in which they were created.
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if the file does not exist.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if it is not a file of accounts.
    /// - The error of reading it.
    pub async fn list(&self) -> Result<Vec<RobotAccount>> {
        let path = self.0.clone();
        let read = move || {
            let content = private_file::read(&path).map_err(|error| on(&path, error))?;
            let content = content.ok_or_else(|| Error::not_found(path.display()))?;
            decode(&content).map_err(|error| on(&path, error))
        };
        blocking::run(read).await
    }

    async fn change(
        &self,
        change: impl FnOnce(&mut Document) -> Result<bool> + Send + 'static,
    ) -> Result<()> {
        let path = self.0.clone();
        let write = move || {
            let changed = private_file::change(&path, |content| {
                let mut document = match content {
                    Some(content) => parse(&content)?,
                    None => Document::default(),
                };
                if change(&mut document)? {
                    encode(&document).map(Some)
                } else {
                    Ok(None)
                }
            });
            changed.map(|_| ()).map_err(|error| on(&path, error))
        };
        blocking::run(write).await
    }
}

/// Adds the path to an error without a subject.
fn on(path: &Path, error: Error) -> Error {
    if error.subject().is_some() {
        return error;
    }
    error.with_subject(path.display())
}

/// Decodes all accounts in a file.
pub(super) fn decode(content: &[u8]) -> Result<Vec<RobotAccount>> {
    parse(content)?.accounts.iter().map(Entry::decode).collect()
}

fn parse(content: &[u8]) -> Result<Document> {
    serde_json::from_slice(content).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        invalid(format!(
            "not a file of accounts: see line {line}, column {column}"
        ))
    })
}

fn encode(document: &Document) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(document)
        .map_err(|error| invalid("the accounts cannot be encoded").with_source(error))?;
    text.push(b'\n');
    Ok(text)
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

impl Entry {
    fn encode(account: &RobotAccount) -> Self {
        Self {
            name: account.name.to_string(),
            secret: account.secret.to_string(),
            grants: account.grants.iter().map(Grant::to_string).collect(),
            created: format_time(account.created),
            expires: account.expires.map(format_time),
            other: Map::new(),
        }
    }

    fn decode(&self) -> Result<RobotAccount> {
        let grants: Result<Arc<[Grant]>> = self.grants.iter().map(|text| text.parse()).collect();
        // The error of parsing it would quote it, and it may be a secret that was pasted in place of its digest.
        let secret: Digest = self.secret.parse().map_err(|_| {
            invalid("the secret of an account is not a digest").with_subject(&self.name)
        })?;
        Ok(RobotAccount {
            name: self.name.parse()?,
            grants: grants?,
            created: parse_time(&self.created)?,
            expires: self.expires.as_deref().map(parse_time).transpose()?,
            secret,
        })
    }
}

fn format_time(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn parse_time(text: &str) -> Result<SystemTime> {
    DateTime::parse_from_rfc3339(text)
        .map(SystemTime::from)
        .map_err(|_| invalid("a time in the file is not in the form of RFC 3339"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn file() -> (tempfile::TempDir, RobotFile) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = RobotFile::new(directory.path().join("robots.json"));
        (directory, file)
    }

    fn name(text: &str) -> RobotName {
        text.parse().expect("a name")
    }

    fn grants() -> Vec<Grant> {
        vec!["team/**:rw".parse().expect("a grant")]
    }

    #[tokio::test]
    async fn the_file_has_no_secret() {
        let (_directory, file) = file();
        let expires = SystemTime::now() + Duration::from_secs(3600);
        let created = file.create(name("ci"), grants(), Some(expires)).await;
        let secret = created.expect("created");
        let content = std::fs::read_to_string(&file.0).expect("a file");
        assert!(!content.contains(&secret), "{content}");
        let accounts = file.list().await.expect("accounts");
        assert_eq!(accounts.len(), 1);
        assert!(accounts[0].secret.matches(secret.as_bytes()));
        assert_eq!(*accounts[0].grants, *grants());
        let left = accounts[0].expires.expect("an expiry");
        assert!(expires.duration_since(left).expect("whole seconds") < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_name_is_used_once() {
        let (_directory, file) = file();
        let first = file
            .create(name("ci"), grants(), None)
            .await
            .expect("created");
        let again = file.create(name("ci"), grants(), None).await;
        assert_eq!(again.expect_err("taken").kind(), ErrorKind::Conflict);
        file.revoke(name("ci")).await.expect("revoked");
        let gone = file.revoke(name("ci")).await.expect_err("gone");
        assert!(gone.is_not_found());
        let past = SystemTime::now() - Duration::from_secs(1);
        let expired = file.create(name("ci"), grants(), Some(past)).await;
        expired.expect("created");
        let second = file.create(name("ci"), grants(), None).await;
        assert_ne!(second.expect("the earlier one has expired"), first);
        assert_eq!(file.list().await.expect("accounts").len(), 1);
    }

    #[tokio::test]
    async fn unknown_fields_are_kept() {
        let (_directory, file) = file();
        std::fs::write(&file.0, r#"{"version":2,"accounts":[]}"#).expect("written");
        let created = file.create(name("ci"), Vec::new(), None).await;
        created.expect("created");
        let content = std::fs::read_to_string(&file.0).expect("a file");
        assert!(content.contains("\"version\": 2"), "{content}");
    }

    #[tokio::test]
    async fn an_invalid_file_is_refused() {
        let (_directory, file) = file();
        assert!(file.list().await.expect_err("missing").is_not_found());
        for content in [
            "",
            "[]",
            r#"{"accounts":[{"name":"a b"}]}"#,
            r#"{"accounts":[{"name":"a","secret":"tsp_x","grants":[],"created":"2026-01-01T00:00:00Z"}]}"#,
        ] {
            std::fs::write(&file.0, content).expect("written");
            let error = file.list().await.expect_err(content);
            assert!(!error.to_string().contains("tsp_x"), "{error}");
        }
    }
}
