//! The check of a layout, and its repair.

mod support;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use support::{
    blob, blob_path, directory, entries, index, leftovers, manifest, noise, push, push_blob,
    referrer, relaxed, tag, write_layout,
};
use tranship::{
    Descriptor, Digest, ErrorKind, Manifest, MediaType, Repository, Resolver, encode_json, tags,
};
use tranship_layout::FindingKind as Kind;
use tranship_layout::{
    FindingKind, FsckOptions, FsckReport, GcOptions, Layout, LayoutOptions, Severity,
};

async fn fsck(layout: &Layout) -> FsckReport {
    let report = layout.fsck(&FsckOptions::default()).await;
    report.expect("checked")
}

async fn opened(path: &Path) -> Layout {
    let layout = Layout::open_unchecked(path, LayoutOptions::default()).await;
    layout.expect("a path")
}

fn found(report: &FsckReport) -> Vec<(Severity, Kind, &str)> {
    let findings = report.findings.iter();
    findings
        .map(|finding| (finding.severity, finding.kind, finding.subject.as_str()))
        .collect()
}

/// An image with a config and a layer, tagged.
async fn image(layout: &Layout) -> [Descriptor; 3] {
    let config = push_blob(layout, &Bytes::from_static(b"{}")).await;
    let layer = push_blob(layout, &noise(300_000)).await;
    let document = Manifest::new(config.clone(), vec![layer.clone()]);
    let content = encode_json(&document).expect("json");
    let image = Descriptor::of(MediaType::IMAGE_MANIFEST, &content);
    push(layout, &(image.clone(), content), &["v1"]).await;
    [image, config, layer]
}

/// Replaces a file, as nobody does who knows what a link is.
fn damage(layout: &Path, target: &Descriptor, content: &[u8]) {
    let path = blob_path(layout, target.digest());
    let _ = fs::remove_file(&path);
    fs::create_dir_all(path.parent().expect("a directory")).expect("created");
    fs::write(path, content).expect("written");
}

fn remove(layout: &Path, target: &Descriptor) {
    fs::remove_file(blob_path(layout, target.digest())).expect("removed");
}

#[tokio::test]
async fn a_sound_layout_has_no_findings() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let [image, ..] = image(&layout).await;
    push(&layout, &referrer(&image, "application/sbom"), &[]).await;
    let report = fsck(&layout).await;
    assert_eq!(found(&report), []);
    assert!(report.sound);
    assert_eq!(report.checked.count, 4);
}

#[tokio::test]
async fn each_kind_of_damage_is_told_with_who_refers_to_it() {
    let cases: [(&[u8], Kind); 3] = [
        (&noise(300_000)[..299_999], Kind::Truncated),
        (&[7; 300_000], Kind::Altered),
        (&[7; 300_001], Kind::Altered),
    ];
    for (content, kind) in cases {
        let directory = directory();
        let layout = relaxed(directory.path()).await;
        let [image, _, layer] = image(&layout).await;
        damage(directory.path(), &layer, content);
        let report = fsck(&layout).await;
        let digest = layer.digest().to_string();
        assert_eq!(found(&report), [(Severity::Error, kind, &*digest)]);
        assert!(!report.sound);
        assert_eq!(
            report.findings[0].referred_by.as_ref(),
            Some(image.digest())
        );
    }
}

#[tokio::test]
async fn what_is_missing_is_as_bad_as_what_it_is_for() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let foreign = Descriptor::of(
        MediaType::from_static("application/vnd.oci.image.layer.nondistributable.v1.tar"),
        b"elsewhere",
    );
    let layer = blob(b"a layer");
    let mut document = Manifest::new(
        Descriptor::empty_json().plain(),
        vec![foreign.clone(), layer.clone()],
    );
    let (subject, _) = manifest("subject");
    document.subject = Some(subject.clone());
    let content = encode_json(&document).expect("json");
    let image = Descriptor::of(MediaType::IMAGE_MANIFEST, &content);
    push(&layout, &(image.clone(), content), &["image"]).await;
    push_blob(&layout, &Bytes::from_static(b"{}")).await;
    let (child, _) = manifest("child");
    push(&layout, &index(&[&child]), &["index"]).await;
    let lost = manifest("lost");
    push(&layout, &lost, &["lost"]).await;
    remove(directory.path(), &lost.0);

    let report = fsck(&layout).await;

    let mut expected = [
        (Severity::Info, &foreign),
        (Severity::Error, &layer),
        (Severity::Info, &subject),
        (Severity::Warning, &child),
        (Severity::Error, &lost.0),
    ]
    .map(|(severity, target)| (severity, Kind::Missing, target.digest().to_string()));
    expected.sort();
    let mut actual: Vec<_> = found(&report)
        .into_iter()
        .map(|(severity, kind, subject)| (severity, kind, subject.to_owned()))
        .collect();
    actual.sort();
    assert_eq!(actual, expected);
}

