//! What is written: whole, the same each time, and over nothing that was there.

use std::path::Path;

use bytes::Bytes;
use futures_util::stream;
use tranship::prelude::*;
use tranship::{Algorithm, Body, Descriptor, ErrorKind, MediaType, Source};
use tranship_layout::Layout;

use crate::archive::{Image, member, options, picture, read};
use crate::reading::gzip;
use crate::support::{blob, directory, manifest, noise, push, push_blob, tag};

async fn create(path: &Path) -> Layout {
    Layout::create_archive(path, options())
        .await
        .expect("an archive")
}

fn names(path: &Path) -> Vec<String> {
    let file = std::fs::File::open(path).expect("there");
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries().expect("readable");
    entries
        .map(|entry| {
            let entry = entry.expect("sound");
            entry.path().expect("text").display().to_string()
        })
        .collect()
}

/// All files of a directory.
fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("readable");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect()
}

#[tokio::test]
async fn nothing_is_created_before_something_is_pushed() {
    let directory = directory();
    let path = directory.path().join("new/deep/app.tar");
    let archive = create(&path).await;
    assert!(!archive.exists(&blob(b"x")).await.expect("asked"));
    assert!(files(directory.path()).is_empty());
    push(&archive, &manifest("one"), &["v1"]).await;
    assert!(path.exists());
}

#[tokio::test]
async fn members_have_no_time_and_no_owner_and_the_files_of_the_layout_come_last() {
    let directory = directory();
    let path = directory.path().join("app.tar");
    let archive = create(&path).await;
    let content = noise(700_000);
    let batch = archive.batch().expect("a batch");
    assert_eq!(batch.concurrency(), Some(1));
    let target = blob(&content);
    batch
        .push(&target, content.clone().into())
        .await
        .expect("pushed");
    let (root, bytes) = manifest("one");
    let tags = [tag("v1")];
    batch
        .push_reference(&root, bytes.into(), &tags)
        .await
        .expect("pushed");
    assert!(!path.exists(), "only a commit makes it visible");
    batch.commit().await.expect("committed");

    let expected = [
        "blobs/".to_owned(),
        "blobs/sha256/".to_owned(),
        format!("blobs/sha256/{}", target.digest().hex()),
        format!("blobs/sha256/{}", root.digest().hex()),
        "index.json".to_owned(),
        "oci-layout".to_owned(),
    ];
    assert_eq!(names(&path), expected);
    let mut tar = tar::Archive::new(std::fs::File::open(&path).expect("there"));
    for entry in tar.entries().expect("readable") {
        let entry = entry.expect("sound");
        let header = entry.header();
        assert_eq!(header.mtime().expect("a time"), 0);
        assert_eq!(
            (
                header.uid().expect("a user"),
                header.gid().expect("a group")
            ),
            (0, 0)
        );
    }
    let fetched = archive.fetch(&target).await.expect("there");
    assert_eq!(fetched.bytes(u64::MAX).await.expect("intact"), content);
}

#[tokio::test]
async fn what_an_archive_holds_already_is_kept() {
    let image = Image::new();
    let before = image.picture().await;
    std::fs::write(
        image.path(),
        image.tar(|builder| member(builder, "manifest.json", b"kept as it is")),
    )
    .expect("written");
    let archive = create(&image.path()).await;
    push(&archive, &manifest("two"), &["v2"]).await;
    let after = read(&image.path()).await.expect("sound");
    for (digest, content) in before.content {
        assert_eq!(after.content.get(&digest), Some(&content));
    }
    assert_eq!(after.tags.keys().collect::<Vec<_>>(), ["v1", "v2"]);
    assert!(names(&image.path()).contains(&"manifest.json".to_owned()));
}

#[tokio::test]
async fn a_batch_over_an_archive_that_is_replaced_meanwhile_loses_nothing() {
    let directory = directory();
    let path = directory.path().join("app.tar");
    let (one, other) = (create(&path).await, create(&path).await);
    push(&one, &manifest("zero"), &["v0"]).await;
    let batch = one.batch().expect("a batch");
    let content = noise(300_000);
    let target = blob(&content);
    batch.push(&target, content.into()).await.expect("pushed");
    let (root, bytes) = manifest("one");
    batch
        .push_reference(&root, bytes.into(), &[tag("v1")])
        .await
        .expect("pushed");
    push(&other, &manifest("two"), &["v2"]).await;
    batch.commit().await.expect("committed");

    let after = read(&path).await.expect("sound");
    assert_eq!(after.tags.keys().collect::<Vec<_>>(), ["v0", "v1", "v2"]);
    let again = create(&path).await;
    assert!(again.exists(&target).await.expect("asked"));
    assert_eq!(files(directory.path()), ["app.tar"]);
}

