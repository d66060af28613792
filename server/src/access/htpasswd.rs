//! Users and their passwords, in a file as Apache's `htpasswd -B` writes it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bcrypt::HashParts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tranship::{Algorithm, Digest, Digester, Error, ErrorKind, Result, blocking};

use super::stamp::CredentialStamp;
use crate::reload::ReloadedFiles;

/// How many password checks may wait at a time. Each takes a large part of a second on a processor, so with a longer
/// queue clients would only time out.
const MAX_WAITING: usize = 32;

/// Salt and hash of a bcrypt entry that no user has.
const DECOY: &str = "CwTycUXWue0Thq9StjUM0uJ8cbHUG5x4NKhkLHe.vZ/Xw3sOe9fZi";

/// Users and their passwords, in a file as Apache's `htpasswd -B` writes it: a line
/// `USER:HASH` each, where the hash is bcrypt's. The file is read again when it changes.
///
/// Hashing is slow by intent. Checks run on at most half of the processors, a bounded number of others wait,
/// and any further ones are refused with 429. A password that was correct before is
/// recognised without hashing and without the queue, so that a flood of wrong ones does not affect it.
#[derive(Debug)]
pub struct Htpasswd {
    users: ReloadedFiles<Users>,
    /// The last correct password of each user.
    verified: Mutex<HashMap<String, VerifiedPassword>>,
    random: RandomState,
    checks: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

/// Why a password was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasswordRefusal {
    Wrong,
    /// Too many checks are waiting: not known.
    Busy,
}

#[derive(Debug, Default)]
struct Users {
    hashes: HashMap<String, Arc<str>>,
    /// The bcrypt cost of every user's hash.
    costs: Vec<u32>,
}

#[derive(Debug)]
struct VerifiedPassword {
    hash: Arc<str>,
    password: Digest,
}

impl Htpasswd {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// - The error of reading the file.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) for a line that is not a user and a bcrypt hash.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let users = ReloadedFiles::open(vec![path.into()], decode).await?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let checks = (processors / 2).clamp(1, 8);
        Ok(Self {
            users,
            verified: Mutex::default(),
            random: RandomState::new(),
            checks: Arc::new(Semaphore::new(checks)),
            queue: Arc::new(Semaphore::new(checks + MAX_WAITING)),
        })
    }

    /// Returns whether the file has a user with this name.
    pub async fn has_user(&self, name: &str) -> bool {
        self.users.current().await.hashes.contains_key(name)
    }

    /// Checks whether `password` is the one of `user`, and returns the stamp of the entry.
    ///
    /// A dropped future leaves a check that has started to finish on its thread.
    pub(crate) async fn check(
        &self,
        user: &str,
        password: &[u8],
    ) -> Result<CredentialStamp, PasswordRefusal> {
        if let Some(stamp) = self.recall(user, password).await {
            return Ok(stamp);
        }
        let users = self.users.current().await;
        let hash = users.hashes.get(user).cloned();
        let fingerprint = self.fingerprint(password);
        let Ok(place) = Arc::clone(&self.queue).try_acquire_owned() else {
            return Err(PasswordRefusal::Busy);
        };
        let Ok(permit) = Arc::clone(&self.checks).acquire_owned().await else {
            return Err(PasswordRefusal::Busy);
        };
        let compared = hash.clone().unwrap_or_else(|| self.decoy(&users, user));
        if !verify(password.to_vec(), compared, [place, permit]).await {
            return Err(PasswordRefusal::Wrong);
        }
        let Some(hash) = hash else {
            return Err(PasswordRefusal::Wrong);
        };
        let stamp = CredentialStamp::of(&hash);
        let known = VerifiedPassword {
            hash,
            password: fingerprint,
        };
        self.verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(user.to_owned(), known);
        Ok(stamp)
    }

    /// Returns the stamp of the entry of `user` if `password` was correct before and still is. This does not hash it.
    pub(crate) async fn recall(&self, user: &str, password: &[u8]) -> Option<CredentialStamp> {
        let users = self.users.current().await;
        let hash = users.hashes.get(user)?;
        let is_known = self.is_verified(user, hash, &self.fingerprint(password));
        is_known.then(|| CredentialStamp::of(hash))
    }

    /// Returns the stamp of the entry of `user`, or `None` if there is none.
    pub(crate) async fn stamp(&self, user: &str) -> Option<CredentialStamp> {
        let users = self.users.current().await;
        users.hashes.get(user).map(|hash| CredentialStamp::of(hash))
    }

    /// Returns a hash with which the password of an unknown user is compared, so that the time of a response does not
    /// tell whether a user exists. Its cost is that of one of the users, always the same one for the same name, so the
    /// costs of unknown names are distributed like those of users.
    fn decoy(&self, users: &Users, user: &str) -> Arc<str> {
        let costs = &users.costs;
        let at = self.random.hash_one(user) % (costs.len().max(1) as u64);
        let cost = costs.get(at as usize).copied();
        format!("$2b${:02}${DECOY}", cost.unwrap_or(bcrypt::DEFAULT_COST)).into()
    }

    fn is_verified(&self, user: &str, hash: &Arc<str>, fingerprint: &Digest) -> bool {
        let known = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(user)
            .is_some_and(|known| known.hash == *hash && known.password == *fingerprint)
    }

    /// Returns a keyed hash of the password, to keep in memory. The key is that of this process.
    fn fingerprint(&self, password: &[u8]) -> Digest {
        let mut digester = Digester::new(Algorithm::Sha256);
        for number in [0_u64, 1] {
            digester.update(&self.random.hash_one(number).to_le_bytes());
        }
        digester.update(password);
        digester.finish()
    }
}

