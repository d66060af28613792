//! What a planner makes of unusual images.

use std::sync::Arc;

use bytes::Bytes;
use tranship::*;
use tranship_memory::MemoryRegistry;
use tranship_mirror::bundle::*;

use crate::images::*;

async fn copy_digest(from: &Arc<dyn Repository>, to: &dyn Repository, root: &Descriptor) {
    copy_graph(&**from, root, to, &CopyOptions::default())
        .await
        .expect("copied");
}

#[tokio::test]
async fn an_image_without_a_tag_is_an_image() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = MemoryRegistry::new();
    let from = open(&source, "app");
    let root = push_image(&*from, &[noise(1, 500)], &[]).await;
    let planner = BundlePlanner::new(PlannerOptions::default());
    let to = planner.repository_from(&name("app"), Arc::clone(&from));
    copy_digest(&from, &*to, &root).await;
    let plan = planner
        .plan(&PlanOptions::default())
        .await
        .expect("planned");
    assert_eq!(plan.totals().images, 1);
    let files = written(&plan, &directory.path().join("b.tar")).await;
    let bundle = Bundle::open(&files).await.expect("opened");
    let images = bundle.images().expect("listed");
    assert_eq!(
        (images[0].tag.clone(), images[0].digest),
        (None, *root.digest())
    );
    let destination = MemoryRegistry::new();
    bundle
        .apply(&destination, &ApplyOptions::default())
        .await
        .expect("applied");
    assert!(
        open(&destination, "app")
            .exists(&root)
            .await
            .expect("looked")
    );
}

#[tokio::test]
async fn a_manifest_of_two_types_is_refused() {
    let source = MemoryRegistry::new();
    let from = open(&source, "app");
    let layer = push_blob(&*from, noise(1, 10)).await;
    let mut index = Index::new(vec![]);
    index.media_type = None;
    let content = encode_json(&index).expect("json");
    let planner = BundlePlanner::new(PlannerOptions::default());
    let to = planner.repository_from(&name("app"), Arc::clone(&from));
    for (media_type, is_first) in [
        (MediaType::IMAGE_INDEX, true),
        (MediaType::DOCKER_MANIFEST_LIST, false),
    ] {
        let descriptor = Descriptor::of(media_type, &content);
        let pushed = to.push(&descriptor, content.clone().into()).await;
        assert_eq!(pushed.is_ok(), is_first);
    }
    // The same for a blob of two sizes.
    to.push(&layer, noise(1, 10).into())
        .await
        .expect("recorded");
    let other = Descriptor::new(MediaType::OCTET_STREAM, *layer.digest(), 11);
    let error = to
        .push(&other, noise(1, 11).into())
        .await
        .expect_err("two sizes");
    assert_eq!(error.kind(), ErrorKind::SizeMismatch);
}

#[tokio::test]
async fn a_planner_refuses_what_it_could_not_read_again() {
    let planner = BundlePlanner::new(PlannerOptions::default());
    let repository = planner
        .repository(&"app".parse().expect("a name"))
        .await
        .expect("opened");
    let blob = Descriptor::of(MediaType::OCTET_STREAM, b"content");
    let error = repository
        .push(&blob, b"content".into())
        .await
        .expect_err("no source");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let manifest = Descriptor::of(MediaType::IMAGE_MANIFEST, b"{}");
    let error = repository
        .push(&manifest, b"{}".into())
        .await
        .expect_err("not a manifest");
    assert_eq!(error.kind(), ErrorKind::InvalidManifest);
}

#[tokio::test]
async fn platforms_that_were_not_copied_are_not_missed() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = MemoryRegistry::new();
    let from = open(&source, "app");
    let mut entries = Vec::new();
    for (seed, platform) in [(1, "linux/amd64"), (2, "linux/arm64")] {
        let image = push_image(&*from, &[noise(seed, 3000)], &[]).await;
        entries.push(image.with_platform(platform.parse().expect("a platform")));
    }
    let v1 = as_tag("v1");
    let root = push_index(&*from, entries, std::slice::from_ref(&v1)).await;
    let planner = BundlePlanner::new(PlannerOptions::default());
    let to = planner.repository_from(&name("app"), Arc::clone(&from));
    let amd64 = ["linux/amd64".parse().expect("a platform")];
    let subset = PlatformSubset::new(amd64).with_form(SubsetForm::Sparse);
    let options = CopyOptions::default().with_platforms(subset);
    copy(
        &*from,
        &v1.clone().into(),
        &*to,
        std::slice::from_ref(&v1),
        &options,
    )
    .await
    .expect("copied");
    let plan = planner
        .plan(&PlanOptions::default())
        .await
        .expect("planned");
    assert!(plan.totals().bytes < 6000);
    let files = written(&plan, &directory.path().join("b.tar")).await;
    let bundle = Bundle::open(&files).await.expect("opened");
    let report = bundle
        .verify(&VerifyOptions::default())
        .await
        .expect("read");
    assert!(report.is_sound(), "{report:?}");
    let destination = MemoryRegistry::new();
    bundle
        .apply(&destination, &ApplyOptions::default())
        .await
        .expect("applied");
    let found = open(&destination, "app")
        .resolve(&v1.into())
        .await
        .expect("tagged");
    assert_eq!(found.digest(), root.digest());
}

