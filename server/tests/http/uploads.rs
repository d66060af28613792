//! Pushing blobs in every way that there is.

use tranship::{Algorithm, Digest};
use tranship_server::ServerOptions;

use crate::client::Client;

async fn patch(client: &Client, location: &str, range: &str, body: &[u8]) -> crate::client::Reply {
    client
        .send("PATCH", location, &[("Content-Range", range)], body)
        .await
}

#[tokio::test]
async fn a_single_post_stores_a_blob() {
    let client = Client::new().await;
    let digest = Digest::of(b"hello");
    let target = format!("/v2/a/b/blobs/uploads/?digest={digest}");
    let reply = client.send("POST", &target, &[], b"hello").await;
    reply.is(201);
    let location = format!("/v2/a/b/blobs/{digest}");
    assert_eq!(reply.header("location"), Some(&*location));
    assert_eq!(client.get(&location).await.is(200).body, b"hello");
}

#[tokio::test]
async fn a_post_and_a_put_store_a_blob() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    let digest = Digest::of(b"hello");
    let target = format!("{location}?digest={digest}");
    let reply = client.send("PUT", &target, &[], b"hello").await;
    reply.is(201);
    assert_eq!(
        reply.header("docker-content-digest"),
        Some(&*digest.to_string())
    );
    assert_eq!(
        client.get(&format!("/v2/app/blobs/{digest}")).await.body,
        b"hello"
    );
}

#[tokio::test]
async fn chunks_are_appended_in_order() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    let reply = patch(&client, &location, "0-2", b"hel").await;
    assert_eq!(reply.is(202).header("range"), Some("0-2"));
    let reply = patch(&client, &location, "3-3", b"l").await;
    assert_eq!(reply.is(202).header("range"), Some("0-3"));
    let digest = Digest::of(b"hello");
    let target = format!("{location}?digest={digest}");
    let reply = client
        .send("PUT", &target, &[("Content-Range", "4-4")], b"o")
        .await;
    reply.is(201);
    assert_eq!(
        client.get(&format!("/v2/app/blobs/{digest}")).await.body,
        b"hello"
    );
}

#[tokio::test]
async fn a_chunk_without_range_is_appended() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    client.send("PATCH", &location, &[], b"hel").await.is(202);
    client.send("PATCH", &location, &[], b"lo").await.is(202);
    let target = format!("{location}?digest={}", Digest::of(b"hello"));
    client.send("PUT", &target, &[], b"").await.is(201);
}

#[tokio::test]
async fn a_body_of_unknown_length_is_accepted() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    let request = format!(
        "PUT {location}?digest={} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        Digest::of(b"hello")
    );
    let reply = crate::client::Reply::parse(&client.raw(request.as_bytes()).await);
    reply.is(201);
}

#[tokio::test]
async fn a_chunk_out_of_order_returns_the_offset() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    patch(&client, &location, "0-2", b"hel").await.is(202);
    for range in ["0-1", "4-5"] {
        let reply = patch(&client, &location, range, b"xx").await;
        reply.fails(416, "BLOB_UPLOAD_INVALID");
        assert_eq!(reply.header("range"), Some("0-2"));
        assert_eq!(reply.header("location"), Some(&*location));
    }
    patch(&client, &location, "3-4", b"lo").await.is(202);
    let target = format!("{location}?digest={}", Digest::of(b"hello"));
    client.send("PUT", &target, &[], b"").await.is(201);
}

#[tokio::test]
async fn a_last_chunk_out_of_order_leaves_the_upload_open() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    let target = format!("{location}?digest={}", Digest::of(b"hello"));
    let reply = client
        .send("PUT", &target, &[("Content-Range", "2-4")], b"llo")
        .await;
    reply.fails(416, "BLOB_UPLOAD_INVALID");
    client.send("PUT", &target, &[], b"hello").await.is(201);
}

#[tokio::test]
async fn a_chunk_with_a_wrong_range_is_not_written() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    for range in ["0-1", "0-9"] {
        let reply = patch(&client, &location, range, b"hello").await;
        reply.fails(400, "SIZE_INVALID");
    }
    for range in ["5-0", "abc", "0-", "-4", "0-4-5"] {
        let reply = patch(&client, &location, range, b"hello").await;
        reply.fails(400, "BLOB_UPLOAD_INVALID");
    }
    patch(&client, &location, "0-4", b"hello").await.is(202);
}

#[tokio::test]
async fn the_status_returns_the_offset() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    patch(&client, &location, "0-4", b"hello").await.is(202);
    let reply = client.get(&location).await;
    reply.is(204);
    assert_eq!(reply.header("range"), Some("0-4"));
    assert_eq!(reply.header("location"), Some(&*location));
}

