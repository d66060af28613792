//! `index.json`: what is listed in it, what is kept of what others wrote, and what is refused.

mod support;

use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::json;
use support::{
    REF_NAME, blob_path, directory, entries, index, index_json, manifest, push, referrer, relaxed,
    tag, write_layout,
};
use tranship::{
    Deleter, Digest, ErrorKind, Fetcher, ReadOnlyStorage, ReferencePusher, Resolver, TagOrDigest,
    Tagger, Untagger, referrers, tags,
};
use tranship_layout::{Layout, LayoutOptions};

fn name(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// An entry of `index.json`, as another tool may write it.
fn entry(target: &tranship::Descriptor, annotations: serde_json::Value) -> serde_json::Value {
    json!({
        "mediaType": target.media_type(),
        "digest": target.digest(),
        "size": target.size(),
        "annotations": annotations,
    })
}

#[tokio::test]
async fn nothing_is_created_before_something_is_pushed() {
    let directory = directory();
    let path = directory.path().join("app");
    let layout = Layout::create(&path).await.expect("opened");
    assert!(tags(&layout).await.expect("none").is_empty());
    let missing = layout.resolve(&tag("v1").into()).await.expect_err("none");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(!layout.exists(&manifest("a").0).await.expect("no"));
    assert!(!path.exists());

    push(&layout, &manifest("a"), &["v1"]).await;
    assert!(path.join("oci-layout").is_file());
    assert_eq!(entries(&path), [(*manifest("a").0.digest(), name("v1"))]);
}

#[tokio::test]
async fn opening_what_is_no_layout_fails_and_creates_nothing() {
    let directory = directory();
    for path in [directory.path().join("absent"), directory.path().to_owned()] {
        let error = Layout::open(&path).await.expect_err("no layout");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    assert_eq!(
        std::fs::read_dir(directory.path()).expect("read").count(),
        0
    );
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("written");
    let error = Layout::open(&file).await.expect_err("a file");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_layout_of_another_version_is_neither_read_nor_written() {
    let directory = directory();
    write_layout(directory.path(), r#"{"schemaVersion":2,"manifests":[]}"#);
    let waiting = relaxed(&directory.path().join("later")).await;
    let marker = r#"{"imageLayoutVersion":"2.0.0"}"#;
    std::fs::write(directory.path().join("oci-layout"), marker).expect("written");
    for opened in [
        Layout::open(directory.path()).await,
        Layout::create(directory.path()).await,
    ] {
        assert_eq!(
            opened.expect_err("unknown").kind(),
            ErrorKind::UnsupportedVersion
        );
    }
    // One that came to be after it was opened.
    write_layout(&directory.path().join("later"), "{}");
    std::fs::write(directory.path().join("later/oci-layout"), marker).expect("written");
    let (target, content) = manifest("a");
    let error = waiting
        .push_reference(&target, content.into(), &[tag("v1")])
        .await
        .expect_err("unknown");
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    assert!(!directory.path().join("later/.tranship").exists());
}

#[tokio::test]
async fn a_torn_index_is_told_and_not_overwritten() {
    let directory = directory();
    for torn in [
        "",
        "{\"schemaVersion\":2,\"manifests\":[{",
        "null",
        "\0\0\0\0",
    ] {
        write_layout(directory.path(), torn);
        let layout = Layout::open(directory.path()).await.expect("lazy");
        let file = directory.path().join("index.json");
        let (target, content) = manifest("a");
        for error in [
            layout.resolve(&tag("v1").into()).await.err(),
            tags(&layout).await.err(),
            layout
                .push_reference(&target, content.into(), &[tag("v1")])
                .await
                .err(),
        ] {
            let error = error.expect("torn");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains("index.json"), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&file).expect("read"), torn);
    }
}

#[tokio::test]
async fn a_negative_size_is_told_with_the_file_and_the_entry() {
    let directory = directory();
    let good = entry(&manifest("a").0, json!({}));
    let mut bad = good.clone();
    bad["size"] = (-5).into();
    let index = json!({"schemaVersion": 2, "manifests": [good, bad]});
    write_layout(directory.path(), &index.to_string());
    let layout = Layout::open(directory.path()).await.expect("lazy");
    let error = tags(&layout).await.expect_err("corrupt");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let file = directory.path().join("index.json").display().to_string();
    let message = error.to_string();
    assert!(message.contains(&file), "{message}");
    assert!(message.contains("entry 1"), "{message}");
}

#[tokio::test]
async fn an_index_of_a_gibibyte_is_refused_unread() {
    let directory = directory();
    write_layout(directory.path(), "{}");
    let file = std::fs::File::create(directory.path().join("index.json")).expect("created");
    file.set_len(1 << 30).expect("sparse");
    let layout = Layout::open(directory.path()).await.expect("lazy");
    let error = tags(&layout).await.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit);
}

#[tokio::test]
async fn an_index_that_would_outgrow_its_limit_is_not_written() {
    let directory = directory();
    let options = LayoutOptions::default().with_max_index_size(600);
    let layout = Layout::create_with(directory.path(), options).await;
    let layout = layout.expect("a layout");
    let mut count = 0;
    let error = loop {
        let (target, content) = manifest(&count.to_string());
        let tags = [tag(&format!("t{count}"))];
        match layout.push_reference(&target, content.into(), &tags).await {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit);
    assert_eq!(tags(&layout).await.expect("readable").len(), count);
}

#[tokio::test]
async fn what_others_wrote_is_kept_in_its_order() {
    let directory = directory();
    let (other, _) = manifest("of another tool");
    let unreadable = json!({"mediaType": "x/y", "digest": "blake3:0011", "size": 7, "zzz": [1]});
    let named = {
        let mut named = entry(&other, json!({REF_NAME: "old", "io.example": "kept"}));
        named["future"] = json!({"deep": [true]});
        named
    };
    let index = json!({
        "schemaVersion": 2,
        "manifests": [unreadable, named],
        "annotations": {"com.example.revision": "r1"},
        "future": 1,
    });
    write_layout(directory.path(), &index.to_string());
    let layout = Layout::open(directory.path()).await.expect("a layout");
    push(&layout, &manifest("new"), &["new"]).await;

    let after = index_json(directory.path());
    assert_eq!(after["manifests"][0], unreadable);
    assert_eq!(after["manifests"][1], named);
    assert_eq!(after["manifests"][2]["annotations"][REF_NAME], "new");
    assert_eq!(after["annotations"], index["annotations"]);
    assert_eq!(after["future"], 1);
    assert!(after.get("mediaType").is_none());
}

#[tokio::test]
async fn each_tag_has_one_entry_and_an_untagged_manifest_one_without() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let (a, b) = (manifest("a"), manifest("b"));
    push(&layout, &a, &[]).await;
    push(&layout, &b, &["b1", "b2"]).await;
    push(&layout, &a, &[]).await;
    let (a, b) = (*a.0.digest(), *b.0.digest());
    assert_eq!(
        entries(directory.path()),
        [(a, None), (b, name("b1")), (b, name("b2"))]
    );
    layout
        .tag(&manifest("a").0, &tag("a"))
        .await
        .expect("tagged");
    assert_eq!(
        entries(directory.path()),
        [(a, name("a")), (b, name("b1")), (b, name("b2"))]
    );
    layout.untag(&tag("b1")).await.expect("untagged");
    assert_eq!(entries(directory.path()), [(a, name("a")), (b, name("b2"))]);
    layout.untag(&tag("b2")).await.expect("untagged");
    assert_eq!(entries(directory.path()), [(a, name("a")), (b, None)]);
}

#[tokio::test]
async fn a_moved_tag_leaves_the_old_manifest_listed() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let (old, new) = (manifest("old"), manifest("new"));
    push(&layout, &old, &["v1"]).await;
    push(&layout, &new, &["v1"]).await;
    assert_eq!(
        entries(directory.path()),
        [(*old.0.digest(), None), (*new.0.digest(), name("v1"))]
    );
}

#[tokio::test]
async fn children_of_an_index_need_no_entries() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let (untagged, tagged) = (manifest("untagged"), manifest("tagged"));
    push(&layout, &untagged, &[]).await;
    push(&layout, &tagged, &["child"]).await;
    let parent = index(&[&untagged.0, &tagged.0]);
    push(&layout, &parent, &["parent"]).await;
    let listed = [
        (*tagged.0.digest(), name("child")),
        (*parent.0.digest(), name("parent")),
    ];
    assert_eq!(entries(directory.path()), listed);

    // Nor do they get one when they are pushed again, by somebody who reads the index first.
    let fresh = relaxed(directory.path()).await;
    push(&fresh, &untagged, &[]).await;
    fresh.untag(&tag("child")).await.expect("untagged");
    assert_eq!(entries(directory.path()), listed[1..]);
    let reference = TagOrDigest::Digest(*untagged.0.digest());
    assert_eq!(fresh.resolve(&reference).await.expect("held"), untagged.0);
}

