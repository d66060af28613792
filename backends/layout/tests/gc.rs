//! Garbage collection: what stays, what goes, and what stops it.

mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::json;
use support::{
    blob, blob_path, directory, entries, index, leftovers, manifest, noise, push, push_blob,
    referrer, relaxed, tag, write_layout,
};
use tranship::prelude::*;
use tranship::{
    CopyOptions, Descriptor, Digest, Error, ErrorKind, Index, Manifest, MediaType, copy,
    encode_json,
};
use tranship_layout::{
    FindingKind, FsckOptions, GcOptions, GcReport, Layout, LayoutOptions, LeftoverKind,
};

/// Young is what has changed within a millisecond, or says that it will.
const GRACE: Duration = Duration::from_millis(1);

fn options() -> GcOptions {
    std::thread::sleep(5 * GRACE);
    GcOptions::default().with_grace(GRACE)
}

async fn collect(layout: &Layout) -> GcReport {
    let report = layout.collect_garbage(&options()).await;
    report.expect("collected")
}

async fn refused(layout: &Layout, path: &Path) -> Error {
    let before = files(path);
    let error = layout.collect_garbage(&options()).await;
    assert_eq!(files(path), before, "something was removed");
    error.expect_err("refused")
}

/// The names of all blobs.
fn files(layout: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(layout.join("blobs/sha256"))
        .expect("readable")
        .map(|entry| entry.expect("an entry").file_name().into_string())
        .map(|name| name.expect("text"))
        .collect();
    names.sort_unstable();
    names
}

fn hex(digests: &[&Digest]) -> Vec<String> {
    let mut names: Vec<_> = digests.iter().map(|digest| digest.hex()).collect();
    names.sort_unstable();
    names
}

fn removed(report: &GcReport) -> Vec<String> {
    let removed: Vec<_> = report.removed.iter().map(|blob| &blob.digest).collect();
    hex(&removed)
}

/// Makes a file young whenever it is looked at.
fn keep_young(path: &Path) {
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    let file = fs::File::open(path).expect("there");
    file.set_modified(tomorrow).expect("ours");
}

/// An image with a config and a layer, all pushed.
async fn push_image(layout: &Layout, name: &str, tags: &[&str]) -> Vec<Descriptor> {
    let config = push_blob(layout, &Bytes::from(format!("config of {name}"))).await;
    let layer = push_blob(layout, &Bytes::from(format!("layer of {name}"))).await;
    let document = Manifest::new(config.clone(), vec![layer.clone()]);
    let content = encode_json(&document).expect("json");
    let image = Descriptor::of(MediaType::IMAGE_MANIFEST, &content);
    push(layout, &(image.clone(), content), tags).await;
    vec![image, config, layer]
}

async fn write_blob(layout: &Path, content: &[u8]) -> Descriptor {
    let target = blob(content);
    let path = blob_path(layout, target.digest());
    fs::create_dir_all(path.parent().expect("a directory")).expect("created");
    fs::write(path, content).expect("written");
    target
}

#[tokio::test]
async fn what_a_tag_leads_to_stays_and_the_rest_goes() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let one = push_image(&layout, "one", &[]).await;
    let two = push_image(&layout, "two", &[]).await;
    let inner = index(&[&one[0]]);
    push(&layout, &inner, &[]).await;
    let outer = index(&[&inner.0, &two[0]]);
    push(&layout, &outer, &["v1"]).await;
    let garbage = [
        push_blob(&layout, &noise(1000)).await,
        push_blob(&layout, &noise(234)).await,
    ];

    let report = collect(&layout).await;

    let garbage = garbage.each_ref().map(Descriptor::digest);
    assert_eq!(removed(&report), hex(&garbage));
    assert_eq!(report.freed, 1234);
    let mut kept: Vec<_> = one.iter().chain(&two).map(Descriptor::digest).collect();
    kept.extend([inner.0.digest(), outer.0.digest()]);
    assert_eq!(files(directory.path()), hex(&kept));
    assert_eq!(report.referenced.count, kept.len() as u64);
    assert_eq!((report.young.count, report.absent.len()), (0, 0));
    assert!(removed(&collect(&layout).await).is_empty());
}

