//! Bytes as they come, unchecked, with word of where they lie if that is a local file.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek as _};
use std::ops::Range;
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
    bytes: Kind,
    file: Option<LocalFile>,
    observer: Option<Arc<Observer>>,
}

enum Kind {
    Stream(ByteStream),
    /// From the position of the file on, and how many at the most.
    File(Arc<File>, u64),
}

type Observer = dyn Fn(u64) + Send + Sync;

impl Body {
    /// Bytes that arrive in pieces.
    pub fn from_stream(stream: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self::new(Kind::Stream(Box::pin(stream)))
    }

    fn new(bytes: Kind) -> Self {
        Self {
            bytes,
            file: None,
            observer: None,
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
    /// is read before the stream is polled. What the system has in memory is read in place; reads
    /// that wait for a disk happen on blocking threads, one chunk ahead of the reader.
    ///
    /// Reading needs a tokio runtime.
    pub fn from_file(file: File, length: u64) -> Self {
        Self::new(Kind::File(Arc::new(file), length))
    }

    /// Says that these bytes are those of a local file, so that a destination on the same file system
    /// can link or clone it, or copy it inside the kernel, instead of reading.
    pub fn with_local_file(mut self, mut file: LocalFile) -> Self {
        if let Kind::File(opened, _) = &self.bytes {
            file.whole = Some(Arc::clone(opened));
        }
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
        let stream = match self.bytes {
            Kind::Stream(stream) => stream,
            Kind::File(file, length) => Box::pin(file::read(file, length)),
        };
        match self.observer {
            None => stream,
            Some(observe) => Box::pin(stream.inspect(move |chunk| {
                if let Ok(chunk) = chunk {
                    observe(chunk.len() as u64);
                }
            })),
        }
    }

    /// Whether these bytes are a part of an open file, as [`into_open_file`](Self::into_open_file) would
    /// tell.
    #[must_use]
    pub fn is_open_file(&self) -> bool {
        match self.bytes {
            Kind::File(..) => true,
            Kind::Stream(_) => self.file.as_ref().is_some_and(|file| file.part.is_some()),
        }
    }

    /// The part of an open file that these bytes are, for who can do better than to read a stream, such
    /// as to have the system send them. The file is not to be written to, nor its cursor to be moved.
    ///
    /// # Errors
    /// The body itself, to be read as a stream, where there is no such file.
    pub fn into_open_file(mut self) -> std::result::Result<OpenFile, Self> {
        let (file, range) = match self.bytes {
            Kind::File(file, most) => match rest_of(&file, most) {
                Ok(range) => (file, range),
                Err(_) => {
                    self.bytes = Kind::File(file, most);
                    return Err(self);
                }
            },
            Kind::Stream(stream) => match self.file.as_ref().and_then(LocalFile::opened) {
                Some((file, range)) => (Arc::clone(file), range.clone()),
                None => {
                    self.bytes = Kind::Stream(stream);
                    return Err(self);
                }
            },
        };
        Ok(OpenFile {
            file,
            range,
            observer: self.observer,
        })
    }

    /// Calls `observe` with the number of bytes of each piece that is read, from the stream or, by
    /// who takes that instead, from the file.
    pub fn inspect(mut self, observe: impl Fn(u64) + Send + Sync + 'static) -> Self {
        let observe: Arc<Observer> = match self.observer {
            None => Arc::new(observe),
            Some(earlier) => Arc::new(move |bytes| {
                earlier(bytes);
                observe(bytes);
            }),
        };
        if let Some(file) = &mut self.file {
            file.observer = Some(Arc::clone(&observe));
        }
        self.observer = Some(observe);
        self
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
    /// The file that the body will read, if it is open.
    whole: Option<Arc<File>>,
    /// Where in which file the content lies, if it is only a part of one.
    part: Option<(Arc<File>, Range<u64>)>,
    observer: Option<Arc<Observer>>,
}

impl LocalFile {
    /// A file that its owner may change at any time: to be cloned or copied, never to be linked.
    #[must_use]
    pub fn mutable(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            immutable: false,
            whole: None,
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
            whole: None,
            part: None,
            observer: None,
        }
    }

    /// Content that is the bytes `range` of an open file, such as a member of an archive: to be copied,
    /// and read at a position, since others read the file too. The `path` is for errors only;
    /// something else may lie there by now.
    #[must_use]
    pub fn part(path: impl Into<PathBuf>, file: Arc<File>, range: Range<u64>) -> Self {
        Self {
            path: path.into(),
            immutable: false,
            whole: None,
            part: Some((file, range)),
            observer: None,
        }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file, if the body has it open already, with its cursor at the start. Who reads it, and then the
    /// body after all, puts the cursor back.
    #[must_use]
    pub fn whole(&self) -> Option<&Arc<File>> {
        self.whole.as_ref()
    }

    /// The open file and the bytes of it that the content is, if it is a part of one. Then
    /// [`path`](Self::path) is not to be opened.
    #[must_use]
    pub fn opened(&self) -> Option<(&Arc<File>, &Range<u64>)> {
        let (file, range) = self.part.as_ref()?;
        Some((file, range))
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
            .field("range", &self.part.as_ref().map(|(_, range)| range))
            .finish_non_exhaustive()
    }
}

/// A part of an open file, in place of a stream of its bytes; see [`Body::into_open_file`].
#[must_use = "the bytes are not read until somebody does"]
pub struct OpenFile {
    file: Arc<File>,
    range: Range<u64>,
    observer: Option<Arc<Observer>>,
}

impl OpenFile {
    /// The file, to be read at a position, since others may read it too.
    #[must_use]
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Which bytes of the file they are.
    #[must_use]
    pub fn range(&self) -> &Range<u64> {
        &self.range
    }

    /// To be called with the number of bytes of each piece that is read.
    pub fn observe(&self, bytes: u64) {
        if let Some(observer) = &self.observer {
            observer(bytes);
        }
    }
}

impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFile")
            .field("file", &self.file)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// What is left of a file behind its cursor, `most` bytes if there are more.
fn rest_of(mut file: &File, most: u64) -> io::Result<Range<u64>> {
    let start = file.stream_position()?;
    let left = file.metadata()?.len().saturating_sub(start);
    Ok(start..start + left.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt as _;
    use std::io::{SeekFrom, Write as _};
    use std::sync::atomic::{AtomicU64, Ordering};

    fn file() -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"hello world").expect("written");
        file.seek(SeekFrom::Start(2)).expect("in the file");
        file
    }

    #[test]
    fn a_body_of_a_file_is_what_is_left_of_it() {
        for (most, expected) in [(4, 2..6), (9, 2..11), (u64::MAX, 2..11), (0, 2..2)] {
            let open = Body::from_file(file(), most).into_open_file();
            assert_eq!(*open.expect("a file").range(), expected);
        }
    }

    #[test]
    fn a_part_of_a_file_that_others_read_is_known_by_its_range() {
        let part = LocalFile::part("archive.tar", Arc::new(file()), 3..5);
        let body = Body::from_bytes(Bytes::from_static(b"lo")).with_local_file(part);
        assert!(body.is_open_file());
        let open = body.into_open_file().expect("a file");
        assert_eq!(*open.range(), 3..5);
    }

    #[tokio::test]
    async fn a_body_that_is_in_no_open_file_stays_a_body() {
        let body = Body::from_bytes(Bytes::from_static(b"hello"))
            .with_local_file(LocalFile::immutable("/some/blob"));
        assert!(!body.is_open_file());
        let body = body.into_open_file().expect_err("not open");
        assert!(body.local_file().is_some());
        let bytes: Vec<Bytes> = body.into_stream().try_collect().await.expect("read");
        assert_eq!(bytes.concat(), b"hello");
    }

    #[tokio::test]
    async fn each_observer_sees_what_is_read_in_whatever_way() {
        let (first, second) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let watched = || {
            let (first, second) = (Arc::clone(&first), Arc::clone(&second));
            Body::from_file(file(), 4)
                .inspect(move |bytes| {
                    first.fetch_add(bytes, Ordering::Relaxed);
                })
                .inspect(move |bytes| {
                    second.fetch_add(bytes, Ordering::Relaxed);
                })
        };
        let bytes: Vec<Bytes> = watched().into_stream().try_collect().await.expect("read");
        assert_eq!(bytes.concat(), b"llo ");
        watched().into_open_file().expect("a file").observe(10);
        for counted in [first, second] {
            assert_eq!(counted.load(Ordering::Relaxed), 14);
        }
    }
}
