//! Blobs as they are stored, found and read.

use futures_util::TryStreamExt as _;
use tranship::{Algorithm, ErrorKind, MediaType, PushOutcome};

use crate::check;
use crate::content::{Image, Item};
use crate::context::Context;
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::source::UnopenedSource;
use crate::steps::{by_digest, by_tag, from, push, push_tagged, resized};

scenario_group! { "blobs":
    a_pushed_blob_reads_as_it_was [Push]
        "A blob that was pushed exists, and is read back byte for byte."
    an_empty_blob_is_content_like_any_other [Push]
        "A blob of no bytes can be pushed, found and read."
    a_blob_of_one_byte_is_kept [Push]
        "A blob of one byte can be pushed, found and read."
    sizes_around_buffer_boundaries_are_kept [Push]
        "Blobs of 4 KiB, 8 KiB, 64 KiB, 256 KiB and 1 MiB, and a byte more or less, are kept."
    a_blob_named_by_sha384_is_kept [Push Sha384]
        "A blob under a sha384 digest can be pushed, found and read."
    a_blob_named_by_sha512_is_kept [Push Sha512]
        "A blob under a sha512 digest can be pushed, found and read."
    the_media_type_of_a_blob_does_not_matter [Push]
        "A blob is found whatever media type its descriptor has, short of a manifest's."
    a_descriptor_is_answered_with_the_content [Push]
        "Fetched content says what it is, and how long."
    what_was_never_pushed_is_not_there []
        "An absent blob does not exist, and cannot be fetched."
    a_wrong_size_names_nothing [Push]
        "A descriptor with the digest of a blob and another size names nothing."
    a_blob_resolves_by_its_digest [Push]
        "The blob store resolves a digest, to a descriptor of type application/octet-stream."
    a_blob_is_fetched_by_its_digest [Push]
        "The blob store reads content by digest alone."
    an_absent_blob_does_not_resolve []
        "The blob store resolves nothing that is not there."
    a_tag_is_no_blob [Push]
        "The blob store does not resolve tags."
    two_readers_do_not_disturb_each_other [Push]
        "A blob can be read twice at the same time, in turns."
}

async fn round_trip(context: &Context, item: &Item) -> Verdict {
    let repository = context.repository().await?;
    check::lacks(&*repository, item.descriptor()).await?;
    push(&*repository, item).await?;
    check::holds(&*repository, item).await?;
    check::holds(&*repository.blobs(), item).await
}

async fn a_pushed_blob_reads_as_it_was(context: &Context) -> Verdict {
    let every_byte: Vec<u8> = (0..=255).cycle().take(3000).collect();
    round_trip(context, &Item::blob(every_byte)).await
}

async fn an_empty_blob_is_content_like_any_other(context: &Context) -> Verdict {
    round_trip(context, &Item::blob("")).await
}

async fn a_blob_of_one_byte_is_kept(context: &Context) -> Verdict {
    round_trip(context, &Item::blob("\0")).await
}

async fn sizes_around_buffer_boundaries_are_kept(context: &Context) -> Verdict {
    for boundary in [4, 8, 64, 256, 1024].map(|kib| kib * 1024) {
        for size in [boundary - 1, boundary, boundary + 1] {
            // The checks name the size, as a part of the descriptor.
            round_trip(context, &Item::noise(1, size)).await?;
        }
    }
    Ok(())
}

async fn a_blob_named_by_sha384_is_kept(context: &Context) -> Verdict {
    let item = Item::named_by(Algorithm::Sha384, MediaType::OCTET_STREAM, "by sha384");
    round_trip(context, &item).await
}

async fn a_blob_named_by_sha512_is_kept(context: &Context) -> Verdict {
    let item = Item::named_by(Algorithm::Sha512, MediaType::OCTET_STREAM, "by sha512");
    round_trip(context, &item).await
}

