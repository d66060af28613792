//! Predecessors: the graph of manifests, walked against its direction.

use tranship::MediaType;

use crate::check;
use crate::content::{Image, ImageIndex};
use crate::context::Context;
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::steps::{digests, push, push_image};

const SBOM: &str = "application/vnd.example.sbom";

scenario_group! { "predecessors":
    a_manifest_alone_has_no_predecessors [Push Referrers]
        "Content that nothing refers to does not have predecessors, which is not an error."
    what_is_not_there_has_no_predecessors [Referrers]
        "A node that is not there has no predecessors."
    a_referrer_is_a_predecessor [Push Referrers]
        "A manifest with a subject precedes it, with artifact type and annotations."
    predecessors_are_in_the_order_of_their_digests [Push Referrers]
        "Many predecessors come sorted by digest, each once."
    a_parent_is_a_predecessor_where_it_is_tracked [Push Referrers]
        "An index that lists a manifest and refers to it precedes it once."
    a_leaf_precedes_nothing [Push Referrers]
        "Predecessors are manifests that refer to the node, and no others."
}

async fn a_manifest_alone_has_no_predecessors(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("alone").build();
    push_image(&*repository, &image).await?;
    let found = repository.predecessors(image.descriptor()).await?;
    check::equal("the predecessors", found, [])
}

async fn what_is_not_there_has_no_predecessors(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let absent = Image::new("absent").build();
    let found = repository.predecessors(absent.descriptor()).await?;
    check::equal("the predecessors", found, [])
}

async fn a_referrer_is_a_predecessor(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("subject").build();
    push_image(&*repository, &image).await?;
    let sbom = Image::new("sbom")
        .with_artifact_type(SBOM)
        .with_annotation("org.example.key", "value")
        .with_subject(image.descriptor())
        .build();
    push_image(&*repository, &sbom).await?;
    let found = repository.predecessors(image.descriptor()).await?;
    check::equal("the number of predecessors", found.len(), 1)?;
    check::same("the predecessor", &found[0], sbom.descriptor())?;
    let expected = MediaType::from_static(SBOM);
    check::equal(
        "its artifact type",
        found[0].artifact_type(),
        Some(&expected),
    )?;
    let value = found[0].annotation("org.example.key");
    check::equal("its annotation", value, Some("value"))
}

async fn predecessors_are_in_the_order_of_their_digests(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("subject").build();
    push_image(&*repository, &image).await?;
    let mut expected = Vec::new();
    for number in 0..10 {
        let referrer = Image::new(format!("referrer {number}"));
        let referrer = referrer.with_subject(image.descriptor()).build();
        push_image(&*repository, &referrer).await?;
        expected.push(*referrer.manifest().digest());
    }
    expected.sort();
    let found = repository.predecessors(image.descriptor()).await?;
    let found: Vec<_> = found.iter().map(|node| *node.digest()).collect();
    check::equal("the predecessors", found, expected)
}

async fn a_parent_is_a_predecessor_where_it_is_tracked(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("child").build();
    push_image(&*repository, &image).await?;
    let parent = ImageIndex::of([image.descriptor()]).build();
    let both = ImageIndex::of([image.descriptor(), image.descriptor()])
        .with_subject(image.descriptor())
        .build();
    push(&*repository, &parent).await?;
    push(&*repository, &both).await?;
    let found = digests(&repository.predecessors(image.descriptor()).await?);
    let tracked = digests([parent.descriptor(), both.descriptor()]);
    let untracked = digests([both.descriptor()]);
    check::that(
        found == tracked || found == untracked,
        format!("the predecessors are {found:?}, and not {tracked:?} or {untracked:?}"),
    )
}

async fn a_leaf_precedes_nothing(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (image, other) = (Image::new("image").build(), Image::new("other").build());
    push_image(&*repository, &image).await?;
    push_image(&*repository, &other).await?;
    for blob in other.blobs() {
        let found = digests(&repository.predecessors(blob.descriptor()).await?);
        let parent = digests([other.descriptor()]);
        check::that(
            found == parent || found.is_empty(),
            format!("the predecessors of a layer are {found:?}, and not {parent:?} or none"),
        )?;
    }
    Ok(())
}
