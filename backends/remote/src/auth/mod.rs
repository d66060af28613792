//! Authentication: what to send to a registry so that it answers, and what to do when it does not.

mod cache;
mod challenge;
mod flight;
mod refusal;
mod scope;
#[cfg(test)]
mod tests;
mod token;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tokio::time::Instant;
use tranship::{Error, ErrorKind, RegistryName, RepositoryName, Result};

use self::cache::{Token, TokenCache};
use self::challenge::Challenge;
use self::flight::Flights;
pub(crate) use self::refusal::Asked;
use self::refusal::refusal;
pub(crate) use self::scope::{Scope, Scopes};
pub(crate) use self::token::TokenServer;
use self::token::{Grant, Granted, Realm, basic, bearer};
use crate::credentials::{Credential, CredentialProvider};

/// Credentials are looked up for each repository, since Podman keeps them so. More than that are
/// asked for again.
const MOST_CREDENTIALS: usize = 256;

/// Knows how to authenticate with one registry. Clones share what it has learnt.
#[derive(Clone)]
pub(crate) struct Authenticator {
    inner: Arc<Inner>,
}

struct Inner {
    registry: RegistryName,
    provider: Arc<dyn CredentialProvider>,
    server: Arc<dyn TokenServer>,
    state: Mutex<State>,
    lookups: Flights<Option<RepositoryName>, Option<Credential>>,
    requests: Flights<(Realm, Scopes, Option<RepositoryName>), HeaderValue>,
}

/// What was learnt. The registry's answers decide; the last one counts.
#[derive(Default)]
struct State {
    scheme: Option<Scheme>,
    tokens: TokenCache,
    credentials: HashMap<Option<RepositoryName>, Option<Credential>>,
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
                registry,
                provider,
                server,
                state: Mutex::default(),
                lookups: Flights::default(),
                requests: Flights::default(),
            }),
        }
    }

    /// What to send with a request that needs `scopes`, before the registry asks for anything:
    /// `None` until it has asked once. A token that is about to expire is renewed first.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// If a token has expired and there is no new one.
    pub(crate) async fn authorization(&self, scopes: &Scopes) -> Result<Option<HeaderValue>> {
        let inner = &self.inner;
        let repository = scopes.repository();
        let (scheme, token, credential) = {
            let state = inner.state();
            (
                state.scheme,
                state.tokens.find(scopes, None).cloned(),
                state.credentials.get(&repository).cloned().flatten(),
            )
        };
        match (scheme, credential) {
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

    /// Takes up the best of the challenges in the header of a 401; `None` if none can be met, and the
    /// 401 is the last word.
    ///
    /// `sent` is what was refused, and `is_new` whether it was obtained for this very request. A token
    /// that is new and was granted for all that is wanted would be granted in the same way again, so a
    /// registry that refuses it has decided. One that calls it invalid has not: others may have used it up.
    pub(crate) fn challenge(
        &self,
        headers: &HeaderMap,
        scopes: &Scopes,
        sent: Option<&HeaderValue>,
        is_new: bool,
    ) -> Option<Challenged> {
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
            _ => basic.then_some(Challenged::Basic),
        }
    }

    /// Whether there are credentials to show to the registry. That they cannot be looked up is left to the
    /// request that needs them.
    ///
    /// Cancel safe.
    pub(crate) async fn has_credentials(&self, scopes: &Scopes) -> bool {
        match self.inner.credential(scopes.repository()).await {
            Ok(credential) => credential.is_some(),
            Err(error) => {
                tracing::debug!(registry = %self.inner.registry, %error, "credentials cannot be looked up");
                false
            }
        }
    }

    /// Goes back to anonymous requests until the registry asks for more.
    pub(crate) fn forget(&self) {
        let mut state = self.inner.state();
        state.scheme = None;
        state.credentials.clear();
    }

    /// What to send after a 401, in answer to what [`challenge`](Self::challenge) has taken up.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// - [`ErrorKind::Unauthorized`] if there are no credentials, or they are wrong.
    /// - [`ErrorKind::Denied`] if the user may not do that.
    /// - As the token server and the provider of credentials.
    pub(crate) async fn answer(
        &self,
        challenged: Challenged,
        scopes: &Scopes,
        sent: Option<&HeaderValue>,
    ) -> Result<HeaderValue> {
        let inner = &self.inner;
        let answered = match challenged {
            Challenged::Basic => inner.answer_basic(scopes, sent).await,
            Challenged::Bearer(asked) => inner.answer_bearer(asked, scopes, sent).await,
        };
        answered.map_err(|error| inner.explain(error))
    }
}