#[tokio::test]
async fn two_batches_that_both_make_the_archive_lose_nothing() {
    let directory = directory();
    let path = directory.path().join("app.tar");
    let (one, other) = (create(&path).await, create(&path).await);
    let (first, second) = (
        one.batch().expect("a batch"),
        other.batch().expect("a batch"),
    );
    for (batch, name) in [(&first, "a"), (&second, "b")] {
        let (root, bytes) = manifest(name);
        let tags = [tag(name)];
        batch
            .push_reference(&root, bytes.into(), &tags)
            .await
            .expect("pushed");
    }
    first.commit().await.expect("committed");
    second.commit().await.expect("committed");
    let after = read(&path).await.expect("sound");
    assert_eq!(after.tags.keys().collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn a_batch_whose_ground_is_gone_fails_and_sets_no_tag() {
    let directory = directory();
    let path = directory.path().join("app.tar");
    let archive = create(&path).await;
    let content = noise(1000);
    let target = push_blob(&archive, &content).await;
    let batch = archive.batch().expect("a batch");
    assert!(batch.exists(&target).await.expect("asked"));
    let (root, bytes) = manifest("one");
    batch
        .push_reference(&root, bytes.into(), &[tag("v1")])
        .await
        .expect("pushed");
    archive.blobs().delete(&target).await.expect("deleted");
    let error = batch.commit().await.expect_err("a blob is gone");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.is_retryable());
    assert!(picture(&archive).await.expect("sound").tags.is_empty());
}

#[tokio::test]
async fn a_push_that_fails_leaves_no_trace_in_the_batch() {
    let directory = directory();
    let path = directory.path().join("app.tar");
    let archive = create(&path).await;
    let content = noise(2_000_000);
    let target = blob(&content);
    let wrong = blob(&noise(1_999_999));
    let batch = archive.batch().expect("a batch");
    let repository = &batch;
    let first = noise(10);
    repository
        .push(&blob(&first), first.clone().into())
        .await
        .expect("pushed");
    // Too long, too short, other bytes, and a source that breaks off.
    let altered = {
        let mut altered = content.to_vec();
        altered[1_500_000] ^= 1;
        Bytes::from(altered)
    };
    let broken = stream::iter([
        Ok(content.slice(..1_200_000)),
        Err(tranship::Error::new(ErrorKind::Timeout, "broken off")),
    ]);
    for (target, source, kind) in [
        (
            &wrong,
            Source::from(content.clone()),
            ErrorKind::SizeMismatch,
        ),
        (
            &target,
            Source::from(content.slice(1..)),
            ErrorKind::SizeMismatch,
        ),
        (&target, Source::from(altered), ErrorKind::DigestMismatch),
        (
            &target,
            Source::once(Body::from_stream(broken)),
            ErrorKind::Timeout,
        ),
    ] {
        let error = repository.push(target, source).await.expect_err("refused");
        assert_eq!(error.kind(), kind);
        assert!(!repository.exists(target).await.expect("asked"));
    }
    repository
        .push(&target, content.clone().into())
        .await
        .expect("pushed");
    batch.commit().await.expect("committed");

    let archive = create(&path).await;
    for (target, content) in [(blob(&first), first), (target, content)] {
        let fetched = archive.fetch(&target).await.expect("there");
        assert_eq!(fetched.bytes(u64::MAX).await.expect("intact"), content);
    }
    let blobs = names(&path).len() - 4;
    assert_eq!(blobs, 2, "{:?}", names(&path));
}

#[tokio::test]
async fn a_push_that_is_dropped_leaves_no_trace_in_the_batch() {
    let directory = directory();
    let path = directory.path().join("app.tar");
    let archive = create(&path).await;
    let content = noise(1_500_000);
    let target = blob(&content);
    let batch = archive.batch().expect("a batch");
    let stalled = stream::unfold(Some(content.slice(..1_100_000)), |first| async move {
        match first {
            Some(first) => Some((Ok(first), None)),
            None => std::future::pending().await,
        }
    });
    let push = batch.push(&target, Source::once(Body::from_stream(stalled)));
    let waited = tokio::time::timeout(std::time::Duration::from_millis(100), push).await;
    assert!(waited.is_err());
    batch
        .push(&target, content.clone().into())
        .await
        .expect("pushed");
    batch.commit().await.expect("committed");
    let fetched = archive.fetch(&target).await.expect("there");
    assert_eq!(fetched.bytes(u64::MAX).await.expect("intact"), content);
    assert_eq!(names(&path).len(), 5);
}

#[tokio::test]
async fn a_batch_of_blobs_alone_is_kept_too() {
    let directory = directory();
    let archive = create(&directory.path().join("app.tar")).await;
    let content = noise(5000);
    let batch = archive.batch().expect("a batch");
    batch
        .push(&blob(&content), content.clone().into())
        .await
        .expect("pushed");
    batch.commit().await.expect("committed");
    assert!(archive.exists(&blob(&content)).await.expect("asked"));
}

#[tokio::test]
async fn a_batch_that_is_dropped_leaves_no_file() {
    let directory = directory();
    let archive = create(&directory.path().join("app.tar")).await;
    let content = noise(900_000);
    let batch = archive.batch().expect("a batch");
    batch
        .push(&blob(&content), content.into())
        .await
        .expect("pushed");
    drop(batch);
    assert!(files(directory.path()).is_empty());
}

#[tokio::test]
async fn tags_are_set_moved_and_removed_and_blobs_go() {
    let directory = directory();
    let path = directory.path().join("app.tar");
    let archive = create(&path).await;
    let (one, two) = (manifest("one"), manifest("two"));
    push(&archive, &one, &["v1"]).await;
    push(&archive, &two, &["v2"]).await;
    let unused = push_blob(&archive, &noise(4000)).await;
    archive.tag(&two.0, &tag("v1")).await.expect("moved");
    archive.untag(&tag("v2")).await.expect("removed");
    archive.manifests().delete(&one.0).await.expect("deleted");
    archive.blobs().delete(&unused).await.expect("deleted");
    let after = read(&path).await.expect("sound");
    assert_eq!(after.tags.keys().collect::<Vec<_>>(), ["v1"]);
    assert_eq!(after.tags["v1"], *two.0.digest());
    assert_eq!(names(&path).len(), 5, "{:?}", names(&path));
}

#[tokio::test]
async fn long_digests_are_names_too() {
    let directory = directory();
    let path = directory.path().join("app.tar");
    let archive = create(&path).await;
    let content = noise(1000);
    let target = Descriptor::of_with(Algorithm::Sha512, MediaType::OCTET_STREAM, &content);
    archive
        .push(&target, content.clone().into())
        .await
        .expect("pushed");
    let again = Layout::open_archive(&path, options()).await.expect("sound");
    let fetched = again.fetch(&target).await.expect("there");
    assert_eq!(fetched.bytes(u64::MAX).await.expect("intact"), content);
}

#[tokio::test]
async fn a_blob_of_the_wrong_size_is_replaced() {
    let image = Image::new();
    let good = image.layer.clone();
    let cut = Image::new();
    let files: Vec<_> = cut
        .files
        .iter()
        .map(|(name, content)| {
            let is_layer = *content == good;
            (
                name.clone(),
                if is_layer {
                    content.slice(..5)
                } else {
                    content.clone()
                },
            )
        })
        .collect();
    let cut = Image { files, ..cut };
    std::fs::write(cut.path(), cut.tar(|_| {})).expect("written");
    let archive = create(&cut.path()).await;
    let layer = Descriptor::of(MediaType::IMAGE_LAYER, &good);
    let batch = archive.batch().expect("a batch");
    batch.push(&layer, good.into()).await.expect("pushed");
    batch.commit().await.expect("committed");
    assert_eq!(
        read(&cut.path()).await.expect("healed"),
        image.picture().await
    );
}

#[tokio::test]
async fn a_compressed_archive_is_not_written_to() {
    let image = Image::new();
    let compressed = gzip(&image.tar(|_| {}));
    std::fs::write(image.path(), &compressed).expect("written");
    let archive = create(&image.path()).await;
    assert!(!archive.capabilities().push.is_possible());
    let (root, bytes) = manifest("one");
    let error = archive
        .push_reference(&root, bytes.into(), &[])
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().is_some_and(|hint| hint.contains("decompress")));
    assert_eq!(std::fs::read(image.path()).expect("there"), compressed);
}

#[tokio::test]
async fn the_permissions_of_an_archive_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    let image = Image::new();
    image.picture().await;
    std::fs::set_permissions(image.path(), std::fs::Permissions::from_mode(0o640)).expect("ours");
    push(&create(&image.path()).await, &manifest("two"), &["v2"]).await;
    let mode = std::fs::metadata(image.path())
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[tokio::test]
async fn an_archive_behind_a_link_is_written_where_it_lies() {
    let image = Image::new();
    image.picture().await;
    let link = image.directory.path().join("link.tar");
    std::os::unix::fs::symlink(image.path(), &link).expect("a link");
    push(&create(&link).await, &manifest("two"), &["v2"]).await;
    assert!(
        std::fs::symlink_metadata(&link)
            .expect("there")
            .is_symlink()
    );
    assert!(
        read(&image.path())
            .await
            .expect("sound")
            .tags
            .contains_key("v2")
    );
}
