//! Blobs as files: how they come there, what is linked, healed and refused.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use bytes::Bytes;
use futures_util::StreamExt as _;
use support::{
    blob, blob_path, directory, index, leftovers, manifest, noise, push, push_blob, relaxed, tag,
    wait_until_nothing_is_left,
};
use tranship::{
    Algorithm, Body, ByteRange, Content, CopyOptions, Descriptor, ErrorKind, Fetcher, MediaType,
    Pusher, ReadOnlyStorage, ReferenceFetcher, Repository, Resolver, Source,
};
use tranship_layout::Layout;

fn inode(path: &Path) -> u64 {
    fs::metadata(path).expect("a file").ino()
}

async fn read(content: Content) -> Bytes {
    content.bytes(u64::MAX).await.expect("undamaged")
}

#[tokio::test]
async fn files_have_the_modes_that_other_users_can_read() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let small = push_blob(&layout, &noise(10)).await;
    let large = push_blob(&layout, &noise(3_000_000)).await;
    let uploaded = noise(20);
    let mut upload = layout.blobs().start().await.expect("started");
    upload.write(0, uploaded.clone()).await.expect("written");
    upload.commit(&blob(&uploaded)).await.expect("committed");
    push(&layout, &manifest("a"), &["v1"]).await;

    // What any new file and directory gets here tells the umask.
    let probe = directory.path().join("probe");
    fs::write(&probe, "").expect("written");
    let mask = fs::metadata(&probe).expect("a file").permissions().mode() & 0o666;
    for digest in [small.digest(), large.digest(), blob(&uploaded).digest()] {
        let path = blob_path(directory.path(), digest);
        let mode = fs::metadata(path).expect("a blob").permissions().mode();
        assert_eq!(mode & 0o777, mask & 0o444);
    }
    for name in ["index.json", "oci-layout"] {
        let mode = fs::metadata(directory.path().join(name))
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, mask, "{name}");
    }
}

#[tokio::test]
async fn every_algorithm_has_its_directory() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    for algorithm in Algorithm::ALL {
        let content = noise(200_000);
        let target = Descriptor::of_with(algorithm, MediaType::OCTET_STREAM, &content);
        layout
            .push(&target, content.clone().into())
            .await
            .expect("pushed");
        let path = directory.path().join("blobs").join(algorithm.as_str());
        assert!(path.join(target.digest().hex()).is_file());
        assert_eq!(
            read(layout.fetch(&target).await.expect("stored")).await,
            content
        );
    }
}

#[tokio::test]
async fn a_truncated_blob_counts_as_absent_and_is_healed_by_a_push() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    for content in [noise(1000), noise(1_000_000)] {
        let target = push_blob(&layout, &content).await;
        let path = blob_path(directory.path(), target.digest());
        fs::remove_file(&path).expect("removed");
        fs::write(&path, &content[..500]).expect("written");

        assert!(!layout.exists(&target).await.expect("looked"));
        let error = layout.fetch(&target).await.expect_err("truncated");
        assert_eq!(error.kind(), ErrorKind::SizeMismatch);
        push_blob(&layout, &content).await;
        assert_eq!(
            read(layout.fetch(&target).await.expect("healed")).await,
            content
        );
    }
}

#[tokio::test]
async fn a_truncated_manifest_is_healed_by_a_push() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let target = manifest("a");
    push(&layout, &target, &["v1"]).await;
    let path = blob_path(directory.path(), target.0.digest());
    fs::remove_file(&path).expect("removed");
    fs::write(&path, "").expect("written");
    assert!(!layout.exists(&target.0).await.expect("looked"));
    push(&layout, &target, &["v1"]).await;
    assert_eq!(
        read(layout.fetch(&target.0).await.expect("healed")).await,
        target.1
    );
}

