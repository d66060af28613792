//! Indexes are made and changed, and annotations too, without a change to anything else.

use tranship::*;
use tranship_artifact::annotate::{AnnotationTarget, annotate};
use tranship_artifact::index::{
    AddOptions, EntrySelector, IndexOptions, IndexSource, add, create, remove,
};
use tranship_memory::MemoryRepository;

fn reference(text: &str) -> TagOrDigest {
    text.parse().expect("a tag or a digest")
}

fn platform(text: &str) -> Platform {
    text.parse().expect("a platform")
}

fn tag(text: &str) -> Tag {
    text.parse().expect("a tag")
}

/// Pushes an image with this config, under a tag.
async fn push_image(repository: &dyn Repository, config: &str, name: &str) -> Descriptor {
    let config = push_bytes(repository, MediaType::IMAGE_CONFIG, config.to_owned())
        .await
        .expect("push");
    let manifest = encode_json(&Manifest::new(config, Vec::new())).expect("json");
    tag_bytes(
        repository,
        MediaType::IMAGE_MANIFEST,
        manifest,
        &[tag(name)],
    )
    .await
    .expect("push")
}

async fn amd64(repository: &dyn Repository) -> Descriptor {
    let config = r#"{"os":"linux","architecture":"amd64","config":{"Env":["A=B"]}}"#;
    push_image(repository, config, "amd64").await
}

async fn arm(repository: &dyn Repository) -> Descriptor {
    let config = r#"{"os":"linux","architecture":"arm","variant":"v7"}"#;
    push_image(repository, config, "arm").await
}

async fn read(repository: &dyn Repository, name: &str) -> (Descriptor, String) {
    let options = ResolveOptions::default();
    let (descriptor, bytes) = fetch_bytes(repository, &reference(name), &options)
        .await
        .expect("there");
    (
        descriptor,
        String::from_utf8(bytes.to_vec()).expect("UTF-8"),
    )
}

async fn entries(repository: &dyn Repository, name: &str) -> Vec<Descriptor> {
    let options = ResolveOptions::default();
    let fetched = fetch_manifest(repository, &reference(name), &options).await;
    match fetched.expect("there") {
        (_, ManifestDocument::Index(index)) => index.manifests,
        other => panic!("{other:?}"),
    }
}

fn attestation_of(subject: &Descriptor, content: &Descriptor) -> Descriptor {
    content
        .clone()
        .with_platform(platform("unknown/unknown"))
        .with_annotation("vnd.docker.reference.type", "attestation-manifest")
        .with_annotation("vnd.docker.reference.digest", subject.digest().to_string())
}

