//! Stores a blob. It becomes visible when it is complete and verified.
//!
//! A small blob is read into memory and written with one PUT. A larger one is sent to its key in parts, which are hashed
//! as they are sent. The object does not exist before the upload of its parts is completed, which happens only if all of
//! them together have the expected digest.

use std::sync::Arc;

use object_store::PutPayload;
use tranship::HashingSink;
use tranship::{Descriptor, Result, Source, Verifier, blocking};

use super::layout::ObjectLayout;
use super::memory_budget::Reservation;
use super::multipart::Multipart;
use super::part_reader::PartReader;
use super::recent_blobs::Timestamp;

const MIB: u64 = 1024 * 1024;

/// The smallest size of a part that S3 accepts, except for the last part, in bytes. A blob up to this size is written
/// with one PUT.
const PART_SIZE: u64 = 5 * MIB;

/// How many parts S3 accepts.
const MAX_PARTS: u64 = 10_000;

/// Stores the content of `source` as the blob `expected`.
pub(super) async fn put(
    layout: &Arc<ObjectLayout>,
    expected: &Descriptor,
    source: Source<'_>,
) -> Result<()> {
    layout.prepare().await?;
    // The date of an S3 object in parts is the time when its upload was started.
    let began = Timestamp::now();
    let size = part_size(expected.size()).min(expected.size());
    // The source is opened only when it can be read: a server may close a connection that is idle.
    let mut reservation = Some(layout.bucket.memory.reserve(size).await);
    let mut reader = PartReader::new(source.open(0).await?);
    if expected.size() <= PART_SIZE {
        put_whole(layout, expected, &mut reader, &mut reservation).await?;
    } else {
        put_parts(layout, expected, &mut reader, reservation).await?;
    }
    layout.blob_stored(expected.digest(), began).await
}

/// Returns the size of the parts of a blob, in bytes. It is as small as possible, and the same for all parts, which some
/// stores require. Blobs of more than 48 GiB need larger parts: those of 5 TiB, the largest that S3 accepts, have 525 MiB.
fn part_size(blob: u64) -> u64 {
    blob.div_ceil(MAX_PARTS)
        .next_multiple_of(MIB)
        .max(PART_SIZE)
}

async fn put_whole(
    layout: &ObjectLayout,
    expected: &Descriptor,
    reader: &mut PartReader,
    reservation: &mut Option<Reservation>,
) -> Result<()> {
    let payload = reader.next_part(expected.size(), reservation).await?;
    let hashed = payload.clone();
    let mut verifier = Verifier::new(expected);
    let verifier = blocking::run_sized(payload.content_length(), move || {
        let mut pieces = hashed.iter();
        pieces.try_for_each(|piece| verifier.update(piece))?;
        Ok(verifier)
    })
    .await?;
    finish(reader, reservation, verifier).await?;
    layout
        .bucket
        .put(&layout.keys.blob(expected.digest()), payload)
        .await
        .map(|_| ())
}

async fn put_parts(
    layout: &Arc<ObjectLayout>,
    expected: &Descriptor,
    reader: &mut PartReader,
    reservation: Option<Reservation>,
) -> Result<()> {
    let length = part_size(expected.size());
    let mut reservation = reservation;
    let first = reader.next_part(length, &mut reservation).await?;
    let mut parts = Multipart::start(&layout.bucket, layout.keys.blob(expected.digest())).await?;
    let sent = send(layout, expected, reader, (first, reservation), &mut parts).await;
    match sent {
        Ok(()) => parts.complete().await,
        Err(error) => {
            parts.abort().await;
            Err(error)
        }
    }
}

/// Sends all parts, and verifies them. They are hashed in order, while they and earlier parts are being sent.
async fn send(
    layout: &ObjectLayout,
    expected: &Descriptor,
    reader: &mut PartReader,
    first: (PutPayload, Option<Reservation>),
    parts: &mut Multipart,
) -> Result<()> {
    let length = part_size(expected.size());
    let (mut payload, mut reservation) = first;
    let mut hashing = HashingSink::new(Verifier::new(expected));
    hashing
        .update_all(payload.clone(), reservation.clone())
        .await?;
    loop {
        let is_last = (payload.content_length() as u64) < length;
        if payload.content_length() > 0 {
            parts.send(payload, reservation.take()).await?;
        }
        if is_last {
            break;
        }
        reservation = Some(layout.bucket.memory.reserve(length).await);
        payload = reader.next_part(length, &mut reservation).await?;
        // It is hashed before it is sent, so that content that is too long is not sent without end.
        hashing
            .update_all(payload.clone(), reservation.clone())
            .await?;
    }
    hashing.finish().await?.finish()
}

/// Reads to the end, and verifies the content.
async fn finish(
    reader: &mut PartReader,
    reservation: &mut Option<Reservation>,
    verifier: Verifier,
) -> Result<()> {
    let mut verifier = verifier;
    if let Some(more) = reader.next_piece(reservation).await? {
        verifier.update(&more)?;
    }
    verifier.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_small_until_there_would_be_too_many() {
        assert_eq!(part_size(0), PART_SIZE);
        assert_eq!(part_size(MAX_PARTS * PART_SIZE), PART_SIZE);
        assert_eq!(part_size(MAX_PARTS * PART_SIZE + 1), PART_SIZE + MIB);
        for blob in [1 << 40, 5 << 40, u64::MAX >> 1] {
            assert!(blob.div_ceil(part_size(blob)) <= MAX_PARTS, "{blob}");
        }
    }
}
