//! Layouts whose files are symbolic links, as build tools make them.
#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use support::{directory, manifest, push, relaxed, tag};
use tranship::{ErrorKind, Fetcher, Resolver, Untagger};
use tranship_layout::{Layout, LayoutOptions};

/// Makes a layout of links at `links` to the files of the layout at `files`.
fn link(files: &Path, links: &Path) {
    fs::create_dir_all(links).expect("created");
    for entry in fs::read_dir(files).expect("listed") {
        let entry = entry.expect("an entry");
        let to = links.join(entry.file_name());
        if entry.path().is_dir() {
            link(&entry.path(), &to);
        } else {
            symlink(entry.path(), to).expect("linked");
        }
    }
}

async fn followed(links: &Path, root: &Path) -> Layout {
    let options = LayoutOptions::default().with_follow_links(root);
    Layout::open_with(links, options).await.expect("a layout")
}

#[tokio::test]
async fn links_are_followed_to_files_below_the_given_root() {
    let directory = directory();
    let (files, links) = (
        directory.path().join("cache/a"),
        directory.path().join("out"),
    );
    let image = manifest("image");
    push(&relaxed(&files).await, &image, &["v1"]).await;
    link(&files, &links);

    let layout = followed(&links, &directory.path().join("cache")).await;
    let root = layout.resolve(&tag("v1").into()).await.expect("tagged");
    assert_eq!(root, image.0);
    let content = layout.fetch(&root).await.expect("there");
    assert_eq!(content.bytes(u64::MAX).await.expect("sound"), image.1);
    assert_eq!(layout.entries().await.expect("listed").len(), 1);

    let error = layout.untag(&tag("v1")).await.expect_err("only read");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_link_that_leads_out_of_the_root_is_refused() {
    let directory = directory();
    let (files, links) = (directory.path().join("files"), directory.path().join("out"));
    push(&relaxed(&files).await, &manifest("image"), &["v1"]).await;
    link(&files, &links);
    let elsewhere = directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("created");
    let options = LayoutOptions::default().with_follow_links(&elsewhere);
    let error = Layout::open_with(&links, options)
        .await
        .expect_err("outside");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("outside"), "{error}");
}

#[tokio::test]
async fn a_root_that_does_not_exist_is_named() {
    let directory = directory();
    let (files, links) = (directory.path().join("files"), directory.path().join("out"));
    push(&relaxed(&files).await, &manifest("image"), &["v1"]).await;
    link(&files, &links);
    let options = LayoutOptions::default().with_follow_links(directory.path().join("nope"));
    let error = Layout::open_with(&links, options)
        .await
        .expect_err("no root");
    assert!(
        error.subject().is_some_and(|it| it.ends_with("nope")),
        "{error}"
    );
    assert!(!error.to_string().contains("outside"), "{error}");
}

#[tokio::test]
async fn a_linked_directory_is_met_with_how_to_follow_it() {
    let directory = directory();
    let (files, links) = (directory.path().join("files"), directory.path().join("out"));
    let image = manifest("image");
    push(&relaxed(&files).await, &image, &["v1"]).await;
    fs::create_dir(&links).expect("created");
    for name in ["oci-layout", "index.json"] {
        fs::copy(files.join(name), links.join(name)).expect("copied");
    }
    symlink(files.join("blobs"), links.join("blobs")).expect("linked");
    let error = Layout::open(&links).await.expect("a layout");
    let error = error.fetch(&image.0).await.expect_err("a link");
    let hint = error.hint().unwrap_or_default();
    assert!(hint.contains("--follow-links"), "{error}: {hint}");
}

#[tokio::test]
async fn a_link_is_not_followed_unless_that_is_asked_for() {
    let directory = directory();
    let (files, links) = (directory.path().join("files"), directory.path().join("out"));
    push(&relaxed(&files).await, &manifest("image"), &["v1"]).await;
    link(&files, &links);
    let error = Layout::open(&links).await.expect_err("a link");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("--follow-links"))
    );
}