/// Compares a password with a hash, on a blocking thread. The permits are released when that is done, and not when the
/// client closes the connection: otherwise a client that closes it early could start any number of checks.
async fn verify(password: Vec<u8>, hash: Arc<str>, permits: [OwnedSemaphorePermit; 2]) -> bool {
    let check = blocking::run(move || {
        let is_right = bcrypt::verify(&password, &hash).unwrap_or(false);
        drop(permits);
        Ok(is_right)
    });
    check.await.unwrap_or(false)
}

fn decode(contents: &[Vec<u8>]) -> Result<Users> {
    let invalid = |line: usize, message: &str| {
        Error::new(ErrorKind::InvalidInput, format!("line {line} {message}"))
            .with_hint("write it with `htpasswd -B`")
    };
    let text = contents.concat();
    let text = std::str::from_utf8(&text)
        .map_err(|_| Error::new(ErrorKind::InvalidInput, "the file is not UTF-8"))?;
    let mut users = Users::default();
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
        let cost = hash.parse().ok().filter(|_| is_bcrypt);
        let Some(cost) = cost.map(|parts: HashParts| parts.get_cost()) else {
            return Err(invalid(number + 1, "has a hash that is not of bcrypt"));
        };
        users.costs.push(cost);
        users.hashes.insert(user.to_owned(), hash.into());
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
            for (user, password, verdict) in [
                ("ann", "a:b ü", true),
                ("bob", "secret", true),
                ("ann", "secret", false),
                ("eve", "secret", false),
                ("", "", false),
            ] {
                let found = htpasswd.check(user, password.as_bytes()).await;
                assert_eq!(found.is_ok(), verdict, "{user}");
                assert_ne!(found, Err(PasswordRefusal::Busy));
            }
        }
    }

    #[tokio::test]
    async fn an_unknown_user_costs_what_a_known_one_does() {
        let one = line("ann", "a") + &line("bob", "b");
        let two = format!(
            "{one}eve:{}\n",
            bcrypt::hash("e", COST + 1).expect("hashed")
        );
        for (content, expected) in [(one, &[COST][..]), (two, &[COST, COST + 1])] {
            let (_directory, htpasswd) = file(&content).await;
            let htpasswd = htpasswd.expect("a file");
            let users = htpasswd.users.current().await;
            let cost = |number: usize| {
                let decoy = htpasswd.decoy(&users, &format!("unknown{number}"));
                assert!(!bcrypt::verify("", &decoy).expect("a hash"));
                assert_eq!(htpasswd.decoy(&users, &format!("unknown{number}")), decoy);
                decoy.parse::<HashParts>().expect("a hash").get_cost()
            };
            let mut costs: Vec<u32> = (0..200).map(cost).collect();
            costs.sort_unstable();
            costs.dedup();
            assert_eq!(costs, expected);
        }
    }

    #[tokio::test]
    async fn a_full_queue_refuses_only_unverified_passwords() {
        let (_directory, htpasswd) = file(&(line("ann", "a") + &line("bob", "b"))).await;
        let htpasswd = htpasswd.expect("a file");
        assert!(htpasswd.check("ann", b"a").await.is_ok());
        let all = htpasswd.queue.available_permits();
        let waiting = Arc::clone(&htpasswd.queue).acquire_many_owned(all as u32);
        let waiting = waiting.await.expect("a queue");
        assert!(htpasswd.check("ann", b"a").await.is_ok());
        for user in ["ann", "bob", "eve"] {
            let refused = htpasswd.check(user, b"b").await;
            assert_eq!(refused, Err(PasswordRefusal::Busy), "{user}");
        }
        drop(waiting);
        assert!(htpasswd.check("bob", b"b").await.is_ok());
    }

    #[tokio::test]
    async fn a_closed_connection_frees_no_permit_for_a_check() {
        let slow = bcrypt::hash("a", COST + 4).expect("hashed");
        let (_directory, htpasswd) = file(&format!("ann:{slow}\n")).await;
        let htpasswd = htpasswd.expect("a file");
        let all = htpasswd.checks.available_permits();
        let permits = [&htpasswd.queue, &htpasswd.checks]
            .map(|semaphore| Arc::clone(semaphore).try_acquire_owned().expect("a permit"));
        let check = Box::pin(verify(b"b".to_vec(), slow.into(), permits));
        // Polled once, which starts the check, and dropped.
        drop(futures_util::future::select(check, std::future::ready(())).await);
        let held = htpasswd.checks.acquire_many(all as u32).await;
        drop(held.expect("the check ends and gives its place back"));
    }

    #[tokio::test]
    async fn a_changed_password_changes_the_stamp() {
        let (directory, htpasswd) = file(&(line("ann", "a") + &line("bob", "a"))).await;
        let htpasswd = htpasswd.expect("a file");
        let stamp = htpasswd.check("ann", b"a").await.expect("correct");
        assert_eq!(htpasswd.stamp("ann").await.as_ref(), Some(&stamp));
        assert_ne!(htpasswd.stamp("bob").await.as_ref(), Some(&stamp));
        std::fs::write(directory.path().join("htpasswd"), line("ann", "new")).expect("written");
        htpasswd.users.expire_check();
        let changed = htpasswd.stamp("ann").await;
        assert!(changed.is_some_and(|changed| changed != stamp));
        assert_eq!(htpasswd.stamp("bob").await, None);
    }

    #[tokio::test]
    async fn a_revoked_password_is_wrong_at_once() {
        let (directory, htpasswd) = file(&line("ann", "old")).await;
        let htpasswd = htpasswd.expect("a file");
        assert!(htpasswd.check("ann", b"old").await.is_ok());
        let path = directory.path().join("htpasswd");
        std::fs::write(path, format!("#\n{}", line("ann", "new"))).expect("written");
        htpasswd.users.expire_check();
        assert!(htpasswd.check("ann", b"old").await.is_err());
        assert!(htpasswd.check("ann", b"new").await.is_ok());
    }

    #[tokio::test]
    async fn an_invalid_line_is_named() {
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
