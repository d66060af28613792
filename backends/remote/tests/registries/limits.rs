//! Responses without end or of excessive size: reading them ends early, and takes little memory.

use futures_util::TryStreamExt as _;
use tranship::*;
use tranship_remote::{RemoteOptions, SecurityPolicy};

use crate::fake::{Fake, HELLO, Reply, blob, claimed, name};

/// The size of the buffers of two sockets, in addition to the bytes that were read.
const BUFFERED: u64 = 16 * 1024 * 1024;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

#[track_caller]
fn is_bounded(fake: &Fake, tries: u64) {
    let most = tries * (BUFFERED + MAX_MANIFEST_SIZE);
    assert!(fake.sent() < most, "{} bytes were taken", fake.sent());
}

fn noise() -> Vec<u8> {
    vec![b' '; 64 * 1024]
}

#[tokio::test]
async fn a_manifest_without_end_is_cut_off() {
    let fake = Fake::start(|_| {
        Reply::new(200)
            .header("content-type", MANIFEST)
            .endless(noise())
    })
    .await;
    let tag: Tag = "v1".parse().expect("a tag");
    let error = fake
        .repository()
        .fetch_reference(&tag.into())
        .await
        .expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit, "{error:?}");
    is_bounded(&fake, 1);
}

#[tokio::test]
async fn a_manifest_with_a_too_large_length_is_refused() {
    let fake = Fake::start(|_| {
        Reply::new(200)
            .header("content-type", MANIFEST)
            .header("content-length", u64::MAX / 2)
            .endless(noise())
    })
    .await;
    let tag: Tag = "v1".parse().expect("a tag");
    let error = fake
        .repository()
        .fetch_reference(&tag.into())
        .await
        .expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit, "{error:?}");
}

#[tokio::test]
async fn a_blob_without_end_is_cut_off() {
    let fake = Fake::start(|_| Reply::new(200).endless(noise())).await;
    let content = fake.repository().fetch(&claimed(100_000)).await;
    let error = content
        .expect("a response")
        .bytes(u64::MAX)
        .await
        .expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error:?}");
    is_bounded(&fake, 1);
}

#[tokio::test]
async fn a_blob_with_another_length_is_not_read() {
    let fake = Fake::start(|_| Reply::new(200).body("hello")).await;
    let error = fake
        .repository()
        .fetch(&claimed(100_000))
        .await
        .expect_err("another length");
    assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error:?}");
}

#[tokio::test]
async fn the_body_of_an_error_without_end_is_cut_off() {
    let fake = Fake::start(|_| Reply::new(403).endless(noise())).await;
    let error = fake
        .repository()
        .fetch(&claimed(10))
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    is_bounded(&fake, 1);
}

#[tokio::test]
async fn a_page_without_end_is_cut_off() {
    let fake = Fake::start(|_| {
        Reply::new(200)
            .header("content-type", "application/json")
            .endless(noise())
    })
    .await;
    let error = tags(&fake.repository()).await.expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit, "{error:?}");
    is_bounded(&fake, 1);
}

#[tokio::test]
async fn a_page_of_referrers_without_end_is_cut_off() {
    let fake = Fake::start(|_| {
        Reply::new(200)
            .header("content-type", "application/vnd.oci.image.index.v1+json")
            .endless(noise())
    })
    .await;
    let error = referrers(&fake.repository(), &blob(b"subject"), None)
        .await
        .expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit, "{error:?}");
    is_bounded(&fake, 1);
}

#[tokio::test]
async fn a_header_of_ten_megabytes_is_refused() {
    let fake = Fake::start(|_| Reply::new(200).header("x-long", "a".repeat(10 << 20))).await;
    let error = fake
        .repository()
        .fetch(&claimed(0))
        .await
        .expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(!error.is_retryable(), "{error:?}");
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let fake = Fake::start(|_| Reply::new(200).endless_head("some text")).await;
    let error = fake
        .repository()
        .fetch(&claimed(0))
        .await
        .expect_err("too many");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    is_bounded(&fake, 1);
}

