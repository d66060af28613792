//! Decompresses bytes while they arrive.

use std::fmt;
use std::io::{self, Write};

use flate2::write::MultiGzDecoder;

use super::Compression;
use super::zstd::ZstdDecoder;

/// Decompresses the bytes that it receives, and writes them to `W`.
///
/// Gzip members and Zstandard frames may follow each other; any other bytes after them are an error. An error that `W`
/// returns has its number from the system ([`io::Error::raw_os_error`]) if it had one; errors of the content have none.
///
/// ```
/// use tranship::decompress::Decompressor;
///
/// let mut decompressor = Decompressor::new(None, Vec::new());
/// decompressor.write_all(b"not compressed")?;
/// assert_eq!(decompressor.finish()?, b"not compressed");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Decompressor<W: Write>(Kind<W>);

enum Kind<W: Write> {
    Stored(W),
    Gzip(Box<MultiGzDecoder<W>>),
    Zstd(Box<ZstdDecoder<W>>),
}

impl<W: Write> Decompressor<W> {
    /// Returns a decompressor of `compression`; with `None`, bytes pass as they are.
    pub fn new(compression: Option<Compression>, sink: W) -> Self {
        Self(match compression {
            None => Kind::Stored(sink),
            Some(Compression::Gzip) => Kind::Gzip(Box::new(MultiGzDecoder::new(sink))),
            Some(Compression::Zstd) => Kind::Zstd(Box::new(ZstdDecoder::new(sink))),
        })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// `InvalidData` or another kind without a number from the system if the bytes are damaged, and what `W` fails with.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Kind::Stored(sink) => sink.write_all(bytes),
            Kind::Gzip(decoder) => decoder.write_all(bytes),
            Kind::Zstd(decoder) => decoder.write_all(bytes),
        }
    }

    /// Writes what is still held back, and returns the sink.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all), and `UnexpectedEof` if the content was cut off.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Kind::Stored(sink) => Ok(sink),
            Kind::Gzip(decoder) => decoder.finish(),
            Kind::Zstd(decoder) => decoder.finish(),
        }
    }
}

impl<W: Write> fmt::Debug for Decompressor<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}
