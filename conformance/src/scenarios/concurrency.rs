//! Many tasks at once, on the same content or on different content.

use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinSet;
use tranship::ErrorKind;

use super::scenario_group;
use crate::check;
use crate::content::{Image, Item, Packed};
use crate::context::{Context, Repo};
use crate::failure::{Failure, Verdict};
use crate::steps::{
    all_tags, by_tag, digests, push, push_image, push_tagged, push_with_tags, referrers, tag,
};

const TASKS: usize = 32;

scenario_group! { "concurrency":
    one_blob_from_many_tasks_is_stored [Push]
        "32 tasks push the same blob: all succeed, and it is there."
    many_blobs_from_many_tasks_are_stored [Push]
        "32 tasks push a blob each: all are there."
    one_manifest_from_many_tasks_is_stored [Push]
        "32 tasks push the same manifest with a tag each: no tag is lost."
    one_tag_from_many_tasks_ends_at_one_of_them [Push]
        "32 tasks set one tag on different manifests: it ends at one, and is listed once."
    no_tag_of_many_tasks_is_lost [Push]
        "32 tasks set a tag each: all are listed, each on its manifest."
    images_of_many_tasks_are_whole [Push]
        "16 tasks push an image each, blobs, manifest and tag: all are whole."
    no_referrer_of_many_tasks_is_lost [Push Referrers]
        "32 tasks push a referrer of one subject each: all are listed."
    setting_and_removing_tags_does_not_lose_others [Push Untag]
        "Tags that are set while others are removed are all there at the end."
    pushing_against_deleting_ends_whole_or_gone [Push DeleteBlobs]
        "A blob that is pushed and deleted by turns is at all times whole or not found."
    manifests_pushed_against_deletes_end_whole_or_gone [Push DeleteManifests]
        "A manifest that is pushed with a tag and deleted by turns leaves no tag without it."
    deleting_from_many_tasks_succeeds_once [Push DeleteBlobs]
        "Of eight deletes of one blob at a time one succeeds, and the others find nothing."
    readers_see_whole_content_while_others_write [Push]
        "Blobs are read whole while other blobs are pushed."
    a_tag_always_resolves_while_it_moves [Push]
        "While a tag is moved back and forth it always resolves, to one of both."
    a_listing_stays_in_order_while_tags_come [Push]
        "Listings that run while tags are set are sorted, and hold those that were there before."
}

/// Waits for all of `tasks`; the first failure is the answer.
async fn all(mut tasks: JoinSet<Verdict>) -> Verdict {
    while let Some(joined) = tasks.join_next().await {
        joined.map_err(|error| Failure::new(format!("a task panicked: {error}")))??;
    }
    Ok(())
}

/// Runs `task` for each number at the same time.
async fn together<T>(repository: &Repo, count: usize, task: impl Fn(Repo, usize) -> T) -> Verdict
where
    T: Future<Output = Verdict> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for number in 0..count {
        tasks.spawn(task(Arc::clone(repository), number));
    }
    all(tasks).await
}

async fn one_blob_from_many_tasks_is_stored(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(1, 300_000);
    together(&repository, TASKS, |repository, _| {
        let item = item.clone();
        async move {
            push(&*repository, &item).await?;
            check::holds(&*repository, &item).await
        }
    })
    .await?;
    check::holds(&*repository, &item).await
}

async fn many_blobs_from_many_tasks_are_stored(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = |number: usize| Item::noise(number as u64, 20_000 + number);
    together(&repository, TASKS, |repository, number| {
        let item = item(number);
        async move { push(&*repository, &item).await }
    })
    .await?;
    for number in 0..TASKS {
        check::holds(&*repository, &item(number)).await?;
    }
    Ok(())
}

fn names(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("tag-{number:02}"))
        .collect()
}

async fn one_manifest_from_many_tasks_is_stored(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("one for all").build();
    push_image(&*repository, &image).await?;
    let manifest = Image::new("pushed together").build().manifest().clone();
    together(&repository, TASKS, |repository, number| {
        let manifest = manifest.clone();
        async move {
            let tags = [tag(&names(TASKS)[number])?];
            push_with_tags(&*repository, &manifest, &tags).await
        }
    })
    .await?;
    check::holds(&*repository, &manifest).await?;
    check::equal("the tags", all_tags(&*repository).await?, names(TASKS))
}

