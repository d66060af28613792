//! The records of the audit log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;
use tranship::Digest;
use tranship_memory::MemoryRegistry;
use tranship_server::{
    Access, AuditOptions, AuditRecord, AuditSink, AuditState, NamePattern, Permission, Rate,
    ServerOptions, TokenKey, TokenOptions,
};

use crate::access::{send, users};
use crate::client::{Client, head, index};
use crate::tokens::bear;

#[derive(Debug, Default)]
pub(crate) struct Recorder {
    records: Mutex<Vec<Value>>,
    is_full: AtomicBool,
}

impl AuditSink for Recorder {
    fn record(&self, record: AuditRecord) {
        let record = serde_json::to_value(record).expect("JSON");
        self.records.lock().expect("not poisoned").push(record);
    }

    fn is_available(&self) -> bool {
        !self.is_full.load(Ordering::Relaxed)
    }

    fn state(&self) -> AuditState {
        let mut state = AuditState::default();
        state.written = self.records.lock().expect("not poisoned").len() as u64;
        state
    }
}

impl Recorder {
    /// Takes the records, without what differs at each run.
    pub(crate) fn take(&self) -> Vec<Value> {
        let mut records = std::mem::take(&mut *self.records.lock().expect("not poisoned"));
        for record in &mut records {
            let fields = record.as_object_mut().expect("an object");
            for name in ["time", "request", "client"] {
                assert!(fields.remove(name).is_some_and(|value| value.is_string()));
            }
        }
        records
    }

    /// Takes the operation and the status of each record.
    #[track_caller]
    fn saw(&self, expected: &[(&str, u64)]) {
        let records = self.take();
        let seen: Vec<_> = records
            .iter()
            .map(|record| {
                let operation = record["operation"].as_str().unwrap_or_default();
                (operation, record["status"].as_u64().unwrap_or_default())
            })
            .collect();
        assert_eq!(seen, expected, "{records:?}");
    }
}

pub(crate) async fn client_with(options: ServerOptions, reads: bool) -> (Arc<Recorder>, Client) {
    let recorder = Arc::new(Recorder::default());
    let audit = AuditOptions::new(recorder.clone()).with_reads(reads);
    let options = options.with_audit(audit);
    let client = Client::of(Arc::new(MemoryRegistry::new()), options).await;
    (recorder, client)
}

/// A server with the users `ann`, who may do everything, and `bob`, who may read `team/**`.
async fn with_users() -> (TempDir, Arc<Recorder>, Client) {
    let (directory, access) = users().await;
    let options = ServerOptions::default().with_access(granted(access));
    let (recorder, client) = client_with(options, false).await;
    (directory, recorder, client)
}

fn granted(access: Access) -> Access {
    let team = "team/**".parse().expect("a pattern");
    access
        .with_grant("ann", NamePattern::all(), Permission::Write)
        .with_grant("bob", team, Permission::Read)
}

#[tokio::test]
async fn a_moved_tag_is_recorded_with_both_digests() {
    let (_directory, recorder, client) = with_users().await;
    let new = index("x");
    let target = "/v2/team/app/manifests/v1";
    send(&client, "PUT", target, "ann:nna").await.is(201);
    let by_digest = format!("/v2/team/app/manifests/{}?tag=v1&tag=v2", Digest::of(&new));
    send(&client, "PUT", &by_digest, "ann:nna").await.is(201);
    send(&client, "DELETE", target, "ann:nna").await.is(202);
    let digest = Digest::of(&new).to_string();
    let base = |operation: &str, reference: &str, status: u16| {
        json!({
            "actor": "client", "user": "ann", "auth": "password", "operation": operation, "repository": "team/app",
            "reference": reference, "result": "success", "status": status,
        })
    };
    let mut first = base("push-manifest", "v1", 201);
    first["digest"] = json!(digest);
    first["tags"] = json!([{"tag": "v1"}]);
    let mut second = base("push-manifest", &digest, 201);
    second["digest"] = json!(digest);
    second["tags"] = json!([{"tag": "v1", "oldDigest": digest}, {"tag": "v2"}]);
    let mut third = base("delete-tag", "v1", 202);
    third["tags"] = json!([{"tag": "v1", "oldDigest": digest}]);
    assert_eq!(recorder.take(), [first, second, third]);
}