#[tokio::test]
async fn more_headers_than_the_policy_allows_are_refused() {
    let many = |count: usize| {
        move |_: &_| (0..count).fold(Reply::new(404), |reply, n| reply.header("x", n))
    };
    let policy = SecurityPolicy::default().with_max_headers(20);
    let options = RemoteOptions::default().with_policy(policy);
    let fake = Fake::start(many(30)).await;
    let repository = fake.client(options.clone()).open(&name());
    let error = repository.fetch(&claimed(1)).await.expect_err("too many");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");

    let fake = Fake::start(many(10)).await;
    let repository = fake.client(options).open(&name());
    let error = repository.fetch(&claimed(1)).await.expect_err("missing");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
}

/// Each page has a tag, and a link to one that was not there before.
#[tokio::test]
async fn pages_without_end_are_limited() {
    let fake = Fake::start(|seen| {
        let (_, page) = seen.target.split_once("page=").unwrap_or(("", "0"));
        let page: u64 = page.parse().expect("a number");
        Reply::new(200)
            .header(
                "link",
                format!(
                    "</v2/library/app/tags/list?page={}>; rel=\"next\"",
                    page + 1
                ),
            )
            .body(format!(r#"{{"tags":["t{page}"]}}"#))
    })
    .await;
    let policy = SecurityPolicy::default().with_max_pages(25);
    let client = fake.client(RemoteOptions::default().with_policy(policy));
    let error = tags(&client.open(&name())).await.expect_err("too many");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("25 pages"), "{error}");
    assert_eq!(fake.seen().len(), 25);
}

/// Each page has referrers that were not there before, and a link to another page.
#[tokio::test]
async fn pages_of_referrers_without_end_are_limited() {
    let fake = Fake::start(|seen| {
        let (_, page) = seen.target.split_once("page=").unwrap_or(("", "0"));
        let page: u64 = page.parse().expect("a number");
        let referrers: Vec<_> = (0..10)
            .map(|number| {
                Descriptor::of(
                    MediaType::IMAGE_MANIFEST,
                    format!("{page}.{number}").as_bytes(),
                )
            })
            .collect();
        let index = encode_json(&Index::new(referrers)).expect("JSON");
        Reply::new(200)
            .header("content-type", MediaType::IMAGE_INDEX)
            .header("link", format!("<?page={}>; rel=\"next\"", page + 1))
            .body(index.to_vec())
    })
    .await;
    let policy = SecurityPolicy::default().with_max_listing_size(100_000);
    let client = fake.client(RemoteOptions::default().with_policy(policy));
    let listed = referrers(&client.open(&name()), &blob(b"subject"), None).await;
    let error = listed.expect_err("too many");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit, "{error:?}");
    assert!(error.to_string().contains("100000 bytes"), "{error}");
    // Some 140 bytes for each.
    assert!(
        (50..100).contains(&fake.seen().len()),
        "{}",
        fake.seen().len()
    );
}

