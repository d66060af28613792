//! Logins, in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tranship::{Digest, Error, ErrorKind, Result};
use tranship_server::Identity;

/// How many logins one user may have. The oldest ones end when there are more, so that a user cannot end those of others.
const MAX_PER_USER: usize = 20;

/// A secret of 256 random bits, as text.
pub(crate) fn secret() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(
            ErrorKind::Unavailable,
            "the system does not return random bytes",
        )
        .with_source(error)
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The logins that are valid.
#[derive(Debug)]
pub(crate) struct Sessions {
    lifetime: Duration,
    max: usize,
    /// By the digest of the secret in the cookie, so that a lookup does not tell by its time how much of a guess is right.
    open: Mutex<HashMap<Digest, Session>>,
}

/// A login.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) identity: Identity,
    /// The secret that forms carry, so that other sites cannot send them.
    pub(crate) form_token: Arc<str>,
    begun: Instant,
}

impl Sessions {
    pub(crate) fn new(lifetime: Duration, max: usize) -> Self {
        Self {
            lifetime,
            max,
            open: Mutex::default(),
        }
    }

    /// Begins a session, and returns the secret for the cookie.
    ///
    /// # Errors
    /// `Unavailable` if the system does not return random bytes.
    pub(crate) fn begin(&self, identity: Identity) -> Result<String> {
        let secret = secret()?;
        let session = Session {
            identity,
            form_token: self::secret()?.into(),
            begun: Instant::now(),
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| session.begun.elapsed() < self.lifetime);
        let user = session.identity.user();
        remove_oldest(&mut open, MAX_PER_USER - 1, |other| {
            other.identity.user() == user
        });
        remove_oldest(&mut open, self.max - 1, |_| true);
        open.insert(Digest::of(secret.as_bytes()), session);
        Ok(secret)
    }

    pub(crate) fn find(&self, secret: &str) -> Option<Session> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let session = open.get(&Digest::of(secret.as_bytes()))?;
        (session.begun.elapsed() < self.lifetime).then(|| session.clone())
    }

    pub(crate) fn end(&self, secret: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&Digest::of(secret.as_bytes()));
    }
}

/// Removes the oldest of the sessions that `counts` selects until at most `max` are left.
fn remove_oldest(
    open: &mut HashMap<Digest, Session>,
    max: usize,
    counts: impl Fn(&Session) -> bool,
) {
    let counted = open.iter().filter(|(_, session)| counts(session));
    let mut counted: Vec<(Instant, Digest)> = counted
        .map(|(digest, session)| (session.begun, *digest))
        .collect();
    let surplus = counted.len().saturating_sub(max);
    counted.sort();
    for (_, digest) in counted.into_iter().take(surplus) {
        open.remove(&digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(sessions: &Sessions) -> String {
        sessions.begin(Identity::anonymous()).expect("random bytes")
    }

    #[test]
    fn a_session_is_found_by_its_secret_until_it_ends() {
        let sessions = Sessions::new(Duration::from_secs(60), 10);
        let secret = begin(&sessions);
        assert!(sessions.find(&secret).is_some());
        assert!(sessions.find("other").is_none());
        sessions.end(&secret);
        assert!(sessions.find(&secret).is_none());
    }

    #[test]
    fn a_session_expires() {
        let sessions = Sessions::new(Duration::ZERO, 10);
        let secret = begin(&sessions);
        assert!(sessions.find(&secret).is_none());
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let sessions = Sessions::new(Duration::from_secs(60), 2);
        let secrets = [(); 3].map(|()| begin(&sessions));
        let found = secrets.map(|secret| sessions.find(&secret).is_some());
        assert_eq!(found, [false, true, true]);
    }

    #[test]
    fn a_user_has_a_limited_number_of_sessions() {
        let sessions = Sessions::new(Duration::from_secs(60), 1000);
        let secrets: Vec<String> = (0..=MAX_PER_USER).map(|_| begin(&sessions)).collect();
        let found = secrets.iter().filter(|it| sessions.find(it).is_some());
        assert_eq!(found.count(), MAX_PER_USER);
        assert!(sessions.find(&secrets[0]).is_none());
    }
}
