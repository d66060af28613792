//! Parts of content, by their offsets in bytes.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tranship::{Algorithm, ByteRange, ErrorKind, MediaType, Source};

use crate::check;
use crate::content::{Image, Item};
use crate::context::{Context, Repo};
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::source::GeneratedSource;
use crate::steps::{push, push_image, resized};

scenario_group! { "ranges":
    a_range_inside_is_cut_out [Push]
        "A range from the middle of a blob holds exactly its bytes."
    a_range_at_the_start_is_cut_out [Push]
        "The first bytes of a blob, and the very first."
    a_range_without_an_end_goes_to_the_end [Push]
        "A range that only has a start holds the rest."
    a_range_past_the_end_stops_at_the_end [Push]
        "A range that ends after the content has the bytes up to its end."
    a_range_of_everything_is_the_whole [Push]
        "A range from zero to the size, and one from zero on, hold the whole blob."
    a_range_that_begins_at_the_end_is_empty [Push]
        "A range that begins where the content ends is empty, and no error."
    an_empty_range_is_empty [Push]
        "A range of no length holds no bytes, wherever it lies."
    a_range_beyond_the_end_is_invalid [Push]
        "A range that begins after the end of the content is refused."
    a_range_that_ends_before_it_begins_is_invalid [Push]
        "A range whose end is before its start is refused."
    ranges_of_an_empty_blob_are_empty_or_invalid [Push]
        "An empty blob has one valid range, the empty one at its start."
    the_largest_range_is_no_overflow [Push]
        "A range to the largest number there is stops at the end."
    a_part_says_which_part_it_is [Push]
        "The answer names the range, its length, and the descriptor of the whole."
    parts_add_up_to_the_whole [Push]
        "Ranges that follow each other, of any length, make the whole content."
    a_range_deep_in_a_large_blob_is_cut_out [Push]
        "A range far after the first buffers of a large blob has exactly its bytes."
    a_range_of_a_blob_named_by_sha512_is_cut_out [Push Sha512]
        "Ranges work under sha512 digests."
    a_range_of_a_manifest_is_cut_out [Push]
        "Ranges work on manifests."
    a_range_of_content_that_is_absent_is_not_found []
        "A range of absent content is not found."
    a_range_of_another_size_is_refused [Push]
        "A range of a descriptor with the wrong size is refused."
    a_stored_source_reopens_at_an_offset [Push]
        "Content in a repository, as the source of a push, can be opened in the middle."
    two_ranges_are_read_side_by_side [Push]
        "Two ranges of one blob can be read at the same time."
}

const SIZE: usize = 200_000;

/// A blob of [`SIZE`] bytes, pushed.
async fn stored(context: &Context) -> Verdict<(Repo, Item)> {
    let repository = context.repository().await?;
    let item = Item::noise(1, SIZE);
    push(&*repository, &item).await?;
    Ok((repository, item))
}

async fn part(repository: &Repo, item: &Item, range: ByteRange) -> tranship::Result<Bytes> {
    let content = repository.fetch_range(item.descriptor(), range).await?;
    content.bytes(u64::MAX).await
}

/// `range` of the stored blob is `start..end` of its bytes.
async fn is_cut_out(context: &Context, range: ByteRange, start: usize, end: usize) -> Verdict {
    let (repository, item) = stored(context).await?;
    let bytes = part(&repository, &item, range).await;
    let bytes = check::succeeds(&format!("reading {range:?} of {SIZE} bytes"), bytes)?;
    check::equal("the length of the part", bytes.len(), end - start)?;
    check::that(
        bytes == item.bytes().slice(start..end),
        format!("{range:?} of {SIZE} bytes holds other bytes than {start}..{end}"),
    )
}

async fn a_range_inside_is_cut_out(context: &Context) -> Verdict {
    is_cut_out(context, (1000..150_000).into(), 1000, 150_000).await?;
    is_cut_out(context, (65_535..=65_536).into(), 65_535, 65_537).await?;
    is_cut_out(context, (77..78).into(), 77, 78).await
}

