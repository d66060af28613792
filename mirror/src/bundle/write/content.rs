//! The content of one blob, or of a part of it, on its way into a volume.

use bytes::Bytes;
use futures_util::StreamExt as _;
use tranship::{Algorithm, Digester, Error, ErrorKind, HashingSink, Result, Verifier};

use super::super::members;
use super::super::plan::Plan;
use super::members::small_member;
use super::options::WriteOptions;
use super::output::VolumeWriter;
use super::prefetch::Prefetcher;

/// A piece of a volume that has content of a blob.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) number: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// What is computed while content is written.
pub(super) struct Hashes {
    pub(super) verifier: Verifier,
    /// The digest of a part.
    pub(super) sum: Option<Digester>,
    pub(super) is_reused: bool,
}

/// Writes the content of a piece, passes over what exists of it, and hashes all of it.
pub(super) async fn write_content(
    plan: &Plan,
    options: &WriteOptions,
    writer: &mut VolumeWriter,
    piece: Piece,
    verifier: Verifier,
    prefetcher: &mut Prefetcher<'_>,
) -> Result<Hashes> {
    let existing = writer.ahead().min(piece.length);
    let mut hashing = HashingSink::new(Both {
        verifier,
        sum: (plan.contents.node(piece.number)?.size != piece.length)
            .then(|| Digester::new(Algorithm::Sha256)),
    });
    let mut found = writer.pass(existing);
    while let Some(bytes) = found.next().await.transpose()? {
        options.report(bytes.len() as u64);
        hashing.update(bytes).await?;
    }
    drop(found);
    if existing == 0
        && let Some(Ok(content)) = prefetcher.take(piece.number).await
    {
        options.report(content.len() as u64);
        hashing.update(content.clone()).await?;
        writer.write(content).await?;
    } else if existing < piece.length || piece.length == 0 {
        let (start, end) = (piece.offset + existing, piece.offset + piece.length);
        let mut reader = plan.reader(piece.number, start, Some(end))?;
        while let Some(bytes) = prefetcher.beside(reader.next()).await? {
            options.report(bytes.len() as u64);
            hashing.update(bytes.clone()).await?;
            writer.write(bytes).await?;
        }
    }
    let Both { verifier, sum } = hashing.finish().await?;
    Ok(Hashes {
        verifier,
        sum,
        is_reused: existing > 0,
    })
}

/// Returns the member with the digest of a part.
pub(super) fn sum_member(name: &str, hashes: &Hashes) -> Result<Bytes> {
    let sum = hashes.sum.clone().map(Digester::finish);
    let sum = sum.ok_or_else(|| Error::new(ErrorKind::Io, "a part was not hashed"))?;
    small_member(name, members::sum_content(&sum).as_bytes())
}

/// Hashes for the blob and for the part.
struct Both {
    verifier: Verifier,
    sum: Option<Digester>,
}

impl tranship::Hasher for Both {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.verifier.update(bytes)?;
        if let Some(sum) = &mut self.sum {
            sum.update(bytes);
        }
        Ok(())
    }
}
