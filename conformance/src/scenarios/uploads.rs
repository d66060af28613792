//! Uploads in pieces: started, written, resumed by their id, committed or cancelled.

use bytes::Bytes;
use tranship::{Algorithm, Descriptor, ErrorKind, MediaType, Repository, Upload, UploadId};

use crate::check;
use crate::content::Item;
use crate::context::{Context, Repo};
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::steps::{push, resized};

scenario_group! { "uploads":
    an_upload_in_one_write_becomes_a_blob [Push Uploads]
        "The written bytes become a blob when they are committed."
    an_upload_in_many_writes_becomes_a_blob [Push Uploads]
        "Writes of one byte, of a megabyte and of nothing are put together."
    an_upload_of_nothing_becomes_the_empty_blob [Push Uploads]
        "An upload without a write can be committed as the empty blob."
    an_upload_named_by_sha384_becomes_a_blob [Push Uploads Sha384]
        "An upload can be committed under a sha384 digest."
    an_upload_named_by_sha512_becomes_a_blob [Push Uploads Sha512]
        "An upload can be committed under a sha512 digest, although it began without one."
    what_is_uploaded_is_not_there_before_the_commit [Push Uploads]
        "The blob does not exist until the commit, however much has been written."
    an_upload_says_how_much_has_arrived [Push Uploads]
        "The offset is the number of bytes written."
    a_dropped_upload_can_be_resumed [Push Uploads]
        "An upload that was dropped is resumed by its id, where it stopped."
    an_upload_can_be_resumed_many_times [Push Uploads]
        "Each write can be made by another holder of the id."
    an_upload_that_was_not_written_can_be_resumed [Push Uploads]
        "An upload can be resumed before its first write."
    a_resumed_upload_can_be_committed_at_once [Push Uploads]
        "What had arrived before is committed without another write."
    a_paused_upload_can_be_continued [Push Uploads]
        "Pausing an upload, twice and before its first write too, changes nothing about it."
    a_write_at_a_wrong_offset_is_refused [Push Uploads]
        "A write after or before the offset is refused, and the upload can continue."
    a_commit_of_another_digest_ends_the_upload [Push Uploads]
        "A commit under a wrong digest fails, nothing appears, and the upload is over."
    a_commit_of_another_size_ends_the_upload [Push Uploads]
        "A commit with more or fewer bytes than have arrived fails, and the upload is over."
    two_uploads_of_one_blob_both_succeed [Push Uploads]
        "Two uploads of the same content can both be committed."
    a_blob_that_is_there_can_be_uploaded [Push Uploads]
        "Committing content that is there already succeeds."
    a_failed_commit_leaves_other_content_alone [Push Uploads]
        "A commit that fails does not touch a blob that has the digest already."
}

pub(super) async fn start(repository: &Repo) -> Verdict<Box<dyn Upload>> {
    check::succeeds("starting an upload", repository.blobs().start().await)
}

/// Drops `upload`, and takes it up again by its id.
pub(super) async fn resume(repository: &Repo, upload: Box<dyn Upload>) -> Verdict<Box<dyn Upload>> {
    let id = upload.id().clone();
    drop(upload);
    check::succeeds("resuming", repository.blobs().resume(&id).await)
}

pub(super) async fn write(upload: &mut dyn Upload, bytes: impl Into<Bytes>) -> Verdict {
    let offset = upload.offset();
    let written = upload.write(offset, bytes.into()).await;
    check::succeeds(&format!("writing at {offset}"), written)
}

pub(super) async fn is_over(repository: &Repo, id: &UploadId, why: &str) -> Verdict {
    let resumed = repository.blobs().resume(id).await;
    check::not_found(
        &format!("resuming an upload that {why}"),
        resumed.map(|_| ()),
    )
}

/// Uploads `item` in one write and commits it.
async fn whole(context: &Context, item: &Item) -> Verdict {
    let repository = context.repository().await?;
    let mut upload = start(&repository).await?;
    write(&mut *upload, item.bytes().clone()).await?;
    check::succeeds("committing", upload.commit(item.descriptor()).await)?;
    check::holds(&*repository, item).await
}

