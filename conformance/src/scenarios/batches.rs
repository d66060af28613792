//! Batches: changes that are made together when they are committed.

use futures_util::future::{join, try_join_all};
use tranship::{Batch, ErrorKind, PushOutcome, Repository};

use crate::check;
use crate::content::{Image, Item, Packed};
use crate::context::{Context, Repo};
use crate::failure::{Failure, Verdict};
use crate::scenario::scenario_group;
use crate::steps::{
    all_tags, by_digest, by_tag, digests, push, push_image, push_tagged, referrers,
};

scenario_group! { "batches":
    what_is_pushed_is_there_at_once_in_the_batch [Push Batch]
        "Blobs, manifests and tags of a batch are there through its view, whenever that is asked for."
    what_was_there_before_is_there_in_the_batch [Push Batch]
        "Through the view of a batch is there what the repository holds, with the tags that the batch moves."
    no_tag_moves_before_the_commit [Push Batch]
        "Until the commit tags name what they named, and tags that the batch sets are not listed."
    a_dropped_batch_sets_no_tag [Push Batch]
        "A batch that is dropped has set and moved no tag, nor has one that is committed after it."
    after_the_commit_all_of_it_is_there [Push Batch]
        "When the commit has succeeded, all that was pushed through the batch is there, and its tags."
    after_the_commit_a_peer_has_all_of_it [Push Batch Peer]
        "When the commit has succeeded, the second handle on the same store has all of it."
    referrers_of_a_batch_are_listed [Push Referrers Batch]
        "A referrer is listed through the view of its batch and, after the commit, by the repository."
    a_blob_is_mounted_in_a_batch [Push Registry Mount Batch]
        "A blob of another repository is mounted through the view of a batch, and an image can be built on it."
    as_many_pushes_as_a_batch_has_use_for_are_kept [Push Batch]
        "A batch has use for at least one push at a time; so many at a time are all there in the end."
    two_batches_at_the_same_time_lose_nothing [Push Batch]
        "Of two batches that are open and committed at the same time, all is there in the end."
    batches_of_two_handles_lose_nothing [Push Batch Peer]
        "Of two batches of two handles on the same store, committed at the same time, all is there."
    what_others_do_meanwhile_is_kept [Push Batch]
        "Content that is pushed and tagged beside an open batch exists after its commit."
    a_refused_push_does_not_spoil_the_batch [Push Batch]
        "After a push with wrong content was refused, the rest of the batch can be committed."
}

fn begin(repository: &Repo) -> Verdict<Box<dyn Batch + '_>> {
    let batch = repository.batch();
    batch.ok_or_else(|| Failure::new("the repository had batches, and no longer has them"))
}

async fn commit(batch: Box<dyn Batch + '_>) -> Verdict {
    check::succeeds("the commit", batch.commit().await)
}

async fn is_there(repository: &dyn Repository, image: &Packed, tag: &str) -> Verdict {
    for blob in image.blobs() {
        check::holds(repository, blob).await?;
    }
    check::holds(repository, image.manifest()).await?;
    let resolved = repository.resolve(&by_digest(image.descriptor())).await;
    let resolved = check::succeeds("resolving the digest", resolved)?;
    check::same("the digest", &resolved, image.descriptor())?;
    names(repository, tag, image).await
}

async fn names(repository: &dyn Repository, tag: &str, image: &Packed) -> Verdict {
    let resolved = repository.resolve(&by_tag(tag)?).await;
    let resolved = check::succeeds("resolving the tag", resolved)?;
    check::same(&format!("the tag {tag}"), &resolved, image.descriptor())
}

async fn has_tags(repository: &dyn Repository, expected: &[&str]) -> Verdict {
    check::equal("the tags", all_tags(repository).await?, expected)
}

async fn what_is_pushed_is_there_at_once_in_the_batch(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (image, large) = (Image::new("in a batch").build(), Item::noise(1, 600_000));
    let batch = begin(&repository)?;
    check::lacks(&batch, large.descriptor()).await?;
    push(&batch, &large).await?;
    check::holds(&batch, &large).await?;
    push_tagged(&batch, &image, "v1").await?;
    is_there(&batch, &image, "v1").await?;
    has_tags(&batch, &["v1"]).await
}