#[tokio::test]
async fn a_cancelled_upload_is_gone() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    client.send("DELETE", &location, &[], b"").await.is(204);
    client
        .get(&location)
        .await
        .fails(404, "BLOB_UPLOAD_UNKNOWN");
    let again = client.send("DELETE", &location, &[], b"").await;
    again.fails(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn content_of_another_digest_is_not_stored() {
    let client = Client::new().await;
    let digest = Digest::of(b"hello");
    let location = client.start_upload("app").await;
    let target = format!("{location}?digest={digest}");
    let reply = client.send("PUT", &target, &[], b"jello").await;
    reply.fails(400, "DIGEST_INVALID");
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    let reply = client.send("POST", &target, &[], b"jello").await;
    reply.fails(400, "DIGEST_INVALID");
    client.get(&format!("/v2/app/blobs/{digest}")).await.is(404);
}

#[tokio::test]
async fn blobs_may_have_digests_of_every_algorithm() {
    let client = Client::new().await;
    for algorithm in Algorithm::ALL {
        let digest = algorithm.digest(b"hello");
        let target = format!("/v2/app/blobs/uploads/?digest-algorithm={algorithm}");
        let reply = client.send("POST", &target, &[], b"").await;
        let location = reply
            .is(202)
            .header("location")
            .expect("a location")
            .to_owned();
        let target = format!("{location}?digest={digest}");
        client.send("PUT", &target, &[], b"hello").await.is(201);
        client.get(&format!("/v2/app/blobs/{digest}")).await.is(200);
    }
}

#[tokio::test]
async fn an_unknown_algorithm_is_refused_at_the_start() {
    let client = Client::new().await;
    for query in [
        "digest-algorithm=md5",
        "digest=md5:d41d8cd98f00b204e9800998ecf8427e",
        "digest=sha256:zz",
        "mount=sha1:0000000000000000000000000000000000000000&from=other",
    ] {
        let target = format!("/v2/app/blobs/uploads/?{query}");
        let reply = client.send("POST", &target, &[], b"").await;
        reply.fails(400, "DIGEST_INVALID");
    }
}

#[tokio::test]
async fn an_upload_without_digest_stays_open() {
    let client = Client::new().await;
    let location = client.start_upload("app").await;
    for target in [location.clone(), format!("{location}?digest=sha256:0")] {
        let reply = client.send("PUT", &target, &[], b"hello").await;
        reply.fails(400, "DIGEST_INVALID");
    }
    let target = format!("{location}?digest={}", Digest::of(b"hello"));
    client.send("PUT", &target, &[], b"hello").await.is(201);
}

#[tokio::test]
async fn a_blob_is_mounted_from_its_repository() {
    let client = Client::new().await;
    let digest = client.push_blob("from", b"hello").await;
    let target = format!("/v2/to/blobs/uploads/?mount={digest}&from=from");
    let reply = client.send("POST", &target, &[], b"").await;
    let location = format!("/v2/to/blobs/{digest}");
    assert_eq!(reply.is(201).header("location"), Some(&*location));
    assert_eq!(client.get(&location).await.is(200).body, b"hello");
}

#[tokio::test]
async fn a_mount_without_a_source_finds_the_blob() {
    let client = Client::new().await;
    let digest = client.push_blob("from", b"hello").await;
    let target = format!("/v2/to/blobs/uploads/?mount={digest}");
    client.send("POST", &target, &[], b"").await.is(201);
    client.get(&format!("/v2/to/blobs/{digest}")).await.is(200);
}

#[tokio::test]
async fn a_mount_of_an_absent_blob_becomes_an_upload() {
    let client = Client::with(ServerOptions::default().with_anonymous_mount_search(0)).await;
    let digest = client.push_blob("from", b"hello").await;
    for query in [
        format!("mount={digest}"),
        format!("mount={digest}&from=elsewhere"),
        format!("mount={}&from=from", Digest::of(b"other")),
    ] {
        let target = format!("/v2/to/blobs/uploads/?{query}");
        let reply = client.send("POST", &target, &[], b"").await;
        let location = reply
            .is(202)
            .header("location")
            .expect("a location")
            .to_owned();
        client.get(&location).await.is(204);
    }
    let target = format!("/v2/to/blobs/uploads/?mount={digest}&from=../from");
    let reply = client.send("POST", &target, &[], b"").await;
    reply.fails(400, "NAME_INVALID");
}

#[tokio::test]
async fn a_blob_over_the_limit_is_always_refused() {
    let client = Client::with(ServerOptions::default().with_max_blob_size(4)).await;
    let digest = Digest::of(b"hello");
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    let reply = client.send("POST", &target, &[], b"hello").await;
    reply.fails(413, "SIZE_INVALID");
    let location = client.start_upload("app").await;
    client.send("PATCH", &location, &[], b"hel").await.is(202);
    let reply = client.send("PATCH", &location, &[], b"lo").await;
    reply.fails(413, "SIZE_INVALID");
}

#[tokio::test]
async fn the_minimum_size_of_chunks_is_sent() {
    let client = Client::with(ServerOptions::default().with_min_chunk_size(1024)).await;
    let reply = client
        .send("POST", "/v2/app/blobs/uploads/", &[], b"")
        .await;
    assert_eq!(reply.is(202).header("oci-chunk-min-length"), Some("1024"));
}
