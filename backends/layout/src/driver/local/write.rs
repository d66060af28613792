//! Writes a blob. A large one is hashed and written on blocking threads while its next bytes arrive; a
//! small one is hashed as it arrives, and written in one go.

use std::io::{self, IoSlice, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use tempfile::NamedTempFile;
use tranship::blocking::{self, HashingSink, Sequence};
use tranship::{Body, ByteStream, Descriptor, Result, Verifier};

use super::place::{Place, SMALL};
use super::room::Room;
use super::staging::StagedKind;
use crate::driver::file::failed;

/// What all large pushes together gather, in bytes, before blocking threads get it. With batches being
/// hashed, being written and waiting for that, up to five times as much is in memory, and a piece of
/// each source.
const GATHERED: usize = 1024 * 1024;

/// The large pushes to a layout that are under way.
#[derive(Debug, Default)]
pub(super) struct Writers(AtomicUsize);

impl Writers {
    fn enter(&self) -> Writer<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Writer(self)
    }
}

/// One of them, until it is dropped.
struct Writer<'a>(&'a Writers);

impl Writer<'_> {
    /// How many bytes it is to gather now.
    fn batch(&self) -> usize {
        GATHERED / self.0.0.load(Ordering::Relaxed).max(1)
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Files of blobs are never written again.
pub(super) const BLOB_MODE: u32 = 0o444;

/// Stores the bytes of `body` as the blob `expected`.
pub(super) async fn write(place: &Arc<Place>, expected: &Descriptor, body: Body) -> Result<()> {
    let stream = body.into_stream();
    if expected.size() <= SMALL {
        write_small(place, expected, stream).await?;
    } else {
        write_large(place, expected, stream).await?;
    }
    place.flush_if_due().await
}

async fn write_small(
    place: &Arc<Place>,
    expected: &Descriptor,
    mut stream: ByteStream,
) -> Result<()> {
    let mut verifier = Verifier::new(expected);
    let mut pieces = Vec::new();
    while let Some(piece) = stream.next().await.transpose()? {
        verifier.update(&piece)?;
        pieces.push(piece);
    }
    verifier.finish()?;
    let (shared, owned) = (Arc::clone(place), expected.clone());
    let work = move || {
        let mut file = shared.temporary_file(BLOB_MODE)?;
        write_all(&mut file, &pieces)?;
        publish(&shared, file, &owned)
    };
    place.write_small(work).await
}

async fn write_large(place: &Arc<Place>, expected: &Descriptor, stream: ByteStream) -> Result<()> {
    let writing = {
        let (place, size) = (Arc::clone(place), expected.size());
        Sequence::start(move || Growing::new(&place, size))
    };
    let file = fill(place, writing, Verifier::new(expected), stream).await?;
    let (place, expected) = (Arc::clone(place), expected.clone());
    blocking::run(move || publish(&place, file, &expected)).await
}

/// Appends the rest of a blob to a file, and returns the file when it is complete and verified. Hashes one
/// batch and writes it at the same time, while the next is gathered.
///
/// No blocking thread is kept waiting for bytes: a source that needs such threads itself, as a file
/// does, could then never deliver them once all are taken.
pub(super) async fn fill(
    place: &Arc<Place>,
    mut writing: Sequence<Growing>,
    verifier: Verifier,
    mut stream: ByteStream,
) -> Result<NamedTempFile> {
    let mut checking = HashingSink::new(verifier);
    let writer = place.writers().enter();
    let outcome = async {
        let mut batch = Batch::default();
        loop {
            let piece = stream.next().await.transpose()?;
            let is_last = piece.is_none();
            batch.extend(piece);
            if batch.bytes >= writer.batch() || is_last {
                let pieces: Arc<[Bytes]> = std::mem::take(&mut batch).pieces.into();
                checking.update_all(pieces.iter().cloned(), ()).await?;
                writing.then(move |file| file.append(&pieces)).await?;
                // What came with others does not wait for this one, which may take hours.
                place.flush_if_due().await?;
            }
            if is_last {
                return checking.finish().await?.finish();
            }
        }
    };
    let outcome = outcome.await;
    // After an error, too: the caller shall not find the file that is still being written.
    let written = writing.finish().await;
    outcome?;
    Ok(written?.file)
}

/// The file of a large blob.
pub(super) struct Growing {
    file: NamedTempFile,
    /// How long it is.
    length: u64,
    room: Room,
}

impl Growing {
    fn new(place: &Place, size: u64) -> Result<Self> {
        Ok(Self {
            file: place.temporary_file(BLOB_MODE)?,
            length: 0,
            room: Room::new(size),
        })
    }

    /// The file of a blob of `size` bytes that has the first `length` of them, with its cursor behind
    /// those.
    pub(super) fn resume(file: NamedTempFile, length: u64, size: u64) -> Self {
        Self {
            file,
            length,
            room: Room::new(size),
        }
    }

    fn append(mut self, pieces: &[Bytes]) -> Result<Self> {
        let added: usize = pieces.iter().map(Bytes::len).sum();
        self.length += added as u64;
        self.room.make(self.file.as_file(), self.length);
        write_all(&mut self.file, pieces)?;
        Ok(self)
    }
}

/// Gives the complete and verified file of a blob its name when it is durable: now, or with the batch.
pub(super) fn publish(place: &Place, file: NamedTempFile, expected: &Descriptor) -> Result<()> {
    let digest = expected.digest();
    if let Some(staging) = place.staging() {
        place.prepare(digest)?;
        let (file, path) = file.into_parts();
        let file = (path, Arc::new(file));
        return staging.add(digest, file, StagedKind::Written, expected.size());
    }
    place.sync_file(file.as_file(), file.path())?;
    place.ensure_layout()?;
    let path = place.blob_to_write(digest)?;
    place.publish(file, digest, &path)
}

#[derive(Default)]
struct Batch {
    pieces: Vec<Bytes>,
    bytes: usize,
}

impl Batch {
    fn extend(&mut self, piece: Option<Bytes>) {
        self.bytes += piece.as_ref().map_or(0, Bytes::len);
        self.pieces.extend(piece);
    }
}

/// In as few calls as can be: the more a file system gets at a time, the less it takes for each byte.
fn write_all(file: &mut NamedTempFile, pieces: &[Bytes]) -> Result<()> {
    let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut left = slices.as_mut_slice();
    // Without those that are empty, of which nothing could be written.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        let written = match file.write_vectored(left) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            written => written,
        };
        let written = written.map_err(|error| failed("written", file.path(), error))?;
        IoSlice::advance_slices(&mut left, written);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_at_the_same_time_share_what_is_gathered() {
        let writers = Writers::default();
        let first = writers.enter();
        assert_eq!(first.batch(), GATHERED);
        let others: Vec<_> = (0..3).map(|_| writers.enter()).collect();
        assert_eq!(first.batch(), GATHERED / 4);
        drop(others);
        assert_eq!(first.batch(), GATHERED);
    }
}
