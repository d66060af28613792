//! Finds digests in content that cannot be decoded.

use std::collections::HashSet;

use futures_util::TryStreamExt as _;
use tranship::{Content, Descriptor, Digest, MediaType, Result};

use crate::store::Store;

/// A longer word is not a digest, in bytes.
const MAX_WORD: usize = 256;

/// The digests that the text `content` names.
pub(super) fn named_in_text(content: &[u8]) -> HashSet<Digest> {
    let mut words = Words::default();
    words.read(content);
    words.finish()
}

/// The digests that a blob names which is too large to be held in memory.
///
/// # Errors
/// `Corrupt` or `DigestMismatch` if it is damaged, and what the driver fails with.
pub(super) async fn named_in_large(store: &Store, digest: &Digest) -> Result<HashSet<Digest>> {
    let driver = store.driver().await?;
    let Some(size) = driver.blob_size(digest).await? else {
        return Ok(HashSet::new());
    };
    let target = Descriptor::new(MediaType::OCTET_STREAM, *digest, size);
    let body = driver.open_blob(&target, 0..size).await?;
    let mut stream = Content::new(target, body).into_stream();
    let mut words = Words::default();
    while let Some(piece) = stream.try_next().await? {
        words.read(&piece);
    }
    Ok(words.finish())
}

/// Splits text that arrives in pieces at everything that a digest does not contain.
#[derive(Default)]
struct Words {
    word: Vec<u8>,
    found: HashSet<Digest>,
}

impl Words {
    fn read(&mut self, piece: &[u8]) {
        for &byte in piece {
            if !byte.is_ascii_alphanumeric() && byte != b':' {
                self.end_word();
            } else if self.word.len() <= MAX_WORD {
                self.word.push(byte);
            }
        }
    }

    fn end_word(&mut self) {
        if let Ok(word) = std::str::from_utf8(&self.word)
            && let Ok(digest) = word.parse()
        {
            self.found.insert(digest);
        }
        self.word.clear();
    }

    fn finish(mut self) -> HashSet<Digest> {
        self.end_word();
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tranship::Algorithm;

    #[test]
    fn digests_are_found_wherever_a_piece_ends() {
        let (one, other) = (Digest::of(b"1"), Algorithm::Sha512.digest(b"2"));
        let text = format!("{{\"a\":\"{one}\", [ {other}x {} {other}", "y".repeat(1000));
        let expected = HashSet::from([one, other]);
        assert_eq!(named_in_text(text.as_bytes()), expected);
        for at in 0..text.len() {
            let mut words = Words::default();
            words.read(&text.as_bytes()[..at]);
            words.read(&text.as_bytes()[at..]);
            assert_eq!(words.finish(), expected);
        }
    }
}
