//! Content that is on its way is not there, until it is there as a whole.

use std::sync::Arc;
use std::time::Duration;

use tranship::ErrorKind;

use crate::check;
use crate::content::{Image, Item};
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::scenario::scenario_group;
use crate::source::PausingSource;
use crate::steps::{all_tags, by_digest, by_tag, from, push, push_tagged, tags};

scenario_group! { "visibility":
    a_blob_is_not_there_before_it_is_complete [Push]
        "While a push has read half of its source, the blob does not exist; after the push it does."
    a_manifest_is_not_there_before_it_is_complete [Push]
        "While a push has read half of a manifest, neither the manifest nor its tags are there."
    a_moving_tag_names_the_old_manifest_until_the_new_is_there [Push]
        "While a manifest is pushed over a tag, the tag resolves to the old one."
    a_push_that_is_held_up_holds_up_nothing_else [Push]
        "While one push waits for its source, other content is pushed, tagged, listed and read."
    two_pushes_of_one_blob_can_overlap [Push]
        "A second push of a blob whose first push waits for its source completes by itself or with it."
    a_push_that_fails_late_leaves_what_another_stored [Push]
        "A push that breaks does not take away what a second push of the same blob has stored."
}

/// Waits for `job`, which pushes from a [`PausingSource`] source.
async fn ends<T>(
    job: tokio::task::JoinHandle<tranship::Result<T>>,
) -> Verdict<tranship::Result<T>> {
    job.await
        .map_err(|error| Failure::new(format!("the push panicked: {error}")))
}

async fn a_blob_is_not_there_before_it_is_complete(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    // More than any buffer on the way, so that a backend that passes bytes on has done so.
    let item = Item::noise(1, 6 * 1024 * 1024);
    let held = Arc::new(PausingSource::new(item.bytes()));
    let job = tokio::spawn({
        let (repository, item, held) = (Arc::clone(&repository), item.clone(), Arc::clone(&held));
        async move { repository.push(item.descriptor(), from(&*held)).await }
    });
    held.reached().await;
    check::lacks(&*repository, item.descriptor()).await?;
    let digest = by_digest(item.descriptor());
    let resolved = repository.blobs().resolve(&digest).await;
    check::not_found("resolving half a blob", resolved)?;
    held.release();
    check::succeeds("the push", ends(job).await?)?;
    check::holds(&*repository, &item).await
}

async fn a_manifest_is_not_there_before_it_is_complete(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("half").build();
    for blob in image.blobs() {
        push(&*repository, blob).await?;
    }
    let held = Arc::new(PausingSource::new(image.manifest().bytes()));
    let job = tokio::spawn({
        let (repository, held) = (Arc::clone(&repository), Arc::clone(&held));
        let (descriptor, tags) = (image.descriptor().clone(), tags(["v1"])?);
        async move {
            repository
                .push_reference(&descriptor, from(&*held), &tags)
                .await
        }
    });
    held.reached().await;
    check::lacks(&*repository, image.descriptor()).await?;
    check::not_found(
        "resolving the tag",
        repository.resolve(&by_tag("v1")?).await,
    )?;
    check::equal("the number of tags", all_tags(&*repository).await?.len(), 0)?;
    held.release();
    check::succeeds("the push", ends(job).await?)?;
    check::holds(&*repository, image.manifest()).await?;
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])
}

async fn a_moving_tag_names_the_old_manifest_until_the_new_is_there(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (old, new) = (Image::new("old").build(), Image::new("new").build());
    push_tagged(&*repository, &old, "latest").await?;
    for blob in new.blobs() {
        push(&*repository, blob).await?;
    }
    let held = Arc::new(PausingSource::new(new.manifest().bytes()));
    let job = tokio::spawn({
        let (repository, held) = (Arc::clone(&repository), Arc::clone(&held));
        let (descriptor, tags) = (new.descriptor().clone(), tags(["latest"])?);
        async move {
            repository
                .push_reference(&descriptor, from(&*held), &tags)
                .await
        }
    });
    held.reached().await;
    let resolved = repository.resolve(&by_tag("latest")?).await?;
    check::same("latest, in the meantime", &resolved, old.descriptor())?;
    held.release();
    check::succeeds("the push", ends(job).await?)?;
    let resolved = repository.resolve(&by_tag("latest")?).await?;
    check::same("latest, afterwards", &resolved, new.descriptor())
}

async fn a_push_that_is_held_up_holds_up_nothing_else(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (slow, image) = (Item::noise(2, 500_000), Image::new("quick").build());
    let held = Arc::new(PausingSource::new(slow.bytes()));
    let job = tokio::spawn({
        let (repository, slow, held) = (Arc::clone(&repository), slow.clone(), Arc::clone(&held));
        async move { repository.push(slow.descriptor(), from(&*held)).await }
    });
    held.reached().await;
    push_tagged(&*repository, &image, "v1").await?;
    check::holds(&*repository, image.manifest()).await?;
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])?;
    held.release();
    check::succeeds("the push", ends(job).await?)?;
    check::holds(&*repository, &slow).await
}

async fn two_pushes_of_one_blob_can_overlap(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(3, 500_000);
    let held = Arc::new(PausingSource::new(item.bytes()));
    let first = tokio::spawn({
        let (repository, item, held) = (Arc::clone(&repository), item.clone(), Arc::clone(&held));
        async move { repository.push(item.descriptor(), from(&*held)).await }
    });
    held.reached().await;
    let second = tokio::spawn({
        let (repository, item) = (Arc::clone(&repository), item.clone());
        async move { repository.push(item.descriptor(), item.source()).await }
    });
    // The second may wait for the first or overtake it. Both must succeed.
    tokio::task::yield_now().await;
    held.release();
    check::succeeds("the first push", ends(first).await?)?;
    check::succeeds("the second push", ends(second).await?)?;
    check::holds(&*repository, &item).await
}

async fn a_push_that_fails_late_leaves_what_another_stored(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (claimed, other) = (Item::noise(4, 500_000), Item::noise(5, 500_000));
    let held = Arc::new(PausingSource::new(other.bytes()));
    let wrong = tokio::spawn({
        let (repository, held) = (Arc::clone(&repository), Arc::clone(&held));
        let descriptor = claimed.descriptor().clone();
        async move { repository.push(&descriptor, from(&*held)).await }
    });
    held.reached().await;
    let mut right = tokio::spawn({
        let (repository, claimed) = (Arc::clone(&repository), claimed.clone());
        async move {
            repository
                .push(claimed.descriptor(), claimed.source())
                .await
        }
    });
    // It may overtake the first or wait for it, so it is given time to overtake.
    let overtaken = tokio::time::timeout(Duration::from_millis(300), &mut right).await;
    held.release();
    let wrong = ends(wrong).await?;
    let right = match overtaken {
        Ok(joined) => {
            joined.map_err(|error| Failure::new(format!("the push panicked: {error}")))?
        }
        Err(_) => ends(right).await?,
    };
    check::succeeds("the push of the right content", right)?;
    // Once the right content is there, the wrong push need not look at its own.
    if wrong.is_err() {
        check::refused("the other push", wrong, &[ErrorKind::DigestMismatch])?;
    }
    check::holds(&*repository, &claimed).await
}