/// A challenge that can be met.
pub(crate) enum Challenged {
    Basic,
    Bearer(TokenAsked),
}

/// What a registry wants a token for, and from where.
pub(crate) struct TokenAsked {
    challenge: Challenge,
    wanted: Scopes,
    /// Whether the token that was refused had all the scopes that are wanted, as far as was granted.
    is_insufficient: bool,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer_basic(
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
    ) -> Option<Challenged> {
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
        Some(Challenged::Bearer(TokenAsked {
            challenge,
            wanted,
            is_insufficient,
        }))
    }

    async fn answer_bearer(
        self: &Arc<Self>,
        asked: TokenAsked,
        scopes: &Scopes,
        sent: Option<&HeaderValue>,
    ) -> Result<HeaderValue> {
        let repository = scopes.repository();
        match self.shown(Scheme::Bearer, &repository, sent).await? {
            Some(header) if sent != Some(&header) => return Ok(header),
            Some(_) => return Err(self.refused(&repository, "the registry refuses the token")),
            None => {}
        }
        // The token server left out what the user may not do; it would do so again.
        if asked.is_insufficient {
            return Err(match self.credential(repository.clone()).await? {
                Some(_) => Error::new(ErrorKind::Denied, "the user may not do that"),
                None => self.refused(&repository, "anonymous users may not do that"),
            });
        }
        let realm = Realm::of(&asked.challenge)?;
        self.token(realm, asked.wanted, repository).await
    }

    /// The header that shows the registry the credential itself, if there is one of the kind that
    /// goes with the scheme. If it is what was `sent`, the provider is asked anew: passwords of cloud
    /// registries live for some hours.
    async fn shown(
        self: &Arc<Self>,
        scheme: Scheme,
        repository: &Option<RepositoryName>,
        sent: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>> {
        let credential = self.credential(repository.clone()).await?;
        let header = scheme.show(credential.as_ref())?;
        if header.is_none() || header.as_ref() != sent {
            return Ok(header);
        }
        self.state().credentials.remove(repository);
        let credential = self.credential(repository.clone()).await?;
        scheme.show(credential.as_ref())
    }

    /// The error for credentials that are missing or wrong. By the time of the next request there
    /// may be others.
    fn refused(&self, repository: &Option<RepositoryName>, why: &'static str) -> Error {
        self.state().credentials.remove(repository);
        Error::new(ErrorKind::Unauthorized, why)
    }

    /// The token, or a new one if it is about to expire.
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
            // It will do, and asking again and again would only delay what it is good for.
            Err(error) if !token.is_expired(Instant::now()) => {
                tracing::debug!(registry = %self.registry, %error, "a token is not renewed");
                self.state().tokens.keep_to_its_end(&token.header);
                Ok(token.header)
            }
            result => result,
        }
    }

    /// A token of `realm` that covers `scopes` and has some time to live. Whoever asks for the
    /// same at the same time gets the same.
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
        let credential = self.credential(repository.clone()).await?;
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
                self.state().credentials.remove(&repository);
            }
            return Err(refusal(&response, credential.as_ref()));
        }
        let granted = Granted::read(response.body())?;
        let mut state = self.state();
        if let (Some(Credential::IdentityToken(_)), Some(next)) =
            (&credential, granted.refresh_token)
        {
            let next = Some(Credential::IdentityToken(next));
            state.credentials.insert(repository.clone(), next);
        }
        state.tokens.insert(Token {
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
                // A server that knows OAuth2 only.
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

    /// The credential for `repository`, which is asked for once and kept until it is refused.
    async fn credential(
        self: &Arc<Self>,
        repository: Option<RepositoryName>,
    ) -> Result<Option<Credential>> {
        if let Some(known) = self.state().credentials.get(&repository) {
            return Ok(known.clone());
        }
        let begin = {
            let (inner, repository) = (self.clone(), repository.clone());
            move || async move {
                let (registry, provider) = (&inner.registry, &inner.provider);
                let credential = provider.credential(registry, repository.as_ref()).await?;
                let mut state = inner.state();
                if state.credentials.len() >= MOST_CREDENTIALS {
                    state.credentials.clear();
                }
                state.credentials.insert(repository, credential.clone());
                Ok(credential)
            }
        };
        self.lookups.join(repository, begin).await
    }

    /// Says which registry it was, and what can be done about it.
    fn explain(&self, error: Error) -> Error {
        let error = error
            .with_operation("authenticate")
            .with_subject(&self.registry);
        if error.kind() == ErrorKind::Unauthorized && error.hint().is_none() {
            let hint = format!("log in with `tranship login {}`", self.registry);
            return error.with_hint(hint);
        }
        error
    }
}