#[tokio::test]
async fn a_blob_is_recorded_once_when_it_is_stored() {
    let (recorder, client) = client_with(ServerOptions::default(), false).await;
    let upload = client.start_upload("app").await;
    client.send("PATCH", &upload, &[], b"hel").await.is(202);
    let digest = Digest::of(b"hello");
    let finish = format!("{upload}?digest={digest}");
    client.send("PUT", &finish, &[], b"lo").await.is(201);
    let mount = format!("/v2/other/blobs/uploads/?mount={digest}&from=app");
    client.send("POST", &mount, &[], b"").await.is(201);
    let blob = format!("/v2/app/blobs/{digest}");
    client.get(&blob).await.is(200);
    client.send("DELETE", &blob, &[], b"").await.is(202);
    let digest = digest.to_string();
    let expected = [
        json!({"operation": "push-blob", "repository": "app", "digest": digest, "status": 201}),
        json!({"operation": "mount-blob", "repository": "other", "digest": digest, "status": 201, "from": "app"}),
        json!({"operation": "delete-blob", "repository": "app", "digest": digest, "reference": digest, "status": 202}),
    ]
    .map(|mut record| {
        record["actor"] = json!("client");
        record["user"] = Value::Null;
        record["result"] = json!("success");
        record
    });
    assert_eq!(recorder.take(), expected);
}

#[tokio::test]
async fn reads_are_recorded_if_they_are_wanted() {
    let (recorder, client) = client_with(ServerOptions::default(), true).await;
    let digest = client.push_blob("app", b"hello").await;
    client.push_manifest("app", "v1", &index("x")).await.is(201);
    recorder.saw(&[("push-blob", 201), ("push-manifest", 201)]);
    let manifest = "/v2/app/manifests/v1";
    client.get(manifest).await.is(200);
    let read = recorder.take();
    assert_eq!(read[0]["digest"], Digest::of(&index("x")).to_string());
    assert_eq!(read[0]["reference"], "v1");
    assert_eq!(read[0]["tags"], Value::Null);
    client.send("HEAD", manifest, &[], b"").await.is(200);
    client.get(&format!("/v2/app/blobs/{digest}")).await.is(200);
    client.get("/v2/app/tags/list").await.is(200);
    client.get("/v2/_catalog").await.is(200);
    client
        .get(&format!("/v2/app/referrers/{digest}"))
        .await
        .is(200);
    client.get("/v2/app/manifests/none").await.is(404);
    recorder.saw(&[
        ("pull-blob", 200),
        ("list-tags", 200),
        ("catalog", 200),
        ("referrers", 200),
    ]);
}

#[tokio::test]
async fn refusals_and_failed_changes_are_recorded() {
    let (_directory, recorder, client) = with_users().await;
    let target = "/v2/team/app/manifests/v1";
    client.get("/v2/").await.is(401);
    client.get(target).await.is(401);
    recorder.saw(&[]);
    send(&client, "PUT", target, "bob:bob").await.is(403);
    let refused = recorder.take();
    assert_eq!(
        refused,
        [json!({
            "actor": "client", "user": "bob", "auth": "password", "operation": "push-manifest", "repository": "team/app",
            "reference": "v1", "result": "refused", "status": 403, "code": "DENIED",
        })]
    );
    send(&client, "GET", "/v2/secret/tags/list", "bob:bob")
        .await
        .is(403);
    send(&client, "DELETE", target, "ann:nna").await.is(404);
    recorder.saw(&[("list-tags", 403), ("delete-tag", 404)]);
}

#[tokio::test]
async fn a_failed_login_names_only_users_that_exist() {
    let (_directory, recorder, client) = with_users().await;
    for (credentials, user) in [
        ("ann:guess", json!("ann")),
        ("hunter2:", Value::Null),
        ("eve:hunter2", Value::Null),
    ] {
        send(&client, "GET", "/v2/team/app/tags/list", credentials)
            .await
            .is(401);
        let records = recorder.take();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0]["operation"], "login-failed");
        assert_eq!(records[0]["user"], user);
        let claimed = if user.is_null() {
            Value::Null
        } else {
            json!(true)
        };
        assert_eq!(records[0]["claimed"], claimed);
        let text = records[0].to_string();
        assert!(
            !text.contains("hunter2") && !text.contains("guess"),
            "{text}"
        );
    }
    bear(&client, "GET", "/v2/", "abc").await.is(401);
    recorder.saw(&[("login-failed", 401)]);
}

