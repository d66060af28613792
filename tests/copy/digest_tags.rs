use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use tranship::*;
use tranship_memory::MemoryRepository;

use crate::artifacts::{
    TwoPlatforms, assert_same_graph, push_image, push_referrer, push_two_platforms,
};
use crate::extended_copy_v1;
use crate::recorder::{Call, Recorder};

fn digest_tag(subject: &Descriptor, suffix: &str) -> Tag {
    let digest = subject.digest();
    let tag = format!("{}-{}.{suffix}", digest.algorithm(), digest.hex());
    tag.parse().expect("a tag")
}

/// Attaches a new image to `subject`, as cosign does.
async fn attach(repository: &dyn Repository, subject: &Descriptor, suffix: &str) -> Descriptor {
    let content = format!("{suffix} of {}", subject.digest());
    let attached = push_image(repository, "", &[&content]).await;
    let tag = digest_tag(subject, suffix);
    repository.tag(&attached, &tag).await.expect("tag");
    attached
}

struct Signed {
    image: TwoPlatforms,
    /// What is attached, and to what.
    attached: Vec<(Descriptor, Descriptor, &'static str)>,
}

/// Two platforms, of which the index and one image have something attached, and an SBOM that is signed.
async fn push_signed(repository: &dyn Repository) -> Signed {
    let image = push_two_platforms(repository).await;
    let mut attached = Vec::new();
    for (subject, suffix) in [
        (&image.index, "sig"),
        (&image.index, "att"),
        (&image.arm64, "sig"),
    ] {
        let found = attach(repository, subject, suffix).await;
        attached.push((found, subject.clone(), suffix));
    }
    let sbom = attach(repository, &image.amd64, "sbom").await;
    let signature = attach(repository, &sbom, "sig").await;
    attached.push((signature, sbom.clone(), "sig"));
    attached.push((sbom, image.amd64.clone(), "sbom"));
    Signed { image, attached }
}

fn options() -> ExtendedCopyOptions {
    ExtendedCopyOptions::default().with_digest_tags(true)
}

async fn check(source: &MemoryRepository, destination: &dyn Repository, signed: &Signed) {
    for (attached, subject, suffix) in &signed.attached {
        assert_same_graph(source, destination, attached).await;
        let tag = digest_tag(subject, suffix);
        let resolved = destination.resolve(&tag.into()).await.expect("the tag");
        assert!(resolved.same_content(attached));
    }
}

#[tokio::test]
async fn what_digest_tags_attach_comes_along_with_its_tags() {
    for concurrency in [1, 6] {
        let source = MemoryRepository::new();
        let signed = push_signed(&source).await;
        let destination = MemoryRepository::new();
        let copy = CopyOptions::default().with_concurrency(concurrency);
        let report = extended_copy_v1(&source, &destination, &options().with_copy(copy)).await;

        check(&source, &destination, &signed).await;
        let tags = signed.attached.iter();
        let mut tags: Vec<_> = tags
            .map(|(_, subject, suffix)| digest_tag(subject, suffix))
            .collect();
        tags.sort();
        assert_eq!(report.expect("copy").digest_tags, tags);
    }
}

#[tokio::test]
async fn digest_tags_are_not_followed_unless_asked_for() {
    let source = Recorder::new(MemoryRepository::new());
    push_signed(&source).await;
    let destination = MemoryRepository::new();
    let report = extended_copy_v1(&source, &destination, &ExtendedCopyOptions::default())
        .await
        .expect("copy");
    assert_eq!(report.digest_tags, []);
    assert_eq!(source.count(|call| *call == Call::Resolve), 0);
    let tags = tranship::tags(&destination).await.expect("tags");
    assert_eq!(tags, crate::tags(&["v1"]));
}

#[tokio::test]
async fn a_second_copy_sets_what_is_missing_and_nothing_else() {
    let source = MemoryRepository::new();
    let signed = push_signed(&source).await;
    let destination = Recorder::new(MemoryRepository::new());
    for _ in 0..2 {
        extended_copy_v1(&source, &destination, &options())
            .await
            .expect("copy");
    }
    let tags_set = |destination: &Recorder| destination.count(|call| matches!(call, Call::Tag(_)));
    assert_eq!(tags_set(&destination), 0);

    // One tag is gone, and what another one names is there without it.
    let (_, subject, suffix) = &signed.attached[0];
    let gone = digest_tag(subject, suffix);
    destination.untag(&gone).await.expect("untag");
    let moved = attach(&source, &signed.image.arm64, "att").await;
    copy_graph(&source, &moved, &destination, &CopyOptions::default())
        .await
        .expect("copy");
    let report = extended_copy_v1(&source, &destination, &options()).await;

    check(&source, &destination, &signed).await;
    assert_eq!(tags_set(&destination), 2);
    let count = signed.attached.len() + 1;
    assert_eq!(report.expect("copy").digest_tags.len(), count);
}

#[tokio::test]
async fn what_is_attached_anew_replaces_what_was_attached_before() {
    let source = MemoryRepository::new();
    let image = push_two_platforms(&source).await;
    attach(&source, &image.index, "sig").await;
    let destination = MemoryRepository::new();
    extended_copy_v1(&source, &destination, &options())
        .await
        .expect("copy");

    let two_signatures = push_image(&source, "", &["one", "two"]).await;
    let tag = digest_tag(&image.index, "sig");
    source.tag(&two_signatures, &tag).await.expect("tag");
    extended_copy_v1(&source, &destination, &options())
        .await
        .expect("copy");

    let resolved = destination.resolve(&tag.into()).await.expect("the tag");
    assert!(resolved.same_content(&two_signatures));
}

#[tokio::test]
async fn a_digest_tag_is_one_step_and_passes_the_filters() {
    let source = MemoryRepository::new();
    let signed = push_signed(&source).await;
    let tags = async |options: ExtendedCopyOptions| {
        let destination = MemoryRepository::new();
        let report = extended_copy_v1(&source, &destination, &options).await;
        report.expect("copy").digest_tags.len()
    };
    assert_eq!(tags(options().with_depth(0)).await, 0);
    // All but the signature of the SBOM.
    let depth_1 = signed.attached.len() - 1;
    assert_eq!(tags(options().with_depth(1)).await, depth_1);

    let by_type = |kind| options().with_artifact_type(kind);
    assert_eq!(tags(by_type(MediaType::from_static("example/x"))).await, 0);
    let all = signed.attached.len();
    assert_eq!(tags(by_type(MediaType::IMAGE_CONFIG)).await, all);
}

#[tokio::test]
async fn a_signature_that_is_both_a_referrer_and_tagged_is_copied_once() {
    let source = MemoryRepository::new();
    let image = push_two_platforms(&source).await;
    let signature = push_referrer(&source, &image.index, "example/signature", "both").await;
    let tag = digest_tag(&image.index, "sig");
    source.tag(&signature, &tag).await.expect("tag");
    let destination = Recorder::new(MemoryRepository::new());
    extended_copy_v1(&source, &destination, &options())
        .await
        .expect("copy");
    let pushes = destination.pushes();
    let pushes = pushes.iter().filter(|digest| *digest == signature.digest());
    assert_eq!(pushes.count(), 1);
    let resolved = destination.resolve(&tag.into()).await.expect("the tag");
    assert!(resolved.same_content(&signature));
}

#[tokio::test]
async fn a_tag_that_names_the_subject_itself_attaches_nothing() {
    let source = MemoryRepository::new();
    let image = push_two_platforms(&source).await;
    let tag = digest_tag(&image.index, "sig");
    source.tag(&image.index, &tag).await.expect("tag");
    let destination = MemoryRepository::new();
    let report = extended_copy_v1(&source, &destination, &options()).await;
    assert_eq!(report.expect("copy").digest_tags, []);
}

struct LeavesOut(HashSet<Digest>);

#[async_trait]
impl CopyHooks for LeavesOut {
    async fn pre_copy(&self, node: &Descriptor) -> Result<PreCopy> {
        Ok(match self.0.contains(node.digest()) {
            true => PreCopy::Skip,
            false => PreCopy::Copy,
        })
    }
}

#[tokio::test]
async fn a_dry_run_tells_the_digest_tags_and_sets_none() {
    let source = MemoryRepository::new();
    let signed = push_signed(&source).await;
    let left_out = *signed.attached[0].0.digest();
    let hooks = Arc::new(LeavesOut(HashSet::from([left_out])));
    let destination = MemoryRepository::new();
    let run = async |is_dry: bool| {
        let copy = CopyOptions::default()
            .with_hooks(hooks.clone())
            .with_dry_run(is_dry);
        let report = extended_copy_v1(&source, &destination, &options().with_copy(copy)).await;
        report.expect("copy").digest_tags
    };
    let planned = run(true).await;
    assert_eq!(tranship::tags(&destination).await.expect("tags"), []);
    assert_eq!(planned.len(), signed.attached.len() - 1);
    assert_eq!(run(false).await, planned);
    let tags = tranship::tags(&destination).await.expect("tags");
    assert_eq!(tags.len(), planned.len() + 1);
}