#[tokio::test]
async fn a_child_that_index_json_lists_too_must_be_there() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let child = manifest("child");
    push(&layout, &child, &["child"]).await;
    push(&layout, &index(&[&child.0]), &["index"]).await;
    remove(directory.path(), &child.0);
    let digest = child.0.digest().to_string();
    let expected = [(Severity::Error, Kind::Missing, &*digest)];
    assert_eq!(found(&fsck(&layout).await), expected);
}

/// A layout whose index lists `content` as what `media_type` says, of `size` bytes.
fn layout_of(path: &Path, media_type: &str, content: &[u8], size: usize) -> String {
    let digest = Digest::of(content).to_string();
    let entry = json!({"mediaType": media_type, "digest": digest, "size": size});
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    write_layout(path, &index.to_string());
    damage(path, &blob(content), content);
    digest
}

#[tokio::test]
async fn a_size_that_disagrees_is_told_of_the_descriptor() {
    let directory = directory();
    let content = b"<a/>";
    let digest = layout_of(directory.path(), "application/xml", content, 5);
    let report = fsck(&opened(directory.path()).await).await;
    let expected = [(Severity::Error, Kind::WrongSize, &*digest)];
    assert_eq!(found(&report), expected);
    assert!(report.findings[0].message.contains("has 4 bytes"));
}