#[tokio::test]
async fn an_entry_that_says_more_is_kept_beside_its_parent() {
    let directory = directory();
    let (child, content) = manifest("child");
    let entries = [entry(&child, json!({"io.example": "kept"}))];
    let index_of_others = json!({"schemaVersion": 2, "manifests": entries});
    write_layout(directory.path(), &index_of_others.to_string());
    std::fs::write(blob_path(directory.path(), child.digest()), content).expect("written");
    let layout = relaxed(directory.path()).await;
    push(&layout, &index(&[&child]), &["parent"]).await;
    let after = index_json(directory.path());
    assert_eq!(after["manifests"][0], entries[0]);
}

#[tokio::test]
async fn a_deleted_index_leaves_its_children_listed() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let (one, two, absent) = (manifest("1"), manifest("2"), manifest("absent"));
    push(&layout, &one, &[]).await;
    push(&layout, &two, &[]).await;
    let inner = index(&[&two.0]);
    push(&layout, &inner, &[]).await;
    let outer = index(&[&one.0, &absent.0, &inner.0]);
    push(&layout, &outer, &["outer"]).await;
    assert_eq!(entries(directory.path()).len(), 1);

    let fresh = relaxed(directory.path()).await;
    fresh.delete(&outer.0).await.expect("deleted");
    let left = [(*one.0.digest(), None), (*inner.0.digest(), None)];
    assert_eq!(entries(directory.path()), left);
    assert!(!blob_path(directory.path(), outer.0.digest()).exists());
}