#[tokio::test]
async fn what_is_listed_without_a_tag_stays() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let image = push_image(&layout, "image", &["v1"]).await;
    layout.untag(&tag("v1")).await.expect("untagged");
    assert!(removed(&collect(&layout).await).is_empty());
    assert!(layout.exists(&image[2]).await.expect("looked"));
}

#[tokio::test]
async fn what_was_deleted_leaves_its_parts_behind_as_garbage() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let image = push_image(&layout, "image", &["v1"]).await;
    let other = push_image(&layout, "other", &["v2"]).await;
    layout.manifests().delete(&image[0]).await.expect("deleted");
    let report = collect(&layout).await;
    let parts = [image[1].digest(), image[2].digest()];
    assert_eq!(removed(&report), hex(&parts));
    let other: Vec<_> = other.iter().map(Descriptor::digest).collect();
    assert_eq!(files(directory.path()), hex(&other));
}

#[tokio::test]
async fn referrers_that_are_listed_stay_and_so_does_what_they_refer_to() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let image = push_image(&layout, "image", &["v1"]).await;
    push_blob(&layout, &Bytes::from_static(b"{}")).await;
    let sbom = referrer(&image[0], "application/sbom");
    push(&layout, &sbom, &[]).await;
    let signature = referrer(&sbom.0, "application/signature");
    push(&layout, &signature, &[]).await;
    assert!(removed(&collect(&layout).await).is_empty());
    assert!(layout.exists(&signature.0).await.expect("looked"));
}

#[tokio::test]
async fn a_manifest_that_nothing_lists_is_garbage_even_as_a_referrer() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let image = push_image(&layout, "image", &["v1"]).await;
    let sbom = referrer(&image[0], "application/sbom");
    write_blob(directory.path(), &sbom.1).await;
    assert_eq!(removed(&collect(&layout).await), hex(&[sbom.0.digest()]));
}

#[tokio::test]
async fn what_is_young_stays() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let old = push_blob(&layout, &noise(10)).await;
    let young = push_blob(&layout, &noise(20)).await;
    keep_young(&blob_path(directory.path(), young.digest()));
    let report = collect(&layout).await;
    assert_eq!(removed(&report), hex(&[old.digest()]));
    assert_eq!((report.young.count, report.young.bytes), (1, 20));
    let report = layout.collect_garbage(&GcOptions::default()).await;
    assert!(report.expect("collected").removed.is_empty());
}

#[tokio::test]
async fn a_dry_run_says_the_same_and_removes_nothing() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    push_image(&layout, "image", &["v1"]).await;
    let untagged = push_image(&layout, "untagged", &[]).await;
    push_blob(&layout, &noise(300)).await;
    fs::write(directory.path().join(".tranship/tmp/left"), "abc").expect("written");
    let before = (files(directory.path()), entries(directory.path()));
    let options = options().with_untagged_older_than(Some(GRACE));
    let dry = options.clone().with_dry_run(true);

    let mut planned = layout.collect_garbage(&dry).await.expect("planned");
    let after = (files(directory.path()), entries(directory.path()));
    assert_eq!(after, before);
    assert_eq!(leftovers(directory.path()).len(), 1);
    let done = layout.collect_garbage(&options).await.expect("collected");
    assert!(leftovers(directory.path()).is_empty());

    assert!(planned.dry_run && !done.dry_run);
    planned.dry_run = false;
    assert_eq!(planned, done);
    assert_eq!(done.untagged.len(), 1);
    assert_eq!(done.untagged[0].digest(), untagged[0].digest());
    assert_eq!(done.removed.len(), 4);
}