#[tokio::test]
async fn pages_that_name_each_other_end() {
    let fake = Fake::start(|seen| {
        let other = if seen.target.contains("page=a") {
            "b"
        } else {
            "a"
        };
        Reply::new(200)
            .header("link", format!("<?page={other}>; rel=next"))
            .body(r#"{"tags":["t"]}"#)
    })
    .await;
    let error = tags(&fake.repository()).await.expect_err("a circle");
    assert!(error.to_string().contains("circle"), "{error}");
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn a_registry_that_ignores_parameters_costs_one_more_page() {
    let fake = Fake::start(|_| Reply::new(200).body(r#"{"tags":["a","b"]}"#)).await;
    let repository = fake.repository();
    let options = ListOptions::default().with_page_size(2);
    let listed: Vec<Tag> = repository.tags(options).try_collect().await.expect("tags");
    assert_eq!(listed.len(), 2);
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let fake = Fake::start(|seen| Reply::redirect(format!("{}x", seen.target))).await;
    let policy = SecurityPolicy::default().with_max_redirects(5);
    let client = fake.client(RemoteOptions::default().with_policy(policy));
    let error = client
        .open(&name())
        .fetch(&claimed(1))
        .await
        .expect_err("no end");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("more than 5 times"), "{error}");
    assert_eq!(fake.seen().len(), 6);
}

#[tokio::test]
async fn a_too_long_retry_after_fails_immediately() {
    let fake = Fake::start(|_| Reply::new(429).header("retry-after", u64::MAX)).await;
    let error = fake
        .repository()
        .fetch(&claimed(1))
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::RateLimited, "{error:?}");
    assert_eq!(fake.seen().len(), 1);
}

/// Responds to the start of an upload, and to each chunk with `range`.
fn upload(range: &'static str) -> impl Fn(&crate::fake::Seen) -> Reply {
    move |seen| match seen.method.as_str() {
        "POST" => Reply::new(202).header("location", "/v2/library/app/blobs/uploads/1"),
        "PATCH" => Reply::new(202).header("range", range),
        _ => Reply::new(404),
    }
}

#[tokio::test]
async fn an_upload_without_progress_ends() {
    let fake = Fake::start(upload("0-0")).await;
    let options = RemoteOptions::default().with_upload(tranship_remote::UploadMode::Chunked);
    let repository = fake.client(options).open(&name());
    let item = blob(HELLO);
    repository
        .push(&item, HELLO.into())
        .await
        .expect_err("no end");
    assert!(fake.seen().len() < 20, "{} requests", fake.seen().len());
}

#[tokio::test]
async fn an_upload_with_more_than_was_sent_is_refused() {
    let fake = Fake::start(upload("0-99")).await;
    let options = RemoteOptions::default().with_upload(tranship_remote::UploadMode::Chunked);
    let repository = fake.client(options).open(&name());
    let error = repository
        .push(&blob(HELLO), HELLO.into())
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("100 bytes"), "{error}");
}

#[tokio::test]
async fn chunks_of_exabytes_are_not_gathered() {
    let fake = Fake::start(|seen| match seen.method.as_str() {
        "POST" => Reply::new(202)
            .header("location", "/v2/library/app/blobs/uploads/1")
            .header("oci-chunk-min-length", u64::MAX),
        _ => Reply::new(404),
    })
    .await;
    let error = fake
        .repository()
        .push(&blob(HELLO), HELLO.into())
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

/// Replies to every request with the beginning of a gzip stream that is labelled as such.
async fn compressing() -> Fake {
    Fake::start(|_| {
        Reply::new(200)
            .header("content-encoding", "gzip")
            .header("content-type", MANIFEST)
            .body([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])
    })
    .await
}

#[tokio::test]
async fn compressed_content_is_refused() {
    let fake = compressing().await;
    let repository = fake.repository();
    let tag: Tag = "v1".parse().expect("a tag");
    for error in [
        repository
            .fetch_reference(&tag.into())
            .await
            .expect_err("a manifest"),
        tags(&repository).await.expect_err("a page"),
        repository.fetch(&claimed(11)).await.expect_err("a blob"),
    ] {
        let kinds = [ErrorKind::Unavailable, ErrorKind::SizeMismatch];
        assert!(kinds.contains(&error.kind()), "{error:?}");
        assert!(error.to_string().contains("Content-Encoding"), "{error}");
    }
    // It has the size, and not the digest.
    let read = repository.fetch(&claimed(10)).await.expect("a response");
    let error = read.bytes(10).await.expect_err("another digest");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error:?}");
    for seen in fake.seen() {
        assert_eq!(seen.header("accept-encoding"), None, "{seen:?}");
    }
}

/// The number of bytes that are sent may not be that of the content.
#[tokio::test]
async fn a_label_of_an_encoding_hides_the_size() {
    let fake = compressing().await;
    let repository = fake.repository();
    assert!(repository.exists(&claimed(1000)).await.expect("answered"));
}
