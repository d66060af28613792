//! Mounts: a blob of one repository made to appear in another.

use tranship::{Descriptor, ErrorKind, Mounter, PushOutcome, Repository, Source};

use crate::check;
use crate::content::Item;
use crate::context::{Context, Repo};
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::source::{BreakingSource, UnopenedSource};
use crate::steps::{from, push, resized};

scenario_group! { "mounts":
    a_present_blob_is_mounted [Push Registry Mount]
        "A blob of another repository is mounted, and is read unchanged."
    a_mount_does_not_read_its_fallback [Push Registry Mount]
        "A mount that works does not open the fallback."
    a_mount_can_be_repeated [Push Registry Mount]
        "Mounting a blob that is there already succeeds."
    a_blob_can_be_mounted_from_its_own_repository [Push Registry Mount]
        "Mounting a blob from the repository itself succeeds and changes nothing."
    an_empty_blob_can_be_mounted [Push Registry Mount]
        "A blob of no bytes can be mounted."
    an_absent_blob_is_not_mounted [Push Registry Mount]
        "Mounting a blob that the other repository lacks fails with NotFound, and nothing appears."
    an_unknown_repository_mounts_nothing [Push Registry Mount]
        "Mounting from a repository that does not exist fails with NotFound."
    a_blob_of_another_size_is_not_mounted [Push Registry Mount]
        "Mounting by a descriptor of the wrong size fails."
    a_fallback_is_pushed_where_nothing_can_be_mounted [Push Registry Mount]
        "Where the other repository lacks the blob, the fallback's content is pushed."
    a_fallback_is_pushed_for_an_unknown_repository [Push Registry Mount]
        "Where the other repository does not exist, the fallback's content is pushed."
    what_is_there_is_not_read_from_a_fallback [Push Registry Mount]
        "Where nothing can be mounted, the fallback of a blob that is there already is not opened."
    a_wrong_fallback_is_refused [Push Registry Mount]
        "A fallback with other content is refused, and nothing appears."
    a_broken_fallback_fails_the_mount [Push Registry Mount]
        "An error of the fallback is the error of the mount, and nothing appears."
    a_mounted_blob_outlives_its_origin [Push Registry Mount DeleteBlobs]
        "A mounted blob stays when it is deleted where it came from."
    an_origin_outlives_the_mounted_blob [Push Registry Mount DeleteBlobs]
        "Deleting a mounted blob leaves it where it came from."
    repositories_of_a_registry_share_its_identity [Registry]
        "Repositories between which blobs can be mounted say that they are of one registry."
}

struct Pair {
    origin: Repo,
    target: Repo,
}

impl Pair {
    async fn open(context: &Context) -> Verdict<Self> {
        Ok(Self {
            origin: context.another_repository("origin").await?,
            target: context.another_repository("target").await?,
        })
    }

    async fn with(context: &Context, item: &Item) -> Verdict<Self> {
        let pair = Self::open(context).await?;
        push(&*pair.origin, item).await?;
        Ok(pair)
    }

    async fn mount(
        &self,
        blob: &Descriptor,
        fallback: Option<Source<'_>>,
    ) -> Verdict<tranship::Result<PushOutcome>> {
        Ok(self.target.mount(blob, self.origin.name(), fallback).await)
    }
}

async fn is_mounted(pair: &Pair, item: &Item) -> Verdict {
    let outcome = pair.mount(item.descriptor(), None).await?;
    let outcome = check::succeeds("mounting", outcome)?;
    check::equal("the outcome", outcome, PushOutcome::Mounted)?;
    check::holds(&*pair.target, item).await
}

async fn a_present_blob_is_mounted(context: &Context) -> Verdict {
    let item = Item::noise(1, 100_000);
    let pair = Pair::with(context, &item).await?;
    check::lacks(&*pair.target, item.descriptor()).await?;
    is_mounted(&pair, &item).await?;
    check::holds(&*pair.origin, &item).await
}

async fn a_mount_does_not_read_its_fallback(context: &Context) -> Verdict {
    let item = Item::blob("present");
    let pair = Pair::with(context, &item).await?;
    let outcome = pair
        .mount(item.descriptor(), Some(from(&UnopenedSource)))
        .await?;
    let outcome = check::succeeds("mounting with a fallback", outcome)?;
    check::equal("the outcome", outcome, PushOutcome::Mounted)?;
    check::holds(&*pair.target, &item).await
}

async fn a_mount_can_be_repeated(context: &Context) -> Verdict {
    let item = Item::blob("mounted twice");
    let pair = Pair::with(context, &item).await?;
    is_mounted(&pair, &item).await?;
    let again = pair.mount(item.descriptor(), None).await?;
    check::succeeds("mounting again", again)?;
    check::holds(&*pair.target, &item).await
}

async fn a_blob_can_be_mounted_from_its_own_repository(context: &Context) -> Verdict {
    let item = Item::blob("at home");
    let Pair { origin, .. } = Pair::with(context, &item).await?;
    let mounted = origin.mount(item.descriptor(), origin.name(), None).await;
    check::succeeds("mounting from itself", mounted)?;
    check::holds(&*origin, &item).await
}

