//! Listings of tags: in ASCII order, page by page, from any point on.

use futures_util::TryStreamExt as _;
use tranship::{ListOptions, Tag};

use crate::check;
use crate::content::Image;
use crate::context::{Context, Repo};
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::steps::{all_tags, by_tag, listed_tags, push_image, push_tagged, push_with_tags, tag};

scenario_group! { "tag_listing":
    a_repository_without_content_has_no_tags []
        "A repository that does not exist yet lists no tags, which is not an error."
    tags_are_in_ascii_order [Push]
        "Digits come before capitals, `_` and small letters, whatever the order of setting."
    a_tag_comes_before_those_it_begins [Push]
        "`v1` comes before `v1-rc`, `v1.0` and `v10`, in the order of their characters."
    a_listing_begins_behind_last [Push]
        "A listing from a tag on does not contain the tag itself."
    last_need_not_exist [Push]
        "A listing can begin after a tag that does not exist."
    last_may_stand_before_all_tags [Push]
        "A listing that begins before the first tag holds all."
    a_listing_behind_the_end_is_empty [Push]
        "A listing after the last tag is empty, and not an error."
    the_page_size_changes_nothing [Push]
        "Pages of 1, 2, 3 and 1000 tags make the same listing."
    last_and_the_page_size_go_together [Push]
        "A listing from a tag on is the same in pages of any size."
    hundreds_of_tags_are_listed_once_each [Push]
        "Five hundred tags come in order, none twice and none missing, in pages of any size."
    a_long_listing_can_be_stopped [Push]
        "The first tags of a long listing can be read alone, and the rest from there."
    tags_set_while_listing_disturb_nothing [Push]
        "Tags that are set while a listing is read leave those that were there in it."
    the_manifest_of_a_listed_tag_is_there [Push]
        "Each listed tag resolves."
}

/// A repository in which one image has all of `names`.
async fn tagged(context: &Context, names: &[&str]) -> Verdict<Repo> {
    let repository = context.repository().await?;
    let image = Image::new("tagged").build();
    push_image(&*repository, &image).await?;
    let tags = crate::steps::tags(names.iter().copied())?;
    push_with_tags(&*repository, image.manifest(), &tags).await?;
    Ok(repository)
}

async fn a_repository_without_content_has_no_tags(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    check::equal("the number of tags", all_tags(&*repository).await?.len(), 0)?;
    let options = ListOptions::default().with_last("v1").with_page_size(2);
    let listed = listed_tags(&*repository, options).await?;
    check::equal("the number of tags behind v1", listed.len(), 0)
}

async fn tags_are_in_ascii_order(context: &Context) -> Verdict {
    let repository = tagged(context, &["b", "_x", "B", "10", "a", "9", "A", "Z9", "z"]).await?;
    let expected = ["10", "9", "A", "B", "Z9", "_x", "a", "b", "z"];
    check::equal("the tags", all_tags(&*repository).await?, expected)
}

async fn a_tag_comes_before_those_it_begins(context: &Context) -> Verdict {
    let repository = tagged(context, &["v1_0", "v10", "v1.0", "v1", "v1-rc", "v1A", "v"]).await?;
    let expected = ["v", "v1", "v1-rc", "v1.0", "v10", "v1A", "v1_0"];
    check::equal("the tags", all_tags(&*repository).await?, expected)
}

const LETTERS: [&str; 5] = ["B", "b", "d", "f", "h"];

async fn behind(context: &Context, last: &str, expected: &[&str]) -> Verdict {
    let repository = tagged(context, &LETTERS).await?;
    let listed = listed_tags(&*repository, ListOptions::default().with_last(last)).await?;
    check::equal(&format!("the tags behind {last}"), listed, expected)
}

async fn a_listing_begins_behind_last(context: &Context) -> Verdict {
    behind(context, "d", &["f", "h"]).await?;
    behind(context, "B", &["b", "d", "f", "h"]).await
}

async fn last_need_not_exist(context: &Context) -> Verdict {
    behind(context, "c", &["d", "f", "h"]).await?;
    behind(context, "bb", &["d", "f", "h"]).await?;
    behind(context, "C", &["b", "d", "f", "h"]).await
}

async fn last_may_stand_before_all_tags(context: &Context) -> Verdict {
    behind(context, "0", &LETTERS).await
}

