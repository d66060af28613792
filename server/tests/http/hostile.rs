//! What no honest client sends.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tranship::Digest;
use tranship_server::ServerOptions;

use crate::client::{Client, INDEX, Reply, head, index};

#[tokio::test]
async fn names_that_leave_the_registry_are_refused() {
    let client = Client::new().await;
    for name in [
        "..", "../..", "a/../b", "%2e%2e", "a%2fb", "a//b", ".git", "A", "a%00", "a\\b", "a%5cb",
        "-a", "a/", "%ff", "a:b", "a@b",
    ] {
        let target = format!("/v2/{name}/manifests/v1");
        client.get(&target).await.fails(400, "NAME_INVALID");
        let headers = [("Content-Type", INDEX)];
        let reply = client.send("PUT", &target, &headers, &index("x")).await;
        reply.fails(400, "NAME_INVALID");
    }
    client.get("/v2/_catalog").await.is(200);
}

#[tokio::test]
async fn an_overlong_name_is_refused() {
    let client = Client::new().await;
    let name = "a/".repeat(2000) + "a";
    let reply = client.get(&format!("/v2/{name}/tags/list")).await;
    reply.fails(400, "NAME_INVALID");
    let reply = client
        .get(&format!("/v2/{}/tags/list", "a".repeat(255)))
        .await;
    reply.fails(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn an_overlong_head_is_refused() {
    let client = Client::new().await;
    let long = "x".repeat(2 * 1024 * 1024);
    let request = head("GET", "/v2/", &[("X-Long", &long)]) + "\r\n";
    Reply::parse(&client.raw(request.as_bytes()).await).is(431);
}

#[tokio::test]
async fn a_manifest_over_the_limit_is_refused_by_its_length() {
    let client = Client::new().await;
    let mut stream = client.connect().await;
    let request = head(
        "PUT",
        "/v2/app/manifests/v1",
        &[
            ("Content-Type", INDEX),
            ("Content-Length", "1073741824"),
            ("Expect", "100-continue"),
        ],
    ) + "\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_manifest_over_the_limit_is_refused_while_it_is_read() {
    let client = Client::with(ServerOptions::default().with_max_manifest_size(100)).await;
    let chunk = "x".repeat(64);
    let request = head(
        "PUT",
        "/v2/app/manifests/v1",
        &[
            ("Content-Type", INDEX),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "close"),
        ],
    ) + &format!("\r\n40\r\n{chunk}\r\n40\r\n{chunk}\r\n0\r\n\r\n");
    let reply = Reply::parse(&client.raw(request.as_bytes()).await);
    reply.fails(413, "SIZE_INVALID");
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_everything_first() {
    let client = Client::new().await;
    let content = vec![b' '; 8 * 1024 * 1024];
    let reply = client.push_manifest("app", "v1", &content).await;
    reply.fails(413, "SIZE_INVALID");
}

#[tokio::test]
async fn deeply_nested_json_is_refused() {
    let client = Client::new().await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = format!("{}0{}", open.repeat(10_000), close.repeat(10_000));
        let content = format!(r#"{{"schemaVersion":2,"manifests":[],"x":{nested}}}"#);
        let reply = client.push_manifest("app", "v1", content.as_bytes()).await;
        reply.fails(400, "MANIFEST_INVALID");
    }
}

#[tokio::test]
async fn invalid_chunk_sizes_end_the_connection_only() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    for body in [
        "zz\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "3\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nx",
    ] {
        let request = head(
            "PATCH",
            &location,
            &[("Transfer-Encoding", "chunked"), ("Connection", "close")],
        ) + "\r\n"
            + body;
        let answer = client.raw(request.as_bytes()).await;
        assert!(answer.starts_with(b"HTTP/1.1 400"), "{body:?}");
    }
    client.get(&location).await.is(204);
}

#[tokio::test]
async fn a_request_with_two_lengths_is_refused() {
    let client = Client::new().await;
    let request = head(
        "POST",
        "/v2/app/blobs/uploads/",
        &[("Content-Length", "0"), ("Content-Length", "5")],
    ) + "\r\nhello";
    Reply::parse(&client.raw(request.as_bytes()).await).is(400);
}

#[tokio::test]
async fn a_request_in_the_body_of_another_gets_no_response() {
    let client = Client::new().await;
    let digest = client.push_blob("app", b"x").await;
    let hidden = format!("DELETE /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n");
    let request = head(
        "POST",
        "/v2/app/blobs/uploads/",
        &[
            ("Content-Length", &hidden.len().to_string()),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "close"),
        ],
    ) + "\r\n0\r\n\r\n"
        + &hidden;
    client.raw(request.as_bytes()).await;
    client.get(&format!("/v2/app/blobs/{digest}")).await.is(200);
}

