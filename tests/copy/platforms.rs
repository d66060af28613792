use tranship::*;
use tranship_memory::MemoryRepository;

use crate::artifacts::{assert_same_graph, push_two_platforms};
use crate::{copy_v1, reference, tags};

fn for_platform(platform: &str) -> CopyOptions {
    CopyOptions::default().with_platform(platform.parse().expect("a platform"))
}

#[tokio::test]
async fn one_platform_of_an_index_is_copied_alone() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let destination = MemoryRepository::new();

    let report = copy_v1(&source, &destination, &for_platform("linux/arm64"))
        .await
        .expect("copy");

    assert!(report.root.same_content(&artifact.arm64));
    let resolved = destination
        .resolve(&reference("v1"))
        .await
        .expect("the tag");
    assert!(resolved.same_content(&artifact.arm64));
    assert_same_graph(&source, &destination, &artifact.arm64).await;
    assert!(!destination.exists(&artifact.amd64).await.expect("exists"));
}

#[tokio::test]
async fn an_image_is_its_own_platform() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let reference = TagOrDigest::Digest(*artifact.amd64.digest());

    let destination = MemoryRepository::new();
    let options = for_platform("linux/amd64");
    copy(&source, &reference, &destination, &[], &options)
        .await
        .expect("copy");

    let options = for_platform("linux/s390x");
    let error = copy(&source, &reference, &destination, &[], &options)
        .await
        .expect_err("another platform");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_platform_that_is_not_there_is_not_found_and_the_others_are_named() {
    let source = MemoryRepository::new();
    push_two_platforms(&source).await;
    let error = copy(
        &source,
        &reference("v1"),
        &MemoryRepository::new(),
        &[],
        &for_platform("windows/amd64"),
    )
    .await
    .expect_err("not there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint(), Some("it has linux/amd64, linux/arm64"));
}

#[tokio::test]
async fn what_has_no_platform_cannot_be_chosen_by_one() {
    let source = MemoryRepository::new();
    let options = PackOptions::new(MediaType::from_static("application/vnd.example.thing"));
    let artifact = pack_manifest(&source, &options).await.expect("pack");
    let error = copy(
        &source,
        &TagOrDigest::Digest(*artifact.digest()),
        &MemoryRepository::new(),
        &[],
        &for_platform("linux/amd64"),
    )
    .await
    .expect_err("no platform");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn entries_without_a_platform_are_passed_over() {
    let source = MemoryRepository::new();
    let image = crate::artifacts::push_image(&source, "amd64", &["layer"]).await;
    let other = crate::artifacts::push_image(&source, "none", &["other"]).await;
    let with_platform = image
        .clone()
        .with_platform("linux/amd64".parse().expect("a platform"));
    let index = encode_json(&Index::new(vec![other, with_platform])).expect("encode");
    tag_bytes(&source, MediaType::IMAGE_INDEX, index, &tags(&["v1"]))
        .await
        .expect("push");

    let options =
        ResolveOptions::default().with_platform("linux/amd64".parse().expect("a platform"));
    let resolved = resolve(&source, &reference("v1"), &options)
        .await
        .expect("resolve");
    assert_eq!(resolved, image);
}