#[tokio::test]
async fn an_index_has_the_platforms_of_the_configs() {
    let (target, other) = (MemoryRepository::new(), MemoryRepository::new());
    let first = amd64(&target).await;
    let second = arm(&other).await;
    let sources = [
        IndexSource::new(reference("amd64")),
        IndexSource::new(reference("arm")).with_repository(&other),
        IndexSource::new(TagOrDigest::Digest(*first.digest())),
    ];
    let options = IndexOptions::default()
        .with_tag(tag("v1"))
        .with_annotation("a", "b")
        .with_artifact_type(MediaType::from_static("x/y"))
        .with_subject(first.clone());
    let created = create(&target, &sources, &options).await.expect("created");

    let expected = [
        first.clone().with_platform(platform("linux/amd64")),
        second.clone().with_platform(platform("linux/arm/v7")),
    ];
    assert_eq!(entries(&target, "v1").await, expected);
    assert!(target.exists(&second).await.expect("a look"));
    let (descriptor, json) = read(&target, "v1").await;
    assert_eq!(descriptor, created);
    assert!(json.contains(r#""artifactType":"x/y""#), "{json}");
    let again = create(&target, &sources, &options).await.expect("created");
    assert_eq!(again, created);
}

#[tokio::test]
async fn the_entries_of_an_index_are_listed_unless_it_is_nested() {
    let (target, other) = (MemoryRepository::new(), MemoryRepository::new());
    let image = amd64(&other).await;
    let proof = push_image(&other, "{}", "proof").await;
    let listed = [
        image.clone().with_platform(platform("linux/amd64")),
        arm(&other).await.with_platform(platform("linux/arm/v7")),
        attestation_of(&image, &proof),
    ];
    let index = encode_json(&Index::new(listed.to_vec())).expect("json");
    let index = tag_bytes(&other, MediaType::IMAGE_INDEX, index, &[tag("all")])
        .await
        .expect("push");
    let source = IndexSource::new(reference("all")).with_repository(&other);
    for (source, expected) in [
        (source.clone(), listed.to_vec()),
        (source.clone().with_nested(true), vec![index]),
        (
            source.clone().with_platforms(vec![platform("linux/amd64")]),
            vec![listed[0].clone(), listed[2].clone()],
        ),
    ] {
        let options = IndexOptions::default().with_tag(tag("v1"));
        create(&target, &[source], &options).await.expect("created");
        assert_eq!(entries(&target, "v1").await, expected);
        for entry in expected {
            assert!(target.exists(&entry.plain()).await.expect("a look"));
        }
    }
    let wrong = source.with_platform(platform("linux/s390x"));
    let error = create(&target, &[wrong], &IndexOptions::default())
        .await
        .expect_err("one platform for three");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_docker_list_does_not_have_annotations() {
    let target = MemoryRepository::new();
    amd64(&target).await;
    let sources = [IndexSource::new(reference("amd64"))];
    let docker = IndexOptions::default().with_docker(true);
    let created = create(&target, &sources, &docker).await.expect("created");
    assert_eq!(*created.media_type(), MediaType::DOCKER_MANIFEST_LIST);
    let error = create(&target, &sources, &docker.with_annotation("a", "b"))
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// An index with unknown fields, and white space of its own.
async fn push_odd_index(target: &dyn Repository) -> (Descriptor, Descriptor, String) {
    let image = amd64(target).await;
    let proof = push_image(target, "{}", "proof").await;
    let entry = serde_json::to_string(&image.clone().with_platform(platform("linux/amd64")));
    let proof = serde_json::to_string(&attestation_of(&image, &proof)).expect("json");
    let json = format!(
        "{{\n  \"x\": 1.00,\n  \"manifests\": [\n    {},\n    {proof}\n  ],\n  \"schemaVersion\": 2\n}}",
        entry.expect("json")
    );
    let index = tag_bytes(target, MediaType::IMAGE_INDEX, json.clone(), &[tag("v1")])
        .await
        .expect("push");
    (image, index, json)
}

#[tokio::test]
async fn an_entry_is_added_and_all_else_stays() {
    let target = MemoryRepository::new();
    let (_, index, json) = push_odd_index(&target).await;
    let added = arm(&target).await.with_platform(platform("linux/arm/v7"));
    let sources = [IndexSource::new(reference("arm"))];
    let options = AddOptions::default().with_tag(tag("v2"));
    let change = add(&target, &reference("v1"), &sources, &options)
        .await
        .expect("added");
    let added = serde_json::to_string(&added).expect("json");
    let expected = json.replace("\n  ],", &format!(",\n    {added}\n  ],"));
    let (descriptor, content) = read(&target, "v1").await;
    assert_eq!(content, expected);
    assert_eq!((change.old, &change.new), (index, &descriptor));
    assert_eq!(read(&target, "v2").await.0, descriptor);

    let change = add(&target, &reference("v1"), &sources, &AddOptions::default())
        .await
        .expect("nothing to add");
    assert_eq!(change.old, change.new);
}

#[tokio::test]
async fn a_new_build_takes_the_place_of_the_old_one() {
    let target = MemoryRepository::new();
    push_odd_index(&target).await;
    let config = r#"{"os":"linux","architecture":"amd64","created":"now"}"#;
    let new = push_image(&target, config, "new").await;
    let options = AddOptions::default().with_replace(true);
    let sources = [IndexSource::new(reference("new"))];
    let change = add(&target, &reference("v1"), &sources, &options)
        .await
        .expect("replaced");
    assert_eq!(change.removed.len(), 2, "the image and its attestation");
    let expected = [new.with_platform(platform("linux/amd64"))];
    assert_eq!(entries(&target, "v1").await, expected);
}

#[tokio::test]
async fn a_manifest_is_removed_with_its_attestations() {
    let target = MemoryRepository::new();
    let (image, index, _) = push_odd_index(&target).await;
    for selector in [
        EntrySelector::Digest(*image.digest()),
        EntrySelector::Platform(platform("linux/amd64")),
    ] {
        target.tag(&index, &tag("v1")).await.expect("tag");
        let change = remove(&target, &reference("v1"), &[selector], &[])
            .await
            .expect("removed");
        assert_eq!(change.removed.len(), 2);
        let (_, json) = read(&target, "v1").await;
        let expected = "{\n  \"x\": 1.00,\n  \"manifests\": [],\n  \"schemaVersion\": 2\n}";
        assert_eq!(json, expected);
    }
    target.tag(&index, &tag("v1")).await.expect("tag");
    let attestations = [EntrySelector::Platform(platform("unknown/unknown"))];
    remove(&target, &reference("v1"), &attestations, &[])
        .await
        .expect("removed");
    assert_eq!(entries(&target, "v1").await.len(), 1);

    let missing = [EntrySelector::Platform(platform("linux/s390x"))];
    let error = remove(&target, &reference("v1"), &missing, &[])
        .await
        .expect_err("nothing to remove");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint(), Some("it has linux/amd64"));
}

#[tokio::test]
async fn only_an_index_has_entries_to_change() {
    let target = MemoryRepository::new();
    amd64(&target).await;
    let sources = [IndexSource::new(reference("amd64"))];
    let error = add(
        &target,
        &reference("amd64"),
        &sources,
        &AddOptions::default(),
    )
    .await
    .expect_err("an image");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn annotations_change_and_the_tag_moves() {
    let target = MemoryRepository::new();
    let (_, index, json) = push_odd_index(&target).await;
    let set = [("k".to_owned(), Some("v".to_owned()))];
    let whole = AnnotationTarget::Manifest;
    let change = annotate(&target, &reference("v1"), &whole, &set, &[])
        .await
        .expect("annotated");
    let (descriptor, content) = read(&target, "v1").await;
    let expected = json.replace(
        "\"schemaVersion\": 2\n",
        "\"schemaVersion\": 2,\n  \"annotations\": {\"k\":\"v\"}\n",
    );
    assert_eq!(content, expected);
    assert_eq!((&change.old, &change.new), (&index, &descriptor));

    let unset = [("k".to_owned(), None), ("absent".to_owned(), None)];
    annotate(&target, &reference("v1"), &whole, &unset, &[])
        .await
        .expect("annotated");
    assert_eq!(read(&target, "v1").await, (index.clone(), json));

    let entry = AnnotationTarget::Entry(EntrySelector::Platform(platform("linux/amd64")));
    annotate(&target, &reference("v1"), &entry, &set, &[])
        .await
        .expect("annotated");
    let found = entries(&target, "v1").await;
    assert_eq!(found[0].annotation("k"), Some("v"));
    assert_eq!(found[1].annotation("k"), None);
    let missing = AnnotationTarget::Entry(EntrySelector::Platform(platform("linux/s390x")));
    let error = annotate(&target, &reference("v1"), &missing, &set, &[])
        .await
        .expect_err("no such entry");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn manifests_of_docker_are_not_annotated() {
    let target = MemoryRepository::new();
    let json = r#"{"schemaVersion":2,"manifests":[]}"#;
    tag_bytes(&target, MediaType::DOCKER_MANIFEST_LIST, json, &[tag("v1")])
        .await
        .expect("push");
    let set = [("k".to_owned(), Some("v".to_owned()))];
    let whole = AnnotationTarget::Manifest;
    let error = annotate(&target, &reference("v1"), &whole, &set, &[])
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
