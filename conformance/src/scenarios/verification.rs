//! Content that is not what its descriptor says: refused, and nothing of it stays.

use bytes::Bytes;
use tranship::{Algorithm, Body, Descriptor, ErrorKind, MediaType, Source};

use crate::check;
use crate::content::{Image, Item};
use crate::context::Context;
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::source::{BreakingSource, EndlessSource};
use crate::steps::{all_tags, by_tag, from, push, push_image, push_tagged, resized, tags};

scenario_group! { "verification":
    a_blob_with_a_wrong_digest_is_refused [Push]
        "Content that does not hash to the digest is refused, and stored under neither digest."
    a_blob_with_a_wrong_sha512_digest_is_refused [Push Sha512]
        "The same under a sha512 digest."
    a_blob_that_is_too_short_is_refused [Push]
        "Content with fewer bytes than its descriptor says is refused."
    a_blob_that_is_too_long_is_refused [Push]
        "Content with more bytes than its descriptor says is refused, even if it begins right."
    an_empty_source_is_no_blob [Push]
        "A source without bytes is refused for a descriptor of some."
    bytes_are_no_empty_blob [Push]
        "A source with bytes is refused for the descriptor of none."
    a_claim_of_endless_size_is_refused [Push]
        "A descriptor that claims 2^62 bytes is refused without room being made for them."
    an_endless_source_is_cut_off [Push]
        "A source that never ends is refused once it has more bytes than its descriptor says."
    a_source_that_breaks_fails_the_push [Push]
        "An error of the source in the middle is the error of the push, and nothing is stored."
    a_wrong_source_that_comes_once_is_refused [Push]
        "A source that cannot be opened again is verified like any other."
    content_that_is_there_is_not_there_in_another_size [Push]
        "Pushing present content under a wrong size fails instead of finding the digest there."
    a_failed_push_can_be_made_good [Push]
        "After pushes that failed, the right content is taken."
    a_failed_push_leaves_other_content_alone [Push]
        "Content that was stored before a push failed is unchanged."
    a_manifest_with_a_wrong_digest_is_refused [Push]
        "A manifest that does not hash to its digest is refused."
    a_manifest_of_another_size_is_refused [Push]
        "A manifest that is shorter or longer than its descriptor says is refused."
    a_manifest_whose_source_breaks_is_not_stored [Push]
        "An error in the middle of a manifest fails the push."
    tags_do_not_move_when_the_manifest_is_refused [Push]
        "When a manifest cannot be stored, none of the tags pushed with it is set or moved."
}

const MISMATCH: [ErrorKind; 2] = [ErrorKind::DigestMismatch, ErrorKind::SizeMismatch];

/// Pushing `bytes` as `claimed` fails with one of `kinds` and leaves nothing.
async fn is_refused(
    context: &Context,
    claimed: &Descriptor,
    source: Source<'_>,
    kinds: &[ErrorKind],
) -> Verdict {
    let repository = context.repository().await?;
    let what = format!("pushing other content as {claimed}");
    check::refused(&what, repository.push(claimed, source).await, kinds)?;
    check::lacks(&*repository, claimed).await
}

async fn wrong_digest(context: &Context, algorithm: Algorithm) -> Verdict {
    let claimed = Item::named_by(algorithm, MediaType::OCTET_STREAM, "expected");
    let actual = Item::named_by(algorithm, MediaType::OCTET_STREAM, "received");
    let kinds = [ErrorKind::DigestMismatch];
    is_refused(context, claimed.descriptor(), actual.source(), &kinds).await?;
    let repository = context.repository().await?;
    check::lacks(&*repository, actual.descriptor()).await
}

async fn a_blob_with_a_wrong_digest_is_refused(context: &Context) -> Verdict {
    wrong_digest(context, Algorithm::Sha256).await
}

async fn a_blob_with_a_wrong_sha512_digest_is_refused(context: &Context) -> Verdict {
    wrong_digest(context, Algorithm::Sha512).await
}

async fn a_blob_that_is_too_short_is_refused(context: &Context) -> Verdict {
    let item = Item::noise(1, 100_000);
    let short = item.bytes().slice(..99_999);
    is_refused(
        context,
        item.descriptor(),
        short.into(),
        &[ErrorKind::SizeMismatch],
    )
    .await
}

async fn a_blob_that_is_too_long_is_refused(context: &Context) -> Verdict {
    let item = Item::noise(2, 100_000);
    let mut long = item.bytes().to_vec();
    long.push(0);
    is_refused(
        context,
        item.descriptor(),
        long.into(),
        &[ErrorKind::SizeMismatch],
    )
    .await
}

async fn an_empty_source_is_no_blob(context: &Context) -> Verdict {
    let item = Item::blob("not empty");
    let nothing = Source::from(Bytes::new());
    is_refused(
        context,
        item.descriptor(),
        nothing,
        &[ErrorKind::SizeMismatch],
    )
    .await
}

async fn bytes_are_no_empty_blob(context: &Context) -> Verdict {
    let empty = Item::blob("");
    let something = Item::blob("something").source();
    is_refused(
        context,
        empty.descriptor(),
        something,
        &[ErrorKind::SizeMismatch],
    )
    .await
}