#[tokio::test]
async fn a_manifest_that_was_stored_unlisted_becomes_listed_when_it_is_pushed() {
    let directory = directory();
    write_layout(directory.path(), r#"{"schemaVersion":2,"manifests":[]}"#);
    let (target, content) = manifest("stored by another tool");
    std::fs::write(blob_path(directory.path(), target.digest()), &content).expect("written");
    let layout = relaxed(directory.path()).await;
    push(&layout, &(target.clone(), content), &[]).await;
    assert_eq!(entries(directory.path()), [(*target.digest(), None)]);
}

#[tokio::test]
async fn entries_say_the_type_of_an_artifact_and_nothing_of_its_annotations() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let (image, _) = manifest("image");
    push(&layout, &manifest("image"), &["v1"]).await;
    push(&layout, &referrer(&image, "application/sbom"), &[]).await;
    let after = index_json(directory.path());
    assert_eq!(
        after["manifests"][0]["annotations"],
        json!({REF_NAME: "v1"})
    );
    assert!(after["manifests"][0].get("artifactType").is_none());
    assert_eq!(after["manifests"][1]["artifactType"], "application/sbom");
}

#[tokio::test]
async fn of_equal_tags_the_last_wins_and_tagging_leaves_one() {
    let directory = directory();
    let (first, last) = (manifest("first"), manifest("last"));
    let listed = [&first.0, &last.0].map(|target| entry(target, json!({REF_NAME: "v1"})));
    let index = json!({"schemaVersion": 2, "manifests": listed});
    write_layout(directory.path(), &index.to_string());
    for (target, content) in [&first, &last] {
        std::fs::write(blob_path(directory.path(), target.digest()), content).expect("written");
    }
    let layout = relaxed(directory.path()).await;
    let found = layout.resolve(&tag("v1").into()).await;
    assert_eq!(found.expect("tagged"), last.0);
    assert_eq!(tags(&layout).await.expect("tags"), [tag("v1")]);
    layout.tag(&last.0, &tag("v1")).await.expect("tagged");
    assert_eq!(
        entries(directory.path()),
        [(*first.0.digest(), None), (*last.0.digest(), name("v1"))]
    );
}

