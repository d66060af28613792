//! Referrers: the manifests that name another as their subject.

use tranship::{Algorithm, Annotations, Descriptor, MediaType};

use super::scenario_group;
use crate::check;
use crate::content::{Image, ImageIndex, Item, Packed};
use crate::context::{Context, Repo};
use crate::failure::Verdict;
use crate::steps::{digests, push, push_image, push_tagged, referrers, referrers_of_type};

const SBOM: &str = "application/vnd.example.sbom";
const SIGNATURE: &str = "application/vnd.example.signature";

scenario_group! { "referrers":
    a_manifest_without_referrers_has_none [Push Referrers]
        "The list of a manifest that nothing refers to is empty, and no error."
    what_is_not_there_has_no_referrers [Referrers]
        "The list of a subject that is not there, in a repository that is not there, is empty."
    a_referrer_is_listed [Push Referrers]
        "A manifest with a subject is listed as what it is: media type, digest and size."
    all_referrers_are_listed_once_each [Push Referrers]
        "Twelve referrers of one subject are listed, each once."
    a_referrer_pushed_twice_is_listed_once [Push Referrers]
        "Pushing a referrer again, with a tag or without, lists it once."
    referrers_of_two_subjects_do_not_mix [Push Referrers]
        "Each subject has its own list."
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
    a_subject_can_come_later [Push Referrers]
        "A referrer of a subject that is not there is accepted, and listed before and after it comes."
    a_referrer_has_referrers_of_its_own [Push Referrers]
        "On several levels, each list holds the next level alone."
    a_manifest_in_an_index_is_no_referrer [Push Referrers]
        "An index does not refer to the manifests in it as to subjects."
    a_shared_layer_makes_no_referrer [Push Referrers]
        "Manifests that share a layer or config with another do not refer to it."
    a_docker_manifest_refers_too [Push Referrers]
        "A Docker manifest or manifest list with a subject is listed like any other."
    a_subject_named_by_sha512_has_referrers [Push Referrers Sha512]
        "A subject under a sha512 digest has referrers."
    a_blob_can_be_a_subject [Push Referrers]
        "A manifest whose subject is a blob is listed as its referrer."
    a_tagged_referrer_is_listed_alike [Push Referrers]
        "A tag on a referrer changes nothing in the list."
    a_deleted_referrer_is_not_listed [Push Referrers DeleteManifests]
        "A referrer that is deleted is not listed any more, the others are."
    the_referrers_of_a_deleted_subject_stay [Push Referrers DeleteManifests]
        "Deleting a subject leaves its referrers, and their list."
    a_deleted_referrer_comes_back_when_pushed [Push Referrers DeleteManifests]
        "A referrer that is deleted and pushed again is listed."
    referrers_stay_in_their_repository [Push Referrers Registry]
        "The same subject has other referrers in another repository."
}

/// An image, pushed.
async fn subject(repository: &Repo, name: &str) -> Verdict<Packed> {
    let subject = Image::new(name).build();
    push_image(&**repository, &subject).await?;
    Ok(subject)
}

/// An artifact that refers to `subject`, pushed.
async fn refer(
    repository: &Repo,
    name: &str,
    artifact_type: &'static str,
    subject: &Descriptor,
) -> Verdict<Packed> {
    let image = Image::new(name).with_artifact_type(artifact_type);
    let referrer = image.with_subject(subject).build();
    push_image(&**repository, &referrer).await?;
    Ok(referrer)
}

async fn lists(repository: &Repo, subject: &Descriptor, expected: &[&Packed]) -> Verdict {
    let found = digests(&referrers(&**repository, subject).await?);
    let expected = digests(expected.iter().map(|image| image.descriptor()));
    check::equal(
        &format!("the referrers of {}", subject.digest()),
        found,
        expected,
    )
}

/// The one referrer of `subject`.
async fn only(repository: &Repo, subject: &Descriptor) -> Verdict<Descriptor> {
    let mut found = referrers(&**repository, subject).await?;
    check::equal("the number of referrers", found.len(), 1)?;
    Ok(found.remove(0))
}

async fn a_manifest_without_referrers_has_none(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let alone = subject(&repository, "alone").await?;
    lists(&repository, alone.descriptor(), &[]).await
}

async fn what_is_not_there_has_no_referrers(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let absent = Image::new("absent").build();
    lists(&repository, absent.descriptor(), &[]).await?;
    let found = referrers_of_type(&*repository, absent.descriptor(), SBOM).await?;
    check::equal("the number of referrers of a type", found.len(), 0)
}

async fn a_referrer_is_listed(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "subject").await?;
    let sbom = refer(&repository, "sbom", SBOM, subject.descriptor()).await?;
    let listed = only(&repository, subject.descriptor()).await?;
    check::same("the referrer", &listed, sbom.descriptor())?;
    check::that(
        listed.data().is_none() && listed.platform().is_none(),
        "a listed referrer carries what its manifest does not say",
    )
}

async fn all_referrers_are_listed_once_each(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "popular").await?;
    let mut expected = Vec::new();
    for number in 0..12 {
        let name = format!("referrer {number}");
        expected.push(refer(&repository, &name, SBOM, subject.descriptor()).await?);
    }
    lists(
        &repository,
        subject.descriptor(),
        &expected.iter().collect::<Vec<_>>(),
    )
    .await
}

