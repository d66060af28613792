//! What a push makes of files.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;

use tranship::prelude::*;
use tranship::{Descriptor, Digest, ErrorKind, MediaType, PackVersion, push_bytes};
use tranship_artifact::files::{FileSpec, PushOptions, attach, push};

use crate::support::{Case, TAR_DIGEST, TITLE, UNPACK, list, tagged, v1};

#[tokio::test]
async fn each_file_is_a_layer_with_its_title() {
    let case = Case::new();
    case.write("a.txt", "alpha");
    case.write("sub/b.txt", "beta");
    let files = [
        case.spec("a.txt")
            .with_media_type("text/plain".parse().expect("a type")),
        case.spec("sub/b.txt"),
    ];
    let report = push(&case.repository, files, &tagged())
        .await
        .expect("pushed");
    let manifest = case.manifest().await;
    assert_eq!(manifest.layers, report.files);
    let found: Vec<_> = manifest
        .layers
        .iter()
        .map(|layer| {
            (
                layer.annotation(TITLE).expect("a title"),
                layer.media_type().as_str(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("a.txt", "text/plain"),
            ("sub/b.txt", MediaType::IMAGE_LAYER.as_str())
        ]
    );
    assert_eq!(
        manifest.artifact_type.expect("a type").as_str(),
        "application/vnd.unknown.artifact.v1"
    );
    assert_eq!(manifest.config, Descriptor::empty_json());
}

#[tokio::test]
async fn the_manifest_is_what_oras_makes() {
    let case = Case::new();
    case.write("hi.txt", "hi\n");
    case.push(&["hi.txt"]).await;
    let (_, bytes) = tranship::fetch_bytes(&case.repository, &v1(), &Default::default())
        .await
        .expect("there");
    let expected = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.unknown.artifact.v1","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4","size":3,"annotations":{"org.opencontainers.image.title":"hi.txt"}}],"annotations":{"org.opencontainers.image.created":"2026-01-31T12:00:00Z"}}"#;
    assert_eq!(bytes, expected);
}

#[tokio::test]
async fn a_directory_is_the_same_archive_each_time() {
    let case = Case::new();
    let mut archives = Vec::new();
    for copy in ["one", "two"] {
        // Written in another order, and at another time.
        let mut names = vec!["b/c.txt", "a.txt", "b/a.txt"];
        if copy == "two" {
            names.reverse();
        }
        for name in names {
            let path = case.write(&format!("{copy}/{name}"), name);
            if copy == "two" {
                let file = fs::File::options().write(true).open(path).expect("opened");
                file.set_modified(std::time::UNIX_EPOCH).expect("set");
            }
        }
        let spec = FileSpec::new(case.path(copy)).with_title("data");
        let report = push(&case.repository, [spec], &tagged())
            .await
            .expect("pushed");
        archives.push(report.files[0].clone());
    }
    assert_eq!(archives[0], archives[1]);
}

#[tokio::test]
async fn an_archive_has_names_and_no_times_or_owners() {
    let case = Case::new();
    case.write("data/b/c.txt", "content");
    case.write("data/a.txt", "");
    let report = case.push(&["data"]).await;
    let layer = &report.files[0];
    assert_eq!(*layer.media_type(), MediaType::IMAGE_LAYER_GZIP);
    assert_eq!(layer.annotation(UNPACK), Some("true"));
    let compressed = case
        .repository
        .fetch(layer)
        .await
        .expect("there")
        .bytes(1 << 20)
        .await
        .expect("read");
    assert_eq!(compressed[4..8], [0; 4], "no time");
    assert_eq!(compressed[9], 255, "no system");
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(&compressed[..])
        .read_to_end(&mut tar)
        .expect("gzip");
    assert_eq!(
        layer.annotation(TAR_DIGEST),
        Some(Digest::of(&tar).to_string().as_str())
    );
    let mut archive = tar::Archive::new(&tar[..]);
    let mut names = Vec::new();
    for entry in archive.entries().expect("entries") {
        let entry = entry.expect("an entry");
        let header = entry.header();
        let numbers = (
            header.mtime().unwrap_or(1),
            header.uid().unwrap_or(1),
            header.gid().unwrap_or(1),
        );
        assert_eq!(numbers, (0, 0, 0));
        assert_eq!(header.username().expect("text"), Some(""));
        names.push(entry.path().expect("a path").display().to_string());
    }
    assert_eq!(names, ["data", "data/a.txt", "data/b", "data/b/c.txt"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_in_a_directory_is_an_error_that_names_it() {
    let case = Case::new();
    case.write("data/a.txt", "");
    let _socket = std::os::unix::net::UnixListener::bind(case.path("data/s")).expect("bound");
    for name in ["data", "data/s"] {
        let error = push(&case.repository, [case.spec(name)], &tagged())
            .await
            .expect_err("a socket");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let text = error.to_string();
        assert!(
            text.contains("a socket") && text.contains("data/s"),
            "{text}"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_out_of_a_directory_is_an_error_unless_allowed() {
    let case = Case::new();
    case.write("data/a.txt", "");
    std::os::unix::fs::symlink("/etc/passwd", case.path("data/l")).expect("linked");
    let error = push(&case.repository, [case.spec("data")], &tagged())
        .await
        .expect_err("a link");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error
            .subject()
            .is_some_and(|subject| subject.ends_with("data/l")),
        "{error}"
    );
    let options = tagged().with_any_path(true);
    push(&case.repository, [case.spec("data")], &options)
        .await
        .expect("allowed");
}

#[tokio::test]
async fn names_that_cannot_be_pulled_are_errors_unless_allowed() {
    let case = Case::new();
    let path = case.write("a.txt", "");
    for file in [
        FileSpec::new(&path),
        case.spec("a.txt").with_title("../a.txt"),
    ] {
        let error = push(&case.repository, [file.clone()], &tagged())
            .await
            .expect_err("unsafe");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let options = tagged().with_any_path(true);
        let report = push(&case.repository, [file.clone()], &options)
            .await
            .expect("allowed");
        assert_eq!(
            report.files[0].annotation(TITLE),
            Some(file.title().expect("a title").as_str())
        );
    }
}

#[tokio::test]
async fn two_files_of_one_title_are_an_error() {
    let case = Case::new();
    case.write("a", "1");
    case.write("b", "2");
    let files = [case.spec("a"), case.spec("b").with_title("a")];
    let error = push(&case.repository, files, &tagged())
        .await
        .expect_err("twice");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let report = case.push(&["a", "b"]).await;
    assert_eq!(report.files.len(), 2);
}

#[tokio::test]
async fn nothing_is_an_artifact_with_an_empty_layer() {
    let case = Case::new();
    case.push(&[]).await;
    assert_eq!(case.manifest().await.layers, [Descriptor::empty_json()]);
    let options = tagged().with_version(PackVersion::V1_0);
    push(&case.repository, [] as [FileSpec; 0], &options)
        .await
        .expect("pushed");
    let manifest = case.manifest().await;
    assert!(manifest.layers.is_empty());
    assert_eq!(*manifest.config.media_type(), MediaType::UNKNOWN_CONFIG);
}

#[tokio::test]
async fn a_config_without_a_type_means_image_spec_1_0() {
    let case = Case::new();
    case.write("config.json", "{\"a\":1}");
    let config = || case.spec("config.json");
    let push_with = |options: PushOptions| async move {
        push(&Case::new().repository, [] as [FileSpec; 0], &options)
            .await
            .map(|report| report.manifest)
    };
    let options = tagged().with_config(config());
    push(&case.repository, [] as [FileSpec; 0], &options)
        .await
        .expect("pushed");
    let manifest = case.manifest().await;
    assert_eq!(*manifest.config.media_type(), MediaType::UNKNOWN_CONFIG);
    assert_eq!(manifest.config.annotations(), &BTreeMap::new());
    assert_eq!(manifest.artifact_type, None);
    let kind: MediaType = "text/x-kind".parse().expect("a type");
    for (options, is_good) in [
        (
            tagged()
                .with_config(config())
                .with_artifact_type(kind.clone()),
            true,
        ),
        (
            tagged()
                .with_config(config())
                .with_version(PackVersion::V1_0),
            true,
        ),
        (
            tagged()
                .with_config(config())
                .with_version(PackVersion::V1_1),
            false,
        ),
        (
            tagged()
                .with_config(config())
                .with_artifact_type(kind.clone())
                .with_version(PackVersion::V1_0),
            false,
        ),
        (
            tagged()
                .with_config(config())
                .with_platform("linux/arm64".parse().expect("one")),
            false,
        ),
        (
            tagged()
                .with_artifact_type(kind.clone())
                .with_platform("linux/arm64".parse().expect("one"))
                .with_version(PackVersion::V1_0),
            false,
        ),
    ] {
        let pushed = push_with(options.clone()).await;
        match pushed {
            Ok(_) => assert!(is_good, "{options:?}"),
            Err(error) => {
                assert!(!is_good, "{options:?}: {error}");
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
            }
        }
    }
}

#[tokio::test]
async fn a_platform_is_stored_in_a_config() {
    let case = Case::new();
    let options = tagged().with_platform("linux/arm/v7".parse().expect("a platform"));
    push(&case.repository, [] as [FileSpec; 0], &options)
        .await
        .expect("pushed");
    let manifest = case.manifest().await;
    assert_eq!(*manifest.config.media_type(), MediaType::IMAGE_CONFIG);
    let config = case
        .repository
        .fetch(&manifest.config)
        .await
        .expect("there")
        .bytes(100)
        .await
        .expect("read");
    assert_eq!(
        config,
        r#"{"architecture":"arm","os":"linux","variant":"v7"}"#
    );
}

#[tokio::test]
async fn an_annotation_file_is_keyed_as_files_are_given() {
    let case = Case::new();
    case.write("a.txt", "alpha");
    let path = case.path("./a.txt").display().to_string();
    let json = serde_json::json!({
        "$manifest": {"m": "1"},
        "$config": {"c": "2"},
        &path: {TITLE: "renamed", "f": "3"},
    });
    let options = tagged()
        .with_annotation_file(json.to_string().as_bytes())
        .expect("valid");
    push(&case.repository, [FileSpec::new(&path)], &options)
        .await
        .expect("pushed");
    let manifest = case.manifest().await;
    assert_eq!(manifest.annotations["m"], "1");
    assert_eq!(manifest.config.annotation("c"), Some("2"));
    assert_eq!(manifest.layers[0].annotation(TITLE), Some("renamed"));
    assert_eq!(manifest.layers[0].annotation("f"), Some("3"));
    let error = push(
        &case.repository,
        [case.spec("a.txt").with_title("b")],
        &tagged_with("other"),
    )
    .await;
    assert_eq!(
        error.expect_err("no such file").kind(),
        ErrorKind::InvalidInput
    );
    for bad in [
        "",
        "[]",
        r#"{"$manifest": {"a": 1}}"#,
        r#"{"$manifest": "a"}"#,
    ] {
        let error = tagged()
            .with_annotation_file(bad.as_bytes())
            .expect_err(bad);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

fn tagged_with(path: &str) -> PushOptions {
    let json = format!(r#"{{"{path}": {{"a": "b"}}}}"#);
    tagged()
        .with_annotation_file(json.as_bytes())
        .expect("valid")
}

#[tokio::test]
async fn what_is_attached_has_a_plain_subject() {
    let case = Case::new();
    case.write("a.txt", "alpha");
    case.write("sbom.json", "{}");
    let subject = case.push(&["a.txt"]).await.manifest;
    let options = PushOptions::default().with_artifact_type("text/x-sbom".parse().expect("a type"));
    let report = attach(&case.repository, &v1(), [case.spec("sbom.json")], &options)
        .await
        .expect("attached");
    assert_eq!(report.subject, Some(subject.plain()));
    let referrers = tranship::referrers(&case.repository, &subject, None)
        .await
        .expect("listed");
    assert_eq!(referrers.len(), 1);
    assert_eq!(referrers[0].digest(), report.manifest.digest());
    assert_eq!(
        referrers[0].artifact_type().map(MediaType::as_str),
        Some("text/x-sbom")
    );
}

#[tokio::test]
async fn an_attachment_needs_a_type_and_content() {
    let case = Case::new();
    case.write("a.txt", "alpha");
    case.push(&["a.txt"]).await;
    let untyped = attach(
        &case.repository,
        &v1(),
        [case.spec("a.txt")],
        &PushOptions::default(),
    )
    .await;
    let typed = PushOptions::default().with_artifact_type("a/b".parse().expect("a type"));
    let empty = attach(&case.repository, &v1(), [] as [FileSpec; 0], &typed).await;
    for attached in [untyped, empty] {
        assert_eq!(
            attached.expect_err("incomplete").kind(),
            ErrorKind::InvalidInput
        );
    }
    let annotated = typed.with_annotation("a", "b");
    attach(&case.repository, &v1(), [] as [FileSpec; 0], &annotated)
        .await
        .expect("attached");
}

#[tokio::test]
async fn a_missing_file_is_not_found() {
    let case = Case::new();
    let error = push(&case.repository, [case.spec("a.txt")], &tagged())
        .await
        .expect_err("missing");
    assert!(error.is_not_found());
    assert!(
        error
            .subject()
            .is_some_and(|subject| subject.ends_with("a.txt"))
    );
}

#[tokio::test]
async fn a_push_leaves_no_temporary_file() {
    let case = Case::new();
    case.write("data/a.txt", "alpha");
    let before = list(case.directory.path());
    case.push(&["data"]).await;
    assert_eq!(list(case.directory.path()), before);
}

#[tokio::test]
async fn a_push_can_be_a_task() {
    let case = Case::new();
    case.write("a.txt", "alpha");
    let (repository, spec) = (case.repository.clone(), case.spec("a.txt"));
    let task = tokio::spawn(async move { push(&repository, [spec], &tagged()).await });
    task.await.expect("joined").expect("pushed");
    push_bytes(&case.repository, MediaType::OCTET_STREAM, "x")
        .await
        .expect("usable");
}

#[tokio::test]
async fn a_file_within_a_directory_is_not_pushed_beside_it() {
    let case = Case::new();
    fs::create_dir(case.path("d")).expect("created");
    case.write("d/a", "1");
    let files = [case.spec("d"), case.spec("d/a")];
    let error = push(&case.repository, files, &tagged()).await;
    let error = error.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("d/a"), "{error}");
}

#[tokio::test]
async fn a_directory_is_not_a_config() {
    let case = Case::new();
    case.write("a", "1");
    fs::create_dir(case.path("d")).expect("created");
    let options = tagged().with_config(case.spec("d"));
    let error = push(&case.repository, [case.spec("a")], &options).await;
    assert_eq!(error.expect_err("refused").kind(), ErrorKind::InvalidInput);
}
