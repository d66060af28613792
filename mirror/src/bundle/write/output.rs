//! One volume while it is written, and the bytes of it that exist from an earlier write.

use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tranship::{Body, ByteStream, LocalFile, Result, blocking};

use super::super::kept::read;

/// How many bytes are gathered before they are written.
const GATHERED: usize = 256 * 1024;

/// Where the bytes of a volume go.
#[async_trait]
pub(super) trait Output: Send {
    /// Returns the bytes that exist from an earlier write, with their length.
    fn existing(&self) -> Option<(Arc<File>, u64)>;

    /// Removes everything from the byte `length` on.
    async fn truncate(&mut self, length: u64) -> Result<()>;

    /// Appends bytes.
    async fn write(&mut self, bytes: Bytes) -> Result<()>;

    /// Makes everything that was written durable. After this, only [`truncate`](Self::truncate) and
    /// [`publish`](Self::publish) are called. A file that does not stay open is no longer locked.
    async fn complete(&mut self, stays_open: bool) -> Result<()>;

    /// Gives the volume its name. Everything was verified.
    async fn publish(self: Box<Self>) -> Result<()>;
}

/// Writes a volume from its beginning, and passes over what exists of it.
pub(super) struct VolumeWriter {
    output: Box<dyn Output>,
    existing: Option<(Arc<File>, u64)>,
    position: u64,
    gathered: BytesMut,
}

impl VolumeWriter {
    pub(super) fn new(output: Box<dyn Output>) -> Self {
        Self {
            existing: output.existing(),
            output,
            position: 0,
            gathered: BytesMut::new(),
        }
    }

    /// Returns how many bytes of the volume have been written or passed over.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns how many bytes exist from the position on.
    pub(super) fn ahead(&self) -> u64 {
        let length = self.existing.as_ref().map_or(0, |(_, length)| *length);
        length.saturating_sub(self.position)
    }

    /// Returns the next `length` bytes, which exist, and passes over them.
    pub(super) fn pass(&mut self, length: u64) -> ByteStream {
        let range = self.position..self.position + length;
        self.position = range.end;
        match &self.existing {
            Some((file, _)) => {
                let file = LocalFile::new(Arc::clone(file), range);
                Body::from_local_file(file).into_stream()
            }
            None => Body::from_bytes(Bytes::new()).into_stream(),
        }
    }

    /// Returns whether the next bytes exist and are others than `expected`.
    pub(super) async fn differs(&self, expected: &Bytes) -> Result<bool> {
        let length = expected.len() as u64;
        match &self.existing {
            Some((file, _)) if self.ahead() >= length => {
                let range = self.position..self.position + length;
                let file = LocalFile::new(Arc::clone(file), range);
                let found = blocking::run_sized(expected.len(), move || read(&file)).await?;
                Ok(found != *expected)
            }
            _ => Ok(false),
        }
    }

    /// Writes bytes that are known, or passes over them if they exist. What exists from there on is removed if it is
    /// something else.
    pub(super) async fn put(&mut self, bytes: Bytes) -> Result<()> {
        let length = bytes.len() as u64;
        if self.ahead() >= length && !self.differs(&bytes).await? {
            self.position += length;
            return Ok(());
        }
        self.write(bytes).await
    }

    /// Writes bytes at the position. What exists from there on is removed.
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.existing.is_some() {
            self.output.truncate(self.position).await?;
            self.existing = None;
        }
        self.position += bytes.len() as u64;
        if self.gathered.is_empty() && bytes.len() >= GATHERED / 4 {
            return self.output.write(bytes).await;
        }
        self.gathered.extend_from_slice(&bytes);
        if self.gathered.len() >= GATHERED {
            self.flush().await?;
        }
        Ok(())
    }

    /// Goes back to the byte `position`, and removes what follows it. Only a file can do that.
    pub(super) async fn go_back(&mut self, position: u64) -> Result<()> {
        self.flush().await?;
        self.output.truncate(position).await?;
        self.existing = None;
        self.position = position;
        Ok(())
    }

    /// Hands everything to the output, and makes it durable.
    pub(super) async fn complete(&mut self, stays_open: bool) -> Result<()> {
        if self.ahead() > 0 {
            self.output.truncate(self.position).await?;
        }
        self.flush().await?;
        // So that the file can be closed.
        self.existing = None;
        self.output.complete(stays_open).await
    }

    /// Hands what was gathered to the output.
    pub(super) async fn flush(&mut self) -> Result<()> {
        if !self.gathered.is_empty() {
            let gathered = std::mem::take(&mut self.gathered).freeze();
            self.output.write(gathered).await?;
        }
        Ok(())
    }

    /// Gives the volume its name.
    pub(super) async fn publish(self) -> Result<()> {
        self.output.publish().await
    }
}