#[tokio::test]
async fn content_that_is_a_manifest_and_a_layer_is_stored_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = MemoryRegistry::new();
    let from = open(&source, "app");
    let image = push_image(&*from, &[noise(1, 500)], &[as_tag("v1")]).await;
    let content: Bytes = from
        .fetch(&image)
        .await
        .expect("there")
        .bytes(MAX_MANIFEST_SIZE)
        .await
        .expect("read");
    push_image(&*from, &[content], &[as_tag("v2")]).await;
    let files = written(
        &planned(&source, None, None).await,
        &directory.path().join("b.tar"),
    )
    .await;
    let bundle = Bundle::open(&files).await.expect("opened");
    let report = bundle
        .verify(&VerifyOptions::default())
        .await
        .expect("read");
    assert!(report.is_sound(), "{report:?}");
    assert_has_all(&bundle, &source).await;
}

#[tokio::test]
async fn a_planner_with_too_many_manifests_says_so() {
    let source = some_images().await;
    let options = PlannerOptions::default().with_max_manifest_bytes(1000);
    let planner = BundlePlanner::new(options);
    let from = open(&source, "library/alpine");
    let to = planner.repository_from(&name("a"), Arc::clone(&from));
    let latest = as_tag("latest");
    let options = CopyOptions::default();
    let copied = copy(&*from, &latest.clone().into(), &*to, &[latest], &options).await;
    assert_eq!(
        copied.expect_err("too many").kind(),
        ErrorKind::SizeExceedsLimit
    );
}

#[tokio::test]
async fn a_bundle_of_a_bundle_has_the_same_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = planned(&some_images().await, None, Some(40_960)).await;
    let files = written(&first, &directory.path().join("1.tar")).await;
    let bundle = Bundle::open(&files).await.expect("opened");
    let planner = BundlePlanner::new(PlannerOptions::default());
    for name in bundle.contents().lock().repositories().keys() {
        let from = bundle.open_repository(name).expect("in the bundle");
        let to = planner.repository_from(name, Arc::clone(&from));
        for tag in tags(&*from).await.expect("listed") {
            let options = ExtendedCopyOptions::default();
            extended_copy(&*from, &tag.clone().into(), &*to, &[tag], &options)
                .await
                .expect("copied");
        }
    }
    let size = std::num::NonZeroU64::new(40_960).expect("not zero");
    let options = PlanOptions::default().with_volume_size(size);
    let second = planner.plan(&options).await.expect("planned");
    assert_eq!(second.contents().set(), first.contents().set());
    let copies = written(&second, &directory.path().join("2.tar")).await;
    for (file, copy) in files.iter().zip(&copies) {
        let [one, other] = [file, copy].map(|path| std::fs::read(path).expect("readable"));
        assert!(one == other);
    }
}

#[tokio::test]
async fn a_repository_that_lacks_images_says_so_in_the_lock() {
    let source = MemoryRegistry::new();
    let planner = BundlePlanner::new(PlannerOptions::default());
    for repository in ["app", "web"] {
        let from = open(&source, repository);
        let root = push_image(&*from, &[noise(1, 500)], &[]).await;
        let to = planner.repository_from(&name(repository), Arc::clone(&from));
        copy_digest(&from, &*to, &root).await;
    }
    planner.mark_incomplete(Some(&name("app")));
    // Nothing of it is in the bundle, so that nothing is deleted there either.
    planner.mark_incomplete(Some(&name("other")));
    let plan = planner.plan(&PlanOptions::default()).await;
    let plan = plan.expect("planned");
    let lock = plan.contents().lock();
    let read = Lock::decode(&lock.encode()).expect("decoded");
    assert_eq!(&read, lock);
    let incomplete = |repository| read.repositories()[&name(repository)].is_incomplete();
    assert!(incomplete("app"));
    assert!(!incomplete("web"));
    assert_eq!(read.repositories().len(), 2);
}
