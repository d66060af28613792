//! Tags: names that move from manifest to manifest.

use tranship::ErrorKind;

use crate::check;
use crate::content::{Image, ImageIndex, Item};
use crate::context::Context;
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::steps::{
    all_tags, by_digest, by_tag, push, push_image, push_tagged, resized, tag, tags,
};

scenario_group! { "tags":
    a_tag_names_the_manifest_it_was_set_on [Push]
        "A tag resolves to the manifest that it was set on, and is listed."
    a_moved_tag_names_the_new_manifest [Push]
        "Setting a tag again moves it: it resolves to the new manifest, and is listed once."
    a_moved_tag_keeps_the_old_manifest [Push]
        "The manifest that a tag has moved away from is still there under its digest."
    setting_a_tag_twice_changes_nothing [Push]
        "Setting a tag where it is succeeds."
    a_tag_can_move_back [Push]
        "A tag can be set on the manifest that it was on before."
    many_tags_name_one_manifest [Push]
        "A manifest has as many tags as were set, and moving one leaves the others."
    a_tag_of_an_index_names_the_index [Push]
        "A tag on an index resolves to the index, not to one of its manifests."
    an_absent_manifest_cannot_be_tagged [Push]
        "Setting a tag on a manifest that is not there fails, and the tag stays where it was."
    a_manifest_of_another_size_cannot_be_tagged [Push]
        "Setting a tag by a descriptor of the wrong size fails."
    a_blob_cannot_be_tagged [Push]
        "Setting a tag on a blob fails."
    a_tag_of_one_character_is_kept [Push]
        "Tags such as `_`, `a` and `9` can be set, resolved and listed."
    a_tag_of_128_characters_is_kept [Push]
        "The longest tag can be set, resolved and listed."
    tags_differ_by_case [Push]
        "`V1` and `v1` are two tags."
    tags_that_look_like_other_things_are_tags [Push]
        "Tags such as `index.json` or `sha256-…` are nothing but tags."
    an_absent_tag_names_nothing []
        "A tag that was never set does not resolve."
    an_untagged_manifest_stays [Push Untag]
        "Removing a tag leaves its manifest, and the manifest's other tags."
    a_removed_tag_names_nothing [Push Untag]
        "A tag that was removed neither resolves nor is listed, and can be set again."
    an_absent_tag_cannot_be_removed [Push Untag]
        "Removing a tag that is not there fails, and touches no other."
    a_manifest_can_lose_all_its_tags [Push Untag]
        "A manifest whose last tag is removed is still there under its digest."
}

async fn a_tag_names_the_manifest_it_was_set_on(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("one").build();
    push_tagged(&*repository, &image, "v1").await?;
    let resolved = repository.resolve(&by_tag("v1")?).await?;
    check::same("v1", &resolved, image.descriptor())?;
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])
}

async fn a_moved_tag_names_the_new_manifest(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (old, new) = (Image::new("old").build(), Image::new("new").build());
    push_tagged(&*repository, &old, "latest").await?;
    push_tagged(&*repository, &new, "latest").await?;
    let resolved = repository.resolve(&by_tag("latest")?).await?;
    check::same("latest", &resolved, new.descriptor())?;
    check::equal("the tags", all_tags(&*repository).await?, ["latest"])
}

async fn a_moved_tag_keeps_the_old_manifest(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (old, new) = (Image::new("old").build(), Image::new("new").build());
    push_tagged(&*repository, &old, "latest").await?;
    push_tagged(&*repository, &new, "latest").await?;
    check::holds(&*repository, old.manifest()).await?;
    let resolved = repository.resolve(&by_digest(old.descriptor())).await;
    let resolved = check::succeeds("resolving the old digest", resolved)?;
    check::same("the old manifest", &resolved, old.descriptor())
}

async fn setting_a_tag_twice_changes_nothing(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("same").build();
    push_tagged(&*repository, &image, "v1").await?;
    let again = repository.tag(image.descriptor(), &tag("v1")?).await;
    check::succeeds("setting v1 again", again)?;
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])
}

async fn a_tag_can_move_back(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (first, second) = (Image::new("first").build(), Image::new("second").build());
    push_tagged(&*repository, &first, "v1").await?;
    push_tagged(&*repository, &second, "v1").await?;
    let back = repository.tag(first.descriptor(), &tag("v1")?).await;
    check::succeeds("moving v1 back", back)?;
    let resolved = repository.resolve(&by_tag("v1")?).await?;
    check::same("v1", &resolved, first.descriptor())?;
    check::holds(&*repository, second.manifest()).await
}

async fn many_tags_name_one_manifest(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (image, other) = (Image::new("many").build(), Image::new("other").build());
    push_image(&*repository, &image).await?;
    let names = ["a", "b", "c", "d"];
    for name in tags(names)? {
        repository.tag(image.descriptor(), &name).await?;
    }
    push_tagged(&*repository, &other, "b").await?;
    check::equal("the tags", all_tags(&*repository).await?, names)?;
    for name in ["a", "c", "d"] {
        let resolved = repository.resolve(&by_tag(name)?).await?;
        check::same(name, &resolved, image.descriptor())?;
    }
    let resolved = repository.resolve(&by_tag("b")?).await?;
    check::same("b", &resolved, other.descriptor())
}

async fn a_tag_of_an_index_names_the_index(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("child").build();
    push_image(&*repository, &image).await?;
    let index = ImageIndex::of([image.descriptor()]).build();
    push(&*repository, &index).await?;
    repository.tag(index.descriptor(), &tag("all")?).await?;
    let resolved = repository.resolve(&by_tag("all")?).await?;
    check::same("all", &resolved, index.descriptor())
}

