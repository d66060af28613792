//! Futures and streams that are dropped before they are done.

use std::future::Future;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tranship::ListOptions;

use crate::check;
use crate::content::{Image, Item, Packed};
use crate::context::{Context, Repo};
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::source::{PausingSource, SourceInPieces};
use crate::steps::{
    abandon_after, all_tags, by_tag, from, push, push_image, push_tagged, push_with_tags,
    referrers, tag, tags,
};

scenario_group! { "abandonment":
    a_push_dropped_in_the_middle_leaves_nothing [Push]
        "A push whose future is dropped half way stores nothing, and can be made again."
    many_dropped_pushes_leave_nothing [Push]
        "Twenty pushes that are dropped half way leave nothing behind."
    a_manifest_push_dropped_in_the_middle_sets_no_tag [Push]
        "A push of a manifest that is dropped half way sets none of its tags."
    a_push_can_be_dropped_at_any_point [Push]
        "Wherever a push is dropped, the blob is there as a whole or not at all, and can be pushed."
    a_tagged_push_can_be_dropped_at_any_point [Push]
        "Wherever a push with tags is dropped, a tag that is there resolves to a whole manifest."
    tagging_can_be_dropped_at_any_point [Push]
        "Wherever setting a tag is dropped, the tag is on the old manifest or on the new one."
    deleting_can_be_dropped_at_any_point [Push DeleteManifests]
        "Wherever a delete is dropped, the manifest is there with its tag or gone with it."
    untagging_can_be_dropped_at_any_point [Push Untag]
        "Wherever untagging is dropped, the tag is there or not, and the manifest stays."
    a_fetch_dropped_in_the_middle_harms_nothing [Push]
        "A fetch that is dropped half way leaves the blob readable."
    a_blob_can_be_deleted_while_a_dropped_fetch_was_on_it [Push DeleteBlobs]
        "A fetch that was dropped half way does not keep the blob from being deleted."
    a_tag_listing_can_be_dropped_early [Push]
        "A listing of tags that is dropped after its first item holds nothing up."
    a_catalog_can_be_dropped_early [Push Registry Catalog]
        "A listing of repositories that is dropped after its first item holds nothing up."
    a_referrer_listing_can_be_dropped_early [Push Referrers]
        "A listing of referrers that is dropped after its first item holds nothing up."
    a_listing_that_is_never_polled_does_nothing [Push]
        "Listings that are dropped unread hold nothing up."
}

/// How many wake-ups of a future are tried as the point where it is dropped. What needs more is
/// awaited to its end in the last round.
const POINTS: usize = 40;

/// Starts a push of `item`, and drops it when half of the source is read.
async fn half_a_push(repository: &Repo, item: &Item) {
    let held = PausingSource::new(item.bytes());
    let push = repository.push(item.descriptor(), from(&held));
    tokio::select! {
        biased;
        _ = push => {}
        () = held.reached() => {}
    }
}

async fn a_push_dropped_in_the_middle_leaves_nothing(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(1, 6 * 1024 * 1024);
    half_a_push(&repository, &item).await;
    check::lacks(&*repository, item.descriptor()).await?;
    push(&*repository, &item).await?;
    check::holds(&*repository, &item).await
}

async fn many_dropped_pushes_leave_nothing(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    for seed in 0..20 {
        let item = Item::noise(seed, 300_000);
        half_a_push(&repository, &item).await;
        check::lacks(&*repository, item.descriptor()).await?;
    }
    let item = Item::noise(3, 300_000);
    push(&*repository, &item).await?;
    check::holds(&*repository, &item).await
}

async fn a_manifest_push_dropped_in_the_middle_sets_no_tag(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("half").build();
    for blob in image.blobs() {
        push(&*repository, blob).await?;
    }
    let (held, v1) = (PausingSource::new(image.manifest().bytes()), tags(["v1"])?);
    tokio::select! {
        biased;
        _ = repository.push_reference(image.descriptor(), from(&held), &v1) => {}
        () = held.reached() => {}
    }
    check::lacks(&*repository, image.descriptor()).await?;
    check::equal("the number of tags", all_tags(&*repository).await?.len(), 0)?;
    push_with_tags(&*repository, image.manifest(), &v1).await?;
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])
}

