//! Files over a hyper connection.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1 as client;
use hyper::header::CONTENT_LENGTH;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tranship::{Body, ByteStream};
use tranship_sendfile::{Connection, Outlet};

const PIECE: usize = 256 * 1024;

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at % 251) as u8).collect()
}

fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(content).expect("written");
    file.rewind().expect("rewound");
    file
}

/// Returns what a client receives of the response with `body`, in chunks.
async fn received(
    body: impl Fn(Option<&Outlet>) -> ByteStream + Send + Sync + 'static,
) -> std::result::Result<Bytes, hyper::Error> {
    received_with(None, body).await
}

/// Returns what a client receives of the response with `body`, which announces `length` or comes in chunks.
async fn received_with(
    length: Option<usize>,
    body: impl Fn(Option<&Outlet>) -> ByteStream + Send + Sync + 'static,
) -> std::result::Result<Bytes, hyper::Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let (connection, outlet) = Connection::new(stream);
        let service = service_fn(|_request: Request<Incoming>| {
            let stream = body(outlet.as_ref()).map_ok(Frame::data);
            let mut response = Response::new(StreamBody::new(stream));
            if let Some(length) = length {
                response.headers_mut().insert(CONTENT_LENGTH, length.into());
            }
            async { Ok::<_, io::Error>(response) }
        });
        server::Builder::new()
            .serve_connection(TokioIo::new(connection), service)
            .await
    });
    let stream = TcpStream::connect(address).await.expect("connected");
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    let connected = tokio::spawn(connection);
    let response = sender
        .send_request(Request::new(Full::new(Bytes::new())))
        .await?;
    let collected = response.into_body().collect().await?;
    drop(sender);
    connected.abort();
    serving.abort();
    Ok(collected.to_bytes())
}

fn sent(outlet: Option<&Outlet>, body: Body) -> ByteStream {
    match outlet {
        Some(outlet) => outlet.stream(body),
        None => body.into_stream(),
    }
}

#[tokio::test]
async fn a_file_of_any_length_arrives_as_it_is() {
    for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 7] {
        for announced in [None, Some(length)] {
            let content = content(length);
            let file = Arc::new(file(&content));
            let got = received_with(announced, move |outlet| {
                let file = file.try_clone().expect("a file");
                sent(outlet, Body::from_file(file, u64::MAX))
            });
            assert!(got.await.expect("received") == content, "{length} bytes");
        }
    }
}

#[tokio::test]
async fn a_part_of_a_file_arrives_without_the_rest() {
    let content = content(3 * PIECE);
    let expected = content[1000..2 * PIECE].to_vec();
    let file = Arc::new(file(&content));
    let got = received(move |outlet| {
        let mut file = file.try_clone().expect("a file");
        file.seek(SeekFrom::Start(1000)).expect("in the file");
        sent(outlet, Body::from_file(file, 2 * PIECE as u64 - 1000))
    });
    assert!(got.await.expect("received") == expected);
}

#[tokio::test]
async fn bytes_and_files_may_take_turns() {
    let content = content(2 * PIECE);
    let expected = [b"before", content.as_slice(), b"after"].concat();
    let file = Arc::new(file(&content));
    let got = received(move |outlet| {
        let file = file.try_clone().expect("a file");
        let body = sent(outlet, Body::from_file(file, u64::MAX));
        let before = Body::from_bytes(Bytes::from_static(b"before")).into_stream();
        let after = Body::from_bytes(Bytes::from_static(b"after")).into_stream();
        Box::pin(before.chain(body).chain(after))
    });
    assert!(got.await.expect("received") == expected);
}

