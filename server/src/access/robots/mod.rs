//! Robot accounts: users for programs, with generated secrets, in a file that `tranship token` manages. Each has its
//! own grants. The file has hashes of the secrets only.

mod file;
mod name;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tranship::{Digest, Result};

use super::grants::Grant;
use super::stamp::CredentialStamp;
use crate::random::random_bytes;
use crate::reload::ReloadedFiles;
pub use file::RobotFile;
pub use name::RobotName;

/// What each secret begins with, so that scanners find secrets that are published by accident, and that a secret can be
/// told from a password.
const SECRET_PREFIX: &str = "tsp_";

/// The robot accounts of a server, from a file that is read again when it changes.
#[derive(Debug)]
pub struct RobotAccounts(ReloadedFiles<HashMap<RobotName, Arc<RobotAccount>>>);

/// A robot account.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RobotAccount {
    /// Its name, with which it logs in.
    pub name: RobotName,
    /// What it may do.
    pub grants: Arc<[Grant]>,
    /// When it was created.
    pub created: SystemTime,
    /// When it expires, if it does.
    pub expires: Option<SystemTime>,
    /// The digest of the secret. The secret has 256 random bits, so that a fast hash cannot be reversed by guessing.
    secret: Digest,
}

impl RobotAccounts {
    /// Reads the accounts in the file at `path`.
    ///
    /// # Errors
    /// - The error of reading the file.
    /// - [`InvalidInput`](tranship::ErrorKind::InvalidInput) if it is not a file of accounts.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let decode = |contents: &[Vec<u8>]| {
            let accounts = file::decode(&contents.concat())?.into_iter();
            Ok(accounts
                .map(|account| (account.name.clone(), Arc::new(account)))
                .collect())
        };
        let files = ReloadedFiles::open(vec![path.into()], decode).await?;
        Ok(Self(files))
    }

    /// Returns the valid account `name`, if there is one.
    pub(super) async fn find(&self, name: &str) -> Option<Arc<RobotAccount>> {
        let name: RobotName = name.parse().ok()?;
        let accounts = self.0.current().await;
        let account = accounts.get(&name)?;
        (!account.is_expired()).then(|| Arc::clone(account))
    }

    /// Returns whether there is an account `name`, which may have expired.
    pub(super) async fn have(&self, name: &str) -> bool {
        let Ok(name) = name.parse::<RobotName>() else {
            return false;
        };
        self.0.current().await.contains_key(&name)
    }

    /// Returns the valid account `name` if its secret is `secret`.
    pub(super) async fn check(&self, name: &str, secret: &[u8]) -> Option<Arc<RobotAccount>> {
        let account = self.find(name).await?;
        account.secret.matches(secret).then_some(account)
    }
}

impl RobotAccount {
    /// Returns an account with a new secret, and the secret.
    fn generate(
        name: RobotName,
        grants: Vec<Grant>,
        expires: Option<SystemTime>,
    ) -> Result<(Self, String)> {
        let random = URL_SAFE_NO_PAD.encode(random_bytes::<32>()?);
        let secret = format!("{SECRET_PREFIX}{random}");
        let account = Self {
            name,
            grants: grants.into(),
            created: SystemTime::now(),
            expires,
            secret: Digest::of(secret.as_bytes()),
        };
        Ok((account, secret))
    }

    /// Returns whether the account has expired.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.expires
            .is_some_and(|expires| expires <= SystemTime::now())
    }

    pub(super) fn stamp(&self) -> CredentialStamp {
        CredentialStamp::of(&self.secret.hex())
    }
}

/// Returns whether `password` has the form of the secret of a robot account.
pub(super) fn is_secret(password: &[u8]) -> bool {
    password.starts_with(SECRET_PREFIX.as_bytes())
}
