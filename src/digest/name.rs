//! The name of content, as text and in memory.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::algorithm::Algorithm;
use crate::error::{Error, ErrorKind, Result};
use crate::printable::Printable;

const MAX_LENGTH: usize = 64;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The name of content: an algorithm and a hash, written `sha256:…` in lower-case hex.
///
/// Small, and copied freely. Ordered as its text is.
///
/// ```
/// use tranship::{Algorithm, Digest};
///
/// let digest = Digest::of(b"hello");
/// assert_eq!(digest.algorithm(), Algorithm::Sha256);
/// assert_eq!(digest.to_string().parse::<Digest>()?, digest);
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Digest {
    algorithm: Algorithm,
    hash: [u8; MAX_LENGTH],
}

impl Digest {
    /// The digest of `algorithm` whose raw hash is `hash`, as [`as_bytes`](Self::as_bytes) answers it;
    /// `None` if a hash of that algorithm has another length.
    #[must_use]
    pub fn from_bytes(algorithm: Algorithm, hash: &[u8]) -> Option<Self> {
        (hash.len() == algorithm.len()).then(|| Self::from_hash(algorithm, hash))
    }

    /// The algorithm in front of the colon.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw hash: 32, 48 or 64 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.hash[..self.algorithm.len()]
    }

    /// The hash in lower-case hex, without the algorithm; the name of a blob's file in a layout.
    #[must_use]
    pub fn hex(&self) -> String {
        let mut hex = String::with_capacity(2 * self.algorithm.len());
        for byte in self.as_bytes() {
            hex.push(HEX[usize::from(byte >> 4)].into());
            hex.push(HEX[usize::from(byte & 15)].into());
        }
        hex
    }

    pub(crate) fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        let mut bytes = [0; MAX_LENGTH];
        bytes[..hash.len()].copy_from_slice(hash);
        Self {
            algorithm,
            hash: bytes,
        }
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.algorithm.hash(state);
        self.as_bytes().hash(state);
    }
}