async fn an_absent_manifest_cannot_be_tagged(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (image, absent) = (Image::new("here").build(), Image::new("absent").build());
    push_tagged(&*repository, &image, "v1").await?;
    let moved = repository.tag(absent.descriptor(), &tag("v1")?).await;
    check::not_found("moving a tag to an absent manifest", moved)?;
    let set = repository.tag(absent.descriptor(), &tag("v2")?).await;
    check::not_found("setting a tag on an absent manifest", set)?;
    let resolved = repository.resolve(&by_tag("v1")?).await?;
    check::same("v1", &resolved, image.descriptor())?;
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])
}

async fn a_manifest_of_another_size_cannot_be_tagged(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("sized").build();
    push_image(&*repository, &image).await?;
    let wrong = resized(image.descriptor(), image.descriptor().size() + 1);
    check::refused(
        "setting a tag by a wrong size",
        repository.tag(&wrong, &tag("v1")?).await,
        &[ErrorKind::NotFound, ErrorKind::SizeMismatch],
    )?;
    check::not_found("resolving it", repository.resolve(&by_tag("v1")?).await)
}

async fn a_blob_cannot_be_tagged(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blob = Item::blob("no manifest");
    push(&*repository, &blob).await?;
    let set = repository.tag(blob.descriptor(), &tag("v1")?).await;
    check::not_found("setting a tag on a blob", set)?;
    check::equal("the number of tags", all_tags(&*repository).await?.len(), 0)
}

/// Sets all of `names`, which are in ASCII order, on one image, and finds them again.
async fn tags_are_kept(context: &Context, names: &[&str]) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("named").build();
    push_image(&*repository, &image).await?;
    for name in names {
        let set = repository.tag(image.descriptor(), &tag(name)?).await;
        check::succeeds(&format!("setting {name}"), set)?;
    }
    for name in names {
        let resolved = repository.resolve(&by_tag(name)?).await;
        let resolved = check::succeeds(&format!("resolving {name}"), resolved)?;
        check::same(name, &resolved, image.descriptor())?;
    }
    check::equal("the tags", all_tags(&*repository).await?, names)
}

async fn a_tag_of_one_character_is_kept(context: &Context) -> Verdict {
    tags_are_kept(context, &["0", "9", "A", "Z", "_", "a", "z"]).await
}

async fn a_tag_of_128_characters_is_kept(context: &Context) -> Verdict {
    let longest = "t.-_".repeat(32);
    tags_are_kept(context, &[&longest]).await
}

async fn tags_differ_by_case(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (upper, lower) = (Image::new("upper").build(), Image::new("lower").build());
    push_tagged(&*repository, &upper, "V1").await?;
    push_tagged(&*repository, &lower, "v1").await?;
    let resolved = repository.resolve(&by_tag("V1")?).await?;
    check::same("V1", &resolved, upper.descriptor())?;
    let resolved = repository.resolve(&by_tag("v1")?).await?;
    check::same("v1", &resolved, lower.descriptor())?;
    check::equal("the tags", all_tags(&*repository).await?, ["V1", "v1"])
}

async fn tags_that_look_like_other_things_are_tags(context: &Context) -> Verdict {
    let hex = "0".repeat(64);
    let digest = format!("sha256-{hex}");
    let odd = ["blobs", "index.json", "null", "oci-layout", &digest, &hex];
    let mut sorted = odd;
    sorted.sort_unstable();
    tags_are_kept(context, &sorted).await
}

async fn an_absent_tag_names_nothing(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    check::not_found("resolving", repository.resolve(&by_tag("nowhere")?).await)?;
    let fetched = repository.fetch_reference(&by_tag("nowhere")?).await;
    check::not_found("fetching", fetched)
}

async fn an_untagged_manifest_stays(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("two tags").build();
    push_tagged(&*repository, &image, "v1").await?;
    repository.tag(image.descriptor(), &tag("v2")?).await?;
    check::succeeds("removing v1", repository.untag(&tag("v1")?).await)?;
    check::holds(&*repository, image.manifest()).await?;
    let resolved = repository.resolve(&by_tag("v2")?).await;
    check::same(
        "v2",
        &check::succeeds("resolving v2", resolved)?,
        image.descriptor(),
    )?;
    check::equal("the tags", all_tags(&*repository).await?, ["v2"])
}

async fn a_removed_tag_names_nothing(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("once tagged").build();
    push_tagged(&*repository, &image, "v1").await?;
    repository.untag(&tag("v1")?).await?;
    check::not_found("resolving v1", repository.resolve(&by_tag("v1")?).await)?;
    check::equal("the number of tags", all_tags(&*repository).await?.len(), 0)?;
    let again = repository.tag(image.descriptor(), &tag("v1")?).await;
    check::succeeds("setting v1 again", again)?;
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])
}

async fn an_absent_tag_cannot_be_removed(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("tagged").build();
    push_tagged(&*repository, &image, "v1").await?;
    check::not_found("removing v2", repository.untag(&tag("v2")?).await)?;
    check::not_found("removing V1", repository.untag(&tag("V1")?).await)?;
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])
}

async fn a_manifest_can_lose_all_its_tags(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("bare").build();
    push_tagged(&*repository, &image, "only").await?;
    repository.untag(&tag("only")?).await?;
    check::holds(&*repository, image.manifest()).await?;
    let resolved = repository.resolve(&by_digest(image.descriptor())).await;
    let resolved = check::succeeds("resolving by digest", resolved)?;
    check::same("the manifest", &resolved, image.descriptor())
}