#[tokio::test]
async fn what_is_no_manifest_is_told_apart_from_another_manifest() {
    let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    for (content, kind) in [
        ("{", Kind::Undecodable),
        (r#"{"schemaVersion":2}"#, Kind::Undecodable),
        (index, Kind::WrongMediaType),
    ] {
        let directory = directory();
        let content = content.as_bytes();
        let media_type = MediaType::IMAGE_MANIFEST;
        let path = directory.path();
        let digest = layout_of(path, media_type.as_str(), content, content.len());
        let report = fsck(&opened(path).await).await;
        assert_eq!(found(&report), [(Severity::Error, kind, &*digest)]);
    }
}

#[tokio::test]
async fn a_manifest_over_the_limit_is_told() {
    let directory = directory();
    let (_, content) = manifest(&"long ".repeat(100));
    let media_type = MediaType::IMAGE_MANIFEST;
    let digest = layout_of(
        directory.path(),
        media_type.as_str(),
        &content,
        content.len(),
    );
    let options = LayoutOptions::default().with_max_manifest_size(100);
    let layout = Layout::open_unchecked(directory.path(), options).await;
    let report = fsck(&layout.expect("a path")).await;
    let expected = [(Severity::Error, Kind::Undecodable, &*digest)];
    assert_eq!(found(&report), expected);
}

#[tokio::test]
async fn strays_unreferenced_blobs_and_duplicate_tags_do_no_harm() {
    let directory = directory();
    let (one, two) = (manifest("one"), manifest("two"));
    let entry = |target: &Descriptor| {
        json!({"mediaType": target.media_type(), "digest": target.digest(), "size": target.size(),
            "annotations": {support::REF_NAME: "v1"}})
    };
    let foreign = json!({"mediaType": "text/plain", "digest": "blake3:00", "size": 1});
    let index = json!({"schemaVersion": 2, "manifests": [entry(&one.0), entry(&two.0), foreign]});
    write_layout(directory.path(), &index.to_string());
    for content in [&one.1[..], &two.1, b"{}", b"garbage"] {
        damage(directory.path(), &blob(content), content);
    }
    fs::write(directory.path().join("blobs/sha256/abc#1"), "litter").expect("written");

    let report = fsck(&opened(directory.path()).await).await;

    let garbage = Digest::of(b"garbage").to_string();
    let expected = [
        (Severity::Warning, Kind::DuplicateTag, "v1"),
        (Severity::Warning, Kind::UnknownAlgorithm, "blake3:00"),
        (Severity::Warning, Kind::Stray, "blobs/sha256/abc#1"),
        (Severity::Info, Kind::Unreferenced, &*garbage),
    ];
    let mut found = found(&report);
    found.sort();
    assert_eq!(found, expected);
    assert!(report.sound);
    assert_eq!(report.count(Severity::Warning), 3);
}

#[tokio::test]
async fn an_index_that_cannot_be_read_does_not_keep_blobs_from_being_hashed() {
    let directory = directory();
    write_layout(directory.path(), "");
    damage(directory.path(), &blob(b"intact"), b"intact");
    damage(directory.path(), &blob(b"before"), b"behind");
    let report = fsck(&opened(directory.path()).await).await;
    let altered = Digest::of(b"before").to_string();
    let expected = [
        (Severity::Error, Kind::InvalidIndex, "index.json"),
        (Severity::Error, Kind::Altered, &*altered),
    ];
    assert_eq!(found(&report), expected);
    assert!(report.findings[0].message.contains("is empty"));
    fs::remove_file(directory.path().join("index.json")).expect("removed");
    let report = fsck(&opened(directory.path()).await).await;
    assert_eq!(found(&report), expected);
}

#[tokio::test]
async fn an_invalid_marker_is_told() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    image(&layout).await;
    let marker = directory.path().join("oci-layout");
    let expected = [(Severity::Error, Kind::InvalidLayout, "oci-layout")];
    for content in ["", "{}"] {
        fs::remove_file(&marker).expect("removed");
        fs::write(&marker, content).expect("written");
        let layout = opened(directory.path()).await;
        assert_eq!(found(&fsck(&layout).await), expected);
    }
    fs::remove_file(&marker).expect("removed");
    let layout = opened(directory.path()).await;
    assert_eq!(found(&fsck(&layout).await), expected);
    fs::write(&marker, r#"{"imageLayoutVersion":"9"}"#).expect("written");
    let error = layout.fsck(&FsckOptions::default()).await;
    assert_eq!(
        error.expect_err("unknown").kind(),
        ErrorKind::UnsupportedVersion
    );
}

async fn repaired(path: &Path, good: &Layout) -> FsckReport {
    let layout = opened(path).await;
    let report = layout.repair(good, &FsckOptions::default()).await;
    report.expect("checked")
}

#[tokio::test]
async fn an_oci_layout_that_was_cut_short_is_repaired() {
    let (directory, other) = (directory(), support::directory());
    let layout = relaxed(directory.path()).await;
    let good = relaxed(other.path()).await;
    image(&layout).await;
    image(&good).await;
    let marker = directory.path().join("oci-layout");
    let whole = fs::read(&marker).expect("readable");
    for torn in [Some(&b""[..]), Some(&whole[..10]), Some(&[0; 30]), None] {
        fs::remove_file(&marker).expect("removed");
        if let Some(torn) = torn {
            fs::write(&marker, torn).expect("written");
        }
        let report = repaired(directory.path(), &good).await;
        assert!(report.sound);
        let kinds: Vec<_> = report.repaired.iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [Kind::InvalidLayout]);
        assert_eq!(fs::read(&marker).expect("readable"), whole);
        let layout = Layout::open(directory.path()).await.expect("a layout");
        assert_eq!(tags(&layout).await.expect("listed"), [tag("v1")]);
    }
}

