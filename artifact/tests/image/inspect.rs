//! The description of images, indexes and artifacts.

use bytes::Bytes;
use tranship::{
    Descriptor, Digest, ErrorKind, Index, Manifest, MediaType, Pusher as _, ReferencePusher as _,
    encode_json,
};
use tranship_artifact::image::{InspectOptions, Inspection, Kind, fetch_config, inspect};

use crate::support::{Image, Layer, gzip, linux};

async fn describe(image: &Image, options: InspectOptions) -> tranship::Result<Inspection> {
    inspect(&image.0, &"v1".parse().expect("a tag"), &options).await
}

async fn push_index(image: &Image, manifests: Vec<Descriptor>) {
    let bytes = encode_json(&Index::new(manifests)).expect("JSON");
    let index = Descriptor::of(MediaType::IMAGE_INDEX, &bytes);
    let tags = ["v1".parse().expect("a tag")];
    let pushed = image.0.push_reference(&index, bytes.into(), &tags).await;
    pushed.expect("pushed");
}

#[tokio::test]
async fn layers_have_the_commands_that_created_them() {
    let image = Image::of(&[Layer::new().file("a", "1")]).await;
    let found = describe(&image, InspectOptions::default())
        .await
        .expect("an image");
    assert_eq!(found.kind, Kind::Image);
    assert_eq!(found.created.as_deref(), Some("2026-01-02T03:04:05Z"));
    let only = &found.manifests[0];
    assert_eq!(only.platform, Some(linux("amd64")));
    assert_eq!(only.layers[0].created_by.as_deref(), Some("RUN one"));
    assert_eq!(only.config.as_ref().expect("a config").cmd, ["sh"]);
    let parts = [
        &only.descriptor,
        only.config_descriptor.as_ref().expect("one"),
        &only.layers[0].descriptor,
    ];
    assert_eq!(
        found.total_size,
        parts.iter().map(|part| part.size()).sum::<u64>()
    );
    assert_eq!(found.shared_size, 0);
}

#[tokio::test]
async fn a_history_of_another_length_gives_no_commands() {
    let image = Image::of(&[Layer::new().file("a", "1"), Layer::new().file("b", "1")]).await;
    let found = describe(&image, InspectOptions::default())
        .await
        .expect("an image");
    assert!(
        found.manifests[0]
            .layers
            .iter()
            .all(|layer| layer.created_by.is_none())
    );
}

