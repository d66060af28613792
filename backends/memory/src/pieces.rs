//! Bytes as they arrived: in pieces that are never moved again, however much follows.

use std::ops::Range;

use bytes::Bytes;

/// What is shorter is copied, so that a few bytes do not keep alive the read buffer of a connection
/// that they are a slice of.
const KEPT_AS_IT_IS: usize = 64 * 1024;
/// How much is copied into one allocation, and how much a reader gets at a time, so that one who
/// hashes it does not hold up its thread for long.
const CHUNK: usize = 1024 * 1024;

/// Collects pieces.
#[derive(Debug, Default)]
pub(crate) struct PiecesBuilder {
    pieces: Vec<Piece>,
    // The tail, of small chunks one behind the other.
    tail: Vec<u8>,
    sealed: u64,
}

impl PiecesBuilder {
    pub(crate) fn len(&self) -> u64 {
        self.sealed + self.tail.len() as u64
    }

    pub(crate) fn push(&mut self, chunk: Bytes) {
        if chunk.len() >= KEPT_AS_IT_IS {
            self.seal();
            self.add(chunk);
        } else {
            if self.tail.len() + chunk.len() > CHUNK {
                self.seal();
            }
            self.tail.extend_from_slice(&chunk);
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
        let wanted = usize::try_from(end - range.start).unwrap_or(CHUNK);
        let length = wanted.min(CHUNK).min(piece.bytes.len() - from);
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
        let large = vec![2; KEPT_AS_IT_IS];
        let huge: Vec<u8> = (0..CHUNK + 5).map(|n| n as u8).collect();
        let pieces = pieces(&[&small, &small, &large, &[], &huge, &small]);
        let all = [&small[..], &small, &large, &huge, &small].concat();
        let len = all.len();
        assert_eq!(pieces.len(), len as u64);
        assert_eq!(pieces.to_bytes(), all);
        let edges = [0, 1, 19, 20, 21, 20 + KEPT_AS_IT_IS, len - 11, len - 1, len];
        for start in edges {
            for end in edges.into_iter().filter(|&end| end >= start) {
                let part = read(&pieces, start as u64..end as u64);
                assert!(part == all[start..end], "{start}..{end}");
            }
        }
        assert!(read(&pieces, len as u64..u64::MAX).is_empty());
    }

    #[test]
    fn small_chunks_lie_together_and_large_ones_stay_where_they_are() {
        let large = Bytes::from(vec![7; KEPT_AS_IT_IS]);
        let mut builder = PiecesBuilder::default();
        for _ in 0..100 {
            builder.push(Bytes::from_static(b"small"));
        }
        builder.push(large.clone());
        let pieces = builder.finish();
        let stored: Vec<&Bytes> = pieces.iter().collect();
        assert_eq!(stored.len(), 2);
        assert_eq!(stored[0].len(), 500);
        assert_eq!(stored[1].as_ptr(), large.as_ptr());
    }
}
