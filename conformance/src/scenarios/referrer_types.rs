//! The kinds of manifests that refer to a subject, and filters by artifact type. They are in the group of referrers.

use tranship::{Annotations, MediaType};

use super::referrers::{SBOM, SIGNATURE, only, refer, subject};
use crate::check;
use crate::content::{Image, ImageIndex};
use crate::context::Context;
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::steps::{digests, push, push_image, referrers, referrers_of_type};

scenario_group! { "referrers":
    a_filter_keeps_what_matches [Push Referrers]
        "With an artifact type given, only referrers of that type are listed."
    a_filter_without_a_match_is_empty [Push Referrers]
        "An artifact type that no referrer has gives an empty list."
    the_artifact_type_is_that_of_the_manifest [Push Referrers]
        "A referrer's artifact type is the artifactType of its manifest."
    without_an_artifact_type_that_of_the_config_counts [Push Referrers]
        "A manifest without artifactType is listed, and filtered, by its config's media type."
    an_index_without_an_artifact_type_has_none [Push Referrers]
        "An index has no config to take a type from."
    an_index_refers_too [Push Referrers]
        "An index with a subject is listed, with its artifact type and annotations."
    an_artifact_manifest_refers_too [Push Referrers]
        "The withdrawn artifact manifest is listed by its subject and type."
    annotations_are_those_of_the_manifest [Push Referrers]
        "A referrer's annotations are those of its manifest, all of them and no other."
    a_docker_manifest_refers_too [Push Referrers]
        "A Docker manifest or manifest list with a subject is listed like any other."
}

async fn a_filter_keeps_what_matches(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "subject").await?;
    let first = refer(&repository, "first", SBOM, subject.descriptor()).await?;
    refer(&repository, "signature", SIGNATURE, subject.descriptor()).await?;
    let second = refer(&repository, "second", SBOM, subject.descriptor()).await?;
    let found = referrers_of_type(&*repository, subject.descriptor(), SBOM).await?;
    let expected = digests([first.descriptor(), second.descriptor()]);
    check::equal("the SBOMs", digests(&found), expected)
}

async fn a_filter_without_a_match_is_empty(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "subject").await?;
    refer(&repository, "sbom", SBOM, subject.descriptor()).await?;
    for other in [
        SIGNATURE,
        "application/vnd.example.sbom.v2",
        "application/vnd.example.SBOM",
    ] {
        let found = referrers_of_type(&*repository, subject.descriptor(), other).await?;
        check::equal(&format!("the number of {other}"), found.len(), 0)?;
    }
    Ok(())
}

async fn the_artifact_type_is_that_of_the_manifest(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "subject").await?;
    refer(&repository, "sbom", SBOM, subject.descriptor()).await?;
    let listed = only(&repository, subject.descriptor()).await?;
    let expected = MediaType::from_static(SBOM);
    check::equal("the artifact type", listed.artifact_type(), Some(&expected))
}

async fn without_an_artifact_type_that_of_the_config_counts(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "subject").await?;
    let image = Image::new("by config").with_config_type(SIGNATURE);
    let signature = image.with_subject(subject.descriptor()).build();
    push_image(&*repository, &signature).await?;
    let listed = only(&repository, subject.descriptor()).await?;
    let expected = MediaType::from_static(SIGNATURE);
    check::equal("the artifact type", listed.artifact_type(), Some(&expected))?;
    let found = referrers_of_type(&*repository, subject.descriptor(), SIGNATURE).await?;
    check::equal(
        "those of the config's type",
        digests(&found),
        digests([signature.descriptor()]),
    )
}

async fn an_index_without_an_artifact_type_has_none(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "subject").await?;
    let index = ImageIndex::of([])
        .with_subject(subject.descriptor())
        .build();
    push(&*repository, &index).await?;
    let listed = only(&repository, subject.descriptor()).await?;
    check::same("the referrer", &listed, index.descriptor())?;
    check::equal("the artifact type", listed.artifact_type(), None)
}

async fn an_index_refers_too(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "subject").await?;
    let index = ImageIndex::of([subject.descriptor()])
        .with_subject(subject.descriptor())
        .with_artifact_type(SBOM)
        .with_annotation("org.example.kind", "index")
        .build();
    push(&*repository, &index).await?;
    let found = referrers_of_type(&*repository, subject.descriptor(), SBOM).await?;
    check::equal(
        "the referrers",
        digests(&found),
        digests([index.descriptor()]),
    )?;
    let kind = found[0].annotation("org.example.kind");
    check::equal("the annotation", kind, Some("index"))
}

async fn an_artifact_manifest_refers_too(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "subject").await?;
    let artifact = Image::new("artifact").as_artifact_manifest();
    let artifact = artifact
        .with_artifact_type(SBOM)
        .with_subject(subject.descriptor());
    let artifact = artifact.build();
    push_image(&*repository, &artifact).await?;
    let found = referrers_of_type(&*repository, subject.descriptor(), SBOM).await?;
    check::equal(
        "the referrers",
        digests(&found),
        digests([artifact.descriptor()]),
    )?;
    check::same("the referrer", &found[0], artifact.descriptor())
}

async fn annotations_are_those_of_the_manifest(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "subject").await?;
    let image = Image::new("annotated")
        .with_annotation("org.example.empty", "")
        .with_annotation("org.example.ship", "🚢")
        .with_subject(subject.descriptor());
    push_image(&*repository, &image.build()).await?;
    let listed = only(&repository, subject.descriptor()).await?;
    let expected = [("org.example.empty", ""), ("org.example.ship", "🚢")];
    let expected: Annotations = expected
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    check::equal("the annotations", listed.annotations(), &expected)
}

async fn a_docker_manifest_refers_too(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = subject(&repository, "image").await?;
    let docker = Image::new("docker")
        .docker()
        .with_subject(image.descriptor())
        .build();
    push_image(&*repository, &docker).await?;
    let list = ImageIndex::of([])
        .docker()
        .with_subject(image.descriptor())
        .build();
    push(&*repository, &list).await?;
    check::equal(
        "the referrers",
        digests(&referrers(&*repository, image.descriptor()).await?),
        digests([docker.descriptor(), list.descriptor()]),
    )
}
