//! Stores a blob: verified, and visible when it is complete.
//!
//! A small blob is gathered and written with one PUT. A larger one goes in parts straight to its key,
//! hashed on the way, and is completed only when all of it is there and hashes to its digest: until
//! then nobody sees it.

use std::sync::Arc;

use object_store::PutPayload;
use tranship::blocking::HashingSink;
use tranship::{Descriptor, Result, Source, Verifier, blocking};

use super::memory::{Intake, Share};
use super::parts::Parts;
use super::place::Place;
use super::recent::Moment;

const MIB: u64 = 1024 * 1024;

/// The least size of a part, but for the last one, that S3 takes, in bytes. Up to this size a blob is
/// written at once.
const PART: u64 = 5 * MIB;

/// How many parts S3 takes.
const MAX_PARTS: u64 = 10_000;

/// Stores the content of `source` as the blob `expected`.
pub(super) async fn put(
    place: &Arc<Place>,
    expected: &Descriptor,
    source: Source<'_>,
) -> Result<()> {
    place.prepare().await?;
    // S3 dates an object that came in parts from when the first came.
    let began = Moment::now();
    let size = part_size(expected.size()).min(expected.size());
    // The source is not opened before it can be read: its other side may not like to wait.
    let mut share = Some(place.bucket.memory.share(size).await);
    let mut intake = Intake::new(source.open(0).await?);
    if expected.size() <= PART {
        put_whole(place, expected, &mut intake, &mut share).await?;
    } else {
        put_parts(place, expected, &mut intake, share).await?;
    }
    place.recent.add(expected.digest(), began);
    Ok(())
}

/// Parts are as small as they can be, and of one size, which some stores insist on. Beyond 48 GiB
/// they have to grow: 5 TiB, the most that S3 takes, comes in parts of 525 MiB.
fn part_size(blob: u64) -> u64 {
    blob.div_ceil(MAX_PARTS).next_multiple_of(MIB).max(PART)
}

async fn put_whole(
    place: &Place,
    expected: &Descriptor,
    intake: &mut Intake,
    share: &mut Option<Share>,
) -> Result<()> {
    let payload = intake.part(expected.size(), share).await?;
    let hashed = payload.clone();
    let mut verifier = Verifier::new(expected);
    let verifier = blocking::run_sized(payload.content_length(), move || {
        let mut pieces = hashed.iter();
        pieces.try_for_each(|piece| verifier.update(piece))?;
        Ok(verifier)
    })
    .await?;
    end(intake, share, verifier).await?;
    place
        .bucket
        .put(&place.blob(expected.digest()), payload)
        .await
        .map(|_| ())
}

async fn put_parts(
    place: &Arc<Place>,
    expected: &Descriptor,
    intake: &mut Intake,
    share: Option<Share>,
) -> Result<()> {
    let length = part_size(expected.size());
    let mut share = share;
    let first = intake.part(length, &mut share).await?;
    let mut parts = Parts::start(&place.bucket, place.blob(expected.digest())).await?;
    let sent = send(place, expected, intake, (first, share), &mut parts).await;
    match sent {
        Ok(()) => parts.complete().await,
        Err(error) => {
            parts.abort().await;
            Err(error)
        }
    }
}

/// Sends all parts, and says whether they are what was expected. They are hashed one after the other,
/// while they and those before them are on their way.
async fn send(
    place: &Place,
    expected: &Descriptor,
    intake: &mut Intake,
    first: (PutPayload, Option<Share>),
    parts: &mut Parts,
) -> Result<()> {
    let length = part_size(expected.size());
    let (mut payload, mut share) = first;
    let mut hashing = HashingSink::new(Verifier::new(expected));
    hashing.update_all(payload.clone(), share.clone()).await?;
    loop {
        let is_last = (payload.content_length() as u64) < length;
        if payload.content_length() > 0 {
            parts.send(payload, share.take()).await?;
        }
        if is_last {
            break;
        }
        share = Some(place.bucket.memory.share(length).await);
        payload = intake.part(length, &mut share).await?;
        // Before it is sent, so that what is too long is not sent without end.
        hashing.update_all(payload.clone(), share.clone()).await?;
    }
    hashing.finish().await?.finish()
}

/// Reads to the end, and says whether everything was what was expected.
async fn end(intake: &mut Intake, share: &mut Option<Share>, verifier: Verifier) -> Result<()> {
    let mut verifier = verifier;
    if let Some(more) = intake.piece(share).await? {
        verifier.update(&more)?;
    }
    verifier.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_small_until_there_would_be_too_many() {
        assert_eq!(part_size(0), PART);
        assert_eq!(part_size(MAX_PARTS * PART), PART);
        assert_eq!(part_size(MAX_PARTS * PART + 1), PART + MIB);
        for blob in [1 << 40, 5 << 40, u64::MAX >> 1] {
            assert!(blob.div_ceil(part_size(blob)) <= MAX_PARTS, "{blob}");
        }
    }
}
