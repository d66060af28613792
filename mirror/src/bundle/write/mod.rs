//! Writes a bundle in one pass, to files or anything else that takes bytes in their order.

mod content;
mod file;
mod members;
mod options;
mod origin;
mod output;
mod prefetch;
mod sink;
mod volume;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tranship::{Result, ResultExt as _};

pub use options::{WriteOptions, WriteReport, WrittenVolume};
pub use sink::{OpenSink, Sink, WriterSink};

use super::plan::Plan;
use output::Output;
use volume::{Run, Target};

impl Plan {
    /// Writes the bundle to the file `path`, or to one file for each volume if the plan has a volume size:
    /// `bundle.001.tar`, `bundle.002.tar` and so on for `bundle.tar`.
    ///
    /// The same plan always makes the same bytes. Each file has the name `FILE.partial` until all of it is written,
    /// verified and durable. If a write fails or is dropped, that file stays, and the next write of the same plan verifies
    /// and continues it, inside a blob too. Finished volumes of the same plan are kept.
    ///
    /// # Errors
    /// - [`DigestMismatch`](tranship::ErrorKind::DigestMismatch) or [`SizeMismatch`](tranship::ErrorKind::SizeMismatch),
    ///   with an image and the digest, if a source has other content than its manifests say. The file is not finished.
    /// - [`Conflict`](tranship::ErrorKind::Conflict) if another process writes the same file.
    /// - What the sources and the file system fail with.
    pub async fn write_files(
        &self,
        path: impl AsRef<Path>,
        options: &WriteOptions,
    ) -> Result<WriteReport> {
        let target = Files {
            path: path.as_ref().to_owned(),
            volumes: self.contents.volumes,
            is_split: self.is_split,
        };
        let kept = Run::new(self, &target, options)
            .run()
            .await
            .during("write", "the bundle")?;
        let volumes = (1..=self.contents.volumes)
            .zip(kept)
            .map(|(number, kept)| WrittenVolume {
                path: target.path(number),
                size: self.volume_length(number),
                kept,
            });
        Ok(WriteReport {
            volumes: volumes.collect(),
        })
    }

    /// Writes the volumes of the bundle to sinks, such as standard output or an object store.
    ///
    /// If the future is dropped, sinks that are not finished are dropped.
    ///
    /// # Errors
    /// As [`write_files`](Self::write_files), and what the sinks fail with.
    pub async fn write_sinks(&self, open: &dyn OpenSink, options: &WriteOptions) -> Result<()> {
        let target = Sinks { open, plan: self };
        let written = Run::new(self, &target, options).run().await;
        written.map(drop).during("write", "the bundle")
    }
}

struct Files {
    path: PathBuf,
    volumes: u32,
    is_split: bool,
}

impl Files {
    fn path(&self, number: u32) -> PathBuf {
        match self.is_split {
            true => file::volume_path(&self.path, number, self.volumes),
            false => self.path.clone(),
        }
    }
}

#[async_trait]
impl Target for Files {
    async fn finished(&self, number: u32, size: u64) -> Result<Option<Arc<std::fs::File>>> {
        file::finished(&self.path(number), size).await
    }

    async fn open(&self, number: u32) -> Result<Box<dyn Output>> {
        Ok(Box::new(file::PartialFile::open(&self.path(number)).await?))
    }
}

struct Sinks<'a> {
    open: &'a dyn OpenSink,
    plan: &'a Plan,
}

#[async_trait]
impl Target for Sinks<'_> {
    async fn finished(&self, _: u32, _: u64) -> Result<Option<Arc<std::fs::File>>> {
        Ok(None)
    }

    async fn open(&self, number: u32) -> Result<Box<dyn Output>> {
        let (volumes, size) = (self.plan.contents.volumes, self.plan.volume_length(number));
        Ok(Box::new(SinkOutput(
            self.open.open(number, volumes, size).await?,
        )))
    }
}

struct SinkOutput(Box<dyn Sink>);

#[async_trait]
impl Output for SinkOutput {
    fn existing(&self) -> Option<(Arc<std::fs::File>, u64)> {
        None
    }

    /// Does nothing: a write that goes back ends with an error, and the sink is dropped.
    async fn truncate(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.0.write(bytes).await
    }

    async fn complete(&mut self, _: bool) -> Result<()> {
        Ok(())
    }

    async fn publish(self: Box<Self>) -> Result<()> {
        self.0.finish().await
    }
}
