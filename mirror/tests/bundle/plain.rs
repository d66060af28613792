//! Archives that other programs have written.

use tranship::*;
use tranship_layout::{Layout, LayoutOptions};
use tranship_mirror::bundle::*;

use crate::images::*;

#[tokio::test]
async fn an_image_archive_is_a_bundle_and_a_base() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("alpine.tar");
    let source = some_images().await;
    let alpine = open(&source, "library/alpine");
    let archive = Layout::create_archive(&path, LayoutOptions::default())
        .await
        .expect("created");
    let latest = as_tag("latest");
    let options = ExtendedCopyOptions::default();
    let copied = extended_copy(
        &*alpine,
        &latest.clone().into(),
        &archive,
        std::slice::from_ref(&latest),
        &options,
    )
    .await;
    let root = copied.expect("copied").root;
    let bundle = Bundle::open([&path]).await.expect("opened");
    let images = bundle.images().expect("listed");
    assert_eq!(images.len(), 1);
    assert_eq!(images[0].name, name("alpine"));
    assert_eq!(images[0].tag, Some(latest.clone()));
    assert_eq!(images[0].digest, *root.digest());
    let repository = bundle.open_repository(&name("alpine")).expect("there");
    assert_eq!(
        repository
            .resolve(&latest.into())
            .await
            .expect("tagged")
            .digest(),
        root.digest()
    );
    let children = successors(&*repository, &root, MAX_MANIFEST_SIZE)
        .await
        .expect("readable");
    assert_eq!(
        referrers(&*repository, &children[0], None)
            .await
            .expect("listed")
            .len(),
        1
    );
    let report = bundle
        .verify(&VerifyOptions::default())
        .await
        .expect("read");
    assert!(report.is_sound(), "{report:?}");
    // Only the layers of the base matter, since the names differ.
    let base = bundle.contents().lock().clone();
    let plan = planned(&source, Some(base), None).await;
    assert!(plan.totals().bytes_in_base > 87_000 && plan.totals().bytes > 20_000);
}

#[tokio::test]
async fn an_archive_that_lacks_a_layer_is_incomplete() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.tar");
    let source = some_images().await;
    let app = open(&source, "team/app");
    let archive = Layout::create_archive(&path, LayoutOptions::default())
        .await
        .expect("created");
    let v1 = app.resolve(&as_tag("v1").into()).await.expect("tagged");
    let content = app
        .fetch(&v1)
        .await
        .expect("there")
        .bytes(MAX_MANIFEST_SIZE)
        .await
        .expect("read");
    let batch = archive.batch().expect("a batch");
    let config = successors(&*app, &v1, MAX_MANIFEST_SIZE)
        .await
        .expect("read")
        .remove(0);
    batch
        .push(&config, Source::stored(&*app, &config))
        .await
        .expect("pushed");
    batch
        .push_reference(&v1, content.into(), &[as_tag("v1")])
        .await
        .expect("pushed");
    batch.commit().await.expect("written");
    let bundle = Bundle::open([&path]).await.expect("opened");
    let report = bundle
        .verify(&VerifyOptions::default())
        .await
        .expect("read");
    assert_eq!(report.incomplete.len(), 3);
    assert_eq!(report.incomplete[0].image.as_deref(), Some("app:v1"));
}