async fn an_upload_in_one_write_becomes_a_blob(context: &Context) -> Verdict {
    whole(context, &Item::noise(1, 100_000)).await
}

async fn an_upload_in_many_writes_becomes_a_blob(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(2, 3_000_000);
    let mut upload = start(&repository).await?;
    let mut rest = item.bytes().clone();
    for length in [1, 0, 9, 1_000_000, 65_536, 1_500_000] {
        write(&mut *upload, rest.split_to(length)).await?;
    }
    write(&mut *upload, rest).await?;
    check::succeeds("committing", upload.commit(item.descriptor()).await)?;
    check::holds(&*repository, &item).await
}

async fn an_upload_of_nothing_becomes_the_empty_blob(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let empty = Item::blob("");
    let upload = start(&repository).await?;
    check::succeeds(
        "committing nothing",
        upload.commit(empty.descriptor()).await,
    )?;
    check::holds(&*repository, &empty).await
}

async fn an_upload_named_by_sha384_becomes_a_blob(context: &Context) -> Verdict {
    let item = Item::named_by(Algorithm::Sha384, MediaType::OCTET_STREAM, "by sha384");
    whole(context, &item).await
}

async fn an_upload_named_by_sha512_becomes_a_blob(context: &Context) -> Verdict {
    let item = Item::named_by(Algorithm::Sha512, MediaType::OCTET_STREAM, "by sha512");
    whole(context, &item).await
}

async fn what_is_uploaded_is_not_there_before_the_commit(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(3, 500_000);
    let mut upload = start(&repository).await?;
    write(&mut *upload, item.bytes().slice(..250_000)).await?;
    check::lacks(&*repository, item.descriptor()).await?;
    write(&mut *upload, item.bytes().slice(250_000..)).await?;
    check::lacks(&*repository, item.descriptor()).await?;
    upload.commit(item.descriptor()).await?;
    check::holds(&*repository, &item).await
}

async fn an_upload_says_how_much_has_arrived(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let mut upload = start(&repository).await?;
    check::equal("the offset at the start", upload.offset(), 0)?;
    write(&mut *upload, "hello").await?;
    check::equal("the offset", upload.offset(), 5)?;
    write(&mut *upload, "").await?;
    check::equal("the offset after nothing", upload.offset(), 5)?;
    upload = resume(&repository, upload).await?;
    check::equal("the offset when resumed", upload.offset(), 5)?;
    write(&mut *upload, " world").await?;
    check::equal("the offset at the end", upload.offset(), 11)?;
    check::succeeds("cancelling", upload.cancel().await)
}

async fn a_dropped_upload_can_be_resumed(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(4, 300_000);
    let mut upload = start(&repository).await?;
    write(&mut *upload, item.bytes().slice(..123_456)).await?;
    let mut upload = resume(&repository, upload).await?;
    check::equal("the offset", upload.offset(), 123_456)?;
    write(&mut *upload, item.bytes().slice(123_456..)).await?;
    check::succeeds("committing", upload.commit(item.descriptor()).await)?;
    check::holds(&*repository, &item).await
}

async fn an_upload_can_be_resumed_many_times(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(5, 100_000);
    let mut upload = start(&repository).await?;
    for number in 0..10 {
        let part = item.bytes().slice(number * 10_000..(number + 1) * 10_000);
        write(&mut *upload, part).await?;
        upload = resume(&repository, upload).await?;
    }
    check::succeeds("committing", upload.commit(item.descriptor()).await)?;
    check::holds(&*repository, &item).await
}

async fn an_upload_that_was_not_written_can_be_resumed(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::blob("after a pause");
    let mut upload = start(&repository).await?;
    upload = resume(&repository, upload).await?;
    check::equal("the offset", upload.offset(), 0)?;
    write(&mut *upload, item.bytes().clone()).await?;
    check::succeeds("committing", upload.commit(item.descriptor()).await)?;
    check::holds(&*repository, &item).await
}

