//! Pushes of blobs from sources of many kinds. They are in the group of blobs.

use futures_util::TryStreamExt as _;
use tranship::{Algorithm, Body, Digester, ErrorKind, Presence, PushOptions, PushOutcome, Source};

use crate::check;
use crate::content::Item;
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::scenario::scenario_group;
use crate::source::{BreakingSource, GeneratedSource, SourceInPieces, UnopenedSource};
use crate::steps::{abandon_after, from, push, resized};

const MIB: u64 = 1024 * 1024;

scenario_group! { "blobs":
    a_large_blob_streams_through [Push]
        "64 MiB that are generated while they are read can be pushed, and read as a stream."
    a_large_blob_is_not_gathered_in_memory [Push]
        "While 64 MiB are pushed, no more than 16 MiB of the source are held at a time."
    a_source_of_tiny_pieces_is_put_together [Push]
        "A source whose pieces are empty, a byte or a few is stored as a whole."
    a_source_that_comes_once_is_enough [Push]
        "A source that cannot be opened again is stored if nothing goes wrong."
    a_file_is_a_source [Push]
        "A blob can be pushed from a file."
    changing_the_source_file_leaves_the_blob_alone [Push]
        "A file that is written to after it was pushed does not change the blob."
    a_blob_of_another_repository_is_a_source [Push Registry]
        "A blob can be pushed from another repository."
    pushing_again_does_not_read_the_source [Push]
        "Pushing content that is there succeeds, and its source is not opened."
    a_look_before_a_push_tells_what_is_stored [Push]
        "A look for a blob finds nothing before its push, and the blob after it if the size fits."
    a_push_after_a_look_stores_the_blob [Push]
        "A push that is told what a look has found stores the blob, or reads nothing if it is there."
    a_resumable_push_can_break_and_be_repeated [Push]
        "A resumable push that breaks, or is dropped, stores nothing, and can be repeated."
    a_resumable_push_starts_over_after_wrong_bytes [Push]
        "Wrong bytes of a resumable push do not get into the blob that a later push stores."
}

async fn a_large_blob_streams_through(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let large = GeneratedSource::new(1, 64 * MIB);
    let descriptor = large.descriptor(Algorithm::Sha256);
    let pushed = repository.push(&descriptor, large.source()).await;
    check::succeeds("pushing 64 MiB", pushed)?;

    // The body is unchecked, so that it is the backend and not `Content` that must be right.
    let body = repository.fetch(&descriptor).await?.into_body();
    let hashed = body.into_stream().try_fold(
        (Digester::new(Algorithm::Sha256), 0),
        |(mut digester, size), piece| {
            digester.update(&piece);
            std::future::ready(Ok((digester, size + piece.len() as u64)))
        },
    );
    let (digester, size) = check::succeeds("reading 64 MiB", hashed.await)?;
    check::equal("the number of bytes read back", size, 64 * MIB)?;
    check::equal(
        "the digest of the bytes that are read",
        digester.finish(),
        *descriptor.digest(),
    )
}

async fn a_large_blob_is_not_gathered_in_memory(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let large = GeneratedSource::new(2, 64 * MIB);
    let descriptor = large.descriptor(Algorithm::Sha256);
    let pushed = repository.push(&descriptor, large.source()).await;
    check::succeeds("pushing 64 MiB", pushed)?;
    let peak = large.peak();
    check::that(
        peak <= 16 * 1024 * 1024,
        format!("{peak} bytes of the source were held at the same time"),
    )
}

async fn a_source_of_tiny_pieces_is_put_together(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(3, 5000);
    let origin = SourceInPieces {
        bytes: item.bytes().clone(),
        lengths: &[1, 0, 0, 7, 2, 0, 100],
    };
    let pushed = repository.push(item.descriptor(), from(&origin)).await;
    check::succeeds("pushing in tiny pieces", pushed)?;
    check::holds(&*repository, &item).await
}

async fn a_source_that_comes_once_is_enough(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(4, 100_000);
    let once = Source::once(Body::from_bytes(item.bytes().clone()));
    check::succeeds(
        "pushing once",
        repository.push(item.descriptor(), once).await,
    )?;
    check::holds(&*repository, &item).await
}

/// A file with `bytes`, which is deleted when it is dropped.
fn file_of(bytes: &[u8]) -> Verdict<tempfile::NamedTempFile> {
    let trouble = |error| Failure::new(format!("no temporary file: {error}"));
    let file = tempfile::NamedTempFile::new().map_err(trouble)?;
    std::fs::write(file.path(), bytes).map_err(trouble)?;
    Ok(file)
}

async fn a_file_is_a_source(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(5, 600_000);
    let file = file_of(item.bytes())?;
    let pushed = repository
        .push(item.descriptor(), Source::file(file.path()))
        .await;
    check::succeeds("pushing a file", pushed)?;
    drop(file);
    check::holds(&*repository, &item).await
}

