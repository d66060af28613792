//! Bytes as they arrive, unchecked: a stream, or a local file that a destination can use as such.

use std::fmt;
use std::fs::File;
use std::io::Seek as _;
use std::pin::Pin;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::local_file::LocalFile;
use crate::error::{Error, Result};

/// A stream of bytes that owns everything it needs. Dropping it ends the work behind it.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send + 'static>>;

/// Bytes that have not been checked against a digest.
#[must_use = "a body is not read until it is asked for"]
pub struct Body(Kind);

enum Kind {
    Stream(ByteStream),
    File(LocalFile),
}

impl Body {
    /// Returns a body of bytes that arrive in pieces.
    pub fn from_stream(stream: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self(Kind::Stream(Box::pin(stream)))
    }

    /// Returns a body of bytes in memory.
    pub fn from_bytes(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::from_stream(stream::empty());
        }
        Self::from_stream(stream::once(async { Ok(bytes) }))
    }

    /// Returns a body of the bytes of a file from its cursor on, at most `length` of them. Nothing is read before the
    /// stream is polled. Bytes that the system has in memory are read in place; reads that wait for a disk happen on
    /// blocking threads, one chunk ahead of the reader.
    ///
    /// The file must be a regular file: the stream of another one, such as a pipe, is an error.
    pub fn from_file(mut file: File, length: u64) -> Self {
        match file.stream_position() {
            Ok(start) => {
                let range = start..start.saturating_add(length);
                Self::from_local_file(LocalFile::new(file, range))
            }
            Err(error) => Self::from_stream(stream::once(async {
                Err(Error::io("the file cannot be read at a position", error))
            })),
        }
    }

    /// Returns a body of the bytes of a local file, which a destination on the same machine can link, clone or copy
    /// inside the kernel instead of reading a stream. As a stream it is read as by [`from_file`](Self::from_file).
    pub fn from_local_file(file: LocalFile) -> Self {
        Self(Kind::File(file))
    }

    /// Returns the local file that the bytes are stored in, if they are.
    #[must_use]
    pub fn local_file(&self) -> Option<&LocalFile> {
        match &self.0 {
            Kind::Stream(_) => None,
            Kind::File(file) => Some(file),
        }
    }

    /// Returns the bytes as a stream.
    #[must_use]
    pub fn into_stream(self) -> ByteStream {
        match self.0 {
            Kind::Stream(stream) => stream,
            Kind::File(file) => Box::pin(file.into_stream()),
        }
    }

    /// Calls `observe` with the number of bytes of each piece that is read, from the stream or, by a destination that
    /// uses that instead, from the file.
    pub fn inspect(self, observe: impl Fn(u64) + Send + Sync + 'static) -> Self {
        match self.0 {
            Kind::Stream(stream) => Self::from_stream(stream.inspect(move |chunk| {
                if let Ok(chunk) = chunk {
                    observe(chunk.len() as u64);
                }
            })),
            Kind::File(mut file) => {
                file.add_observer(observe);
                Self(Kind::File(file))
            }
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("file", &self.local_file())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt as _;
    use std::io::{SeekFrom, Write as _};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn file() -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"hello world").expect("written");
        file.seek(SeekFrom::Start(2)).expect("in the file");
        file
    }

    async fn read(body: Body) -> Result<Vec<u8>> {
        let pieces: Vec<Bytes> = body.into_stream().try_collect().await?;
        Ok(pieces.concat())
    }

    #[tokio::test]
    async fn a_body_of_a_file_begins_at_its_cursor() {
        for (length, expected) in [(4, &b"llo "[..]), (u64::MAX, b"llo world"), (0, b"")] {
            let body = Body::from_file(file(), length);
            assert_eq!(body.local_file().expect("a file").range().start, 2);
            assert_eq!(read(body).await.expect("read"), expected);
        }
    }

    #[tokio::test]
    async fn a_body_in_memory_has_no_file() {
        let body = Body::from_bytes(Bytes::from_static(b"hello"));
        assert!(body.local_file().is_none());
        assert_eq!(read(body).await.expect("read"), b"hello");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_pipe_is_an_error() {
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        let body = Body::from_file(std::os::fd::OwnedFd::from(reader).into(), 1);
        assert!(read(body).await.is_err());
    }

    #[tokio::test]
    async fn each_observer_sees_all_bytes_that_are_read() {
        let (first, second) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let observed = |body: Body| {
            let (first, second) = (Arc::clone(&first), Arc::clone(&second));
            let count = |counter: Arc<AtomicU64>| {
                move |bytes| {
                    counter.fetch_add(bytes, Ordering::Relaxed);
                }
            };
            body.inspect(count(first)).inspect(count(second))
        };
        let content = read(observed(Body::from_file(file(), 4))).await;
        assert_eq!(content.expect("read"), b"llo ");
        let in_memory = Body::from_bytes(Bytes::from_static(b"hello"));
        read(observed(in_memory)).await.expect("read");
        let body = observed(Body::from_file(file(), 4));
        body.local_file().expect("a file").observe(10);
        for counted in [first, second] {
            assert_eq!(counted.load(Ordering::Relaxed), 19);
        }
    }
}