#[tokio::test]
async fn a_longer_name_of_another_tool_answers_to_its_tag_and_keeps_its_form() {
    const LONG: &str = "docker.io/library/alpine:3.18";
    let directory = directory();
    let old = manifest("old");
    let annotations = json!({REF_NAME: LONG, "io.containerd.image.name": LONG});
    let index = json!({"schemaVersion": 2, "manifests": [entry(&old.0, annotations.clone())]});
    write_layout(directory.path(), &index.to_string());
    std::fs::write(blob_path(directory.path(), old.0.digest()), &old.1).expect("written");
    let layout = relaxed(directory.path()).await;
    let short = TagOrDigest::Tag(tag("3.18"));
    assert_eq!(layout.resolve(&short).await.expect("tagged"), old.0);
    assert_eq!(tags(&layout).await.expect("tags"), [tag("3.18")]);

    let new = manifest("new");
    push(&layout, &new, &["3.18"]).await;
    assert_eq!(layout.resolve(&short).await.expect("moved"), new.0);
    let after = index_json(directory.path());
    assert_eq!(after["manifests"][1]["annotations"], annotations);

    layout.untag(&tag("3.18")).await.expect("untagged");
    assert_eq!(
        entries(directory.path()),
        [(*old.0.digest(), None), (*new.0.digest(), None)]
    );
}

#[tokio::test]
async fn names_of_other_tools_that_are_no_tags_are_reached_by_digest_only() {
    let directory = directory();
    let (one, two) = (manifest("1"), manifest("2"));
    let listed = [
        entry(&one.0, json!({REF_NAME: "example.com/one:v1"})),
        entry(&two.0, json!({REF_NAME: "example.com/two:v1"})),
        entry(&two.0, json!({REF_NAME: "not a tag"})),
    ];
    let index = json!({"schemaVersion": 2, "manifests": listed});
    write_layout(directory.path(), &index.to_string());
    let layout = relaxed(directory.path()).await;
    push(&layout, &two, &[]).await;
    assert!(tags(&layout).await.expect("none").is_empty());
    let error = layout.resolve(&tag("v1").into()).await;
    let error = error.expect_err("ambiguous");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().is_some_and(|hint| hint.contains("digest")));
    let by_digest = layout.resolve(&(*two.0.digest()).into()).await;
    assert_eq!(by_digest.expect("listed"), two.0);
}

#[tokio::test]
async fn concurrent_pushes_and_tags_cost_few_rewrites() {
    const COUNT: usize = 200;
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let target = manifest("tagged");
    push(&layout, &target, &["first"]).await;
    let names: Vec<_> = (0..COUNT).map(|count| tag(&format!("t{count}"))).collect();

    // Every rewrite is another file: what is linked here keeps its inode from being used again.
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let path = directory.path().join("index.json");
    let watcher = tokio::task::spawn_blocking(move || {
        let mut seen = Vec::new();
        loop {
            if let Ok(file) = std::fs::File::open(&path) {
                let inode = inode(&file);
                if seen.last().is_none_or(|(last, _)| *last != inode) {
                    seen.push((inode, file));
                }
            }
            if stopped.try_recv().is_ok() {
                return seen.len();
            }
            std::thread::yield_now();
        }
    });
    // As if another process were writing, so that the changes have time to gather.
    let lock = std::fs::File::open(directory.path().join(".tranship/lock")).expect("the lock");
    lock.lock().expect("locked");
    let release = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(lock);
    };
    let tagging = try_join_all(names.iter().map(|name| layout.tag(&target.0, name)));
    let (tagged, ()) = tokio::join!(tagging, release);
    tagged.expect("tagged");
    stop.send(()).expect("watched");
    let rewrites = watcher.await.expect("watched");
    assert!(rewrites <= COUNT / 10, "{rewrites} rewrites");
    assert_eq!(tags(&layout).await.expect("tags").len(), COUNT + 1);
}

fn inode(file: &std::fs::File) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    file.metadata().expect("metadata").ino()
}

#[tokio::test]
async fn a_dropped_change_does_not_hold_up_the_others() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let target = manifest("tagged");
    push(&layout, &target, &[]).await;
    for round in 0..20 {
        let (kept, dropped) = (tag(&format!("kept-{round}")), tag(&format!("gone-{round}")));
        let mut first = Box::pin(layout.tag(&target.0, &dropped));
        for _ in 0..=round {
            let once = std::future::poll_fn(|context| {
                std::task::Poll::Ready(first.as_mut().poll(context).is_ready())
            });
            if once.await {
                break;
            }
            tokio::task::yield_now().await;
        }
        let second = layout.tag(&target.0, &kept);
        drop(first);
        second.await.expect("tagged");
        let found = layout.resolve(&kept.into()).await;
        assert_eq!(found.expect("visible"), target.0);
    }
}

