//! Where a bundle is written to if not to files.

use std::fmt;
use std::io::Write;

use async_trait::async_trait;
use bytes::Bytes;
use tranship::blocking::Sequence;
use tranship::{Error, Result};

/// Takes the bytes of one volume in their order, such as an upload to an object store.
#[async_trait]
pub trait Sink: Send {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// Whatever the destination fails with. The write ends with the error.
    async fn write(&mut self, bytes: Bytes) -> Result<()>;

    /// Is called when all bytes are written and verified. Only after that may the volume be visible to others. A sink
    /// that is dropped before leaves no volume.
    ///
    /// # Errors
    /// Whatever the destination fails with.
    async fn finish(self: Box<Self>) -> Result<()>;
}

/// Opens a [`Sink`] for each volume.
#[async_trait]
pub trait OpenSink: Send + Sync {
    /// Opens the sink of the volume `number` (from 1 on) of `volumes`, which will have `size` bytes.
    ///
    /// Several can be open at the same time: one whose last blob continues in the next volume is finished when the blob is
    /// verified.
    ///
    /// # Errors
    /// Whatever the destination fails with.
    async fn open(&self, number: u32, volumes: u32, size: u64) -> Result<Box<dyn Sink>>;
}

/// A sink that writes to standard output, a pipe or another [`Write`], on a blocking thread.
///
/// ```
/// use bytes::Bytes;
/// use tranship_mirror::bundle::{Sink, WriterSink};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let mut sink: Box<dyn Sink> = Box::new(WriterSink::new(Vec::new()));
/// sink.write(Bytes::from_static(b"hello")).await?;
/// sink.finish().await?;
/// # Ok(())
/// # }
/// ```
pub struct WriterSink<W> {
    writing: Sequence<W>,
}

impl<W: Write + Send + 'static> WriterSink<W> {
    /// Returns a sink that writes to `writer` and flushes it at the end.
    #[must_use]
    pub fn new(writer: W) -> Self {
        Self {
            writing: Sequence::new(writer),
        }
    }
}

impl<W> fmt::Debug for WriterSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterSink").finish_non_exhaustive()
    }
}

#[async_trait]
impl<W: Write + Send + 'static> Sink for WriterSink<W> {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let write = move |mut writer: W| {
            writer.write_all(&bytes).map_err(failed)?;
            Ok(writer)
        };
        self.writing.then(write).await
    }

    async fn finish(mut self: Box<Self>) -> Result<()> {
        let flush = |mut writer: W| {
            writer.flush().map_err(failed)?;
            Ok(writer)
        };
        self.writing.then(flush).await?;
        self.writing.finish().await.map(drop)
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::io("cannot write the bundle", error)
}
