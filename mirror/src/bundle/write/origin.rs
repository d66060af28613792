//! Reads blobs from where the images come from.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tranship::{ByteStream, Descriptor, Error, ErrorKind, Repository, Result};

/// How often a read that broke is continued without any progress.
const ATTEMPTS: u32 = 4;

/// A part of a blob that is read from the first source that has it, and continued when the connection breaks.
pub(super) struct OriginReader<'a> {
    origins: &'a [Arc<dyn Repository>],
    descriptor: Descriptor,
    position: u64,
    end: u64,
    stream: Option<ByteStream>,
    failures: u32,
}

impl<'a> OriginReader<'a> {
    /// Returns a reader of the bytes `position..end` of a blob.
    pub(super) fn new(
        origins: &'a [Arc<dyn Repository>],
        descriptor: Descriptor,
        position: u64,
        end: u64,
    ) -> Self {
        Self {
            origins,
            descriptor,
            position,
            end,
            stream: None,
            failures: 0,
        }
    }

    /// Returns the next bytes; `None` at the end.
    ///
    /// # Errors
    /// What the source fails with, and `SizeMismatch` if it has too few or too many bytes.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.try_next().await {
                Err(error) if error.is_retryable() && self.failures < ATTEMPTS => {
                    self.failures += 1;
                    self.stream = None;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_next(&mut self) -> Result<Option<Bytes>> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                if self.position == self.end && self.end > 0 {
                    return Ok(None);
                }
                let range = self.position..self.end;
                let opened = open(self.origins, &self.descriptor, range).await?;
                self.stream.insert(opened)
            }
        };
        let Some(bytes) = stream.next().await.transpose()? else {
            if self.position < self.end {
                let missing = self.end - self.position;
                let message = format!("the source ends {missing} bytes too early");
                return Err(Error::new(ErrorKind::SizeMismatch, message));
            }
            return Ok(None);
        };
        self.position += bytes.len() as u64;
        self.failures = 0;
        if self.position > self.end {
            let message = format!("the source has more than {} bytes", self.end);
            return Err(Error::new(ErrorKind::SizeMismatch, message));
        }
        Ok(Some(bytes))
    }
}

/// Opens the bytes `range` of a blob at the first source that has it.
async fn open(
    origins: &[Arc<dyn Repository>],
    descriptor: &Descriptor,
    range: Range<u64>,
) -> Result<ByteStream> {
    let is_whole = range == (0..descriptor.size());
    let mut first_error = None;
    for origin in origins {
        let blobs = origin.blobs();
        let opened = if is_whole {
            blobs.fetch(descriptor).await
        } else {
            blobs.fetch_range(descriptor, range.clone().into()).await
        };
        match opened {
            Ok(content) => return Ok(content.into_body().into_stream()),
            Err(error) => {
                let is_not_found = error.is_not_found();
                first_error.get_or_insert(error);
                if !is_not_found {
                    break;
                }
            }
        }
    }
    Err(first_error.unwrap_or_else(|| Error::not_found(descriptor.digest())))
}