async fn what_was_there_before_is_there_in_the_batch(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (old, new) = (Image::new("old").build(), Image::new("new").build());
    push_tagged(&*repository, &old, "latest").await?;
    push_tagged(&*repository, &old, "old").await?;
    let batch = begin(&repository)?;
    is_there(&batch, &old, "latest").await?;
    push_tagged(&batch, &new, "latest").await?;
    is_there(&batch, &new, "latest").await?;
    is_there(&batch, &old, "old").await?;
    has_tags(&batch, &["latest", "old"]).await
}

async fn no_tag_moves_before_the_commit(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (old, new) = (Image::new("old").build(), Image::new("new").build());
    push_tagged(&*repository, &old, "latest").await?;
    let batch = begin(&repository)?;
    push_tagged(&batch, &new, "latest").await?;
    push_tagged(&batch, &new, "v2").await?;
    names(&*repository, "latest", &old).await?;
    let early = repository.resolve(&by_tag("v2")?).await;
    check::not_found("resolving a tag of the batch", early)?;
    has_tags(&*repository, &["latest"]).await?;
    commit(batch).await?;
    names(&*repository, "latest", &new).await?;
    has_tags(&*repository, &["latest", "v2"]).await
}

async fn a_dropped_batch_sets_no_tag(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (old, new) = (Image::new("old").build(), Image::new("new").build());
    push_tagged(&*repository, &old, "latest").await?;
    let dropped = begin(&repository)?;
    push_tagged(&dropped, &new, "latest").await?;
    push_tagged(&dropped, &new, "v2").await?;
    drop(dropped);
    names(&*repository, "latest", &old).await?;
    has_tags(&*repository, &["latest"]).await?;

    let other = Image::new("other").build();
    let batch = begin(&repository)?;
    push_tagged(&batch, &other, "v3").await?;
    commit(batch).await?;
    names(&*repository, "latest", &old).await?;
    has_tags(&*repository, &["latest", "v3"]).await
}

/// Commits a batch with an image that has more than one layer, and answers that.
async fn committed(repository: &Repo) -> Verdict<Packed> {
    let image = Image::new("committed").with_layers(3).build();
    let batch = begin(repository)?;
    push_tagged(&batch, &image, "v1").await?;
    commit(batch).await?;
    Ok(image)
}

async fn after_the_commit_all_of_it_is_there(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = committed(&repository).await?;
    is_there(&*repository, &image, "v1").await?;
    has_tags(&*repository, &["v1"]).await
}

async fn after_the_commit_a_peer_has_all_of_it(context: &Context) -> Verdict {
    let (repository, peer) = (context.repository().await?, context.peer().await?);
    has_tags(&*peer, &[]).await?;
    let image = committed(&repository).await?;
    is_there(&*peer, &image, "v1").await?;
    has_tags(&*peer, &["v1"]).await
}

async fn referrers_of_a_batch_are_listed(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("signed").build();
    let signature = Image::new("signature")
        .with_artifact_type("application/vnd.example.signature")
        .with_subject(image.descriptor())
        .build();
    let batch = begin(&repository)?;
    push_tagged(&batch, &image, "v1").await?;
    push_image(&batch, &signature).await?;
    let expected = digests([signature.descriptor()]);
    let listed = referrers(&batch, image.descriptor()).await?;
    check::equal(
        "the referrers in the batch",
        digests(&listed),
        expected.clone(),
    )?;
    commit(batch).await?;
    let listed = referrers(&*repository, image.descriptor()).await?;
    check::equal("the referrers", digests(&listed), expected)
}

