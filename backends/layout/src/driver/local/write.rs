//! Writes a blob. A large one is hashed and written on blocking threads while its next bytes arrive; a
//! small one is hashed as it arrives, and written in one go.

use std::io::{self, IoSlice, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tempfile::NamedTempFile;
use tranship::HashingSink;
use tranship::blocking::{self, Sequence};
use tranship::{Body, ByteStream, Descriptor, Result, Verifier};

use super::commit::BLOB_MODE;
use super::directory::{LocalDirectory, SMALL};
use super::preallocation::Preallocation;
use crate::driver::file::failed;

/// Stores the bytes of `body` as the blob `expected`.
pub(super) async fn write(
    directory: &Arc<LocalDirectory>,
    expected: &Descriptor,
    body: Body,
) -> Result<()> {
    let stream = body.into_stream();
    if expected.size() <= SMALL {
        write_small(directory, expected, stream).await?;
    } else {
        write_large(directory, expected, stream).await?;
    }
    directory.flush_if_due().await
}

async fn write_small(
    directory: &Arc<LocalDirectory>,
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
    let (shared, owned) = (Arc::clone(directory), expected.clone());
    let work = move || {
        let mut file = shared.commit.temporary_file(BLOB_MODE)?;
        write_all(&mut file, &pieces)?;
        shared.commit.store(file, &owned)
    };
    directory.write_small(work).await
}

async fn write_large(
    directory: &Arc<LocalDirectory>,
    expected: &Descriptor,
    stream: ByteStream,
) -> Result<()> {
    let writing = {
        let (directory, size) = (Arc::clone(directory), expected.size());
        Sequence::start(move || Growing::new(&directory, size))
    };
    let file = fill(directory, writing, Verifier::new(expected), stream).await?;
    let (directory, expected) = (Arc::clone(directory), expected.clone());
    blocking::run(move || directory.commit.store(file, &expected)).await
}

/// Appends the rest of a blob to a file, and returns the file when it is complete and verified. Hashes one
/// batch and writes it at the same time, while the next is gathered.
///
/// No blocking thread is kept waiting for bytes: a source that needs such threads itself, as a file
/// does, could then never deliver them once all are taken.
pub(super) async fn fill(
    directory: &Arc<LocalDirectory>,
    mut writing: Sequence<Growing>,
    verifier: Verifier,
    mut stream: ByteStream,
) -> Result<NamedTempFile> {
    let mut checking = HashingSink::new(verifier);
    let writer = directory.writers.enter();
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
                directory.flush_if_due().await?;
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
    room: Preallocation,
}

impl Growing {
    fn new(directory: &LocalDirectory, size: u64) -> Result<Self> {
        Ok(Self {
            file: directory.commit.temporary_file(BLOB_MODE)?,
            length: 0,
            room: Preallocation::new(size),
        })
    }

    /// The file of a blob of `size` bytes that has the first `length` of them, with its cursor behind
    /// those.
    pub(super) fn resume(file: NamedTempFile, length: u64, size: u64) -> Self {
        Self {
            file,
            length,
            room: Preallocation::new(size),
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
