//! Blobs by their digests, where there can be very many of them.

use std::collections::BTreeMap;

use tranship::{Algorithm, Digest};

/// Digests, and the sizes in bytes of the blobs that they name.
///
/// Trees, since a table is half empty. A [`Digest`] has room for the longest hash, and nearly all are
/// of sha256, which takes half of that.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    sha256: BTreeMap<[u8; 32], u64>,
    others: BTreeMap<Digest, u64>,
}

impl Sizes {
    /// Adds a blob, and answers whether it was there before.
    pub(crate) fn insert(&mut self, digest: &Digest, size: u64) -> bool {
        let before = match sha256(digest) {
            Some(hash) => self.sha256.insert(hash, size),
            None => self.others.insert(*digest, size),
        };
        before.is_some()
    }

    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        match sha256(digest) {
            Some(hash) => self.sha256.contains_key(&hash),
            None => self.others.contains_key(digest),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sha256.is_empty() && self.others.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Digest, u64)> + Send {
        let sha256 = self
            .sha256
            .iter()
            .filter_map(|(hash, size)| Some((Digest::from_bytes(Algorithm::Sha256, hash)?, *size)));
        let others = self.others.iter().map(|(digest, size)| (*digest, *size));
        sha256.chain(others)
    }
}

fn sha256(digest: &Digest) -> Option<[u8; 32]> {
    match digest.algorithm() {
        Algorithm::Sha256 => digest.as_bytes().try_into().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_every_algorithm_come_back_as_they_were() {
        let mut sizes = Sizes::default();
        let digests = Algorithm::ALL.map(|algorithm| algorithm.digest(b"hello"));
        for digest in &digests {
            assert!(!sizes.contains(digest));
            assert!(!sizes.insert(digest, 4));
            assert!(sizes.insert(digest, 5));
            assert!(sizes.contains(digest));
        }
        assert!(sizes.iter().eq(digests.map(|digest| (digest, 5))));
    }
}
