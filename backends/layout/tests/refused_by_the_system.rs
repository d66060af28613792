//! What the operating system refuses: writing to a read-only directory, and to a full disk. The tests
//! start their own binary again under such conditions, since root may write anywhere.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::{
    blob, blob_path, directory, entries, index, leftovers, manifest, noise, push, push_blob,
    relaxed, tag,
};
use tranship::{
    Deleter, ErrorKind, Fetcher, PredecessorFinder, Pusher, ReadOnlyStorage, ReferencePusher,
    Repository, Resolver, Tagger, Untagger, referrers, tags,
};
use tranship_layout::{FindingKind, FsckOptions, GcOptions, Layout, Severity};

const LAYOUT: &str = "TRANSHIP_TEST_LAYOUT";
const NOBODY: u32 = 65534;

fn part() -> Option<PathBuf> {
    std::env::var_os(LAYOUT).map(Into::into)
}

/// Makes everything below `path` unwritable, or writable again.
fn set_writable(path: &Path, writable: bool) {
    let metadata = fs::symlink_metadata(path).expect("there");
    if metadata.is_dir() {
        set_mode(path, 0o755);
        for entry in fs::read_dir(path).expect("readable") {
            set_writable(&entry.expect("an entry").path(), writable);
        }
        set_mode(path, if writable { 0o755 } else { 0o555 });
    } else {
        set_mode(path, if writable { 0o644 } else { 0o444 });
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}

/// A copy of this binary where everybody can run it.
fn binary(directory: &Path) -> PathBuf {
    let binary = directory.join("binary");
    fs::copy(std::env::current_exe().expect("a path"), &binary).expect("copied");
    set_mode(&binary, 0o755);
    binary
}

#[tokio::test]
async fn a_read_only_layout_is_read_and_not_written() {
    let image = manifest("image");
    let sbom = support::referrer(&image.0, "application/sbom");
    let content = noise(500_000);
    let Some(path) = part() else {
        let directory = directory();
        set_mode(directory.path(), 0o755);
        let path = directory.path().join("layout");
        let layout = relaxed(&path).await;
        push_blob(&layout, &content).await;
        push(&layout, &image, &["v1"]).await;
        push(&layout, &sbom, &[]).await;
        drop(layout);
        fs::remove_dir_all(path.join(".tranship")).expect("removed");
        set_writable(&path, false);

        let mut child = Command::new(binary(directory.path()));
        child
            .args(["--exact", "a_read_only_layout_is_read_and_not_written"])
            .current_dir("/")
            .env(LAYOUT, &path);
        if fs::metadata(&path).expect("there").uid() == 0 {
            child.uid(NOBODY).gid(NOBODY);
        }
        let ended = child.output().expect("started");
        set_writable(&path, true);
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && said.contains("1 passed"),
            "{said}"
        );
        assert!(!path.join(".tranship").exists());
        return;
    };

    let layout = Layout::open(&path).await.expect("readable");
    assert_eq!(
        layout.resolve(&tag("v1").into()).await.expect("tagged"),
        image.0
    );
    assert_eq!(tags(&layout).await.expect("tags"), [tag("v1")]);
    let stored = layout.fetch(&blob(&content)).await.expect("stored");
    assert_eq!(stored.bytes(u64::MAX).await.expect("undamaged"), content);
    assert!(layout.exists(&image.0).await.expect("looked"));
    assert_eq!(
        referrers(&layout, &image.0, None)
            .await
            .expect("found")
            .len(),
        1
    );
    assert_eq!(layout.predecessors(&image.0).await.expect("found").len(), 1);

    // What is there already needs no writing.
    layout
        .push(&blob(&content), content.into())
        .await
        .expect("present");
    push(&layout, &image, &["v1"]).await;
    layout
        .tag(&image.0, &tag("v1"))
        .await
        .expect("points there");

    let planned = layout.collect_garbage(&no_grace().with_dry_run(true)).await;
    assert_eq!(planned.expect("planned").removed.len(), 1);
    let checked = layout.fsck(&FsckOptions::default()).await.expect("checked");
    assert_eq!(checked.count(Severity::Warning), 0);

    let (other, other_content) = manifest("other");
    let large = noise(600_000);
    let uploader = layout.blobs();
    for (what, error) in [
        (
            "push",
            layout.push(&blob(b"new"), b"new"[..].into()).await.err(),
        ),
        (
            "push large",
            layout.push(&blob(&large), large.clone().into()).await.err(),
        ),
        (
            "push a manifest",
            layout
                .push_reference(&other, other_content.into(), &[])
                .await
                .err(),
        ),
        ("tag", layout.tag(&image.0, &tag("v2")).await.err()),
        ("untag", layout.untag(&tag("v1")).await.err()),
        ("delete", layout.delete(&image.0).await.err()),
        (
            "delete a blob",
            layout.delete(&blob(&noise(500_000))).await.err(),
        ),
        ("upload", uploader.start().await.err()),
        (
            "collect garbage",
            layout.collect_garbage(&no_grace()).await.err(),
        ),
    ] {
        let error = error.expect(what);
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{what}: {error}");
        assert!(error.hint().is_some(), "{what}");
    }
}