#[tokio::test]
async fn another_program_that_writes_in_place_is_noticed() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let (one, two) = (manifest("1"), manifest("2"));
    push(&layout, &one, &["v1"]).await;
    push(&layout, &two, &[]).await;
    let file = directory.path().join("index.json");
    for round in 0..50 {
        let target = if round % 2 == 0 { &two } else { &one };
        // The same length and, now and then, the same time stamp.
        let content = json!({
            "schemaVersion": 2,
            "manifests": [entry(&target.0, json!({REF_NAME: "v1"}))],
        });
        std::fs::write(&file, content.to_string()).expect("written");
        let found = layout.resolve(&tag("v1").into()).await;
        assert_eq!(found.expect("tagged"), target.0, "round {round}");
    }
}

#[tokio::test]
async fn one_of_concurrent_deletes_of_a_manifest_succeeds() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let image = manifest("1");
    push(&layout, &image, &["v1"]).await;
    let deletes = (0..12).map(|_| layout.delete(&image.0));
    let deleted = futures_util::future::join_all(deletes).await;
    assert_eq!(deleted.iter().filter(|deleted| deleted.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_write_in_place_right_after_a_change_is_noticed() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let (one, two) = (manifest("1"), manifest("2"));
    push(&layout, &two, &[]).await;
    let file = directory.path().join("index.json");
    for round in 0..50 {
        push(&layout, &one, &["v1"]).await;
        let content = std::fs::read_to_string(&file).expect("read");
        let digests = [&one, &two].map(|manifest| manifest.0.digest().to_string());
        // The same length, and the tag names the other manifest.
        let exchanged = content
            .replace(&digests[0], "one")
            .replace(&digests[1], &digests[0])
            .replace("one", &digests[1]);
        std::fs::write(&file, exchanged).expect("written");
        let found = layout.resolve(&tag("v1").into()).await;
        assert_eq!(
            found.expect("tagged").digest(),
            two.0.digest(),
            "round {round}"
        );
    }
}

#[tokio::test]
async fn referrers_are_found_through_indexes_and_fallback_tags() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let (image, _) = manifest("image");
    push(&layout, &manifest("image"), &["v1"]).await;
    let (nested, tagged) = (
        referrer(&image, "application/nested"),
        referrer(&image, "application/tagged"),
    );
    push(&layout, &nested, &[]).await;
    push(&layout, &index(&[&index(&[&nested.0]).0]), &["outer"]).await;
    push(&layout, &index(&[&nested.0]), &[]).await;
    push(&layout, &tagged, &[]).await;
    let fallback = format!("sha256-{}", image.digest().hex());
    push(&layout, &index(&[&tagged.0]), &[&fallback]).await;

    let fresh = relaxed(directory.path()).await;
    let mut found: Vec<Digest> = referrers(&fresh, &image, None)
        .await
        .expect("listed")
        .iter()
        .map(|referrer| *referrer.digest())
        .collect();
    found.sort();
    let mut expected = vec![*nested.0.digest(), *tagged.0.digest()];
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_damaged_manifest_does_not_hide_the_referrers_nor_itself() {
    use futures_util::StreamExt as _;
    use tranship::ReferrerLister as _;

    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let (image, _) = manifest("image");
    push(&layout, &manifest("image"), &["v1"]).await;
    let good = referrer(&image, "application/good");
    let (bad, absent) = (manifest("bad"), manifest("absent"));
    for each in [&good, &bad, &absent] {
        push(&layout, each, &[]).await;
    }
    let damaged = blob_path(directory.path(), bad.0.digest());
    std::fs::remove_file(&damaged).expect("removed");
    std::fs::write(&damaged, &bad.1[1..]).expect("written");
    std::fs::remove_file(blob_path(directory.path(), absent.0.digest())).expect("removed");

    let fresh = relaxed(directory.path()).await;
    let found: Vec<_> = fresh.referrers(&image, None).collect().await;
    assert_eq!(found.len(), 2);
    let first = found[0].as_ref().expect("the good one");
    assert_eq!(first.digest(), good.0.digest());
    let error = found[1].as_ref().expect_err("the bad one");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.subject(), Some(&*bad.0.digest().to_string()));

    // Pushing it again repairs it.
    push(&fresh, &bad, &[]).await;
    let found = referrers(&fresh, &image, None).await.expect("repaired");
    assert_eq!(found.len(), 1);
    assert!(fresh.fetch(&bad.0).await.is_ok());
}

