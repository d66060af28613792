use tranship::*;
use tranship_memory::MemoryRepository;

use crate::artifacts::{
    TwoPlatforms, assert_same_graph, everything_below, push_image, push_index, push_referrer,
    push_two_platforms,
};
use crate::recorder::{Call, Faults, Recorder};
use crate::{extended_copy_v1, reference, tags};

pub(crate) struct Signed {
    pub(crate) image: TwoPlatforms,
    sbom: Descriptor,
    signature: Descriptor,
    pub(crate) attestation: Descriptor,
    pub(crate) of_platform: Descriptor,
}

/// An index with three levels of referrers, and one referrer of a platform's manifest.
pub(crate) async fn push_signed(repository: &dyn Repository) -> Signed {
    let image = push_two_platforms(repository).await;
    let sbom = push_referrer(repository, &image.index, "example/sbom", "sbom").await;
    let signature = push_referrer(repository, &sbom, "example/signature", "signature").await;
    let attestation =
        push_referrer(repository, &signature, "example/attestation", "attestation").await;
    let of_platform =
        push_referrer(repository, &image.arm64, "example/signature", "platform").await;
    Signed {
        image,
        sbom,
        signature,
        attestation,
        of_platform,
    }
}

async fn copied(source: &dyn Repository, options: ExtendedCopyOptions) -> MemoryRepository {
    let destination = MemoryRepository::new();
    extended_copy(
        source,
        &reference("v1"),
        &destination,
        &tags(&["v1"]),
        &options,
    )
    .await
    .expect("copy");
    destination
}

async fn has(repository: &MemoryRepository, node: &Descriptor) -> bool {
    repository.exists(node).await.expect("exists")
}

#[tokio::test]
async fn all_levels_come_along_and_those_of_platforms_too() {
    let source = MemoryRepository::new();
    let signed = push_signed(&source).await;
    let destination = copied(&source, ExtendedCopyOptions::default()).await;
    for root in [&signed.attestation, &signed.of_platform] {
        assert_same_graph(&source, &destination, root).await;
    }
    let found = tranship::referrers(&destination, &signed.image.index, None)
        .await
        .expect("referrers");
    assert_eq!(found, std::slice::from_ref(&signed.sbom));
}

#[tokio::test]
async fn a_plain_copy_leaves_referrers_behind() {
    let source = MemoryRepository::new();
    let signed = push_signed(&source).await;
    let destination = MemoryRepository::new();
    copy_graph(
        &source,
        &signed.image.index,
        &destination,
        &CopyOptions::default(),
    )
    .await
    .expect("copy");
    assert!(!has(&destination, &signed.sbom).await);
}

#[tokio::test]
async fn the_tag_is_set_when_all_referrers_are_there() {
    let source = MemoryRepository::new();
    let signed = push_signed(&source).await;
    let destination = Recorder::new(MemoryRepository::new());
    extended_copy_v1(&source, &destination, &ExtendedCopyOptions::default())
        .await
        .expect("copy");
    let root = *signed.image.index.digest();
    assert_eq!(
        destination.calls().last(),
        Some(&Call::PushReference(root, tags(&["v1"])))
    );
}

#[tokio::test]
async fn depth_bounds_the_levels() {
    let source = MemoryRepository::new();
    let signed = push_signed(&source).await;
    let destination = copied(&source, ExtendedCopyOptions::default().with_depth(1)).await;
    assert!(has(&destination, &signed.sbom).await);
    assert!(has(&destination, &signed.of_platform).await);
    assert!(!has(&destination, &signed.signature).await);

    let destination = copied(&source, ExtendedCopyOptions::default().with_depth(0)).await;
    assert!(!has(&destination, &signed.sbom).await);
}

#[tokio::test]
async fn filters_must_all_agree_and_cut_off_what_hangs_on_the_rest() {
    let source = MemoryRepository::new();
    let signed = push_signed(&source).await;
    let signatures = ExtendedCopyOptions::default()
        .with_artifact_type(MediaType::from_static("example/signature"));

    let destination = copied(&source, signatures.clone()).await;
    assert!(has(&destination, &signed.of_platform).await);
    assert!(!has(&destination, &signed.sbom).await);
    assert!(!has(&destination, &signed.signature).await);

    let other = signatures
        .clone()
        .with_annotation("content", Some("another".into()));
    assert!(!has(&copied(&source, other).await, &signed.of_platform).await);

    let same = signatures.with_annotation("content", Some("platform".into()));
    assert!(has(&copied(&source, same).await, &signed.of_platform).await);

    let annotated = ExtendedCopyOptions::default().with_annotation("content", None);
    assert!(has(&copied(&source, annotated).await, &signed.attestation).await);

    let nothing = ExtendedCopyOptions::default().with_filter(|_| false);
    assert!(!has(&copied(&source, nothing).await, &signed.sbom).await);
}

#[tokio::test]
async fn new_referrers_of_an_image_that_is_there_are_found() {
    let source = MemoryRepository::new();
    push_two_platforms(&source).await;
    let destination = copied(&source, ExtendedCopyOptions::default()).await;
    let signed = push_signed(&source).await;

    let report = extended_copy_v1(&source, &destination, &ExtendedCopyOptions::default())
        .await
        .expect("copy");

    assert!(has(&destination, &signed.attestation).await);
    assert!(has(&destination, &signed.of_platform).await);
    let skipped = report
        .steps
        .iter()
        .filter(|step| step.action == CopyAction::Skipped);
    assert!(
        skipped
            .map(|step| &step.descriptor)
            .any(|descriptor| descriptor.same_content(&signed.image.index))
    );
}