#[tokio::test]
async fn a_dry_run_of_a_layout_that_cannot_be_written_needs_no_lock() {
    let directory = directory();
    let garbage = write_blob(directory.path(), b"garbage").await;
    write_layout(directory.path(), r#"{"schemaVersion":2,"manifests":[]}"#);
    let layout = Layout::open(directory.path()).await.expect("a layout");
    let report = layout.collect_garbage(&options().with_dry_run(true)).await;
    let report = report.expect("planned");
    assert_eq!(removed(&report), hex(&[garbage.digest()]));
    assert!(!directory.path().join(".tranship").exists());
}

/// A layout with garbage, and an index that lists `listed`.
async fn layout_of(path: &Path, listed: &serde_json::Value) -> Layout {
    write_blob(path, b"garbage").await;
    let index = json!({"schemaVersion": 2, "manifests": listed});
    write_layout(path, &index.to_string());
    Layout::open(path).await.expect("a layout")
}

fn entry(media_type: &str, content: &[u8]) -> serde_json::Value {
    json!({
        "mediaType": media_type,
        "digest": Digest::of(content).to_string(),
        "size": content.len(),
    })
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[tokio::test]
async fn a_listed_manifest_that_is_damaged_stops_it() {
    let (target, content) = manifest("image");
    for damaged in [&content[..content.len() - 1], b"", b"{}"] {
        let directory = directory();
        let layout = layout_of(directory.path(), &json!([entry(MANIFEST, &content)])).await;
        let path = blob_path(directory.path(), target.digest());
        fs::write(path, damaged).expect("written");
        let error = refused(&layout, directory.path()).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.subject(), Some(&*target.digest().to_string()));
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn a_manifest_below_an_index_that_is_damaged_stops_it() {
    let directory = directory();
    let (child, content) = manifest("child");
    let parent = index(&[&child]);
    let layout = layout_of(directory.path(), &json!([entry(INDEX, &parent.1)])).await;
    write_blob(directory.path(), &parent.1).await;
    let altered = String::from_utf8(content.to_vec()).expect("text");
    let altered = altered.replace("child", "other");
    fs::write(blob_path(directory.path(), child.digest()), altered).expect("written");
    let error = refused(&layout, directory.path()).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.subject(), Some(&*child.digest().to_string()));
}

#[tokio::test]
async fn what_is_not_what_its_type_says_keeps_what_it_names() {
    let (kept, other) = (blob(b"kept"), blob(b"kept, too"));
    let (one, two) = (kept.digest(), other.digest());
    let named = format!(r#"{{"digest":"{one}","size":4}}, {{"digest":"{two}","size":9}}"#);
    for content in [
        format!("no json, {named}"),
        format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{named}]}}"#),
        format!(r#"{{"schemaVersion":2,"config":{{}},"layers":[{named}]}}"#),
        format!(r#"{{"schemaVersion":2,"layers":[{named}],"layers":[]}}"#),
        format!("{}{named}{}", "[".repeat(1000), "]".repeat(1000)),
    ] {
        let content = content.as_bytes();
        let parent = Index::new(vec![Descriptor::of(MediaType::IMAGE_MANIFEST, content)]);
        let parent = encode_json(&parent).expect("json");
        for listed in [entry(MANIFEST, content), entry(INDEX, &parent)] {
            let directory = directory();
            let layout = layout_of(directory.path(), &json!([listed])).await;
            for content in [&parent[..], content, b"kept", b"kept, too"] {
                write_blob(directory.path(), content).await;
            }
            let report = collect(&layout).await;
            assert!(layout.exists(&kept).await.expect("looked"));
            assert!(layout.exists(&other).await.expect("looked"));
            assert!(removed(&report).contains(&Digest::of(b"garbage").hex()));
        }
    }
}

#[tokio::test]
async fn a_manifest_over_the_limit_keeps_what_it_names() {
    let directory = directory();
    let layer = blob(b"layer");
    let document = Manifest::new(Descriptor::empty_json().plain(), vec![layer.clone()]);
    let content = encode_json(&document).expect("json");
    layout_of(directory.path(), &json!([entry(MANIFEST, &content)])).await;
    for content in [&content[..], b"layer"] {
        write_blob(directory.path(), content).await;
    }
    let options = LayoutOptions::default().with_max_manifest_size(100);
    let layout = Layout::open_with(directory.path(), options).await;
    let layout = layout.expect("a layout");
    assert_eq!(
        removed(&collect(&layout).await),
        [Digest::of(b"garbage").hex()]
    );
    let altered = content.to_ascii_uppercase();
    fs::write(blob_path(directory.path(), &Digest::of(&content)), altered).expect("written");
    let error = refused(&layout, directory.path()).await;
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

/// A layout as another tool leaves it: its index lists a manifest without `mediaType` as an index. Returns the
/// manifest, with its type, and its layer.
async fn contradictory_layout(path: &Path) -> (Layout, Descriptor, Descriptor) {
    let layer = write_blob(path, b"layer").await;
    let mut document = Manifest::new(Descriptor::empty_json().plain(), vec![layer.clone()]);
    document.media_type = None;
    let content = encode_json(&document).expect("json");
    write_blob(path, &content).await;
    let image = Descriptor::of(MediaType::IMAGE_MANIFEST, &content);
    let listed = Descriptor::of(MediaType::IMAGE_INDEX, &content);
    let subject = Descriptor::of(MediaType::IMAGE_INDEX, b"layer");
    let mut parent = Index::new(vec![listed]);
    parent.subject = Some(subject);
    let parent = encode_json(&parent).expect("json");
    write_blob(path, &parent).await;
    let layout = layout_of(path, &json!([entry(INDEX, &parent)])).await;
    (layout, image, layer)
}

#[tokio::test]
async fn a_child_of_a_contradicting_type_breaks_nothing() {
    let directory = directory();
    let (layout, image, layer) = contradictory_layout(directory.path()).await;

    let referrer = referrer(&image, "application/sbom");
    push(&layout, &referrer, &["v1"]).await;
    let found = layout.predecessors(&image).await.expect("listed");
    assert!(found.iter().any(|found| found.same_content(&referrer.0)));
    let resolved = layout.manifests().resolve(&(*image.digest()).into()).await;
    assert_eq!(resolved.expect("there").media_type(), image.media_type());

    let report = layout.fsck(&FsckOptions::default()).await.expect("checked");
    let wrong: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.kind == FindingKind::WrongMediaType)
        .map(|finding| finding.subject.clone())
        .collect();
    assert_eq!(wrong, [image.digest().to_string()]);
    assert!(!report.findings.iter().any(|finding| {
        finding.kind == FindingKind::Unreferenced && finding.subject == layer.digest().to_string()
    }));

    let report = collect(&layout).await;
    assert_eq!(removed(&report), [Digest::of(b"garbage").hex()]);
    assert!(layout.exists(&layer).await.expect("looked"));
}

#[tokio::test]
async fn an_entry_with_a_digest_of_an_unknown_algorithm_stops_it() {
    let directory = directory();
    let foreign = json!([{"mediaType": MANIFEST, "digest": "blake3:00", "size": 1}]);
    let layout = layout_of(directory.path(), &foreign).await;
    let error = refused(&layout, directory.path()).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.subject(), Some("blake3:00"));
}

#[tokio::test]
async fn an_index_that_is_torn_or_missing_stops_it() {
    let directory = directory();
    let layout = layout_of(directory.path(), &json!([])).await;
    fs::write(directory.path().join("index.json"), "").expect("written");
    let error = refused(&layout, directory.path()).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    fs::remove_file(directory.path().join("index.json")).expect("removed");
    let error = refused(&layout, directory.path()).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.subject().expect("a path").ends_with("index.json"));
}

