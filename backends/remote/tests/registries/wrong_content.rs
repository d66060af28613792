//! Content that differs from what the registry or the descriptor states.

use tranship::*;

use crate::fake::{Fake, HELLO, Reply, blob};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Returns an image manifest that refers to missing content.
fn manifest() -> Vec<u8> {
    let config = Descriptor::of(MediaType::IMAGE_CONFIG, b"{}");
    let manifest = Manifest::new(config, Vec::new());
    encode_json(&manifest).expect("JSON").to_vec()
}

fn described(content: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::IMAGE_MANIFEST, content)
}

fn tag() -> TagOrDigest {
    let tag: Tag = "v1".parse().expect("a tag");
    tag.into()
}

/// Returns the error of fetching `target` by its descriptor if the registry responds with `reply`.
async fn fetching(target: &Descriptor, reply: Reply) -> Error {
    let fake = Fake::start(move |_| reply.clone()).await;
    let fetched = match fake.repository().fetch(target).await {
        Ok(content) => content.bytes(MAX_MANIFEST_SIZE).await,
        Err(error) => Err(error),
    };
    fetched.expect_err("a lie")
}

async fn fetching_the_tag(reply: Reply) -> Result<Content> {
    let fake = Fake::start(move |_| reply.clone()).await;
    fake.repository().fetch_reference(&tag()).await
}

#[tokio::test]
async fn a_manifest_of_another_digest_is_refused() {
    let other = String::from_utf8(manifest())
        .expect("text")
        .replace('2', "3");
    let reply = Reply::new(200).header("content-type", MANIFEST).body(other);
    let error = fetching(&described(&manifest()), reply).await;
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error:?}");
}

#[tokio::test]
async fn a_manifest_of_another_size_is_refused() {
    let reply = Reply::new(200)
        .header("content-type", MANIFEST)
        .body(manifest());
    let size = manifest().len() as u64 + 1;
    let target = Descriptor::new(MediaType::IMAGE_MANIFEST, Digest::of(&manifest()), size);
    let error = fetching(&target, reply).await;
    assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error:?}");
}

#[tokio::test]
async fn a_manifest_with_another_digest_header_is_refused() {
    let reply = Reply::new(200)
        .header("content-type", MANIFEST)
        .header("docker-content-digest", Digest::of(b"other"))
        .body(manifest());
    let error = fetching(&described(&manifest()), reply.clone()).await;
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error:?}");
    let error = fetching_the_tag(reply).await.expect_err("a lie");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error:?}");
}

#[tokio::test]
async fn a_malformed_digest_header_is_refused() {
    let reply = Reply::new(200)
        .header("content-type", MANIFEST)
        .header("docker-content-digest", "sha256:abc")
        .body(manifest());
    let error = fetching_the_tag(reply).await.expect_err("no digest");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

/// What is asked for by its descriptor has the type of the descriptor, which its parent vouches for.
#[tokio::test]
async fn the_descriptor_determines_the_media_type() {
    let target = described(&manifest());
    let fake = Fake::start(|_| {
        Reply::new(200)
            .header("content-type", INDEX)
            .body(manifest())
    })
    .await;
    let content = fake.repository().fetch(&target).await.expect("a response");
    assert_eq!(content.descriptor().media_type(), target.media_type());
}

#[tokio::test]
async fn a_web_page_is_not_a_manifest() {
    let reply = Reply::new(200)
        .header("content-type", "text/html")
        .body("<html>Please log in</html>");
    let fetched = fetching_the_tag(reply).await;
    let read = match fetched {
        Ok(content) => {
            let media_type = content.descriptor().media_type().clone();
            assert!(!media_type.is_manifest(), "{media_type}");
            return;
        }
        Err(error) => error,
    };
    assert_eq!(read.kind(), ErrorKind::Unavailable, "{read:?}");
}

#[tokio::test]
async fn a_blob_of_another_digest_is_refused() {
    let error = fetching(&blob(HELLO), Reply::new(200).body("jello")).await;
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error:?}");
}