async fn a_referrer_pushed_twice_is_listed_once(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "subject").await?;
    let sbom = refer(&repository, "sbom", SBOM, subject.descriptor()).await?;
    push_image(&*repository, &sbom).await?;
    push_tagged(&*repository, &sbom, "sbom").await?;
    lists(&repository, subject.descriptor(), &[&sbom]).await
}

async fn referrers_of_two_subjects_do_not_mix(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let one = subject(&repository, "one").await?;
    let two = subject(&repository, "two").await?;
    let of_one = refer(&repository, "of one", SBOM, one.descriptor()).await?;
    let of_two = refer(&repository, "of two", SBOM, two.descriptor()).await?;
    lists(&repository, one.descriptor(), &[&of_one]).await?;
    lists(&repository, two.descriptor(), &[&of_two]).await
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

async fn a_subject_can_come_later(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = Image::new("late").build();
    let sbom = refer(&repository, "early", SBOM, subject.descriptor()).await?;
    lists(&repository, subject.descriptor(), &[&sbom]).await?;
    check::lacks(&*repository, subject.descriptor()).await?;
    push_image(&*repository, &subject).await?;
    lists(&repository, subject.descriptor(), &[&sbom]).await
}

async fn a_referrer_has_referrers_of_its_own(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = subject(&repository, "image").await?;
    let sbom = refer(&repository, "sbom", SBOM, image.descriptor()).await?;
    let signature = refer(&repository, "signature", SIGNATURE, sbom.descriptor()).await?;
    lists(&repository, image.descriptor(), &[&sbom]).await?;
    lists(&repository, sbom.descriptor(), &[&signature]).await?;
    lists(&repository, signature.descriptor(), &[]).await
}

async fn a_manifest_in_an_index_is_no_referrer(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let child = subject(&repository, "child").await?;
    let index = ImageIndex::of([child.descriptor()]).build();
    push(&*repository, &index).await?;
    lists(&repository, child.descriptor(), &[]).await?;
    lists(&repository, index.descriptor(), &[]).await
}

async fn a_shared_layer_makes_no_referrer(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = subject(&repository, "image").await?;
    for blob in image.blobs() {
        lists(&repository, blob.descriptor(), &[]).await?;
    }
    Ok(())
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

async fn a_subject_named_by_sha512_has_referrers(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = Image::new("sha512").named_by(Algorithm::Sha512).build();
    push_image(&*repository, &subject).await?;
    let sbom = refer(&repository, "sbom", SBOM, subject.descriptor()).await?;
    lists(&repository, subject.descriptor(), &[&sbom]).await
}

async fn a_blob_can_be_a_subject(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blob = Item::blob("a subject that is no manifest");
    push(&*repository, &blob).await?;
    let sbom = refer(&repository, "sbom", SBOM, blob.descriptor()).await?;
    lists(&repository, blob.descriptor(), &[&sbom]).await
}

async fn a_tagged_referrer_is_listed_alike(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "subject").await?;
    let sbom = refer(&repository, "sbom", SBOM, subject.descriptor()).await?;
    let bare = only(&repository, subject.descriptor()).await?;
    push_tagged(&*repository, &sbom, "sbom").await?;
    let tagged = only(&repository, subject.descriptor()).await?;
    check::equal("the referrer with a tag", tagged, bare)
}

async fn a_deleted_referrer_is_not_listed(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "subject").await?;
    let gone = refer(&repository, "gone", SBOM, subject.descriptor()).await?;
    let kept = refer(&repository, "kept", SBOM, subject.descriptor()).await?;
    repository.delete(gone.descriptor()).await?;
    lists(&repository, subject.descriptor(), &[&kept]).await?;
    repository.delete(kept.descriptor()).await?;
    lists(&repository, subject.descriptor(), &[]).await
}

async fn the_referrers_of_a_deleted_subject_stay(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "subject").await?;
    let sbom = refer(&repository, "sbom", SBOM, subject.descriptor()).await?;
    repository.delete(subject.descriptor()).await?;
    lists(&repository, subject.descriptor(), &[&sbom]).await?;
    check::holds(&*repository, sbom.manifest()).await
}

async fn a_deleted_referrer_comes_back_when_pushed(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = subject(&repository, "subject").await?;
    let sbom = refer(&repository, "sbom", SBOM, subject.descriptor()).await?;
    repository.delete(sbom.descriptor()).await?;
    push(&*repository, sbom.manifest()).await?;
    lists(&repository, subject.descriptor(), &[&sbom]).await
}

async fn referrers_stay_in_their_repository(context: &Context) -> Verdict {
    let here = context.another_repository("here").await?;
    let there = context.another_repository("there").await?;
    let image = subject(&here, "in both").await?;
    push_image(&*there, &image).await?;
    let sbom = refer(&here, "sbom", SBOM, image.descriptor()).await?;
    lists(&here, image.descriptor(), &[&sbom]).await?;
    lists(&there, image.descriptor(), &[]).await
}