impl PartialOrd for Digest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Digest {
    fn cmp(&self, other: &Self) -> Ordering {
        self.algorithm
            .cmp(&other.algorithm)
            .then_with(|| self.as_bytes().cmp(other.as_bytes()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = Error;

    /// Reads `algorithm:hex`.
    ///
    /// # Errors
    /// - [`ErrorKind::Unsupported`] if the algorithm is well formed but not registered here.
    /// - [`ErrorKind::InvalidDigest`] if the text is no digest: no colon, a wrong length, upper-case
    ///   or foreign characters.
    fn from_str(text: &str) -> Result<Self> {
        let invalid =
            |why: String| Error::new(ErrorKind::InvalidDigest, why).with_subject(Printable(text));
        let Some((name, hex)) = text.split_once(':') else {
            return Err(invalid(
                "a digest has the form algorithm:hex, such as sha256:2cf2…".into(),
            ));
        };
        if !is_algorithm_name(name) {
            return Err(invalid("the digest's algorithm is malformed".into()));
        }
        let algorithm: Algorithm = name.parse()?;
        if hex.len() != 2 * algorithm.len() {
            return Err(invalid(format!(
                "a {algorithm} digest has {} hex digits, this one has {}",
                2 * algorithm.len(),
                hex.len()
            )));
        }
        let mut hash = [0; MAX_LENGTH];
        let mut seen = 0;
        for (byte, pair) in hash.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let (high, low) = (
                HEX_VALUES[usize::from(pair[0])],
                HEX_VALUES[usize::from(pair[1])],
            );
            seen |= high | low;
            *byte = high << 4 | low & 0xf;
        }
        if seen == NO_HEX {
            return Err(invalid("a digest is written in lower-case hex".into()));
        }
        Ok(Self { algorithm, hash })
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn is_algorithm_name(name: &str) -> bool {
    // image-spec: component (separator component)*, where a separator is one of + . _ -
    !name.is_empty()
        && name.split(['+', '.', '_', '-']).all(|component| {
            !component.is_empty()
                && component
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

/// What is no lower-case hex digit.
const NO_HEX: u8 = 0xff;

/// The values of hex digits. A table, since an index of a large layout holds ten thousand digests.
const HEX_VALUES: [u8; 256] = {
    let mut values = [NO_HEX; 256];
    let mut value = 0;
    while value < 16 {
        values[HEX[value as usize] as usize] = value;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digester;

    const EMPTY_256: &str =
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const EMPTY_384: &str = "sha384:38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b";
    const EMPTY_512: &str = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
    const ABC_256: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const ABC_384: &str = "sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7";
    const ABC_512: &str = "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    fn kind_of(text: &str) -> Option<ErrorKind> {
        text.parse::<Digest>().err().map(|error| error.kind())
    }

    #[test]
    fn known_content_has_known_digests() {
        for (algorithm, empty, abc) in [
            (Algorithm::Sha256, EMPTY_256, ABC_256),
            (Algorithm::Sha384, EMPTY_384, ABC_384),
            (Algorithm::Sha512, EMPTY_512, ABC_512),
        ] {
            assert_eq!(algorithm.digest(b"").to_string(), empty);
            assert_eq!(algorithm.digest(b"abc").to_string(), abc);
        }
    }

    #[test]
    fn content_hashed_in_pieces_has_the_same_digest() {
        for algorithm in Algorithm::ALL {
            let mut digester = Digester::new(algorithm);
            digester.update(b"a");
            digester.update(b"");
            digester.update(b"bc");
            assert_eq!(digester.finish(), algorithm.digest(b"abc"));
        }
    }

    #[test]
    fn text_reads_back_as_the_same_digest() -> Result<()> {
        for text in [EMPTY_256, ABC_384, ABC_512] {
            let digest: Digest = text.parse()?;
            assert_eq!(digest.to_string(), text);
            assert_eq!(format!("{}:{}", digest.algorithm(), digest.hex()), text);
            let hash = digest.as_bytes();
            assert_eq!(Digest::from_bytes(digest.algorithm(), hash), Some(digest));
            assert_eq!(Digest::from_bytes(digest.algorithm(), &hash[1..]), None);
        }
        Ok(())
    }

    #[test]
    fn only_the_content_itself_matches() {
        let digest = Algorithm::Sha512.digest(b"abc");
        assert!(digest.matches(b"abc"));
        assert!(!digest.matches(b"abd"));
    }

    #[test]
    fn an_algorithm_that_is_not_registered_is_unsupported() {
        let sha1 = format!("sha1:{}", "a".repeat(40));
        assert_eq!(kind_of(&sha1), Some(ErrorKind::Unsupported));
        assert_eq!(kind_of("sha256+b64:abc"), Some(ErrorKind::Unsupported));
    }

    #[test]
    fn malformed_text_is_no_digest() {
        let upper_hex = ABC_256.to_uppercase().replace("SHA", "sha");
        let upper_name = ABC_256.replace("sha", "SHA");
        let short = &ABC_256[..ABC_256.len() - 1];
        let long = format!("{ABC_256}0");
        let wrong_length = ABC_256.replace("sha256", "sha512");
        let not_ascii = format!("sha256:{}", "é".repeat(32));
        for text in [
            "",
            ":",
            "sha256",
            "sha256:",
            "+:00",
            "a++b:00",
            &upper_hex,
            &upper_name,
            short,
            &long,
            &wrong_length,
            &not_ascii,
        ] {
            assert_eq!(kind_of(text), Some(ErrorKind::InvalidDigest), "{text:?}");
        }
    }

    #[test]
    fn digests_sort_as_their_text() {
        let mut digests: Vec<Digest> = Algorithm::ALL
            .into_iter()
            .flat_map(|algorithm| (0..32_u8).map(move |byte| algorithm.digest(&[byte])))
            .collect();
        let mut texts: Vec<String> = digests.iter().map(ToString::to_string).collect();
        digests.sort();
        texts.sort();
        assert!(digests.iter().map(ToString::to_string).eq(texts));
    }

    #[test]
    fn equal_digests_are_one_key() -> Result<()> {
        let parsed: Digest = ABC_384.parse()?;
        let keys = std::collections::HashSet::from([parsed, Algorithm::Sha384.digest(b"abc")]);
        assert_eq!(keys.len(), 1);
        Ok(())
    }

    #[test]
    fn json_holds_the_text_and_is_checked() {
        let json = format!("\"{ABC_256}\"");
        let digest: Digest = serde_json::from_str(&json).expect("a valid digest");
        assert_eq!(serde_json::to_string(&digest).ok(), Some(json));
        assert!(serde_json::from_str::<Digest>("\"sha256:12\"").is_err());
    }
}
