//! Tokens of an external token service.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use tranship::layers::CacheOptions;
use tranship::{Digest, ErrorKind};
use tranship_memory::MemoryRegistry;
use tranship_server::{Access, Mirror, Mirrors, ServerOptions, TokenService};

use crate::client::Client;
use crate::tokens::{bear, challenge};

const TARGET: &str = "/v2/team/app/manifests/v1";

/// A key of a token service.
pub(crate) struct SigningKey(KeyPair);

impl SigningKey {
    pub(crate) fn generate() -> Self {
        Self(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key"))
    }

    /// The public key as a JSON Web Key.
    pub(crate) fn jwk(&self) -> Value {
        let point = self.0.public_key_raw();
        let [x, y] = [&point[1..33], &point[33..]].map(|part| URL_SAFE_NO_PAD.encode(part));
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
    }

    fn thumbprint(&self) -> String {
        let key = self.jwk();
        let (x, y) = (&key["x"], &key["y"]);
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":{x},"y":{y}}}"#);
        URL_SAFE_NO_PAD.encode(Digest::of(canonical.as_bytes()).as_bytes())
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let random = SystemRandom::new();
        let key = self.0.serialize_der();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key, &random);
        let signature = key.expect("a key").sign(&random, signed.as_bytes());
        let signature = signature.expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The seconds since 1970.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("in range")
}

/// Claims that let `ann` pull from and push to `team/app`.
fn claims() -> Value {
    let now = now();
    json!({
        "iss": "issuer", "aud": "registry", "sub": "ann", "jti": "1",
        "iat": now, "nbf": now, "exp": now + 300,
        "access": [{"type": "repository", "name": "team/app", "actions": ["pull", "push"]}],
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[field] = value;
    claims
}

async fn serve(directory: &Path, keys: &[u8]) -> Client {
    let path = directory.join("keys");
    std::fs::write(&path, keys).expect("written");
    let realm = "https://auth.example/token";
    let service = TokenService::open(realm, "registry", "issuer", path).await;
    let access = Access::default().with_token_service(service.expect("a service"));
    Client::with(ServerOptions::default().with_access(access)).await
}

/// A server that trusts `key` by a set of keys, under the id `one`.
async fn trusting(directory: &Path, key: &SigningKey) -> Client {
    let mut jwk = key.jwk();
    jwk["kid"] = "one".into();
    let set = json!({"keys": [{"kty": "oct", "k": "AAAA"}, jwk]});
    serve(directory, set.to_string().as_bytes()).await
}

#[tokio::test]
async fn a_token_says_what_its_bearer_may_do() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = SigningKey::generate();
    let client = trusting(directory.path(), &key).await;
    let realm = "Bearer realm=\"https://auth.example/token\",service=\"registry\"";
    assert_eq!(challenge(&client.get("/v2/").await), realm);
    let token = key.sign(&json!({"alg": "ES256", "kid": "one"}), &claims());
    bear(&client, "GET", "/v2/", &token).await.is(200);
    bear(&client, "PUT", TARGET, &token).await.is(201);
    bear(&client, "GET", TARGET, &token).await.is(200);
    for (method, target, scope) in [
        ("DELETE", TARGET, "repository:team/app:delete"),
        ("GET", "/v2/other/manifests/v1", "repository:other:pull"),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
    ] {
        let refused = bear(&client, method, target, &token).await;
        let expected = format!("{realm},scope=\"{scope}\",error=\"insufficient_scope\"");
        assert_eq!(challenge(&refused), expected);
    }
    let all = json!([
        {"type": "repository", "name": "team/app", "actions": ["*"]},
        {"type": "registry", "name": "catalog", "actions": ["*"]},
    ]);
    let token = key.sign(&json!({"alg": "ES256", "kid": "one"}), &with("access", all));
    let list = bear(&client, "GET", "/v2/_catalog", &token).await;
    assert_eq!(list.is(200).json()["repositories"], json!(["team/app"]));
    bear(&client, "DELETE", TARGET, &token).await.is(202);
}

#[tokio::test]
async fn a_key_is_found_by_each_kind_of_id() {
    let directory = tempfile::tempdir().expect("a directory");
    let root_key = SigningKey::generate();
    let mut root = CertificateParams::new(Vec::new()).expect("parameters");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = root.self_signed(&root_key.0).expect("a certificate");
    let client = serve(directory.path(), certificate.pem().as_bytes()).await;

    let leaf_key = SigningKey::generate();
    let leaf = CertificateParams::new(vec!["auth.example".to_owned()]).expect("parameters");
    let leaf = leaf.signed_by(&leaf_key.0, &Issuer::from_params(&root, &root_key.0));
    let chain = [STANDARD.encode(leaf.expect("a certificate").der())];
    let (by_id, mut embedded, mut chained) =
        (root_key.thumbprint(), root_key.jwk(), leaf_key.jwk());
    embedded["kid"] = by_id.clone().into();
    chained["x5c"] = json!(chain);
    for (key, header) in [
        (&root_key, json!({"alg": "ES256", "kid": by_id})),
        (&root_key, json!({"alg": "ES256", "jwk": embedded})),
        (&leaf_key, json!({"alg": "ES256", "x5c": chain})),
        (&leaf_key, json!({"alg": "ES256", "jwk": chained})),
    ] {
        let token = key.sign(&header, &claims());
        bear(&client, "PUT", TARGET, &token).await.is(201);
    }

    // Anyone can embed a key, refer to another one, or send a chain that leads elsewhere.
    let other = SigningKey::generate();
    let own = CertificateParams::new(vec!["auth.example".to_owned()]).expect("parameters");
    let own = STANDARD.encode(own.self_signed(&other.0).expect("a certificate").der());
    let mut forged = other.jwk();
    forged["kid"] = by_id.clone().into();
    for header in [
        json!({"alg": "ES256", "jwk": other.jwk()}),
        json!({"alg": "ES256", "jwk": forged}),
        json!({"alg": "ES256", "kid": by_id}),
        json!({"alg": "ES256", "x5c": [own]}),
        json!({"alg": "ES256", "x5c": chain}),
        json!({"alg": "ES256", "x5c": []}),
        json!({"alg": "ES256", "x5c": ["AAAA"]}),
        json!({"alg": "ES256"}),
    ] {
        let token = other.sign(&header, &claims());
        let refused = bear(&client, "PUT", TARGET, &token).await;
        let challenge = challenge(&refused);
        assert!(
            challenge.ends_with("error=\"invalid_token\""),
            "{header}: {challenge}"
        );
    }
}

#[tokio::test]
async fn claims_must_be_as_expected_and_in_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = SigningKey::generate();
    let client = trusting(directory.path(), &key).await;
    let sign = |claims: &Value| key.sign(&json!({"alg": "ES256", "kid": "one"}), claims);
    // Clocks may differ by a minute.
    for claims in [
        with("exp", json!(now() - 30)),
        with("nbf", json!(now() + 30)),
        with("aud", json!(["other", "registry"])),
        with("sub", json!("")),
    ] {
        bear(&client, "PUT", TARGET, &sign(&claims)).await.is(201);
    }
    for claims in [
        with("exp", json!(now() - 90)),
        with("exp", Value::Null),
        with("nbf", json!(now() + 90)),
        with("aud", json!("other")),
        with("aud", Value::Null),
        with("iss", json!("other")),
        with("iss", Value::Null),
    ] {
        let refused = bear(&client, "PUT", TARGET, &sign(&claims)).await;
        assert!(
            challenge(&refused).ends_with("error=\"invalid_token\""),
            "{claims}"
        );
    }
    for access in [json!([]), Value::Null] {
        let refused = bear(&client, "PUT", TARGET, &sign(&with("access", access))).await;
        assert!(challenge(&refused).ends_with("error=\"insufficient_scope\""));
    }
}

#[tokio::test]
async fn an_algorithm_with_a_shared_secret_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = SigningKey::generate();
    let client = trusting(directory.path(), &key).await;
    let point = key.0.public_key_raw();
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    for algorithm in ["HS256", "none", "ES384"] {
        let header = json!({"alg": algorithm, "kid": "one"});
        let signed = format!("{}.{}", encode(&header), encode(&claims()));
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, point);
        let signature = ring::hmac::sign(&secret, signed.as_bytes());
        for signature in [URL_SAFE_NO_PAD.encode(signature), String::new()] {
            let token = format!("{signed}.{signature}");
            let refused = bear(&client, "GET", TARGET, &token).await;
            assert!(challenge(&refused).starts_with("Bearer "));
        }
    }
}

