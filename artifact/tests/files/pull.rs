//! What a pull writes.

use std::fs;

use tranship::prelude::*;
use tranship::{Descriptor, ErrorKind, Index, MediaType, encode_json, push_bytes, tag_bytes};
use tranship_artifact::files::{
    FileSpec, PullAction, PullOptions, PushOptions, attach, pull, push,
};
use tranship_layout::Layout;

use crate::support::{Case, Tar, archive, overwrite, tagged, titled, v1};

fn actions(report: &tranship_artifact::files::PullReport) -> Vec<PullAction> {
    report.files.iter().map(|file| file.action).collect()
}

#[tokio::test]
async fn files_and_directories_come_back() {
    let case = Case::new();
    case.write("a.txt", "alpha");
    case.write("sub/b.txt", "beta");
    case.write("data/c.txt", "gamma");
    case.write("data/deep/d.txt", "delta");
    case.push(&["a.txt", "sub/b.txt", "data"]).await;
    let report = case.pull(&PullOptions::default()).await.expect("pulled");
    let expected = [
        "a.txt",
        "data",
        "data/c.txt",
        "data/deep",
        "data/deep/d.txt",
        "sub",
        "sub/b.txt",
    ];
    assert_eq!(case.output(), expected);
    for (name, content) in [
        ("a.txt", "alpha"),
        ("sub/b.txt", "beta"),
        ("data/deep/d.txt", "delta"),
    ] {
        assert_eq!(case.read(&format!("out/{name}")), content);
    }
    let paths: Vec<_> = report.files.iter().map(|file| file.path.clone()).collect();
    assert_eq!(
        paths,
        [
            case.path("out/a.txt"),
            case.path("out/sub/b.txt"),
            case.path("out/data")
        ]
    );
    assert_eq!(
        report
            .files
            .iter()
            .map(|file| file.is_unpacked)
            .collect::<Vec<_>>(),
        [false, false, true]
    );
}

#[tokio::test]
async fn a_second_pull_changes_nothing() {
    let case = Case::new();
    case.write("a.txt", "alpha");
    case.write("data/c.txt", "gamma");
    case.push(&["a.txt", "data"]).await;
    let first = case.pull(&PullOptions::default()).await.expect("pulled");
    assert_eq!(actions(&first), [PullAction::Written; 2]);
    let modified = || {
        fs::metadata(case.path("out/data/c.txt"))
            .and_then(|found| found.modified())
            .expect("there")
    };
    let before = modified();
    let second = case.pull(&PullOptions::default()).await.expect("pulled");
    assert_eq!(actions(&second), [PullAction::Unchanged; 2]);
    assert_eq!(modified(), before);
}

#[tokio::test]
async fn a_directory_of_another_program_is_compared_with_the_archive() {
    let case = Case::new();
    let tar = Tar::new()
        .directory("d")
        .file("d/a", "1")
        .link("d/l", "a")
        .bytes();
    case.store_archive(tar).await;
    let first = case.pull(&PullOptions::default()).await.expect("pulled");
    assert_eq!(actions(&first), [PullAction::Written]);
    case.write("out/d/other", "kept");
    let second = case.pull(&PullOptions::default()).await.expect("pulled");
    assert_eq!(actions(&second), [PullAction::Unchanged]);
    assert_eq!(case.output(), ["d", "d/a", "d/l", "d/other"]);
}

#[tokio::test]
async fn a_file_with_other_content_is_replaced_only_if_allowed() {
    let case = Case::new();
    case.write("a.txt", "alpha");
    case.write("b.txt", "beta");
    case.push(&["b.txt", "a.txt"]).await;
    case.write("out/a.txt", "mine!");
    let error = case
        .pull(&PullOptions::default())
        .await
        .expect_err("exists");
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.subject(), Some("a.txt"));
    assert_eq!(case.output(), ["a.txt"]);
    assert_eq!(case.read("out/a.txt"), "mine!");
    case.pull(&overwrite()).await.expect("pulled");
    assert_eq!(case.read("out/a.txt"), "alpha");
}

