//! Bundles that leave out what the destination has.

use std::sync::Arc;

use tranship::*;
use tranship_memory::MemoryRegistry;
use tranship_mirror::bundle::*;

use crate::images::*;

/// Adds an image with a layer of another one, moves a tag, and signs an old image.
async fn change(source: &MemoryRegistry) {
    let app = open(source, "team/app");
    push_image(&*app, &[noise(1, 30_000), noise(5, 4000)], &[as_tag("v2")]).await;
    let alpine = open(source, "library/alpine");
    push_image(&*alpine, &[noise(6, 3000)], &[as_tag("latest")]).await;
    let old = app.resolve(&as_tag("v1").into()).await.expect("tagged");
    push_referrer(&*app, &old, "another signature").await;
    let new = open(source, "team/new");
    push_image(&*new, &[noise(1, 30_000), noise(7, 100)], &[as_tag("v1")]).await;
}

#[tokio::test]
async fn an_increment_has_only_what_is_new() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = some_images().await;
    let first = planned(&source, None, None).await;
    let base = first.contents().lock().clone();
    let unchanged = planned(&source, Some(base.clone()), None).await;
    assert_eq!(unchanged.totals().bytes, 0);
    assert_eq!(unchanged.totals().bytes_in_base, first.totals().bytes);
    assert_eq!(*unchanged.contents().lock(), base, "the lock is the same");

    let before = source.stored_bytes();
    change(&source).await;
    let increment = planned(&source, Some(base.clone()), None).await;
    assert_eq!(increment.totals().bytes, source.stored_bytes() - before);
    let whole = planned(&source, None, None).await;
    assert_eq!(increment.contents().lock(), whole.contents().lock());

    let files = written(&increment, &directory.path().join("i.tar")).await;
    let bundle = Bundle::open(&files).await.expect("opened");
    let report = bundle
        .verify(&VerifyOptions::default().with_base(base))
        .await
        .expect("read");
    assert!(report.is_sound(), "{report:?}");
    assert!(!report.base.is_empty());
    let wrong_base = VerifyOptions::default().with_base(Lock::default());
    let report = bundle.verify(&wrong_base).await.expect("read");
    assert_eq!(report.missing_base, report.base);
    assert!(!report.is_sound());
}

#[tokio::test]
async fn content_of_the_base_has_a_repository_that_has_it() {
    let source = some_images().await;
    let base = planned(&source, None, None).await.contents().lock().clone();
    change(&source).await;
    let increment = planned(&source, Some(base), None).await;
    let contents = increment.contents();
    let needed = contents.base();
    assert!(!needed.is_empty());
    for number in needed {
        assert_eq!(contents.location(number), Some(ContentLocation::Base));
        assert!(contents.base_holders(number).count() > 0);
    }
    // The new repository needs a layer that others have.
    let shared = contents
        .lock()
        .number(ContentKind::Blob, &Digest::of(&noise(1, 30_000)))
        .expect("needed");
    assert!(
        contents
            .needed_by(&contents.lock().repositories()[&name("localhost:5000/team/new")])
            .contains(&shared)
    );
    let holders: Vec<&str> = contents
        .base_holders(shared)
        .map(BundleName::as_str)
        .collect();
    assert_eq!(
        holders,
        ["localhost:5000/library/alpine", "localhost:5000/team/app"]
    );
}

