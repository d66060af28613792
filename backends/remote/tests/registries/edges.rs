//! Answers at the edges of the spec, and the requests that follow on them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::stream;
use tranship::*;
use tranship_remote::{RemoteOptions, RemoteRepository, UploadMode};

use crate::fake::{Fake, HELLO, Reply, Seen, blob, claimed, name};

const UPLOAD: &str = "/v2/library/app/blobs/uploads/1";

/// The requests so far, as method and path.
fn requests(fake: &Fake) -> Vec<String> {
    let seen = fake.seen();
    let lines = seen.iter().map(|seen| {
        let path = seen.target.split('?').next().unwrap_or_default();
        let short = path.strip_prefix("/v2/library/app/").unwrap_or(path);
        let short = short.split("sha256:").next().unwrap_or_default();
        format!("{} {short}", seen.method)
    });
    lines.collect()
}

async fn pushing(repository: &RemoteRepository) -> Result<()> {
    repository.push(&blob(HELLO), HELLO.into()).await.map(drop)
}

/// A registry that starts uploads, and answers the rest by `handler`.
async fn starting_uploads(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Fake {
    Fake::start(move |seen| match seen.method.as_str() {
        "HEAD" => Reply::new(404),
        "POST" => Reply::new(202).header("location", UPLOAD),
        _ => handler(seen),
    })
    .await
}

#[tokio::test]
async fn an_empty_blob_is_asked_for_without_a_range() {
    let fake = Fake::start(|_| Reply::new(200)).await;
    let repository = fake.repository();
    let content = repository.fetch(&blob(b"")).await.expect("an answer");
    assert_eq!(content.bytes(10).await.expect("whole"), "");
    assert_eq!(fake.seen()[0].header("range"), None);
}

#[tokio::test]
async fn a_range_of_nothing_costs_no_request() {
    let fake = Fake::start(|_| Reply::new(500)).await;
    let repository = fake.repository();
    let part = repository.fetch_range(&blob(HELLO), (5..5).into()).await;
    let part = part.expect("nothing").bytes(10).await;
    assert_eq!(part.expect("whole"), "");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_range_that_is_answered_by_everything_is_cut_out() {
    let fake = Fake::start(|_| Reply::new(200).body(HELLO)).await;
    let repository = fake.repository();
    let part = repository.fetch_range(&blob(HELLO), (1..4).into()).await;
    let part = part.expect("a part").bytes(10).await;
    assert_eq!(part.expect("whole"), "ell");
}

#[tokio::test]
async fn a_range_that_the_registry_has_not_is_another_size() {
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
async fn blobs_are_looked_for_by_get_where_head_is_refused() {
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
async fn storage_that_refuses_head_is_asked_by_get() {
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

/// A registry whose proxy takes no more than `most` bytes with a request.
async fn with_a_limit(most: usize) -> Fake {
    starting_uploads(move |seen| match seen.method.as_str() {
        _ if seen.body.len() > most => Reply::new(413).body("<html>Too Large</html>"),
        "PATCH" => Reply::new(202),
        "PUT" => Reply::new(201),
        _ => Reply::new(204),
    })
    .await
}

/// How many bytes came with the requests of uploads.
fn lengths(fake: &Fake) -> Vec<(String, usize)> {
    let seen = fake.seen();
    let bodies = seen.into_iter().filter(|seen| seen.method.starts_with('P'));
    let bodies = bodies.filter(|seen| seen.method != "POST");
    bodies.map(|seen| (seen.method, seen.body.len())).collect()
}

#[tokio::test]
async fn chunks_are_halved_until_the_registry_takes_them() {
    const MIB: usize = 1024 * 1024;
    let fake = with_a_limit(2 * MIB).await;
    let options = RemoteOptions::default().with_chunk_size(4 * MIB as u64);
    let repository = fake.client(options).open(&name());
    for (size, expected) in [
        // At once, in chunks of four, and in chunks of two.
        (
            5,
            &[
                ("PUT", 5),
                ("PATCH", 4),
                ("PATCH", 2),
                ("PATCH", 2),
                ("PATCH", 1),
                ("PUT", 0),
            ][..],
        ),
        // From then on it is known.
        (3, &[("PATCH", 2), ("PATCH", 1), ("PUT", 0)]),
        (2, &[("PUT", 2)]),
    ] {
        let before = lengths(&fake).len();
        let content = vec![size; usize::from(size) * MIB];
        let pushed = repository
            .push(&blob(&content), content.clone().into())
            .await;
        pushed.expect("pushed");
        let sent = lengths(&fake).split_off(before);
        let sent: Vec<_> = sent
            .iter()
            .map(|(method, length)| (method.as_str(), length / MIB))
            .collect();
        assert_eq!(sent, expected);
    }
}

#[tokio::test]
async fn a_limit_below_the_smallest_chunk_says_what_to_change() {
    let fake = with_a_limit(100_000).await;
    let content = vec![1; 3 << 20];
    let repository = fake.repository();
    let pushed = repository
        .push(&blob(&content), content.clone().into())
        .await;
    let error = pushed.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit, "{error:?}");
    assert!(
        error
            .hint()
            .expect("a hint")
            .contains("client_max_body_size")
    );
    let sizes: Vec<_> = lengths(&fake)
        .into_iter()
        .map(|(_, length)| length)
        .collect();
    assert_eq!(sizes, [3 << 20, 3 << 20, 3 << 19, 1 << 20]);
}

#[tokio::test]
async fn the_pieces_of_a_caller_are_split_where_they_are_too_large() {
    let fake = with_a_limit(1 << 20).await;
    let repository = fake.repository();
    let uploader = repository.blobs();
    let content = vec![7; 5 << 19];
    let mut upload = uploader.start().await.expect("started");
    let written = upload.write(0, content.clone().into()).await;
    written.expect("written");
    upload.commit(&blob(&content)).await.expect("committed");
    let sizes: Vec<_> = lengths(&fake)
        .into_iter()
        .map(|(_, length)| length)
        .collect();
    // Two and a half, one and a quarter, and then what is taken.
    assert_eq!(sizes, [5 << 19, 5 << 18, 1 << 20, 1 << 20, 1 << 19, 0]);
}

/// Old repositories have images of Docker's schema 1, and some registries have types that others do not know.
#[tokio::test]
async fn a_manifest_of_an_unknown_type_is_refused_as_what_it_is() {
    for kind in [
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.example.manifest.v7+json",
    ] {
        let content = r#"{"schemaVersion":1,"name":"app","fsLayers":[]}"#;
        let fake = Fake::start(move |seen| match seen.target.contains("/manifests/") {
            true => Reply::new(200).header("content-type", kind).body(content),
            false => Reply::new(404),
        })
        .await;
        let repository = fake.repository();
        let tag: TagOrDigest = "old".parse().expect("a tag");
        let named = repository.resolve(&tag).await.expect("a digest");
        assert_eq!(named.media_type().as_str(), kind);
        let options = CopyOptions::default();
        let copied = copy(&repository, &tag, &repository, &[], &options).await;
        // Listed by an index, it is looked for among the blobs.
        let fetched = repository.fetch(&named).await;
        for error in [copied.expect_err("refused"), fetched.expect_err("refused")] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
            assert!(error.to_string().contains(kind), "{error}");
        }
    }
}

#[tokio::test]
async fn an_upload_without_a_location_is_an_error() {
    let fake = Fake::start(|seen| match seen.method.as_str() {
        "POST" => Reply::new(202),
        _ => Reply::new(404),
    })
    .await;
    let error = pushing(&fake.repository()).await.expect_err("no location");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn an_upload_that_is_refused_tells_why_and_is_cancelled() {
    let fake = starting_uploads(|seen| match seen.method.as_str() {
        "PUT" => Reply::new(400)
            .body(r#"{"errors":[{"code":"BLOB_UPLOAD_INVALID","message":"not now"}]}"#),
        _ => Reply::new(204),
    })
    .await;
    let error = pushing(&fake.repository()).await.expect_err("refused");
    assert_eq!(error.registry_errors()[0].code, "BLOB_UPLOAD_INVALID");
    // It is cancelled by a task of its own.
    while fake.seen().len() < 4 {
        tokio::task::yield_now().await;
    }
    let upload = "blobs/uploads/1";
    assert_eq!(
        requests(&fake),
        [
            "HEAD blobs/".to_owned(),
            "POST blobs/uploads/".to_owned(),
            format!("PUT {upload}"),
            format!("DELETE {upload}"),
        ]
    );
}

/// The request that ends an upload is not sent again before it is known what became of it.
#[tokio::test]
async fn an_outage_at_the_end_of_an_upload_is_asked_about_first() {
    let tries = AtomicUsize::new(0);
    let fake = starting_uploads(move |seen| match seen.method.as_str() {
        "PUT" if tries.fetch_add(1, Ordering::Relaxed) == 0 => Reply::new(503),
        "PUT" => Reply::new(201),
        _ => Reply::new(204).header("range", "0-0"),
    })
    .await;
    pushing(&fake.repository()).await.expect("pushed");
    assert_eq!(
        requests(&fake),
        [
            "HEAD blobs/",
            "POST blobs/uploads/",
            "PUT blobs/uploads/1",
            "HEAD blobs/",
            "GET blobs/uploads/1",
            "PUT blobs/uploads/1",
        ]
    );
}

#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_not_made_again() {
    let there = Arc::new(AtomicUsize::new(0));
    let fake = Fake::start(move |seen| match seen.method.as_str() {
        "HEAD" if there.load(Ordering::Relaxed) > 0 => Reply::new(200).body(HELLO),
        "POST" => Reply::new(202).header("location", UPLOAD),
        "PUT" => {
            there.fetch_add(1, Ordering::Relaxed);
            Reply::new(502)
        }
        _ => Reply::new(404),
    })
    .await;
    pushing(&fake.repository()).await.expect("pushed");
    let puts = requests(&fake);
    assert_eq!(
        puts.iter().filter(|line| line.starts_with("PUT")).count(),
        1
    );
}

#[tokio::test]
async fn content_that_comes_once_is_not_sent_to_who_asks_for_credentials_in_its_middle() {
    let fake = starting_uploads(|seen| match seen.header("authorization") {
        _ if seen.target == "/v2/" => Reply::new(200),
        None => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
        Some(_) => Reply::new(201),
    })
    .await;
    let once = Source::once(Body::from_stream(stream::iter([Ok(HELLO.into())])));
    let credential = tranship_remote::Credential::basic("robot", "hunter2");
    let registry = fake.host().parse().expect("a name");
    let credentials = tranship_remote::StaticCredentials::new(registry, credential);
    let options = RemoteOptions::default().with_credentials(Arc::new(credentials));
    let repository = fake.client(options).open(&name());
    let error = repository
        .push(&blob(HELLO), once)
        .await
        .expect_err("cannot be sent again");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
}

#[tokio::test]
async fn a_mount_that_becomes_an_upload_is_used_for_the_content() {
    let fake = starting_uploads(|_| Reply::new(201)).await;
    let repository = fake.repository();
    let mounter = repository.blobs();
    let from = "library/other".parse().expect("a name");
    let outcome = mounter
        .mount(&blob(HELLO), &from, Some(HELLO.into()))
        .await
        .expect("pushed");
    assert_eq!(outcome, PushOutcome::Pushed);
    assert_eq!(
        requests(&fake),
        ["POST blobs/uploads/", "HEAD blobs/", "PUT blobs/uploads/1"]
    );
}

#[tokio::test]
async fn a_mount_that_becomes_an_upload_is_cancelled_where_there_is_nothing_to_upload() {
    let fake = starting_uploads(|_| Reply::new(204)).await;
    let repository = fake.repository();
    let mounter = repository.blobs();
    let from = "library/other".parse().expect("a name");
    let error = mounter.mount(&blob(HELLO), &from, None).await;
    assert!(error.expect_err("not mounted").is_not_found());
    assert_eq!(
        requests(&fake),
        ["POST blobs/uploads/", "DELETE blobs/uploads/1"]
    );
}

#[tokio::test]
async fn an_upload_that_cannot_be_cancelled_hides_no_error() {
    let fake = starting_uploads(|_| Reply::new(400)).await;
    let repository = fake.repository();
    let blobs = repository.blobs();
    let from = "library/other".parse().expect("a name");
    let error = blobs.mount(&blob(HELLO), &from, None).await;
    assert!(error.expect_err("not mounted").is_not_found());
    let upload = blobs.start().await.expect("started");
    let error = upload.commit(&blob(HELLO)).await.expect_err("too short");
    assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error:?}");
}

#[tokio::test]
async fn the_query_of_a_location_comes_back_byte_by_byte() {
    let location = "/upload?_state=a%2Bb%2F%3D&x=%20y+z";
    let fake = Fake::start(move |seen| match seen.method.as_str() {
        "HEAD" => Reply::new(404),
        "POST" | "PATCH" => Reply::new(202).header("location", location),
        _ => Reply::new(201),
    })
    .await;
    let options = RemoteOptions::default().with_upload(UploadMode::Chunked);
    let repository = fake.client(options).open(&name());
    pushing(&repository).await.expect("pushed");
    let seen = fake.seen();
    assert_eq!(seen[2].target, location);
    assert!(
        seen[3]
            .target
            .starts_with(&format!("{location}&digest=sha256"))
    );
}

#[tokio::test]
async fn passing_failures_of_a_read_are_tried_again() {
    for status in [408, 429, 500, 502, 503, 504] {
        let tries = AtomicUsize::new(0);
        let fake = Fake::start(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::new(status).header("retry-after", 0),
            1 => Reply::new(status).header("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),
            _ => Reply::new(200).body(HELLO),
        })
        .await;
        let content = fake.repository().fetch(&blob(HELLO)).await;
        content.expect("an answer").bytes(10).await.expect("whole");
        assert_eq!(fake.seen().len(), 3, "{status}");
    }
}

#[tokio::test]
async fn failures_that_stay_are_not_tried_again() {
    for (status, kind) in [
        (400, ErrorKind::InvalidInput),
        (401, ErrorKind::Unauthorized),
        (403, ErrorKind::Denied),
        (404, ErrorKind::NotFound),
        (405, ErrorKind::Unsupported),
        (501, ErrorKind::Unsupported),
    ] {
        let fake = Fake::start(move |_| Reply::new(status)).await;
        let fetched = fake.repository().fetch(&blob(HELLO)).await;
        let error = fetched.expect_err("refused");
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(error.http_status(), Some(status));
        assert_eq!(fake.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_link_that_leads_nowhere_does_not_end_a_listing_as_if_it_were_whole() {
    for link in [
        "/v2/next; rel=\"next\"",
        "</v2/next; rel=\"next\"",
        "http://[x; rel=next",
    ] {
        let fake = Fake::start(move |_| {
            Reply::new(200)
                .header("link", link)
                .body(r#"{"tags":["v1"]}"#)
        })
        .await;
        let error = tags(&fake.repository()).await.expect_err(link);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{link}: {error:?}");
    }
}

#[tokio::test]
async fn a_registry_that_fails_to_list_is_an_error_and_one_without_the_repository_is_not() {
    for (status, kind) in [
        (401, ErrorKind::Unauthorized),
        (400, ErrorKind::InvalidInput),
    ] {
        let fake = Fake::start(move |_| Reply::new(status)).await;
        let error = tags(&fake.repository()).await.expect_err("refused");
        assert_eq!(error.kind(), kind);
    }
    let fake = Fake::start(|_| Reply::new(404)).await;
    assert!(tags(&fake.repository()).await.expect("none").is_empty());
}

/// As docs/from-oras-go.md says.
#[tokio::test]
async fn a_repository_that_does_not_exist_is_empty() {
    let body = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"unknown"}]}"#;
    let fake = Fake::start(move |_| Reply::new(404).body(body)).await;
    let repository = fake.repository();
    let tag: Tag = "v1".parse().expect("a tag");
    let manifest = Descriptor::of(MediaType::IMAGE_MANIFEST, b"{}");
    for target in [&manifest, &blob(HELLO)] {
        assert!(!repository.exists(target).await.expect("no"));
        let error = repository.fetch(target).await.expect_err("missing");
        assert!(error.is_not_found(), "{error:?}");
        let error = repository.delete(target).await.expect_err("missing");
        assert!(error.is_not_found(), "{error:?}");
        let found = repository.predecessors(target).await;
        assert_eq!(found.expect("none"), []);
    }
    let error = repository.resolve(&tag.into()).await.expect_err("missing");
    assert!(error.is_not_found(), "{error:?}");
    assert!(tags(&repository).await.expect("none").is_empty());
    let error = repository.push(&blob(HELLO), HELLO.into()).await;
    assert!(error.expect_err("missing").is_not_found());
}

#[tokio::test]
async fn a_ping_tells_a_registry_from_what_is_none() {
    for (status, kind) in [
        (200, None),
        (401, Some(ErrorKind::Unauthorized)),
        (404, Some(ErrorKind::NotFound)),
    ] {
        let fake = Fake::start(move |_| Reply::new(status)).await;
        let pinged = fake.client(RemoteOptions::default()).ping().await;
        assert_eq!(pinged.err().map(|error| error.kind()), kind, "{status}");
        assert_eq!(fake.seen()[0].target, "/v2/");
    }
}

#[tokio::test]
async fn warnings_are_told_once_each_also_those_of_failures() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&told);
    let options = RemoteOptions::default()
        .with_warnings(move |warning| keep.lock().expect("no panic").push(warning.clone()));
    let fake = Fake::start(|_| {
        Reply::new(404)
            .header("warning", "299 - \"The end is near.\"")
            .header("warning", "199 - \"Not this one.\"")
    })
    .await;
    let registry = fake.client(options);
    let repository = registry.open(&name());
    for _ in 0..2 {
        repository.fetch(&blob(HELLO)).await.expect_err("missing");
        registry.ping().await.expect_err("missing");
    }
    let told = told.lock().expect("no panic");
    let places: Vec<_> = told.iter().map(|one| one.repository.clone()).collect();
    assert_eq!(places, [Some(name()), None]);
    for warning in &*told {
        assert_eq!(warning.registry.as_str(), fake.host());
        assert_eq!(warning.text, "The end is near.");
    }
}

/// Somebody uses the tag that would stand in for the referrers API for an image.
#[tokio::test]
async fn a_tag_of_referrers_that_is_something_else_is_left_alone() {
    let subject = Descriptor::of(MediaType::IMAGE_MANIFEST, b"subject");
    let config = Descriptor::of(MediaType::EMPTY_JSON, b"{}");
    let image = Manifest::new(config.clone(), Vec::new());
    let image = encode_json(&image).expect("JSON").to_vec();
    let fake = Fake::start(move |seen| match seen.method.as_str() {
        "PUT" => Reply::new(201),
        "GET" if seen.target.contains("/manifests/sha256-") => Reply::new(200)
            .header("content-type", MediaType::IMAGE_MANIFEST)
            .body(image.clone()),
        _ => Reply::new(404),
    })
    .await;
    let mut referrer = Manifest::new(config, Vec::new());
    referrer.subject = Some(subject);
    let content = encode_json(&referrer).expect("JSON");
    let descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, &content);
    let error = fake
        .repository()
        .push(&descriptor, content.into())
        .await
        .expect_err("in the way");
    assert_eq!(error.kind(), ErrorKind::InvalidManifest, "{error:?}");
    let puts = fake.seen().into_iter().filter(|seen| seen.method == "PUT");
    assert!(
        puts.into_iter()
            .all(|seen| !seen.target.contains("sha256-"))
    );
}
