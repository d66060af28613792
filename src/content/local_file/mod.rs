//! Content that is stored in a file on this machine.

#[cfg_attr(not(target_os = "linux"), path = "no_page_cache.rs")]
mod page_cache;
mod stream;

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;

use crate::error::Result;

/// A range of bytes of an open file on this machine, which is the content of a [`Body`](super::Body).
///
/// A destination that knows the file can do better than read a stream: link or clone the file, copy the
/// bytes inside the kernel, or have the kernel send them. It reads at positions, as other readers may share
/// the file: the cursor of the file means nothing, and must not be relied on.
///
/// ```
/// use std::io::Write;
///
/// use tranship::{Body, LocalFile};
///
/// # fn main() -> std::io::Result<()> {
/// let mut archive = tempfile::tempfile()?;
/// archive.write_all(b"header, content, and more")?;
/// let content = LocalFile::new(archive, 8..15);
/// let mut buffer = [0; 100];
/// assert_eq!(content.read_at(&mut buffer, 0)?, 7);
/// assert_eq!(&buffer[..7], b"content");
///
/// let body = Body::from_local_file(content);
/// assert!(body.local_file().is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LocalFile {
    file: Arc<File>,
    range: Range<u64>,
    path: Option<PathBuf>,
    is_immutable: bool,
    observer: Option<Arc<Observer>>,
}

/// Is called with the number of bytes of each piece that is read.
type Observer = dyn Fn(u64) + Send + Sync;

impl LocalFile {
    /// Returns the bytes `range` of `file`. The content ends where the file does if the range ends after that.
    ///
    /// The file must be open for reading, and must be a regular file.
    #[must_use]
    pub fn new(file: impl Into<Arc<File>>, range: Range<u64>) -> Self {
        Self {
            file: file.into(),
            range,
            path: None,
            is_immutable: false,
            observer: None,
        }
    }

    /// Sets the path of the file, for error messages and for file systems on which only a path can be linked.
    /// Another file may have this path by now.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Promises that the file is never written again, such as a blob of a store. A hard link may stand for a
    /// copy of such a file.
    #[must_use]
    pub fn with_immutable(mut self, is_immutable: bool) -> Self {
        self.is_immutable = is_immutable;
        self
    }

    /// Returns the open file.
    #[must_use]
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Returns which bytes of the file the content is. The end may be after the end of the file.
    #[must_use]
    pub fn range(&self) -> &Range<u64> {
        &self.range
    }

    /// Returns the path of the file, if it is known.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns whether a hard link may stand for a copy of the file.
    #[must_use]
    pub fn is_immutable(&self) -> bool {
        self.is_immutable
    }

    /// Returns the size of the content in bytes, as the file is now. Blocks as reading metadata does.
    ///
    /// # Errors
    /// The error of the file system.
    pub fn size(&self) -> io::Result<u64> {
        let end = self.file.metadata()?.len().min(self.range.end);
        Ok(end.saturating_sub(self.range.start))
    }

    /// Reads bytes of the content from `offset` on into `buffer`, and returns how many; 0 at the end. Blocks as
    /// reading the file does. Reading again after an interruption is done here.
    ///
    /// # Errors
    /// The error of the file system.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let position = self.range.start.saturating_add(offset);
        let left = self.range.end.saturating_sub(position);
        if left == 0 {
            return Ok(0);
        }
        let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        loop {
            match read_at(&self.file, &mut buffer[..length], position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// Tells the observers of the [`Body`](super::Body) that this many bytes have been read. A reader of the file
    /// calls it for each piece.
    pub fn observe(&self, bytes: u64) {
        if let Some(observer) = &self.observer {
            observer(bytes);
        }
    }

    pub(super) fn add_observer(&mut self, observe: impl Fn(u64) + Send + Sync + 'static) {
        self.observer = Some(match self.observer.take() {
            None => Arc::new(observe),
            Some(earlier) => Arc::new(move |bytes| {
                earlier(bytes);
                observe(bytes);
            }),
        });
    }

    /// Returns the content as a stream, which tells the observers.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        stream::read(self)
    }
}

impl fmt::Debug for LocalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalFile")
            .field("path", &self.path)
            .field("range", &self.range)
            .field("is_immutable", &self.is_immutable)
            .finish_non_exhaustive()
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, position)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn file() -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"hello world").expect("written");
        file
    }

    #[test]
    fn a_range_is_read_and_nothing_beside_it() {
        for (range, offset, expected) in [
            (2..5, 0, &b"llo"[..]),
            (2..5, 2, b"o"),
            (2..5, 3, b""),
            (2..5, u64::MAX, b""),
            (6..u64::MAX, 0, b"world"),
            (20..30, 0, b""),
        ] {
            let part = LocalFile::new(file(), range);
            let mut buffer = [0; 100];
            let read = part.read_at(&mut buffer, offset).expect("read");
            assert_eq!(&buffer[..read], expected);
        }
    }

    #[test]
    fn the_size_is_that_of_the_range_within_the_file() {
        for (range, expected) in [(2..5, 3), (6..u64::MAX, 5), (20..30, 0)] {
            assert_eq!(
                LocalFile::new(file(), range).size().expect("known"),
                expected
            );
        }
    }
}
