//! Writes a blob: hashed and written on blocking threads while the next bytes arrive.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tempfile::NamedTempFile;
use tokio::task::JoinHandle;
use tranship::{Body, ByteStream, Descriptor, Result, Verifier};

use super::file::failed;
use super::place::Place;
use crate::blocking::{blocking, join};

/// What is gathered, in bytes, before a blocking thread gets it. With one batch being written while
/// the next is gathered, a push holds twice as much, and one piece of its source.
const BATCH: usize = 512 * 1024;

/// Up to this size, in bytes, a blob is gathered whole: one visit of a blocking thread does it all.
const SMALL: u64 = 128 * 1024;

/// Files of blobs are never written again.
pub(super) const BLOB_MODE: u32 = 0o444;

/// Stores the bytes of `body` as the blob `expected`.
pub(super) async fn write(place: &Arc<Place>, expected: &Descriptor, body: Body) -> Result<()> {
    let stream = body.into_stream();
    if expected.size() <= SMALL {
        write_small(place, expected, stream).await
    } else {
        write_large(place, expected, stream).await
    }
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
    let (place, expected) = (Arc::clone(place), expected.clone());
    blocking(move || {
        let mut file = place.temporary_file(BLOB_MODE)?;
        write_all(&mut file, &pieces)?;
        publish(&place, file, &expected)
    })
    .await
}

/// No blocking thread is kept waiting for bytes: a source that needs such threads itself, as a file
/// does, could then never deliver them once all are taken.
async fn write_large(
    place: &Arc<Place>,
    expected: &Descriptor,
    mut stream: ByteStream,
) -> Result<()> {
    let mut writing = {
        let (place, verifier) = (Arc::clone(place), Verifier::new(expected));
        Writing::start(move || {
            let file = place.temporary_file(BLOB_MODE)?;
            Ok(Partial { file, verifier })
        })
    };
    let mut batch = Batch::default();
    while let Some(piece) = stream.next().await.transpose()? {
        batch.push(piece);
        if batch.bytes >= BATCH {
            let pieces = std::mem::take(&mut batch).pieces;
            writing = writing.then(move |partial| partial.add(&pieces)).await?;
        }
    }
    let (place, expected) = (Arc::clone(place), expected.clone());
    let partial = writing.finish().await?;
    blocking(move || {
        let Partial { file, verifier } = partial.add(&batch.pieces)?;
        verifier.finish()?;
        publish(&place, file, &expected)
    })
    .await
}

/// Gives the complete file of a blob its name.
pub(super) fn publish(place: &Place, file: NamedTempFile, expected: &Descriptor) -> Result<()> {
    place.sync_file(file.as_file(), file.path())?;
    place.ensure_layout()?;
    let path = place.blob_to_write(expected.digest())?;
    place.publish(file, &path)
}

#[derive(Default)]
struct Batch {
    pieces: Vec<Bytes>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.push(piece);
    }
}

/// A temporary file and the check of what was written to it. Dropped, it is gone.
struct Partial {
    file: NamedTempFile,
    verifier: Verifier,
}

impl Partial {
    fn add(mut self, pieces: &[Bytes]) -> Result<Self> {
        for piece in pieces {
            self.verifier.update(piece)?;
        }
        write_all(&mut self.file, pieces)?;
        Ok(self)
    }
}

fn write_all(file: &mut NamedTempFile, pieces: &[Bytes]) -> Result<()> {
    for piece in pieces {
        file.write_all(piece)
            .map_err(|error| failed("written", file.path(), error))?;
    }
    Ok(())
}

/// The file while a blocking thread has it. When this is dropped, that thread ends its batch and
/// drops the file.
struct Writing(JoinHandle<Result<Partial>>);

impl Writing {
    fn start(work: impl FnOnce() -> Result<Partial> + Send + 'static) -> Self {
        Self(tokio::task::spawn_blocking(work))
    }

    async fn then(
        self,
        work: impl FnOnce(Partial) -> Result<Partial> + Send + 'static,
    ) -> Result<Self> {
        let partial = self.finish().await?;
        Ok(Self::start(move || work(partial)))
    }

    async fn finish(self) -> Result<Partial> {
        join(self.0).await
    }
}
