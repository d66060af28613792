//! What whoever runs a server has it do.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tranship::layers::{Inject, InjectOptions, NoDeletes, OperationName, ReadOnly};
use tranship::{Digest, Error, ErrorKind};
use tranship_memory::MemoryRegistry;
use tranship_server::{Server, ServerOptions, router};

use crate::client::{Client, INDEX, head, index};

#[tokio::test]
async fn a_read_only_registry_is_read() {
    let registry = Arc::new(MemoryRegistry::new());
    let writable = Client::of(registry.clone(), ServerOptions::default()).await;
    writable
        .push_manifest("app", "v1", &index("x"))
        .await
        .is(201);
    let digest = writable.push_blob("app", b"x").await;

    let registry = Arc::new(ReadOnly::new(registry));
    let client = Client::of(registry, ServerOptions::default()).await;
    client.get("/v2/app/manifests/v1").await.is(200);
    let blob = format!("/v2/app/blobs/{digest}");
    client.get(&blob).await.is(200);
    for (method, target) in [
        ("PUT", "/v2/app/manifests/v2"),
        ("DELETE", "/v2/app/manifests/v1"),
        ("DELETE", &blob),
        ("POST", "/v2/app/blobs/uploads/"),
    ] {
        let headers = [("Content-Type", INDEX)];
        let reply = client.send(method, target, &headers, &index("x")).await;
        reply.fails(405, "UNSUPPORTED");
    }
}

#[tokio::test]
async fn a_registry_without_deletes_accepts_pushes() {
    let registry = Arc::new(NoDeletes::new(MemoryRegistry::new()));
    let client = Client::of(registry, ServerOptions::default()).await;
    client.push_manifest("app", "v1", &index("x")).await.is(201);
    let blob = format!("/v2/app/blobs/{}", client.push_blob("app", b"x").await);
    for target in ["/v2/app/manifests/v1", &blob] {
        client
            .send("DELETE", target, &[], b"")
            .await
            .fails(405, "UNSUPPORTED");
    }
    let upload = client.start_upload("app").await;
    client.send("DELETE", &upload, &[], b"").await.is(204);
}

#[tokio::test]
async fn a_warning_is_in_every_response() {
    let options = ServerOptions::default().with_warning("use \"other\"\r\nX: y");
    let client = Client::with(options).await;
    for target in ["/v2/", "/v2/app/manifests/v1"] {
        let reply = client.get(target).await;
        assert_eq!(
            reply.header("warning"),
            Some("299 - \"use \\\"other\\\"X: y\"")
        );
    }
}

#[tokio::test]
async fn the_health_endpoint_responds() {
    let client = Client::new().await;
    assert_eq!(client.get("/healthz").await.is(200).body, b"ok\n");
    client.send("POST", "/healthz", &[], b"").await.is(405);
}

#[tokio::test]
async fn a_server_is_ready_while_its_storage_responds() {
    let client = Client::new().await;
    assert_eq!(client.get("/readyz").await.is(200).body, b"ok\n");
    client.send("POST", "/readyz", &[], b"").await.is(405);

    let broken = InjectOptions::default().with_errors(|operation| {
        let is_catalog = operation.name == OperationName::ListRepositories;
        is_catalog.then(|| Error::new(ErrorKind::Io, "secret"))
    });
    let broken = Inject::new(MemoryRegistry::new(), broken);
    let client = Client::of(Arc::new(broken), ServerOptions::default()).await;
    assert_eq!(client.get("/readyz").await.is(503).body, b"not ready\n");
    client.get("/healthz").await.is(200);
}

#[tokio::test]
async fn a_server_is_not_ready_if_its_storage_does_not_respond() {
    let slow = InjectOptions::default().with_latency(Duration::from_secs(3600));
    let slow = Inject::new(MemoryRegistry::new(), slow);
    let options = ServerOptions::default().with_readiness_timeout(Duration::from_millis(1));
    let client = Client::of(Arc::new(slow), options).await;
    client.get("/readyz").await.is(503);
}

#[tokio::test]
async fn requests_are_counted_by_the_first_pattern_of_the_repository() {
    let patterns = ["team/**", "**/app"].map(|text| text.parse().expect("a pattern"));
    let options = ServerOptions::default().with_metrics_patterns(patterns.into());
    let client = Client::with(options).await;
    for name in ["team/app", "some/app", "third", "fourth"] {
        client.push_blob(name, b"hello").await;
    }
    client.get("/v2/").await.is(200);
    let reply = client.get("/metrics").await;
    let text = String::from_utf8(reply.is(200).body.clone()).expect("text");
    for line in [
        "tranship_repository_requests_total{repository=\"team/**\",endpoint=\"upload\",status=\"2xx\"} 1",
        "tranship_repository_requests_total{repository=\"**/app\",endpoint=\"upload\",status=\"2xx\"} 1",
        "tranship_repository_requests_total{repository=\"other\",endpoint=\"upload\",status=\"2xx\"} 2",
        "tranship_repository_received_bytes_total{repository=\"other\"} 10",
    ] {
        assert!(text.lines().any(|each| each == line), "{line} in\n{text}");
    }
    assert_eq!(
        text.matches("tranship_repository_requests_total{").count(),
        3
    );
}

