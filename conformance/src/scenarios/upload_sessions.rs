//! Uploads as sessions: their ids, concurrent use, and their end.

use bytes::Bytes;
use tranship::{ErrorKind, UploadId};

use super::uploads::{is_over, resume, start, write};
use crate::check;
use crate::content::{Image, Item};
use crate::context::Context;
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::steps::{abandon_after, push, push_image};

scenario_group! { "upload_sessions":
    a_committed_upload_is_over [Push Uploads]
        "A committed upload cannot be resumed."
    a_cancelled_upload_is_over [Push Uploads]
        "A cancelled upload cannot be resumed, and nothing of it appears."
    an_upload_that_was_not_written_can_be_cancelled [Push Uploads]
        "An upload can be cancelled before its first write."
    an_unknown_upload_is_not_found [Push Uploads]
        "An id that was never given out does not resume anything."
    a_hostile_id_is_not_found [Push Uploads]
        "Ids such as `../../x` are unknown like any other, and lead nowhere."
    an_upload_of_another_repository_is_not_found [Push Uploads Registry]
        "An id of one repository does not resume anything in another."
    two_uploads_do_not_mix [Push Uploads]
        "Two uploads have two ids, and each keeps its own bytes."
    two_writers_cannot_mix_their_bytes [Push Uploads]
        "A second holder of an id is refused, or what both write is never mixed."
    a_dropped_write_can_be_made_good [Push Uploads]
        "After a write that was dropped, the upload continues at the offset that it returns."
}

async fn a_committed_upload_is_over(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::blob("committed");
    let mut upload = start(&repository).await?;
    let id = upload.id().clone();
    write(&mut *upload, item.bytes().clone()).await?;
    check::succeeds("committing", upload.commit(item.descriptor()).await)?;
    is_over(&repository, &id, "was committed").await
}

async fn a_cancelled_upload_is_over(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(7, 300_000);
    let mut upload = start(&repository).await?;
    let id = upload.id().clone();
    write(&mut *upload, item.bytes().clone()).await?;
    check::succeeds("cancelling", upload.cancel().await)?;
    is_over(&repository, &id, "was cancelled").await?;
    check::lacks(&*repository, item.descriptor()).await
}

async fn an_upload_that_was_not_written_can_be_cancelled(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let upload = start(&repository).await?;
    let id = upload.id().clone();
    let upload = resume(&repository, upload).await?;
    check::succeeds("cancelling", upload.cancel().await)?;
    is_over(&repository, &id, "was cancelled").await
}

async fn an_unknown_upload_is_not_found(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    for id in ["1", "unknown", "00000000-0000-0000-0000-000000000000"] {
        is_over(&repository, &UploadId::new(id), "never was").await?;
    }
    Ok(())
}

async fn a_hostile_id_is_not_found(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    push_image(&*repository, &Image::new("kept").build()).await?;
    let long = "x".repeat(70_000);
    for id in [
        "",
        ".",
        "..",
        "/",
        "../../x",
        "../index.json",
        "/etc/passwd",
        "a/../../b",
        "a\0b",
        "a\nb",
        "C:\\x",
        "%2e%2e%2fx",
        "é🚢",
        "*",
        "{}",
        &long,
    ] {
        is_over(
            &repository,
            &UploadId::new(id),
            &format!("is named {id:.20?}"),
        )
        .await?;
    }
    Ok(())
}

async fn an_upload_of_another_repository_is_not_found(context: &Context) -> Verdict {
    let here = context.another_repository("here").await?;
    let there = context.another_repository("there").await?;
    push(&*there, &Item::blob("makes the repository exist")).await?;
    let mut upload = start(&here).await?;
    let id = upload.id().clone();
    write(&mut *upload, "secret").await?;
    drop(upload);
    is_over(&there, &id, "is another repository's").await?;
    let upload = check::succeeds("resuming it here", here.blobs().resume(&id).await)?;
    check::succeeds("cancelling", upload.cancel().await)
}

async fn two_uploads_do_not_mix(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (left, right) = (Item::blob("left left"), Item::blob("right right"));
    let (mut one, mut two) = (start(&repository).await?, start(&repository).await?);
    check::that(one.id() != two.id(), "two uploads have the same id")?;
    write(&mut *one, "left").await?;
    write(&mut *two, "right").await?;
    one = resume(&repository, one).await?;
    write(&mut *two, " right").await?;
    write(&mut *one, " left").await?;
    check::succeeds("committing one", one.commit(left.descriptor()).await)?;
    check::succeeds("committing the other", two.commit(right.descriptor()).await)?;
    check::holds(&*repository, &left).await?;
    check::holds(&*repository, &right).await
}

async fn two_writers_cannot_mix_their_bytes(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let mut first = start(&repository).await?;
    write(&mut *first, "first").await?;
    let id = first.id().clone();
    let mut second = match repository.blobs().resume(&id).await {
        Ok(second) => second,
        Err(error) => {
            check::equal("the kind of error", error.kind(), ErrorKind::Conflict)?;
            // The first is not disturbed, and leaves the way free when it is dropped.
            write(&mut *first, " and last").await?;
            drop(first);
            let again = repository.blobs().resume(&id).await;
            let again = check::succeeds("resuming when the first is gone", again)?;
            let item = Item::blob("first and last");
            check::succeeds("committing", again.commit(item.descriptor()).await)?;
            return check::holds(&*repository, &item).await;
        }
    };
    // Where both are let in, only one can write at an offset.
    write(&mut *second, " second").await?;
    let late = first.write(5, Bytes::from_static(b" late")).await;
    let kinds = [ErrorKind::RangeInvalid, ErrorKind::Conflict];
    check::refused("writing where another has written", late, &kinds)?;
    drop(first);
    let item = Item::blob("first second");
    check::succeeds("committing", second.commit(item.descriptor()).await)?;
    check::holds(&*repository, &item).await
}

async fn a_dropped_write_can_be_made_good(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    for point in 0..10 {
        let item = Item::noise(100 + point, 2_000_000);
        let mut upload = start(&repository).await?;
        let polls = usize::try_from(point).unwrap_or_default();
        let done = abandon_after(polls, upload.write(0, item.bytes().clone())).await;
        let mut upload = resume(&repository, upload).await?;
        let arrived = usize::try_from(upload.offset()).unwrap_or(usize::MAX);
        check::that(
            arrived <= item.bytes().len(),
            "more has arrived than was written",
        )?;
        write(&mut *upload, item.bytes().slice(arrived..)).await?;
        check::succeeds("committing", upload.commit(item.descriptor()).await)?;
        check::holds(&*repository, &item).await?;
        if done.is_some() {
            break;
        }
    }
    Ok(())
}
