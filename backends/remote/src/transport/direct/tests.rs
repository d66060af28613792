use futures_util::TryStreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

fn url(text: &str) -> Url {
    text.parse().expect("a URL")
}

fn direct(options: &RemoteOptions) -> Direct {
    let origin = url("http://localhost");
    let resolver = GuardedResolver::new(&origin, &options.resolve, options.policy);
    let proxies = Proxies::new(&origin, options).expect("proxies");
    Direct::new(options, resolver, proxies)
}

#[test]
fn a_request_names_its_path_and_query_and_the_host_with_an_unusual_port() {
    for (text, target, named) in [
        (
            "http://localhost:5000/v2/a/?b=c%2F#d",
            "/v2/a/?b=c%2F",
            "localhost:5000",
        ),
        ("http://localhost:80/", "/", "localhost"),
        ("http://user:secret@[::1]:5000", "/", "[::1]:5000"),
    ] {
        assert_eq!(origin_form(&url(text)), target);
        assert_eq!(host(&url(text)).expect("a host"), named);
    }
}

#[tokio::test]
async fn names_lead_where_the_options_say() {
    let address = "127.0.0.9:0".parse().expect("an address");
    let options = RemoteOptions::default().with_resolve("registry.test", address);
    let found = direct(&options)
        .addresses(&url("http://registry.test:5000/"))
        .await;
    assert_eq!(found, Some(vec!["127.0.0.9:5000".parse().expect("one")]));
}

#[tokio::test]
async fn addresses_are_what_they_are() {
    for (text, expected) in [
        ("http://127.0.0.1:5000/", "127.0.0.1:5000"),
        ("http://[::1]/", "[::1]:80"),
    ] {
        let found = direct(&RemoteOptions::default())
            .addresses(&url(text))
            .await;
        assert_eq!(found, Some(vec![expected.parse().expect("one")]));
    }
}

#[test]
fn nothing_goes_past_a_proxy_that_the_options_name() {
    let options = RemoteOptions::default().with_proxy(Some("http://proxy.test:3128".to_owned()));
    assert!(direct(&options).has_proxy(&url("http://localhost:5000/")));
    assert!(!direct(&RemoteOptions::default()).has_proxy(&url("http://localhost:5000/")));
}

#[tokio::test]
async fn small_bodies_and_tls_have_no_connection_of_their_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let direct = direct(&RemoteOptions::default());
    let plain = url(&format!("http://{address}/"));
    let tls = url(&format!("https://{address}/"));
    for (url, length) in [(&plain, LARGE - 1), (&tls, LARGE)] {
        for (outgoing, expected) in [(Some(length), 0), (None, length)] {
            let route = direct.route(url, outgoing, expected).await;
            assert!(matches!(route, Ok(Route::Shared)));
        }
    }
    let upload = direct.route(&plain, Some(LARGE), 0).await;
    assert_eq!(
        matches!(upload, Ok(Route::Upload(_))),
        cfg!(target_os = "linux")
    );
    let download = direct.route(&plain, None, LARGE).await;
    assert!(matches!(download, Ok(Route::Download(_))));
}

/// Linux does not answer at all where too many wait to be accepted.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_other_connection_is_tried_where_none_was_made_in_time() {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    let local = "127.0.0.1:0".parse().expect("an address");
    socket.bind(local).expect("a port");
    let listener = socket.listen(1).expect("listening");
    let address = listener.local_addr().expect("an address");
    let soon = Duration::from_millis(100);
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(tokio::time::timeout(soon, TcpStream::connect(address)).await);
    }

    let options = RemoteOptions::default().with_connect_timeout(soon);
    let url = url(&format!("http://{address}/"));
    assert!(direct(&options).route(&url, None, LARGE).await.is_err());
}

/// A connection to get something from `url`.
async fn connected(url: &Url) -> Box<DirectDownload> {
    let direct = direct(&RemoteOptions::default());
    match direct.route(url, None, LARGE).await {
        Ok(Route::Download(download)) => download,
        _ => panic!("there is no connection to {url}"),
    }
}

/// What a server that answers `answer`, piece by piece, and closes the connection is asked, and what comes
/// of a download from it: the status, and the body or what broke it.
async fn download(answer: &[&str]) -> (String, http::StatusCode, Result<String, reqwest::Error>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = url(&format!(
        "http://{}/blob?a=b",
        listener.local_addr().expect("one")
    ));
    let serving = async {
        let (mut peer, _) = listener.accept().await.expect("a client");
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(peer.read_u8().await.expect("a request"));
        }
        for piece in answer {
            peer.write_all(piece.as_bytes()).await.expect("sent");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        String::from_utf8(asked).expect("text")
    };
    let receiving = async {
        let download = connected(&url).await;
        let response = download.send(&url, HeaderMap::new()).await.expect("a head");
        let status = response.status();
        let body: Result<Vec<_>, _> = response.bytes_stream().try_collect().await;
        let body = body.map(|pieces| String::from_utf8(pieces.concat()).expect("text"));
        (status, body)
    };
    let (asked, (status, body)) = tokio::join!(serving, receiving);
    (asked, status, body)
}

#[tokio::test]
async fn a_body_is_what_the_head_says_whichever_way_that_is() {
    for answer in [
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
        let (asked, status, body) = download(answer).await;
        assert!(asked.starts_with("GET /blob?a=b HTTP/1.1\r\n"), "{asked}");
        assert_eq!(status, 200, "{answer:?}");
        assert_eq!(body.expect("a body"), "hello", "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_without_a_body_has_none() {
    for (status, answer) in [
        (200, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (204, "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            307,
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            307,
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\n\r\n",
        ),
    ] {
        let (_, answered, body) = download(&[answer]).await;
        assert_eq!(answered, status);
        assert_eq!(body.expect("no body"), "", "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello",
    ] {
        let (_, _, body) = download(&[answer]).await;
        body.expect_err(answer);
    }
}

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = url(&format!("http://{}/", listener.local_addr().expect("one")));
    for answer in [
        "",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Len",
    ] {
        let serving = async {
            let (mut peer, _) = listener.accept().await.expect("a client");
            peer.write_all(answer.as_bytes()).await.expect("sent");
            peer.shutdown().await.expect("closed");
            peer
        };
        let receiving = async {
            let download = connected(&url).await;
            download.send(&url, HeaderMap::new()).await
        };
        let (_peer, answered) = tokio::join!(serving, receiving);
        answered.expect_err(answer);
    }
}
