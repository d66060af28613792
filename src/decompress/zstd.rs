//! Zstandard frames (RFC 8878), decoded while bytes arrive or are read.

use std::io::{self, Read, Write};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// No block with its header, no frame header and no checksum after a block is longer: 128 KiB, 3, 18 and 4 bytes. With
/// this much input, one step of the decoder never runs out of it.
const ENOUGH: usize = 128 * 1024 + 3 + 18 + 4;

/// Decodes a sequence of frames, and writes their content to `W`.
///
/// Holds at most one piece of input, the window of a frame (128 MiB at most, as in the `zstd` program) and one decoded
/// block.
pub(super) struct ZstdDecoder<W: Write> {
    sink: W,
    frames: Frames,
}

impl<W: Write> ZstdDecoder<W> {
    pub(super) fn new(sink: W) -> Self {
        Self {
            sink,
            frames: Frames::new(),
        }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.frames.push(bytes);
        while self.frames.has_enough() {
            self.step()?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        while self.frames.has_some() {
            self.step()?;
        }
        self.frames.end()?;
        Ok(self.sink)
    }

    fn step(&mut self) -> io::Result<()> {
        self.frames.step()?;
        self.frames.decoder.collect_to_writer(&mut self.sink)?;
        self.frames.end_block()
    }
}

/// Decodes a sequence of frames that are read from `R`.
///
/// Holds as much as [`ZstdDecoder`].
pub(super) struct ZstdReader<R> {
    source: R,
    piece: Vec<u8>,
    frames: Frames,
    is_at_end: bool,
}

impl<R: Read> ZstdReader<R> {
    /// How many bytes are read at a time.
    const PIECE: usize = 64 * 1024;

    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            piece: vec![0; Self::PIECE],
            frames: Frames::new(),
            is_at_end: false,
        }
    }

    /// Reads until one step of the decoder does not run out of input.
    fn fill(&mut self) -> io::Result<()> {
        while !self.is_at_end && !self.frames.has_enough() {
            match self.source.read(&mut self.piece) {
                Ok(0) => self.is_at_end = true,
                Ok(length) => self.frames.push(&self.piece[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for ZstdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let length = self.frames.decoder.read(buffer)?;
            if length > 0 {
                return Ok(length);
            }
            self.frames.end_block()?;
            self.fill()?;
            if !self.frames.has_some() {
                self.frames.end()?;
                return Ok(0);
            }
            self.frames.step()?;
        }
    }
}

/// The decoder of frames, and the input that it has not decoded yet.
struct Frames {
    decoder: FrameDecoder,
    state: State,
    input: Vec<u8>,
    /// How much of `input` has been decoded.
    consumed: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    BetweenFrames,
    InFrame,
    /// In a skippable frame, of which this many bytes are left.
    Skipping(usize),
}

impl Frames {
    fn new() -> Self {
        Self {
            decoder: FrameDecoder::new(),
            state: State::BetweenFrames,
            input: Vec::new(),
            consumed: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.input.drain(..self.consumed);
        self.consumed = 0;
        self.input.extend_from_slice(bytes);
    }

    fn has_enough(&self) -> bool {
        self.input.len() - self.consumed >= ENOUGH
    }

    fn has_some(&self) -> bool {
        self.consumed < self.input.len()
    }

    /// Checks that the input ends after a frame.
    fn end(&self) -> io::Result<()> {
        match self.state {
            State::BetweenFrames => Ok(()),
            State::InFrame | State::Skipping(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Decodes one header or one block. The caller takes the content out of the decoder, and then calls
    /// [`end_block`](Self::end_block).
    fn step(&mut self) -> io::Result<()> {
        let input = &self.input[self.consumed..];
        let mut rest = input;
        match self.state {
            State::BetweenFrames => match self.decoder.init(&mut rest) {
                Ok(()) => self.state = State::InFrame,
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    self.state = skipping(usize::try_from(length).unwrap_or(usize::MAX));
                }
                Err(error) => return Err(invalid(error)),
            },
            State::InFrame => {
                self.decoder
                    .decode_blocks(&mut rest, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(invalid)?;
            }
            State::Skipping(left) => {
                let skipped = left.min(rest.len());
                rest = &rest[skipped..];
                self.state = skipping(left - skipped);
            }
        }
        self.consumed += input.len() - rest.len();
        Ok(())
    }

    /// Ends the frame after its last block, whose content has been taken out: its checksum is known then.
    fn end_block(&mut self) -> io::Result<()> {
        if self.state != State::InFrame || !self.decoder.is_finished() {
            return Ok(());
        }
        let expected = self.decoder.get_checksum_from_data();
        if expected.is_some() && expected != self.decoder.get_calculated_checksum() {
            return Err(invalid("a Zstandard frame does not match its checksum"));
        }
        self.state = State::BetweenFrames;
        Ok(())
    }
}

fn skipping(left: usize) -> State {
    match left {
        0 => State::BetweenFrames,
        left => State::Skipping(left),
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    /// "tranship\n", compressed by the program `zstd` with its checksum.
    const FROM_ZSTD: [u8; 22] = [
        0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0x49, 0x00, 0x00, b't', b'r', b'a', b'n', b's', b'h',
        b'i', b'p', b'\n', 0xce, 0xf0, 0x68, 0x66,
    ];

    fn decode(content: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let mut decoder = ZstdDecoder::new(Vec::new());
        for piece in content.chunks(piece) {
            decoder.write_all(piece)?;
        }
        let written = decoder.finish();
        let mut read = Vec::new();
        let outcome = ZstdReader::new(InPieces(content, piece)).read_to_end(&mut read);
        assert_eq!(outcome.is_ok(), written.is_ok());
        if let Ok(written) = &written {
            assert!(*written == read, "a reader decodes the same");
        }
        written
    }

    /// Content of which a call reads at most so many bytes.
    struct InPieces<'a>(&'a [u8], usize);

    impl Read for InPieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(self.1);
            self.0.read(&mut buffer[..length])
        }
    }

    fn skippable(length: u8) -> Vec<u8> {
        let mut frame = vec![0x53, 0x2a, 0x4d, 0x18, length, 0, 0, 0];
        frame.extend(std::iter::repeat_n(7, length.into()));
        frame
    }

    /// Bytes that compress somewhat, over several blocks.
    fn content() -> Vec<u8> {
        (0..400_000_u32)
            .map(|at| (at.wrapping_mul(at) >> 7) as u8)
            .collect()
    }

    #[test]
    fn frames_are_decoded_whatever_pieces_they_arrive_in() {
        let content = content();
        let frame = compress_to_vec(&*content, CompressionLevel::Fastest);
        let all = [&*skippable(0), &frame, &skippable(9), &frame, &skippable(1)].concat();
        for piece in [1, 7, 4096, ENOUGH, all.len()] {
            let decoded = decode(&all, piece).expect("frames");
            assert!(decoded == content.repeat(2), "in pieces of {piece}");
        }
    }

    #[test]
    fn no_content_is_no_frame() {
        assert!(decode(b"", 1).expect("nothing").is_empty());
    }

    #[test]
    fn frames_that_are_cut_off_are_an_error() {
        let frame = compress_to_vec(&b"some content"[..], CompressionLevel::Fastest);
        for whole in [frame, skippable(9)] {
            for length in 1..whole.len() {
                decode(&whole[..length], 3).expect_err("cut off");
            }
        }
    }

    #[test]
    fn other_bytes_after_a_frame_are_an_error() {
        let mut frame = compress_to_vec(&b"some content"[..], CompressionLevel::Fastest);
        frame.extend_from_slice(b"0123456789");
        decode(&frame, 5).expect_err("no frame");
    }

    #[test]
    fn content_that_does_not_match_its_checksum_is_an_error() {
        assert_eq!(decode(&FROM_ZSTD, 4).expect("sound"), b"tranship\n");
        let mut damaged = FROM_ZSTD;
        damaged[10] ^= 1;
        decode(&damaged, 4).expect_err("damaged");
    }

    #[test]
    fn a_small_input_is_never_held_as_large_output() {
        // Blocks of one repeated byte: 4 bytes for 128 KiB each.
        struct Counts(usize, u64);
        impl Write for Counts {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.max(bytes.len());
                self.1 += bytes.len() as u64;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        const BLOCKS: u64 = 1_000;
        let mut decoder = ZstdDecoder::new(Counts(0, 0));
        // A window of 128 KiB, neither a content size nor a checksum.
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
        for at in 1..=BLOCKS {
            let header = ((128 * 1024) << 3 | 1 << 1 | u32::from(at == BLOCKS)).to_le_bytes();
            frame.extend_from_slice(&header[..3]);
            frame.push(b'x');
        }
        decoder.write_all(&frame).expect("blocks");
        let counts = decoder.finish().expect("a frame");
        assert_eq!(counts.1, BLOCKS * 128 * 1024);
        assert!(counts.0 <= 512 * 1024, "{} bytes at once", counts.0);
    }
}
