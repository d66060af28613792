//! Referrers: the manifests that name another as their subject.

use tranship::{Algorithm, Descriptor};

use crate::check;
use crate::content::{Image, ImageIndex, Item, Packed};
use crate::context::{Context, Repo};
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::steps::{digests, push, push_image, push_tagged, referrers, referrers_of_type};

pub(super) const SBOM: &str = "application/vnd.example.sbom";
pub(super) const SIGNATURE: &str = "application/vnd.example.signature";

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
    a_subject_can_come_later [Push Referrers]
        "A referrer of a subject that is not there is accepted, and listed before and after it comes."
    a_referrer_has_referrers_of_its_own [Push Referrers]
        "On several levels, each list holds the next level alone."
    a_manifest_in_an_index_is_no_referrer [Push Referrers]
        "An index does not refer to the manifests in it as to subjects."
    a_shared_layer_makes_no_referrer [Push Referrers]
        "Manifests that share a layer or config with another do not refer to it."
    a_subject_named_by_sha512_has_referrers [Push Referrers Sha512]
        "A subject under a sha512 digest has referrers."
    a_blob_can_be_a_subject [Push Referrers]
        "A manifest whose subject is a blob is listed as its referrer."
    a_tagged_referrer_is_listed_alike [Push Referrers]
        "A tag on a referrer changes nothing in the list."
    a_deleted_referrer_is_not_listed [Push Referrers DeleteManifests]
        "A deleted referrer is no longer listed, and the others are."
    the_referrers_of_a_deleted_subject_stay [Push Referrers DeleteManifests]
        "Deleting a subject leaves its referrers, and their list."
    a_deleted_referrer_comes_back_when_pushed [Push Referrers DeleteManifests]
        "A referrer that is deleted and pushed again is listed."
    referrers_stay_in_their_repository [Push Referrers Registry]
        "The same subject has other referrers in another repository."
}

/// An image, pushed.
pub(super) async fn subject(repository: &Repo, name: &str) -> Verdict<Packed> {
    let subject = Image::new(name).build();
    push_image(&**repository, &subject).await?;
    Ok(subject)
}

/// An artifact that refers to `subject`, pushed.
pub(super) async fn refer(
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
pub(super) async fn only(repository: &Repo, subject: &Descriptor) -> Verdict<Descriptor> {
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

async fn a_subject_named_by_sha512_has_referrers(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = Image::new("sha512").named_by(Algorithm::Sha512).build();
    push_image(&*repository, &subject).await?;
    let sbom = refer(&repository, "sbom", SBOM, subject.descriptor()).await?;
    lists(&repository, subject.descriptor(), &[&sbom]).await
}

async fn a_blob_can_be_a_subject(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blob = Item::blob("a subject that is not a manifest");
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
