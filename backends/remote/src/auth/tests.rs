//! What the parts do together, against a token server that is a closure.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{Method, Request};
use tokio::time::advance;

use super::*;
use crate::credentials::{NoCredentials, StaticCredentials};

const CHALLENGE: &str = r#"Bearer realm="https://auth.example/token",service="registry.example""#;

/// What the token server was asked: the method, and query and form together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    method: Method,
    text: String,
    authorization: Option<HeaderValue>,
}

type Answers = dyn Fn(usize, &Asked) -> (u16, String) + Send + Sync;

struct Server {
    asked: Mutex<Vec<Asked>>,
    answers: Box<Answers>,
}

#[async_trait]
impl TokenServer for Server {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>> {
        let form = String::from_utf8(request.body().to_vec()).expect("a form");
        let asked = Asked {
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
        let (status, body) = (self.answers)(count, &asked);
        let mut response = Response::new(body.into());
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        Ok(response)
    }
}

impl Server {
    fn new(answers: impl Fn(usize, &Asked) -> (u16, String) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            asked: Mutex::default(),
            answers: Box::new(answers),
        })
    }

    /// Gives the tokens t1, t2, … that live for `seconds`.
    fn counting(seconds: u64) -> Arc<Self> {
        Self::new(move |count, _| {
            let body = format!(r#"{{"token":"t{count}","expires_in":{seconds}}}"#);
            (200, body)
        })
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// Counts how often it is asked.
#[derive(Debug)]
struct Counting {
    credential: Option<Credential>,
    asked: Mutex<Vec<Option<String>>>,
}

impl Counting {
    fn new(credential: Option<Credential>) -> Arc<Self> {
        Arc::new(Self {
            credential,
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
        Ok(self.credential.clone())
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

async fn answer(authenticator: &Authenticator, text: &str, scopes: &Scopes) -> HeaderValue {
    let answer = authenticator.answer(&challenge(text), scopes, None).await;
    answer.expect("an answer").expect("something to send")
}

async fn sent(authenticator: &Authenticator, scopes: &Scopes) -> Option<HeaderValue> {
    authenticator.authorization(scopes).await.expect("no error")
}

#[tokio::test]
async fn nothing_is_sent_until_the_registry_asks() {
    let server = Server::counting(300);
    assert_eq!(sent(&authenticator(&server, user()), &pull()).await, None);
    assert_eq!(server.asked(), []);
}

#[tokio::test]
async fn a_basic_challenge_is_answered_and_the_answer_is_sent_from_then_on() {
    let server = Server::counting(300);
    let authenticator = authenticator(&server, user());
    let header = answer(&authenticator, "Basic realm=x", &pull()).await;
    assert_eq!(header, BASIC);
    assert!(header.is_sensitive());
    assert_eq!(sent(&authenticator, &push()).await.expect("known"), BASIC);
    assert_eq!(server.asked(), []);
}

#[tokio::test]
async fn without_credentials_a_basic_challenge_is_an_error_that_says_how_to_log_in() {
    let authenticator = anonymous(&Server::counting(300));
    let error = authenticator
        .answer(&challenge("Basic"), &pull(), None)
        .await
        .expect_err("no credentials");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(
        error.to_string(),
        "authenticate registry.example: the registry wants credentials"
    );
    assert_eq!(
        error.hint(),
        Some("log in with `tranship login registry.example`")
    );
}

#[tokio::test]
async fn credentials_that_were_just_refused_are_not_sent_again() {
    let authenticator = authenticator(&Server::counting(300), user());
    let first = answer(&authenticator, "Basic", &pull()).await;
    let error = authenticator
        .answer(&challenge("Basic"), &pull(), Some(&first))
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_token_is_no_answer_to_a_basic_challenge() {
    let token = Credential::IdentityToken("id".into());
    let error = authenticator(&Server::counting(300), token)
        .answer(&challenge("Basic"), &pull(), None)
        .await
        .expect_err("no password");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

#[tokio::test]
async fn bearer_is_chosen_before_basic_and_unknown_schemes_are_passed_over() {
    let server = Server::counting(300);
    let authenticator = authenticator(&server, user());
    let all = format!("Negotiate abc, Basic realm=x, {CHALLENGE}");
    assert_eq!(answer(&authenticator, &all, &pull()).await, "Bearer t1");
    let unknown = authenticator
        .answer(&challenge("Negotiate abc, Digest realm=x"), &pull(), None)
        .await;
    assert_eq!(unknown.expect("no error"), None);
}

#[tokio::test]
async fn bearer_without_a_realm_is_no_better_than_basic() {
    let server = Server::counting(300);
    let authenticator = authenticator(&server, user());
    assert_eq!(
        answer(&authenticator, "Bearer, Basic", &pull()).await,
        BASIC
    );
    let error = authenticator
        .answer(&challenge("Bearer"), &pull(), None)
        .await
        .expect_err("no realm");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

#[tokio::test]
async fn a_token_is_asked_for_anonymously_where_there_are_no_credentials() {
    let server = Server::counting(300);
    let text = format!("{CHALLENGE},scope=\"repository:a:pull\"");
    assert_eq!(
        answer(&anonymous(&server), &text, &pull()).await,
        "Bearer t1"
    );
    assert_eq!(
        server.asked(),
        [Asked {
            method: Method::GET,
            text: "service=registry.example&scope=repository%3Aa%3Apull".to_owned(),
            authorization: None,
        }]
    );
}

#[tokio::test]
async fn a_token_covers_what_is_needed_and_what_the_registry_names() {
    let server = Server::counting(300);
    let text = format!("{CHALLENGE},scope=\"repository:a:push repository:b:pull\"");
    answer(&authenticator(&server, user()), &text, &pull()).await;
    let [asked] = &server.asked()[..] else {
        panic!("asked once");
    };
    assert_eq!(
        asked.text,
        "service=registry.example&scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Ab%3Apull&account=user"
    );
    assert_eq!(asked.authorization.as_ref().expect("sent"), BASIC);
}

#[tokio::test]
async fn a_token_is_sent_again_for_whatever_it_covers() {
    let server = Server::counting(300);
    let authenticator = anonymous(&server);
    answer(&authenticator, CHALLENGE, &push()).await;
    let clone = authenticator.clone();
    assert_eq!(sent(&clone, &pull()).await.expect("a token"), "Bearer t1");
    let other = Scopes::parse("repository:b:pull");
    assert_eq!(sent(&clone, &other).await, None);
    assert_eq!(
        answer(&authenticator, CHALLENGE, &pull()).await,
        "Bearer t1"
    );
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_token_that_was_refused_is_replaced_once_for_all_who_sent_it() {
    let server = Server::counting(300);
    let authenticator = anonymous(&server);
    let old = answer(&authenticator, CHALLENGE, &pull()).await;
    for _ in 0..2 {
        let new = authenticator
            .answer(&challenge(CHALLENGE), &pull(), Some(&old))
            .await;
        assert_eq!(new.expect("an answer").expect("a token"), "Bearer t2");
    }
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_token_that_does_not_suffice_is_not_asked_for_again() {
    let text = format!("{CHALLENGE},scope=\"repository:a:pull\",error=\"insufficient_scope\"");
    for (credential, kind) in [
        (Some(user()), ErrorKind::Denied),
        (None, ErrorKind::Unauthorized),
    ] {
        let server = Server::counting(300);
        let authenticator =
            Authenticator::new(registry(), Counting::new(credential), server.clone());
        let token = answer(&authenticator, CHALLENGE, &pull()).await;
        let error = authenticator
            .answer(&challenge(&text), &pull(), Some(&token))
            .await
            .expect_err("not enough");
        assert_eq!(error.kind(), kind);
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_token_that_the_registry_wants_more_of_is_widened() {
    let server = Server::counting(300);
    let authenticator = anonymous(&server);
    let narrow = answer(&authenticator, CHALLENGE, &pull()).await;
    let text = format!("{CHALLENGE},scope=\"repository:a:push\",error=\"insufficient_scope\"");
    let wide = authenticator
        .answer(&challenge(&text), &pull(), Some(&narrow))
        .await;
    assert_eq!(wide.expect("an answer").expect("a token"), "Bearer t2");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_expires() {
    let server = Server::counting(300);
    let authenticator = anonymous(&server);
    answer(&authenticator, CHALLENGE, &push()).await;
    advance(Duration::from_secs(269)).await;
    assert_eq!(
        sent(&authenticator, &pull()).await.expect("fresh"),
        "Bearer t1"
    );
    advance(Duration::from_secs(1)).await;
    assert_eq!(
        sent(&authenticator, &pull()).await.expect("new"),
        "Bearer t2"
    );
    advance(Duration::from_secs(100_000)).await;
    assert_eq!(
        sent(&authenticator, &push()).await.expect("new"),
        "Bearer t3"
    );
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|one| *one == asked[0]));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_renewed_is_used_to_its_end_and_not_beyond() {
    let server = Server::new(|count, _| match count {
        1 => (200, r#"{"token":"t1","expires_in":100}"#.to_owned()),
        _ => (503, String::new()),
    });
    let authenticator = anonymous(&server);
    answer(&authenticator, CHALLENGE, &pull()).await;
    advance(Duration::from_secs(99)).await;
    assert_eq!(
        sent(&authenticator, &pull()).await.expect("old"),
        "Bearer t1"
    );
    advance(Duration::from_secs(1)).await;
    let error = authenticator
        .authorization(&pull())
        .await
        .expect_err("expired");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn callers_at_the_same_time_ask_once() {
    let server = Server::counting(300);
    let provider = Counting::new(Some(user()));
    let authenticator = Authenticator::new(registry(), provider.clone(), server.clone());
    let (a, b) = (pull(), Scopes::parse("repository:b:pull"));
    let headers = join_all((0..20).map(|n| {
        let scopes = if n % 2 == 0 { &a } else { &b };
        answer(&authenticator, CHALLENGE, scopes)
    }))
    .await;
    assert!(
        headers
            .iter()
            .step_by(2)
            .all(|header| *header == headers[0])
    );
    assert_ne!(headers[0], headers[1]);
    assert_eq!(server.asked().len(), 2);
    assert_eq!(provider.asked().len(), 2);
}

#[tokio::test]
async fn callers_at_the_same_time_look_for_credentials_once() {
    let provider = Counting::new(Some(user()));
    let authenticator = Authenticator::new(registry(), provider.clone(), Server::counting(300));
    let scopes = push();
    join_all((0..10).map(|_| answer(&authenticator, "Basic", &scopes))).await;
    assert_eq!(provider.asked(), [Some("a".to_owned())]);
}

#[tokio::test]
async fn a_token_server_that_refuses_is_an_error_and_the_next_call_asks_again() {
    let server = Server::new(|count, _| match count {
        1 => (
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}"#.to_owned(),
        ),
        _ => (200, r#"{"token":"t"}"#.to_owned()),
    });
    let provider = Counting::new(Some(user()));
    let authenticator = Authenticator::new(registry(), provider.clone(), server);
    let error = authenticator
        .answer(&challenge(CHALLENGE), &pull(), None)
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(error.registry_errors()[0].message, "no");
    assert!(error.hint().is_some());
    assert_eq!(answer(&authenticator, CHALLENGE, &pull()).await, "Bearer t");
    // Another program may have logged in meanwhile.
    assert_eq!(provider.asked().len(), 2);
}

#[tokio::test]
async fn an_identity_token_is_exchanged_and_its_successor_is_shown_next() {
    let server = Server::new(|count, _| {
        let body = format!(r#"{{"access_token":"t{count}","refresh_token":"r{count}"}}"#);
        (200, body)
    });
    let authenticator = authenticator(&server, Credential::IdentityToken("r0".into()));
    let first = answer(&authenticator, CHALLENGE, &pull()).await;
    assert_eq!(first, "Bearer t1");
    let second = authenticator
        .answer(&challenge(CHALLENGE), &pull(), Some(&first))
        .await;
    assert_eq!(second.expect("an answer").expect("a token"), "Bearer t2");
    let asked = server.asked();
    for (asked, token) in asked.iter().zip(["r0", "r1"]) {
        assert_eq!(asked.method, Method::POST);
        assert_eq!(asked.authorization, None);
        assert_eq!(
            asked.text,
            format!(
                "grant_type=refresh_token&refresh_token={token}&client_id=tranship&service=registry.example&scope=repository%3Aa%3Apull"
            )
        );
    }
}

#[tokio::test]
async fn a_server_that_knows_oauth2_only_is_shown_the_password_in_a_form() {
    for status in [404, 405] {
        let server = Server::new(move |_, asked| match asked.method {
            Method::GET => (status, String::new()),
            _ => (200, r#"{"access_token":"t"}"#.to_owned()),
        });
        let authenticator = authenticator(&server, user());
        assert_eq!(answer(&authenticator, CHALLENGE, &pull()).await, "Bearer t");
        let asked = server.asked();
        assert_eq!(asked.len(), 2);
        assert!(
            asked[1]
                .text
                .starts_with("grant_type=password&username=user&password=hunter2&")
        );
    }
}

#[tokio::test]
async fn an_access_token_goes_to_the_registry_as_it_is() {
    let server = Server::counting(300);
    let authenticator = authenticator(&server, Credential::AccessToken("given".into()));
    let header = answer(&authenticator, CHALLENGE, &pull()).await;
    assert_eq!(header, "Bearer given");
    assert!(header.is_sensitive());
    assert_eq!(
        sent(&authenticator, &pull()).await.expect("known"),
        "Bearer given"
    );
    let error = authenticator
        .answer(&challenge(CHALLENGE), &pull(), Some(&header))
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(server.asked(), []);
}

#[tokio::test]
async fn a_registry_may_change_its_scheme() {
    let server = Server::counting(300);
    let authenticator = authenticator(&server, user());
    let token = answer(&authenticator, CHALLENGE, &pull()).await;
    let basic = authenticator
        .answer(&challenge("Basic"), &pull(), Some(&token))
        .await;
    assert_eq!(basic.expect("an answer").expect("credentials"), BASIC);
    assert_eq!(sent(&authenticator, &pull()).await.expect("known"), BASIC);
    answer(&authenticator, CHALLENGE, &pull()).await;
    let header = sent(&authenticator, &pull()).await.expect("a token");
    assert!(header.as_bytes().starts_with(b"Bearer "));
}

#[tokio::test]
async fn dropping_the_first_caller_does_not_strand_the_others() {
    let server = Server::counting(300);
    let authenticator = anonymous(&server);
    let spawn = || {
        let authenticator = authenticator.clone();
        tokio::spawn(async move { answer(&authenticator, CHALLENGE, &pull()).await })
    };
    let (first, second) = (spawn(), spawn());
    while server.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert_eq!(second.await.expect("joined"), "Bearer t1");
    assert_eq!(server.asked().len(), 1);
}