#[tokio::test]
async fn an_index_has_its_platforms_and_attestations_in_order() {
    let image = Image::of(&[]).await;
    let shared = gzip(&Layer::new().file("a", "1").tar());
    let size = shared.len() as u64;
    let push = async |tag: &str, name: &str| {
        let own = gzip(&Layer::new().file(name, "1").tar());
        let diff_ids = vec![Digest::of(b"1"), Digest::of(b"2")];
        image.push(tag, vec![shared.clone(), own], diff_ids).await
    };
    let amd64 = push("one", "x").await.with_platform(linux("amd64"));
    let arm64 = push("two", "y").await.with_platform(linux("arm64"));
    let unknown = tranship::Platform::new("unknown", "unknown");
    let statement = Descriptor::of(MediaType::OCTET_STREAM, b"{}").with_annotation(
        "in-toto.io/predicate-type",
        "https://slsa.dev/provenance/v1",
    );
    image
        .0
        .push(&statement, Bytes::from_static(b"{}").into())
        .await
        .expect("pushed");
    let config = image
        .put(MediaType::IMAGE_CONFIG, &serde_json::json!({ "os": "" }))
        .await;
    let attestation = image
        .tagged("three", &Manifest::new(config, vec![statement]))
        .await;
    let attestation = attestation
        .with_platform(unknown)
        .with_annotation("vnd.docker.reference.type", "attestation-manifest")
        .with_annotation("vnd.docker.reference.digest", arm64.digest().to_string());
    let missing = Descriptor::of(MediaType::IMAGE_MANIFEST, b"gone").with_platform(linux("s390x"));
    let nested = Index::new(vec![arm64.clone(), attestation]);
    let nested = image.put(MediaType::IMAGE_INDEX, &nested).await;
    push_index(&image, vec![amd64, nested, missing]).await;

    let options = InspectOptions::default().with_concurrency(2);
    let found = describe(&image, options).await.expect("an index");
    let kinds: Vec<_> = found
        .manifests
        .iter()
        .map(|one| (one.kind, one.missing))
        .collect();
    let expected = [Kind::Image, Kind::Image, Kind::Attestation, Kind::Image];
    assert_eq!(
        kinds,
        [
            (expected[0], false),
            (expected[1], false),
            (expected[2], false),
            (expected[3], true)
        ]
    );
    assert_eq!(found.manifests[2].describes.as_ref(), Some(arm64.digest()));
    let predicate = found.manifests[2].layers[0].predicate_type.as_deref();
    assert_eq!(predicate, Some("https://slsa.dev/provenance/v1"));
    // A layer, and the config, as both have the same.
    let config = found.manifests[0]
        .config_descriptor
        .as_ref()
        .expect("a config")
        .size();
    assert_eq!(found.shared_size, size + config);

    let options = InspectOptions::default().with_platform(Some(linux("amd64")));
    let found = describe(&image, options.clone())
        .await
        .expect("one platform");
    assert_eq!(found.kind, Kind::Image);
    let v1 = "v1".parse().expect("a tag");
    fetch_config(&image.0, &v1, &options)
        .await
        .expect("a config");
    let error = fetch_config(&image.0, &v1, &InspectOptions::default()).await;
    assert_eq!(error.expect_err("an index").kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn an_index_in_itself_ends() {
    let image = Image::of(&[]).await;
    let mut index = Index::new(vec![]);
    for _ in 0..20 {
        let inner = image.put(MediaType::IMAGE_INDEX, &index).await;
        index = Index::new(vec![inner]);
    }
    push_index(&image, index.manifests).await;
    let error = describe(&image, InspectOptions::default())
        .await
        .expect_err("too deep");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit);
}

#[tokio::test]
async fn an_artifact_has_files_and_a_type() {
    let image = Image::of(&[]).await;
    let empty = image
        .put(MediaType::EMPTY_JSON, &serde_json::json!({}))
        .await;
    let file = Descriptor::of(MediaType::OCTET_STREAM, b"hello")
        .with_annotation("org.opencontainers.image.title", "hello.txt");
    image
        .0
        .push(&file, Bytes::from_static(b"hello").into())
        .await
        .expect("pushed");
    let mut manifest = Manifest::new(empty, vec![file]);
    manifest.artifact_type = Some(MediaType::from_static("example/greeting"));
    let subject = image.tagged("v1", &manifest).await;
    manifest.subject = Some(subject.clone());
    image.tagged("sbom", &manifest).await;
    let signature = format!("{}.sig", subject.digest().to_string().replace(':', "-"));
    image
        .tagged(&signature, &Manifest::new(Descriptor::empty_json(), vec![]))
        .await;

    let found = describe(&image, InspectOptions::default())
        .await
        .expect("an artifact");
    assert_eq!(found.kind, Kind::Artifact);
    assert_eq!(
        found.artifact_type.as_ref().expect("a type").as_str(),
        "example/greeting"
    );
    assert_eq!(
        found.manifests[0].layers[0].title.as_deref(),
        Some("hello.txt")
    );
    let referrers = found.referrers.expect("asked for");
    assert_eq!((referrers.count, referrers.types.len()), (1, 1));
    assert_eq!(referrers.digest_tags, [signature]);
    let json = serde_json::to_value(&found.manifests[0]).expect("JSON");
    assert_eq!(json["layers"][0]["title"], "hello.txt");
    assert_eq!(json["kind"], "artifact");
}