async fn a_resumed_upload_can_be_committed_at_once(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(6, 200_000);
    let mut upload = start(&repository).await?;
    write(&mut *upload, item.bytes().clone()).await?;
    let upload = resume(&repository, upload).await?;
    check::succeeds("committing", upload.commit(item.descriptor()).await)?;
    check::holds(&*repository, &item).await
}

async fn a_write_at_a_wrong_offset_is_refused(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::blob("hello world");
    let mut upload = start(&repository).await?;
    write(&mut *upload, "hello").await?;
    for offset in [0, 4, 6, u64::MAX] {
        let written = upload.write(offset, Bytes::from_static(b"!")).await;
        let what = format!("writing at {offset} instead of 5");
        check::refused(&what, written, &[ErrorKind::RangeInvalid])?;
        check::equal("the offset afterwards", upload.offset(), 5)?;
    }
    write(&mut *upload, " world").await?;
    check::succeeds("committing", upload.commit(item.descriptor()).await)?;
    check::holds(&*repository, &item).await
}

/// A commit of "received" as `claimed` fails, and nothing is left.
async fn commit_fails(context: &Context, claimed: &Descriptor, kinds: &[ErrorKind]) -> Verdict {
    let repository = context.repository().await?;
    let mut upload = start(&repository).await?;
    let id = upload.id().clone();
    write(&mut *upload, "received").await?;
    let what = format!("committing 8 other bytes as {claimed}");
    check::refused(&what, upload.commit(claimed).await, kinds)?;
    check::lacks(&*repository, claimed).await?;
    check::lacks(&*repository, Item::blob("received").descriptor()).await?;
    is_over(&repository, &id, "failed to commit").await
}

async fn a_commit_of_another_digest_ends_the_upload(context: &Context) -> Verdict {
    let claimed = Item::blob("expected");
    commit_fails(context, claimed.descriptor(), &[ErrorKind::DigestMismatch]).await
}

async fn a_commit_of_another_size_ends_the_upload(context: &Context) -> Verdict {
    let received = Item::blob("received");
    let kinds = [ErrorKind::SizeMismatch];
    for size in [0, 7, 9, 1 << 62] {
        commit_fails(context, &resized(received.descriptor(), size), &kinds).await?;
    }
    Ok(())
}

async fn two_uploads_of_one_blob_both_succeed(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(8, 200_000);
    let (mut one, mut two) = (start(&repository).await?, start(&repository).await?);
    write(&mut *one, item.bytes().clone()).await?;
    write(&mut *two, item.bytes().clone()).await?;
    let (one, two) = tokio::join!(one.commit(item.descriptor()), two.commit(item.descriptor()));
    check::succeeds("committing one", one)?;
    check::succeeds("committing the other", two)?;
    check::holds(&*repository, &item).await
}

async fn a_blob_that_is_there_can_be_uploaded(context: &Context) -> Verdict {
    let item = Item::noise(9, 100_000);
    push(&*context.repository().await?, &item).await?;
    whole(context, &item).await
}

async fn a_failed_commit_leaves_other_content_alone(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::blob("expected");
    push(&*repository, &item).await?;
    let mut upload = start(&repository).await?;
    write(&mut *upload, "received").await?;
    // A stored blob of this digest is a success, but these bytes have another one.
    check::refused(
        "committing other bytes as a blob that is there",
        upload.commit(item.descriptor()).await,
        &[ErrorKind::DigestMismatch],
    )?;
    check::holds(&*repository, &item).await
}

async fn a_paused_upload_can_be_continued(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let mut upload = start(&repository).await?;
    for (offset, chunk) in [(0, "hel"), (3, "lo"), (5, "")] {
        for _ in 0..2 {
            check::succeeds("pausing an upload", upload.pause().await)?;
        }
        check::equal("the offset of a paused upload", upload.offset(), offset)?;
        let chunk = Bytes::from_static(chunk.as_bytes());
        check::succeeds("a write after a pause", upload.write(offset, chunk).await)?;
    }
    check::succeeds("pausing an upload", upload.pause().await)?;
    let blob = Item::blob("hello");
    let committed = upload.commit(blob.descriptor()).await;
    check::succeeds("a commit after a pause", committed)?;
    check::holds(&*repository, &blob).await
}