#[tokio::test]
async fn referrers_that_refer_to_each_other_end() {
    let source = MemoryRepository::new();
    let signed = push_signed(&source).await;
    let lying = Recorder::new(source.clone()).with_faults(Faults {
        referrers_of_all: vec![
            signed.image.index.clone(),
            signed.sbom.clone(),
            signed.attestation.clone(),
        ],
        ..Faults::default()
    });
    for concurrency in [1, 4] {
        let copy = CopyOptions::default().with_concurrency(concurrency);
        let options = ExtendedCopyOptions::default().with_copy(copy);
        let destination = MemoryRepository::new();
        extended_copy_graph(&lying, &signed.image.index, &destination, &options)
            .await
            .expect("copy");
        assert_same_graph(&source, &destination, &signed.attestation).await;
    }
}

#[tokio::test]
async fn indexes_that_hold_an_image_are_followed_when_asked_for() {
    let source = MemoryRepository::new();
    let image = push_two_platforms(&source).await;
    let options = ExtendedCopyOptions::default();

    let destination = MemoryRepository::new();
    extended_copy_graph(&source, &image.amd64, &destination, &options)
        .await
        .expect("copy");
    assert!(!has(&destination, &image.index).await);

    let options = options.with_follow(Follow::Predecessors);
    extended_copy_graph(&source, &image.amd64, &destination, &options)
        .await
        .expect("copy");
    assert_same_graph(&source, &destination, &image.index).await;
}

#[tokio::test]
async fn each_node_is_copied_once_however_it_is_reached() {
    let source = MemoryRepository::new();
    let signed = push_signed(&source).await;
    let destination = Recorder::new(MemoryRepository::new());
    let options = ExtendedCopyOptions::default();
    extended_copy_graph(&source, &signed.image.index, &destination, &options)
        .await
        .expect("copy");
    let mut pushes = destination.pushes();
    let count = pushes.len();
    pushes.sort();
    pushes.dedup();
    assert_eq!(pushes.len(), count);
    let whole = everything_below(&source, &signed.attestation).await.len();
    let platform_only = 2;
    assert_eq!(count, whole + platform_only);
}

#[tokio::test]
async fn a_copy_climbs_from_a_blob_to_what_has_it() {
    let source = MemoryRepository::new();
    let image = push_two_platforms(&source).await;
    let layer = crate::artifacts::text("amd64 only");
    let upward = ExtendedCopyOptions::default().with_follow(Follow::Predecessors);

    for concurrency in [1, 6] {
        let copy = CopyOptions::default().with_concurrency(concurrency);
        let options = upward.clone().with_copy(copy);
        let destination = MemoryRepository::new();
        extended_copy_graph(&source, &layer, &destination, &options)
            .await
            .expect("copy");
        assert_same_graph(&source, &destination, &image.index).await;

        let destination = MemoryRepository::new();
        extended_copy_graph(&source, &layer, &destination, &options.with_depth(1))
            .await
            .expect("copy");
        assert_same_graph(&source, &destination, &image.amd64).await;
        assert!(!has(&destination, &image.arm64).await);
    }
}

#[tokio::test]
async fn what_was_found_on_the_way_down_is_followed_up_from_too() {
    let source = MemoryRepository::new();
    let root = push_image(&source, "amd64", &["root"]).await;
    let above = push_index(&source, &[(&root, "linux/amd64")], "above").await;
    // Found first below the index that holds it together with the root, and then as a referrer of another
    // index above the root.
    let found_twice = push_referrer(&source, &above, "example/sbom", "found twice").await;
    let beside = [(&root, "linux/amd64"), (&found_twice, "linux/arm64")];
    push_index(&source, &beside, "beside").await;
    let only_above = [(&found_twice, "linux/arm64")];
    let only_above = push_index(&source, &only_above, "only-above").await;

    let options = ExtendedCopyOptions::default().with_follow(Follow::Predecessors);
    let destination = MemoryRepository::new();
    extended_copy_graph(&source, &root, &destination, &options)
        .await
        .expect("copy");
    assert_same_graph(&source, &destination, &only_above).await;
}

#[tokio::test]
async fn the_subject_of_an_image_that_is_there_is_looked_at_for_referrers() {
    let source = MemoryRepository::new();
    let image = push_two_platforms(&source).await;
    let sbom = push_referrer(&source, &image.index, "example/sbom", "sbom").await;
    let destination = MemoryRepository::new();
    copy_graph(&source, &sbom, &destination, &CopyOptions::default())
        .await
        .expect("copy");
    let signature = push_referrer(&source, &image.index, "example/signature", "new").await;

    let options = ExtendedCopyOptions::default();
    extended_copy_graph(&source, &sbom, &destination, &options)
        .await
        .expect("copy");

    assert!(has(&destination, &signature).await);
}

#[tokio::test]
async fn a_chain_of_referrers_without_end_comes_to_one() {
    let source = MemoryRepository::new();
    let image = push_two_platforms(&source).await;
    let mut chain = vec![image.index.clone()];
    for number in 0..=100 {
        let text = number.to_string();
        let link = push_referrer(&source, &chain[number], "example/link", &text).await;
        chain.push(link);
    }
    let destination = MemoryRepository::new();
    let options = ExtendedCopyOptions::default();
    let error = extended_copy_v1(&source, &destination, &options).await;
    let error = error.expect_err("too deep");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit, "{error:?}");
    assert!(error.to_string().contains("100 levels"), "{error}");
    assert_eq!(tranship::tags(&destination).await.expect("tags"), []);

    let bounded = ExtendedCopyOptions::default().with_depth(100);
    let report = extended_copy_v1(&source, &destination, &bounded).await;
    report.expect("copied");
    assert!(has(&destination, &chain[100]).await);
    assert!(!has(&destination, &chain[101]).await);
}