async fn pushed(repository: &Repo, count: usize) -> Verdict<Vec<Packed>> {
    let mut images = Vec::new();
    for number in 0..count {
        let image = Image::new(format!("image {number}")).build();
        push_image(&**repository, &image).await?;
        images.push(image);
    }
    Ok(images)
}

async fn one_tag_from_many_tasks_ends_at_one_of_them(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let images = pushed(&repository, 8).await?;
    together(&repository, TASKS, |repository, number| {
        let descriptor = images[number % images.len()].descriptor().clone();
        async move { Ok(repository.tag(&descriptor, &tag("latest")?).await?) }
    })
    .await?;
    let resolved = repository.resolve(&by_tag("latest")?).await?;
    check::that(
        images
            .iter()
            .any(|image| resolved.same_content(image.descriptor())),
        format!("the tag ended at {resolved}, which nobody set"),
    )?;
    check::equal("the tags", all_tags(&*repository).await?, ["latest"])
}

async fn no_tag_of_many_tasks_is_lost(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let images = pushed(&repository, 4).await?;
    let names = names(TASKS);
    together(&repository, TASKS, |repository, number| {
        let descriptor = images[number % images.len()].descriptor().clone();
        let name = names[number].clone();
        async move { Ok(repository.tag(&descriptor, &tag(&name)?).await?) }
    })
    .await?;
    check::equal("the tags", &all_tags(&*repository).await?, &names)?;
    for (number, name) in names.iter().enumerate() {
        let resolved = repository.resolve(&by_tag(name)?).await?;
        check::same(name, &resolved, images[number % images.len()].descriptor())?;
    }
    Ok(())
}

async fn images_of_many_tasks_are_whole(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = |number: usize| Image::new(format!("whole {number}")).with_layers(2).build();
    together(&repository, TASKS / 2, |repository, number| {
        let (image, name) = (image(number), names(TASKS)[number].clone());
        async move { push_tagged(&*repository, &image, &name).await }
    })
    .await?;
    check::equal("the tags", all_tags(&*repository).await?, names(TASKS / 2))?;
    for number in 0..TASKS / 2 {
        let image = image(number);
        for item in image.blobs().iter().chain([image.manifest()]) {
            check::holds(&*repository, item).await?;
        }
    }
    Ok(())
}

async fn no_referrer_of_many_tasks_is_lost(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = Image::new("subject").build();
    push_image(&*repository, &subject).await?;
    let referrer = |number: usize| {
        let image = Image::new(format!("referrer {number}"));
        image.with_subject(subject.descriptor()).build()
    };
    together(&repository, TASKS, |repository, number| {
        let referrer = referrer(number);
        async move { push_image(&*repository, &referrer).await }
    })
    .await?;
    let found = digests(&referrers(&*repository, subject.descriptor()).await?);
    let mut expected: Vec<_> = (0..TASKS)
        .map(|number| *referrer(number).manifest().digest())
        .collect();
    expected.sort();
    check::equal("the referrers", found, expected)
}

async fn setting_and_removing_tags_does_not_lose_others(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = pushed(&repository, 1).await?.remove(0);
    for number in 0..TASKS / 2 {
        let old = tag(&format!("old-{number}"))?;
        repository.tag(image.descriptor(), &old).await?;
    }
    let names = names(TASKS);
    together(&repository, TASKS, |repository, number| {
        let (descriptor, name) = (image.descriptor().clone(), names[number].clone());
        async move {
            if number < TASKS / 2 {
                repository.untag(&tag(&format!("old-{number}"))?).await?;
            }
            Ok(repository.tag(&descriptor, &tag(&name)?).await?)
        }
    })
    .await?;
    check::equal("the tags", &all_tags(&*repository).await?, &names)
}

async fn pushing_against_deleting_ends_whole_or_gone(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(2, 100_000);
    together(&repository, 12, |repository, number| {
        let item = item.clone();
        async move {
            for _ in 0..8 {
                match number % 3 {
                    0 => push(&*repository, &item).await?,
                    1 => gone_is_fine(repository.delete(item.descriptor()).await)?,
                    _ => {
                        let read = async {
                            repository
                                .fetch(item.descriptor())
                                .await?
                                .bytes(u64::MAX)
                                .await
                        };
                        gone_is_fine(read.await.map(drop))?;
                    }
                }
                tokio::task::yield_now().await;
            }
            Ok(())
        }
    })
    .await?;
    if repository.exists(item.descriptor()).await? {
        check::holds(&*repository, &item).await?;
    } else {
        check::lacks(&*repository, item.descriptor()).await?;
    }
    push(&*repository, &item).await?;
    check::holds(&*repository, &item).await
}

