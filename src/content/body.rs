//! Bytes as they come, unchecked, with word of where they lie if that is a local file.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::file;
use crate::error::Result;

/// A stream of bytes, owned by nobody else. Dropping it ends the work behind it.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send + 'static>>;

/// Bytes that nobody has checked yet.
#[must_use = "a body is not read until it is asked for"]
pub struct Body {
    stream: ByteStream,
    file: Option<LocalFile>,
}

impl Body {
    /// Bytes that arrive in pieces.
    pub fn from_stream(stream: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self {
            stream: Box::pin(stream),
            file: None,
        }
    }

    /// Bytes in memory.
    pub fn from_bytes(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::from_stream(stream::empty());
        }
        Self::from_stream(stream::once(async { Ok(bytes) }))
    }

    /// The content of an open file from its current position on, `length` bytes at the most. Nothing
    /// is read before the stream is polled; reads happen on blocking threads, one chunk ahead of
    /// the reader.
    ///
    /// Reading needs a tokio runtime.
    pub fn from_file(file: File, length: u64) -> Self {
        Self::from_stream(file::read(file, length))
    }

    /// Says that these bytes are those of a local file, so that a destination on the same file system
    /// can link or clone it, or copy it inside the kernel, instead of reading.
    pub fn with_local_file(mut self, file: LocalFile) -> Self {
        self.file = Some(file);
        self
    }

    /// Where these bytes lie, if that is a local file.
    #[must_use]
    pub fn local_file(&self) -> Option<&LocalFile> {
        self.file.as_ref()
    }

    /// The bytes.
    #[must_use]
    pub fn into_stream(self) -> ByteStream {
        self.stream
    }

    /// Calls `observe` with the number of bytes of each piece that is read, from the stream or, by
    /// who takes that instead, from the local file.
    pub fn inspect(self, observe: impl Fn(u64) + Send + Sync + 'static) -> Self {
        let observe: Arc<Observer> = Arc::new(observe);
        let file = self.file.map(|file| LocalFile {
            observer: Some(Arc::clone(&observe)),
            ..file
        });
        Self {
            stream: Box::pin(self.stream.inspect(move |chunk| {
                if let Ok(chunk) = chunk {
                    observe(chunk.len() as u64);
                }
            })),
            file,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// A file on this machine that holds some content and nothing else, or a part of an open one.
#[derive(Clone)]
pub struct LocalFile {
    path: PathBuf,
    immutable: bool,
    /// Where in which file the content begins, if it is only a part of one.
    part: Option<(Arc<File>, u64)>,
    observer: Option<Arc<Observer>>,
}

type Observer = dyn Fn(u64) + Send + Sync;

impl LocalFile {
    /// A file that its owner may change at any time: to be cloned or copied, never to be linked.
    #[must_use]
    pub fn mutable(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            immutable: false,
            part: None,
            observer: None,
        }
    }

    /// A file that is never written again, such as a blob of a store: a hard link to it is safe.
    #[must_use]
    pub fn immutable(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            immutable: true,
            part: None,
            observer: None,
        }
    }

    /// Content that lies in an open file, from the byte `start` on, such as a member of an archive: to
    /// be copied, and read at a position, since others read the file too. The `path` is for errors
    /// only; something else may lie there by now.
    #[must_use]
    pub fn part(path: impl Into<PathBuf>, file: Arc<File>, start: u64) -> Self {
        Self {
            path: path.into(),
            immutable: false,
            part: Some((file, start)),
            observer: None,
        }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file and the byte in it at which the content begins, if it is a part of one. Then
    /// [`path`](Self::path) is not to be opened.
    #[must_use]
    pub fn opened(&self) -> Option<(&Arc<File>, u64)> {
        let (file, start) = self.part.as_ref()?;
        Some((file, *start))
    }

    /// Whether a hard link may stand for a copy.
    #[must_use]
    pub fn is_immutable(&self) -> bool {
        self.immutable
    }

    /// To be called by who reads the file, instead of the stream of the [`Body`], with the number of
    /// bytes of each piece.
    pub fn observe(&self, bytes: u64) {
        if let Some(observer) = &self.observer {
            observer(bytes);
        }
    }
}

impl fmt::Debug for LocalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalFile")
            .field("path", &self.path)
            .field("immutable", &self.immutable)
            .field("start", &self.part.as_ref().map(|(_, start)| start))
            .finish_non_exhaustive()
    }
}
