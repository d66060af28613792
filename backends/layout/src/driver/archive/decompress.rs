//! Decompresses gzip and Zstandard while bytes arrive.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;

use super::zstd::ZstdDecoder;

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// Returns the compression of content that begins with `start`, of which four bytes are enough.
    pub(super) fn detect(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            // A skippable frame. Other frames follow it.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Decompresses the bytes that it receives, and writes them to `W`.
///
/// Gzip members and Zstandard frames may follow each other; any other bytes after them are an error. An error that `W`
/// returns has its number from the system ([`io::Error::raw_os_error`]); errors of the content have none.
pub(super) enum Decompressor<W: Write> {
    Stored(W),
    Gzip(Box<MultiGzDecoder<W>>),
    Zstd(Box<ZstdDecoder<W>>),
}

impl<W: Write> Decompressor<W> {
    pub(super) fn new(compression: Option<Compression>, sink: W) -> Self {
        match compression {
            None => Self::Stored(sink),
            Some(Compression::Gzip) => Self::Gzip(Box::new(MultiGzDecoder::new(sink))),
            Some(Compression::Zstd) => Self::Zstd(Box::new(ZstdDecoder::new(sink))),
        }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stored(sink) => sink.write_all(bytes),
            Self::Gzip(decoder) => decoder.write_all(bytes),
            Self::Zstd(decoder) => decoder.write_all(bytes),
        }
    }

    /// Writes what is still held back, and returns the sink. Content that was cut off is an error.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Stored(sink) => Ok(sink),
            Self::Gzip(decoder) => decoder.finish(),
            Self::Zstd(decoder) => decoder.finish(),
        }
    }
}
