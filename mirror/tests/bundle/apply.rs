//! Bundles that are copied to a registry.

use std::path::Path;

use tranship::*;
use tranship_layout::LayoutRegistry;
use tranship_memory::MemoryRegistry;
use tranship_mirror::bundle::*;

use crate::images::*;

async fn bundle_of(source: &MemoryRegistry, base: Option<Lock>, path: &Path) -> Bundle {
    let files = written(&planned(source, base, None).await, path).await;
    Bundle::open(files).await.expect("opened")
}

async fn apply(bundle: &Bundle, destination: &dyn Registry) -> ApplyReport {
    bundle
        .apply(destination, &ApplyOptions::default())
        .await
        .expect("applied")
}

#[tokio::test]
async fn everything_arrives_and_a_second_time_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = some_images().await;
    let bundle = bundle_of(&source, None, &directory.path().join("b.tar")).await;
    let destination = MemoryRegistry::new();
    let dry = ApplyOptions::default().with_copy(CopyOptions::default().with_dry_run(true));
    let dry = bundle.apply(&destination, &dry).await.expect("looked");
    assert_eq!(destination.stored_bytes(), 0);
    let report = apply(&bundle, &destination).await;
    assert_eq!(dry.applied, report.applied);
    assert_eq!(destination.stored_bytes(), source.stored_bytes());
    assert_eq!(
        report.applied.len(),
        3,
        "an index with two tags, an image and a referrer"
    );
    assert!(report.pending.is_empty() && report.applied.iter().all(|image| image.changed));
    assert_eq!(report.mounted_bytes, 30_000);
    let again = apply(&bundle, &destination).await;
    assert!(again.applied.iter().all(|image| !image.changed));
    assert_eq!(again.copied_bytes, 0);
}

#[tokio::test]
async fn an_increment_mounts_what_the_destination_has() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = some_images().await;
    let first = bundle_of(&source, None, &directory.path().join("1.tar")).await;
    let new = open(&source, "team/new");
    push_image(&*new, &[noise(1, 30_000), noise(7, 100)], &[as_tag("v1")]).await;
    let alpine = open(&source, "library/alpine");
    let moved = push_image(&*alpine, &[noise(8, 500)], &[as_tag("latest")]).await;
    let base = first.contents().lock().clone();
    let second = bundle_of(&source, Some(base), &directory.path().join("2.tar")).await;

    let layouts = LayoutRegistry::create(directory.path().join("layouts"));
    let layouts = layouts.await.expect("created");
    let memory = MemoryRegistry::new();
    let destinations: [&dyn Registry; 2] = [&memory, &layouts];
    for destination in destinations {
        let error = second
            .apply(destination, &ApplyOptions::default())
            .await
            .expect_err("skipped");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(
            error.hint().is_some_and(|hint| hint.contains("base")),
            "{error}"
        );
        assert!(
            repositories(destination).await.expect("listed").is_empty(),
            "nothing is written"
        );
        apply(&first, destination).await;
        let report = apply(&second, destination).await;
        assert!(report.pending.is_empty());
        assert!(report.copied_bytes < 5_000, "{report:?}");
        let alpine = destination
            .repository(&"library/alpine".parse().expect("a name"))
            .await
            .expect("opened");
        assert_eq!(
            alpine
                .resolve(&as_tag("latest").into())
                .await
                .expect("tagged")
                .digest(),
            moved.digest()
        );
        let new = destination
            .repository(&"team/new".parse().expect("a name"))
            .await
            .expect("opened");
        let image = new.resolve(&as_tag("v1").into()).await.expect("tagged");
        for blob in successors(&*new, &image, MAX_MANIFEST_SIZE)
            .await
            .expect("read")
        {
            assert!(new.exists(&blob).await.expect("looked"));
        }
    }
}

#[tokio::test]
async fn images_wait_for_their_volumes() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = some_images().await;
    let plan = planned(&source, None, Some(40_960)).await;
    let files = written(&plan, &directory.path().join("b.tar")).await;
    assert!(files.len() > 2);
    let orders: [Vec<usize>; 2] = [(0..files.len()).collect(), (0..files.len()).rev().collect()];
    for order in orders {
        let destination = MemoryRegistry::new();
        let parts = directory.path().join("parts");
        let options = ApplyOptions::default().with_parts(&parts);
        for (count, at) in order.iter().enumerate() {
            let bundle = Bundle::open([&files[*at]]).await.expect("opened");
            let report = bundle.apply(&destination, &options).await.expect("applied");
            assert_eq!(report.pending.is_empty(), count + 1 == files.len());
            assert!(
                report
                    .pending
                    .iter()
                    .all(|image| !image.volumes.contains(&(*at as u32 + 1)))
            );
        }
        assert_eq!(destination.stored_bytes(), source.stored_bytes());
        let alpine = open(&destination, "library/alpine");
        assert_eq!(tags(&*alpine).await.expect("listed").len(), 2);
        assert_eq!(std::fs::read_dir(&parts).expect("a directory").count(), 0);
    }
}

#[tokio::test]
async fn split_blobs_need_their_volumes_at_once_without_a_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = some_images().await;
    let plan = planned(&source, None, Some(40_960)).await;
    let files = written(&plan, &directory.path().join("b.tar")).await;
    let destination = MemoryRegistry::new();
    for file in &files {
        let bundle = Bundle::open([file]).await.expect("opened");
        assert!(!apply(&bundle, &destination).await.pending.is_empty());
    }
    let bundle = Bundle::open(&files).await.expect("opened");
    assert!(apply(&bundle, &destination).await.pending.is_empty());
}

#[tokio::test]
async fn two_repositories_do_not_become_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = some_images().await;
    let planner = BundlePlanner::new(PlannerOptions::default());
    copy_all(&source, &planner, "one.example/").await;
    copy_all(&source, &planner, "two.example/").await;
    let plan = planner
        .plan(&PlanOptions::default())
        .await
        .expect("planned");
    let files = written(&plan, &directory.path().join("b.tar")).await;
    let bundle = Bundle::open(files).await.expect("opened");
    let destination = MemoryRegistry::new();
    let error = bundle
        .apply(&destination, &ApplyOptions::default())
        .await
        .expect_err("two");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let options = ApplyOptions::default().with_names(|name| Ok(name.flattened()));
    let report = bundle.apply(&destination, &options).await.expect("applied");
    assert_eq!(report.applied.len(), 6);
    assert_eq!(destination.stored_bytes(), source.stored_bytes());
}

#[tokio::test]
async fn a_damaged_blob_is_not_applied() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = some_images().await;
    let files = written(
        &planned(&source, None, None).await,
        &directory.path().join("b.tar"),
    )
    .await;
    let mut bytes = std::fs::read(&files[0]).expect("readable");
    let layer = noise(4, 20_000);
    let at = bytes
        .windows(64)
        .position(|window| *window == layer[..64])
        .expect("in the bundle");
    bytes[at + 1000] ^= 1;
    std::fs::write(&files[0], bytes).expect("written");
    let bundle = Bundle::open(files).await.expect("opened");
    let destination = MemoryRegistry::new();
    let error = bundle
        .apply(&destination, &ApplyOptions::default())
        .await
        .expect_err("damaged");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    let app = open(&destination, "team/app");
    assert!(tags(&*app).await.expect("listed").is_empty());
}