#[tokio::test]
async fn a_service_without_usable_settings_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys");
    let set = json!({"keys": [SigningKey::generate().jwk()]}).to_string();
    std::fs::write(&path, &set).expect("written");
    for (realm, service) in [
        ("auth.example", "registry"),
        ("ftp://auth.example", "registry"),
        ("https://auth.example", "a\"b"),
    ] {
        let opened = TokenService::open(realm, service, "issuer", &path).await;
        assert_eq!(opened.expect_err(realm).kind(), ErrorKind::InvalidInput);
    }
    for keys in [
        "",
        "{}",
        r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#,
        "-----BEGIN",
    ] {
        std::fs::write(&path, keys).expect("written");
        let opened = TokenService::open("https://auth.example", "a", "issuer", &path).await;
        assert_eq!(opened.expect_err(keys).kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn the_service_is_asked_for_the_repository_of_the_fallback() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, key) = (directory.path().join("keys"), SigningKey::generate());
    let mut jwk = key.jwk();
    jwk["kid"] = "one".into();
    std::fs::write(&path, json!({"keys": [jwk]}).to_string()).expect("written");
    let service = TokenService::open("https://auth.example", "registry", "issuer", path).await;
    let access = Access::default().with_token_service(service.expect("a service"));
    let upstream = Arc::new(MemoryRegistry::new());
    let mirror = Mirror::new("docker.io", upstream).expect("a mirror");
    let local = Arc::new(MemoryRegistry::new());
    let mirrors = Mirrors::new(local, vec![mirror], CacheOptions::default()).expect("mirrors");
    let mirrors = Arc::new(mirrors.with_fallback("docker.io").expect("a fallback"));
    let options = ServerOptions::default().with_mirrors(Arc::clone(&mirrors));
    let client = Client::of(mirrors, options.with_access(access)).await;

    let target = "/v2/alpine/manifests/v1";
    let refused = client.get(target).await;
    let scopes = "repository:alpine:pull repository:docker.io/library/alpine:pull";
    let asked = challenge(&refused);
    assert!(asked.contains(&format!("scope=\"{scopes}\"")), "{asked}");
    let granted = json!([
        {"type": "repository", "name": "docker.io/library/alpine", "actions": ["pull"]},
    ]);
    let token = key.sign(
        &json!({"alg": "ES256", "kid": "one"}),
        &with("access", granted),
    );
    bear(&client, "GET", target, &token).await.is(404);
}
