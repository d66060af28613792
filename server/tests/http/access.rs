//! Who may do what.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tempfile::TempDir;
use tranship::{Digest, ErrorKind};
use tranship_server::{Access, Htpasswd, NamePattern, Peer, Permission, ServerOptions};

use crate::client::{Client, INDEX, Reply, index};

/// The users `ann` and `bob`, whose passwords are their names backwards.
pub(crate) async fn users() -> (TempDir, Access) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("htpasswd");
    let lines = ["ann:nna", "bob:bob"].map(|line| {
        let (user, password) = line.split_once(':').expect("a colon");
        format!("{user}:{}\n", bcrypt::hash(password, 4).expect("hashed"))
    });
    std::fs::write(&path, lines.concat()).expect("written");
    let users = Htpasswd::open(path).await.expect("users");
    (directory, Access::new(users))
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

pub(crate) async fn send(client: &Client, method: &str, target: &str, credentials: &str) -> Reply {
    let credentials = basic(credentials);
    let headers = [("Authorization", &*credentials), ("Content-Type", INDEX)];
    client.send(method, target, &headers, &index("x")).await
}

#[tokio::test]
async fn without_the_password_every_request_is_refused() {
    let (_directory, access) = users().await;
    let client = Client::with(ServerOptions::default().with_access(access)).await;
    for target in ["/v2/", "/v2/app/tags/list", "/v2/_catalog", "/metrics"] {
        let reply = client.get(target).await;
        reply.fails(401, "UNAUTHORIZED");
        let challenge = reply.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
        for credentials in ["ann:wrong", "eve:nna", "ann:", ":", "ann"] {
            let reply = send(&client, "GET", target, credentials).await;
            reply.fails(401, "UNAUTHORIZED");
        }
    }
    for header in ["Bearer abc", "Basic", "Basic %%%", ""] {
        let reply = client
            .send("GET", "/v2/", &[("Authorization", header)], b"")
            .await;
        reply.fails(401, "UNAUTHORIZED");
    }
    client.get("/healthz").await.is(200);
    send(&client, "GET", "/v2/", "ann:nna").await.is(200);
    send(&client, "PUT", "/v2/app/manifests/v1", "ann:nna")
        .await
        .is(201);
    send(&client, "GET", "/v2/app/manifests/v1", "bob:bob")
        .await
        .is(200);
}

#[tokio::test]
async fn refusals_say_who_lacks_which_right() {
    let (_directory, access) = users().await;
    let team = "team/**".parse().expect("a pattern");
    let access = access.with_grant("bob", team, Permission::Read);
    let client = Client::with(ServerOptions::default().with_access(access)).await;
    for (method, target, credentials, message) in [
        (
            "PUT",
            "/v2/team/app/manifests/v1",
            "bob:bob",
            "user `bob` may not push to `team/app`",
        ),
        (
            "DELETE",
            "/v2/team/app/manifests/v1",
            "bob:bob",
            "user `bob` may not delete from `team/app`",
        ),
        (
            "GET",
            "/v2/other/tags/list",
            "bob:bob",
            "user `bob` may not pull from `other`",
        ),
        (
            "GET",
            "/v2/other/tags/list",
            "bob:wrong",
            "the user or the password is wrong",
        ),
    ] {
        let reply = send(&client, method, target, credentials).await;
        assert_eq!(reply.json()["errors"][0]["message"], message, "{target}");
    }
    for (target, right) in [
        ("/v2/team/app/tags/list", "pull from `team/app`"),
        ("/v2/_catalog", "list repositories"),
        ("/metrics", "read the metrics"),
    ] {
        let reply = client.get(target).await;
        let message = format!(
            "authentication required: a caller without a login may not {right}; a login may give the right"
        );
        assert_eq!(reply.json()["errors"][0]["message"], *message, "{target}");
    }
}