#[tokio::test]
async fn the_use_of_a_token_leads_to_the_login() {
    let (_directory, access) = users().await;
    let key = TokenKey::generate().expect("a key");
    let access = granted(access).with_tokens(key, TokenOptions::default());
    let options = ServerOptions::default().with_access(access);
    let (recorder, client) = client_with(options, false).await;
    let endpoint = "/v2/auth/token?scope=repository:app:pull,push";
    client.get(endpoint).await.is(200);
    send(&client, "GET", endpoint, "ann:guess").await.is(401);
    recorder.saw(&[("login-failed", 401)]);
    let form = b"grant_type=password&username=ann&password=guess";
    client
        .send("POST", "/v2/auth/token", &[], form)
        .await
        .is(401);
    assert_eq!(recorder.take()[0]["user"], "ann");
    let reply = send(&client, "GET", endpoint, "ann:nna").await;
    let token = reply.is(200).json()["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let issued = recorder.take();
    assert_eq!(issued[0]["operation"], "token-issue");
    assert_eq!(issued[0]["auth"], "password");
    assert!(!issued[0].to_string().contains(&token));
    bear(&client, "PUT", "/v2/app/manifests/v1", &token)
        .await
        .is(201);
    let used = recorder.take();
    assert_eq!(used[0]["auth"], "token");
    assert_eq!(used[0]["login"], "password");
    assert!(used[0]["token"].is_string());
    assert_eq!(used[0]["token"], issued[0]["token"]);
    bear(&client, "DELETE", "/v2/app/manifests/v1", &token)
        .await
        .is(401);
    recorder.saw(&[("delete-tag", 401)]);
}

#[tokio::test]
async fn too_many_requests_are_recorded() {
    let rate: Rate = "1/h".parse().expect("a rate");
    let options = ServerOptions::default().with_request_rate(rate);
    let (recorder, client) = client_with(options, false).await;
    client.get("/v2/").await.is(200);
    client.get("/v2/app/tags/list").await.is(429);
    recorder.saw(&[("list-tags", 429)]);
}

#[tokio::test]
async fn nothing_is_changed_while_records_cannot_be_stored() {
    let (recorder, client) = client_with(ServerOptions::default(), false).await;
    client.push_manifest("app", "v1", &index("x")).await.is(201);
    recorder.saw(&[("push-manifest", 201)]);
    recorder.is_full.store(true, Ordering::Relaxed);
    let tag = "/v2/app/manifests/v1";
    let mount = format!("/v2/app/blobs/uploads/?mount={}", Digest::of(b"x"));
    for (method, target) in [
        ("DELETE", tag),
        ("PUT", tag),
        ("POST", "/v2/app/blobs/uploads/"),
        ("POST", &mount),
    ] {
        let reply = client.send(method, target, &[], b"{}").await;
        reply.fails(503, "UNKNOWN");
        assert!(reply.header("retry-after").is_some());
    }
    recorder.saw(&[
        ("delete-tag", 503),
        ("push-manifest", 503),
        ("push-blob", 503),
        ("mount-blob", 503),
    ]);
    client.get(tag).await.is(200);
    let metrics = client.get("/metrics").await;
    let metrics = String::from_utf8(metrics.body).expect("text");
    assert!(
        metrics.contains("\ntranship_audit_available 0\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\ntranship_audit_records_lost_total 0\n"),
        "{metrics}"
    );
    recorder.is_full.store(false, Ordering::Relaxed);
    client.send("DELETE", tag, &[], b"").await.is(202);
}

#[tokio::test]
async fn a_change_whose_client_has_left_is_recorded() {
    let (recorder, client) = client_with(ServerOptions::default(), false).await;
    let upload = client.start_upload("app").await;
    let digest = Digest::of(b"hello");
    let mut request = head("PUT", &format!("{upload}?digest={digest}"), &[]);
    request.push_str("Content-Length: 5\r\n\r\nhel");
    let mut stream = client.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
        .await
        .expect("sent");
    drop(stream);
    loop {
        let records = recorder.take();
        if let Some(record) = records.first() {
            assert_eq!(record["operation"], "push-blob");
            assert_ne!(record["result"], "success");
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_long_agent_is_shortened_and_escaped() {
    let (recorder, client) = client_with(ServerOptions::default(), false).await;
    let agent = format!("a\"b{}", "x".repeat(1000));
    let headers = [("User-Agent", &*agent)];
    let target = format!("/v2/app/blobs/uploads/?digest={}", Digest::of(b""));
    client.send("POST", &target, &headers, b"").await.is(201);
    let records = recorder.take();
    let recorded = records[0]["agent"].as_str().expect("text");
    assert_eq!(recorded, &agent[..256]);
}
