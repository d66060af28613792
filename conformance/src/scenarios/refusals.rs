//! What a backend that cannot do something answers: that it cannot, and nothing happens.

use tranship::{Algorithm, ErrorKind, ListOptions, MediaType};

use futures_util::TryStreamExt as _;

use crate::check;
use crate::content::{Image, Item};
use crate::context::Context;
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::steps::{all_tags, push, push_tagged, tag, tags};

scenario_group! { "refusals":
    a_repository_agrees_with_its_registry [Registry]
        "A repository claims no less than its registry does."
    mounts_and_uploads_are_offered_where_they_are_claimed []
        "There is a mounter where mounts are claimed, and an uploader where uploads are."
    a_read_only_backend_refuses_pushes [] without Push
        "Without push, pushing a blob or a manifest, with tags or without, is Unsupported."
    a_read_only_backend_refuses_tags [] without Push
        "Without push, setting a tag is refused."
    a_read_only_backend_refuses_uploads [] without Push
        "Without push, an upload cannot be started."
    a_backend_without_sha384_refuses_it [Push] without Sha384
        "Content named by sha384 is refused as Unsupported, and not stored."
    a_backend_without_sha512_refuses_it [Push] without Sha512
        "Content named by sha512 is refused as Unsupported, and not stored."
    a_backend_that_keeps_blobs_refuses_to_delete_them [Push] without DeleteBlobs
        "Without delete_blobs, deleting a blob is Unsupported, and the blob stays."
    a_backend_that_keeps_manifests_refuses_to_delete_them [Push] without DeleteManifests
        "Without delete_manifests, deleting a manifest is Unsupported; it stays with its tag."
    a_backend_that_keeps_tags_refuses_to_remove_them [Push] without Untag
        "Without untag, removing a tag is Unsupported, and the tag stays."
    a_registry_without_a_catalog_says_so [Registry] without Catalog
        "Without a catalog, listing repositories is Unsupported, not an empty list."
}

const REFUSED: [ErrorKind; 1] = [ErrorKind::Unsupported];

async fn a_repository_agrees_with_its_registry(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (own, whole) = (repository.capabilities(), context.capabilities());
    for (what, own, whole) in [
        ("push", own.push, whole.push),
        ("range", own.range, whole.range),
        ("mount", own.mount, whole.mount),
        ("uploads", own.uploads, whole.uploads),
        ("referrers", own.referrers, whole.referrers),
        ("delete_blobs", own.delete_blobs, whole.delete_blobs),
        (
            "delete_manifests",
            own.delete_manifests,
            whole.delete_manifests,
        ),
        ("untag", own.untag, whole.untag),
        ("sha384", own.sha384, whole.sha384),
        ("sha512", own.sha512, whole.sha512),
    ] {
        check::that(
            !whole.is_yes() || own.is_yes(),
            format!("the registry claims {what}, its repository answers {own}"),
        )?;
    }
    Ok(())
}

async fn mounts_and_uploads_are_offered_where_they_are_claimed(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let claimed = repository.capabilities();
    if claimed.mount.is_yes() {
        let absent = Item::blob("absent");
        let mounted = repository.mount(absent.descriptor(), repository.name(), None);
        check::not_found("mounting an absent blob", mounted.await)?;
    }
    if claimed.uploads.is_yes() {
        let upload = check::succeeds("starting an upload", repository.blobs().start().await)?;
        check::succeeds("cancelling it", upload.cancel().await)?;
    }
    Ok(())
}

async fn a_read_only_backend_refuses_pushes(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (blob, image) = (Item::blob("pushed in vain"), Image::new("in vain").build());
    let pushed = repository.push(blob.descriptor(), blob.source()).await;
    check::refused("pushing a blob", pushed, &REFUSED)?;
    let manifest = image.manifest();
    let pushed = repository
        .push(manifest.descriptor(), manifest.source())
        .await;
    check::refused("pushing a manifest", pushed, &REFUSED)?;
    let tags = tags(["v1"])?;
    let pushed = repository
        .push_reference(manifest.descriptor(), manifest.source(), &tags)
        .await;
    check::refused("pushing a manifest with a tag", pushed, &REFUSED)?;
    check::lacks(&*repository, blob.descriptor()).await?;
    check::lacks(&*repository, manifest.descriptor()).await
}

async fn a_read_only_backend_refuses_tags(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("absent").build();
    let set = repository.tag(image.descriptor(), &tag("v1")?).await;
    // The manifest is not there either, so both answers are true.
    let kinds = [ErrorKind::Unsupported, ErrorKind::NotFound];
    check::refused("setting a tag", set, &kinds)
}

async fn a_read_only_backend_refuses_uploads(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let started = repository.blobs().start().await.map(drop);
    check::refused("starting an upload", started, &REFUSED)
}

async fn algorithm_is_refused(context: &Context, algorithm: Algorithm) -> Verdict {
    let repository = context.repository().await?;
    let blob = Item::named_by(algorithm, MediaType::OCTET_STREAM, "named otherwise");
    let pushed = repository.push(blob.descriptor(), blob.source()).await;
    check::refused(&format!("pushing by {algorithm}"), pushed, &REFUSED)?;
    let manifest = Image::new("named otherwise").named_by(algorithm).build();
    let manifest = manifest.manifest();
    let pushed = repository
        .push(manifest.descriptor(), manifest.source())
        .await;
    check::refused(
        &format!("pushing a manifest by {algorithm}"),
        pushed,
        &REFUSED,
    )
}

async fn a_backend_without_sha384_refuses_it(context: &Context) -> Verdict {
    algorithm_is_refused(context, Algorithm::Sha384).await
}

async fn a_backend_without_sha512_refuses_it(context: &Context) -> Verdict {
    algorithm_is_refused(context, Algorithm::Sha512).await
}

async fn a_backend_that_keeps_blobs_refuses_to_delete_them(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blob = Item::blob("kept");
    push(&*repository, &blob).await?;
    let deleted = repository.delete(blob.descriptor()).await;
    check::refused("deleting a blob", deleted, &REFUSED)?;
    check::holds(&*repository, &blob).await
}

async fn a_backend_that_keeps_manifests_refuses_to_delete_them(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("kept").build();
    push_tagged(&*repository, &image, "v1").await?;
    let deleted = repository.delete(image.descriptor()).await;
    check::refused("deleting a manifest", deleted, &REFUSED)?;
    check::holds(&*repository, image.manifest()).await?;
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])
}

async fn a_backend_that_keeps_tags_refuses_to_remove_them(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("kept").build();
    push_tagged(&*repository, &image, "v1").await?;
    let removed = repository.untag(&tag("v1")?).await;
    check::refused("removing a tag", removed, &REFUSED)?;
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])
}

async fn a_registry_without_a_catalog_says_so(context: &Context) -> Verdict {
    let mut listing = context.registry()?.repositories(ListOptions::default());
    check::refused("listing repositories", listing.try_next().await, &REFUSED)
}