async fn a_claim_of_endless_size_is_refused(context: &Context) -> Verdict {
    let item = Item::blob("small");
    let claimed = resized(item.descriptor(), 1 << 62);
    let kinds = [
        ErrorKind::SizeMismatch,
        ErrorKind::SizeExceedsLimit,
        ErrorKind::StorageFull,
    ];
    is_refused(context, &claimed, item.source(), &kinds).await?;
    let repository = context.repository().await?;
    check::lacks(&*repository, item.descriptor()).await
}

async fn an_endless_source_is_cut_off(context: &Context) -> Verdict {
    let item = Item::blob(vec![0; 100_000]);
    is_refused(
        context,
        item.descriptor(),
        from(&EndlessSource),
        &[ErrorKind::SizeMismatch],
    )
    .await
}

async fn a_source_that_breaks_fails_the_push(context: &Context) -> Verdict {
    let item = Item::noise(3, 400_000);
    let broken = BreakingSource(item.bytes().slice(..200_000));
    is_refused(
        context,
        item.descriptor(),
        from(&broken),
        &[ErrorKind::Aborted],
    )
    .await?;
    // The error counts even when all bytes have come.
    let broken = BreakingSource(item.bytes().clone());
    is_refused(
        context,
        item.descriptor(),
        from(&broken),
        &[ErrorKind::Aborted],
    )
    .await
}

async fn a_wrong_source_that_comes_once_is_refused(context: &Context) -> Verdict {
    let item = Item::blob("expected once");
    let once = Source::once(Body::from_bytes(Bytes::from_static(b"received once")));
    is_refused(
        context,
        item.descriptor(),
        once,
        &[ErrorKind::DigestMismatch],
    )
    .await
}

async fn content_that_is_there_is_not_there_in_another_size(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::blob("twelve bytes");
    push(&*repository, &item).await?;
    for size in [11, 13] {
        let claimed = resized(item.descriptor(), size);
        let pushed = repository.push(&claimed, item.source()).await;
        check::refused(&format!("pushing 12 bytes as {size}"), pushed, &MISMATCH)?;
    }
    check::holds(&*repository, &item).await
}

async fn a_failed_push_can_be_made_good(context: &Context) -> Verdict {
    let item = Item::noise(4, 50_000);
    let short = Source::from(item.bytes().slice(..10));
    is_refused(
        context,
        item.descriptor(),
        short,
        &[ErrorKind::SizeMismatch],
    )
    .await?;
    let other = Item::noise(5, 50_000).source();
    is_refused(
        context,
        item.descriptor(),
        other,
        &[ErrorKind::DigestMismatch],
    )
    .await?;
    let repository = context.repository().await?;
    push(&*repository, &item).await?;
    check::holds(&*repository, &item).await
}

async fn a_failed_push_leaves_other_content_alone(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("before").build();
    push_tagged(&*repository, &image, "v1").await?;
    let absent = Item::blob("absent");
    let other = Item::blob("others").source();
    is_refused(
        context,
        absent.descriptor(),
        other,
        &[ErrorKind::DigestMismatch],
    )
    .await?;
    for item in image.blobs() {
        check::holds(&*repository, item).await?;
    }
    check::holds(&*repository, image.manifest()).await?;
    let resolved = repository.resolve(&by_tag("v1")?).await?;
    check::same("v1", &resolved, image.descriptor())
}

async fn a_manifest_with_a_wrong_digest_is_refused(context: &Context) -> Verdict {
    let claimed = Image::new("claimed").build();
    let actual = Image::new("another").build();
    // As long as the claimed one, so that it is the digest that must be checked.
    let mut bytes = actual.manifest().bytes().to_vec();
    bytes.resize(claimed.manifest().bytes().len(), b' ');
    let repository = context.repository().await?;
    push_image(&*repository, &actual).await?;
    let kinds = [ErrorKind::DigestMismatch];
    is_refused(context, claimed.descriptor(), bytes.into(), &kinds).await
}

async fn a_manifest_of_another_size_is_refused(context: &Context) -> Verdict {
    let image = Image::new("sized").build();
    let bytes = image.manifest().bytes();
    let mut long = bytes.to_vec();
    long.push(b'\n');
    let kinds = [ErrorKind::SizeMismatch];
    is_refused(context, image.descriptor(), long.into(), &kinds).await?;
    let short = bytes.slice(..bytes.len() - 1);
    is_refused(context, image.descriptor(), short.into(), &kinds).await?;
    is_refused(context, image.descriptor(), from(&EndlessSource), &kinds).await
}

async fn a_manifest_whose_source_breaks_is_not_stored(context: &Context) -> Verdict {
    let image = Image::new("broken").build();
    let broken = BreakingSource(image.manifest().bytes().slice(..20));
    is_refused(
        context,
        image.descriptor(),
        from(&broken),
        &[ErrorKind::Aborted],
    )
    .await
}

async fn tags_do_not_move_when_the_manifest_is_refused(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (old, new) = (Image::new("old").build(), Image::new("new").build());
    push_tagged(&*repository, &old, "v1").await?;
    let other = Item::new(
        MediaType::IMAGE_MANIFEST,
        vec![b' '; new.manifest().bytes().len()],
    );
    let pushed = repository
        .push_reference(new.descriptor(), other.source(), &tags(["v1", "v2"])?)
        .await;
    check::refused(
        "pushing other content with tags",
        pushed,
        &[ErrorKind::DigestMismatch],
    )?;
    let resolved = repository.resolve(&by_tag("v1")?).await?;
    check::same("v1", &resolved, old.descriptor())?;
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])
}
