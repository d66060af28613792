//! The names of members.

use tranship::{Algorithm, Digest};

pub(super) const BUNDLE: &str = "bundle.json";
pub(super) const OCI_LAYOUT: &str = "oci-layout";
pub(super) const INDEX: &str = "index.json";
const BLOBS: &str = "blobs";
const PARTS: &str = "parts";
const SUMS: &str = "sums";

/// The content of `oci-layout`.
pub(super) const OCI_LAYOUT_CONTENT: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";

/// The size of a member that has the digest of a part, in bytes.
pub(super) const SUM_SIZE: u64 = 72;

/// How many digits an offset has in a name. As many as the largest size of content.
const OFFSET_DIGITS: usize = 19;

/// A member, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MemberName {
    Bundle,
    OciLayout,
    Index,
    /// A manifest or a whole blob: `blobs/ALGORITHM/HEX`.
    Blob(Digest),
    /// A part of a blob: `parts/ALGORITHM/HEX/OFFSET`.
    Part(Digest, u64),
    /// The digest of a part: `sums/ALGORITHM/HEX/OFFSET`.
    Sum(Digest, u64),
    /// A file in a folder where nothing else than the above may be.
    Misplaced,
    /// Not a member of a bundle.
    Other,
    /// A name with `..`, an absolute path or backslashes, which may lead anywhere if it is unpacked.
    Escaping,
}

impl MemberName {
    /// Classifies the name of a member. `./` before it is ignored.
    pub(super) fn parse(name: &[u8]) -> Self {
        let mut name = name;
        while let Some(rest) = name.strip_prefix(b"./") {
            name = rest;
        }
        let is_escaping = name.first() == Some(&b'/')
            || name.contains(&b'\\')
            || name
                .split(|byte| *byte == b'/')
                .any(|component| component == b"..");
        if is_escaping {
            return Self::Escaping;
        }
        let Ok(name) = std::str::from_utf8(name) else {
            return Self::Other;
        };
        match name {
            BUNDLE => return Self::Bundle,
            OCI_LAYOUT => return Self::OciLayout,
            INDEX => return Self::Index,
            _ => {}
        }
        // `a//b` and `a/./b` are the same file as `a/b` for programs that unpack them.
        let components: Vec<&str> = name
            .split('/')
            .filter(|part| !matches!(*part, "" | "."))
            .collect();
        let is_plain = components.join("/") == name.trim_end_matches('/');
        let found = match components.as_slice() {
            [BUNDLE | OCI_LAYOUT | INDEX] => None,
            [BLOBS, algorithm, hex] => digest(algorithm, hex).map(Self::Blob),
            [PARTS, algorithm, hex, at] => {
                part(algorithm, hex, at).map(|(digest, at)| Self::Part(digest, at))
            }
            [SUMS, algorithm, hex, at] => {
                part(algorithm, hex, at).map(|(digest, at)| Self::Sum(digest, at))
            }
            [BLOBS | PARTS | SUMS, ..] => None,
            _ => return Self::Other,
        };
        found
            .filter(|_| is_plain && !name.ends_with('/'))
            .unwrap_or(Self::Misplaced)
    }
}

fn digest(algorithm: &str, hex: &str) -> Option<Digest> {
    let algorithm: Algorithm = algorithm.parse().ok()?;
    format!("{algorithm}:{hex}").parse().ok()
}

fn part(algorithm: &str, hex: &str, offset: &str) -> Option<(Digest, u64)> {
    let is_number =
        offset.len() == OFFSET_DIGITS && offset.bytes().all(|byte| byte.is_ascii_digit());
    let offset = is_number.then(|| offset.parse().ok())??;
    Some((digest(algorithm, hex)?, offset))
}

/// Returns the name of the member that has the whole of `digest`.
pub(super) fn blob(digest: &Digest) -> String {
    format!("{BLOBS}/{}/{}", digest.algorithm(), digest.hex())
}

/// Returns the name of the member that has a part of `digest`.
pub(super) fn part_name(digest: &Digest, offset: u64) -> String {
    format!(
        "{PARTS}/{}/{}/{offset:0OFFSET_DIGITS$}",
        digest.algorithm(),
        digest.hex()
    )
}

/// Returns the name of the member that has the digest of a part of `digest`.
pub(super) fn sum_name(digest: &Digest, offset: u64) -> String {
    format!(
        "{SUMS}/{}/{}/{offset:0OFFSET_DIGITS$}",
        digest.algorithm(),
        digest.hex()
    )
}

/// Returns the content of the member that has the digest of a part.
pub(super) fn sum_content(digest: &Digest) -> String {
    format!("{digest}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_made() {
        let digest = Digest::of(b"hello");
        for (name, expected) in [
            (blob(&digest), MemberName::Blob(digest)),
            (format!("./{}", blob(&digest)), MemberName::Blob(digest)),
            (part_name(&digest, 7), MemberName::Part(digest, 7)),
            (sum_name(&digest, 7), MemberName::Sum(digest, 7)),
            ("bundle.json".into(), MemberName::Bundle),
            ("./index.json".into(), MemberName::Index),
            ("README".into(), MemberName::Other),
            ("blobs".into(), MemberName::Misplaced),
            ("blobs//sha256/x".into(), MemberName::Misplaced),
            (blob(&digest).to_uppercase(), MemberName::Other),
            (blob(&digest).replace("s/", "s//"), MemberName::Misplaced),
            ("x/../index.json".into(), MemberName::Escaping),
            ("/etc/passwd".into(), MemberName::Escaping),
            ("a\\b".into(), MemberName::Escaping),
        ] {
            assert_eq!(MemberName::parse(name.as_bytes()), expected, "{name}");
        }
        assert!(part_name(&digest, u64::MAX >> 1).len() <= 100);
        assert_eq!(sum_content(&digest).len() as u64, SUM_SIZE);
    }
}
