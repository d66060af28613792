//! What the parts do together, against a token server that is a closure.

mod challenges;
mod tokens;

use std::sync::Mutex;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{Method, Request};

use super::*;
use crate::credentials::{NoCredentials, StaticCredentials};

const CHALLENGE: &str = r#"Bearer realm="https://auth.example/token",service="registry.example""#;

/// What the token server was asked: the method, and query and form together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TokenRequest {
    method: Method,
    text: String,
    authorization: Option<HeaderValue>,
}

type Responses = dyn Fn(usize, &TokenRequest) -> (u16, String) + Send + Sync;

struct Server {
    asked: Mutex<Vec<TokenRequest>>,
    responses: Box<Responses>,
}

#[async_trait]
impl TokenServer for Server {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>> {
        let form = String::from_utf8(request.body().to_vec()).expect("a form");
        let asked = TokenRequest {
            method: request.method().clone(),
            text: request.uri().query().unwrap_or("").to_owned() + &form,
            authorization: request.headers().get(AUTHORIZATION).cloned(),
        };
        let count = {
            let mut all = self.asked.lock().expect("no panic");
            all.push(asked.clone());
            all.len()
        };
        // Long enough for others to come.
        tokio::task::yield_now().await;
        let (status, body) = (self.responses)(count, &asked);
        let mut response = Response::new(body.into());
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        Ok(response)
    }
}

impl Server {
    fn new(
        responses: impl Fn(usize, &TokenRequest) -> (u16, String) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            asked: Mutex::default(),
            responses: Box::new(responses),
        })
    }

    /// Gives the tokens t1, t2, … that live for `seconds`.
    fn counting(seconds: u64) -> Arc<Self> {
        Self::new(move |count, _| {
            let body = format!(r#"{{"token":"t{count}","expires_in":{seconds}}}"#);
            (200, body)
        })
    }

    fn asked(&self) -> Vec<TokenRequest> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// Counts how often it is asked.
#[derive(Debug)]
struct Counting {
    credential: Mutex<Option<Credential>>,
    asked: Mutex<Vec<Option<String>>>,
}

impl Counting {
    fn set(&self, credential: Credential) {
        *self.credential.lock().expect("no panic") = Some(credential);
    }

    fn new(credential: Option<Credential>) -> Arc<Self> {
        Arc::new(Self {
            credential: Mutex::new(credential),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> Vec<Option<String>> {
        self.asked.lock().expect("no panic").clone()
    }
}

#[async_trait]
impl CredentialProvider for Counting {
    async fn credential(
        &self,
        _registry: &RegistryName,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>> {
        let repository = repository.map(ToString::to_string);
        self.asked.lock().expect("no panic").push(repository);
        tokio::task::yield_now().await;
        Ok(self.credential.lock().expect("no panic").clone())
    }
}

fn registry() -> RegistryName {
    "registry.example".parse().expect("a registry name")
}

fn anonymous(server: &Arc<Server>) -> Authenticator {
    Authenticator::new(registry(), Arc::new(NoCredentials), server.clone())
}

fn authenticator(server: &Arc<Server>, credential: Credential) -> Authenticator {
    let credentials = StaticCredentials::new(registry(), credential);
    Authenticator::new(registry(), Arc::new(credentials), server.clone())
}

fn user() -> Credential {
    Credential::basic("user", "hunter2")
}

const BASIC: &str = "Basic dXNlcjpodW50ZXIy";

fn challenge(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(WWW_AUTHENTICATE, text.parse().expect("a header value"));
    headers
}

fn pull() -> Scopes {
    Scopes::parse("repository:a:pull")
}

fn push() -> Scopes {
    Scopes::parse("repository:a:pull,push")
}

async fn authorize(authenticator: &Authenticator, text: &str, scopes: &Scopes) -> HeaderValue {
    let header = authenticator.respond(&challenge(text), scopes, None).await;
    header.expect("a response").expect("something to send")
}

impl Authenticator {
    /// Takes up a challenge that came in response to a request with `sent`, and meets it.
    async fn respond(
        &self,
        headers: &HeaderMap,
        scopes: &Scopes,
        sent: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>> {
        match self.challenge(headers, scopes, sent, false) {
            Some(challenge) => self.authorize(challenge, scopes, sent).await.map(Some),
            None => Ok(None),
        }
    }
}

async fn sent(authenticator: &Authenticator, scopes: &Scopes) -> Option<HeaderValue> {
    authenticator.authorization(scopes).await.expect("no error")
}