#[tokio::test]
async fn what_is_not_a_layout_yet_has_no_garbage() {
    let directory = directory();
    let path = directory.path().join("layout");
    let layout = relaxed(&path).await;
    let error = layout.collect_garbage(&options()).await;
    assert!(error.expect_err("no layout").is_not_found());
    assert!(!path.exists());
}

#[tokio::test]
async fn what_is_absent_is_told_and_stops_nothing() {
    let directory = directory();
    let (child, _) = manifest("absent child");
    let parent = index(&[&child]);
    let (absent, content) = manifest("absent entry");
    let listed = json!([entry(INDEX, &parent.1), entry(MANIFEST, &content)]);
    let layout = layout_of(directory.path(), &listed).await;
    write_blob(directory.path(), &parent.1).await;
    let report = collect(&layout).await;
    let mut expected = [*child.digest(), *absent.digest()];
    expected.sort_unstable();
    assert_eq!(report.absent, expected);
    assert_eq!(removed(&report), hex(&[&Digest::of(b"garbage")]));
}

#[tokio::test]
async fn an_unknown_document_that_is_listed_keeps_what_it_names() {
    let directory = directory();
    let layer = b"a cached layer";
    let config = json!({"layers": [{"blob": Digest::of(layer).to_string(), "parent": -1}]});
    let config = config.to_string();
    let cache = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        entry("application/vnd.oci.image.layer.v1.tar+gzip", b"another layer"),
        entry("application/vnd.buildkit.cacheconfig.v0", config.as_bytes()),
    ]});
    let cache = cache.to_string();
    let text = b"<a/>";
    let listed = json!([
        entry(INDEX, cache.as_bytes()),
        entry("application/xml", text)
    ]);
    let layout = layout_of(directory.path(), &listed).await;
    for content in [
        &layer[..],
        b"another layer",
        config.as_bytes(),
        cache.as_bytes(),
        text,
    ] {
        write_blob(directory.path(), content).await;
    }
    let report = collect(&layout).await;
    assert_eq!(removed(&report), hex(&[&Digest::of(b"garbage")]));
    assert_eq!(report.referenced.count, 5);
}

