//! Content that is taken away, and what goes with it.

use tranship::ErrorKind;

use crate::check;
use crate::content::{Image, ImageIndex, Item};
use crate::context::Context;
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::steps::{all_tags, by_digest, by_tag, push, push_image, push_tagged, resized, tag};

scenario_group! { "deletion":
    a_deleted_blob_is_gone [Push DeleteBlobs]
        "A blob that was deleted neither exists nor can be read."
    a_deleted_blob_can_be_pushed_again [Push DeleteBlobs]
        "Content that was deleted is taken and kept again."
    deleting_a_blob_leaves_the_others [Push DeleteBlobs]
        "Deleting one blob touches no other."
    an_absent_blob_cannot_be_deleted [Push DeleteBlobs]
        "Deleting a blob that is not there, or no more, fails with NotFound."
    a_blob_of_another_size_cannot_be_deleted [Push DeleteBlobs]
        "Deleting by a descriptor of the wrong size fails, and the blob stays."
    an_empty_blob_can_be_deleted [Push DeleteBlobs]
        "A blob of no bytes can be deleted."
    deleting_a_blob_here_leaves_it_there [Push DeleteBlobs Registry]
        "Deleting a blob leaves the same blob in another repository."
    a_deleted_manifest_is_gone [Push DeleteManifests]
        "A manifest that was deleted neither exists, nor can be read, nor resolves."
    a_deleted_manifest_can_be_pushed_again [Push DeleteManifests]
        "A manifest that was deleted is taken again; its tags do not come back with it."
    the_tags_of_a_deleted_manifest_are_gone [Push DeleteManifests]
        "All tags of a deleted manifest are gone, and only those."
    deleting_a_manifest_keeps_what_it_refers_to [Push DeleteManifests]
        "The config, layers and children of a deleted manifest stay."
    deleting_an_index_keeps_its_manifests [Push DeleteManifests]
        "The manifests that a deleted index listed stay, with their tags."
    deleting_a_child_keeps_the_index [Push DeleteManifests]
        "An index stays when a manifest that it lists is deleted."
    an_absent_manifest_cannot_be_deleted [Push DeleteManifests]
        "Deleting a manifest that is not there, or no more, fails with NotFound."
    a_manifest_of_another_size_cannot_be_deleted [Push DeleteManifests]
        "Deleting by a descriptor of the wrong size fails; the manifest and its tag stay."
    a_tag_that_moved_on_survives_the_old_manifest [Push DeleteManifests]
        "Deleting the manifest that a tag has moved away from leaves the tag."
    deleting_a_manifest_here_leaves_it_there [Push DeleteManifests Registry]
        "Deleting a manifest leaves the same manifest and tag in another repository."
}

async fn a_deleted_blob_is_gone(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blob = Item::blob("to be deleted");
    push(&*repository, &blob).await?;
    check::succeeds("deleting", repository.delete(blob.descriptor()).await)?;
    check::lacks(&*repository, blob.descriptor()).await?;
    let digest = by_digest(blob.descriptor());
    check::not_found("resolving", repository.blobs().resolve(&digest).await)
}

async fn a_deleted_blob_can_be_pushed_again(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blob = Item::noise(1, 100_000);
    for _ in 0..3 {
        push(&*repository, &blob).await?;
        check::holds(&*repository, &blob).await?;
        repository.delete(blob.descriptor()).await?;
        check::lacks(&*repository, blob.descriptor()).await?;
    }
    Ok(())
}

async fn deleting_a_blob_leaves_the_others(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blobs = ["a", "b", "c"].map(Item::blob);
    for blob in &blobs {
        push(&*repository, blob).await?;
    }
    repository.blobs().delete(blobs[1].descriptor()).await?;
    check::holds(&*repository, &blobs[0]).await?;
    check::lacks(&*repository, blobs[1].descriptor()).await?;
    check::holds(&*repository, &blobs[2]).await
}

async fn an_absent_blob_cannot_be_deleted(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blob = Item::blob("deleted twice");
    let delete = || repository.delete(blob.descriptor());
    check::not_found("deleting what never was", delete().await)?;
    push(&*repository, &blob).await?;
    check::succeeds("deleting", delete().await)?;
    check::not_found("deleting again", delete().await)
}

async fn a_blob_of_another_size_cannot_be_deleted(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blob = Item::blob("of a size");
    push(&*repository, &blob).await?;
    let wrong = resized(blob.descriptor(), 1000);
    check::refused(
        "deleting by a wrong size",
        repository.delete(&wrong).await,
        &[ErrorKind::NotFound, ErrorKind::SizeMismatch],
    )?;
    check::holds(&*repository, &blob).await
}

async fn an_empty_blob_can_be_deleted(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let empty = Item::blob("");
    push(&*repository, &empty).await?;
    check::succeeds("deleting", repository.delete(empty.descriptor()).await)?;
    check::lacks(&*repository, empty.descriptor()).await
}

async fn deleting_a_blob_here_leaves_it_there(context: &Context) -> Verdict {
    let here = context.another_repository("here").await?;
    let there = context.another_repository("there").await?;
    let blob = Item::blob("in both");
    push(&*here, &blob).await?;
    push(&*there, &blob).await?;
    here.delete(blob.descriptor()).await?;
    check::lacks(&*here, blob.descriptor()).await?;
    check::holds(&*there, &blob).await
}

