//! What a push takes: content that can be opened, and opened again further on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Body, Content, Fetcher, LocalFile, check_limit};
use crate::blocking;
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result};

/// Content that can be opened at any offset, as often as is needed.
#[async_trait]
pub trait OpenAt: Send + Sync {
    /// The bytes from `offset` to the end, unchecked.
    ///
    /// # Errors
    /// What the place where the content lies fails with; [`ErrorKind::RangeInvalid`] if `offset` is
    /// beyond the end.
    async fn open_at(&self, offset: u64) -> Result<Body>;
}

/// Where the content of a push comes from.
///
/// A push may open its source again, at the offset that it has reached, when a connection broke: a
/// retry never needs the caller. Only [`Source::once`] cannot be opened twice.
///
/// ```
/// use bytes::Bytes;
/// use futures_util::StreamExt;
/// use tranship::Source;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let source = Source::from(Bytes::from_static(b"hello"));
/// let mut rest = source.open(3).await?.into_stream();
/// assert_eq!(rest.next().await.unwrap()?, "lo");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Source<'a>(Kind<'a>);

#[derive(Clone)]
enum Kind<'a> {
    Bytes(Bytes),
    File(Arc<Path>),
    Stored(&'a dyn Fetcher, &'a Descriptor),
    Open(&'a dyn OpenAt),
    Once(Arc<Mutex<Option<Body>>>),
}

impl<'a> Source<'a> {
    /// A file that holds the content and nothing else. It is opened when it is needed.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::File(Arc::from(path.into())))
    }

    /// The content of `descriptor` in `store`.
    #[must_use]
    pub fn stored(store: &'a dyn Fetcher, descriptor: &'a Descriptor) -> Self {
        Self(Kind::Stored(store, descriptor))
    }

    /// Content of any other origin.
    #[must_use]
    pub fn open_at(origin: &'a dyn OpenAt) -> Self {
        Self(Kind::Open(origin))
    }

    /// Bytes that come once and cannot be had again, such as standard input: a push that breaks is
    /// not retried.
    #[must_use]
    pub fn once(body: Body) -> Self {
        Self(Kind::Once(Arc::new(Mutex::new(Some(body)))))
    }

    /// Whether the content can be opened more than once, and elsewhere than at its start.
    #[must_use]
    pub fn is_reopenable(&self) -> bool {
        !matches!(self.0, Kind::Once(_))
    }

    /// Whether the content is held in memory, so that to read it costs nothing.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        matches!(self.0, Kind::Bytes(_))
    }

    /// The bytes from `offset` to the end, unchecked.
    ///
    /// # Errors
    /// - [`ErrorKind::RangeInvalid`] if `offset` is beyond the end.
    /// - [`ErrorKind::Unsupported`] if the content comes once, and was opened before or is asked for
    ///   elsewhere than at its start.
    /// - What the place where the content lies fails with.
    pub async fn open(&self, offset: u64) -> Result<Body> {
        match &self.0 {
            Kind::Bytes(bytes) => match usize::try_from(offset) {
                Ok(offset) if offset <= bytes.len() => Ok(Body::from_bytes(bytes.slice(offset..))),
                _ => Err(beyond_the_end(offset)),
            },
            Kind::File(path) => open_file(path, offset).await,
            Kind::Stored(store, descriptor) if offset == 0 => {
                Ok(store.fetch(descriptor).await?.into_body())
            }
            Kind::Stored(store, descriptor) => {
                let rest = store.fetch_range(descriptor, (offset..).into()).await?;
                Ok(rest.into_body())
            }
            Kind::Open(origin) => origin.open_at(offset).await,
            Kind::Once(_) if offset != 0 => Err(only_once()),
            Kind::Once(body) => body
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
                .ok_or_else(only_once),
        }
    }

    /// All bytes at once, checked against `expected`: for manifests.
    ///
    /// # Errors
    /// As [`Content::bytes`], and as [`open`](Self::open).
    pub async fn bytes(&self, expected: &Descriptor, limit: u64) -> Result<Bytes> {
        check_limit(expected, expected.size(), limit)?;
        Content::new(expected.clone(), self.open(0).await?)
            .bytes(limit)
            .await
    }
}

impl From<Bytes> for Source<'_> {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Bytes(bytes))
    }
}

impl From<Vec<u8>> for Source<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Kind::Bytes(bytes.into()))
    }
}