#[tokio::test]
async fn an_unknown_document_leads_on_to_manifests() {
    let directory = directory();
    let mut image = Manifest::new(blob(b"config"), vec![blob(b"layer")]);
    image.media_type = None;
    let image = encode_json(&image).expect("json");
    let list = json!({"images": {Digest::of(&image).to_string(): {}}}).to_string();
    let listed = json!([entry("application/vnd.example.list+json", list.as_bytes())]);
    let layout = layout_of(directory.path(), &listed).await;
    for content in [&b"config"[..], b"layer", &image, list.as_bytes()] {
        write_blob(directory.path(), content).await;
    }
    let report = collect(&layout).await;
    assert_eq!(removed(&report), hex(&[&Digest::of(b"garbage")]));
}

#[tokio::test]
async fn docker_and_artifact_manifests_keep_their_parts() {
    let directory = directory();
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let image = json!({"schemaVersion": 2, "mediaType": docker,
        "config": entry("application/vnd.docker.container.image.v1+json", b"config"),
        "layers": [entry("application/vnd.docker.image.rootfs.diff.tar.gzip", b"layer")]});
    let image = image.to_string();
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let images = json!({"schemaVersion": 2, "mediaType": list,
        "manifests": [entry(docker, image.as_bytes())]});
    let images = images.to_string();
    let artifact = "application/vnd.oci.artifact.manifest.v1+json";
    let thing = json!({"mediaType": artifact, "blobs": [entry("text/plain", b"part")],
        "subject": entry(docker, image.as_bytes())});
    let thing = thing.to_string();
    let listed = json!([
        entry(list, images.as_bytes()),
        entry(artifact, thing.as_bytes())
    ]);
    let layout = layout_of(directory.path(), &listed).await;
    let all = [
        b"config",
        &b"layer"[..],
        b"part",
        image.as_bytes(),
        images.as_bytes(),
        thing.as_bytes(),
    ];
    for content in all {
        write_blob(directory.path(), content).await;
    }
    let report = collect(&layout).await;
    assert_eq!(removed(&report), hex(&[&Digest::of(b"garbage")]));
    assert_eq!(report.referenced.count, 6);
}