#[tokio::test]
async fn what_may_not_be_read_is_found_by_a_check_and_stops_a_collection() {
    let image = manifest("image");
    let digest = image.0.digest().to_string();
    let Some(path) = part() else {
        let directory = directory();
        set_mode(directory.path(), 0o755);
        let path = directory.path().join("layout");
        let layout = relaxed(&path).await;
        push_blob(&layout, &b"{}"[..].into()).await;
        push(&layout, &image, &["v1"]).await;
        set_mode(&blob_path(&path, image.0.digest()), 0);
        let mut child = Command::new(binary(directory.path()));
        child
            .args([
                "--exact",
                "what_may_not_be_read_is_found_by_a_check_and_stops_a_collection",
            ])
            .current_dir("/")
            .env(LAYOUT, &path);
        if fs::metadata(&path).expect("there").uid() == 0 {
            child.uid(NOBODY).gid(NOBODY);
        }
        let ended = child.output().expect("started");
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    };

    let layout = Layout::open(&path).await.expect("readable");
    let report = layout.fsck(&FsckOptions::default()).await.expect("checked");
    assert!(!report.sound);
    let found = &report.findings[0];
    assert_eq!(
        (found.kind, &found.subject),
        (FindingKind::Unreadable, &digest)
    );
    let error = layout
        .collect_garbage(&no_grace())
        .await
        .expect_err("stopped");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(blob_path(&path, blob(b"{}").digest()).exists());
}

fn no_grace() -> GcOptions {
    GcOptions::default().with_grace(Duration::ZERO)
}

/// Not a byte can be written, and garbage makes room.
#[tokio::test]
async fn garbage_is_collected_from_a_full_disk() {
    let (tagged, untagged) = (manifest("tagged"), manifest("untagged"));
    let Some(path) = part() else {
        let directory = directory();
        let path = directory.path().join("layout");
        let layout = relaxed(&path).await;
        push_blob(&layout, &b"{}"[..].into()).await;
        push(&layout, &tagged, &["v1"]).await;
        push(&layout, &untagged, &[]).await;
        push_blob(&layout, &noise(1000)).await;
        fs::write(path.join(".tranship/tmp/left"), "over").expect("written");
        let ended = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().expect("a path"))
            .args(["--exact", "garbage_is_collected_from_a_full_disk"])
            .env(LAYOUT, &path)
            .output()
            .expect("started");
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    };

    let layout = relaxed(&path).await;
    let error = layout.push(&blob(b"new"), b"new"[..].into()).await;
    assert_eq!(error.expect_err("full").kind(), ErrorKind::StorageFull);
    let report = layout
        .collect_garbage(&no_grace())
        .await
        .expect("collected");
    assert_eq!((report.removed.len(), report.leftovers.len()), (1, 1));
    assert_eq!(report.freed, 1004);

    // What goes out of the index needs a new one. Nothing goes before that is written.
    let options = no_grace().with_untagged_older_than(Some(Duration::ZERO));
    let error = layout.collect_garbage(&options).await.expect_err("full");
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(entries(&path).len(), 2);
    assert!(layout.exists(&untagged.0).await.expect("looked"));
    assert!(leftovers(&path).is_empty());
}

