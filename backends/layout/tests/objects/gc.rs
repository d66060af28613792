//! Garbage collection and checks of layouts on object stores, beside writers and beside each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use tranship::prelude::*;
use tranship::{CopyOptions, Descriptor, ErrorKind, Manifest, MediaType, copy};
use tranship_layout::{FsckOptions, GcOptions, GcReport, Layout, LayoutOptions, LayoutRegistry};

use crate::faulty::{Faulty, Op, answer};
use crate::support::{described, image_of, layout, opened, push_image, tag};

const HOUR: Duration = Duration::from_secs(3600);

async fn collect(layout: &Layout) -> GcReport {
    let options = GcOptions::default().with_grace(HOUR / 2);
    let report = layout.collect_garbage(&options).await;
    report.expect("collected")
}

async fn push_blob(layout: &Layout, content: &'static [u8]) -> Descriptor {
    let blob = described(content);
    layout.push(&blob, content.into()).await.expect("pushed");
    blob
}

fn digests(report: &GcReport) -> Vec<String> {
    let removed = report.removed.iter().map(|blob| blob.digest.to_string());
    let mut removed: Vec<String> = removed.collect();
    removed.sort();
    removed
}

fn has(store: &Faulty, blob: &Descriptor) -> bool {
    let hex = blob.digest().hex();
    store.keys().iter().any(|key| key.ends_with(&hex))
}

async fn sound(layout: &Layout) -> bool {
    let report = layout.fsck(&FsckOptions::default()).await.expect("checked");
    report.sound
}

#[tokio::test]
async fn what_is_old_and_led_to_by_nothing_goes() {
    let store = Arc::new(Faulty::new());
    let layout = layout(&store).await;
    let image = push_image(&layout, "v1").await.expect("pushed");
    let mut signature = Manifest::new(Descriptor::empty_json().plain(), vec![]);
    signature.subject = Some(image.plain());
    let content = tranship::encode_json(&signature).expect("JSON");
    let signature = Descriptor::of(MediaType::IMAGE_MANIFEST, &content);
    layout
        .push(&signature, content.into())
        .await
        .expect("pushed");
    let old = push_blob(&layout, b"old garbage").await;
    store.age(HOUR);
    let young = push_blob(&layout, b"young garbage").await;

    let dry = GcOptions::default().with_grace(HOUR / 2).with_dry_run(true);
    let told = layout.collect_garbage(&dry).await.expect("a dry run");
    assert!(has(&store, &old), "a dry run removes nothing");
    let report = collect(&layout).await;

    assert_eq!(digests(&report), [old.digest().to_string()]);
    assert_eq!(
        (digests(&told), told.freed),
        (digests(&report), report.freed)
    );
    assert_eq!(report.freed, 11);
    assert!(!has(&store, &old) && has(&store, &young));
    for kept in [&image, &signature] {
        assert!(has(&store, kept), "{kept}");
    }
    assert!(sound(&layout).await);
    let index = String::from_utf8(store.read("app/index.json").await.to_vec());
    assert!(
        !index.expect("text").contains("tranship.gc"),
        "the lease is given back"
    );
}

#[tokio::test]
async fn each_layout_below_a_prefix_is_collected_and_checked_for_itself() {
    let store = Arc::new(Faulty::new());
    let open = || LayoutRegistry::create_in(store.clone(), "all", LayoutOptions::default());
    let registry = open().await.expect("a registry");
    let mut garbage = Vec::new();
    for name in ["a", "team/b"] {
        let layout = registry.layout(&name.parse().expect("a name")).await;
        let layout = layout.expect("a layout");
        push_image(&layout, "v1").await.expect("pushed");
        garbage.push(push_blob(&layout, name.as_bytes()).await);
    }
    store.age(HOUR);

    let registry = open().await.expect("a registry");
    let names = tranship::repositories(&registry).await.expect("listed");
    assert_eq!(names.len(), garbage.len());
    for (name, garbage) in names.iter().zip(&garbage) {
        let layout = registry.layout(name).await.expect("a layout");
        let report = collect(&layout).await;
        assert_eq!(digests(&report), [garbage.digest().to_string()], "{name}");
        assert!(sound(&layout).await, "{name}");
    }
}

#[tokio::test]
async fn no_grace_is_shorter_than_what_writers_rely_on() {
    let store = Arc::new(Faulty::new());
    let layout = layout(&store).await;
    push_image(&layout, "v1").await.expect("pushed");
    let blob = push_blob(&layout, b"ten minutes old").await;
    store.age(Duration::from_secs(600));
    let none = GcOptions::default().with_grace(Duration::ZERO);
    let report = layout.collect_garbage(&none).await.expect("collected");
    assert_eq!((report.removed.len(), report.young.count), (0, 1));
    assert!(has(&store, &blob));
}

