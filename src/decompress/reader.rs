//! Decompresses bytes that are read.

use std::fmt;
use std::io::{self, Chain, Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::Compression;
use super::zstd::ZstdReader;

/// Decompresses the bytes that it reads from `R`. The first four bytes tell the format; content that is neither gzip
/// nor Zstandard is returned as it is.
///
/// Gzip members and Zstandard frames may follow each other; any other bytes after them are an error. `R` is read to its
/// end before this is at its end.
///
/// ```
/// use std::io::Read as _;
/// use tranship::decompress::DecompressingReader;
///
/// let mut text = String::new();
/// DecompressingReader::new(&b"not compressed"[..])?.read_to_string(&mut text)?;
/// assert_eq!(text, "not compressed");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct DecompressingReader<R: Read>(Kind<R>);

type Source<R> = Chain<Cursor<Vec<u8>>, R>;

enum Kind<R: Read> {
    Stored(Source<R>),
    Gzip(Box<MultiGzDecoder<Source<R>>>),
    Zstd(Box<ZstdReader<Source<R>>>),
}

impl<R: Read> DecompressingReader<R> {
    /// Reads the first four bytes of `source`, and returns a reader of what it decompresses to.
    ///
    /// # Errors
    /// What `source` fails with.
    pub fn new(mut source: R) -> io::Result<Self> {
        let mut start = Vec::with_capacity(4);
        source.by_ref().take(4).read_to_end(&mut start)?;
        let compression = Compression::detect(&start);
        let source = Cursor::new(start).chain(source);
        Ok(Self(match compression {
            None => Kind::Stored(source),
            Some(Compression::Gzip) => Kind::Gzip(Box::new(MultiGzDecoder::new(source))),
            Some(Compression::Zstd) => Kind::Zstd(Box::new(ZstdReader::new(source))),
        }))
    }

    /// Returns how the content is compressed, if it is.
    #[must_use]
    pub fn compression(&self) -> Option<Compression> {
        match &self.0 {
            Kind::Stored(_) => None,
            Kind::Gzip(_) => Some(Compression::Gzip),
            Kind::Zstd(_) => Some(Compression::Zstd),
        }
    }
}

impl<R: Read> Read for DecompressingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Stored(source) => source.read(buffer),
            Kind::Gzip(decoder) => decoder.read(buffer),
            Kind::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

impl<R: Read> fmt::Debug for DecompressingReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecompressingReader")
            .field("compression", &self.compression())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::GzEncoder;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn read(content: &[u8]) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        DecompressingReader::new(content)?.read_to_end(&mut read)?;
        Ok(read)
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).expect("in memory");
        encoder.finish().expect("in memory")
    }

    #[test]
    fn each_format_is_told_by_its_first_bytes() {
        let zstd = compress_to_vec(&b"hello"[..], CompressionLevel::Fastest);
        for (content, expected) in [
            (&b""[..], &b""[..]),
            (b"hel", b"hel"),
            (b"hello", b"hello"),
            (&gzip(b"hello"), b"hello"),
            (&zstd, b"hello"),
            (
                &[&b"\x50\x2a\x4d\x18\x01\0\0\0x"[..], &zstd].concat(),
                b"hello",
            ),
        ] {
            assert_eq!(read(content).expect("sound"), expected);
        }
    }

    #[test]
    fn gzip_members_that_follow_each_other_are_all_read() {
        let members = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
        assert_eq!(read(&members).expect("sound"), b"one two");
    }

    #[test]
    fn damaged_content_is_an_error() {
        let sound = gzip(b"hello");
        read(&sound[..sound.len() - 1]).expect_err("cut off");
        read(&[&sound[..], b"rest"].concat()).expect_err("other bytes follow");
    }
}