#[track_caller]
fn gone_is_fine(result: tranship::Result<()>) -> Verdict {
    match result {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::caused(
            "what is pushed and deleted by turns should be whole or not found",
            &error,
        )),
        _ => Ok(()),
    }
}

async fn manifests_pushed_against_deletes_end_whole_or_gone(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = pushed(&repository, 1).await?.remove(0);
    together(&repository, 8, |repository, number| {
        let image = image.clone();
        async move {
            for _ in 0..8 {
                if number % 2 == 0 {
                    let tags = [tag("v1")?, tag("v2")?];
                    push_with_tags(&*repository, image.manifest(), &tags).await?;
                } else {
                    gone_is_fine(repository.delete(image.descriptor()).await)?;
                }
                tokio::task::yield_now().await;
            }
            Ok(())
        }
    })
    .await?;
    if repository.exists(image.descriptor()).await? {
        check::holds(&*repository, image.manifest()).await?;
    }
    for name in all_tags(&*repository).await? {
        let resolved = repository.resolve(&by_tag(&name)?).await;
        let resolved = check::succeeds("resolving a listed tag", resolved)?;
        check::same(&name, &resolved, image.descriptor())?;
        check::holds(&*repository, image.manifest()).await?;
    }
    Ok(())
}

async fn deleting_from_many_tasks_succeeds_once(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(3, 10_000);
    for _ in 0..5 {
        push(&*repository, &item).await?;
        let deletes = (0..8).map(|_| repository.delete(item.descriptor()));
        let ended = futures_util::future::join_all(deletes).await;
        let succeeded = ended.iter().filter(|result| result.is_ok()).count();
        for result in ended {
            gone_is_fine(result)?;
        }
        check::equal("the number of deletes that succeeded", succeeded, 1)?;
        check::lacks(&*repository, item.descriptor()).await?;
    }
    Ok(())
}

async fn readers_see_whole_content_while_others_write(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(4, 500_000);
    push(&*repository, &item).await?;
    together(&repository, 12, |repository, number| {
        let item = item.clone();
        async move {
            for turn in 0..4 {
                if number % 2 == 0 {
                    check::holds(&*repository, &item).await?;
                } else {
                    let other = Item::noise(1000 + (number * 10 + turn) as u64, 200_000);
                    push(&*repository, &other).await?;
                }
            }
            Ok(())
        }
    })
    .await
}

async fn a_tag_always_resolves_while_it_moves(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let images = pushed(&repository, 2).await?;
    repository
        .tag(images[0].descriptor(), &tag("moving")?)
        .await?;
    together(&repository, 6, |repository, number| {
        let images = images.clone();
        async move {
            for turn in 0..10 {
                if number == 0 {
                    let target = images[turn % 2].descriptor();
                    repository.tag(target, &tag("moving")?).await?;
                    continue;
                }
                let resolved = repository.resolve(&by_tag("moving")?).await;
                let resolved = check::succeeds("resolving a moving tag", resolved)?;
                check::that(
                    images
                        .iter()
                        .any(|image| resolved.same_content(image.descriptor())),
                    format!("the moving tag resolves to {resolved}"),
                )?;
            }
            Ok(())
        }
    })
    .await
}

async fn a_listing_stays_in_order_while_tags_come(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = pushed(&repository, 1).await?.remove(0);
    let before = ["b", "d", "f"];
    push_with_tags(&*repository, image.manifest(), &crate::steps::tags(before)?).await?;
    together(&repository, 8, |repository, number| {
        let descriptor = image.descriptor().clone();
        async move {
            for turn in 0..5 {
                if number % 2 == 0 {
                    let new = tag(&format!("{}{turn}", ["a", "c", "e", "g"][number / 2]))?;
                    repository.tag(&descriptor, &new).await?;
                    continue;
                }
                let listed = all_tags(&*repository).await?;
                check::that(
                    listed.is_sorted_by(|one, next| one < next),
                    format!("the tags are listed as {listed:?}"),
                )?;
                check::that(
                    before
                        .iter()
                        .all(|name| listed.iter().any(|tag| tag == name)),
                    format!("tags that were there are missing in {listed:?}"),
                )?;
            }
            Ok(())
        }
    })
    .await
}