async fn changing_the_source_file_leaves_the_blob_alone(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(6, 10_000);
    let file = file_of(item.bytes())?;
    let pushed = repository
        .push(item.descriptor(), Source::file(file.path()))
        .await;
    check::succeeds("pushing a file", pushed)?;
    std::fs::write(file.path(), "something else")
        .map_err(|error| Failure::new(format!("the source cannot be written: {error}")))?;
    check::holds(&*repository, &item).await
}

async fn a_blob_of_another_repository_is_a_source(context: &Context) -> Verdict {
    let (here, there) = (
        context.another_repository("here").await?,
        context.another_repository("there").await?,
    );
    let item = Item::noise(7, 300_000);
    push(&*there, &item).await?;
    let source = Source::stored(&*there, item.descriptor());
    check::succeeds(
        "pushing from a repository",
        here.push(item.descriptor(), source).await,
    )?;
    check::holds(&*here, &item).await
}

async fn pushing_again_does_not_read_the_source(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::blob("there already");
    push(&*repository, &item).await?;
    let again = repository
        .push(item.descriptor(), from(&UnopenedSource))
        .await;
    check::succeeds("pushing a stored blob", again)?;
    let again = repository
        .blobs()
        .push(item.descriptor(), from(&UnopenedSource))
        .await;
    check::succeeds("pushing a stored blob to the blob store", again)?;
    check::holds(&*repository, &item).await
}

async fn a_look_before_a_push_tells_what_is_stored(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blobs = repository.blobs();
    let item = Item::blob("looked for");
    let found = blobs.presence(item.descriptor()).await?;
    check::equal("before the push", found, Presence::Absent)?;
    push(&*repository, &item).await?;
    let found = blobs.presence(item.descriptor()).await?;
    check::equal("after the push", found, Presence::Whole)?;
    let found = blobs.presence(&resized(item.descriptor(), 1000)).await?;
    check::that(
        found != Presence::Whole,
        "a blob of another size is found to be whole",
    )
}

async fn a_push_after_a_look_stores_the_blob(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blobs = repository.blobs();
    let item = Item::noise(21, 100_000);
    let found = blobs.presence(item.descriptor()).await?;
    let options = PushOptions::default().with_found(found);
    let pushed = blobs.push_with(item.descriptor(), item.source(), &options);
    let outcome = check::succeeds("pushing after a look", pushed.await)?;
    check::equal("the outcome", outcome, PushOutcome::Pushed)?;
    check::holds(&*repository, &item).await?;
    for options in [
        PushOptions::default(),
        PushOptions::default().with_found(blobs.presence(item.descriptor()).await?),
    ] {
        let again = blobs.push_with(item.descriptor(), from(&UnopenedSource), &options);
        check::succeeds("pushing a stored blob", again.await)?;
    }
    check::holds(&*repository, &item).await
}

async fn a_resumable_push_can_break_and_be_repeated(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blobs = repository.blobs();
    let options = PushOptions::default().with_resumable(true);
    for (seed, size) in [(22, 100_000), (23, 4_000_000)] {
        let item = Item::noise(seed, size);
        let broken = BreakingSource(item.bytes().slice(..size * 3 / 4));
        let pushed = blobs.push_with(item.descriptor(), from(&broken), &options);
        check::refused(
            "pushing from a broken source",
            pushed.await,
            &[ErrorKind::Aborted],
        )?;
        check::lacks(&*repository, item.descriptor()).await?;
        let pushed = blobs.push_with(item.descriptor(), item.source(), &options);
        abandon_after(3, pushed).await;
        let pushed = blobs.push_with(item.descriptor(), item.source(), &options);
        check::succeeds("pushing again", pushed.await)?;
        check::holds(&*repository, &item).await?;
    }
    Ok(())
}

async fn a_resumable_push_starts_over_after_wrong_bytes(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blobs = repository.blobs();
    let options = PushOptions::default().with_resumable(true);
    let (item, other) = (Item::noise(24, 4_000_000), Item::noise(25, 4_000_000));
    let broken = BreakingSource(other.bytes().slice(..3_000_000));
    let pushed = blobs.push_with(item.descriptor(), from(&broken), &options);
    check::refused(
        "pushing from a broken source",
        pushed.await,
        &[ErrorKind::Aborted],
    )?;
    let pushed = blobs.push_with(item.descriptor(), other.source(), &options);
    // Not every registry says why it refuses content.
    check::refused(
        "pushing other content",
        pushed.await,
        &[ErrorKind::DigestMismatch, ErrorKind::InvalidInput],
    )?;
    check::lacks(&*repository, item.descriptor()).await?;
    let broken = BreakingSource(other.bytes().slice(..3_000_000));
    let pushed = blobs.push_with(item.descriptor(), from(&broken), &options);
    check::refused(
        "pushing from a broken source again",
        pushed.await,
        &[ErrorKind::Aborted],
    )?;
    let pushed = blobs.push_with(item.descriptor(), item.source(), &options);
    check::succeeds("pushing the right content", pushed.await)?;
    check::holds(&*repository, &item).await
}
