//! How responses are framed, and how connections are made, over plain HTTP.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tranship::*;
use tranship_remote::{RemoteOptions, RemoteRegistry, RemoteRepository, RetryPolicy, Scheme};

use crate::fake::{Fake, HELLO, Reply, blob, name};

/// Returns a repository at `host` that is reached by HTTP and makes one attempt per request.
fn repository(host: &str, options: RemoteOptions) -> RemoteRepository {
    let options = options
        .with_scheme(Scheme::Http)
        .with_retry(RetryPolicy::default().with_max_retries(0));
    let registry = RemoteRegistry::with_options(&host.parse().expect("a name"), options);
    registry.expect("a client").open(&name())
}

/// Fetches the blob [`HELLO`] from a server that sends `response`, piece by piece, and closes the connection.
/// Returns the request as well.
async fn fetching(response: &[&str]) -> (String, Result<bytes::Bytes>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = listener.local_addr().expect("an address").to_string();
    let serving = async {
        let (mut peer, _) = listener.accept().await.expect("a client");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(peer.read_u8().await.expect("a request"));
        }
        for piece in response {
            peer.write_all(piece.as_bytes()).await.expect("sent");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        String::from_utf8(request).expect("text")
    };
    let receiving = async {
        let repository = repository(&host, RemoteOptions::default());
        let content = repository.fetch(&blob(HELLO)).await?;
        content.bytes(u64::MAX).await
    };
    tokio::join!(serving, receiving)
}

#[tokio::test]
async fn a_body_may_be_framed_in_each_way_of_http_1() {
    for response in [
        &["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"][..],
        &["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more"],
        &[
            "HTTP/1.1 200 OK\r\nContent-Le",
            "ngth: 5\r\n\r",
            "\nhe",
            "llo",
        ],
        &[
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ],
        &[
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n",
            "3\r\nllo\r\n0\r\n\r\n",
        ],
        &["HTTP/1.1 200 OK\r\n\r\nhe", "llo"],
        &["HTTP/1.0 200 OK\n\nhello"],
    ] {
        let (request, fetched) = fetching(response).await;
        let line = format!(
            "GET /v2/library/app/blobs/{} HTTP/1.1\r\n",
            Digest::of(HELLO)
        );
        assert!(request.starts_with(&line), "{request}");
        assert_eq!(fetched.expect("a body"), HELLO, "{response:?}");
    }
}

#[tokio::test]
async fn a_response_without_a_body_is_not_the_blob() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (_, fetched) = fetching(&[response]).await;
        fetched.expect_err(response);
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error() {
    use ErrorKind::{SizeMismatch, Unavailable};
    for (response, kind) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            Unavailable,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell",
            Unavailable,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nhell", SizeMismatch),
    ] {
        let (_, fetched) = fetching(&[response]).await;
        let error = fetched.expect_err(response);
        assert_eq!(error.kind(), kind, "{response}: {error:?}");
    }
}

#[tokio::test]
async fn a_response_that_is_not_http_is_an_error() {
    for (response, is_retryable) in [
        ("", true),
        ("SSH-2.0-OpenSSH\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Len", true),
    ] {
        let (_, fetched) = fetching(&[response]).await;
        let error = fetched.expect_err(response);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert_eq!(error.is_retryable(), is_retryable, "{response}: {error:?}");
    }
}

/// Linux ignores connection requests while the backlog of a listener is full.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_a_timeout() {
    let socket = TcpSocket::new_v4().expect("a socket");
    let local = "127.0.0.1:0".parse().expect("an address");
    socket.bind(local).expect("a port");
    let listener = socket.listen(1).expect("listening");
    let address = listener.local_addr().expect("an address");
    let limit = Duration::from_millis(200);
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(tokio::time::timeout(limit, TcpStream::connect(address)).await);
    }

    let options = RemoteOptions::default().with_connect_timeout(limit);
    let repository = repository(&address.to_string(), options);
    let began = Instant::now();
    let error = repository.fetch(&blob(HELLO)).await.expect_err("too late");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(error.is_retryable(), "{error:?}");
    assert!(began.elapsed() < 20 * limit, "{:?}", began.elapsed());
}

#[tokio::test]
async fn large_transfers_go_through_the_proxy() {
    let large = vec![7; 2 * 1024 * 1024];
    let body = large.clone();
    let proxy = Fake::start(move |seen| match seen.method.as_str() {
        "GET" => Reply::new(200).body(body.clone()),
        "POST" => Reply::new(202).header("location", "/v2/library/app/blobs/uploads/1"),
        "PUT" => Reply::new(201),
        _ => Reply::new(404),
    })
    .await;
    let options = RemoteOptions::default().with_proxy(Some(proxy.url("")));
    let repository = repository("registry.test:5000", options);
    let content = repository.fetch(&blob(&large)).await.expect("fetched");
    assert_eq!(content.bytes(u64::MAX).await.expect("whole"), large);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("blob");
    std::fs::write(&path, &large).expect("written");
    let pushed = repository.push(&blob(&large), Source::file(&path)).await;
    pushed.expect("pushed");
    let seen = proxy.seen();
    assert!(seen.iter().any(|seen| seen.method == "PUT"));
    for seen in seen {
        let target = seen.target;
        assert!(
            target.starts_with("http://registry.test:5000/v2/"),
            "{target}"
        );
    }
}
