//! Uploads between their requests: who may write, how they end, and what stays of those that break off.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tranship::Digest;
use tranship::layers::ReadOnly;
use tranship_layout::LayoutRegistry;
use tranship_server::{ServerOptions, router};

use crate::client::{Client, Reply, head};

/// The head of a request whose body is to have `length` bytes.
fn announcing(method: &str, target: &str, length: usize) -> String {
    format!(
        "{}Content-Length: {length}\r\n\r\n",
        head(method, target, &[])
    )
}

/// Waits until the status of an upload says that `range` has arrived.
async fn arrives(client: &Client, location: &str, range: &str) {
    loop {
        let reply = client.get(location).await;
        if reply.is(204).header("range") == Some(range) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_finished_upload_is_unknown() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    let target = format!("{location}?digest={}", Digest::of(b"hello"));
    client.send("PUT", &target, &[], b"hello").await.is(201);
    for (method, target) in [
        ("PUT", &target),
        ("PATCH", &location),
        ("GET", &location),
        ("DELETE", &location),
    ] {
        let reply = client.send(method, target, &[], b"").await;
        reply.fails(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

#[tokio::test]
async fn an_upload_of_another_repository_is_unknown() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    let elsewhere = location.replace("/app/", "/other/");
    let reply = client.send("PATCH", &elsewhere, &[], b"x").await;
    reply.fails(404, "BLOB_UPLOAD_UNKNOWN");
    client.get(&location).await.is(204);
}

#[tokio::test]
async fn an_invalid_id_is_unknown() {
    let client = Client::new().await;
    for id in ["x", "%00", "..", "AAAA", "????", "_____", &"A".repeat(4000)] {
        let reply = client.get(&format!("/v2/app/blobs/uploads/{id}")).await;
        assert!(matches!(reply.status, 404 | 405), "{id}: {reply:?}");
    }
}

#[tokio::test]
async fn a_second_writer_gets_a_conflict() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    let mut first = client.connect().await;
    let request = announcing("PATCH", &location, 5) + "hel";
    first.write_all(request.as_bytes()).await.expect("sent");
    arrives(&client, &location, "0-2").await;

    let reply = client.send("PATCH", &location, &[], b"xx").await;
    reply.fails(409, "BLOB_UPLOAD_INVALID");

    first.write_all(b"lo").await.expect("sent");
    let target = format!("{location}?digest={}", Digest::of(b"hello"));
    arrives(&client, &location, "0-4").await;
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 202");
    client.send("PUT", &target, &[], b"").await.is(201);
}

#[tokio::test]
async fn a_client_that_disconnects_can_resume() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    let mut stream = client.connect().await;
    let request = announcing("PATCH", &location, 50) + "hel";
    stream.write_all(request.as_bytes()).await.expect("sent");
    arrives(&client, &location, "0-2").await;
    drop(stream);

    let target = format!("{location}?digest={}", Digest::of(b"hello"));
    // The server notices in its own time.
    let reply = loop {
        let reply = client
            .send("PUT", &target, &[("Content-Range", "3-4")], b"lo")
            .await;
        if reply.status != 409 {
            break reply;
        }
        tokio::task::yield_now().await;
    };
    reply.is(201);
}

#[tokio::test]
async fn a_single_post_that_breaks_off_leaves_nothing() {
    let options = ServerOptions::default().with_max_uploads(1);
    let client = Client::with(options).await;
    let target = format!("/v2/app/blobs/uploads/?digest={}", Digest::of(b"hello"));
    for _ in 0..3 {
        let mut stream = client.connect().await;
        let request = announcing("POST", &target, 50) + "hel";
        stream.write_all(request.as_bytes()).await.expect("sent");
        drop(stream);
    }
    // There is room for one upload, so this succeeds only when the others have left theirs.
    while client.send("POST", &target, &[], b"hello").await.status == 429 {
        tokio::task::yield_now().await;
    }
    client
        .get(&format!("/v2/app/blobs/{}", Digest::of(b"hello")))
        .await
        .is(200);
}

#[tokio::test]
async fn too_many_uploads_are_refused_until_one_ends() {
    let client = Client::with(ServerOptions::default().with_max_uploads(2)).await;
    let first = client.start_upload("app").await;
    client.start_upload("app").await;
    let reply = client
        .send("POST", "/v2/app/blobs/uploads/", &[], b"")
        .await;
    reply.fails(429, "TOOMANYREQUESTS");
    client.send("DELETE", &first, &[], b"").await.is(204);
    client.start_upload("app").await;
}

#[tokio::test]
async fn an_idle_upload_expires() {
    let options = ServerOptions::default().with_upload_expiry(Duration::ZERO);
    let client = Client::with(options).await;
    let idle = client.start_upload("app").await;
    client.start_upload("app").await;
    client.get(&idle).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn a_client_that_stalls_times_out_and_can_resume() {
    let options = ServerOptions::default().with_body_timeout(Duration::from_millis(50));
    let client = Client::with(options).await;
    let location = client.start_upload("app").await;
    let request = announcing("PATCH", &location, 50) + "hel";
    let answer = client.raw(request.as_bytes()).await;
    Reply::parse(&answer).fails(408, "BLOB_UPLOAD_INVALID");
    let reply = client.get(&location).await;
    assert_eq!(reply.is(204).header("range"), Some("0-2"));
}

#[tokio::test]
async fn servers_with_one_storage_share_uploads() {
    let root = tempfile::tempdir().expect("a directory");
    let open = async || {
        let registry = LayoutRegistry::create(root.path())
            .await
            .expect("a registry");
        Client::of(
            Arc::new(registry),
            ServerOptions::default().with_shared(true),
        )
        .await
    };
    let (one, other) = (open().await, open().await);
    let location = one.start_upload("app").await;
    other.send("PATCH", &location, &[], b"he").await.is(202);
    one.send("PATCH", &location, &[], b"ll").await.is(202);
    let digest = Digest::of(b"hello");
    let target = format!("{location}?digest={digest}");
    other.send("PUT", &target, &[], b"o").await.is(201);
    one.get(&location).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
    let reply = one.get(&format!("/v2/app/blobs/{digest}")).await;
    assert_eq!(reply.is(200).body, b"hello");
}

#[tokio::test]
async fn an_upload_to_a_layout_survives_the_server() {
    let root = tempfile::tempdir().expect("a directory");
    let open = async || {
        let registry = LayoutRegistry::create(root.path())
            .await
            .expect("a registry");
        Client::of(Arc::new(registry), ServerOptions::default()).await
    };
    let first = open().await;
    let location = first.start_upload("app").await;
    first.send("PATCH", &location, &[], b"hel").await.is(202);
    drop(first);

    let second = open().await;
    let reply = second.get(&location).await;
    assert_eq!(reply.is(204).header("range"), Some("0-2"));
    let digest = Digest::of(b"hello");
    let target = format!("{location}?digest={digest}");
    second.send("PUT", &target, &[], b"lo").await.is(201);
    let reply = second.get(&format!("/v2/app/blobs/{digest}")).await;
    assert_eq!(reply.is(200).body, b"hello");
}

/// How many files below `directory` this process has open.
#[cfg(target_os = "linux")]
fn open_below(directory: &std::path::Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").expect("listed");
    open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.starts_with(directory))
        .count()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_open_upload_holds_no_file_open() {
    let root = tempfile::tempdir().expect("a directory");
    let layouts = LayoutRegistry::create(root.path()).await.expect("layouts");
    let client = Client::of(Arc::new(layouts), ServerOptions::default()).await;
    let uploads = root.path().join("app/.tranship/uploads");
    for number in 0..20 {
        let location = client.start_upload("app").await;
        if number % 2 == 0 {
            client.send("PATCH", &location, &[], b"hel").await.is(202);
        }
        if number % 4 == 0 {
            let headers = [("Content-Range", "7-8")];
            let reply = client.send("PATCH", &location, &headers, b"lo").await;
            reply.fails(416, "BLOB_UPLOAD_INVALID");
            client.get(&location).await.is(204);
        }
    }
    let files = std::fs::read_dir(&uploads).expect("listed").count();
    assert_eq!((files, open_below(&uploads)), (20, 0));
}

#[tokio::test]
async fn an_upload_resumes_where_it_was_paused() {
    let root = tempfile::tempdir().expect("a directory");
    let layouts = LayoutRegistry::create(root.path()).await.expect("layouts");
    let client = Client::of(Arc::new(layouts), ServerOptions::default()).await;
    let location = client.start_upload("app").await;
    client.send("PATCH", &location, &[], b"hel").await.is(202);
    client.send("PATCH", &location, &[], b"l").await.is(202);
    let target = format!("{location}?digest={}", Digest::of(b"hello"));
    client.send("PUT", &target, &[], b"o").await.is(201);
}

#[tokio::test]
async fn uploads_of_earlier_runs_expire() {
    let root = tempfile::tempdir().expect("a directory");
    let open = || async { Arc::new(LayoutRegistry::create(root.path()).await.expect("layouts")) };
    let earlier = Client::of(open().await, ServerOptions::default()).await;
    let mut locations = Vec::new();
    for name in ["new", "team/app"] {
        let location = earlier.start_upload(name).await;
        earlier.send("PATCH", &location, &[], b"hel").await.is(202);
        locations.push(location);
    }
    earlier.push_blob("team/app", b"a blob").await;
    drop(earlier);

    let patient = router(open().await, ServerOptions::default());
    patient.expire_uploads().await;
    let options = ServerOptions::default().with_upload_expiry(Duration::ZERO);
    let read_only = router(Arc::new(ReadOnly::new(open().await)), options.clone());
    read_only.expire_uploads().await;
    let files = |name: &str| {
        let uploads = root.path().join(name).join(".tranship/uploads");
        std::fs::read_dir(uploads).expect("listed").count()
    };
    assert_eq!((files("new"), files("team/app")), (1, 1));

    let service = router(open().await, options);
    service.expire_uploads().await;
    assert_eq!((files("new"), files("team/app")), (0, 0));
    let client = Client::of(open().await, ServerOptions::default()).await;
    for location in locations {
        client
            .get(&location)
            .await
            .fails(404, "BLOB_UPLOAD_UNKNOWN");
    }
}