#[tokio::test]
async fn a_copy_heals_a_tag_whose_manifest_is_missing_or_cut_short() {
    let directory = directory();
    let origin = relaxed(&directory.path().join("origin")).await;
    let copy = relaxed(&directory.path().join("copy")).await;
    let (target, content) = manifest("a");
    push_blob(&origin, &Bytes::from_static(b"{}")).await;
    push(&origin, &(target.clone(), content.clone()), &["v1"]).await;
    let (v1, tags) = (tag("v1").into(), [tag("v1")]);
    let options = CopyOptions::default();
    tranship::copy(&origin, &v1, &copy, &tags, &options)
        .await
        .expect("copied");
    let path = blob_path(&directory.path().join("copy"), target.digest());

    let damages = [
        (None, ErrorKind::NotFound),
        (Some(&content[..10]), ErrorKind::SizeMismatch),
    ];
    for (left, kind) in damages {
        fs::remove_file(&path).expect("removed");
        if let Some(left) = left {
            fs::write(&path, left).expect("written");
        }
        let error = copy.resolve(&v1).await.expect_err("not whole");
        assert_eq!(error.kind(), kind);
        tranship::copy(&origin, &v1, &copy, &tags, &options)
            .await
            .expect("healed");
        let healed = copy.fetch_reference(&v1).await.expect("there");
        assert_eq!(read(healed).await, content);
    }
}

#[tokio::test]
async fn a_blob_behind_a_link_is_neither_read_nor_written() {
    let directory = directory();
    let outside = directory.path().join("outside");
    let path = directory.path().join("layout");
    let layout = relaxed(&path).await;
    let content = noise(1000);
    let target = push_blob(&layout, &content).await;
    let file = blob_path(&path, target.digest());
    fs::rename(&file, &outside).expect("moved");
    symlink(&outside, &file).expect("linked");

    for error in [
        layout.fetch(&target).await.err(),
        layout
            .fetch_range(&target, ByteRange::from(1..2))
            .await
            .err(),
        layout.exists(&target).await.err(),
        layout.push(&target, content.into()).await.err(),
    ] {
        assert_eq!(error.expect("a link").kind(), ErrorKind::Corrupt);
    }
    assert!(fs::symlink_metadata(&file).expect("there").is_symlink());
}

#[tokio::test]
async fn a_directory_behind_a_link_is_neither_read_nor_written() {
    for linked in ["blobs", "blobs/sha256", ".tranship", ".tranship/tmp"] {
        let directory = directory();
        let outside = directory.path().join("outside");
        let path = directory.path().join("layout");
        let layout = relaxed(&path).await;
        let stored = push_blob(&layout, &noise(1000)).await;
        fs::rename(path.join(linked), &outside).expect("moved");
        symlink(&outside, path.join(linked)).expect("linked");
        let before = fs::read_dir(&outside).expect("read").count();

        // The layout has been used: what it has seen of its directories does not count.
        if linked.starts_with("blobs") {
            let error = layout.fetch(&stored).await.expect_err(linked);
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{linked}");
        }
        let new = noise(2000);
        let error = layout
            .push(&blob(&new), new.into())
            .await
            .expect_err(linked);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{linked}: {error}");
        assert_eq!(
            fs::read_dir(&outside).expect("read").count(),
            before,
            "{linked}"
        );
    }
}

#[tokio::test]
async fn an_index_or_a_marker_behind_a_link_is_refused() {
    for linked in ["index.json", "oci-layout"] {
        let directory = directory();
        let path = directory.path().join("layout");
        let layout = relaxed(&path).await;
        push(&layout, &manifest("a"), &["v1"]).await;
        let outside = directory.path().join("outside");
        fs::rename(path.join(linked), &outside).expect("moved");
        symlink(&outside, path.join(linked)).expect("linked");
        let opened = match Layout::open(&path).await {
            Ok(layout) => layout.resolve(&support::tag("v1").into()).await.err(),
            Err(error) => Some(error),
        };
        assert_eq!(opened.expect(linked).kind(), ErrorKind::Corrupt, "{linked}");
    }
}