#[tokio::test]
async fn bytes_that_are_in_no_file_arrive_too() {
    let got = received(|outlet| sent(outlet, Body::from_bytes(Bytes::from_static(b"hello"))));
    assert_eq!(got.await.expect("received"), "hello");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_body_that_a_layer_copies_breaks_the_connection() {
    let file = Arc::new(file(&content(2 * PIECE)));
    let got = received(move |outlet| {
        let file = file.try_clone().expect("a file");
        let body = sent(outlet, Body::from_file(file, u64::MAX));
        Box::pin(body.map_ok(|piece| Bytes::from(piece.to_vec())))
    });
    got.await.expect_err("nothing in place of the file");
}

/// Returns what a client receives of two pieces of a file that a layer changes, and keeps.
#[cfg(target_os = "linux")]
async fn received_changed(
    length: Option<usize>,
    change: fn(Bytes) -> Bytes,
) -> std::result::Result<Bytes, hyper::Error> {
    let file = Arc::new(file(&content(2 * PIECE)));
    let kept = Arc::new(Mutex::new(Vec::new()));
    let got = received_with(length, move |outlet| {
        let file = file.try_clone().expect("a file");
        let body = sent(outlet, Body::from_file(file, u64::MAX));
        let kept = Arc::clone(&kept);
        Box::pin(body.map_ok(move |piece| {
            kept.lock().expect("not poisoned").push(piece.clone());
            change(piece)
        }))
    });
    got.await
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_copy_of_a_stand_in_is_replaced_too() {
    for length in [None, Some(2 * PIECE)] {
        let got = received_changed(length, |piece| Bytes::from(piece.to_vec())).await;
        assert!(got.expect("received") == content(2 * PIECE));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_body_that_a_layer_changes_breaks_the_connection() {
    type Change = fn(Bytes) -> Bytes;
    let changes: [(usize, Change); 6] = [
        (2 * PIECE, |piece| Bytes::from(vec![b'x'; piece.len()])),
        (20, |_| Bytes::from(vec![b'x'; 10])),
        (20, |piece| piece.slice(..10)),
        (2 * PIECE + 2, |piece| {
            Bytes::from([&piece[..], b"\0"].concat())
        }),
        (2 * PIECE - 2, |piece| piece.slice(1..)),
        (2 * PIECE - 2, |piece| piece.slice(..piece.len() - 1)),
    ];
    for (number, (length, change)) in changes.into_iter().enumerate() {
        for length in [None, Some(length)] {
            let got = received_changed(length, change).await;
            got.expect_err(&format!("change {number} with length {length:?}"));
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_body_that_is_collected_first_breaks_the_connection() {
    for in_a_task in [false, true] {
        let file = Arc::new(file(&content(3 * PIECE)));
        let got = received(move |outlet| {
            let file = file.try_clone().expect("a file");
            let body = sent(outlet, Body::from_file(file, u64::MAX));
            let collected = async move { body.try_collect::<Vec<Bytes>>().await };
            Box::pin(futures_util::stream::once(async move {
                let pieces = match in_a_task {
                    true => tokio::spawn(collected).await.expect("ended")?,
                    false => collected.await?,
                };
                Ok(Bytes::from(pieces.concat()))
            }))
        });
        got.await.expect_err("the pieces were kept back");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_body_may_come_through_another_task() {
    let content = content(20 * PIECE + 3);
    let file = Arc::new(file(&content));
    let got = received(move |outlet| {
        let file = file.try_clone().expect("a file");
        let mut body = sent(outlet, Body::from_file(file, u64::MAX));
        let (sender, mut pieces) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            while let Some(piece) = body.next().await {
                sender.send(piece).await.expect("a receiver");
            }
        });
        Box::pin(futures_util::stream::poll_fn(move |context| {
            pieces.poll_recv(context)
        }))
    });
    assert!(got.await.expect("received") == content);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_body_whose_beginning_was_dropped_breaks_the_connection() {
    let file = Arc::new(file(&content(4 * PIECE)));
    let got = received(move |outlet| {
        let file = file.try_clone().expect("a file");
        Box::pin(sent(outlet, Body::from_file(file, u64::MAX)).skip(1))
    });
    got.await.expect_err("the rest is not the file");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_becomes_shorter_breaks_the_connection() {
    let file = Arc::new(file(&content(4 * PIECE)));
    let got = received(move |outlet| {
        let body = sent(
            outlet,
            Body::from_file(file.try_clone().expect("a file"), u64::MAX),
        );
        let file = Arc::clone(&file);
        Box::pin(body.inspect(move |_| file.set_len(PIECE as u64 / 2).expect("cut")))
    });
    got.await.expect_err("too short");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_observer_of_a_body_counts_all_its_bytes() {
    use std::sync::atomic::{AtomicU64, Ordering};

    let content = content(3 * PIECE + 5);
    let file = Arc::new(file(&content));
    let counted = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&counted);
    let got = received(move |outlet| {
        let counter = Arc::clone(&counter);
        let body = Body::from_file(file.try_clone().expect("a file"), u64::MAX);
        let body = body.inspect(move |bytes| {
            counter.fetch_add(bytes, Ordering::Relaxed);
        });
        sent(outlet, body)
    });
    let got = got.await;
    assert!(got.expect("received") == content);
    assert_eq!(counted.load(Ordering::Relaxed), content.len() as u64);
}