#[tokio::test]
async fn what_was_pushed_again_since_it_looked_stays() {
    let store = Arc::new(Faulty::new());
    let layout = layout(&store).await;
    push_image(&layout, "v1").await.expect("pushed");
    let blob = push_blob(&layout, b"garbage").await;
    store.age(HOUR);
    let watched = Arc::downgrade(&store);
    let key = Path::from(format!("app/blobs/sha256/{}", blob.digest().hex()));
    store.fail(move |op, _| {
        // The lease is about to be taken: everything was listed.
        if op == Op::Update {
            let store = watched.upgrade()?;
            let put = store.inner.put(&key, "garbage".into()).now_or_never();
            put.expect("memory is at hand").expect("written");
        }
        None
    });
    let report = collect(&layout).await;
    assert_eq!((report.removed.len(), report.freed), (0, 0));
    assert!(has(&store, &blob));
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_stops_it() {
    let store = Arc::new(Faulty::new());
    let layout = layout(&store).await;
    let image = push_image(&layout, "v1").await.expect("pushed");
    let garbage = push_blob(&layout, b"garbage").await;
    let key = Path::from(format!("app/blobs/sha256/{}", image.digest().hex()));
    store.inner.put(&key, "{".into()).await.expect("damaged");
    store.age(HOUR);
    // Another handle, which has not read the manifest before.
    let other = opened(&store).await.expect("a layout");
    let options = GcOptions::default().with_grace(HOUR / 2);
    let error = other.collect_garbage(&options).await.expect_err("stopped");
    assert!(
        matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::SizeMismatch),
        "{error:?}"
    );
    assert!(has(&store, &garbage));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_in_the_midst_leaves_it_sound() {
    for op in [Op::Get, Op::Head, Op::Update, Op::Delete, Op::List] {
        for nth in 0..6 {
            let store = Arc::new(Faulty::new());
            let layout = layout(&store).await;
            push_image(&layout, "v1").await.expect("pushed");
            for content in [&b"one"[..], b"two", b"three"] {
                push_blob(&layout, content).await;
            }
            store.age(HOUR);
            let seen = AtomicUsize::new(0);
            store.fail(move |asked, _| {
                let fails = asked == op && seen.fetch_add(1, Ordering::SeqCst) == nth;
                fails.then(|| answer("403 Forbidden", "AccessDenied"))
            });
            let options = GcOptions::default().with_grace(HOUR / 2);
            // It may also have been asked for less than that.
            let outcome = layout.collect_garbage(&options).await;
            store.fail(|_, _| None);
            let other = opened(&store).await.expect("a layout");
            assert!(sound(&other).await, "{op:?} {nth} {outcome:?}");
            // Nobody is held up by what it left: a lease runs out.
            push_image(&other, "v2").await.expect("pushed");
            collect(&other).await;
            assert_eq!(
                store
                    .keys()
                    .iter()
                    .filter(|key| key.contains("/sha256/"))
                    .count(),
                3
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_collectors_at_once_remove_the_same_once() {
    let store = Arc::new(Faulty::new());
    let layouts = [layout(&store).await, layout(&store).await];
    push_image(&layouts[0], "v1").await.expect("pushed");
    let contents: Vec<Vec<u8>> = (0..300)
        .map(|n| format!("garbage {n}").into_bytes())
        .collect();
    for content in &contents {
        let blob = described(content);
        let pushed = layouts[0].push(&blob, content.clone().into());
        pushed.await.expect("pushed");
    }
    store.age(HOUR);
    *store.delay.lock().expect("a lock") = Some(Duration::from_millis(1));
    let (one, other) = tokio::join!(collect(&layouts[0]), collect(&layouts[1]));
    assert_eq!(one.removed.len() + other.removed.len(), contents.len());
    assert!(sound(&layouts[0]).await);
}

/// A writer goes on an old blob being there that a collector is about to remove, `later` than it
/// begins. Answers whether the writer got through.
async fn beside_a_writer(later: Duration) -> bool {
    let store = Arc::new(Faulty::new());
    let (collector, writer) = (layout(&store).await, layout(&store).await);
    push_image(&collector, "v1").await.expect("pushed");
    let config = push_blob(&collector, b"an old config").await;
    store.age(HOUR);
    let batch = writer.batch().expect("a batch");
    let target = &batch;
    let there_already = target.push(&config, (&b"an old config"[..]).into());
    there_already.await.expect("pushed");
    let (image, content) = image_of(&config);
    let tags = [tag("v2")];
    let pushed = target.push_reference(&image, content.into(), &tags);
    pushed.await.expect("pushed");
    *store.delay.lock().expect("a lock") = Some(Duration::from_millis(10));

    let (_, committed) = tokio::join!(collect(&collector), async {
        tokio::time::sleep(later).await;
        batch.commit().await
    });

    *store.delay.lock().expect("a lock") = None;
    let after = opened(&store).await.expect("a layout");
    assert!(sound(&after).await, "{later:?} {committed:?}");
    let resolved = after.resolve(&tag("v2").into()).await;
    match committed {
        Ok(()) => {
            assert_eq!(resolved.expect("tagged").digest(), image.digest());
            assert!(has(&store, &config), "{later:?}");
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
            assert!(error.is_retryable());
            assert!(resolved.is_err());
            false
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_beside_it_gets_through_with_everything_or_is_told_to_try_again() {
    let mut outcomes = Vec::new();
    for later in 0..60 {
        outcomes.push(beside_a_writer(Duration::from_millis(5 * later)).await);
    }
    assert!(
        outcomes.contains(&true) && outcomes.contains(&false),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn uploads_that_nobody_goes_on_with_go() {
    let store = Arc::new(Faulty::new());
    let layout = layout(&store).await;
    push_image(&layout, "v1").await.expect("pushed");
    let uploader = layout.blobs();
    let begun = || async {
        let mut upload = uploader.start().await.expect("started");
        upload.write(0, "half".into()).await.expect("written");
        upload.id().clone()
    };
    let old = begun().await;
    store.age(HOUR);
    let young = begun().await;
    let report = collect(&layout).await;
    assert_eq!(report.leftovers.len(), 1);
    assert!(uploader.resume(&old).await.is_err());
    uploader.resume(&young).await.expect("still there");
}

#[tokio::test]
async fn checks_find_what_is_altered_missing_or_cut_off_and_repair_it() {
    let store = Arc::new(Faulty::new());
    let layout = layout(&store).await;
    let good = Arc::new(Faulty::new());
    let original = opened(&good).await.expect("a layout");
    for (name, content) in [
        ("a", &b"content of a"[..]),
        ("b", b"content of b"),
        ("c", b"content of c"),
    ] {
        let blob = push_blob(&original, content).await;
        let (image, content) = image_of(&blob);
        let tags = [tag(name)];
        let pushed = original.push_reference(&image, content.into(), &tags);
        pushed.await.expect("pushed");
        let (reference, options) = (tag(name).into(), CopyOptions::default());
        let tags = [tag(name)];
        let copied = copy(&original, &reference, &layout, &tags, &options);
        copied.await.expect("copied");
    }
    let keys = [&b"content of a"[..], b"content of b", b"content of c"].map(|content| {
        let hex = described(content).digest().hex();
        Path::from(format!("app/blobs/sha256/{hex}"))
    });
    let altered = store.inner.put(&keys[0], "CONTENT OF A".into());
    altered.await.expect("altered");
    let cut_off = store.inner.put(&keys[1], "content".into());
    cut_off.await.expect("cut off");
    store.inner.delete(&keys[2]).await.expect("gone");

    let damaged = opened(&store).await.expect("a layout");
    let report = damaged
        .fsck(&FsckOptions::default())
        .await
        .expect("checked");
    let found = format!("{:?}", report.findings);
    for content in [&b"content of a"[..], b"content of b", b"content of c"] {
        assert!(
            found.contains(&described(content).digest().hex()),
            "{found}"
        );
    }
    let repaired = damaged.repair(&original, &FsckOptions::default()).await;
    assert_eq!(repaired.expect("repaired").repaired.len(), 3);
    assert!(sound(&opened(&store).await.expect("a layout")).await);
}

#[tokio::test]
async fn an_oci_layout_that_was_cut_short_is_repaired() {
    let store = Arc::new(Faulty::new());
    push_image(&layout(&store).await, "v1")
        .await
        .expect("pushed");
    let marker = Path::from("app/oci-layout");
    let torn = store.inner.put(&marker, r#"{"image"#.into());
    torn.await.expect("written");
    let prefix = Path::default();
    let registry = LayoutRegistry::open_in(store.clone(), prefix, LayoutOptions::default()).await;
    let registry = registry.expect("a registry");
    let damaged = registry.layout(&"app".parse().expect("a name")).await;
    let damaged = damaged.expect("a layout");
    let good = opened(&Arc::new(Faulty::new())).await.expect("a layout");
    let report = damaged.repair(&good, &FsckOptions::default()).await;
    assert_eq!(report.expect("repaired").repaired.len(), 1);
    let found = opened(&store).await.expect("a layout");
    found.resolve(&tag("v1").into()).await.expect("tagged");
}