#[tokio::test]
async fn untagged_manifests_go_when_that_is_asked_for() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let tagged = push_image(&layout, "tagged", &["v1"]).await;
    let untagged = push_image(&layout, "untagged", &[]).await;
    let named = push_image(&layout, "named", &["docker"]).await;
    let path = directory.path().join("index.json");
    let text = fs::read_to_string(&path).expect("an index");
    fs::write(
        &path,
        text.replace(r#""docker""#, r#""a name/that is no tag""#),
    )
    .expect("written");

    let day = Duration::from_secs(86_400);
    let options = options().with_untagged_older_than(Some(day));
    let report = layout.collect_garbage(&options).await.expect("collected");
    assert_eq!((report.untagged.len(), report.removed.len()), (0, 0));

    let options = options.with_untagged_older_than(Some(Duration::ZERO));
    let report = layout.collect_garbage(&options).await.expect("collected");
    let gone: Vec<_> = untagged.iter().map(Descriptor::digest).collect();
    assert_eq!(removed(&report), hex(&gone));
    assert_eq!(report.untagged.len(), 1);
    let listed: Vec<_> = entries(directory.path())
        .into_iter()
        .map(|(digest, _)| digest)
        .collect();
    assert_eq!(listed, [*tagged[0].digest(), *named[0].digest()]);
}

#[tokio::test]
async fn untagged_manifests_that_something_needs_stay() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    push_blob(&layout, &Bytes::from_static(b"{}")).await;
    let child = push_image(&layout, "child", &["child"]).await;
    let parent = index(&[&child[0]]);
    push(&layout, &parent, &["v1"]).await;
    // Referrers of what stays, and of these, stay; those of what goes do not.
    let sbom = referrer(&child[0], "application/sbom");
    push(&layout, &sbom, &[]).await;
    let signature = referrer(&sbom.0, "application/signature");
    push(&layout, &signature, &[]).await;
    let lost = push_image(&layout, "lost", &[]).await;
    let lost_sbom = referrer(&lost[0], "application/sbom");
    push(&layout, &lost_sbom, &[]).await;
    let lost_signature = referrer(&lost_sbom.0, "application/signature");
    push(&layout, &lost_signature, &[]).await;

    let options = options().with_untagged_older_than(Some(Duration::ZERO));
    let report = layout.collect_garbage(&options).await.expect("collected");
    let mut gone: Vec<_> = lost.iter().map(Descriptor::digest).collect();
    gone.extend([lost_sbom.0.digest(), lost_signature.0.digest()]);
    assert_eq!(removed(&report), hex(&gone));
    assert_eq!(report.untagged.len(), 3);
    assert_eq!(
        tranship::referrers(&layout, &child[0], None)
            .await
            .expect("listed")
            .len(),
        1
    );
}

#[tokio::test]
async fn an_untagged_manifest_that_is_young_stays_and_keeps_what_it_needs() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let image = push_image(&layout, "image", &[]).await;
    let sbom = referrer(&image[0], "application/sbom");
    push(&layout, &sbom, &[]).await;
    keep_young(&blob_path(directory.path(), sbom.0.digest()));
    let options = options().with_untagged_older_than(Some(Duration::ZERO));
    let report = layout.collect_garbage(&options).await.expect("collected");
    assert_eq!((report.untagged.len(), report.removed.len()), (0, 0));
}

#[tokio::test]
async fn referrers_without_a_subject_go_when_that_is_asked_for() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    push_blob(&layout, &Bytes::from_static(b"{}")).await;
    let image = push_image(&layout, "image", &[]).await;
    let sbom = referrer(&image[0], "application/sbom");
    push(&layout, &sbom, &[]).await;
    let lost = manifest("was never here");
    let lost_sbom = referrer(&lost.0, "application/sbom");
    push(&layout, &lost_sbom, &[]).await;
    let lost_signature = referrer(&lost_sbom.0, "application/signature");
    push(&layout, &lost_signature, &[]).await;
    let tagged = referrer(&lost.0, "application/tagged");
    push(&layout, &tagged, &["keep"]).await;

    let report = collect(&layout).await;
    assert_eq!((report.untagged.len(), report.removed.len()), (0, 0));
    let options = options().with_dangling_referrers(true);
    let report = layout.collect_garbage(&options).await.expect("collected");
    let gone = [lost_sbom.0.digest(), lost_signature.0.digest()];
    assert_eq!(removed(&report), hex(&gone));
    assert_eq!(report.untagged.len(), 2);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_has_another_name_frees_nothing() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let shared = push_blob(&layout, &noise(5000)).await;
    push_blob(&layout, &noise(70)).await;
    let path = blob_path(directory.path(), shared.digest());
    fs::hard_link(path, directory.path().join("other")).expect("linked");
    let report = collect(&layout).await;
    assert_eq!((report.removed.len(), report.freed), (2, 70));
    let blob = report.removed.iter().find(|blob| blob.size == 5000);
    assert!(blob.expect("removed").shared);
}