async fn the_media_type_of_a_blob_does_not_matter(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let layer = Item::new(MediaType::IMAGE_LAYER_GZIP, "no gzip at all");
    push(&*repository, &layer).await?;
    let bytes = Item::blob(layer.bytes().clone());
    check::holds(&*repository, &bytes).await?;
    let again = repository
        .push(bytes.descriptor(), from(&UnopenedSource))
        .await;
    let outcome = check::succeeds("pushing it again as another type", again)?;
    check::equal("the outcome", outcome, PushOutcome::Present)
}

async fn a_descriptor_is_answered_with_the_content(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::blob("says what it is");
    push(&*repository, &item).await?;
    let content = repository.fetch(item.descriptor()).await?;
    check::same(
        "the fetched descriptor",
        content.descriptor(),
        item.descriptor(),
    )?;
    check::equal("the length", content.len(), item.descriptor().size())?;
    check::equal("the range of whole content", content.range(), None)
}

async fn what_was_never_pushed_is_not_there(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let absent = Item::blob("never pushed anywhere");
    check::lacks(&*repository, absent.descriptor()).await?;
    check::lacks(&*repository.blobs(), absent.descriptor()).await
}

async fn a_wrong_size_names_nothing(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::blob("eleven byte");
    push(&*repository, &item).await?;
    for size in [0, 10, 12, 1 << 62] {
        let wrong = resized(item.descriptor(), size);
        check::that(
            !repository.exists(&wrong).await?,
            format!("content of 11 bytes exists as {wrong}"),
        )?;
        let read = async { repository.fetch(&wrong).await?.bytes(u64::MAX).await };
        check::refused(
            &format!("reading 11 bytes as {size}"),
            read.await,
            &[ErrorKind::NotFound, ErrorKind::SizeMismatch],
        )?;
    }
    check::holds(&*repository, &item).await
}

async fn a_blob_resolves_by_its_digest(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::blob("by digest");
    push(&*repository, &item).await?;
    let resolved = repository
        .blobs()
        .resolve(&by_digest(item.descriptor()))
        .await;
    check::same(
        "the blob",
        &check::succeeds("resolving", resolved)?,
        item.descriptor(),
    )
}

async fn a_blob_is_fetched_by_its_digest(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::blob("fetched by digest");
    push(&*repository, &item).await?;
    let fetched = repository
        .blobs()
        .fetch_reference(&by_digest(item.descriptor()))
        .await;
    let content = check::succeeds("fetching by digest", fetched)?;
    check::same("the blob", content.descriptor(), item.descriptor())?;
    check::equal("the bytes", content.bytes(100).await?, item.bytes())
}

async fn an_absent_blob_does_not_resolve(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let digest = by_digest(Item::blob("absent").descriptor());
    check::not_found("resolving", repository.blobs().resolve(&digest).await)?;
    check::not_found(
        "fetching",
        repository.blobs().fetch_reference(&digest).await,
    )
}

async fn a_tag_is_no_blob(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("tagged").build();
    push_tagged(&*repository, &image, "v1").await?;
    let (blobs, tag) = (repository.blobs(), by_tag("v1")?);
    let kinds = [ErrorKind::InvalidReference];
    check::refused("resolving a tag", blobs.resolve(&tag).await, &kinds)?;
    check::refused("fetching a tag", blobs.fetch_reference(&tag).await, &kinds)
}

async fn two_readers_do_not_disturb_each_other(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(8, 700_000);
    push(&*repository, &item).await?;
    let mut streams = [
        repository.fetch(item.descriptor()).await?.into_stream(),
        repository.fetch(item.descriptor()).await?.into_stream(),
    ];
    let mut read = [Vec::new(), Vec::new()];
    let mut open = true;
    while open {
        open = false;
        for (stream, read) in streams.iter_mut().zip(&mut read) {
            if let Some(piece) = stream.try_next().await? {
                read.extend_from_slice(&piece);
                open = true;
            }
        }
    }
    for bytes in read {
        check::that(bytes == *item.bytes(), "a reader read something else")?;
    }
    Ok(())
}
