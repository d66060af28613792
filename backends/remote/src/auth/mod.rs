//! Authentication: the `Authorization` of requests, and the response to a challenge.

mod challenge;
mod credential_cache;
mod scope;
#[cfg(test)]
mod tests;
mod token;
mod token_cache;
mod token_error;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tokio::time::Instant;
use tranship::{Error, ErrorKind, RegistryName, RepositoryName, Result, SingleFlight};

use self::challenge::Challenge;
use self::credential_cache::CredentialCache;
pub(crate) use self::scope::{Scope, Scopes};
pub(crate) use self::token::TokenServer;
use self::token::{Grant, Granted, Realm, basic, bearer};
use self::token_cache::{Token, TokenCache};
pub(crate) use self::token_error::TokenRequest;
use self::token_error::refusal;
use crate::credentials::{Credential, CredentialProvider};

/// Authenticates with one registry. Clones share what has been learned.
#[derive(Clone)]
pub(crate) struct Authenticator {
    inner: Arc<Inner>,
}

struct Inner {
    registry: RegistryName,
    credentials: CredentialCache,
    server: Arc<dyn TokenServer>,
    state: Mutex<State>,
    requests: SingleFlight<(Realm, Scopes, Option<RepositoryName>), HeaderValue>,
}

/// What has been learned from the registry's responses. The last one counts.
#[derive(Default)]
struct State {
    scheme: Option<Scheme>,
    tokens: TokenCache,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Basic,
    Bearer,
}

impl Scheme {
    fn show(self, credential: Option<&Credential>) -> Result<Option<HeaderValue>> {
        match (self, credential) {
            (Self::Basic, Some(Credential::Basic { username, password })) => {
                basic(username, password).map(Some)
            }
            (Self::Bearer, Some(Credential::AccessToken(token))) => bearer(token).map(Some),
            _ => Ok(None),
        }
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("registry", &self.inner.registry)
            .finish_non_exhaustive()
    }
}

impl Authenticator {
    /// For `registry`, by the name that credentials are kept under.
    pub(crate) fn new(
        registry: RegistryName,
        provider: Arc<dyn CredentialProvider>,
        server: Arc<dyn TokenServer>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                credentials: CredentialCache::new(registry.clone(), provider),
                registry,
                server,
                state: Mutex::default(),
                requests: SingleFlight::default(),
            }),
        }
    }

    /// Returns the `Authorization` of a request that needs `scopes`, and `None` until the registry has sent a challenge. A
    /// token that is about to expire is renewed first.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// If a token has expired and there is no new one.
    pub(crate) async fn authorization(&self, scopes: &Scopes) -> Result<Option<HeaderValue>> {
        let inner = &self.inner;
        let repository = scopes.repository();
        let (scheme, token) = {
            let state = inner.state();
            (state.scheme, state.tokens.find(scopes, None).cloned())
        };
        match (scheme, inner.credentials.known(&repository)) {
            (None, _) => Ok(None),
            (Some(Scheme::Basic), _) => inner.shown(Scheme::Basic, &repository, None).await,
            (Some(Scheme::Bearer), Some(Credential::AccessToken(token))) => {
                bearer(&token).map(Some)
            }
            (Some(Scheme::Bearer), _) => match token {
                Some(token) => inner.renewed(token).await.map(Some),
                None => Ok(None),
            },
        }
        .map_err(|error| inner.explain(error))
    }

    /// Returns the best of the challenges in the headers of a 401, and `None` if none can be met, so that the 401 is final.
    ///
    /// `sent` is the refused `Authorization`, and `is_new` whether it was obtained for this request. A new token with all
    /// scopes would be granted again in the same way, so its refusal is final, unless the registry calls it invalid:
    /// another client may have used it up.
    pub(crate) fn challenge(
        &self,
        headers: &HeaderMap,
        scopes: &Scopes,
        sent: Option<&HeaderValue>,
        is_new: bool,
    ) -> Option<MetChallenge> {
        let challenges = Challenge::parse_all(headers);
        let basic = challenges.iter().any(|challenge| challenge.is("Basic"));
        let mut bearer = challenges.into_iter().filter(|one| one.is("Bearer"));
        let first = bearer.next();
        let has_realm = |one: &Challenge| one.parameter("realm").is_some();
        let bearer = match first {
            Some(first) if !has_realm(&first) => bearer.find(has_realm).or(Some(first)),
            first => first,
        };
        match bearer {
            Some(bearer) if has_realm(&bearer) || !basic => {
                self.inner.challenge_bearer(bearer, scopes, sent, is_new)
            }
            _ => basic.then_some(MetChallenge::Basic),
        }
    }

    /// Returns whether there are credentials for the registry. Returns `false` if they cannot be looked up; the request that
    /// needs them then fails.
    ///
    /// Cancel safe.
    pub(crate) async fn has_credentials(&self, scopes: &Scopes) -> bool {
        match self.inner.credentials.get(scopes.repository()).await {
            Ok(credential) => credential.is_some(),
            Err(error) => {
                tracing::debug!(registry = %self.inner.registry, %error, "credentials cannot be looked up");
                false
            }
        }
    }

    /// Returns what the user can do about a 401 response to a request without credentials. Returns `None` if there are some.
    pub(crate) async fn login_hint(&self, scopes: &Scopes) -> Option<String> {
        let is_anonymous = !self.has_credentials(scopes).await;
        is_anonymous.then(|| log_in(&self.inner.registry))
    }

    /// Makes requests anonymous again until the registry sends a challenge.
    pub(crate) fn forget(&self) {
        self.inner.state().scheme = None;
        self.inner.credentials.clear();
    }

    /// Returns the `Authorization` that meets a challenge which [`challenge`](Self::challenge) has returned.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// - [`ErrorKind::Unauthorized`] if there are no credentials, or they are wrong.
    /// - [`ErrorKind::Denied`] if the user may not do that.
    /// - As the token server and the provider of credentials.
    pub(crate) async fn authorize(
        &self,
        challenged: MetChallenge,
        scopes: &Scopes,
        sent: Option<&HeaderValue>,
    ) -> Result<HeaderValue> {
        let inner = &self.inner;
        let authorized = match challenged {
            MetChallenge::Basic => inner.authorize_basic(scopes, sent).await,
            MetChallenge::Bearer(asked) => inner.authorize_bearer(asked, scopes, sent).await,
        };
        authorized.map_err(|error| inner.explain(error))
    }
}