#[tokio::test]
async fn a_copy_from_an_increment_works_where_the_base_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = some_images().await;
    let base = planned(&source, None, None).await.contents().lock().clone();
    let destination = MemoryRegistry::new();
    let app = open(&source, "team/app");
    let to = open(&destination, "team/app");
    let v1 = as_tag("v1");
    copy(
        &*app,
        &v1.clone().into(),
        &*to,
        &[v1],
        &CopyOptions::default(),
    )
    .await
    .expect("copied");
    change(&source).await;
    let files = written(
        &planned(&source, Some(base), None).await,
        &directory.path().join("i.tar"),
    )
    .await;
    let bundle = Bundle::open(&files).await.expect("opened");
    let from = bundle
        .open_repository(&name("localhost:5000/team/app"))
        .expect("in the bundle");
    for tag in tags(&*from).await.expect("listed") {
        let root = from.resolve(&tag.clone().into()).await.expect("tagged");
        let options = ExtendedCopyOptions::default();
        extended_copy_graph(&*from, &root, &*to, &options)
            .await
            .expect("copied");
        to.tag(&root, &tag).await.expect("tagged");
    }
    let old = to.resolve(&as_tag("v1").into()).await.expect("tagged");
    assert_eq!(referrers(&*to, &old, None).await.expect("listed").len(), 1);
    // Without the base, the copy says why it fails.
    let empty = MemoryRegistry::new();
    let to = open(&empty, "team/app");
    let v1 = as_tag("v1");
    let copied = copy(
        &*from,
        &v1.clone().into(),
        &*to,
        &[v1],
        &CopyOptions::default(),
    )
    .await;
    let error = copied.expect_err("the base is missing");
    assert!(
        error.hint().is_some_and(|hint| hint.contains("base")),
        "{error}"
    );
}

#[tokio::test]
async fn a_difference_names_what_was_added_removed_and_moved() {
    let source = some_images().await;
    let old = planned(&source, None, None).await.contents().lock().clone();
    let before = source.stored_bytes();
    change(&source).await;
    let alpine = open(&source, "library/alpine");
    alpine.untag(&as_tag("3.19")).await.expect("untagged");
    let new = planned(&source, None, None).await.contents().lock().clone();
    let diff = old.diff(&new).expect("compared");
    let names = |changes: &[ImageChange]| {
        let name = |change: &ImageChange| {
            let tag = change.tag.as_ref().map(Tag::as_str).unwrap_or_default();
            format!("{}:{tag}", change.name)
        };
        changes.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(
        names(&diff.added),
        ["localhost:5000/team/app:v2", "localhost:5000/team/new:v1"]
    );
    assert_eq!(names(&diff.moved), ["localhost:5000/library/alpine:latest"]);
    assert_eq!(names(&diff.removed), ["localhost:5000/library/alpine:3.19"]);
    assert!(diff.moved[0].bytes > 3000 && diff.moved[0].bytes < 4000);
    // The old index is no longer copied, since no tag leads to it.
    assert_eq!(diff.added_bytes, source.stored_bytes() - before);
    assert!(diff.removed_bytes > 57_000);
    let none = new.diff(&new).expect("compared");
    assert_eq!(none, LockDiff::default());
}

#[tokio::test]
async fn a_base_that_lies_about_a_size_is_not_believed() {
    let source = some_images().await;
    let base = planned(&source, None, None).await.contents().lock().clone();
    let text = String::from_utf8(base.encode()).expect("text");
    let lying = text.replace(",30000]", ",30001]");
    assert_ne!(text, lying);
    let lying = Lock::decode(lying.as_bytes()).expect("a lock");
    let app = open(&source, "team/app");
    push_image(&*app, &[noise(1, 30_000), noise(5, 4000)], &[as_tag("v2")]).await;
    let planner = BundlePlanner::new(PlannerOptions::default().with_base(lying));
    let to = planner.repository_from(&name("other.example/app"), Arc::clone(&app));
    let v2 = as_tag("v2");
    copy(
        &*app,
        &v2.clone().into(),
        &*to,
        &[v2],
        &CopyOptions::default(),
    )
    .await
    .expect("copied");
    let plan = planner
        .plan(&PlanOptions::default())
        .await
        .expect("planned");
    let layer = plan
        .contents()
        .lock()
        .number(ContentKind::Blob, &Digest::of(&noise(1, 30_000)));
    assert!(!plan.contents().is_in_base(layer.expect("needed")));
}