#[tokio::test]
async fn an_oci_layout_that_is_whole_is_not_replaced() {
    let (directory, other) = (directory(), support::directory());
    image(&relaxed(directory.path()).await).await;
    let good = relaxed(other.path()).await;
    image(&good).await;
    let marker = directory.path().join("oci-layout");
    fs::remove_file(&marker).expect("removed");
    fs::write(&marker, r#"{"version":"1.0.0"}"#).expect("written");
    let report = repaired(directory.path(), &good).await;
    assert!(!report.sound);
    let why = report.findings[0].not_repaired.as_deref();
    assert!(why.is_some_and(|why| why.contains("version")), "{why:?}");
    let content = fs::read_to_string(&marker).expect("readable");
    assert_eq!(content, r#"{"version":"1.0.0"}"#);
}

#[tokio::test]
async fn a_layout_that_is_half_made_is_sound_and_nothing_is_no_layout() {
    let directory = directory();
    let layout = opened(directory.path()).await;
    let error = layout.fsck(&FsckOptions::default()).await;
    assert_eq!(error.expect_err("no layout").kind(), ErrorKind::NotFound);
    fs::write(
        directory.path().join("index.json"),
        r#"{"schemaVersion":2}"#,
    )
    .expect("written");
    let report = fsck(&layout).await;
    let expected = [(Severity::Info, Kind::InvalidLayout, "oci-layout")];
    assert_eq!(found(&report), expected);
    assert!(report.sound);
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_no_regular_file_is_a_stray_and_what_it_stands_for_is_missing() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let [_, _, layer] = image(&layout).await;
    let path = blob_path(directory.path(), layer.digest());
    fs::rename(&path, directory.path().join("moved")).expect("moved");
    std::os::unix::fs::symlink(directory.path().join("moved"), &path).expect("linked");
    let report = fsck(&layout).await;
    let digest = layer.digest().to_string();
    let stray = format!("blobs/sha256/{}", layer.digest().hex());
    let expected = [
        (Severity::Error, Kind::Missing, &*digest),
        (Severity::Warning, Kind::Stray, &*stray),
    ];
    assert_eq!(found(&report), expected);
}

#[tokio::test]
async fn progress_ends_at_the_total() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    image(&layout).await;
    let last = Arc::new(Mutex::new(None));
    let most = Arc::new(AtomicU64::new(0));
    let options = {
        let (last, most) = (Arc::clone(&last), Arc::clone(&most));
        FsckOptions::default().with_progress(move |progress| {
            most.fetch_max(progress.bytes, Ordering::Relaxed);
            *last.lock().expect("no panic") = Some(progress);
        })
    };
    layout.fsck(&options).await.expect("checked");
    let last = last.lock().expect("no panic").expect("told");
    assert_eq!((last.blobs, last.bytes), (3, last.total_bytes));
    assert_eq!(last.total_blobs, 3);
    assert_eq!(most.load(Ordering::Relaxed), last.total_bytes);
}

/// The layout is deleted and collected while it is hashed.
#[tokio::test]
async fn what_goes_meanwhile_is_not_told() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let [image, ..] = image(&layout).await;
    let path = directory.path().to_owned();
    let once = std::sync::Once::new();
    let options = FsckOptions::default().with_progress(move |_| {
        once.call_once(|| {
            // As another process would do it, while this one has listed what to hash.
            let (path, image) = (path.clone(), image.clone());
            let deleting = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.build().expect("a runtime");
                runtime.block_on(async {
                    let other = relaxed(&path).await;
                    other.manifests().delete(&image).await.expect("deleted");
                    let options = GcOptions::default().with_grace(Duration::ZERO);
                    other.collect_garbage(&options).await.expect("collected");
                });
            });
            deleting.join().expect("no panic");
        });
    });
    let report = layout.fsck(&options).await.expect("checked");
    assert_eq!(found(&report), []);
    assert!(
        layout
            .resolve(&tag("v1").into())
            .await
            .expect_err("gone")
            .is_not_found()
    );
}

#[tokio::test]
async fn what_is_damaged_or_missing_is_repaired_from_elsewhere() {
    let (here, there) = (directory(), directory());
    let good = relaxed(there.path()).await;
    let bad = relaxed(here.path()).await;
    let child = image(&good).await;
    let parent = index(&[&child[0]]);
    push(&good, &parent, &["index"]).await;
    let options = tranship::CopyOptions::default();
    for name in ["v1", "index"] {
        let reference = tag(name).into();
        tranship::copy(&good, &reference, &bad, &[tag(name)], &options)
            .await
            .expect("copied");
    }
    // With the manifest go the references to what is below.
    remove(here.path(), &child[0]);
    remove(here.path(), &child[1]);
    damage(here.path(), &child[2], b"too short");
    damage(here.path(), &parent.0, &vec![b' '; parent.1.len()]);
    let untouched = push_blob(&bad, &noise(50)).await;
    let untouched = blob_path(here.path(), untouched.digest());
    let before = fs::metadata(&untouched)
        .expect("there")
        .modified()
        .expect("a time");

    let report = bad
        .repair(&good, &FsckOptions::default())
        .await
        .expect("repaired");

    assert!(report.sound, "{:?}", report.findings);
    assert_eq!(report.repaired.len(), 4, "{:?}", report.repaired);
    assert_eq!(fsck(&bad).await.count(Severity::Error), 0);
    let layer = fs::read(blob_path(here.path(), child[2].digest())).expect("there");
    assert!(child[2].digest().matches(&layer));
    assert_eq!(
        fs::metadata(&untouched)
            .expect("there")
            .modified()
            .expect("a time"),
        before
    );
    assert!(leftovers(here.path()).is_empty());
}

