//! The pass over all volumes: each is written from its beginning, verified, and published.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tranship::{Body, Error, ErrorKind, HashingSink, LocalFile, Result, Verifier, blocking};
use tranship_tar::{TRAILER, header_length};

use super::super::kept::read;
use super::super::lay_out::blob_length;
use super::super::members;
use super::super::plan::Plan;
use super::content::{Piece, sum_member, write_content};
use super::options::WriteOptions;
use super::output::{Output, VolumeWriter};
use super::prefetch::{Prefetcher, SMALL};

/// How many volumes stay open whose last blob is not verified.
const MAX_OPEN: usize = 64;

/// Where volumes are written to.
#[async_trait]
pub(super) trait Target: Send + Sync {
    /// Returns the file of the volume `number`, if it has its name already and `size` bytes.
    async fn finished(&self, number: u32, size: u64) -> Result<Option<Arc<File>>>;

    /// Opens the volume `number`.
    async fn open(&self, number: u32) -> Result<Box<dyn Output>>;
}

/// A write of all volumes.
pub(super) struct Run<'a> {
    plan: &'a Plan,
    target: &'a dyn Target,
    options: &'a WriteOptions,
    /// Of each volume whether it was finished before.
    kept: Vec<bool>,
    split: Option<Split>,
    /// Volumes that are complete, and have a part of a blob whose end is not verified.
    pending: Vec<VolumeWriter>,
}

/// A blob in parts that has begun in this volume or an earlier one.
struct Split {
    number: u32,
    verifier: Verifier,
    /// Where its parts begin in the volumes that are pending, by position in that list.
    starts: Vec<(usize, u64)>,
    /// Whether parts of it were found in volumes of an earlier write.
    is_reused: bool,
}

impl<'a> Run<'a> {
    pub(super) fn new(plan: &'a Plan, target: &'a dyn Target, options: &'a WriteOptions) -> Self {
        Self {
            plan,
            target,
            options,
            kept: Vec::new(),
            split: None,
            pending: Vec::new(),
        }
    }

    /// Writes all volumes, and returns of each whether it was finished before.
    pub(super) async fn run(mut self) -> Result<Vec<bool>> {
        for number in 1..=self.plan.contents.volumes {
            let kept = self.is_finished(number).await?;
            self.kept.push(kept);
        }
        let kept = self.kept.clone();
        for (number, kept) in (1_u32..).zip(&kept) {
            if *kept {
                self.pass_over(number).await?;
            } else {
                self.write(number).await?;
            }
            if self.split.is_none() {
                for volume in std::mem::take(&mut self.pending) {
                    volume.publish().await?;
                }
            }
        }
        Ok(kept)
    }

    /// Returns whether an earlier write of the same plan has finished a volume.
    async fn is_finished(&self, number: u32) -> Result<bool> {
        let size = self.plan.volume_length(number);
        let Some(file) = self.target.finished(number, size).await? else {
            return Ok(false);
        };
        let head = self.plan.head(number)?;
        let first = LocalFile::new(file, 0..head.len() as u64);
        blocking::run(move || Ok(read(&first)? == head)).await
    }

    /// Returns whether the piece is a whole blob.
    fn is_whole(&self, piece: Piece) -> Result<bool> {
        Ok(self.plan.contents.node(piece.number)?.size == piece.length)
    }

    fn pieces(&self, volume: u32) -> Vec<Piece> {
        let position = usize::try_from(volume - 1).unwrap_or(usize::MAX);
        let parts = self.plan.contents.parts.get(position);
        let parts = parts.into_iter().flatten().copied();
        let piece = |(number, offset, length)| Piece {
            number,
            offset,
            length,
        };
        parts.map(piece).collect()
    }

