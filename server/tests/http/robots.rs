//! Robot accounts.

use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tranship_server::{Access, RobotAccounts, RobotFile, ServerOptions, TokenKey, TokenOptions};

use crate::access::{send, users};
use crate::audit::client_with;
use crate::client::Client;
use crate::tokens::{bear, text};

/// A server with the account `ci`, which may write `team/**`, and its credentials.
async fn with_robot() -> (TempDir, RobotFile, Client, String) {
    let (directory, access) = users().await;
    let path = directory.path().join("robots.json");
    let file = RobotFile::new(&path);
    let grants = vec!["team/**:rw".parse().expect("a grant")];
    let name = "ci".parse().expect("a name");
    let secret = file.create(name, grants, None).await.expect("created");
    let robots = RobotAccounts::open(path).await.expect("accounts");
    let client = Client::with(ServerOptions::default().with_access(access.with_robots(robots)));
    (directory, file, client.await, format!("ci:{secret}"))
}

#[tokio::test]
async fn a_robot_does_what_its_grants_allow() {
    let (_directory, _file, client, robot) = with_robot().await;
    let target = "/v2/team/app/manifests/v1";
    send(&client, "PUT", target, &robot).await.is(201);
    send(&client, "GET", target, &robot).await.is(200);
    let refused = send(&client, "GET", "/v2/other/manifests/v1", &robot).await;
    refused.fails(403, "DENIED");
    let (_, secret) = robot.split_once(':').expect("a secret");
    for credentials in [
        format!("{robot}x"),
        format!("ann:{secret}"),
        "ci:tsp_".into(),
    ] {
        let refused = send(&client, "GET", target, &credentials).await;
        refused.fails(401, "UNAUTHORIZED");
    }
    // Users of the password file are not affected.
    send(&client, "GET", target, "ann:nna").await.is(200);
}

#[tokio::test]
async fn a_revoked_robot_loses_its_secret_and_its_token() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("robots.json");
    let file = RobotFile::new(&path);
    let name = || "ci".parse().expect("a name");
    let grants = vec!["**:r".parse().expect("a grant")];
    let secret = file.create(name(), grants, None).await.expect("created");
    let robots = RobotAccounts::open(path).await.expect("accounts");
    let key = TokenKey::generate().expect("a key");
    let access = Access::default()
        .with_robots(robots)
        .with_tokens(key, TokenOptions::default());
    let client = Client::with(ServerOptions::default().with_access(access)).await;
    let robot = format!("ci:{secret}");
    let issued = send(&client, "GET", "/v2/auth/token?service=tranship", &robot).await;
    let token = text(&issued, "token");
    bear(&client, "GET", "/v2/", &token).await.is(200);
    file.revoke(name()).await.expect("revoked");
    // Files are checked for changes once a second.
    while bear(&client, "GET", "/v2/", &token).await.status == 200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    send(&client, "GET", "/v2/", &robot)
        .await
        .fails(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn an_expired_robot_is_refused_and_recorded_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("robots.json");
    let file = RobotFile::new(&path);
    let past = SystemTime::now() - Duration::from_secs(1);
    let grants = vec!["**:rw".parse().expect("a grant")];
    let created = file
        .create("ci".parse().expect("a name"), grants, Some(past))
        .await;
    let robot = format!("ci:{}", created.expect("created"));
    let robots = RobotAccounts::open(path).await.expect("accounts");
    let options = ServerOptions::default().with_access(Access::default().with_robots(robots));
    let (recorder, client) = client_with(options, false).await;
    send(&client, "GET", "/v2/", &robot)
        .await
        .fails(401, "UNAUTHORIZED");
    let records = recorder.take();
    assert_eq!(records[0]["operation"], "login-failed");
    assert_eq!(records[0]["user"], "ci");
    assert_eq!(records[0]["claimed"], true);
}