#[tokio::test]
async fn a_blob_that_always_ends_early_is_refused() {
    let reply = Reply::new(200)
        .header("content-length", 5)
        .header("connection", "close")
        .body("hell");
    let error = fetching(&blob(HELLO), reply).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

/// Half of the blob, and then the other half of something else, under another validator.
#[tokio::test]
async fn different_contents_are_never_joined() {
    let fake = Fake::start(|seen| match seen.header("range") {
        None => Reply::new(200)
            .header("etag", "\"one\"")
            .header("content-length", 10)
            .header("connection", "close")
            .body("hello"),
        Some(_) => Reply::new(206)
            .header("etag", "\"two\"")
            .header("content-range", "bytes 5-9/10")
            .body("WORLD"),
    })
    .await;
    let target = blob(b"helloworld");
    let content = fake.repository().fetch(&target).await.expect("a response");
    let error = content.bytes(u64::MAX).await.expect_err("spliced");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    let asked = fake.seen().pop().expect("a request");
    assert_eq!(asked.header("range"), Some("bytes=5-9"));
    assert_eq!(asked.header("if-range"), Some("\"one\""));
}

#[tokio::test]
async fn another_part_than_requested_is_refused() {
    let target = blob(b"helloworld");
    for (range, kind) in [
        ("bytes 0-4/10", ErrorKind::Unavailable),
        ("bytes 2-6/12", ErrorKind::SizeMismatch),
        ("bytes 2-7/10", ErrorKind::Unavailable),
        ("nonsense", ErrorKind::Unavailable),
    ] {
        let fake = Fake::start(move |_| {
            Reply::new(206)
                .header("content-range", range)
                .body("whatever")
        })
        .await;
        let repository = fake.repository();
        let error = repository
            .fetch_range(&target, ByteRange::from(2..7))
            .await
            .expect_err(range);
        assert_eq!(error.kind(), kind, "{range}: {error:?}");
    }
}

#[tokio::test]
async fn names_that_break_the_grammar_are_not_listed() {
    let fake = Fake::start(|seen| match seen.target.starts_with("/v2/_catalog") {
        true => Reply::new(200).body(r#"{"repositories":["../../etc","ok/name","A","a\n"]}"#),
        false => Reply::new(200).body(r#"{"tags":["v1","-x","../v1","a b","\u001b[31m"]}"#),
    })
    .await;
    let listed = tags(&fake.repository()).await.expect("tags");
    assert_eq!(listed, ["v1".parse::<Tag>().expect("a tag")]);
    let registry = fake.client(tranship_remote::RemoteOptions::default());
    let listed = repositories(&registry).await.expect("names");
    let names: Vec<&str> = listed.iter().map(RepositoryName::as_str).collect();
    assert_eq!(names, ["ok/name"]);
}

#[tokio::test]
async fn the_text_of_an_error_has_no_control_characters() {
    let fake = Fake::start(|_| {
        Reply::new(403)
            .body("{\"errors\":[{\"code\":\"DENIED\",\"message\":\"\\u001b]0;owned\\u0007no\"}]}")
    })
    .await;
    let error = fake
        .repository()
        .fetch(&blob(HELLO))
        .await
        .expect_err("refused");
    let text = format!("{error} {:?}", error.registry_errors());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

#[tokio::test]
async fn a_mount_of_another_blob_is_refused() {
    let fake = Fake::start(|seen| match seen.method.as_str() {
        "POST" => Reply::new(201).header("docker-content-digest", Digest::of(b"other")),
        _ => Reply::new(404),
    })
    .await;
    let error = fake
        .repository()
        .push(&blob(HELLO), HELLO.into())
        .await
        .expect_err("another blob");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn an_upload_that_ends_as_another_blob_is_refused() {
    let fake = Fake::start(|seen| match seen.method.as_str() {
        "POST" => Reply::new(202).header("location", "/v2/library/app/blobs/uploads/1"),
        "PUT" => Reply::new(201).header("docker-content-digest", Digest::of(b"other")),
        _ => Reply::new(404),
    })
    .await;
    let error = fake
        .repository()
        .push(&blob(HELLO), HELLO.into())
        .await
        .expect_err("another blob");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error:?}");
}
