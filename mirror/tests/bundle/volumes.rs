//! Bundles of several volumes.

use std::num::NonZeroU64;

use tranship::*;
use tranship_memory::MemoryRegistry;
use tranship_mirror::bundle::*;

use crate::images::*;

#[tokio::test]
async fn no_volume_is_too_large_and_any_order_works() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = some_images().await;
    let whole = planned(&source, None, None).await.totals().file_bytes;
    for size in [20_480, 21_000, 32_768, 50_001, whole, 10 * whole] {
        let plan = planned(&source, None, Some(size)).await;
        let mut files = written(&plan, &directory.path().join(format!("{size}.tar"))).await;
        assert_eq!(files.len(), plan.totals().volumes as usize);
        let lengths = files
            .iter()
            .map(|file| std::fs::metadata(file).expect("written").len());
        let lengths: Vec<u64> = lengths.collect();
        assert!(
            lengths.iter().all(|length| *length <= size),
            "{size}: {lengths:?}"
        );
        assert_eq!(lengths.iter().sum::<u64>(), plan.totals().file_bytes);
        files.reverse();
        files.push(files[0].clone());
        let bundle = Bundle::open(&files).await.expect("opened");
        assert!(bundle.missing_volumes().is_empty());
        assert_has_all(&bundle, &source).await;
        let report = bundle
            .verify(&VerifyOptions::default())
            .await
            .expect("read");
        assert!(report.is_sound(), "{report:?}");
    }
}

#[tokio::test]
async fn volumes_are_numbered_with_three_digits_or_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let registry = MemoryRegistry::new();
    let repository = open(&registry, "app");
    push_image(&*repository, &[noise(1, 5_000_000)], &[as_tag("v1")]).await;
    let plan = planned(&registry, None, Some(40_000)).await;
    let path = directory.path().join("b.tar");
    assert!(plan.totals().volumes < 1000);
    assert!(written(&plan, &path).await[0].ends_with("b.001.tar"));
}

#[tokio::test]
async fn more_than_a_thousand_volumes_sort_by_their_names() {
    let directory = tempfile::tempdir().expect("a directory");
    let registry = MemoryRegistry::new();
    let repository = open(&registry, "app");
    push_image(&*repository, &[noise(1, 56_000_000)], &[as_tag("v1")]).await;
    let plan = planned(&registry, None, Some(84_000)).await;
    assert!(plan.totals().volumes >= 1000, "{}", plan.totals().volumes);
    let files = written(&plan, &directory.path().join("b.tar")).await;
    assert!(files[0].ends_with("b.0001.tar"));
    assert!(files.is_sorted());
    let bundle = Bundle::open(&files).await.expect("opened");
    assert_has_all(&bundle, &registry).await;
}

#[tokio::test]
async fn missing_volumes_are_named_with_the_images_that_need_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let plan = planned(&some_images().await, None, Some(40_960)).await;
    let files = written(&plan, &directory.path().join("b.tar")).await;
    assert!(files.len() >= 3, "{}", files.len());
    let last = files.len() as u32;
    for missing in [2, last] {
        let given = (1..=last)
            .zip(&files)
            .filter(|(number, _)| *number != missing);
        let bundle = Bundle::open(given.map(|(_, file)| file))
            .await
            .expect("opened");
        assert_eq!(bundle.missing_volumes(), [missing]);
        let report = bundle
            .verify(&VerifyOptions::default())
            .await
            .expect("read");
        assert_eq!(report.missing_volumes, [missing]);
        assert!(!report.is_sound() && report.damaged.is_empty() && report.incomplete.is_empty());
        let images = bundle.images().expect("listed");
        assert!(
            images
                .iter()
                .any(|image| image.missing_volumes == [missing])
        );
        let lock = bundle.contents().lock();
        let absent = (0..lock.contents().len() as u32).filter(|number| !bundle.has(*number));
        let absent: Vec<u32> = absent.collect();
        assert!(!absent.is_empty());
        let node = &lock.contents()[absent[0] as usize];
        let holders = lock
            .repositories()
            .iter()
            .find(|(_, repository)| lock.blobs_of(repository).contains(&absent[0]));
        let repository = bundle
            .open_repository(holders.expect("one").0)
            .expect("opened");
        let error = repository
            .blobs()
            .fetch(&node.descriptor())
            .await
            .expect_err("missing");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains(&format!("volume {missing} of")))
        );
    }
}

#[tokio::test]
async fn volumes_of_two_bundles_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = some_images().await;
    let one = written(
        &planned(&source, None, Some(40_960)).await,
        &directory.path().join("a.tar"),
    )
    .await;
    let two = written(
        &planned(&source, None, Some(50_000)).await,
        &directory.path().join("b.tar"),
    )
    .await;
    let error = Bundle::open([&one[0], &two[1]])
        .await
        .expect_err("two bundles");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = Bundle::open(Vec::<std::path::PathBuf>::new())
        .await
        .expect_err("no file");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn volumes_that_are_too_small_for_the_manifests_are_an_error_that_says_what_is_needed() {
    let planner = BundlePlanner::new(PlannerOptions::default());
    copy_all(&some_images().await, &planner, PREFIX).await;
    let plan = |bytes: u64| {
        let size = NonZeroU64::new(bytes).expect("not zero");
        let planner = planner.clone();
        async move {
            planner
                .plan(&PlanOptions::default().with_volume_size(size))
                .await
        }
    };
    for bytes in [1, 5000, 9000] {
        let error = plan(bytes).await.expect_err("too small");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = error.to_string();
        let words: Vec<&str> = text.split(' ').collect();
        let at = words
            .iter()
            .position(|word| *word == "needs")
            .expect("a minimum");
        let least: u64 = words[at + 1].parse().expect("a number");
        plan(least).await.expect("large enough");
        assert!(least < 20_000, "{text}");
    }
}