#[tokio::test]
async fn a_referrer_that_another_handle_pushes_below_an_index_is_seen() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let (image, _) = manifest("image");
    push(&layout, &manifest("image"), &["v1"]).await;
    let late = referrer(&image, "application/late");
    push(&layout, &index(&[&late.0]), &["sparse"]).await;
    assert!(
        referrers(&layout, &image, None)
            .await
            .expect("none")
            .is_empty()
    );
    let before = std::fs::read(directory.path().join("index.json")).expect("read");

    push(&relaxed(directory.path()).await, &late, &[]).await;
    let after = std::fs::read(directory.path().join("index.json")).expect("read");
    assert_eq!(after, before, "it is reachable without an entry");
    let found = referrers(&layout, &image, None).await.expect("listed");
    assert_eq!(found.len(), 1);
    relaxed(directory.path())
        .await
        .delete(&late.0)
        .await
        .expect("deleted");
    assert!(
        referrers(&layout, &image, None)
            .await
            .expect("none")
            .is_empty()
    );
}

#[tokio::test]
async fn a_grandchild_is_not_lost_with_what_was_between() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let leaf = manifest("leaf");
    push(&layout, &leaf, &[]).await;
    let inner = index(&[&leaf.0]);
    push(&layout, &inner, &[]).await;
    let outer = index(&[&inner.0]);
    push(&layout, &outer, &["outer"]).await;
    assert_eq!(entries(directory.path()).len(), 1);

    // `layout` remembers the inner index that another handle deletes.
    let other = relaxed(directory.path()).await;
    other.delete(&inner.0).await.expect("deleted");
    layout.tag(&leaf.0, &tag("leaf")).await.expect("tagged");
    layout.untag(&tag("leaf")).await.expect("untagged");
    let listed: Vec<_> = entries(directory.path());
    assert!(listed.contains(&(*leaf.0.digest(), None)));
}

#[tokio::test]
async fn a_tag_that_was_removed_means_no_longer_name_either() {
    let directory = directory();
    let (exact, longer) = (manifest("exact"), manifest("longer"));
    let listed = [(&exact, "v1"), (&longer, "example.com/app:v1")]
        .map(|(target, name)| entry(&target.0, json!({REF_NAME: name})));
    let index = json!({"schemaVersion": 2, "manifests": listed});
    write_layout(directory.path(), &index.to_string());
    for (target, content) in [&exact, &longer] {
        std::fs::write(blob_path(directory.path(), target.digest()), content).expect("written");
    }
    let layout = relaxed(directory.path()).await;
    let v1 = TagOrDigest::Tag(tag("v1"));
    assert_eq!(layout.resolve(&v1).await.expect("tagged"), exact.0);

    layout.untag(&tag("v1")).await.expect("untagged");
    let error = layout.resolve(&v1).await.expect_err("untagged");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let kept = [(*exact.0.digest(), None), (*longer.0.digest(), None)];
    assert_eq!(entries(directory.path()), kept);
}

#[tokio::test]
async fn an_index_with_a_key_twice_is_read_and_not_changed() {
    let directory = directory();
    let (old, new) = (manifest("old"), manifest("new"));
    let listed = entry(&old.0, json!({REF_NAME: "v1"}));
    let content = format!(r#"{{"x":1,"manifests":[{listed}],"x":2}}"#);
    write_layout(directory.path(), &content);
    std::fs::write(blob_path(directory.path(), old.0.digest()), &old.1).expect("written");
    let layout = relaxed(directory.path()).await;
    let v1 = TagOrDigest::Tag(tag("v1"));
    assert_eq!(layout.resolve(&v1).await.expect("tagged"), old.0);

    let (one, two) = (tag("v1"), [tag("v2")]);
    let push = layout.push_reference(&new.0, new.1.clone().into(), &two);
    let untag = layout.untag(&one);
    let options = tranship_layout::GcOptions::default();
    let collect = layout.collect_garbage(&options);
    for error in [
        push.await.expect_err("refused"),
        untag.await.expect_err("refused"),
        collect.await.expect_err("refused"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("index.json"), "{error}");
    }
    let file = std::fs::read_to_string(directory.path().join("index.json"));
    assert_eq!(file.expect("readable"), content);
}
