//! Tokens of OpenID Connect issuers, such as CI services.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tranship::{Error, ErrorKind, Result};
use tranship_server::{
    Access, FetchDocument, OidcIssuer, OidcRule, ServerOptions, TokenKey, TokenOptions,
};

use crate::access::send;
use crate::client::Client;
use crate::token_service::{SigningKey, now};
use crate::tokens::{bear, text};

const ISSUER: &str = "https://ci.example";
const TARGET: &str = "/v2/acme/app/manifests/v1";

/// The documents of an issuer, and how often they were fetched.
#[derive(Debug, Default)]
struct Documents {
    by_url: HashMap<String, String>,
    fetched: AtomicUsize,
    is_down: AtomicBool,
}

impl FetchDocument for Documents {
    fn fetch<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(async move {
            self.fetched.fetch_add(1, Ordering::SeqCst);
            let document = self.by_url.get(url).cloned();
            match document.filter(|_| !self.is_down.load(Ordering::SeqCst)) {
                Some(document) => Ok(document.into()),
                None => Err(Error::new(ErrorKind::Unavailable, "the issuer is down")),
            }
        })
    }
}

fn documents(discovery: &Value, key: &SigningKey) -> Arc<Documents> {
    let mut jwk = key.jwk();
    jwk["kid"] = "one".into();
    let by_url = HashMap::from([
        (
            format!("{ISSUER}/.well-known/openid-configuration"),
            discovery.to_string(),
        ),
        (format!("{ISSUER}/keys"), json!({"keys": [jwk]}).to_string()),
    ]);
    Arc::new(Documents {
        by_url,
        ..Documents::default()
    })
}

fn discovery() -> Value {
    json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/keys")})
}

async fn serve(documents: Arc<Documents>) -> Client {
    let claims = [("repository", "acme/*"), ("ref", "refs/heads/main")];
    let rule = OidcRule::new(claims, ["acme/**:rw".parse().expect("a grant")]);
    let issuer = OidcIssuer::new(ISSUER, "registry.example", documents).expect("an issuer");
    let key = TokenKey::generate().expect("a key");
    let access = Access::default()
        .with_oidc(issuer.with_rule(rule.expect("a rule")))
        .with_tokens(key, TokenOptions::default());
    Client::with(ServerOptions::default().with_access(access)).await
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "registry.example", "sub": "repo:acme/app", "exp": now() + 120,
        "repository": "acme/app", "ref": "refs/heads/main",
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[field] = value;
    claims
}

fn sign(key: &SigningKey, claims: &Value) -> String {
    key.sign(&json!({"alg": "ES256", "kid": "one"}), claims)
}

#[tokio::test]
async fn a_job_pushes_with_its_token() {
    let key = SigningKey::generate();
    let documents = documents(&discovery(), &key);
    let client = serve(Arc::clone(&documents)).await;
    let token = sign(&key, &claims());
    bear(&client, "PUT", TARGET, &token).await.is(201);
    let credentials = format!("any:{token}");
    send(&client, "GET", TARGET, &credentials).await.is(200);
    let refused = bear(&client, "GET", "/v2/other/manifests/v1", &token).await;
    refused.fails(403, "DENIED");

    let scope = "/v2/auth/token?scope=repository:acme/app:pull,push&scope=repository:other:pull\
                 &scope=registry:catalog:*";
    let issued = send(&client, "GET", scope, &credentials).await;
    let lifetime = issued.is(200).json()["expires_in"].as_u64();
    assert!(lifetime.is_some_and(|seconds| (60..=120).contains(&seconds)));
    let exchanged = text(&issued, "token");
    bear(&client, "PUT", TARGET, &exchanged).await.is(201);
    let refused = bear(&client, "DELETE", TARGET, &exchanged).await;
    refused.fails(401, "UNAUTHORIZED");
    // It would list repositories that the rule does not mention.
    let refused = bear(&client, "GET", "/v2/_catalog", &exchanged).await;
    refused.fails(401, "UNAUTHORIZED");
    // The discovery document and the keys, once.
    assert_eq!(documents.fetched.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_token_that_no_rule_matches_is_refused() {
    let key = SigningKey::generate();
    let client = serve(documents(&discovery(), &key)).await;
    for claims in [
        with("repository", json!("other/app")),
        with("repository", Value::Null),
        with("ref", json!("refs/pull/1/merge")),
        with("aud", json!("other")),
        with("iss", json!("https://other.example")),
        with("exp", json!(now() - 90)),
    ] {
        let token = sign(&key, &claims);
        bear(&client, "GET", TARGET, &token)
            .await
            .fails(401, "UNAUTHORIZED");
        let credentials = format!("any:{token}");
        let refused = send(&client, "GET", "/v2/auth/token", &credentials).await;
        refused.fails(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn unknown_keys_do_not_cause_requests_to_the_issuer() {
    let (key, other) = (SigningKey::generate(), SigningKey::generate());
    let documents = documents(&discovery(), &key);
    let client = serve(Arc::clone(&documents)).await;
    let unknown = other.sign(&json!({"alg": "ES256", "kid": "two"}), &claims());
    let attempts = (0..20).map(|_| bear(&client, "GET", TARGET, &unknown));
    for refused in futures_util::future::join_all(attempts).await {
        refused.fails(401, "UNAUTHORIZED");
    }
    assert_eq!(documents.fetched.load(Ordering::SeqCst), 2);
    // The keys that were fetched are used while the issuer is down.
    documents.is_down.store(true, Ordering::SeqCst);
    bear(&client, "PUT", TARGET, &sign(&key, &claims()))
        .await
        .is(201);
}

#[tokio::test]
async fn a_discovery_document_that_is_not_valid_is_refused() {
    let key = SigningKey::generate();
    for discovery in [
        json!({"issuer": "https://other.example", "jwks_uri": format!("{ISSUER}/keys")}),
        json!({"issuer": ISSUER, "jwks_uri": "http://ci.example/keys"}),
        json!({"issuer": ISSUER}),
        Value::Null,
    ] {
        let client = serve(documents(&discovery, &key)).await;
        let refused = bear(&client, "GET", TARGET, &sign(&key, &claims())).await;
        refused.fails(401, "UNAUTHORIZED");
    }
    let none = documents(&discovery(), &key);
    for issuer in ["http://ci.example", "ci.example", "ftp://ci.example", ""] {
        let opened = OidcIssuer::new(issuer, "registry.example", none.clone());
        opened.expect_err(issuer);
    }
    for issuer in [
        "http://127.0.0.1:8080",
        "http://localhost",
        "https://ci.example/a",
    ] {
        OidcIssuer::new(issuer, "registry.example", none.clone()).expect(issuer);
    }
}