/// Repeats `check` until it passes, since what was dropped may still be at work on other threads; what
/// is wrong for good stays wrong.
async fn eventually<C>(check: impl Fn() -> C) -> Verdict
where
    C: Future<Output = Verdict>,
{
    for _ in 0..500 {
        if check().await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    check().await
}

async fn a_push_can_be_dropped_at_any_point(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    for point in 0..POINTS {
        let item = Item::noise(point as u64, 400_000);
        let origin = SourceInPieces {
            bytes: item.bytes().clone(),
            lengths: &[100_000],
        };
        let pushed = repository.push(item.descriptor(), from(&origin));
        let done = abandon_after(point, pushed).await;
        if repository.exists(item.descriptor()).await? {
            check::holds(&*repository, &item).await?;
        }
        push(&*repository, &item).await?;
        check::holds(&*repository, &item).await?;
        if done.is_some() {
            break;
        }
    }
    Ok(())
}

async fn a_tagged_push_can_be_dropped_at_any_point(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    for point in 0..POINTS {
        let image = Image::new(format!("pushed {point}")).build();
        for blob in image.blobs() {
            push(&*repository, blob).await?;
        }
        let (name, manifest) = (format!("t{point}"), image.manifest());
        let names = [tag(&name)?];
        let origin = SourceInPieces {
            bytes: manifest.bytes().clone(),
            lengths: &[200],
        };
        let pushed = repository.push_reference(manifest.descriptor(), from(&origin), &names);
        let done = abandon_after(point, pushed).await;
        if all_tags(&*repository).await?.contains(&name) {
            let resolved = repository.resolve(&by_tag(&name)?).await?;
            check::same(&name, &resolved, manifest.descriptor())?;
            check::holds(&*repository, manifest).await?;
        }
        push_with_tags(&*repository, manifest, &names).await?;
        let resolved = repository.resolve(&by_tag(&name)?).await?;
        check::same(&name, &resolved, manifest.descriptor())?;
        if done.is_some() {
            break;
        }
    }
    Ok(())
}

async fn tagging_can_be_dropped_at_any_point(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (old, new) = (Image::new("old").build(), Image::new("new").build());
    push_image(&*repository, &old).await?;
    push_image(&*repository, &new).await?;
    for point in 0..POINTS {
        let name = format!("t{point}");
        let moved = tag(&name)?;
        repository.tag(old.descriptor(), &moved).await?;
        let done = abandon_after(point, repository.tag(new.descriptor(), &moved)).await;
        let resolved = repository.resolve(&by_tag(&name)?).await?;
        check::that(
            [&old, &new]
                .iter()
                .any(|image| resolved.same_content(image.descriptor())),
            format!("the tag names neither manifest but {resolved}"),
        )?;
        let after = tag(&format!("after-{point}"))?;
        let set = repository.tag(new.descriptor(), &after).await;
        check::succeeds("setting another tag", set)?;
        if done.is_some() {
            break;
        }
    }
    Ok(())
}

async fn deleting_can_be_dropped_at_any_point(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    for point in 0..POINTS {
        let (image, name) = (
            Image::new(format!("deleted {point}")).build(),
            format!("t{point}"),
        );
        push_tagged(&*repository, &image, &name).await?;
        let done = abandon_after(point, repository.delete(image.descriptor())).await;
        eventually(|| whole_or_gone(&repository, &image, &name)).await?;
        push_tagged(
            &*repository,
            &Image::new(format!("after {point}")).build(),
            "after",
        )
        .await?;
        if done.is_some() {
            break;
        }
    }
    Ok(())
}

/// The image has its tag, or neither is there.
async fn whole_or_gone(repository: &Repo, image: &Packed, name: &str) -> Verdict {
    if all_tags(&**repository).await?.iter().any(|tag| tag == name) {
        let resolved = repository.resolve(&by_tag(name)?).await?;
        check::same(name, &resolved, image.descriptor())?;
        check::holds(&**repository, image.manifest()).await
    } else {
        check::not_found("resolving", repository.resolve(&by_tag(name)?).await)?;
        check::lacks(&**repository, image.descriptor()).await
    }
}

async fn untagging_can_be_dropped_at_any_point(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("untagged").build();
    push_image(&*repository, &image).await?;
    for point in 0..POINTS {
        let name = format!("t{point}");
        let removed = tag(&name)?;
        repository.tag(image.descriptor(), &removed).await?;
        let done = abandon_after(point, repository.untag(&removed)).await;
        check::holds(&*repository, image.manifest()).await?;
        let set = repository.tag(image.descriptor(), &tag("after")?).await;
        check::succeeds("setting another tag", set)?;
        if done.is_some() {
            break;
        }
    }
    Ok(())
}

async fn a_fetch_dropped_in_the_middle_harms_nothing(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(1, 3_000_000);
    push(&*repository, &item).await?;
    for _ in 0..20 {
        let mut stream = repository.fetch(item.descriptor()).await?.into_stream();
        check::that(
            stream.try_next().await?.is_some(),
            "a fetch has no first piece",
        )?;
    }
    check::holds(&*repository, &item).await
}

async fn a_blob_can_be_deleted_while_a_dropped_fetch_was_on_it(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(2, 3_000_000);
    push(&*repository, &item).await?;
    let mut stream = repository.fetch(item.descriptor()).await?.into_stream();
    stream.try_next().await?;
    drop(stream);
    let deleted = repository.delete(item.descriptor()).await;
    check::succeeds("deleting after a dropped fetch", deleted)?;
    check::lacks(&*repository, item.descriptor()).await
}

async fn a_tag_listing_can_be_dropped_early(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("listed").build();
    push_image(&*repository, &image).await?;
    push_with_tags(&*repository, image.manifest(), &tags(["a", "b", "c"])?).await?;
    let mut listing = repository.tags(ListOptions::default().with_page_size(1));
    check::equal("the first tag", listing.try_next().await?, Some(tag("a")?))?;
    drop(listing);
    repository.tag(image.descriptor(), &tag("d")?).await?;
    check::equal(
        "the tags",
        all_tags(&*repository).await?,
        ["a", "b", "c", "d"],
    )
}

async fn a_catalog_can_be_dropped_early(context: &Context) -> Verdict {
    let image = Image::new("cataloged").build();
    for name in ["a", "b"] {
        push_tagged(&*context.another_repository(name).await?, &image, "v1").await?;
    }
    let mut listing = context
        .registry()?
        .repositories(ListOptions::default().with_page_size(1));
    check::that(listing.try_next().await?.is_some(), "the catalog is empty")?;
    drop(listing);
    push_tagged(&*context.another_repository("c").await?, &image, "v1").await?;
    let names = tranship::repositories(&**context.registry()?).await?;
    for name in ["a", "b", "c"] {
        check::that(
            names.contains(&context.name(name)?),
            format!("{name} is missing in the catalog"),
        )?;
    }
    Ok(())
}

async fn a_referrer_listing_can_be_dropped_early(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = Image::new("subject").build();
    push_image(&*repository, &subject).await?;
    for name in ["one", "two"] {
        let referrer = Image::new(name).with_subject(subject.descriptor()).build();
        push_image(&*repository, &referrer).await?;
    }
    let mut listing = repository.referrers(subject.descriptor(), None);
    check::that(
        listing.try_next().await?.is_some(),
        "there are no referrers",
    )?;
    drop(listing);
    let referrer = Image::new("three")
        .with_subject(subject.descriptor())
        .build();
    push_image(&*repository, &referrer).await?;
    let found = referrers(&*repository, subject.descriptor()).await?;
    check::equal("the number of referrers", found.len(), 3)
}

async fn a_listing_that_is_never_polled_does_nothing(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("unread").build();
    let tags = repository.tags(ListOptions::default());
    let referrers = repository.referrers(image.descriptor(), None);
    push_tagged(&*repository, &image, "v1").await?;
    drop((tags, referrers));
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])
}