#[tokio::test]
async fn anonymous_callers_may_read_if_allowed() {
    let (_directory, access) = users().await;
    let options =
        ServerOptions::default().with_access(access.with_anonymous_read(NamePattern::all()));
    let client = Client::with(options).await;
    send(&client, "PUT", "/v2/app/manifests/v1", "ann:nna")
        .await
        .is(201);
    client.get("/v2/app/manifests/v1").await.is(200);
    client.get("/v2/_catalog").await.is(200);
    // Clients learn here that there are passwords at all.
    client.get("/v2/").await.fails(401, "UNAUTHORIZED");
    for (method, target) in [
        ("PUT", "/v2/app/manifests/v1"),
        ("DELETE", "/v2/app/manifests/v1"),
        ("POST", "/v2/app/blobs/uploads/"),
        ("GET", "/v2/app/blobs/uploads/AAAA"),
    ] {
        client
            .send(method, target, &[], b"")
            .await
            .fails(401, "UNAUTHORIZED");
    }
    let reply = send(&client, "GET", "/v2/app/manifests/v1", "ann:wrong").await;
    reply.fails(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn anonymous_reading_is_limited_to_its_patterns() {
    let (_directory, access) = users().await;
    let pattern = |text: &str| text.parse::<NamePattern>().expect("a pattern");
    let access = access
        .with_anonymous_read(pattern("public/**"))
        .with_anonymous_read(pattern("docs"))
        .with_grant("ann", NamePattern::all(), Permission::Write)
        .with_grant("bob", pattern("bob/**"), Permission::Write);
    let client = Client::with(ServerOptions::default().with_access(access)).await;
    for name in ["docs", "public/app", "team/app"] {
        let target = format!("/v2/{name}/manifests/v1");
        send(&client, "PUT", &target, "ann:nna").await.is(201);
    }
    for name in ["docs", "public/app"] {
        let target = format!("/v2/{name}/manifests/v1");
        client.get(&target).await.is(200);
        // A user may read what every caller may read.
        send(&client, "GET", &target, "bob:bob").await.is(200);
        let refused = client.send("PUT", &target, &[], b"").await;
        refused.fails(401, "UNAUTHORIZED");
    }
    let refused = client.get("/v2/team/app/manifests/v1").await;
    refused.fails(401, "UNAUTHORIZED");
    let list = client.get("/v2/_catalog").await;
    let readable = json!({"repositories": ["docs", "public/app"]});
    assert_eq!(list.is(200).json(), readable);
}

#[tokio::test]
async fn an_identity_ends_with_its_password() {
    let (directory, access) = users().await;
    let access = access.with_grant("ann", NamePattern::all(), Permission::Read);
    let name = "app".parse().expect("a name");
    let peer = Peer::default();
    let ann = access.log_in("ann", b"nna", &peer).await.expect("a user");
    assert_eq!(ann.user(), Some("ann"));
    assert!(access.is_current(&ann).await);
    assert!(access.allows(&ann, &name, Permission::Read));
    assert!(!access.allows(&ann, &name, Permission::Write));
    let refused = access.log_in("ann", b"bob", &peer).await;
    let refused = refused.expect_err("the wrong password");
    assert_eq!(refused.kind(), ErrorKind::Unauthorized);

    let none = http::HeaderMap::new();
    let anonymous = access.identify(&none, &peer).await.expect("anonymous");
    assert_eq!(anonymous.user(), None);
    assert!(!access.allows(&anonymous, &name, Permission::Read));

    std::fs::write(directory.path().join("htpasswd"), "").expect("written");
    // Files are checked for changes once a second.
    while access.is_current(&ann).await {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(access.is_current(&anonymous).await);
}

#[tokio::test]
async fn grants_limit_what_a_user_may_do() {
    let (_directory, access) = users().await;
    let all = "**".parse().expect("a pattern");
    let team = "team/**".parse().expect("a pattern");
    let access =
        access
            .with_grant("ann", all, Permission::Write)
            .with_grant("bob", team, Permission::Read);
    let client = Client::with(ServerOptions::default().with_access(access)).await;
    send(&client, "PUT", "/v2/team/app/manifests/v1", "ann:nna")
        .await
        .is(201);
    send(&client, "PUT", "/v2/secret/manifests/v1", "ann:nna")
        .await
        .is(201);

    send(&client, "GET", "/v2/team/app/manifests/v1", "bob:bob")
        .await
        .is(200);
    for (method, target) in [
        ("PUT", "/v2/team/app/manifests/v1"),
        ("DELETE", "/v2/team/app/manifests/v1"),
        ("POST", "/v2/team/app/blobs/uploads/"),
        ("GET", "/v2/secret/manifests/v1"),
    ] {
        send(&client, method, target, "bob:bob")
            .await
            .fails(403, "DENIED");
    }
    let reply = send(&client, "GET", "/v2/_catalog", "bob:bob").await;
    assert_eq!(reply.is(200).json(), json!({"repositories": ["team/app"]}));
}

#[tokio::test]
async fn a_mount_requires_the_right_to_read_the_source() {
    let (_directory, access) = users().await;
    let access = access
        .with_grant("ann", "**".parse().expect("a pattern"), Permission::Write)
        .with_grant(
            "bob",
            "bob/*".parse().expect("a pattern"),
            Permission::Write,
        );
    let client = Client::with(ServerOptions::default().with_access(access)).await;
    let digest = Digest::of(&index("x"));
    let target = format!("/v2/secret/blobs/uploads/?digest={digest}");
    send(&client, "POST", &target, "ann:nna").await.is(201);
    for query in [
        format!("mount={digest}&from=secret"),
        format!("mount={digest}"),
    ] {
        let target = format!("/v2/bob/app/blobs/uploads/?{query}");
        send(&client, "POST", &target, "bob:bob").await.is(202);
        send(
            &client,
            "POST",
            &target.replace("bob/app", "app"),
            "ann:nna",
        )
        .await
        .is(201);
    }
}

#[tokio::test]
async fn empty_credentials_are_anonymous() {
    let (_directory, access) = users().await;
    let options = ServerOptions::default().with_access(access.clone());
    let closed = Client::with(options).await;
    let target = "/v2/app/manifests/v1";
    send(&closed, "GET", target, ":")
        .await
        .fails(401, "UNAUTHORIZED");

    let access = access.with_anonymous_read(NamePattern::all());
    let open = Client::with(ServerOptions::default().with_access(access)).await;
    send(&open, "PUT", target, "ann:nna").await.is(201);
    let reply = open
        .send("GET", target, &[("Authorization", "Basic Og==")], b"")
        .await;
    reply.is(200);
    let refused = send(&open, "PUT", target, ":").await;
    refused.fails(401, "UNAUTHORIZED");
    assert!(refused.header("www-authenticate").is_some());
    // A name without a password, or the other way round, is a mistake.
    for credentials in ["ann:", ":nna"] {
        let reply = send(&open, "GET", target, credentials).await;
        reply.fails(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn too_many_wrong_passwords_are_refused() {
    let (_directory, access) = users().await;
    let client = Client::with(ServerOptions::default().with_access(access)).await;
    send(&client, "GET", "/v2/", "ann:nna").await.is(200);
    let flood = (0..400).map(|number| {
        let credentials = format!("user{number}:wrong");
        let client = &client;
        async move { send(client, "GET", "/v2/", &credentials).await }
    });
    let known = (0..20).map(|_| send(&client, "GET", "/v2/", "ann:nna"));
    let (flooded, known) = futures_util::future::join(
        futures_util::future::join_all(flood),
        futures_util::future::join_all(known),
    )
    .await;
    for reply in known {
        reply.is(200);
    }
    for reply in &flooded {
        if reply.status == 429 {
            reply.fails(429, "TOOMANYREQUESTS");
            assert!(reply.header("retry-after").is_some());
        } else {
            reply.fails(401, "UNAUTHORIZED");
        }
    }
    send(&client, "GET", "/v2/", "bob:bob").await.is(200);
}

#[tokio::test]
async fn wrong_passwords_are_limited_and_known_ones_are_not() {
    let (_directory, access) = users().await;
    let access = access.with_failed_login_rate("3/h".parse().expect("a rate"));
    let client = Client::with(ServerOptions::default().with_access(access)).await;
    send(&client, "GET", "/v2/", "ann:nna").await.is(200);
    for number in 0..3 {
        let credentials = format!("user{number}:wrong");
        let refused = send(&client, "GET", "/v2/", &credentials).await;
        refused.fails(401, "UNAUTHORIZED");
    }
    // Also the correct one, as that would tell it from a wrong one.
    for credentials in ["bob:wrong", "bob:bob"] {
        let refused = send(&client, "GET", "/v2/", credentials).await;
        refused.fails(429, "TOOMANYREQUESTS");
        let wait = refused
            .header("retry-after")
            .and_then(|wait| wait.parse().ok());
        assert!(wait.is_some_and(|wait: u64| (1..=1200).contains(&wait)));
    }
    send(&client, "GET", "/v2/", "ann:nna").await.is(200);
}

#[tokio::test]
async fn requests_are_limited_for_each_caller() {
    let (_directory, access) = users().await;
    let options = ServerOptions::default()
        .with_access(access.with_anonymous_read(NamePattern::all()))
        .with_request_rate("3/h".parse().expect("a rate"));
    let client = Client::with(options).await;
    for user in [Some("ann:nna"), Some("bob:bob"), None] {
        let get = async || match user {
            Some(user) => send(&client, "GET", "/v2/_catalog", user).await,
            None => client.get("/v2/_catalog").await,
        };
        for _ in 0..3 {
            get().await.is(200);
        }
        let refused = get().await;
        refused.fails(429, "TOOMANYREQUESTS");
        assert!(refused.header("retry-after").is_some());
    }
    client.get("/healthz").await.is(200);
}

#[tokio::test]
async fn open_uploads_are_limited_per_user() {
    let (_directory, access) = users().await;
    let access = access.with_anonymous_read(NamePattern::all());
    let options = ServerOptions::default()
        .with_access(access)
        .with_max_uploads_per_user(2);
    let client = Client::with(options).await;
    let start = |user| send(&client, "POST", "/v2/app/blobs/uploads/", user);
    let first = start("ann:nna").await;
    first.is(202);
    start("ann:nna").await.is(202);
    let refused = start("ann:nna").await;
    refused.fails(429, "TOOMANYREQUESTS");
    assert!(refused.header("retry-after").is_some());
    start("bob:bob").await.is(202);
    let location = first.header("location").expect("a location");
    send(&client, "DELETE", location, "ann:nna").await.is(204);
    start("ann:nna").await.is(202);
}