/// A challenge that can be met.
pub(crate) enum MetChallenge {
    Basic,
    Bearer(TokenChallenge),
}

/// The scopes that a registry wants a token for, and its token server.
pub(crate) struct TokenChallenge {
    challenge: Challenge,
    wanted: Scopes,
    /// Whether the refused token was requested with all wanted scopes.
    is_insufficient: bool,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn authorize_basic(
        self: &Arc<Self>,
        scopes: &Scopes,
        sent: Option<&HeaderValue>,
    ) -> Result<HeaderValue> {
        let repository = scopes.repository();
        self.state().scheme = Some(Scheme::Basic);
        match self.shown(Scheme::Basic, &repository, sent).await? {
            Some(header) if sent != Some(&header) => Ok(header),
            Some(_) => Err(self.refused(&repository, "the registry refuses the credentials")),
            None => Err(self.refused(&repository, "the registry wants a user name and a password")),
        }
    }

    fn challenge_bearer(
        &self,
        challenge: Challenge,
        scopes: &Scopes,
        sent: Option<&HeaderValue>,
        is_new: bool,
    ) -> Option<MetChallenge> {
        let wanted = scopes.union(&Scopes::parse(challenge.parameter("scope").unwrap_or("")));
        let refused = {
            let mut state = self.state();
            state.scheme = Some(Scheme::Bearer);
            sent.and_then(|sent| state.tokens.remove(sent))
        };
        let problem = challenge.parameter("error");
        let was_enough = refused.is_some_and(|token| token.scopes.covers(&wanted));
        let is_insufficient = was_enough && problem == Some("insufficient_scope");
        if was_enough && is_new && !is_insufficient && problem != Some("invalid_token") {
            return None;
        }
        Some(MetChallenge::Bearer(TokenChallenge {
            challenge,
            wanted,
            is_insufficient,
        }))
    }

    async fn authorize_bearer(
        self: &Arc<Self>,
        asked: TokenChallenge,
        scopes: &Scopes,
        sent: Option<&HeaderValue>,
    ) -> Result<HeaderValue> {
        let repository = scopes.repository();
        match self.shown(Scheme::Bearer, &repository, sent).await? {
            Some(header) if sent != Some(&header) => return Ok(header),
            Some(_) => return Err(self.refused(&repository, "the registry refuses the token")),
            None => {}
        }
        // The token server left out scopes that the user does not have, and would do so again.
        if asked.is_insufficient {
            return Err(match self.credentials.get(repository.clone()).await? {
                Some(_) => Error::new(ErrorKind::Denied, "the user may not do that"),
                None => self.refused(&repository, "anonymous users may not do that"),
            });
        }
        let realm = Realm::of(&asked.challenge)?;
        self.token(realm, asked.wanted, repository).await
    }

