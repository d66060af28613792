//! New content of an index file.

use bytes::Bytes;

/// New content of an index file, in pieces that other states of it may share.
#[derive(Debug, Clone)]
pub(crate) struct IndexContent {
    pieces: Vec<Bytes>,
    length: usize,
}

impl IndexContent {
    pub(crate) fn new(pieces: Vec<Bytes>) -> Self {
        let length = pieces.iter().map(Bytes::len).sum();
        Self { pieces, length }
    }

    /// Returns the length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Returns the pieces in their order.
    pub(crate) fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// Returns the content in one piece.
    #[cfg(any(test, feature = "archive", feature = "object-store"))]
    pub(crate) fn into_bytes(mut self) -> Bytes {
        if self.pieces.len() == 1
            && let Some(only) = self.pieces.pop()
        {
            return only;
        }
        let mut content = bytes::BytesMut::with_capacity(self.length);
        for piece in &self.pieces {
            content.extend_from_slice(piece);
        }
        content.freeze()
    }
}

impl From<Bytes> for IndexContent {
    fn from(content: Bytes) -> Self {
        Self::new(vec![content])
    }
}