impl From<&'static [u8]> for Source<'_> {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Kind::Bytes(Bytes::from_static(bytes)))
    }
}

impl From<&'static str> for Source<'_> {
    fn from(text: &'static str) -> Self {
        text.as_bytes().into()
    }
}

impl<const N: usize> From<&'static [u8; N]> for Source<'_> {
    fn from(bytes: &'static [u8; N]) -> Self {
        bytes[..].into()
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_tuple("Source");
        match &self.0 {
            Kind::Bytes(bytes) => debug.field(&format_args!("{} bytes", bytes.len())),
            Kind::File(path) => debug.field(path),
            Kind::Stored(_, descriptor) => debug.field(&descriptor.digest()),
            Kind::Open(_) => debug.field(&format_args!("open_at")),
            Kind::Once(_) => debug.field(&format_args!("once")),
        };
        debug.finish()
    }
}

async fn open_file(path: &Arc<Path>, offset: u64) -> Result<Body> {
    let opened = Arc::clone(path);
    let open = move || {
        let mut options = std::fs::File::options();
        options.read(true);
        #[cfg(target_os = "linux")]
        {
            // A file that was replaced by a named pipe would block until another program writes to that.
            let flags = rustix::fs::OFlags::NONBLOCK.bits();
            std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.cast_signed());
        }
        let opened = options.open(&*opened).and_then(|file| {
            let size = file.metadata()?.len();
            Ok((file, size))
        });
        opened.map_err(|error| Error::io("cannot be opened", error))
    };
    let opened = blocking::run(open).await;
    let (file, size) = opened.map_err(|error| error.with_subject(path.display()))?;
    if offset > size {
        return Err(beyond_the_end(offset).with_subject(path.display()));
    }
    // To the end even if the file grows: the check of the bytes then notices it.
    let file = LocalFile::new(file, offset..u64::MAX).with_path(&**path);
    Ok(Body::from_local_file(file))
}

fn beyond_the_end(offset: u64) -> Error {
    Error::new(
        ErrorKind::RangeInvalid,
        format!("offset {offset} is beyond the end of the content"),
    )
}

fn only_once() -> Error {
    Error::unsupported("the content comes as a stream that can be read only once")
        .with_hint("give a file instead, so that a broken transfer can be continued")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt as _;

    async fn read(source: &Source<'_>, offset: u64) -> Result<Vec<u8>> {
        let chunks: Vec<Bytes> = source
            .open(offset)
            .await?
            .into_stream()
            .try_collect()
            .await?;
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn bytes_open_anywhere_up_to_the_end() {
        let source = Source::from(&b"hello"[..]);
        assert_eq!(read(&source, 0).await.expect("all"), b"hello");
        assert_eq!(read(&source, 5).await.expect("none"), b"");
        let error = read(&source, 6).await.expect_err("beyond");
        assert_eq!(error.kind(), ErrorKind::RangeInvalid);
    }

    #[tokio::test]
    async fn a_file_opens_anywhere_and_says_where_it_is() {
        let directory =
            std::env::temp_dir().join(format!("tranship-source-{}", std::process::id()));
        let content: Vec<u8> = (0..600_000_u32).map(|n| n as u8).collect();
        std::fs::write(&directory, &content).expect("write");
        let source = Source::file(&directory);
        assert_eq!(read(&source, 0).await.expect("all"), content);
        assert_eq!(
            read(&source, 300_001).await.expect("rest"),
            content[300_001..]
        );
        let whole = source.open(0).await.expect("open");
        assert!(whole.local_file().is_some_and(|file| !file.is_immutable()));
        let rest = source.open(1).await.expect("open");
        assert_eq!(rest.local_file().map(|file| file.range().start), Some(1));
        std::fs::remove_file(&directory).expect("remove");
    }

    #[tokio::test]
    async fn a_missing_file_is_not_found() {
        let error = read(&Source::file("/nonexistent/tranship"), 0)
            .await
            .expect_err("missing");
        assert!(error.is_not_found());
    }

    #[tokio::test]
    async fn a_stream_opens_once() {
        let source = Source::once(Body::from_bytes(Bytes::from_static(b"x")));
        assert!(!source.is_reopenable());
        assert_eq!(read(&source, 0).await.expect("first"), b"x");
        let error = read(&source, 0).await.expect_err("second");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
