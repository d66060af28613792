//! Packing by the rules of image-spec 1.0 and 1.1.

use tranship::*;
use tranship_memory::MemoryRepository;

const CREATED: &str = "org.opencontainers.image.created";

fn media_type(text: &str) -> MediaType {
    text.parse().expect("a media type")
}

fn fixed(artifact_type: &str) -> PackOptions {
    PackOptions::new(media_type(artifact_type)).with_annotation(CREATED, "2026-01-01T00:00:00Z")
}

async fn packed(options: &PackOptions) -> (MemoryRepository, Descriptor, Manifest) {
    let repository = MemoryRepository::new();
    let descriptor = pack_manifest(&repository, options).await.expect("pack");
    let content = repository.fetch(&descriptor).await.expect("fetch");
    let content = content.bytes(MAX_MANIFEST_SIZE).await.expect("intact");
    let manifest = serde_json::from_slice(&content).expect("a manifest");
    (repository, descriptor, manifest)
}

async fn refused(options: &PackOptions) -> ErrorKind {
    pack_manifest(&MemoryRepository::new(), options)
        .await
        .expect_err("refused")
        .kind()
}

#[tokio::test]
async fn without_config_and_layers_both_are_the_empty_descriptor_and_it_is_pushed() {
    let (repository, descriptor, manifest) = packed(&fixed("example/thing")).await;
    assert_eq!(manifest.config, Descriptor::empty_json());
    assert_eq!(manifest.layers, [Descriptor::empty_json()]);
    assert_eq!(manifest.artifact_type, Some(media_type("example/thing")));
    assert_eq!(manifest.media_type, Some(MediaType::IMAGE_MANIFEST));
    assert!(repository.exists(&manifest.config).await.expect("exists"));
    assert_eq!(
        descriptor.artifact_type(),
        Some(&media_type("example/thing"))
    );
    assert_eq!(descriptor.annotation(CREATED), Some("2026-01-01T00:00:00Z"));
}

#[tokio::test]
async fn the_same_options_give_the_same_digest() {
    let options = fixed("example/thing")
        .with_annotation("z", "1")
        .with_annotation("a", "2");
    let (_, first, _) = packed(&options).await;
    let (_, second, _) = packed(&options).await;
    assert_eq!(first, second);
}

#[tokio::test]
async fn an_artifact_needs_a_type_or_a_config_that_says_it() {
    assert_eq!(
        refused(&PackOptions::default()).await,
        ErrorKind::InvalidInput
    );
    let empty_config = PackOptions::default().with_config(Descriptor::empty_json());
    assert_eq!(refused(&empty_config).await, ErrorKind::InvalidInput);
    let config = Descriptor::of(media_type("example/config"), b"{}");
    let (_, descriptor, manifest) = packed(&PackOptions::default().with_config(config)).await;
    assert_eq!(manifest.artifact_type, None);
    assert_eq!(
        descriptor.artifact_type(),
        Some(&media_type("example/config"))
    );
}

#[tokio::test]
async fn subject_layers_and_annotations_are_kept() {
    let subject = Descriptor::of(MediaType::IMAGE_MANIFEST, b"subject");
    let layer = Descriptor::of(media_type("text/plain"), b"layer").with_annotation("title", "l");
    let options = fixed("example/thing")
        .with_subject(subject.clone().with_annotation("dropped", "yes"))
        .with_layer(layer.clone())
        .with_config_annotation("of", "config");
    let (repository, descriptor, manifest) = packed(&options).await;
    assert_eq!(manifest.subject, Some(subject.clone()));
    assert_eq!(manifest.layers, [layer]);
    assert_eq!(manifest.config.annotation("of"), Some("config"));
    let referrers = tranship::referrers(&repository, &subject, None)
        .await
        .expect("referrers");
    assert_eq!(referrers, [descriptor]);
}

#[tokio::test]
async fn the_rules_of_1_0_put_the_type_into_the_config() {
    let options = fixed("example/thing").with_version(PackVersion::V1_0);
    let (_, _, manifest) = packed(&options).await;
    assert_eq!(manifest.config.media_type(), &media_type("example/thing"));
    assert_eq!(manifest.artifact_type, None);
    assert!(manifest.layers.is_empty());

    let untyped = PackOptions::default().with_version(PackVersion::V1_0);
    let (_, _, manifest) = packed(&untyped).await;
    assert_eq!(manifest.config.media_type(), &MediaType::UNKNOWN_CONFIG);

    let subject = Descriptor::of(MediaType::IMAGE_MANIFEST, b"subject");
    assert_eq!(
        refused(&options.with_subject(subject)).await,
        ErrorKind::Unsupported
    );
}

#[tokio::test]
async fn bad_media_types_and_times_are_refused() {
    for bad in ["", "noslash", "a/b/c", "a/b c"] {
        let options = PackOptions::new(MediaType::from_stored(bad));
        assert_eq!(
            refused(&options).await,
            ErrorKind::InvalidMediaType,
            "{bad}"
        );
    }
    let options = fixed("example/thing").with_annotation(CREATED, "yesterday");
    assert_eq!(refused(&options).await, ErrorKind::InvalidInput);
}

#[tokio::test]
async fn the_time_of_packing_is_noted_to_the_second() {
    let options = PackOptions::new(media_type("example/thing"));
    let (_, descriptor, _) = packed(&options).await;
    let created = descriptor.annotation(CREATED).expect("a time");
    assert_eq!(created.len(), "2026-01-01T00:00:00Z".len(), "{created}");
    assert!(created.ends_with('Z'));
}

#[tokio::test]
async fn tags_are_set_with_the_manifest() {
    let tags: [Tag; 2] = ["a".parse().expect("a tag"), "b".parse().expect("a tag")];
    let repository = MemoryRepository::new();
    let packed = pack_and_tag(&repository, &fixed("example/thing"), &tags).await;
    packed.expect("packed");
    assert_eq!(tranship::tags(&repository).await.expect("tags"), tags);
}
