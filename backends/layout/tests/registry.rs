//! Directories of layouts: names and paths, what is listed, and mounts.

mod support;

use std::fs;
use std::future::ready;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::sync::Arc;

use support::{blob, blob_path, directory, manifest, noise, push_blob, relaxed, tag};
use tranship::{
    ErrorKind, ListOptions, PushOutcome, Registry, Repository, RepositoryName, Resolver,
    repositories,
};
use tranship_layout::{Durability, LayoutOptions, LayoutRegistry};

fn name(text: &str) -> RepositoryName {
    text.parse().expect("a name")
}

async fn registry(path: &std::path::Path) -> LayoutRegistry {
    let options = LayoutOptions::default().with_durability(Durability::Relaxed);
    LayoutRegistry::create_with(path, options)
        .await
        .expect("a registry")
}

async fn repository(registry: &LayoutRegistry, text: &str) -> Arc<dyn Repository> {
    registry
        .repository(&name(text))
        .await
        .expect("a repository")
}

async fn names(registry: &LayoutRegistry) -> Vec<String> {
    let names = repositories(registry).await.expect("listed");
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn repositories_are_listed_by_name_not_by_path() {
    let directory = directory();
    let registry = registry(directory.path()).await;
    let mut all = ["a/b", "a-b", "a", "a.b", "a_b", "a0/x", "a/b/c", "b"];
    for each in all {
        let (target, content) = manifest(each);
        let repository = repository(&registry, each).await;
        repository
            .push(&target, content.into())
            .await
            .expect("pushed");
    }
    all.sort_unstable();
    assert_eq!(names(&registry).await, all);
}

#[tokio::test]
async fn names_that_mean_something_in_a_layout_are_repositories_too() {
    let directory = directory();
    let registry = registry(directory.path()).await;
    let all = [
        "a",
        "a/blobs",
        "a/blobs/sha256",
        "a/index.json",
        "a/oci-layout",
        "blobs",
        "con",
    ];
    for each in all {
        let repository = repository(&registry, each).await;
        let (target, content) = manifest(each);
        repository
            .push_reference(&target, content.into(), &[tag("v1")])
            .await
            .expect("pushed");
    }
    for each in all {
        let found = repository(&registry, each)
            .await
            .resolve(&tag("v1").into())
            .await;
        assert_eq!(found.expect("tagged"), manifest(each).0, "{each}");
    }
    assert_eq!(names(&registry).await, all);
    assert!(directory.path().join("a/_index.json/index.json").is_file());
}

#[tokio::test]
async fn each_repository_is_a_layout_by_itself() {
    let directory = directory();
    let registry = registry(directory.path()).await;
    let (target, content) = manifest("a");
    let in_registry = repository(&registry, "team/app").await;
    in_registry
        .push_reference(&target, content.into(), &[tag("v1")])
        .await
        .expect("pushed");
    let alone = relaxed(&directory.path().join("team/app")).await;
    assert_eq!(
        alone.resolve(&tag("v1").into()).await.expect("tagged"),
        target
    );
    assert!(alone.registry().is_none());
    assert!(!alone.capabilities().mount.is_possible());
}

#[tokio::test]
async fn looking_at_a_repository_creates_nothing() {
    let directory = directory();
    let registry = registry(&directory.path().join("root")).await;
    let repository = repository(&registry, "a/b").await;
    assert!(!repository.exists(&blob(b"x")).await.expect("looked"));
    assert!(tranship::tags(&*repository).await.expect("none").is_empty());
    assert!(names(&registry).await.is_empty());
    assert_eq!(fs::read_dir(directory.path()).expect("read").count(), 0);
}

#[tokio::test]
async fn a_registry_that_must_exist_is_not_found() {
    let directory = directory();
    let error = LayoutRegistry::open(directory.path().join("absent")).await;
    assert_eq!(error.expect_err("absent").kind(), ErrorKind::NotFound);
    let file = directory.path().join("file");
    fs::write(&file, "").expect("written");
    for opened in [
        LayoutRegistry::open(&file).await,
        LayoutRegistry::create(&file).await,
    ] {
        assert_eq!(opened.expect_err("a file").kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn a_name_that_the_file_system_does_not_take_is_an_invalid_reference() {
    let directory = directory();
    let registry = registry(directory.path()).await;
    for long in ["a".repeat(256), ["a"; 2100].join("/")] {
        let opened = registry.repository(&name(&long)).await;
        let error = opened.expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::InvalidReference);
    }
    assert!(registry.repository(&name(&"a".repeat(255))).await.is_ok());
}

#[tokio::test]
async fn a_repository_behind_a_link_is_neither_listed_nor_opened() {
    let directory = directory();
    let registry = registry(&directory.path().join("root")).await;
    push_blob(
        &relaxed(&directory.path().join("outside")).await,
        &noise(10),
    )
    .await;
    push_blob(
        &relaxed(&directory.path().join("root/inside")).await,
        &noise(10),
    )
    .await;
    symlink(
        directory.path().join("outside"),
        directory.path().join("root/link"),
    )
    .expect("linked");
    assert_eq!(names(&registry).await, ["inside"]);
    for through in ["link", "link/below"] {
        let opened = registry.repository(&name(through)).await;
        let error = opened.expect_err("a link");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn one_directory_is_one_registry_however_it_is_named() {
    let directory = directory();
    let real = directory.path().join("real");
    let link = directory.path().join("link");
    symlink(&real, &link).expect("linked");
    let before = registry(&real).await;
    fs::create_dir(&real).expect("created");
    let after = LayoutRegistry::open(&link).await.expect("a registry");
    assert_eq!(before.identity(), after.identity());
    let other = registry(&directory.path().join("other")).await;
    assert_ne!(before.identity(), other.identity());
}

#[tokio::test]
async fn a_mount_links_the_file_unread() {
    let directory = directory();
    let registry = registry(directory.path()).await;
    let content = noise(1_000_000);
    let target = blob(&content);
    let from = repository(&registry, "from").await;
    from.push(&target, content.into()).await.expect("pushed");
    let to = repository(&registry, "to/here").await;
    let mounter = to.blobs();
    let outcome = mounter.mount(&target, &name("from"), None).await;
    assert_eq!(outcome.expect("mounted"), PushOutcome::Mounted);
    let inodes = ["from", "to/here"].map(|each| {
        let path = blob_path(&directory.path().join(each), target.digest());
        fs::metadata(path).expect("a blob")
    });
    assert_eq!(inodes[0].len(), inodes[1].len());
    if inodes[0].nlink() > 1 {
        assert_eq!(inodes[0].ino(), inodes[1].ino());
    }
    // Both are repositories of the catalog.
    assert_eq!(names(&registry).await, ["from", "to/here"]);
}

#[tokio::test]
async fn a_page_of_the_catalog_begins_behind_any_name() {
    let directory = directory();
    let registry = registry(directory.path()).await;
    for each in ["a", "a-b", "a/b", "c"] {
        let repository = repository(&registry, each).await;
        repository
            .push(&blob(b"x"), b"x"[..].into())
            .await
            .expect("pushed");
    }
    for (last, expected) in [
        ("a", &["a-b", "a/b", "c"][..]),
        ("a-", &["a-b", "a/b", "c"]),
        ("a-b", &["a/b", "c"]),
        ("a/b", &["c"]),
        ("c", &[]),
    ] {
        use futures_util::TryStreamExt as _;

        let options = ListOptions::default().with_last(last).with_page_size(1);
        let found: Vec<_> = registry
            .repositories(options)
            .try_collect()
            .await
            .expect("listed");
        let found: Vec<_> = found.iter().map(RepositoryName::as_str).collect();
        assert_eq!(found, expected, "{last}");
    }
}

#[tokio::test]
async fn a_paused_upload_can_be_continued_by_another() {
    let directory = support::directory();
    let registry = LayoutRegistry::create(directory.path())
        .await
        .expect("created");
    let app = registry.repository(&"app".parse().expect("a name")).await;
    let app = app.expect("a repository");
    let uploader = app.blobs();
    let mut first = uploader.start().await.expect("started");
    first.write(0, b"hel"[..].into()).await.expect("written");
    first.pause().await.expect("paused");
    let mut second = uploader.resume(first.id()).await.expect("free");
    second.write(3, b"lo"[..].into()).await.expect("written");
    second.pause().await.expect("paused");
    let stale = first.write(3, b"p!"[..].into()).await;
    assert_eq!(stale.expect_err("stale").kind(), ErrorKind::RangeInvalid);
    assert_eq!(first.offset(), 5);
    // What it hashed before is not taken for the hash of all of it.
    let hello = tranship::Descriptor::of(tranship::MediaType::OCTET_STREAM, b"hello");
    first.commit(&hello).await.expect("committed");
    let error = second.commit(&hello).await.expect_err("over");
    assert!(error.is_not_found(), "{error}");
}

#[tokio::test]
async fn one_process_at_a_time_has_the_lease_for_the_maintenance() {
    let directory = directory();
    let (first, second) = (
        registry(directory.path()).await,
        registry(directory.path()).await,
    );
    let (first, second) = (first.maintenance_lease(), second.maintenance_lease());
    let attempt = async || second.run(ready(())).await.expect("a disk").is_some();
    let ran = first.run(async { assert!(!attempt().await) }).await;
    assert_eq!(ran.expect("a disk"), Some(()));
    assert!(attempt().await, "it was released");
    assert_eq!(names(&registry(directory.path()).await).await, [""; 0]);
}
