//! Tasks that disturb each other: pushes, deletes and reads of the same content. They are in the group of concurrency.

use tranship::ErrorKind;

use super::concurrency::{TASKS, names, pushed, run_concurrently};
use crate::check;
use crate::content::Item;
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::scenario::scenario_group;
use crate::steps::{all_tags, by_tag, push, push_with_tags, tag};

scenario_group! { "concurrency":
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

#[track_caller]
fn gone_is_fine(result: tranship::Result<()>) -> Verdict {
    match result {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::caused(
            "content that is pushed and deleted by turns should be whole or not found",
            &error,
        )),
        _ => Ok(()),
    }
}

async fn setting_and_removing_tags_does_not_lose_others(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = pushed(&repository, 1).await?.remove(0);
    for number in 0..TASKS / 2 {
        let old = tag(&format!("old-{number}"))?;
        repository.tag(image.descriptor(), &old).await?;
    }
    let names = names(TASKS);
    run_concurrently(&repository, TASKS, |repository, number| {
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
    run_concurrently(&repository, 12, |repository, number| {
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

async fn manifests_pushed_against_deletes_end_whole_or_gone(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = pushed(&repository, 1).await?.remove(0);
    run_concurrently(&repository, 8, |repository, number| {
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
    run_concurrently(&repository, 12, |repository, number| {
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
    run_concurrently(&repository, 6, |repository, number| {
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
    run_concurrently(&repository, 8, |repository, number| {
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
