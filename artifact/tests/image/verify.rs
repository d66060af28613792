//! The check of everything that a reference leads to.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tranship::{Descriptor, ErrorKind, Manifest, MediaType, Pusher as _, Repository};
use tranship_artifact::image::{FindingKind, Severity, VerifyOptions, VerifyReport, verify};
use tranship_layout::Layout;

use crate::support::{Image, Layer, gzip};

async fn check(repository: &dyn Repository, options: VerifyOptions) -> VerifyReport {
    let reference = "v1".parse().expect("a tag");
    verify(repository, Some(&reference), &options)
        .await
        .expect("checked")
}

fn kinds(report: &VerifyReport) -> Vec<(Severity, FindingKind)> {
    let findings = report.findings.iter();
    findings
        .map(|finding| (finding.severity, finding.kind))
        .collect()
}

#[tokio::test]
async fn a_sound_image_has_no_findings() {
    let image = Image::of(&[Layer::new().file("a", "1")]).await;
    let bytes = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&bytes);
    let options = VerifyOptions::default()
        .with_layers(true)
        .with_progress(move |progress| {
            seen.store(progress.bytes, Ordering::Relaxed);
        });
    let report = check(&image.0, options).await;
    assert!(report.sound && report.findings.is_empty(), "{report:?}");
    assert_eq!(report.checked.count, 3);
    assert_eq!(report.checked.bytes, bytes.load(Ordering::Relaxed));
}

#[tokio::test]
async fn layers_are_compared_with_the_config_if_asked() {
    let tar = Layer::new().file("a", "1").tar();
    let image = Image::of_blobs(vec![(gzip(&tar), b"another".to_vec())]).await;
    assert!(check(&image.0, VerifyOptions::default()).await.sound);
    let report = check(&image.0, VerifyOptions::default().with_layers(true)).await;
    assert_eq!(
        kinds(&report),
        [(Severity::Error, FindingKind::WrongDiffId)]
    );
    let image = Image::of_blobs(vec![(gzip(&tar)[..30].to_vec(), tar)]).await;
    let report = check(&image.0, VerifyOptions::default().with_layers(true)).await;
    assert_eq!(
        kinds(&report),
        [(Severity::Error, FindingKind::WrongDiffId)]
    );
}

#[tokio::test]
async fn what_is_missing_is_found_with_what_refers_to_it() {
    let image = Image::of(&[]).await;
    let config = image
        .put(MediaType::IMAGE_CONFIG, &serde_json::json!({}))
        .await;
    let gone = Descriptor::of(MediaType::IMAGE_LAYER, b"gone");
    let foreign = MediaType::from_static("application/vnd.oci.image.layer.nondistributable.v1.tar");
    let foreign = Descriptor::of(foreign, b"foreign");
    let mut manifest = Manifest::new(config, vec![gone.clone(), foreign]);
    manifest.subject = Some(Descriptor::of(MediaType::IMAGE_MANIFEST, b"subject"));
    let root = image.tagged("v1", &manifest).await;
    let report = check(&image.0, VerifyOptions::default()).await;
    let expected = [
        (Severity::Error, FindingKind::Missing),
        (Severity::Info, FindingKind::Missing),
        (Severity::Info, FindingKind::Missing),
    ];
    assert_eq!(kinds(&report), expected);
    assert_eq!(report.findings[0].subject, gone.digest().to_string());
    assert_eq!(report.findings[0].referred_by.as_ref(), Some(root.digest()));
    assert!(!report.sound);
}

#[tokio::test]
async fn damage_in_a_layout_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let layout = Layout::create(directory.path()).await.expect("a layout");
    let image = Image::of(&[Layer::new().file("a", "1"), Layer::new().file("b", "2")]).await;
    let v1 = "v1".parse().expect("a tag");
    tranship::copy(
        &image.0,
        &v1,
        &layout,
        &["v1".parse().expect("a tag")],
        &tranship::CopyOptions::default(),
    )
    .await
    .expect("copied");
    let root = tranship::Resolver::resolve(&image.0, &v1)
        .await
        .expect("resolved");
    let parts = tranship::successors(&image.0, &root, 1 << 20)
        .await
        .expect("read");
    let path = |part: &Descriptor| {
        directory
            .path()
            .join("blobs/sha256")
            .join(part.digest().hex())
    };
    let replace = |part: &Descriptor, content: &[u8]| {
        fs::remove_file(path(part)).expect("removed");
        fs::write(path(part), content).expect("written");
    };
    let mut other = fs::read(path(&parts[1])).expect("read");
    other[20] ^= 1;
    replace(&parts[1], &other);
    replace(&parts[2], b"short");
    let report = check(&layout, VerifyOptions::default()).await;
    let expected = [
        (Severity::Error, FindingKind::WrongSize),
        (Severity::Error, FindingKind::Altered),
    ];
    assert_eq!(kinds(&report), expected, "{report:?}");
    for finding in &report.findings {
        assert!(
            !finding.message.contains("sha256:") || finding.message.contains("hashes to"),
            "{finding:?}"
        );
        assert!(!finding.message.is_empty());
    }
}

#[tokio::test]
async fn a_manifest_of_another_type_is_found() {
    let image = Image::of(&[]).await;
    let index = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let pushed = Descriptor::of(MediaType::IMAGE_INDEX, index);
    image
        .0
        .push(&pushed, Bytes::from_static(index).into())
        .await
        .expect("pushed");
    let claimed = pushed.with_media_type(MediaType::IMAGE_MANIFEST);
    let list = tranship::Index::new(vec![claimed]);
    let bytes = tranship::encode_json(&list).expect("JSON");
    let root = Descriptor::of(MediaType::IMAGE_INDEX, &bytes);
    let tags = ["v1".parse().expect("a tag")];
    tranship::ReferencePusher::push_reference(&image.0, &root, bytes.into(), &tags)
        .await
        .expect("pushed");
    let report = check(&image.0, VerifyOptions::default()).await;
    assert_eq!(
        kinds(&report),
        [(Severity::Error, FindingKind::WrongMediaType)]
    );
}

#[tokio::test]
async fn referrers_and_all_tags_are_checked_if_asked() {
    let image = Image::of(&[Layer::new().file("a", "1")]).await;
    let v1 = "v1".parse().expect("a tag");
    let subject = tranship::Resolver::resolve(&image.0, &v1)
        .await
        .expect("resolved");
    let mut sbom = Manifest::new(Descriptor::empty_json(), vec![]);
    sbom.subject = Some(subject);
    image.tagged("sbom", &sbom).await;
    assert_eq!(
        check(&image.0, VerifyOptions::default())
            .await
            .checked
            .count,
        3
    );
    // The config of the SBOM is missing.
    let report = check(&image.0, VerifyOptions::default().with_referrers(true)).await;
    assert_eq!(kinds(&report), [(Severity::Error, FindingKind::Missing)]);
    assert_eq!(report.checked.count, 5);
    let all = verify(&image.0, None, &VerifyOptions::default())
        .await
        .expect("checked");
    assert_eq!(all.checked.count, 5);
    let none = "none".parse().expect("a tag");
    let error = verify(&image.0, Some(&none), &VerifyOptions::default()).await;
    assert_eq!(error.expect_err("no tag").kind(), ErrorKind::NotFound);
}
