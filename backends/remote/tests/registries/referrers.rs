//! Where referrers are listed, as the options say, and in how many requests.

use tranship::*;
use tranship_remote::{ReferrersMode, RemoteOptions};

use crate::fake::{Fake, Reply, Seen, blob, name};

fn with(mode: ReferrersMode) -> RemoteOptions {
    RemoteOptions::default().with_referrers(mode)
}

/// What was asked, without the digests.
fn asked(fake: &Fake) -> Vec<String> {
    let short = |seen: Seen| {
        let path = seen
            .target
            .trim_start_matches("/v2/library/app/")
            .to_owned();
        let end = path.find("sha256").unwrap_or(path.len());
        let separator = path.get(end + 6..end + 7).unwrap_or_default();
        format!("{} {}{separator}", seen.method, &path[..end])
    };
    fake.seen().into_iter().map(short).collect()
}

fn page(referrers: Vec<Descriptor>) -> Reply {
    let index = encode_json(&Index::new(referrers)).expect("JSON");
    Reply::new(200)
        .header("content-type", MediaType::IMAGE_INDEX)
        .body(index.to_vec())
}

/// A manifest that refers to a subject, and its bytes.
fn referrer() -> (Descriptor, bytes::Bytes) {
    let config = Descriptor::of(MediaType::EMPTY_JSON, b"{}");
    let mut manifest = Manifest::new(config, Vec::new());
    manifest.subject = Some(Descriptor::of(MediaType::IMAGE_MANIFEST, b"subject"));
    let content = encode_json(&manifest).expect("JSON");
    let target = Descriptor::of(MediaType::IMAGE_MANIFEST, &content);
    (target, content)
}

#[tokio::test]
async fn a_page_size_is_asked_for_in_the_first_request() {
    let fake = Fake::start(|seen| match seen.target.contains("page=2") {
        false => page(vec![blob(b"1"), blob(b"2")]).header("link", "<?page=2>; rel=\"next\""),
        true => page(vec![blob(b"3")]),
    })
    .await;
    let options = RemoteOptions::default().with_referrers_page_size(Some(2));
    let repository = fake.client(options).open(&name());
    let subject = blob(b"subject");
    let wanted = Some(MediaType::OCTET_STREAM);
    let listed = referrers(&repository, &subject, None)
        .await
        .expect("a list");
    assert_eq!(listed.len(), 3);
    let path = format!("/v2/library/app/referrers/{}", subject.digest());
    let targets: Vec<_> = fake.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, [format!("{path}?n=2"), format!("{path}?page=2")]);
    referrers(&repository, &subject, wanted.as_ref())
        .await
        .expect("a list");
    let target = &fake.seen()[2].target;
    assert!(
        target.ends_with("?artifactType=application%2Foctet-stream&n=2"),
        "{target}"
    );
}

#[tokio::test]
async fn without_a_page_size_none_is_asked_for() {
    let fake = Fake::start(|_| page(Vec::new())).await;
    for size in [None, Some(0)] {
        let options = RemoteOptions::default().with_referrers_page_size(size);
        let repository = fake.client(options).open(&name());
        referrers(&repository, &blob(b"subject"), None)
            .await
            .expect("a list");
    }
    assert!(fake.seen().iter().all(|seen| !seen.target.contains('?')));
}

#[tokio::test]
async fn the_tag_scheme_never_asks_the_api() {
    let fake = Fake::start(|_| Reply::new(404)).await;
    let repository = fake.client(with(ReferrersMode::TagScheme)).open(&name());
    for _ in 0..2 {
        let listed = referrers(&repository, &blob(b"subject"), None).await;
        assert_eq!(listed.expect("none"), []);
    }
    assert_eq!(asked(&fake), ["GET manifests/-", "GET manifests/-"]);
}