async fn a_blob_is_mounted_in_a_batch(context: &Context) -> Verdict {
    let origin = context.another_repository("origin").await?;
    let target = context.another_repository("target").await?;
    let image = Image::new("mounted").build();
    for blob in image.blobs() {
        push(&*origin, blob).await?;
    }
    let batch = begin(&target)?;
    let view: &dyn Repository = &batch;
    for blob in image.blobs() {
        let outcome = view.mount(blob.descriptor(), origin.name(), None).await;
        let outcome = check::succeeds("mounting", outcome)?;
        check::equal("the outcome", outcome, PushOutcome::Mounted)?;
        check::holds(view, blob).await?;
    }
    let absent = Item::blob("absent");
    let refused = view.mount(absent.descriptor(), origin.name(), None).await;
    check::not_found("mounting an absent blob", refused)?;
    push_tagged(view, &image, "v1").await?;
    commit(batch).await?;
    is_there(&*target, &image, "v1").await
}

async fn as_many_pushes_as_a_batch_has_use_for_are_kept(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blobs: Vec<Item> = (0..12).map(|n| Item::noise(100 + n, 200_000)).collect();
    let batch = begin(&repository)?;
    let bound = batch.concurrency().unwrap_or(6);
    check::that(bound > 0, "a batch that has use for no push is of no use")?;
    let view = &batch;
    for at_once in blobs.chunks(bound) {
        try_join_all(at_once.iter().map(|blob| push(view, blob))).await?;
    }
    commit(batch).await?;
    for blob in &blobs {
        check::holds(&*repository, blob).await?;
    }
    Ok(())
}

/// Pushes an image through each batch, and a blob that both have, and commits both at once.
async fn race(one: Box<dyn Batch + '_>, other: Box<dyn Batch + '_>) -> Verdict<[Packed; 2]> {
    let images = [Image::new("one").build(), Image::new("other").build()];
    let shared = Item::noise(2, 200_000);
    for (batch, image, tag) in [(&one, &images[0], "one"), (&other, &images[1], "other")] {
        push(&batch, &shared).await?;
        push_tagged(&batch, image, tag).await?;
    }
    let (first, second) = join(one.commit(), other.commit()).await;
    check::succeeds("the one commit", first)?;
    check::succeeds("the other commit", second)?;
    Ok(images)
}

async fn has_both(repository: &Repo, images: &[Packed; 2]) -> Verdict {
    is_there(&**repository, &images[0], "one").await?;
    is_there(&**repository, &images[1], "other").await?;
    has_tags(&**repository, &["one", "other"]).await
}

async fn two_batches_at_the_same_time_lose_nothing(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let images = race(begin(&repository)?, begin(&repository)?).await?;
    has_both(&repository, &images).await
}

async fn batches_of_two_handles_lose_nothing(context: &Context) -> Verdict {
    let (repository, peer) = (context.repository().await?, context.peer().await?);
    let images = race(begin(&repository)?, begin(&peer)?).await?;
    has_both(&repository, &images).await?;
    has_both(&peer, &images).await
}

async fn what_others_do_meanwhile_is_kept(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (mine, theirs) = (Image::new("mine").build(), Image::new("theirs").build());
    let batch = begin(&repository)?;
    push_tagged(&batch, &mine, "mine").await?;
    push_tagged(&*repository, &theirs, "theirs").await?;
    repository
        .tag(theirs.descriptor(), &"also".parse()?)
        .await?;
    commit(batch).await?;
    is_there(&*repository, &mine, "mine").await?;
    is_there(&*repository, &theirs, "theirs").await?;
    has_tags(&*repository, &["also", "mine", "theirs"]).await
}

async fn a_refused_push_does_not_spoil_the_batch(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("sound").build();
    let (expected, received) = (Item::blob("expected"), Item::blob("received"));
    let batch = begin(&repository)?;
    let view: &dyn Repository = &batch;
    let refused = view.push(expected.descriptor(), received.source()).await;
    check::refused(
        "pushing other content",
        refused,
        &[ErrorKind::DigestMismatch],
    )?;
    push_tagged(view, &image, "v1").await?;
    commit(batch).await?;
    is_there(&*repository, &image, "v1").await?;
    check::lacks(&*repository, expected.descriptor()).await
}
