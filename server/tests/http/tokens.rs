//! Tokens: the challenge, the endpoint that issues them, and their use.

use tempfile::TempDir;
use tranship_server::{Access, NamePattern, Permission, ServerOptions, TokenKey, TokenOptions};

use crate::access::{send, users};
use crate::client::{Client, INDEX, Reply, index};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const PULL: &str = "/v2/auth/token?service=tranship&scope=repository:public/app:pull";

/// Access of `ann` to everything, of `bob` to `team/**` for reading, and of every caller to `public/**` for reading.
async fn granted() -> (TempDir, Access) {
    let (directory, access) = users().await;
    let pattern = |text: &str| text.parse::<NamePattern>().expect("a pattern");
    let access = access
        .with_anonymous_read(pattern("public/**"))
        .with_grant("ann", NamePattern::all(), Permission::Write)
        .with_grant("bob", pattern("team/**"), Permission::Read);
    (directory, access)
}

async fn client(access: Access) -> Client {
    Client::with(ServerOptions::default().with_access(access)).await
}

/// A server that issues tokens, and has the image `v1` in `public/app` and in `team/app`.
async fn with_tokens() -> (TempDir, Client) {
    let (directory, access) = granted().await;
    let key = TokenKey::generate().expect("a key");
    let client = client(access.with_tokens(key, TokenOptions::default())).await;
    for name in ["public/app", "team/app"] {
        let target = format!("/v2/{name}/manifests/v1");
        send(&client, "PUT", &target, "ann:nna").await.is(201);
    }
    (directory, client)
}

/// Sends a request with a token.
pub(crate) async fn bear(client: &Client, method: &str, target: &str, token: &str) -> Reply {
    let token = format!("Bearer {token}");
    let headers = [("Authorization", &*token), ("Content-Type", INDEX)];
    client.send(method, target, &headers, &index("x")).await
}

async fn token(client: &Client, user: Option<&str>, scopes: &[&str]) -> String {
    let scopes: Vec<String> = scopes
        .iter()
        .map(|scope| format!("&scope={scope}"))
        .collect();
    let target = format!("/v2/auth/token?service=tranship{}", scopes.concat());
    let reply = match user {
        Some(credentials) => send(client, "GET", &target, credentials).await,
        None => client.get(&target).await,
    };
    text(&reply, "token")
}

async fn post(client: &Client, form: &str) -> Reply {
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    client
        .send("POST", "/v2/auth/token", &headers, form.as_bytes())
        .await
}

pub(crate) fn text(reply: &Reply, field: &str) -> String {
    let json = reply.is(200).json();
    json[field]
        .as_str()
        .unwrap_or_else(|| panic!("{json}"))
        .to_owned()
}

#[track_caller]
pub(crate) fn challenge(reply: &Reply) -> &str {
    reply.fails(401, "UNAUTHORIZED");
    reply.header("www-authenticate").expect("a challenge")
}