    /// Hashes the parts in a volume that was finished before, of blobs whose other parts have to be written.
    async fn pass_over(&mut self, volume: u32) -> Result<()> {
        let size = self.plan.volume_length(volume);
        self.options.report(size);
        let contents = &self.plan.contents;
        let mut end = size - TRAILER.len() as u64;
        let mut found = Vec::new();
        for piece in self.pieces(volume).into_iter().rev() {
            let node = contents.node(piece.number)?;
            end -= blob_length(node, piece.offset, piece.length);
            if !self.is_whole(piece)? && !self.is_kept_whole(piece.number) {
                let name = members::part_name(&node.digest, piece.offset);
                let start = end + header_length(&name, piece.length);
                found.push((piece, start));
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        let file = self.target.finished(volume, size).await?;
        let file = file.ok_or_else(|| Error::new(ErrorKind::Conflict, "a volume was removed"))?;
        for (piece, start) in found.into_iter().rev() {
            let mut split = self.continue_split(piece)?;
            split.is_reused = true;
            let part = LocalFile::new(Arc::clone(&file), start..start + piece.length);
            let mut stream = Body::from_local_file(part).into_stream();
            let mut hashing = HashingSink::new(split.verifier);
            while let Some(bytes) = stream.next().await.transpose()? {
                hashing.update(bytes).await?;
            }
            split.verifier = hashing.finish().await?;
            self.end_part(piece, split, None).await?;
        }
        Ok(())
    }

    /// Returns whether all volumes with parts of a blob were finished before.
    fn is_kept_whole(&self, number: u32) -> bool {
        let mut parts = self.plan.contents.parts_of(number).iter();
        parts.all(|part| {
            let position = usize::try_from(part.volume - 1).unwrap_or(usize::MAX);
            self.kept.get(position) == Some(&true)
        })
    }

    async fn write(&mut self, volume: u32) -> Result<()> {
        let mut writer = VolumeWriter::new(self.target.open(volume).await?);
        match self.write_members(volume, &mut writer).await {
            Ok(()) => {
                self.pending.push(writer);
                Ok(())
            }
            Err(error) => {
                // The next write continues from here.
                writer.flush().await.ok();
                Err(error)
            }
        }
    }

    async fn write_members(&mut self, volume: u32, writer: &mut VolumeWriter) -> Result<()> {
        let plan = self.plan;
        self.put(writer, plan.head(volume)?).await?;
        for member in plan.layout_members()? {
            self.put(writer, member).await?;
        }
        let manifests: Vec<u32> = plan
            .contents
            .stored_manifests()
            .map(|(number, _)| number)
            .collect();
        for number in manifests {
            let member = plan.manifest_member(number).await?;
            self.put(writer, member).await?;
        }
        let pieces = self.pieces(volume);
        let mut small = VecDeque::new();
        for piece in &pieces {
            if piece.length <= SMALL && self.is_whole(*piece)? {
                small.push_back(piece.number);
            }
        }
        let mut prefetcher = Prefetcher::new(plan, small, self.options.concurrency);
        for piece in pieces {
            let outcome = if self.is_whole(piece)? {
                self.whole(writer, piece, &mut prefetcher).await
            } else {
                self.part(writer, piece, &mut prefetcher).await
            };
            outcome.map_err(|error| self.blame(error, piece.number))?;
        }
        self.put(writer, Bytes::from_static(&TRAILER)).await?;
        writer.complete(self.pending.len() < MAX_OPEN).await
    }

    async fn put(&self, writer: &mut VolumeWriter, bytes: Bytes) -> Result<()> {
        self.options.report(bytes.len() as u64);
        writer.put(bytes).await
    }

    /// Says of which image the content is that could not be read or is wrong.
    fn blame(&self, error: Error, number: u32) -> Error {
        let is_content = matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::DigestMismatch | ErrorKind::SizeMismatch
        );
        let what = self.plan.contents.describe(number);
        if is_content {
            let message = match error.kind() {
                ErrorKind::NotFound => "the source no longer has it",
                _ => "the source has other content than the manifest says",
            };
            let hint = error.hint().map(str::to_owned);
            let blamed = Error::new(error.kind(), message).with_subject(what);
            let blamed = blamed.with_operation("read").with_source(error);
            return match hint {
                Some(hint) => blamed.with_hint(hint),
                None => blamed,
            };
        }
        error.with_operation("read").with_subject(what)
    }

    /// Writes a blob that is whole in this volume.
    async fn whole(
        &mut self,
        writer: &mut VolumeWriter,
        piece: Piece,
        prefetcher: &mut Prefetcher<'a>,
    ) -> Result<()> {
        let node = self.plan.contents.node(piece.number)?;
        let begin = writer.position();
        let header = tranship_tar::file_header(&members::blob(&node.digest), node.size)?;
        self.put(writer, header.into()).await?;
        let start = writer.position();
        let verifier = Verifier::new(&node.descriptor());
        let mut hashes = write_content(
            self.plan,
            self.options,
            writer,
            piece,
            verifier.clone(),
            prefetcher,
        )
        .await?;
        if hashes.is_reused && hashes.verifier.clone().finish().is_err() {
            // What an earlier write has left is damaged.
            writer.go_back(start).await?;
            hashes =
                write_content(self.plan, self.options, writer, piece, verifier, prefetcher).await?;
        }
        if let Err(error) = hashes.verifier.finish() {
            writer.go_back(begin).await?;
            return Err(error);
        }
        self.put(writer, padding(piece.length)).await
    }

    /// Writes a part of a blob, and its digest.
    async fn part(
        &mut self,
        writer: &mut VolumeWriter,
        piece: Piece,
        prefetcher: &mut Prefetcher<'a>,
    ) -> Result<()> {
        let digest = self.plan.contents.node(piece.number)?.digest;
        let mut split = self.continue_split(piece)?;
        let begin = writer.position();
        split.starts.push((self.pending.len(), begin));
        let name = members::part_name(&digest, piece.offset);
        let header = tranship_tar::file_header(&name, piece.length)?;
        self.put(writer, header.into()).await?;
        let start = writer.position();
        let (verifier, name) = (
            split.verifier.clone(),
            members::sum_name(&digest, piece.offset),
        );
        let mut hashes =
            write_content(self.plan, self.options, writer, piece, verifier, prefetcher).await?;
        self.put(writer, padding(piece.length)).await?;
        let mut sum = sum_member(&name, &hashes)?;
        if hashes.is_reused && writer.differs(&sum).await? {
            writer.go_back(start).await?;
            let verifier = split.verifier.clone();
            hashes =
                write_content(self.plan, self.options, writer, piece, verifier, prefetcher).await?;
            self.put(writer, padding(piece.length)).await?;
            sum = sum_member(&name, &hashes)?;
        }
        self.put(writer, sum).await?;
        split.verifier = hashes.verifier;
        split.is_reused |= hashes.is_reused;
        self.end_part(piece, split, Some(writer)).await
    }

    fn continue_split(&mut self, piece: Piece) -> Result<Split> {
        match self.split.take() {
            Some(split) if split.number == piece.number => Ok(split),
            _ => Ok(Split {
                number: piece.number,
                verifier: Verifier::new(&self.plan.contents.node(piece.number)?.descriptor()),
                starts: Vec::new(),
                is_reused: false,
            }),
        }
    }

    /// Verifies the blob after its last part. If it is wrong, its parts are removed from the volumes that are not
    /// finished.
    async fn end_part(
        &mut self,
        piece: Piece,
        split: Split,
        writer: Option<&mut VolumeWriter>,
    ) -> Result<()> {
        let size = self.plan.contents.node(piece.number)?.size;
        if piece.offset + piece.length < size {
            self.split = Some(split);
            return Ok(());
        }
        let Err(error) = split.verifier.finish() else {
            return Ok(());
        };
        if let Some(writer) = writer
            && let Some((_, start)) = split
                .starts
                .iter()
                .find(|(at, _)| *at == self.pending.len())
        {
            writer.go_back(*start).await?;
        }
        for (position, start) in &split.starts {
            if let Some(pending) = self.pending.get_mut(*position) {
                pending.go_back(*start).await?;
            }
        }
        Err(match split.is_reused {
            true => error.with_hint(
                "a part of it was found in a volume of an earlier run, which may be damaged; delete the volumes and write them again",
            ),
            false => error,
        })
    }
}

/// Returns the padding that follows content of `length` bytes.
fn padding(length: u64) -> Bytes {
    Bytes::from_static(tranship_tar::padding(length))
}