#[tokio::test]
async fn what_is_no_regular_file_is_refused_and_does_not_block() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    push_blob(&layout, &noise(10)).await;
    let target = blob(b"pipe");
    let path = blob_path(directory.path(), target.digest());
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("started").success());
    let other = blob(b"directory");
    fs::create_dir(blob_path(directory.path(), other.digest())).expect("a directory");
    for target in [target, other] {
        let error = layout.fetch(&target).await.expect_err("no file");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let error = layout.exists(&target).await.expect_err("no file");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_push_from_another_layout_links_the_file() {
    let directory = directory();
    let origin = relaxed(&directory.path().join("origin")).await;
    let copy = relaxed(&directory.path().join("copy")).await;
    for content in [noise(0), noise(1000), noise(3_000_000)] {
        let target = push_blob(&origin, &content).await;
        copy.push(&target, Source::stored(&origin, &target))
            .await
            .expect("pushed");
        let paths =
            ["origin", "copy"].map(|name| blob_path(&directory.path().join(name), target.digest()));
        // Where the file system clones, there are two inodes with the same extents.
        let cloned = reflinks(directory.path());
        assert_eq!(inode(&paths[0]) == inode(&paths[1]), !cloned);
        assert_eq!(
            read(copy.fetch(&target).await.expect("stored")).await,
            content
        );
    }
    assert!(leftovers(&directory.path().join("copy")).is_empty());
}

/// Whether files can be cloned here.
#[cfg(target_os = "linux")]
fn reflinks(directory: &Path) -> bool {
    let (from, to) = (directory.join("probe"), directory.join("clone"));
    fs::write(&from, "x").expect("written");
    let from = fs::File::open(from).expect("a file");
    let to = fs::File::create(to).expect("a file");
    rustix::fs::ioctl_ficlone(&to, &from).is_ok()
}

#[tokio::test]
async fn an_altered_file_is_not_linked() {
    let directory = directory();
    let origin = relaxed(&directory.path().join("origin")).await;
    let copy = relaxed(&directory.path().join("copy")).await;
    let content = noise(1_000_000);
    let target = push_blob(&origin, &content).await;
    let path = blob_path(&directory.path().join("origin"), target.digest());
    let mut altered = content.to_vec();
    altered[777_777] ^= 1;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("writable");
    fs::write(&path, altered).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).expect("read-only again");

    let pushed = copy.push(&target, Source::stored(&origin, &target)).await;
    assert_eq!(
        pushed.expect_err("altered").kind(),
        ErrorKind::DigestMismatch
    );
    assert!(!copy.exists(&target).await.expect("looked"));
    assert!(leftovers(&directory.path().join("copy")).is_empty());
}

#[tokio::test]
async fn a_blob_that_its_owner_may_write_is_never_linked() {
    let directory = directory();
    let origin = relaxed(&directory.path().join("origin")).await;
    let copy = relaxed(&directory.path().join("copy")).await;
    for content in [noise(1000), noise(3_000_000)] {
        let target = push_blob(&origin, &content).await;
        let path = blob_path(&directory.path().join("origin"), target.digest());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("writable");
        copy.push(&target, Source::stored(&origin, &target))
            .await
            .expect("pushed");
        fs::write(&path, "changed").expect("written");
        assert_eq!(
            read(copy.fetch(&target).await.expect("stored")).await,
            content
        );
    }
}

#[tokio::test]
async fn a_file_of_the_user_is_never_linked() {
    let directory = directory();
    let layout = relaxed(&directory.path().join("layout")).await;
    for content in [noise(1000), noise(3_000_000)] {
        let file = directory.path().join("file");
        fs::write(&file, &content).expect("written");
        let target = blob(&content);
        layout
            .push(&target, Source::file(&file))
            .await
            .expect("pushed");
        fs::write(&file, "changed").expect("written");
        assert_eq!(
            read(layout.fetch(&target).await.expect("stored")).await,
            content
        );
    }
}

#[tokio::test]
async fn a_file_of_the_user_may_be_named_through_a_link() {
    let directory = directory();
    let layout = relaxed(&directory.path().join("layout")).await;
    let content = noise(1_000_000);
    fs::write(directory.path().join("file"), &content).expect("written");
    let link = directory.path().join("link");
    symlink("file", &link).expect("linked");
    layout
        .push(&blob(&content), Source::file(link))
        .await
        .expect("pushed");
    assert_eq!(
        read(layout.fetch(&blob(&content)).await.expect("stored")).await,
        content
    );
}

#[tokio::test]
async fn a_file_of_other_content_is_told_as_any_other_source() {
    let directory = directory();
    let layout = relaxed(&directory.path().join("layout")).await;
    let content = noise(1_000_000);
    let file = directory.path().join("file");
    for (wrong, kind) in [
        (&content[..999_999], ErrorKind::SizeMismatch),
        (&[&content[..], b"x"].concat(), ErrorKind::SizeMismatch),
        (&[&content[1..], b"x"].concat(), ErrorKind::DigestMismatch),
    ] {
        fs::write(&file, wrong).expect("written");
        let pushed = layout.push(&blob(&content), Source::file(&file)).await;
        assert_eq!(pushed.expect_err("wrong").kind(), kind);
        assert!(leftovers(&directory.path().join("layout")).is_empty());
    }
}