#[tokio::test]
async fn detecting_asks_the_api_once() {
    let fake = Fake::start(|_| Reply::new(404)).await;
    let repository = fake.client(with(ReferrersMode::Detect)).open(&name());
    for _ in 0..2 {
        let listed = referrers(&repository, &blob(b"subject"), None).await;
        assert_eq!(listed.expect("none"), []);
    }
    assert_eq!(
        asked(&fake),
        ["GET referrers/:", "GET manifests/-", "GET manifests/-"]
    );
}

#[tokio::test]
async fn the_api_does_not_fall_back_on_tags() {
    for status in [200, 404, 405] {
        let fake = Fake::start(move |_| Reply::new(status)).await;
        let repository = fake.client(with(ReferrersMode::Api)).open(&name());
        let listed = referrers(&repository, &blob(b"subject"), None).await;
        let error = listed.expect_err("no API");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        assert_eq!(asked(&fake), ["GET referrers/:"]);
    }
}

#[tokio::test]
async fn a_repository_that_does_not_exist_has_no_referrers() {
    for mode in [
        ReferrersMode::Detect,
        ReferrersMode::Api,
        ReferrersMode::TagScheme,
    ] {
        let body = r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#;
        let fake = Fake::start(move |_| Reply::new(404).body(body)).await;
        let repository = fake.client(with(mode)).open(&name());
        let listed = referrers(&repository, &blob(b"subject"), None).await;
        assert_eq!(listed.expect("none"), [], "{mode:?}");
    }
}

/// A registry that takes every manifest, and has no index of referrers.
async fn taking(notices_subject: bool) -> Fake {
    Fake::start(move |seen| match seen.method.as_str() {
        "PUT" if notices_subject => Reply::new(201).header("oci-subject", "sha256:aa"),
        "PUT" => Reply::new(201),
        _ => Reply::new(404),
    })
    .await
}

#[tokio::test]
async fn a_push_writes_an_index_where_the_tag_scheme_is_used() {
    let with_index = ["PUT manifests/:", "GET manifests/-", "PUT manifests/-"];
    for (mode, notices_subject, expected) in [
        (ReferrersMode::Detect, false, &with_index[..]),
        (ReferrersMode::Detect, true, &with_index[..1]),
        (ReferrersMode::Api, false, &with_index[..1]),
        (ReferrersMode::Api, true, &with_index[..1]),
        (ReferrersMode::TagScheme, false, &with_index[..]),
        (ReferrersMode::TagScheme, true, &with_index[..]),
    ] {
        let fake = taking(notices_subject).await;
        let repository = fake.client(with(mode)).open(&name());
        let (target, content) = referrer();
        repository
            .push(&target, content.into())
            .await
            .expect("pushed");
        assert_eq!(asked(&fake), expected, "{mode:?} {notices_subject}");
    }
}

#[tokio::test]
async fn a_delete_updates_the_index_where_the_tag_scheme_is_used() {
    for (mode, expected) in [
        (
            ReferrersMode::Api,
            &["HEAD manifests/:", "DELETE manifests/:"][..],
        ),
        (
            ReferrersMode::TagScheme,
            &[
                "GET manifests/:",
                "DELETE manifests/:",
                "GET manifests/-",
                "PUT manifests/-",
            ],
        ),
    ] {
        let (target, content) = referrer();
        let (digest, listed) = (target.digest().to_string(), target.clone());
        let fake = Fake::start(move |seen| match seen.method.as_str() {
            "DELETE" => Reply::new(202),
            "PUT" => Reply::new(201),
            _ if seen.target.contains("/manifests/sha256-") => page(vec![listed.clone()]),
            _ => Reply::new(200)
                .header("content-type", MediaType::IMAGE_MANIFEST)
                .header("docker-content-digest", &digest)
                .body(content.to_vec()),
        })
        .await;
        let repository = fake.client(with(mode)).open(&name());
        repository.delete(&target).await.expect("deleted");
        assert_eq!(asked(&fake), expected, "{mode:?}");
    }
}
