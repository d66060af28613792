//! Lookups and downloads of blobs.

use tranship::*;

use crate::fake::{Fake, HELLO, Reply, blob, claimed};

#[tokio::test]
async fn an_empty_blob_is_requested_without_a_range() {
    let fake = Fake::start(|_| Reply::new(200)).await;
    let repository = fake.repository();
    let content = repository.fetch(&blob(b"")).await.expect("a response");
    assert_eq!(content.bytes(10).await.expect("whole"), "");
    assert_eq!(fake.seen()[0].header("range"), None);
}

#[tokio::test]
async fn an_empty_range_costs_no_request() {
    let fake = Fake::start(|_| Reply::new(500)).await;
    let repository = fake.repository();
    let part = repository.fetch_range(&blob(HELLO), (5..5).into()).await;
    let part = part.expect("nothing").bytes(10).await;
    assert_eq!(part.expect("whole"), "");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_range_is_cut_out_of_a_whole_blob() {
    let fake = Fake::start(|_| Reply::new(200).body(HELLO)).await;
    let repository = fake.repository();
    let part = repository.fetch_range(&blob(HELLO), (1..4).into()).await;
    let part = part.expect("a part").bytes(10).await;
    assert_eq!(part.expect("whole"), "ell");
}

#[tokio::test]
async fn a_range_beyond_the_blob_is_a_size_mismatch() {
    let fake = Fake::start(|_| Reply::new(416)).await;
    let error = fake
        .repository()
        .fetch_range(&blob(HELLO), (1..4).into())
        .await
        .expect_err("too short");
    assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error:?}");
}

#[tokio::test]
async fn a_blob_of_unknown_length_does_not_resolve() {
    let fake = Fake::start(|_| Reply::new(200).header("transfer-encoding", "chunked")).await;
    let digest = (*blob(HELLO).digest()).into();
    let repository = fake.repository();
    let error = repository.blobs().resolve(&digest).await;
    let error = error.expect_err("no length");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

/// A registry with the blob, which does not know `HEAD`.
async fn without_head(status: u16, has_ranges: bool) -> Fake {
    Fake::start(move |seen| match seen.method.as_str() {
        "HEAD" => Reply::new(status),
        "GET" if !seen.target.contains(&blob(HELLO).digest().hex()) => Reply::new(404),
        "GET" if has_ranges => Reply::new(206)
            .header("content-range", "bytes 0-0/5")
            .body("h"),
        _ => Reply::new(200).body(HELLO),
    })
    .await
}

#[tokio::test]
async fn blobs_are_looked_up_by_get_where_head_is_refused() {
    for (status, has_ranges) in [(405, true), (501, false)] {
        let fake = without_head(status, has_ranges).await;
        let repository = fake.repository();
        let item = blob(HELLO);
        assert!(repository.exists(&item).await.expect("answered"));
        assert!(!repository.exists(&claimed(5)).await.expect("answered"));
        let digest = (*item.digest()).into();
        let found = repository.blobs().resolve(&digest).await.expect("found");
        assert_eq!(found.size(), 5);
        let other = Descriptor::new(MediaType::OCTET_STREAM, *item.digest(), 6);
        assert!(!repository.exists(&other).await.expect("answered"));
        repository.push(&item, HELLO.into()).await.expect("there");
        // It is not tried again.
        let heads = fake.seen().into_iter().filter(|seen| seen.method == "HEAD");
        assert_eq!(heads.count(), 1);
        let ranges: Vec<_> = fake
            .seen()
            .iter()
            .filter_map(|seen| Some(seen.header("range")?.to_owned()))
            .collect();
        assert_eq!(ranges, ["bytes=0-0"; 5]);
    }
}

/// URLs of storage may be signed for one method.
#[tokio::test]
async fn storage_that_refuses_head_is_requested_by_get() {
    let storage = Fake::start(|seen| match seen.method.as_str() {
        "GET" => Reply::new(200).body(HELLO),
        _ => Reply::new(403),
    })
    .await;
    let target = storage.url("/hello?signature=of-get");
    let fake = Fake::start(move |_| Reply::redirect(&target)).await;
    let repository = fake.repository();
    assert!(repository.exists(&blob(HELLO)).await.expect("answered"));
}
