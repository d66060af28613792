//! Users and their passwords, in a file as Apache's `htpasswd -B` writes it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tranship::{Algorithm, Digest, Digester, Error, ErrorKind, Result};

use crate::watched::Watched;

/// How many passwords are checked at a time: each takes a processor for a good part of a second.
const CHECKS: usize = 2;

/// What the password of a user who does not exist is compared with, so that the answer takes as long
/// as any other.
const NOBODY: &str = "$2b$10$CwTycUXWue0Thq9StjUM0uJ8cbHUG5x4NKhkLHe.vZ/Xw3sOe9fZi";

/// Users and their passwords, in a file as Apache's `htpasswd -B` writes it: a line
/// `USER:HASH` each, where the hash is bcrypt's. The file is read again when it changes.
#[derive(Debug)]
pub struct Htpasswd {
    users: Watched<Users>,
    /// Who was let in last, as hashing takes long by intent.
    known: Mutex<HashMap<String, Known>>,
    key: [u64; 2],
    checks: Arc<Semaphore>,
}

type Users = HashMap<String, Arc<str>>;

#[derive(Debug)]
struct Known {
    hash: Arc<str>,
    password: Digest,
}

impl Htpasswd {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// - What the file cannot be read with.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) for a line that is no user and bcrypt hash.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let users = Watched::open(vec![path.into()], decode).await?;
        // Keys that nobody knows and nothing else uses.
        let key = [0_u64, 1].map(|number| RandomState::new().hash_one(number));
        Ok(Self {
            users,
            known: Mutex::default(),
            key,
            checks: Arc::new(Semaphore::new(CHECKS)),
        })
    }

    /// Whether `password` is that of `user`.
    pub(crate) async fn is_right(&self, user: &str, password: &[u8]) -> bool {
        let hash = self.users.current().await.get(user).cloned();
        let fingerprint = self.fingerprint(password);
        if let Some(hash) = &hash
            && self.knows(user, hash, &fingerprint)
        {
            return true;
        }
        let Ok(_permit) = self.checks.acquire().await else {
            return false;
        };
        let (compared, sent) = (hash.clone(), password.to_vec());
        let check = tokio::task::spawn_blocking(move || {
            let is_right = bcrypt::verify(&sent, compared.as_deref().unwrap_or(NOBODY));
            is_right.unwrap_or(false)
        });
        let is_right = check.await.unwrap_or(false);
        let Some(hash) = hash.filter(|_| is_right) else {
            return false;
        };
        let known = Known {
            hash,
            password: fingerprint,
        };
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(user.to_owned(), known);
        true
    }

    fn knows(&self, user: &str, hash: &Arc<str>, fingerprint: &Digest) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(user)
            .is_some_and(|known| known.hash == *hash && known.password == *fingerprint)
    }

    /// Stands for the password in memory, and is of no use anywhere else.
    fn fingerprint(&self, password: &[u8]) -> Digest {
        let mut digester = Digester::new(Algorithm::Sha256);
        for part in self.key {
            digester.update(&part.to_le_bytes());
        }
        digester.update(password);
        digester.finish()
    }
}

fn decode(contents: &[Vec<u8>]) -> Result<Users> {
    let invalid = |line: usize, message: &str| {
        Error::new(ErrorKind::InvalidInput, format!("line {line} {message}"))
            .with_hint("write it with `htpasswd -B`")
    };
    let text = contents.concat();
    let text = std::str::from_utf8(&text)
        .map_err(|_| Error::new(ErrorKind::InvalidInput, "the file is not UTF-8"))?;
    let mut users = Users::new();
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((user, hash)) = line.split_once(':').filter(|(user, _)| !user.is_empty()) else {
            return Err(invalid(number + 1, "is not a user, a colon and a hash"));
        };
        let is_bcrypt = ["$2a$", "$2b$", "$2y$"]
            .iter()
            .any(|prefix| hash.starts_with(prefix))
            && hash.len() == 60;
        if !is_bcrypt {
            return Err(invalid(number + 1, "has a hash that is not bcrypt's"));
        }
        users.insert(user.to_owned(), hash.into());
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: u32 = 4;

    async fn file(content: &str) -> (tempfile::TempDir, Result<Htpasswd>) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("htpasswd");
        std::fs::write(&path, content).expect("written");
        let htpasswd = Htpasswd::open(path).await;
        (directory, htpasswd)
    }

    fn line(user: &str, password: &str) -> String {
        let hash = bcrypt::hash(password, COST).expect("hashed");
        format!("{user}:{hash}\n")
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_user_is_right() {
        let content = format!(
            "# staff\n\n{}{}",
            line("ann", "a:b ü"),
            line("bob", "secret")
        );
        let (_directory, htpasswd) = file(&content).await;
        let htpasswd = htpasswd.expect("a file");
        for _ in 0..2 {
            assert!(htpasswd.is_right("ann", "a:b ü".as_bytes()).await);
            assert!(htpasswd.is_right("bob", b"secret").await);
            assert!(!htpasswd.is_right("ann", b"secret").await);
            assert!(!htpasswd.is_right("eve", b"secret").await);
            assert!(!htpasswd.is_right("", b"").await);
        }
    }

    #[test]
    fn nobody_takes_as_long_as_somebody() {
        assert!(!bcrypt::verify("", NOBODY).expect("a hash"));
    }

    #[tokio::test]
    async fn a_password_that_was_taken_back_is_wrong_at_once() {
        let (directory, htpasswd) = file(&line("ann", "old")).await;
        let htpasswd = htpasswd.expect("a file");
        assert!(htpasswd.is_right("ann", b"old").await);
        let path = directory.path().join("htpasswd");
        std::fs::write(path, format!("#\n{}", line("ann", "new"))).expect("written");
        htpasswd.users.look_again();
        assert!(!htpasswd.is_right("ann", b"old").await);
        assert!(htpasswd.is_right("ann", b"new").await);
    }

    #[tokio::test]
    async fn a_line_that_is_not_understood_is_named() {
        for content in [
            "ann",
            ":hash",
            "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
            "ann:$2y$10$short",
        ] {
            let (_directory, htpasswd) = file(&format!("\n{content}\n")).await;
            let error = htpasswd.expect_err(content);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("line 2"), "{error}");
            assert!(!error.to_string().contains("5en6"), "{error}");
        }
    }
}
