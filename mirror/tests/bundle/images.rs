//! Images for the tests, and the steps that most of them share.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tranship::*;
use tranship_memory::MemoryRegistry;
use tranship_mirror::bundle::*;

/// Returns bytes that differ for each seed and do not repeat.
pub(crate) fn noise(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length);
    for _ in 0..length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.push((state >> 32) as u8);
    }
    bytes.into()
}

pub(crate) fn name(text: &str) -> BundleName {
    text.parse().expect("a name")
}

pub(crate) fn as_tag(text: &str) -> Tag {
    text.parse().expect("a tag")
}

pub(crate) async fn push_blob(repository: &dyn Repository, content: Bytes) -> Descriptor {
    let blob = Descriptor::of(MediaType::IMAGE_LAYER_GZIP, &content);
    repository
        .push(&blob, content.into())
        .await
        .expect("pushed");
    blob
}

async fn push_json(
    repository: &dyn Repository,
    media_type: MediaType,
    content: Bytes,
    tags: &[Tag],
) -> Descriptor {
    let manifest = Descriptor::of(media_type, &content);
    repository
        .push_reference(&manifest, content.into(), tags)
        .await
        .expect("pushed");
    manifest
}

/// Pushes an image with the layers, and returns its manifest.
pub(crate) async fn push_image(
    repository: &dyn Repository,
    layers: &[Bytes],
    tags: &[Tag],
) -> Descriptor {
    push_manifest(repository, layers, None, tags).await
}

/// Pushes a manifest that refers to `subject`.
pub(crate) async fn push_referrer(
    repository: &dyn Repository,
    subject: &Descriptor,
    text: &str,
) -> Descriptor {
    let layer = Bytes::from(text.to_owned());
    push_manifest(repository, &[layer], Some(subject.clone()), &[]).await
}

async fn push_manifest(
    repository: &dyn Repository,
    layers: &[Bytes],
    subject: Option<Descriptor>,
    tags: &[Tag],
) -> Descriptor {
    let digests: String = layers
        .iter()
        .map(|layer| Digest::of(layer).to_string())
        .collect();
    let config = push_blob(repository, format!("{{\"of\":\"{digests}\"}}").into()).await;
    let mut pushed = Vec::new();
    for layer in layers {
        pushed.push(push_blob(repository, layer.clone()).await);
    }
    let mut manifest = Manifest::new(config.with_media_type(MediaType::IMAGE_CONFIG), pushed);
    if subject.is_some() {
        manifest.artifact_type = Some(MediaType::from_static("example/signature"));
    }
    manifest.subject = subject;
    let content = encode_json(&manifest).expect("json");
    push_json(repository, MediaType::IMAGE_MANIFEST, content, tags).await
}

pub(crate) async fn push_index(
    repository: &dyn Repository,
    manifests: Vec<Descriptor>,
    tags: &[Tag],
) -> Descriptor {
    let content = encode_json(&Index::new(manifests)).expect("json");
    push_json(repository, MediaType::IMAGE_INDEX, content, tags).await
}

/// Opens a repository of a registry in memory.
pub(crate) fn open(registry: &MemoryRegistry, repository: &str) -> Arc<dyn Repository> {
    Arc::new(registry.open(&repository.parse().expect("a name")))
}

/// Returns a registry with two repositories that share a layer: an index of two images with a referrer, and an image.
pub(crate) async fn some_images() -> MemoryRegistry {
    let registry = MemoryRegistry::new();
    let shared = noise(1, 30_000);
    let alpine = open(&registry, "library/alpine");
    let one = push_image(&*alpine, &[shared.clone(), noise(2, 7_000)], &[]).await;
    let two = push_image(&*alpine, &[shared.clone(), noise(3, 50_000)], &[]).await;
    push_index(
        &*alpine,
        vec![one.clone(), two],
        &[as_tag("3.19"), as_tag("latest")],
    )
    .await;
    push_referrer(&*alpine, &one, "a signature").await;
    let app = open(&registry, "team/app");
    push_image(
        &*app,
        &[shared, noise(4, 20_000), Bytes::new()],
        &[as_tag("v1")],
    )
    .await;
    registry
}

/// Copies every tag of every repository of `source`, with referrers, into a planner. The names in the bundle begin with
/// `prefix`.
pub(crate) async fn copy_all(source: &MemoryRegistry, planner: &BundlePlanner, prefix: &str) {
    for repository in repositories(source).await.expect("listed") {
        let from = open(source, repository.as_str());
        let to =
            planner.repository_from(&name(&format!("{prefix}{repository}")), Arc::clone(&from));
        for tag in tags(&*from).await.expect("listed") {
            let options = ExtendedCopyOptions::default();
            let copied = extended_copy(&*from, &tag.clone().into(), &*to, &[tag], &options).await;
            copied.expect("copied");
        }
    }
}

pub(crate) const PREFIX: &str = "localhost:5000/";

pub(crate) async fn planned(
    source: &MemoryRegistry,
    base: Option<Lock>,
    volume_size: Option<u64>,
) -> Plan {
    let mut options = PlannerOptions::default();
    if let Some(base) = base {
        options = options.with_base(base);
    }
    let planner = BundlePlanner::new(options);
    copy_all(source, &planner, PREFIX).await;
    let mut options = PlanOptions::default();
    if let Some(size) = volume_size {
        options = options.with_volume_size(NonZeroU64::new(size).expect("not zero"));
    }
    planner.plan(&options).await.expect("planned")
}

/// Writes a bundle, and returns the paths of its volumes.
pub(crate) async fn written(plan: &Plan, path: &Path) -> Vec<PathBuf> {
    let report = plan
        .write_files(path, &WriteOptions::default())
        .await
        .expect("written");
    report
        .volumes
        .into_iter()
        .map(|volume| volume.path)
        .collect()
}

/// Checks that a bundle has all tags of `source`, by copying each to a new registry with the rest of it.
pub(crate) async fn assert_has_all(bundle: &Bundle, source: &MemoryRegistry) {
    let destination = MemoryRegistry::new();
    for repository in repositories(source).await.expect("listed") {
        let from = bundle
            .open_repository(&name(&format!("{PREFIX}{repository}")))
            .expect("in the bundle");
        let to = open(&destination, repository.as_str());
        let original = open(source, repository.as_str());
        let expected = tags(&*original).await.expect("listed");
        assert_eq!(tags(&*from).await.expect("listed"), expected);
        for tag in expected {
            let reference = TagOrDigest::Tag(tag.clone());
            let options = ExtendedCopyOptions::default();
            let copied = extended_copy(&*from, &reference, &*to, &[tag], &options)
                .await
                .expect("copied");
            assert_eq!(
                copied.root,
                original.resolve(&reference).await.expect("tagged")
            );
        }
    }
    assert_eq!(destination.stored_bytes(), source.stored_bytes());
}
