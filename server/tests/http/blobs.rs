//! Reading and deleting blobs.

use tranship::Digest;

use crate::client::{Client, Reply};

const TEXT: &[u8] = b"0123456789";

async fn with_text() -> (Client, String) {
    let client = Client::new().await;
    let digest = client.push_blob("app", TEXT).await;
    (client, format!("/v2/app/blobs/{digest}"))
}

async fn range(range: &str) -> Reply {
    let (client, blob) = with_text().await;
    client.send("GET", &blob, &[("Range", range)], b"").await
}

#[tokio::test]
async fn a_blob_has_its_size_digest_and_entity_tag() {
    let (client, blob) = with_text().await;
    let digest = blob.rsplit('/').next().expect("a digest");
    for method in ["GET", "HEAD"] {
        let reply = client.send(method, &blob, &[], b"").await;
        reply.is(200);
        assert_eq!(reply.header("content-length"), Some("10"));
        assert_eq!(reply.header("docker-content-digest"), Some(digest));
        assert_eq!(reply.header("etag"), Some(&*format!("\"{digest}\"")));
        assert_eq!(reply.header("accept-ranges"), Some("bytes"));
        assert_eq!(
            reply.header("content-type"),
            Some("application/octet-stream")
        );
        assert_eq!(reply.body, if method == "GET" { TEXT } else { b"" });
    }
}

#[tokio::test]
async fn a_blob_of_another_repository_is_unknown() {
    let (client, blob) = with_text().await;
    let other = blob.replace("/app/", "/other/");
    client.get(&other).await.fails(404, "BLOB_UNKNOWN");
    client.send("HEAD", &other, &[], b"").await.is(404);
}

#[tokio::test]
async fn an_invalid_digest_is_refused() {
    let client = Client::new().await;
    for digest in [
        "sha256:0",
        "latest",
        "sha256:ABCDEF",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "blake3:0000000000000000000000000000000000000000000000000000000000000000",
    ] {
        let reply = client.get(&format!("/v2/app/blobs/{digest}")).await;
        reply.fails(400, "DIGEST_INVALID");
    }
}

#[tokio::test]
async fn a_range_is_returned_with_its_offsets() {
    let reply = range("bytes=2-4").await;
    reply.is(206);
    assert_eq!(reply.body, b"234");
    assert_eq!(reply.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(reply.header("content-length"), Some("3"));
}

#[tokio::test]
async fn open_and_suffix_ranges_end_with_the_blob() {
    assert_eq!(range("bytes=7-").await.is(206).body, b"789");
    assert_eq!(range("bytes=-3").await.is(206).body, b"789");
    assert_eq!(range("bytes=-99").await.is(206).body, TEXT);
    assert_eq!(range("bytes=8-99").await.is(206).body, b"89");
}

#[tokio::test]
async fn a_range_past_the_end_returns_the_size() {
    let reply = range("bytes=10-").await;
    reply.is(416);
    assert_eq!(reply.header("content-range"), Some("bytes */10"));
}

#[tokio::test]
async fn several_ranges_return_the_whole_blob() {
    assert_eq!(range("bytes=0-1,4-5").await.is(200).body, TEXT);
}

#[tokio::test]
async fn a_range_of_other_content_returns_the_whole_blob() {
    let (client, blob) = with_text().await;
    let digest = blob.rsplit('/').next().expect("a digest");
    let this = format!("\"{digest}\"");
    let headers = [("Range", "bytes=0-1"), ("If-Range", &this)];
    client.send("GET", &blob, &headers, b"").await.is(206);
    let headers = [("Range", "bytes=0-1"), ("If-Range", "\"other\"")];
    client.send("GET", &blob, &headers, b"").await.is(200);
}

#[tokio::test]
async fn a_cached_blob_is_not_sent_again() {
    let (client, blob) = with_text().await;
    let digest = blob.rsplit('/').next().expect("a digest");
    let this = format!("\"{digest}\"");
    let reply = client
        .send("GET", &blob, &[("If-None-Match", &this)], b"")
        .await;
    reply.is(304);
    assert_eq!(reply.body, b"");
    let reply = client
        .send("GET", &blob, &[("If-None-Match", "\"other\"")], b"")
        .await;
    reply.is(200);
}

#[tokio::test]
async fn a_deleted_blob_is_gone() {
    let (client, blob) = with_text().await;
    client.send("DELETE", &blob, &[], b"").await.is(202);
    client.get(&blob).await.fails(404, "BLOB_UNKNOWN");
    let again = client.send("DELETE", &blob, &[], b"").await;
    again.fails(404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let (client, blob) = with_text().await;
    let reply = client.send("PUT", &blob, &[], b"").await;
    reply.fails(405, "UNSUPPORTED");
    assert_eq!(reply.header("allow"), Some("GET, HEAD, DELETE"));
}

#[tokio::test]
async fn an_empty_blob_can_be_read() {
    let client = Client::new().await;
    let digest = client.push_blob("app", b"").await;
    let blob = format!("/v2/app/blobs/{digest}");
    let reply = client.get(&blob).await;
    assert_eq!(reply.is(200).header("content-length"), Some("0"));
    let part = client
        .send("GET", &blob, &[("Range", "bytes=0-0")], b"")
        .await;
    part.is(416);
}

#[tokio::test]
async fn a_blob_may_be_cached_forever() {
    let (client, blob) = with_text().await;
    let digest = blob.rsplit('/').next().expect("a digest");
    let tag = format!("\"{digest}\"");
    for (headers, status) in [
        (&[][..], 200),
        (&[("Range", "bytes=0-1")], 206),
        (&[("If-None-Match", &*tag)], 304),
    ] {
        let reply = client.send("GET", &blob, headers, b"").await;
        reply.is(status);
        let caching = reply.header("cache-control").expect("a header");
        assert!(caching.contains("max-age=31536000"), "{caching}");
        assert!(!caching.contains("public"), "{caching}");
    }
    let missing = format!("/v2/app/blobs/{}", Digest::of(b"missing"));
    assert_eq!(client.get(&missing).await.header("cache-control"), None);
}