#[tokio::test]
async fn strays_are_told_and_left_alone() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    push_blob(&layout, &noise(10)).await;
    let stray = directory.path().join("blobs/sha256/abc#1");
    fs::write(&stray, "litter").expect("written");
    let report = collect(&layout).await;
    assert_eq!(report.strays.len(), 1);
    let found = (report.strays[0].path.as_str(), report.strays[0].size);
    assert_eq!(found, ("sha256/abc#1", 6));
    assert!(stray.exists());
}

#[tokio::test]
async fn what_dead_processes_left_behind_goes() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    push_blob(&layout, &noise(10)).await;
    let uploader = layout.blobs();
    let mut abandoned = uploader.start().await.expect("started");
    abandoned.write(0, noise(3)).await.expect("written");
    let abandoned_id = abandoned.id().clone();
    drop(abandoned);
    let mut held = uploader.start().await.expect("started");
    held.write(0, noise(4)).await.expect("written");
    fs::write(directory.path().join(".tranship/tmp/old"), "12345").expect("written");
    let young = directory.path().join(".tranship/tmp/young");
    fs::write(&young, "young").expect("written");
    keep_young(&young);

    let report = collect(&layout).await;

    let mut found: Vec<_> = report
        .leftovers
        .iter()
        .map(|left| (left.kind, left.size))
        .collect();
    found.sort_unstable_by_key(|(_, size)| *size);
    let expected = [(LeftoverKind::Upload, 3), (LeftoverKind::Temporary, 5)];
    assert_eq!(found, expected);
    assert_eq!(report.freed, 18);
    assert!(young.exists());
    let error = uploader.resume(&abandoned_id).await.err().expect("gone");
    assert!(error.is_not_found());
    held.write(4, noise(1)).await.expect("still held");
}

#[tokio::test]
async fn a_batch_that_goes_on_what_was_removed_fails_and_may_try_again() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let garbage = push_blob(&layout, &noise(100)).await;
    let image = Manifest::new(garbage.clone(), Vec::new());
    let content = encode_json(&image).expect("json");
    let image = Descriptor::of(MediaType::IMAGE_MANIFEST, &content);

    let batch = layout.batch().expect("one");
    assert!(batch.exists(&garbage).await.expect("looked"));
    // Another handle, as another process has it.
    let other = relaxed(directory.path()).await;
    assert_eq!(removed(&collect(&other).await), hex(&[garbage.digest()]));
    let source = content.clone().into();
    let tags = [tag("v1")];
    batch
        .push_reference(&image, source, &tags)
        .await
        .expect("pushed");
    let error = batch.commit().await.expect_err("vanished");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.is_retryable());
    assert!(
        layout
            .resolve(&tag("v1").into())
            .await
            .expect_err("untagged")
            .is_not_found()
    );
}