    /// Returns the `Authorization` that contains the credential itself, if the scheme takes one. If it equals `sent`, the
    /// provider is asked again, because passwords of cloud registries expire after some hours.
    async fn shown(
        self: &Arc<Self>,
        scheme: Scheme,
        repository: &Option<RepositoryName>,
        sent: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>> {
        let credential = self.credentials.get(repository.clone()).await?;
        let header = scheme.show(credential.as_ref())?;
        if header.is_none() || header.as_ref() != sent {
            return Ok(header);
        }
        self.credentials.forget(repository);
        let credential = self.credentials.get(repository.clone()).await?;
        scheme.show(credential.as_ref())
    }

    /// Returns the error for credentials that are missing or wrong, and forgets them: the next request may find others.
    fn refused(&self, repository: &Option<RepositoryName>, why: &'static str) -> Error {
        self.credentials.forget(repository);
        Error::new(ErrorKind::Unauthorized, why)
    }

    /// Returns the token, or a new one if it is about to expire.
    async fn renewed(self: &Arc<Self>, token: Token) -> Result<HeaderValue> {
        if !token.is_stale(Instant::now()) {
            return Ok(token.header);
        }
        let Token {
            realm,
            scopes,
            repository,
            ..
        } = token.clone();
        match self.token(realm, scopes, repository).await {
            // The token is still valid, so we use it and do not try to renew it again.
            Err(error) if !token.is_expired(Instant::now()) => {
                tracing::debug!(registry = %self.registry, %error, "a token is not renewed");
                self.state().tokens.keep_to_its_end(&token.header);
                Ok(token.header)
            }
            result => result,
        }
    }

    /// Returns a token of `realm` that covers `scopes` and is not about to expire. Concurrent calls with the same arguments
    /// share one request.
    async fn token(
        self: &Arc<Self>,
        realm: Realm,
        scopes: Scopes,
        repository: Option<RepositoryName>,
    ) -> Result<HeaderValue> {
        let key = (realm, scopes, repository);
        let begin = {
            let (inner, (realm, scopes, repository)) = (self.clone(), key.clone());
            move || async move {
                let known = {
                    let state = inner.state();
                    let token = state.tokens.find(&scopes, Some(&realm));
                    token
                        .filter(|token| !token.is_stale(Instant::now()))
                        .map(|token| token.header.clone())
                };
                match known {
                    Some(header) => Ok(header),
                    None => inner.request_token(realm, scopes, repository).await,
                }
            }
        };
        self.requests.join(key, begin).await
    }

    async fn request_token(
        self: &Arc<Self>,
        realm: Realm,
        scopes: Scopes,
        repository: Option<RepositoryName>,
    ) -> Result<HeaderValue> {
        let credential = self.credentials.get(repository.clone()).await?;
        if let Some(Credential::AccessToken(token)) = &credential {
            return bearer(token);
        }
        tracing::debug!(registry = %self.registry, %scopes, anonymous = credential.is_none(), "asks for a token");
        let asked = Instant::now();
        let response = self.ask(&realm, &scopes, credential.as_ref()).await?;
        if !response.status().is_success() {
            if matches!(
                response.status(),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST
            ) {
                self.credentials.forget(&repository);
            }
            return Err(refusal(&response, credential.as_ref()));
        }
        let granted = Granted::read(response.body())?;
        if let (Some(Credential::IdentityToken(_)), Some(next)) =
            (&credential, granted.refresh_token)
        {
            let next = Credential::IdentityToken(next);
            self.credentials.replace(repository.clone(), next);
        }
        self.state().tokens.insert(Token {
            header: granted.header.clone(),
            scopes,
            realm,
            repository,
            lifetime: granted.lifetime,
            expires: asked + granted.lifetime,
        });
        Ok(granted.header)
    }

    async fn ask(
        &self,
        realm: &Realm,
        scopes: &Scopes,
        credential: Option<&Credential>,
    ) -> Result<Response<Bytes>> {
        match credential {
            Some(Credential::Basic { username, password }) => {
                let request = realm.get(scopes, Some((username, password)))?;
                let response = self.server.send(request).await?;
                // The server supports OAuth2 only.
                if matches!(
                    response.status(),
                    StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
                ) {
                    let request = realm.post(scopes, Grant::Password(username, password))?;
                    return self.server.send(request).await;
                }
                Ok(response)
            }
            Some(Credential::IdentityToken(token)) => {
                let request = realm.post(scopes, Grant::RefreshToken(token))?;
                self.server.send(request).await
            }
            Some(Credential::AccessToken(_)) | None => {
                self.server.send(realm.get(scopes, None)?).await
            }
        }
    }

    /// Adds the registry and a hint to an error.
    fn explain(&self, error: Error) -> Error {
        let error = error
            .with_operation("authenticate")
            .with_subject(&self.registry);
        if error.kind() == ErrorKind::Unauthorized && error.hint().is_none() {
            let hint = log_in(&self.registry);
            return error.with_hint(hint);
        }
        error
    }
}

fn log_in(registry: &RegistryName) -> String {
    format!("log in with `tranship login {registry}`")
}
