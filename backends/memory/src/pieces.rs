//! Content in pieces that are never moved again, however much follows.

use std::ops::Range;

use bytes::Bytes;

/// The size of a piece, and how much a reader gets at a time: enough for a socket to be written to
/// seldom, and little enough for one who hashes it not to hold up its thread for long.
///
/// What comes in smaller chunks is copied together. It costs less than to write them one by one each
/// time that they are read, and no chunk keeps alive the read buffer that it is a slice of.
const PIECE: usize = 1024 * 1024;

/// Collects pieces.
#[derive(Debug, Default)]
pub(crate) struct PiecesBuilder {
    pieces: Vec<Piece>,
    /// The chunks that are not yet a piece, one behind the other.
    tail: Vec<u8>,
    sealed: u64,
}

impl PiecesBuilder {
    pub(crate) fn len(&self) -> u64 {
        self.sealed + self.tail.len() as u64
    }

    pub(crate) fn push(&mut self, mut chunk: Bytes) {
        while !chunk.is_empty() {
            if self.tail.is_empty() && chunk.len() >= PIECE {
                return self.add(chunk);
            }
            if self.tail.is_empty() && self.sealed > 0 {
                self.tail.reserve_exact(PIECE);
            }
            let fitting = chunk.len().min(PIECE - self.tail.len());
            self.tail.extend_from_slice(&chunk.split_to(fitting));
            if self.tail.len() == PIECE {
                self.seal();
            }
        }
    }

    pub(crate) fn finish(mut self) -> Pieces {
        self.seal();
        Pieces {
            len: self.sealed,
            pieces: self.pieces.into_boxed_slice(),
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.add(tail.into_boxed_slice().into());
        }
    }

    fn add(&mut self, bytes: Bytes) {
        let start = self.sealed;
        self.sealed += bytes.len() as u64;
        self.pieces.push(Piece { start, bytes });
    }
}

/// Complete content.
#[derive(Debug)]
pub(crate) struct Pieces {
    pieces: Box<[Piece]>,
    len: u64,
}

#[derive(Debug)]
struct Piece {
    start: u64,
    bytes: Bytes,
}

impl Pieces {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The first bytes of `range`, without copying: all of them, or as many as lie together. None
    /// where the range is empty or begins beyond the end.
    pub(crate) fn chunk(&self, range: &Range<u64>) -> Option<Bytes> {
        let end = range.end.min(self.len);
        if range.start >= end {
            return None;
        }
        let behind = self
            .pieces
            .partition_point(|piece| piece.start <= range.start);
        let piece = self.pieces.get(behind.checked_sub(1)?)?;
        let from = usize::try_from(range.start - piece.start).ok()?;
        let wanted = usize::try_from(end - range.start).unwrap_or(PIECE);
        let length = wanted.min(PIECE).min(piece.bytes.len() - from);
        Some(piece.bytes.slice(from..from + length))
    }

    /// All bytes together, copied only if they lie apart.
    pub(crate) fn to_bytes(&self) -> Bytes {
        match &*self.pieces {
            [] => Bytes::new(),
            [only] => only.bytes.clone(),
            pieces => {
                let apart: Vec<&[u8]> = pieces.iter().map(|piece| &piece.bytes[..]).collect();
                apart.concat().into()
            }
        }
    }

    /// Each piece as it is stored.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.pieces.iter().map(|piece| &piece.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(chunks: &[&[u8]]) -> Pieces {
        let mut builder = PiecesBuilder::default();
        for chunk in chunks {
            builder.push(Bytes::copy_from_slice(chunk));
        }
        builder.finish()
    }

    fn read(pieces: &Pieces, mut range: Range<u64>) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(chunk) = pieces.chunk(&range) {
            assert!(!chunk.is_empty());
            range.start += chunk.len() as u64;
            all.extend_from_slice(&chunk);
        }
        all
    }

    #[test]
    fn every_range_reads_what_was_pushed() {
        let small = vec![1; 10];
        let medium = vec![2; PIECE / 2 + 1];
        let huge: Vec<u8> = (0..PIECE + 5).map(|n| n as u8).collect();
        for chunks in [
            &[&small, &small, &medium, &vec![], &huge, &medium, &small][..],
            &[&huge, &small, &huge],
            &[&medium, &medium, &medium, &medium],
        ] {
            let chunks: Vec<&[u8]> = chunks.iter().map(|chunk| &chunk[..]).collect();
            let (pieces, all) = (pieces(&chunks), chunks.concat());
            let len = all.len();
            assert_eq!(pieces.len(), len as u64);
            assert_eq!(pieces.to_bytes(), all);
            let edges = [0, 1, 19, 20, PIECE - 1, PIECE, PIECE + 1, len - 1, len];
            for start in edges {
                for end in edges.into_iter().filter(|&end| end >= start) {
                    let part = read(&pieces, start as u64..end as u64);
                    assert!(part == all[start..end], "{start}..{end}");
                }
            }
            assert!(read(&pieces, len as u64..u64::MAX).is_empty());
        }
    }

    #[test]
    fn small_chunks_lie_together_and_large_ones_stay_where_they_are() {
        let large = Bytes::from(vec![7; PIECE]);
        let mut builder = PiecesBuilder::default();
        builder.push(large.clone());
        for _ in 0..PIECE / 5 + 1 {
            builder.push(Bytes::from_static(b"small"));
        }
        let pieces = builder.finish();
        let lengths: Vec<usize> = pieces.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [PIECE, PIECE, (PIECE / 5 + 1) * 5 - PIECE]);
        let first = pieces.iter().next().expect("a piece");
        assert_eq!(first.as_ptr(), large.as_ptr());
    }
}
