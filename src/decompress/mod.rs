//! Decompresses gzip and Zstandard, the formats of layers and archives, in constant memory.
//!
//! Gzip members and Zstandard frames may follow each other, and Zstandard frames may be skippable, as eStargz and
//! zstd:chunked write them. The format is told by the first bytes and never by a media type.
//!
//! - [`Decompressor`] is for bytes that arrive: it writes what they decompress to.
//! - [`DecompressingReader`] is for bytes that are read.

mod reader;
mod writer;
mod zstd;

pub use reader::DecompressingReader;
pub use writer::Decompressor;

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Compression {
    /// Returns the compression of content that begins with `start`, of which four bytes are enough; `None` if it is
    /// neither gzip nor Zstandard.
    ///
    /// ```
    /// use tranship::decompress::Compression;
    ///
    /// assert_eq!(Compression::detect(&[0x1f, 0x8b, 8, 0]), Some(Compression::Gzip));
    /// assert_eq!(Compression::detect(b"file"), None);
    /// ```
    #[must_use]
    pub fn detect(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            // A skippable frame. Other frames follow it.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }
}