#[tokio::test]
async fn a_client_without_a_login_pulls_with_an_anonymous_token() {
    let (_directory, client) = with_tokens().await;
    let origin = "http://registry.example";
    let realm = format!("Bearer realm=\"{origin}/v2/auth/token\",service=\"tranship\"");
    assert_eq!(challenge(&client.get("/v2/").await), realm);

    let issued = client.get(PULL).await;
    let json = issued.is(200).json();
    assert_eq!(json["token"], json["access_token"]);
    assert_eq!(json["expires_in"], 300);
    assert!(
        json["issued_at"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
    assert!(json.get("refresh_token").is_none());
    assert_eq!(issued.header("cache-control"), Some("no-store"));
    let token = text(&issued, "token");
    let target = "/v2/public/app/manifests/v1";
    bear(&client, "GET", "/v2/", &token).await.is(200);
    bear(&client, "GET", target, &token).await.is(200);

    let refused = bear(&client, "PUT", target, &token).await;
    let scope = ",scope=\"repository:public/app:pull,push\"";
    assert_eq!(challenge(&refused), format!("{realm}{scope}"));
    let refused = bear(&client, "GET", "/v2/team/app/manifests/v1", &token).await;
    let scope = ",scope=\"repository:team/app:pull\"";
    assert_eq!(challenge(&refused), format!("{realm}{scope}"));
    bear(&client, "GET", "/metrics", &token)
        .await
        .fails(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_user_pushes_with_a_token() {
    let (_directory, client) = with_tokens().await;
    let target = "/v2/team/app/manifests/v2";
    let token = token(&client, Some("ann:nna"), &["repository:team/app:pull,push"]).await;
    bear(&client, "GET", "/v2/", &token).await.is(200);
    bear(&client, "PUT", target, &token).await.is(201);
    bear(&client, "GET", target, &token).await.is(200);
    // Only what the client has asked for.
    for (method, target) in [("DELETE", target), ("PUT", "/v2/other/manifests/v1")] {
        let refused = bear(&client, method, target, &token).await;
        let challenge = challenge(&refused);
        assert!(
            challenge.ends_with(",error=\"insufficient_scope\""),
            "{challenge}"
        );
    }
    let delete = self::token(&client, Some("ann:nna"), &["repository:team/app:delete"]).await;
    bear(&client, "DELETE", target, &delete).await.is(202);
}

#[tokio::test]
async fn a_token_has_at_most_what_its_user_may_do() {
    let (_directory, client) = with_tokens().await;
    let scopes = [
        "repository:team/app:*",
        "repository:secret:pull",
        "nonsense",
    ];
    let token = token(&client, Some("bob:bob"), &scopes).await;
    bear(&client, "GET", "/v2/team/app/manifests/v1", &token)
        .await
        .is(200);
    let refused = bear(&client, "PUT", "/v2/team/app/manifests/v1", &token).await;
    refused.fails(403, "DENIED");
    let refused = bear(&client, "GET", "/v2/secret/manifests/v1", &token).await;
    refused.fails(403, "DENIED");
    // What every caller may read needs no scope.
    bear(&client, "GET", "/v2/public/app/manifests/v1", &token)
        .await
        .is(200);
}

#[tokio::test]
async fn the_catalog_requires_its_scope() {
    let (_directory, client) = with_tokens().await;
    let none = token(&client, Some("bob:bob"), &[]).await;
    let refused = bear(&client, "GET", "/v2/_catalog", &none).await;
    let wanted = "scope=\"registry:catalog:*\",error=\"insufficient_scope\"";
    assert!(challenge(&refused).ends_with(wanted));
    for (user, expected) in [
        (Some("bob:bob"), &["public/app", "team/app"][..]),
        (None, &["public/app"]),
    ] {
        let token = token(&client, user, &["registry:catalog:*"]).await;
        let list = bear(&client, "GET", "/v2/_catalog", &token).await;
        assert_eq!(
            list.is(200).json()["repositories"],
            serde_json::json!(expected)
        );
    }
    // A client with a login is asked for it, so that its list is not that of an anonymous caller.
    let asked = client.get("/v2/_catalog").await;
    assert!(challenge(&asked).ends_with("scope=\"registry:catalog:*\""));
}

#[tokio::test]
async fn passwords_stay_valid_beside_tokens() {
    let (_directory, client) = with_tokens().await;
    send(&client, "GET", "/v2/", "ann:nna").await.is(200);
    send(&client, "GET", "/v2/team/app/manifests/v1", "bob:bob")
        .await
        .is(200);
    let wrong = send(&client, "GET", "/v2/", "ann:wrong").await;
    assert!(challenge(&wrong).starts_with("Bearer "));
}

#[tokio::test]
async fn the_token_endpoint_refuses_a_wrong_password() {
    let (_directory, client) = with_tokens().await;
    for credentials in ["ann:wrong", "eve:nna", "ann:"] {
        let reply = send(&client, "GET", PULL, credentials).await;
        assert!(challenge(&reply).starts_with("Basic "));
    }
    let wrong = post(&client, "grant_type=password&username=ann&password=wrong").await;
    wrong.fails(401, "UNAUTHORIZED");
    for form in [
        "",
        "grant_type=password&username=ann",
        "grant_type=client_credentials",
        "grant_type=refresh_token",
        "grant_type=%ff",
    ] {
        post(&client, form).await.fails(400, "UNSUPPORTED");
    }
    let large = format!("grant_type=password&username={}", "a".repeat(70_000));
    post(&client, &large).await.fails(413, "SIZE_INVALID");
    client
        .send("DELETE", "/v2/auth/token", &[], b"")
        .await
        .fails(405, "UNSUPPORTED");
}

#[tokio::test]
async fn a_form_gets_a_token_too() {
    let (_directory, client) = with_tokens().await;
    let form = "grant_type=password&username=ann&password=nna&client_id=test&access_type=offline\
                &scope=repository:team/app:pull+repository:other:push";
    let issued = post(&client, form).await;
    // The key ends with the process.
    assert!(issued.is(200).json().get("refresh_token").is_none());
    let token = text(&issued, "access_token");
    bear(&client, "GET", "/v2/team/app/manifests/v1", &token)
        .await
        .is(200);
    bear(&client, "PUT", "/v2/other/manifests/v1", &token)
        .await
        .is(201);
}

#[tokio::test]
async fn a_token_cannot_be_renewed_with_itself() {
    let (directory, access) = granted().await;
    let file = directory.path().join("key");
    std::fs::write(&file, SECRET).expect("written");
    let key = TokenKey::open(&file).await.expect("a key");
    let client = client(access.with_tokens(key, TokenOptions::default())).await;
    for user in [Some("ann:nna"), None] {
        let token = token(&client, user, &["repository:team/app:pull"]).await;
        let target = "/v2/auth/token?offline_token=true&scope=repository:team/app:pull";
        let refused = bear(&client, "GET", target, &token).await;
        assert!(challenge(&refused).starts_with("Basic "));
    }
}

#[tokio::test]
async fn servers_with_the_same_key_accept_each_others_tokens() {
    let (directory, access) = granted().await;
    let file = directory.path().join("key");
    std::fs::write(&file, format!("{SECRET}\n")).expect("written");
    let mut clients = Vec::new();
    for _ in 0..2 {
        let key = TokenKey::open(&file).await.expect("a key");
        clients.push(client(access.clone().with_tokens(key, TokenOptions::default())).await);
    }
    let form = "grant_type=password&username=ann&password=nna&access_type=offline\
                &scope=repository:app:push";
    let issued = post(&clients[0], form).await;
    let (token, refresh) = (text(&issued, "token"), text(&issued, "refresh_token"));
    bear(&clients[1], "PUT", "/v2/app/manifests/v1", &token)
        .await
        .is(201);
    let form = format!("grant_type=refresh_token&refresh_token={refresh}&scope=repository:b:push");
    let again = text(&post(&clients[1], &form).await, "token");
    bear(&clients[0], "PUT", "/v2/b/manifests/v1", &again)
        .await
        .is(201);
    // Each kind of token is only good for its purpose.
    let refused = bear(&clients[0], "GET", "/v2/", &refresh).await;
    assert!(challenge(&refused).ends_with(",error=\"invalid_token\""));
    let form = format!("grant_type=refresh_token&refresh_token={token}");
    post(&clients[0], &form).await.fails(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_token_of_another_server_is_not_valid() {
    let (_directory, client) = with_tokens().await;
    let (_other_directory, other) = with_tokens().await;
    let foreign = token(&other, Some("ann:nna"), &["repository:team/app:push"]).await;
    let own = token(&client, Some("ann:nna"), &["repository:team/app:push"]).await;
    let (signed, _) = own.rsplit_once('.').expect("a signature");
    let unsigned = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.";
    for token in [
        &*foreign,
        signed,
        &format!("{signed}."),
        unsigned,
        "a.b.c",
        "",
    ] {
        let refused = bear(&client, "PUT", "/v2/team/app/manifests/v1", token).await;
        let challenge = challenge(&refused);
        assert!(challenge.starts_with("Bearer "), "{challenge}");
    }
}

#[tokio::test]
async fn the_audience_of_tokens_is_the_public_host() {
    let (directory, access) = granted().await;
    let file = directory.path().join("key");
    std::fs::write(&file, SECRET).expect("written");
    let mut clients = Vec::new();
    for url in ["https://one.example", "https://two.example:8443/"] {
        let key = TokenKey::open(&file).await.expect("a key");
        let options = TokenOptions::default().with_public_url(url).expect("a URL");
        clients.push(client(access.clone().with_tokens(key, options)).await);
    }
    let asked = challenge(&clients[1].get("/v2/").await).to_owned();
    let realm = "Bearer realm=\"https://two.example:8443/v2/auth/token\",service=\"two.example\"";
    assert_eq!(asked, realm);
    let token = token(&clients[0], Some("ann:nna"), &[]).await;
    bear(&clients[0], "GET", "/v2/", &token).await.is(200);
    bear(&clients[1], "GET", "/v2/", &token)
        .await
        .fails(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn only_a_valid_host_is_put_into_the_challenge() {
    let (_directory, client) = with_tokens().await;
    let ask = |host: &str, more: &str| {
        format!("GET /v2/ HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n")
    };
    for (host, more, expected) in [
        (
            "a.example:5000",
            "",
            "Bearer realm=\"http://a.example:5000/v2/auth/token\"",
        ),
        (
            "[::1]:5000",
            "",
            "Bearer realm=\"http://[::1]:5000/v2/auth/token\"",
        ),
        (
            "a.example",
            "X-Forwarded-Proto: https\r\nX-Forwarded-Host: b.example\r\n",
            "Bearer realm=\"https://a.example/v2/auth/token\"",
        ),
        ("a.example/\",x=\"", "", "Basic realm="),
        ("user@a.example", "", "Basic realm="),
    ] {
        let reply = Reply::parse(&client.raw(ask(host, more).as_bytes()).await);
        let challenge = challenge(&reply);
        assert!(challenge.starts_with(expected), "{host}: {challenge}");
    }
}

#[tokio::test]
async fn a_revoked_user_loses_the_token() {
    let (directory, access) = granted().await;
    let key = TokenKey::generate().expect("a key");
    let client = client(access.with_tokens(key, TokenOptions::default())).await;
    let token = token(&client, Some("ann:nna"), &["repository:app:pull"]).await;
    bear(&client, "GET", "/v2/", &token).await.is(200);
    let path = directory.path().join("htpasswd");
    let hash = bcrypt::hash("new", 4).expect("hashed");
    std::fs::write(path, format!("ann:{hash}\n")).expect("written");
    // Files are checked for changes once a second.
    while bear(&client, "GET", "/v2/", &token).await.status == 200 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let token = self::token(&client, Some("ann:new"), &[]).await;
    bear(&client, "GET", "/v2/", &token).await.is(200);
}

#[tokio::test]
async fn a_key_or_a_url_that_is_not_valid_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("key");
    std::fs::write(&file, "short\n").expect("written");
    let error = TokenKey::open(&file).await.expect_err("too short");
    assert!(error.to_string().contains("32 bytes"), "{error}");
    assert!(!error.to_string().contains("short"), "{error}");
    for url in [
        "registry.example",
        "ftp://registry.example",
        "https://registry.example/prefix",
        "https://registry.example/?a",
        "https://user@registry.example",
        "https://",
    ] {
        TokenOptions::default().with_public_url(url).expect_err(url);
    }
}

#[tokio::test]
async fn without_a_key_there_is_no_token_endpoint() {
    let (_directory, access) = granted().await;
    let client = client(access).await;
    client.get(PULL).await.fails(404, "UNSUPPORTED");
}