#[tokio::test]
async fn what_cannot_be_repaired_stays_as_it_is_and_is_told() {
    let (here, there) = (directory(), directory());
    let bad = relaxed(here.path()).await;
    let good = relaxed(there.path()).await;
    let [_, config, layer] = image(&bad).await;
    // The other repository has it, and damaged too.
    damage(there.path(), &layer, &[9; 300_000]);
    damage(here.path(), &layer, &[8; 300_000]);
    remove(here.path(), &config);

    let report = bad
        .repair(&good, &FsckOptions::default())
        .await
        .expect("checked");

    assert!(!report.sound);
    assert_eq!(report.repaired, []);
    let why = |target: &Descriptor| {
        let subject = target.digest().to_string();
        let mut findings = report.findings.iter();
        let finding = findings.find(|finding| finding.subject == subject);
        finding.expect("found").not_repaired.clone().expect("tried")
    };
    assert!(
        why(&config).contains("does not have it"),
        "{}",
        why(&config)
    );
    assert!(why(&layer).contains("hashes to"), "{}", why(&layer));
    let kept = fs::read(blob_path(here.path(), layer.digest())).expect("there");
    assert_eq!(kept, [8; 300_000]);
    assert!(leftovers(here.path()).is_empty());
}

#[tokio::test]
async fn a_repair_leaves_one_entry_with_a_tag_and_a_sparse_layout_sparse() {
    let (here, there) = (directory(), directory());
    let good = relaxed(there.path()).await;
    let layout = relaxed(here.path()).await;
    push_blob(&layout, &Bytes::from_static(b"{}")).await;
    let (one, two) = (manifest("one"), manifest("two"));
    push(&layout, &one, &["v1"]).await;
    push(&layout, &two, &["v2"]).await;
    let child = manifest("child");
    push(&good, &child, &["child"]).await;
    push(&layout, &index(&[&child.0]), &["index"]).await;
    let path = here.path().join("index.json");
    let text = fs::read_to_string(&path)
        .expect("an index")
        .replace("\"v1\"", "\"v2\"");
    fs::write(&path, text).expect("written");

    let report = layout
        .repair(&good, &FsckOptions::default())
        .await
        .expect("repaired");

    assert_eq!(report.repaired.len(), 1);
    assert_eq!(report.repaired[0].kind, FindingKind::DuplicateTag);
    let digest = child.0.digest().to_string();
    assert_eq!(
        found(&report),
        [(Severity::Warning, Kind::Missing, &*digest)]
    );
    assert_eq!(
        tags(&layout).await.expect("listed"),
        [tag("index"), tag("v2")]
    );
    let found = layout.resolve(&tag("v2").into()).await.expect("tagged");
    assert_eq!(found.digest(), two.0.digest());
    let listed = entries(here.path());
    assert!(listed.contains(&(*one.0.digest(), None)), "{listed:?}");
}

#[tokio::test]
async fn the_report_is_json() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let [image, _, layer] = image(&layout).await;
    remove(directory.path(), &layer);
    let report = serde_json::to_value(fsck(&layout).await).expect("json");
    assert_eq!(report["sound"], false);
    let finding = &report["findings"][0];
    assert_eq!(finding["kind"], "missing");
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["descriptor"]["size"], 300_000);
    assert_eq!(finding["referredBy"], image.digest().to_string());
}

#[tokio::test]
async fn a_long_index_of_what_is_missing_is_checked_in_linear_time() {
    // Were each entry compared with all before it, this test would take minutes.
    const COUNT: usize = 40_000;
    let directory = directory();
    let listed = (0..COUNT).map(|at| {
        json!({
            "mediaType": MediaType::IMAGE_MANIFEST,
            "digest": Digest::of((at / 2).to_string().as_bytes()),
            "size": 5,
            "annotations": {"org.opencontainers.image.ref.name": format!("t{}", at / 2)},
        })
    });
    let manifests: Vec<_> = listed.collect();
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    write_layout(directory.path(), &index.to_string());
    let report = fsck(&relaxed(directory.path()).await).await;
    let count = |kind| {
        let findings = report.findings.iter();
        findings.filter(|finding| finding.kind == kind).count()
    };
    assert_eq!(count(Kind::Missing), COUNT / 2);
    assert_eq!(count(Kind::DuplicateTag), COUNT / 2);
}

#[tokio::test]
async fn a_key_that_is_there_twice_is_told() {
    let directory = directory();
    write_layout(directory.path(), r#"{"manifests":[],"x":1,"x":2}"#);
    let report = fsck(&relaxed(directory.path()).await).await;
    assert_eq!(
        found(&report),
        [(Severity::Error, Kind::InvalidIndex, "index.json")]
    );
}