async fn a_deleted_manifest_is_gone(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("deleted").build();
    push_image(&*repository, &image).await?;
    check::succeeds("deleting", repository.delete(image.descriptor()).await)?;
    check::lacks(&*repository, image.descriptor()).await?;
    check::lacks(&*repository.manifests(), image.descriptor()).await?;
    let digest = by_digest(image.descriptor());
    check::not_found("resolving", repository.resolve(&digest).await)?;
    check::not_found("fetching", repository.fetch_reference(&digest).await)
}

async fn a_deleted_manifest_can_be_pushed_again(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("back again").build();
    push_tagged(&*repository, &image, "v1").await?;
    repository.delete(image.descriptor()).await?;
    push(&*repository, image.manifest()).await?;
    check::holds(&*repository, image.manifest()).await?;
    check::not_found("resolving v1", repository.resolve(&by_tag("v1")?).await)
}

async fn the_tags_of_a_deleted_manifest_are_gone(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (image, other) = (Image::new("deleted").build(), Image::new("other").build());
    push_tagged(&*repository, &image, "a").await?;
    repository.tag(image.descriptor(), &tag("b")?).await?;
    push_tagged(&*repository, &other, "c").await?;
    repository.delete(image.descriptor()).await?;
    check::not_found("resolving a", repository.resolve(&by_tag("a")?).await)?;
    check::not_found("resolving b", repository.resolve(&by_tag("b")?).await)?;
    check::equal("the tags", all_tags(&*repository).await?, ["c"])?;
    let resolved = repository.resolve(&by_tag("c")?).await?;
    check::same("c", &resolved, other.descriptor())
}

async fn deleting_a_manifest_keeps_what_it_refers_to(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("with blobs").with_layers(2).build();
    push_image(&*repository, &image).await?;
    repository.delete(image.descriptor()).await?;
    for blob in image.blobs() {
        check::holds(&*repository, blob).await?;
    }
    Ok(())
}

async fn deleting_an_index_keeps_its_manifests(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (tagged, bare) = (Image::new("tagged").build(), Image::new("bare").build());
    push_tagged(&*repository, &tagged, "child").await?;
    push_image(&*repository, &bare).await?;
    let index = ImageIndex::of([tagged.descriptor(), bare.descriptor()]).build();
    push(&*repository, &index).await?;
    repository.delete(index.descriptor()).await?;
    check::lacks(&*repository, index.descriptor()).await?;
    for image in [&tagged, &bare] {
        check::holds(&*repository, image.manifest()).await?;
        let resolved = repository.resolve(&by_digest(image.descriptor())).await;
        let resolved = check::succeeds("resolving a child", resolved)?;
        check::same("the child", &resolved, image.descriptor())?;
    }
    check::equal("the tags", all_tags(&*repository).await?, ["child"])
}

async fn deleting_a_child_keeps_the_index(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("child").build();
    push_image(&*repository, &image).await?;
    let index = ImageIndex::of([image.descriptor()]).build();
    push(&*repository, &index).await?;
    repository.tag(index.descriptor(), &tag("all")?).await?;
    check::succeeds(
        "deleting the child",
        repository.delete(image.descriptor()).await,
    )?;
    check::lacks(&*repository, image.descriptor()).await?;
    check::holds(&*repository, &index).await?;
    check::equal("the tags", all_tags(&*repository).await?, ["all"])
}

async fn an_absent_manifest_cannot_be_deleted(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("deleted twice").build();
    let delete = || repository.delete(image.descriptor());
    check::not_found("deleting what never was", delete().await)?;
    push_image(&*repository, &image).await?;
    check::succeeds("deleting", delete().await)?;
    check::not_found("deleting again", delete().await)
}

async fn a_manifest_of_another_size_cannot_be_deleted(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("of a size").build();
    push_tagged(&*repository, &image, "v1").await?;
    let wrong = resized(image.descriptor(), image.descriptor().size() - 1);
    check::refused(
        "deleting by a wrong size",
        repository.delete(&wrong).await,
        &[ErrorKind::NotFound, ErrorKind::SizeMismatch],
    )?;
    check::holds(&*repository, image.manifest()).await?;
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])
}

async fn a_tag_that_moved_on_survives_the_old_manifest(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (old, new) = (Image::new("old").build(), Image::new("new").build());
    push_tagged(&*repository, &old, "latest").await?;
    push_tagged(&*repository, &new, "latest").await?;
    repository.delete(old.descriptor()).await?;
    let resolved = repository.resolve(&by_tag("latest")?).await;
    let resolved = check::succeeds("resolving latest", resolved)?;
    check::same("latest", &resolved, new.descriptor())
}

async fn deleting_a_manifest_here_leaves_it_there(context: &Context) -> Verdict {
    let here = context.another_repository("here").await?;
    let there = context.another_repository("there").await?;
    let image = Image::new("in both").build();
    push_tagged(&*here, &image, "v1").await?;
    push_tagged(&*there, &image, "v1").await?;
    here.delete(image.descriptor()).await?;
    check::lacks(&*here, image.descriptor()).await?;
    check::holds(&*there, image.manifest()).await?;
    check::equal("the tags there", all_tags(&*there).await?, ["v1"])
}