#[tokio::test]
async fn requests_and_bytes_are_counted() {
    let client = Client::new().await;
    let digest = client.push_blob("app", b"hello").await;
    client.get(&format!("/v2/app/blobs/{digest}")).await.is(200);
    client
        .get(&format!("/v2/other/blobs/{digest}"))
        .await
        .is(404);
    client.start_upload("app").await;
    let reply = client.get("/metrics").await;
    let format = Some("text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(reply.header("content-type"), format);
    let text = String::from_utf8(reply.is(200).body.clone()).expect("text");
    for line in [
        "tranship_requests_total{endpoint=\"blob\",method=\"GET\",status=\"2xx\"} 1",
        "tranship_requests_total{endpoint=\"blob\",method=\"GET\",status=\"4xx\"} 1",
        "tranship_requests_total{endpoint=\"upload\",method=\"POST\",status=\"2xx\"} 2",
        "tranship_received_bytes_total 5",
        "tranship_uploads_open 1",
    ] {
        assert!(text.lines().any(|each| each == line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn an_upload_in_flight_is_finished_before_the_server_stops() {
    let registry = Arc::new(MemoryRegistry::new());
    let service = router(registry.clone(), ServerOptions::default());
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0), service)
        .await
        .expect("bound");
    let address = server.address().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move {
        let _ = stopped.await;
    }));

    let idle = TcpStream::connect(address).await.expect("connected");
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let target = format!("/v2/app/blobs/uploads/?digest={}", Digest::of(b"hello"));
    let request = head(
        "POST",
        &target,
        &[("Content-Length", "5"), ("Expect", "100-continue")],
    );
    stream
        .write_all(format!("{request}\r\n").as_bytes())
        .await
        .expect("sent");
    // The server waits for the body, so the request is under way.
    let mut answer = [0; 25];
    stream
        .read_exact(&mut answer)
        .await
        .expect("to be continued");
    assert!(answer.starts_with(b"HTTP/1.1 100"));

    stop.send(()).expect("still running");
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(b"hello").await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 201"), "{answer:?}");
    running.await.expect("stopped");
    drop(idle);
}

#[tokio::test]
async fn an_incomplete_head_times_out() {
    let service = router(Arc::new(MemoryRegistry::new()), ServerOptions::default());
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0), service)
        .await
        .expect("bound")
        .with_header_timeout(Duration::from_millis(50));
    let address = server.address().expect("an address");
    let _running = tokio::spawn(server.run(std::future::pending()));
    for head in ["", "GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("closed");
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    }
}

#[tokio::test]
async fn the_service_can_be_mounted_into_an_app() {
    let service = router(Arc::new(MemoryRegistry::new()), ServerOptions::default());
    let app = axum::Router::new()
        .route("/hello", axum::routing::get(async || "hello"))
        .fallback_service(service);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("bound");
    let address = listener.local_addr().expect("an address");
    let _running = tokio::spawn(axum::serve(listener, app).into_future());
    for (method, target, length, status) in [
        ("GET", "/hello", 0, "200"),
        ("GET", "/v2/", 0, "200"),
        (
            "POST",
            &*format!("/v2/app/blobs/uploads/?digest={}", Digest::of(b"x")),
            1,
            "201",
        ),
        (
            "GET",
            &*format!("/v2/app/blobs/{}", Digest::of(b"x")),
            0,
            "200",
        ),
    ] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let length_header = length.to_string();
        let headers = [("Connection", "close"), ("Content-Length", &*length_header)];
        let request = head(method, target, &headers) + "\r\n" + &"x".repeat(length);
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert_eq!(answer.split(' ').nth(1), Some(status), "{target}: {answer}");
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_times_out() {
    let registry = Arc::new(MemoryRegistry::new());
    let service = router(registry, ServerOptions::default());
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0), service)
        .await
        .expect("bound")
        .with_write_timeout(Duration::from_millis(50))
        .with_max_connections(1);
    let address = server.address().expect("an address");
    let _running = tokio::spawn(server.run(std::future::pending()));

    let content = vec![7; 32 * 1024 * 1024];
    let digest = Digest::of(&content);
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    let length = content.len().to_string();
    let request = head(
        "POST",
        &target,
        &[("Content-Length", &length), ("Connection", "close")],
    );
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream
        .write_all(format!("{request}\r\n").as_bytes())
        .await
        .expect("sent");
    stream.write_all(&content).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 201"), "{answer:?}");

    let mut idle = TcpStream::connect(address).await.expect("connected");
    let request = head("GET", &format!("/v2/app/blobs/{digest}"), &[]) + "\r\n";
    idle.write_all(request.as_bytes()).await.expect("sent");
    // There is room for one connection, so this is served when the other one is let go.
    let mut other = TcpStream::connect(address).await.expect("connected");
    let request = head("GET", "/v2/", &[("Connection", "close")]) + "\r\n";
    other.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    other.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
}