/// The limit on the size of a file stands for a disk that is full after so much.
#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_half_written() {
    const LIMIT_KIB: u64 = 128;
    let large = noise(2_000_000);
    let Some(path) = part() else {
        let directory = directory();
        let path = directory.path().join("layout");
        let layout = relaxed(&path).await;
        let before = manifest("before");
        push(&layout, &before, &["before"]).await;
        // A name for every entry makes an index that has no room for many more.
        let names: Vec<_> = (0..500).map(|count| tag(&format!("t{count}"))).collect();
        let tagging = names.iter().map(|name| layout.tag(&before.0, name));
        futures_util::future::try_join_all(tagging)
            .await
            .expect("tagged");
        let size = fs::metadata(path.join("index.json")).expect("there").len();
        assert!(size < LIMIT_KIB * 1024, "{size}");
        drop(layout);

        let script = format!(
            "trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"",
            LIMIT_KIB * 2
        );
        let ended = Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().expect("a path"))
            .args(["--exact", "a_full_disk_is_told_and_nothing_is_half_written"])
            .env(LAYOUT, &path)
            .output()
            .expect("started");
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && said.contains("1 passed"),
            "{said}"
        );
        assert!(leftovers(&path).is_empty());
        let layout = Layout::open(&path).await.expect("a layout");
        assert_eq!(
            tags(&layout).await.expect("undamaged").len(),
            entries(&path).len()
        );
        push_blob(&layout, &large).await;
        return;
    };

    let layout = relaxed(&path).await;
    let error = layout.push(&blob(&large), large.clone().into()).await;
    assert_eq!(error.expect_err("full").kind(), ErrorKind::StorageFull);
    assert!(!blob_path(&path, blob(&large).digest()).exists());

    let file = path.join("../file");
    // Written by the parent's rules, in pieces that the limit allows.
    fs::write(&file, &large[..100_000]).expect("written");
    let mut upload = layout.blobs().start().await.expect("started");
    upload.write(0, large.slice(..100_000)).await.expect("room");
    let error = upload.write(100_000, large.slice(100_000..)).await;
    assert_eq!(error.expect_err("full").kind(), ErrorKind::StorageFull);
    assert_eq!(upload.offset(), 100_000);
    upload
        .write(100_000, large.slice(100_000..100_100))
        .await
        .expect("room");
    upload
        .commit(&blob(&large[..100_100]))
        .await
        .expect("committed");

    let target = manifest("before");
    let mut error = None;
    for count in 0..1000 {
        let name = tag(&format!("{}{count}", "long-".repeat(20)));
        if let Err(failed) = layout.tag(&target.0, &name).await {
            error = Some(failed);
            break;
        }
    }
    assert_eq!(error.expect("full").kind(), ErrorKind::StorageFull);
    assert!(
        tags(&layout)
            .await
            .expect("undamaged")
            .contains(&tag("before"))
    );
    assert!(leftovers(&path).is_empty());
}

/// On a file system of 1 MiB in a separate name space.
#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs the right to mount"]
async fn a_full_disk_is_freed_by_deleting() {
    let names: Vec<_> = (0..100).map(|count| tag(&format!("t{count}"))).collect();
    let images = ["one", "two", "three"].map(manifest);
    let Some(path) = part() else {
        let directory = directory();
        let mount = "mount -t tmpfs -o size=1m tmpfs \"$1\" && shift && exec \"$@\"";
        // Root may do without a name space of users, which some systems forbid.
        let ways = [&["--user", "--map-root-user", "--mount"][..], &["--mount"]];
        let may = |way: &&&[&str]| {
            let tried = Command::new("unshare").args(**way).arg("true").status();
            tried.expect("unshare").success()
        };
        let way = ways.iter().find(may).expect("the right to mount");
        let ended = Command::new("unshare")
            .args(*way)
            .args(["sh", "-c", mount, "sh"])
            .arg(directory.path())
            .arg(std::env::current_exe().expect("a path"))
            .args(["--exact", "a_full_disk_is_freed_by_deleting", "--ignored"])
            .env(LAYOUT, directory.path().join("layout"))
            .output()
            .expect("unshare");
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && said.contains("1 passed"),
            "{ended:?}"
        );
        return;
    };

    let layout = relaxed(&path).await;
    push_blob(&layout, &b"{}"[..].into()).await;
    for image in &images {
        push(&layout, image, &[]).await;
    }
    let all = index(&images.each_ref().map(|image| &image.0));
    push(&layout, &all, &["all"]).await;
    for name in &names {
        layout.tag(&images[0].0, name).await.expect("tagged");
    }
    let mut ballast = fs::File::create(path.join("../ballast")).expect("created");
    while std::io::Write::write(&mut ballast, &[0; 4096]).is_ok() {}
    let error = layout.push(&blob(b"new"), b"new"[..].into()).await;
    assert_eq!(error.expect_err("full").kind(), ErrorKind::StorageFull);
    let error = layout.tag(&images[1].0, &tag("new")).await;
    assert_eq!(error.expect_err("full").kind(), ErrorKind::StorageFull);

    // Its manifests are listed then, with which index.json is larger.
    layout.delete(&all.0).await.expect("deleted");
    // None of them frees as much as the next one needs to write.
    for name in &names[..50] {
        layout.untag(name).await.expect("untagged");
    }
    layout.delete(&images[1].0).await.expect("deleted");
    layout.delete(&blob(b"{}")).await.expect("deleted");
    layout.delete(&images[0].0).await.expect("deleted");
    assert_eq!(tags(&layout).await.expect("listed").len(), 0);
    assert!(layout.exists(&images[2].0).await.expect("looked"));
    layout.tag(&images[2].0, &tag("new")).await.expect("room");
}