#[tokio::test]
async fn a_directory_is_merged_and_not_replaced() {
    let case = Case::new();
    case.write("data/a.txt", "alpha");
    case.write("data/new/b.txt", "beta");
    case.push(&["data"]).await;
    case.write("out/data/mine.txt", "mine");
    case.pull(&PullOptions::default()).await.expect("pulled");
    let expected = [
        "data",
        "data/a.txt",
        "data/mine.txt",
        "data/new",
        "data/new/b.txt",
    ];
    assert_eq!(case.output(), expected);
    case.write("out/data/a.txt", "other");
    let error = case
        .pull(&PullOptions::default())
        .await
        .expect_err("exists");
    assert_eq!(
        (error.kind(), error.subject()),
        (ErrorKind::Io, Some("data/a.txt"))
    );
    case.pull(&overwrite()).await.expect("pulled");
    assert_eq!(case.read("out/data/a.txt"), "alpha");
    assert_eq!(case.output(), expected);
}

#[tokio::test]
async fn a_directory_is_not_replaced_by_a_file_nor_the_reverse() {
    for (pushed, present) in [("a", "out/a/b"), ("a/b", "out/a")] {
        let case = Case::new();
        case.write(pushed, "new");
        case.push(&[pushed]).await;
        case.write(present, "old");
        let error = case.pull(&overwrite()).await.expect_err("another kind");
        assert_eq!(error.kind(), ErrorKind::Io, "{pushed}: {error}");
        assert_eq!(case.read(present), "old");
    }
}