async fn an_empty_blob_can_be_mounted(context: &Context) -> Verdict {
    let item = Item::blob("");
    is_mounted(&Pair::with(context, &item).await?, &item).await
}

async fn an_absent_blob_is_not_mounted(context: &Context) -> Verdict {
    let absent = Item::blob("absent");
    let pair = Pair::with(context, &Item::blob("another")).await?;
    let mounted = pair.mount(absent.descriptor(), None).await?;
    check::not_found("mounting an absent blob", mounted)?;
    check::lacks(&*pair.target, absent.descriptor()).await
}

async fn an_unknown_repository_mounts_nothing(context: &Context) -> Verdict {
    let absent = Item::blob("nowhere");
    let pair = Pair::open(context).await?;
    let mounted = pair.mount(absent.descriptor(), None).await?;
    check::not_found("mounting from an unknown repository", mounted)?;
    check::lacks(&*pair.target, absent.descriptor()).await
}

async fn a_blob_of_another_size_is_not_mounted(context: &Context) -> Verdict {
    let item = Item::blob("of a size");
    let pair = Pair::with(context, &item).await?;
    let wrong = resized(item.descriptor(), 1000);
    check::refused(
        "mounting by a wrong size",
        pair.mount(&wrong, None).await?,
        &[ErrorKind::NotFound, ErrorKind::SizeMismatch],
    )?;
    check::lacks(&*pair.target, &wrong).await
}

async fn is_pushed(pair: &Pair, item: &Item) -> Verdict {
    let outcome = pair.mount(item.descriptor(), Some(item.source())).await?;
    let outcome = check::succeeds("mounting with a fallback", outcome)?;
    check::equal("the outcome", outcome, PushOutcome::Pushed)?;
    check::holds(&*pair.target, item).await?;
    check::lacks(&*pair.origin, item.descriptor()).await
}

async fn a_fallback_is_pushed_where_nothing_can_be_mounted(context: &Context) -> Verdict {
    let item = Item::noise(2, 100_000);
    is_pushed(&Pair::with(context, &Item::blob("another")).await?, &item).await
}

async fn a_fallback_is_pushed_for_an_unknown_repository(context: &Context) -> Verdict {
    is_pushed(&Pair::open(context).await?, &Item::blob("fallback")).await
}

async fn what_is_there_is_not_read_from_a_fallback(context: &Context) -> Verdict {
    let item = Item::blob("not sent again");
    let pair = Pair::open(context).await?;
    push(&*pair.target, &item).await?;
    let outcome = pair
        .mount(item.descriptor(), Some(from(&UnopenedSource)))
        .await?;
    let outcome = check::succeeds("mounting a stored blob", outcome)?;
    check::that(
        outcome != PushOutcome::Pushed,
        "a stored blob was pushed again",
    )?;
    check::holds(&*pair.target, &item).await
}

async fn a_wrong_fallback_is_refused(context: &Context) -> Verdict {
    let (item, other) = (Item::blob("expected"), Item::blob("received"));
    let pair = Pair::open(context).await?;
    check::refused(
        "mounting with a wrong fallback",
        pair.mount(item.descriptor(), Some(other.source())).await?,
        &[ErrorKind::DigestMismatch],
    )?;
    check::lacks(&*pair.target, item.descriptor()).await
}

async fn a_broken_fallback_fails_the_mount(context: &Context) -> Verdict {
    let item = Item::noise(3, 100_000);
    let pair = Pair::open(context).await?;
    let broken = BreakingSource(item.bytes().slice(..50_000));
    check::refused(
        "mounting with a broken fallback",
        pair.mount(item.descriptor(), Some(from(&broken))).await?,
        &[ErrorKind::Aborted],
    )?;
    check::lacks(&*pair.target, item.descriptor()).await
}

async fn a_mounted_blob_outlives_its_origin(context: &Context) -> Verdict {
    let item = Item::noise(4, 100_000);
    let pair = Pair::with(context, &item).await?;
    is_mounted(&pair, &item).await?;
    pair.origin.delete(item.descriptor()).await?;
    check::lacks(&*pair.origin, item.descriptor()).await?;
    check::holds(&*pair.target, &item).await
}

async fn an_origin_outlives_the_mounted_blob(context: &Context) -> Verdict {
    let item = Item::noise(5, 100_000);
    let pair = Pair::with(context, &item).await?;
    is_mounted(&pair, &item).await?;
    pair.target.delete(item.descriptor()).await?;
    check::lacks(&*pair.target, item.descriptor()).await?;
    check::holds(&*pair.origin, &item).await
}

async fn repositories_of_a_registry_share_its_identity(context: &Context) -> Verdict {
    let pair = Pair::open(context).await?;
    let identity = Some(context.registry()?.identity());
    check::equal("the origin's registry", pair.origin.registry(), identity)?;
    check::equal("the target's registry", pair.target.registry(), identity)
}