#[tokio::test]
async fn garbage_is_refused_and_the_server_continues() {
    let client = Client::new().await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        client.raw(garbage).await;
    }
    client.get("/v2/").await.is(200);
}

#[tokio::test]
async fn a_client_may_disconnect_at_every_byte() {
    let client = Client::new().await;
    let target = format!("/v2/app/blobs/uploads/?digest={}", Digest::of(b"hello"));
    let request = head("POST", &target, &[("Content-Length", "5")]) + "\r\nhello";
    for end in 0..request.len() {
        let mut stream = client.connect().await;
        stream
            .write_all(&request.as_bytes()[..end])
            .await
            .expect("sent");
    }
    client
        .get(&format!("/v2/app/blobs/{}", Digest::of(b"hello")))
        .await
        .is(404);
    client.push_blob("app", b"hello").await;
}

#[tokio::test]
async fn clients_that_disconnect_leave_nothing() {
    let client = Client::new().await;
    let content = vec![7; 1024 * 1024];
    let blob = format!("/v2/app/blobs/{}", client.push_blob("app", &content).await);
    let push = format!("/v2/app/blobs/uploads/?digest={}", Digest::of(b"hello"));
    let many = [("Content-Length", "1000000")];
    let typed = [("Content-Length", "1000"), ("Content-Type", INDEX)];
    for _ in 0..5 {
        for request in [
            head("GET", &blob, &[]) + "\r\n",
            head("POST", &push, &many) + "\r\nhel",
            head("PUT", "/v2/app/manifests/v1", &typed) + "\r\n{",
            head("POST", &push, &[("Transfer-Encoding", "chunked")]) + "\r\n5\r\nhel",
        ] {
            let mut stream = client.connect().await;
            stream.write_all(request.as_bytes()).await.expect("sent");
        }
    }
    // That of who asks is the one request that is under way. What nobody can come back to goes when the
    // next upload begins.
    loop {
        client.push_blob("app", b"hello").await;
        let metrics = client.get("/metrics").await;
        let text = String::from_utf8(metrics.is(200).body.clone()).expect("text");
        let says = |line: &str| text.lines().any(|each| each == line);
        if says("tranship_requests_in_flight 1") && says("tranship_uploads_open 0") {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_unknown_endpoint_is_not_found() {
    let client = Client::new().await;
    for target in ["/", "/v1/_ping", "/v2/app", "/v2/app/tags", "/v3/"] {
        client.get(target).await.fails(404, "UNSUPPORTED");
    }
}

#[tokio::test]
async fn http_1_1_without_one_host_is_refused() {
    let client = Client::new().await;
    for head in [
        "GET /v2/ HTTP/1.1\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ] {
        Reply::parse(&client.raw(head.as_bytes()).await).is(400);
    }
    Reply::parse(&client.raw(b"GET /v2/ HTTP/1.0\r\n\r\n").await).is(200);
}

#[tokio::test]
async fn a_bare_lf_in_a_head_is_refused() {
    let client = Client::new().await;
    for head in [
        "GET /v2/ HTTP/1.1\nHost: a\n\n",
        "GET /v2/ HTTP/1.1\r\nHost: a\r\nX: y\nZ: w\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: a\r\n\n",
    ] {
        Reply::parse(&client.raw(head.as_bytes()).await).is(400);
    }
    // The second request on a connection too, whatever the body before it looks like.
    let content = b"\n\n";
    let digest = Digest::of(content);
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    let mut requests = head("POST", &target, &[("Content-Length", "2")]).into_bytes();
    requests.extend_from_slice(b"\r\n\n\nGET /v2/ HTTP/1.1\nHost: a\n\n");
    let replies = String::from_utf8(client.raw(&requests).await).expect("text");
    assert!(replies.starts_with("HTTP/1.1 201"), "{replies}");
    assert!(replies.contains("HTTP/1.1 400"), "{replies}");
}

#[tokio::test]
async fn browsers_must_not_guess_types() {
    let client = Client::new().await;
    let digest = client.push_blob("app", b"<script>").await;
    for target in [
        "/v2/",
        "/v2/app/tags/list",
        &format!("/v2/app/blobs/{digest}"),
    ] {
        let reply = client.get(target).await;
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
}