async fn a_range_at_the_start_is_cut_out(context: &Context) -> Verdict {
    is_cut_out(context, (0..1).into(), 0, 1).await?;
    is_cut_out(context, (0..70_000).into(), 0, 70_000).await
}

async fn a_range_without_an_end_goes_to_the_end(context: &Context) -> Verdict {
    is_cut_out(context, (123_456..).into(), 123_456, SIZE).await?;
    is_cut_out(context, (SIZE as u64 - 1..).into(), SIZE - 1, SIZE).await
}

async fn a_range_past_the_end_stops_at_the_end(context: &Context) -> Verdict {
    is_cut_out(context, (199_990..300_000).into(), 199_990, SIZE).await?;
    is_cut_out(context, (0..SIZE as u64 + 1).into(), 0, SIZE).await
}

async fn a_range_of_everything_is_the_whole(context: &Context) -> Verdict {
    is_cut_out(context, (0..SIZE as u64).into(), 0, SIZE).await?;
    is_cut_out(context, (0..).into(), 0, SIZE).await
}

async fn a_range_that_begins_at_the_end_is_empty(context: &Context) -> Verdict {
    let end = SIZE as u64;
    is_cut_out(context, (end..).into(), SIZE, SIZE).await?;
    is_cut_out(context, (end..end + 10).into(), SIZE, SIZE).await
}

async fn an_empty_range_is_empty(context: &Context) -> Verdict {
    is_cut_out(context, (0..0).into(), 0, 0).await?;
    is_cut_out(context, (500..500).into(), 500, 500).await?;
    is_cut_out(context, (SIZE as u64..SIZE as u64).into(), SIZE, SIZE).await
}

async fn is_invalid(repository: &Repo, item: &Item, range: ByteRange) -> Verdict {
    check::refused(
        &format!("reading {range:?} of {}", item.descriptor()),
        part(repository, item, range).await,
        &[ErrorKind::RangeInvalid],
    )
}

async fn a_range_beyond_the_end_is_invalid(context: &Context) -> Verdict {
    let (repository, item) = stored(context).await?;
    let beyond = SIZE as u64 + 1;
    is_invalid(&repository, &item, (beyond..).into()).await?;
    is_invalid(&repository, &item, (beyond..beyond).into()).await?;
    is_invalid(&repository, &item, (u64::MAX..).into()).await
}

async fn a_range_that_ends_before_it_begins_is_invalid(context: &Context) -> Verdict {
    let (repository, item) = stored(context).await?;
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
    is_invalid(&repository, &item, (10..9).into()).await?;
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
    is_invalid(&repository, &item, (500..0).into()).await
}

async fn ranges_of_an_empty_blob_are_empty_or_invalid(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let empty = Item::blob("");
    push(&*repository, &empty).await?;
    for range in [ByteRange::from(0..), (0..0).into(), (0..10).into()] {
        let bytes = part(&repository, &empty, range).await;
        let bytes = check::succeeds(&format!("reading {range:?} of nothing"), bytes)?;
        check::equal("the part", bytes, Bytes::new())?;
    }
    is_invalid(&repository, &empty, (1..).into()).await
}

async fn the_largest_range_is_no_overflow(context: &Context) -> Verdict {
    is_cut_out(context, (5..u64::MAX).into(), 5, SIZE).await?;
    is_cut_out(context, (5..=u64::MAX).into(), 5, SIZE).await
}

async fn a_part_says_which_part_it_is(context: &Context) -> Verdict {
    let (repository, item) = stored(context).await?;
    let content = repository
        .fetch_range(item.descriptor(), (10..30).into())
        .await?;
    check::same(
        "the descriptor of the whole",
        content.descriptor(),
        item.descriptor(),
    )?;
    check::equal("the length of the part", content.len(), 20)?;
    check::equal("the range", content.range(), Some(&(10..30)))
}

