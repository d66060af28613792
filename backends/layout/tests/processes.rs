//! Several processes at one layout. Each test starts its own binary again, which then plays a part.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use bytes::Bytes;
use support::{blob, directory, entries, manifest, push, relaxed, tag};
use tranship::{
    ErrorKind, Fetcher, MAX_MANIFEST_SIZE, Pusher, Repository, Resolver, TagOrDigest, Tagger,
    UploadId, tags,
};
use tranship_layout::Layout;

const LAYOUT: &str = "TRANSHIP_TEST_LAYOUT";
const PART: &str = "TRANSHIP_TEST_PART";

/// Starts this binary again, to run `test` alone as `part`.
fn start(test: &str, layout: &Path, part: &str) -> Child {
    Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", test, "--nocapture"])
        .env(LAYOUT, layout)
        .env(PART, part)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("started")
}

/// The layout and the part, if this process was started to play one.
fn part() -> Option<(PathBuf, String)> {
    let layout = std::env::var_os(LAYOUT)?;
    Some((layout.into(), std::env::var(PART).expect("a part")))
}

#[tokio::test]
async fn eight_processes_that_tag_at_the_same_time_lose_nothing() {
    const PROCESSES: usize = 8;
    const TAGS: usize = 200;
    let target = manifest("tagged by all");
    if let Some((path, number)) = part() {
        let layout = relaxed(&path).await;
        let names: Vec<_> = (0..TAGS)
            .map(|count| tag(&format!("p{number}-{count}")))
            .collect();
        for some in names.chunks(10) {
            let tagging = some.iter().map(|name| layout.tag(&target.0, name));
            futures_util::future::try_join_all(tagging)
                .await
                .expect("tagged");
        }
        return;
    }
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    push(&layout, &target, &[]).await;
    let children: Vec<_> = (0..PROCESSES)
        .map(|number| {
            let test = "eight_processes_that_tag_at_the_same_time_lose_nothing";
            start(test, directory.path(), &number.to_string())
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("ended").success());
    }
    let found = tags(&layout).await.expect("tags");
    assert_eq!(found.len(), PROCESSES * TAGS);
    assert_eq!(entries(directory.path()).len(), PROCESSES * TAGS);
}

#[tokio::test]
async fn processes_that_push_the_same_and_other_content_all_succeed() {
    const PROCESSES: usize = 4;
    if let Some((path, number)) = part() {
        let layout = relaxed(&path).await;
        for count in 0..25 {
            let shared = Bytes::from(vec![count; 200_000]);
            layout
                .push(&blob(&shared), shared.into())
                .await
                .expect("pushed");
            push(&layout, &manifest(&format!("shared {count}")), &["shared"]).await;
            let own = format!("own-{number}-{count}");
            push(&layout, &manifest(&own), &[&own]).await;
        }
        return;
    }
    let directory = directory();
    let children: Vec<_> = (0..PROCESSES)
        .map(|number| {
            let test = "processes_that_push_the_same_and_other_content_all_succeed";
            start(test, directory.path(), &number.to_string())
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("ended").success());
    }
    let layout = Layout::open(directory.path()).await.expect("a layout");
    assert_eq!(tags(&layout).await.expect("tags").len(), PROCESSES * 25 + 1);
    for (digest, _) in entries(directory.path()) {
        let found = layout.resolve(&TagOrDigest::Digest(digest)).await;
        let content = layout.fetch(&found.expect("listed")).await;
        let content = content.expect("stored").bytes(MAX_MANIFEST_SIZE).await;
        content.expect("undamaged");
    }
}

#[tokio::test]
async fn an_upload_is_resumed_by_another_process() {
    let content = support::noise(700_000);
    if let Some((path, id)) = part() {
        let layout = Layout::create(&path).await.expect("a layout");
        let uploader = layout.blobs();
        let mut upload = uploader.resume(&UploadId::new(id)).await.expect("found");
        assert_eq!(upload.offset(), 300_000);
        let rest = content.slice(300_000..);
        upload.write(300_000, rest).await.expect("written");
        upload.commit(&blob(&content)).await.expect("committed");
        return;
    }
    let directory = directory();
    let layout = Layout::create(directory.path()).await.expect("a layout");
    let uploader = layout.blobs();
    let mut upload = uploader.start().await.expect("started");
    let id = upload.id().clone();
    upload
        .write(0, content.slice(..300_000))
        .await
        .expect("written");
    drop(upload);
    let test = "an_upload_is_resumed_by_another_process";
    let mut child = start(test, directory.path(), id.as_str());
    assert!(child.wait().expect("ended").success());

    let stored = layout.fetch(&blob(&content)).await.expect("committed");
    assert_eq!(stored.bytes(u64::MAX).await.expect("undamaged"), content);
    let error = uploader.resume(&id).await.err().expect("over");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_upload_of_another_process_is_not_taken_over() {
    if let Some((path, id)) = part() {
        let layout = Layout::create(&path).await.expect("a layout");
        let uploader = layout.blobs();
        let error = uploader.resume(&UploadId::new(id)).await.err();
        assert_eq!(error.expect("locked").kind(), ErrorKind::Conflict);
        return;
    }
    let directory = directory();
    let layout = Layout::create(directory.path()).await.expect("a layout");
    let uploader = layout.blobs();
    let upload = uploader.start().await.expect("started");
    let test = "an_upload_of_another_process_is_not_taken_over";
    let mut child = start(test, directory.path(), upload.id().as_str());
    assert!(child.wait().expect("ended").success());
    upload.cancel().await.expect("still ours");
}

/// A process that dies in the middle of a change leaves the lock and the index usable.
#[tokio::test]
async fn a_killed_process_leaves_a_layout_that_works() {
    if let Some((path, _)) = part() {
        let layout = relaxed(&path).await;
        for count in 0_u64.. {
            let name = format!("t{count}");
            push(&layout, &manifest(&name), &[&name]).await;
        }
    }
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let test = "a_killed_process_leaves_a_layout_that_works";
    for round in 0..5 {
        let mut child = start(test, directory.path(), "victim");
        let before = tags(&layout).await.expect("tags").len();
        while tags(&layout).await.expect("never torn").len() < before + 3 * (round + 1) {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        let name = format!("mine-{round}");
        push(&layout, &manifest(&name), &[&name]).await;
        for (digest, _) in entries(directory.path()) {
            let found = layout.resolve(&TagOrDigest::Digest(digest)).await;
            assert!(layout.fetch(&found.expect("listed")).await.is_ok());
        }
    }
}
