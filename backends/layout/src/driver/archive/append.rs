//! Adds a blob to a new archive.

use bytes::Bytes;
use tranship::{Body, Descriptor, Result};

use super::assembly::{AssemblyGuard, PendingBlob};
use super::receive::{Receiver, receive};

/// Adds the content of `body` as the blob `expected`. If this fails, nothing was added.
pub(super) async fn append(
    assembly: AssemblyGuard,
    expected: &Descriptor,
    body: Body,
) -> Result<AssemblyGuard> {
    let target = expected.clone();
    receive(move || BlobWriter::start(assembly, &target), expected, body).await
}

/// A blob that is being written.
struct BlobWriter {
    assembly: AssemblyGuard,
    blob: PendingBlob,
    at: u64,
}

impl BlobWriter {
    fn start(mut assembly: AssemblyGuard, expected: &Descriptor) -> Result<Self> {
        let blob = assembly.start_blob(expected.digest(), expected.size())?;
        let at = blob.data.start;
        Ok(Self { assembly, blob, at })
    }
}

impl Receiver for BlobWriter {
    type Outcome = AssemblyGuard;

    fn write(mut self, pieces: &[Bytes]) -> Result<Self> {
        for piece in pieces {
            self.assembly.write(piece, self.at)?;
            self.at += piece.len() as u64;
        }
        Ok(self)
    }

    fn end(mut self) -> Result<AssemblyGuard> {
        self.assembly.finish_blob(self.blob)?;
        Ok(self.assembly)
    }
}