async fn parts_add_up_to_the_whole(context: &Context) -> Verdict {
    let (repository, item) = stored(context).await?;
    let mut whole = Vec::new();
    for length in [1, 1, 14, 65_520, 65_536, 1000, 100_000] {
        let start = whole.len() as u64;
        let bytes = part(&repository, &item, (start..start + length).into()).await;
        let bytes = check::succeeds(&format!("reading {length} bytes at {start}"), bytes)?;
        whole.extend_from_slice(&bytes);
    }
    check::that(whole == *item.bytes(), "the parts are not the whole")
}

async fn a_range_deep_in_a_large_blob_is_cut_out(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let large = GeneratedSource::new(9, 20 * 1024 * 1024);
    let descriptor = large.descriptor(Algorithm::Sha256);
    repository.push(&descriptor, large.source()).await?;
    let (start, length) = (19 * 1024 * 1024 - 3, 700_000);
    let range = ByteRange::from(start..start + length);
    let bytes = repository
        .fetch_range(&descriptor, range)
        .await?
        .bytes(length)
        .await?;
    check::that(
        bytes == large.part(start, length),
        "the part holds other bytes",
    )
}

async fn a_range_of_a_blob_named_by_sha512_is_cut_out(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::named_by(Algorithm::Sha512, MediaType::OCTET_STREAM, "0123456789");
    push(&*repository, &item).await?;
    check::equal(
        "the part",
        part(&repository, &item, (3..6).into()).await?,
        "345",
    )
}

async fn a_range_of_a_manifest_is_cut_out(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("in parts").build();
    push_image(&*repository, &image).await?;
    let bytes = part(&repository, image.manifest(), (5..50).into()).await?;
    check::equal("the part", bytes, image.manifest().bytes().slice(5..50))
}

async fn a_range_of_content_that_is_absent_is_not_found(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let absent = Item::blob("not here at all");
    let bytes = part(&repository, &absent, (2..5).into()).await;
    check::not_found("reading a range of an absent blob", bytes)?;
    let absent = Image::new("not here").build();
    let bytes = part(&repository, absent.manifest(), (2..5).into()).await;
    check::not_found("reading a range of an absent manifest", bytes)
}

async fn a_range_of_another_size_is_refused(context: &Context) -> Verdict {
    let (repository, item) = stored(context).await?;
    let kinds = [ErrorKind::NotFound, ErrorKind::SizeMismatch];
    let longer = resized(item.descriptor(), SIZE as u64 + 1);
    let rest = async {
        repository
            .fetch_range(&longer, (10..).into())
            .await?
            .bytes(u64::MAX)
            .await
    };
    check::refused("reading to the end of what is shorter", rest.await, &kinds)?;
    let beyond = (SIZE as u64 + 1..SIZE as u64 + 2).into();
    let huge = resized(item.descriptor(), 1 << 62);
    let rest = async {
        repository
            .fetch_range(&huge, beyond)
            .await?
            .bytes(u64::MAX)
            .await
    };
    check::refused("reading where nothing is", rest.await, &kinds)
}

async fn a_stored_source_reopens_at_an_offset(context: &Context) -> Verdict {
    let (repository, item) = stored(context).await?;
    let source = Source::stored(&*repository, item.descriptor());
    for offset in [0, 1, 131_072, SIZE] {
        let body = source.open(offset as u64).await;
        let body = check::succeeds(&format!("opening at {offset}"), body)?;
        let pieces: Vec<Bytes> = body.into_stream().try_collect().await?;
        check::that(
            pieces.concat() == item.bytes().slice(offset..),
            format!("opened at {offset}, the source has other bytes"),
        )?;
    }
    Ok(())
}

async fn two_ranges_are_read_side_by_side(context: &Context) -> Verdict {
    let (repository, item) = stored(context).await?;
    let (head, tail) = tokio::join!(
        part(&repository, &item, (0..120_000).into()),
        part(&repository, &item, (80_000..).into()),
    );
    check::that(
        head? == item.bytes().slice(..120_000),
        "the head holds other bytes",
    )?;
    check::that(
        tail? == item.bytes().slice(80_000..),
        "the tail holds other bytes",
    )
}