async fn a_listing_behind_the_end_is_empty(context: &Context) -> Verdict {
    behind(context, "h", &[]).await?;
    behind(context, "z", &[]).await
}

async fn the_page_size_changes_nothing(context: &Context) -> Verdict {
    let repository = tagged(context, &LETTERS).await?;
    for size in [1, 2, 3, 5, 1000] {
        let options = ListOptions::default().with_page_size(size);
        let listed = listed_tags(&*repository, options).await?;
        check::equal(&format!("the tags in pages of {size}"), listed, LETTERS)?;
    }
    Ok(())
}

async fn last_and_the_page_size_go_together(context: &Context) -> Verdict {
    let repository = tagged(context, &LETTERS).await?;
    for size in [1, 2, 1000] {
        let options = ListOptions::default().with_last("b").with_page_size(size);
        let listed = listed_tags(&*repository, options).await?;
        check::equal(
            &format!("the tags in pages of {size}"),
            listed,
            ["d", "f", "h"],
        )?;
    }
    Ok(())
}

/// 500 tags, of which the names do not sort as their numbers do.
fn many() -> Vec<String> {
    let mut names: Vec<String> = (0..500).map(|number| format!("t{number}")).collect();
    names.sort_unstable();
    names
}

async fn tagged_often(context: &Context) -> Verdict<(Repo, Vec<String>)> {
    let names = many();
    let repository = tagged(
        context,
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await?;
    Ok((repository, names))
}

async fn hundreds_of_tags_are_listed_once_each(context: &Context) -> Verdict {
    let (repository, names) = tagged_often(context).await?;
    check::equal("the tags", &all_tags(&*repository).await?, &names)?;
    for size in [7, 100, 499, 500] {
        let options = ListOptions::default().with_page_size(size);
        let listed = listed_tags(&*repository, options).await?;
        check::equal(&format!("the tags in pages of {size}"), &listed, &names)?;
    }
    Ok(())
}

async fn a_long_listing_can_be_stopped(context: &Context) -> Verdict {
    let (repository, names) = tagged_often(context).await?;
    let mut listing = repository.tags(ListOptions::default().with_page_size(10));
    let mut first: Vec<Tag> = Vec::new();
    while let Some(tag) = listing.try_next().await? {
        first.push(tag);
        if first.len() == 25 {
            break;
        }
    }
    drop(listing);
    let last = first.last().map(ToString::to_string).unwrap_or_default();
    check::equal("the 25th tag", &last, &names[24])?;
    let rest = listed_tags(&*repository, ListOptions::default().with_last(last)).await?;
    check::equal("the rest", &rest, &names[25..].to_vec())
}

async fn tags_set_while_listing_disturb_nothing(context: &Context) -> Verdict {
    let repository = tagged(context, &LETTERS).await?;
    let image = Image::new("later").build();
    let mut listing = repository.tags(ListOptions::default().with_page_size(2));
    let first = listing.try_next().await?;
    check::equal("the first tag", first, Some(tag("B")?))?;
    push_tagged(&*repository, &image, "A").await?;
    push_tagged(&*repository, &image, "e").await?;
    let rest: Vec<Tag> = listing.try_collect().await?;
    let mut rest: Vec<String> = rest.iter().map(ToString::to_string).collect();
    // Whether a later tag shows is free; that it comes twice or out of order is not.
    rest.retain(|tag| tag != "e");
    check::equal("the other tags", rest, &LETTERS[1..])?;
    let mut all = [&["A", "e"], &LETTERS[..]].concat();
    all.sort_unstable();
    check::equal("all tags afterwards", all_tags(&*repository).await?, all)
}

async fn the_manifest_of_a_listed_tag_is_there(context: &Context) -> Verdict {
    let repository = tagged(context, &LETTERS).await?;
    let other = Image::new("other").build();
    push_tagged(&*repository, &other, "c").await?;
    for name in all_tags(&*repository).await? {
        let resolved = repository.resolve(&by_tag(&name)?).await;
        let resolved = check::succeeds(&format!("resolving {name}"), resolved)?;
        check::that(
            repository.exists(&resolved).await?,
            format!("{name} names a manifest that is not there"),
        )?;
    }
    Ok(())
}