#[tokio::test]
async fn filters_choose_by_name_and_type() {
    let case = Case::new();
    for name in ["a.txt", "sub/b.txt", "c.json"] {
        case.write(name, name);
    }
    let json = case
        .spec("c.json")
        .with_media_type("application/json".parse().expect("a type"));
    let files = [case.spec("a.txt"), case.spec("sub/b.txt"), json];
    push(&case.repository, files, &tagged())
        .await
        .expect("pushed");
    let json: MediaType = "application/json".parse().expect("a type");
    for (options, expected) in [
        (
            PullOptions::default().with_name("*.txt"),
            &["a.txt", "sub", "sub/b.txt"][..],
        ),
        (
            PullOptions::default().with_name("sub/*"),
            &["sub", "sub/b.txt"],
        ),
        (
            PullOptions::default()
                .with_name("a.txt")
                .with_name("c.json"),
            &["a.txt", "c.json"],
        ),
        (PullOptions::default().with_media_type(json), &["c.json"]),
    ] {
        let _ = fs::remove_dir_all(case.path("out"));
        case.pull(&options).await.expect("pulled");
        assert_eq!(case.output(), expected);
    }
    let error = case
        .pull(&PullOptions::default().with_name("x"))
        .await
        .expect_err("none");
    assert!(error.is_not_found());
    assert!(
        error.hint().is_some_and(|hint| hint.contains("a.txt")),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_archive_can_be_kept() {
    let case = Case::new();
    case.write("data/a.txt", "alpha");
    let report = case.push(&["data"]).await;
    case.pull(&PullOptions::default().with_keep_tar(true))
        .await
        .expect("pulled");
    assert_eq!(case.output(), ["data.tar.gz"]);
    let size = fs::metadata(case.path("out/data.tar.gz"))
        .expect("there")
        .len();
    assert_eq!(size, report.files[0].size());
}

#[tokio::test]
async fn a_config_is_written_where_it_is_asked_for() {
    let case = Case::new();
    case.write("config.json", "{\"a\":1}");
    case.write("a.txt", "alpha");
    let options = tagged().with_config(case.spec("config.json"));
    push(&case.repository, [case.spec("a.txt")], &options)
        .await
        .expect("pushed");
    case.pull(&PullOptions::default().with_config(FileSpec::new("c/config.json")))
        .await
        .expect("pulled");
    assert_eq!(case.output(), ["a.txt", "c", "c/config.json"]);
    assert_eq!(case.read("out/c/config.json"), "{\"a\":1}");
    let other = FileSpec::new("x").with_media_type("text/plain".parse().expect("a type"));
    case.pull(&PullOptions::default().with_config(other))
        .await
        .expect("pulled");
    assert!(!case.path("out/x").exists());
}

#[tokio::test]
async fn subjects_and_referrers_are_pulled_if_wanted() {
    let case = Case::new();
    for name in ["a", "b", "c"] {
        case.write(name, name);
    }
    case.push(&["a"]).await;
    let options = PushOptions::default().with_artifact_type("text/x-sbom".parse().expect("a type"));
    let b = attach(&case.repository, &v1(), [case.spec("b")], &options)
        .await
        .expect("attached");
    let b = (*b.manifest.digest()).into();
    attach(&case.repository, &b, [case.spec("c")], &options)
        .await
        .expect("attached");
    case.pull(&PullOptions::default().with_include_referrers(true))
        .await
        .expect("pulled");
    assert_eq!(case.output(), ["a", "b", "c"]);
    let options = PullOptions::default().with_include_subject(true);
    pull(&case.repository, &b, case.path("other"), &options)
        .await
        .expect("pulled");
    assert_eq!(crate::support::list(&case.path("other")), ["a", "b"]);
}

#[tokio::test]
async fn an_index_has_the_files_of_all_its_manifests() {
    let case = Case::new();
    let mut entries = Vec::new();
    for (name, platform) in [("a", "linux/amd64"), ("b", "linux/arm64")] {
        case.write(name, name);
        let manifest = case.push(&[name]).await.manifest.plain();
        entries.push(manifest.with_platform(platform.parse().expect("a platform")));
    }
    let index = encode_json(&Index::new(entries)).expect("json");
    let tags = ["v1".parse().expect("a tag")];
    tag_bytes(&case.repository, MediaType::IMAGE_INDEX, index, &tags)
        .await
        .expect("tagged");
    let options = PullOptions::default().with_platform("linux/arm64".parse().expect("a platform"));
    case.pull(&options).await.expect("pulled");
    assert_eq!(case.output(), ["b"]);
    case.pull(&PullOptions::default()).await.expect("pulled");
    assert_eq!(case.output(), ["a", "b"]);
}

#[tokio::test]
async fn the_same_content_is_written_under_both_names() {
    let case = Case::new();
    case.store(vec![
        titled("a", "same"),
        titled("b", "same"),
        titled("b", "same"),
    ])
    .await;
    case.pull(&PullOptions::default()).await.expect("pulled");
    assert_eq!(case.output(), ["a", "b"]);
}

#[tokio::test]
async fn an_image_is_refused_with_advice() {
    let case = Case::new();
    let layer = b"tar".to_vec();
    case.store(vec![(
        Descriptor::of(MediaType::IMAGE_LAYER, &layer),
        layer,
    )])
    .await;
    let error = case
        .pull(&PullOptions::default())
        .await
        .expect_err("nothing");
    assert!(error.is_unsupported());
    assert!(
        error.hint().is_some_and(|hint| hint.contains("cp")),
        "{error:?}"
    );
    assert!(!case.path("out").exists());
}

#[tokio::test]
async fn an_artifact_of_annotations_has_no_files() {
    let case = Case::new();
    case.push(&[]).await;
    let report = case.pull(&PullOptions::default()).await.expect("pulled");
    assert!(report.files.is_empty());
    assert!(!case.path("out").exists());
}

#[tokio::test]
async fn a_helm_chart_gets_the_name_of_its_package() {
    let case = Case::new();
    let config = r#"{"name":"app","version":"1.2.3+build"}"#;
    let media_type = MediaType::from_static("application/vnd.cncf.helm.config.v1+json");
    let config = push_bytes(&case.repository, media_type, config)
        .await
        .expect("pushed");
    let media_type = MediaType::from_static("application/vnd.cncf.helm.chart.content.v1.tar+gzip");
    let chart = push_bytes(&case.repository, media_type, "chart")
        .await
        .expect("pushed");
    let manifest = encode_json(&tranship::Manifest::new(config, vec![chart])).expect("json");
    let tags = ["v1".parse().expect("a tag")];
    tag_bytes(&case.repository, MediaType::IMAGE_MANIFEST, manifest, &tags)
        .await
        .expect("tagged");
    case.pull(&PullOptions::default()).await.expect("pulled");
    assert_eq!(case.output(), ["app-1.2.3+build.tgz"]);
}

#[tokio::test]
async fn the_output_directory_itself_can_be_a_title() {
    let case = Case::new();
    let tar = Tar::new()
        .directory(".")
        .file("a", "1")
        .file("sub/b", "2")
        .bytes();
    case.store(vec![archive(".", &tar)]).await;
    case.write("out/mine", "mine");
    case.pull(&PullOptions::default()).await.expect("pulled");
    assert_eq!(case.output(), ["a", "mine", "sub", "sub/b"]);
    case.write("tree/x/y", "z");
    let spec = FileSpec::new(case.path("tree")).with_title(".");
    push(&case.repository, [spec], &tagged())
        .await
        .expect("pushed");
    case.pull(&PullOptions::default()).await.expect("pulled");
    assert_eq!(case.read("out/x/y"), "z");
}

#[cfg(unix)]
#[tokio::test]
async fn permissions_come_back_without_special_bits() {
    use std::os::unix::fs::PermissionsExt as _;
    use tar::EntryType;

    let case = Case::new();
    let tar = Tar::new()
        .entry(EntryType::Directory, "d", "", 0o7700, b"")
        .entry(EntryType::Regular, "d/run", "", 0o4755, b"x")
        .entry(EntryType::Regular, "d/secret", "", 0o600, b"x")
        .entry(EntryType::Regular, "d/sealed", "", 0o000, b"x")
        .bytes();
    case.store_archive(tar).await;
    case.pull(&PullOptions::default()).await.expect("pulled");
    for (name, expected) in [
        ("d", 0o700),
        ("d/run", 0o755),
        ("d/secret", 0o600),
        ("d/sealed", 0o400),
    ] {
        let mode = fs::metadata(case.path("out").join(name))
            .expect("there")
            .permissions()
            .mode();
        // What the mask of the process takes away is not counted.
        assert_eq!(mode & 0o7777 & !0o077, expected & !0o077, "{name}");
        assert_eq!(mode & 0o7000, 0, "{name}");
    }
    case.pull(&PullOptions::default()).await.expect("unchanged");
}

#[cfg(unix)]
#[tokio::test]
async fn links_inside_a_directory_come_back() {
    let case = Case::new();
    case.write("data/a/b.txt", "beta");
    std::os::unix::fs::symlink("../a/b.txt", case.path("data/a/l")).expect("linked");
    std::os::unix::fs::symlink("a", case.path("data/m")).expect("linked");
    case.push(&["data"]).await;
    case.pull(&PullOptions::default()).await.expect("pulled");
    assert_eq!(case.read("out/data/m/l"), "beta");
    assert!(
        case.path("out/data/a/l")
            .symlink_metadata()
            .expect("there")
            .is_symlink()
    );
    let second = case.pull(&PullOptions::default()).await.expect("pulled");
    assert_eq!(actions(&second), [PullAction::Unchanged]);
}

#[tokio::test]
async fn a_hard_link_names_a_file_of_the_archive() {
    use tar::EntryType;

    let case = Case::new();
    let tar = Tar::new()
        .file("d/sub/a", "1")
        .entry(EntryType::Link, "d/b", "d/sub/a", 0o644, b"")
        .bytes();
    case.store_archive(tar).await;
    case.pull(&PullOptions::default()).await.expect("pulled");
    assert_eq!(case.read("out/d/b"), "1");
}

#[tokio::test]
async fn long_names_come_back() {
    let case = Case::new();
    let name = format!("data/{0}/{0}/x", "n".repeat(200));
    case.write(&name, "long");
    case.push(&["data"]).await;
    case.pull(&PullOptions::default()).await.expect("pulled");
    assert_eq!(case.read(&format!("out/{name}")), "long");
}

#[tokio::test]
async fn a_layout_gives_and_takes_files() {
    let case = Case::new();
    let large = vec![7; 3 << 20];
    case.write("large.bin", &large);
    case.write("data/a.txt", "alpha");
    let layout = Layout::create(case.path("layout")).await.expect("created");
    let files = [case.spec("large.bin"), case.spec("data")];
    push(&layout, files, &tagged()).await.expect("pushed");
    let out = case.path("out");
    pull(&layout, &v1(), &out, &PullOptions::default())
        .await
        .expect("pulled");
    assert_eq!(fs::read(out.join("large.bin")).expect("there"), large);
    assert_eq!(case.output(), ["data", "data/a.txt", "large.bin"]);
    // The file is not the blob: to write it does not damage the layout.
    fs::write(out.join("large.bin"), "edited").expect("writable");
    pull(&layout, &v1(), case.path("other"), &PullOptions::default())
        .await
        .expect("the layout is whole");
}

#[tokio::test]
async fn an_archive_holds_files() {
    let case = Case::new();
    case.write("a.txt", "alpha");
    case.write("data/b.txt", "beta");
    let path = case.path("artifact.tar");
    let layout = Layout::create_archive(&path, Default::default())
        .await
        .expect("created");
    push(&layout, [case.spec("a.txt"), case.spec("data")], &tagged())
        .await
        .expect("pushed");
    drop(layout);
    let layout = Layout::open_archive(&path, Default::default())
        .await
        .expect("opened");
    pull(&layout, &v1(), case.path("out"), &PullOptions::default())
        .await
        .expect("pulled");
    assert_eq!(case.read("out/data/b.txt"), "beta");
    let size = layout.resolve(&v1()).await.expect("there").size();
    assert!(size > 0);
}
