//! The tokens of a registry that can be used again.

use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;
use tranship::RepositoryName;

use super::scope::Scopes;
use super::token::Realm;

/// The most tokens that are kept. More are needed only to read a large catalog, repository by repository.
const LIMIT: usize = 256;

/// An access token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// The `Authorization` to send. Sensitive.
    pub(crate) header: HeaderValue,
    /// The scopes that were requested.
    pub(crate) scopes: Scopes,
    /// The token server.
    pub(crate) realm: Realm,
    /// The repository whose credentials were used.
    pub(crate) repository: Option<RepositoryName>,
    pub(crate) lifetime: Duration,
    pub(crate) expires: Instant,
}

impl Token {
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expires <= now
    }

    /// Returns whether the token should be renewed: a quarter of its lifetime before its end, at most 30 seconds, because the
    /// clock of the registry may be ahead.
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        let margin = (self.lifetime / 4).min(Duration::from_secs(30));
        self.expires <= now + margin
    }
}

/// Tokens, oldest first. Expired tokens are kept, because their realm and scopes are needed to renew them.
#[derive(Debug, Default)]
pub(crate) struct TokenCache(Vec<Token>);

impl TokenCache {
    /// Returns the token that covers `scopes` and expires last, of `realm` if it is given.
    pub(crate) fn find(&self, scopes: &Scopes, realm: Option<&Realm>) -> Option<&Token> {
        self.0
            .iter()
            .filter(|token| realm.is_none_or(|realm| *realm == token.realm))
            .filter(|token| token.scopes.covers(scopes))
            .max_by_key(|token| token.expires)
    }

    /// Adds a token, and removes those of the same realm that it covers.
    pub(crate) fn insert(&mut self, token: Token) {
        self.0
            .retain(|old| old.realm != token.realm || !token.scopes.covers(&old.scopes));
        if self.0.len() >= LIMIT {
            self.0.remove(0);
        }
        self.0.push(token);
    }

    /// Makes the token that is sent as `header` usable until it expires.
    pub(crate) fn keep_to_its_end(&mut self, header: &HeaderValue) {
        if let Some(token) = self.0.iter_mut().find(|token| token.header == header) {
            token.lifetime = Duration::ZERO;
        }
    }

    /// Removes the token that was sent as `header`.
    pub(crate) fn remove(&mut self, header: &HeaderValue) -> Option<Token> {
        let index = self.0.iter().position(|token| token.header == header)?;
        Some(self.0.remove(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &'static str, scopes: &str) -> Token {
        Token {
            header: HeaderValue::from_static(name),
            scopes: Scopes::parse(scopes),
            realm: Realm::for_tests("https://auth.example/token"),
            repository: None,
            lifetime: Duration::from_secs(60),
            expires: Instant::now() + Duration::from_secs(60),
        }
    }

    fn found(cache: &TokenCache, scopes: &str) -> Option<HeaderValue> {
        cache
            .find(&Scopes::parse(scopes), None)
            .map(|token| token.header.clone())
    }

    #[test]
    fn a_wider_token_replaces_a_narrower_one() {
        let mut cache = TokenCache::default();
        cache.insert(token("narrow", "repository:a:pull"));
        cache.insert(token("other", "repository:b:pull"));
        cache.insert(token("wide", "repository:a:pull,push"));
        assert_eq!(found(&cache, "repository:a:pull").expect("a token"), "wide");
        assert_eq!(
            found(&cache, "repository:b:pull").expect("a token"),
            "other"
        );
        assert_eq!(cache.0.len(), 2);
    }

    #[test]
    fn tokens_of_another_realm_are_told_apart() {
        let mut cache = TokenCache::default();
        cache.insert(token("here", "repository:a:pull"));
        let elsewhere = Realm::for_tests("https://elsewhere.example/token");
        let scopes = Scopes::parse("repository:a:pull");
        assert!(cache.find(&scopes, Some(&elsewhere)).is_none());
        cache.insert(Token {
            realm: elsewhere.clone(),
            ..token("there", "repository:a:pull")
        });
        assert_eq!(cache.0.len(), 2);
        let found = cache.find(&scopes, Some(&elsewhere)).expect("a token");
        assert_eq!(found.header, "there");
    }

    #[test]
    fn the_number_of_tokens_is_bounded() {
        let mut cache = TokenCache::default();
        for n in 0..LIMIT * 2 {
            cache.insert(token("t", &format!("repository:r{n}:pull")));
        }
        assert_eq!(cache.0.len(), LIMIT);
        assert!(found(&cache, "repository:r0:pull").is_none());
        assert!(found(&cache, &format!("repository:r{}:pull", LIMIT * 2 - 1)).is_some());
    }

    #[test]
    fn a_token_grows_stale_a_quarter_of_its_life_before_its_end() {
        let token = token("t", "repository:a:pull");
        let begin = token.expires - token.lifetime;
        assert!(!token.is_stale(begin + Duration::from_secs(44)));
        assert!(token.is_stale(begin + Duration::from_secs(45)));
        assert!(!token.is_expired(begin + Duration::from_secs(59)));
        assert!(token.is_expired(begin + Duration::from_secs(60)));
    }
}