#[tokio::test]
async fn a_dropped_push_leaves_nothing() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let content = noise(4_000_000);
    let target = blob(&content);
    for pieces in [1, 7, 30] {
        let (stuck, endless) = tokio::sync::oneshot::channel::<()>();
        let some: Vec<_> = (0..pieces)
            .map(|n| Ok(content.slice(n * 100_000..(n + 1) * 100_000)))
            .collect();
        let rest = async move {
            let _ = endless.await;
            Ok(Bytes::new())
        };
        let body = Body::from_stream(
            futures_util::stream::iter(some).chain(futures_util::stream::once(rest)),
        );
        let pushing = layout.push(&target, Source::once(body));
        let patience = std::time::Duration::from_millis(50);
        assert!(tokio::time::timeout(patience, pushing).await.is_err());
        drop(stuck);
        wait_until_nothing_is_left(directory.path()).await;
        assert!(!layout.exists(&target).await.expect("looked"));
    }
    layout.push(&target, content.into()).await.expect("pushed");
}

#[test]
fn one_blocking_thread_is_enough() {
    let directory = directory();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let layout = relaxed(&directory.path().join("layout")).await;
        let pushes = (0..8).map(|n| {
            let content = noise(2_000_000 + n);
            let file = directory.path().join(n.to_string());
            fs::write(&file, &content).expect("written");
            let layout = layout.clone();
            async move {
                // Read from the file, but not known to be one, as when a reader wraps it.
                let body = Body::from_file(fs::File::open(&file).expect("a file"), u64::MAX);
                let body = Body::from_stream(body.into_stream());
                layout.push(&blob(&content), Source::once(body)).await
            }
        });
        futures_util::future::try_join_all(pushes)
            .await
            .expect("pushed");
        push(&layout, &manifest("a"), &["v1"]).await;
    });
}

#[tokio::test]
async fn ids_of_uploads_are_no_paths() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    push_blob(&layout, &Bytes::from_static(b"x")).await;
    let uploader = layout.blobs();
    let upload = uploader.start().await.expect("started");
    let id = upload.id().as_str().to_owned();
    drop(upload);
    for wrong in [
        String::new(),
        "../../index.json".into(),
        format!("../uploads/{id}"),
        format!("{id}/"),
        format!("{id}\0"),
        id[1..].into(),
        format!("{}.", &id[1..]),
        "a".repeat(32),
    ] {
        let error = uploader.resume(&tranship::UploadId::new(wrong)).await.err();
        assert_eq!(error.expect("no upload").kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_write_that_was_dropped_counts_when_the_upload_goes_on() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let content = noise(2_000_000);
    let uploader = layout.blobs();
    let mut upload = uploader.start().await.expect("started");
    let id = upload.id().clone();
    {
        let mut write = Box::pin(upload.write(0, content.slice(..1_000_000)));
        let polled =
            std::future::poll_fn(|context| std::task::Poll::Ready(write.as_mut().poll(context)));
        let _ = polled.await;
    }
    drop(upload);
    // The lock may be held until the thread that writes has ended.
    let mut upload = uploader.resume(&id).await.expect("resumed");
    let offset = upload.offset();
    upload
        .write(
            offset,
            content.slice(usize::try_from(offset).expect("small")..),
        )
        .await
        .expect("written");
    upload.commit(&blob(&content)).await.expect("committed");
}

#[tokio::test]
async fn a_blob_that_reads_as_a_manifest_is_one_and_others_are_not() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let (target, content) = manifest("pushed as a blob");
    let as_blob = target.clone().with_media_type(MediaType::OCTET_STREAM);
    layout.push(&as_blob, content.into()).await.expect("pushed");
    let found = layout.resolve(&(*target.digest()).into()).await;
    assert_eq!(found.expect("reads as one"), target);

    let other = push_blob(&layout, &Bytes::from_static(b"{\"mediaType\":\"x/y\"}")).await;
    let error = layout.resolve(&(*other.digest()).into()).await;
    assert_eq!(error.expect_err("none").kind(), ErrorKind::NotFound);
    assert!(!layout.manifests().exists(&other).await.expect("looked"));
    let error = layout.manifests().fetch(&other).await.expect_err("none");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_listed_manifest_is_not_deleted_as_a_blob() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let child = manifest("child");
    push(&layout, &child, &[]).await;
    let parent = index(&[&child.0]);
    push(&layout, &parent, &["v1"]).await;
    let error = layout
        .blobs()
        .delete(&parent.0)
        .await
        .expect_err("a manifest");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(layout.resolve(&support::tag("v1").into()).await.is_ok());
}