#[tokio::test]
async fn a_batch_that_was_told_of_a_manifest_goes_on_it() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let child = push_image(&layout, "child", &[]).await;
    let parent = index(&[&child[0]]);
    let batch = layout.batch().expect("one");
    assert!(batch.exists(&child[0]).await.expect("looked"));
    let other = relaxed(directory.path()).await;
    other.manifests().delete(&child[0]).await.expect("deleted");
    let repository = &batch;
    repository
        .push(&parent.0, parent.1.clone().into())
        .await
        .expect("pushed");
    let error = batch.commit().await.expect_err("vanished");
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_copy_looks_below_a_manifest_that_nothing_lists() {
    let (here, there) = (directory(), directory());
    let source = relaxed(here.path()).await;
    let image = push_image(&source, "image", &["v1"]).await;
    let destination = relaxed(there.path()).await;
    // As a copy leaves it that died, when garbage collection has taken a layer that it went on.
    let content = fs::read(blob_path(here.path(), image[0].digest())).expect("there");
    write_blob(there.path(), &content).await;
    let tags = [tag("v1")];
    let reference = tag("v1").into();
    copy(
        &source,
        &reference,
        &destination,
        &tags,
        &CopyOptions::default(),
    )
    .await
    .expect("copied");
    assert_eq!(files(there.path()), files(here.path()));
}

#[tokio::test]
async fn what_is_tagged_while_it_is_collected_stays() {
    let directory = directory();
    let layout = relaxed(directory.path()).await;
    let images: Vec<_> = (0..20)
        .map(|number| manifest(&number.to_string()))
        .collect();
    let other = relaxed(directory.path()).await;
    for (number, image) in images.iter().enumerate() {
        push(&layout, image, &[]).await;
        let options = options().with_untagged_older_than(Some(Duration::ZERO));
        let name = tag(&format!("v{number}"));
        let (tagged, collected) =
            tokio::join!(layout.tag(&image.0, &name), other.collect_garbage(&options));
        let report = collected.expect("collected");
        match tagged {
            Ok(()) => {
                assert!(layout.exists(&image.0).await.expect("looked"));
                let found = layout.resolve(&name.into()).await.expect("tagged");
                assert_eq!(found.digest(), image.0.digest());
            }
            // So little grace spares no temporary file.
            Err(error) if error.is_retryable() => {}
            Err(error) => {
                assert!(error.is_not_found(), "{error}");
                assert_eq!(removed(&report), hex(&[image.0.digest()]));
            }
        }
    }
}

#[test]
fn collections_and_checks_can_be_spawned() {
    fn spawnable(_: &(impl Future + Send)) {}
    fn try_it(layout: &Layout, options: &GcOptions, check: &FsckOptions) {
        spawnable(&layout.collect_garbage(options));
        spawnable(&layout.fsck(check));
        spawnable(&layout.repair(layout, check));
    }
    let _ = try_it;
}

/// Old garbage is collected over and over while copies go on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn copies_beside_a_collection_lose_nothing() {
    let (here, there) = (directory(), directory());
    let source = relaxed(here.path()).await;
    for number in 0..30 {
        let name = number.to_string();
        push_image(&source, &name, &[&format!("v{name}")]).await;
    }
    let destination = relaxed(there.path()).await;
    push_blob(&destination, &noise(10)).await;
    let collector = relaxed(there.path()).await;
    let done = std::sync::atomic::AtomicBool::new(false);
    let collecting = async {
        let options = GcOptions::default().with_grace(Duration::ZERO);
        let mut removed = 0;
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            match collector.collect_garbage(&options).await {
                Ok(report) => removed += report.removed.len(),
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
            }
        }
        removed
    };
    let copying = async {
        let mut retries = 0;
        for number in 0..30 {
            let tags = [tag(&format!("v{number}"))];
            let reference = tags[0].clone().into();
            loop {
                let copied = copy(
                    &source,
                    &reference,
                    &destination,
                    &tags,
                    &CopyOptions::default(),
                )
                .await;
                match copied {
                    Ok(_) => break,
                    Err(error) => assert!(error.is_retryable(), "{error:?}"),
                }
                retries += 1;
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        retries
    };
    let (removed, retries) = tokio::join!(collecting, copying);
    println!("{removed} removed, {retries} copies tried again");
    assert!(removed > 0);
    collect(&collector).await;
    assert_eq!(files(there.path()), files(here.path()));
}
