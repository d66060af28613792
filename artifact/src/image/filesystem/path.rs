//! Paths inside an image: bytes, without a slash at either end; the root is empty.

use tranship::{Error, ErrorKind, Printable, Result};

/// The longest path, in bytes. Linux opens none that is longer.
pub(super) const MAX_PATH: usize = 4096;

/// Brings the name of an entry to the form that this module uses: `./a//b/` is `a/b`.
///
/// # Errors
/// Says what is wrong with the name: it has a part `..` or a NUL, or it is too long.
pub(super) fn normalize(name: &[u8]) -> std::result::Result<Box<[u8]>, &'static str> {
    if name.contains(&0) {
        return Err("contains a NUL");
    }
    let mut path = Vec::with_capacity(name.len());
    for part in components(name) {
        if part == b".." {
            return Err("contains \"..\"");
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(part);
    }
    if path.len() > MAX_PATH {
        return Err("is longer than 4096 bytes");
    }
    Ok(path.into())
}

/// Returns the parts of a path. Empty ones and `.` are left out.
pub(super) fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
}

/// Returns the part before the last slash, and the part after it.
pub(super) fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Returns the paths of the directories above `path`, the one below the root first.
pub(super) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(at, _)| &path[..at])
}

/// Returns whether `path` is `directory` or below it.
pub(super) fn is_within(path: &[u8], directory: &[u8]) -> bool {
    directory.is_empty()
        || path
            .strip_prefix(directory)
            .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// Returns `directory/name`.
pub(super) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        return name.to_vec();
    }
    [directory, b"/", name].concat()
}

/// Returns the path as users write it, with a slash at its start.
pub(super) fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

/// Reads a path that a user wrote.
///
/// # Errors
/// `InvalidInput` if it cannot be a path. `..` is allowed here and is resolved later.
pub(super) fn requested(path: &str) -> Result<Vec<u8>> {
    if path.contains('\0') || path.len() > MAX_PATH {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "a path does not contain NUL, and has at most 4096 bytes",
        )
        .with_subject(Printable(path)));
    }
    Ok(path.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_forms_become_one_path() {
        for (name, path) in [
            ("a/b", "a/b"),
            ("./a/b/", "a/b"),
            ("/a//./b", "a/b"),
            ("./", ""),
            ("/", ""),
            (".", ""),
            ("..a/b..", "..a/b.."),
        ] {
            let normalized = normalize(name.as_bytes()).expect(name);
            assert_eq!(&*normalized, path.as_bytes(), "{name}");
        }
        for name in ["..", "a/../b", "/..", "a\0", &"x".repeat(4097)] {
            normalize(name.as_bytes()).expect_err(name);
        }
    }

    #[test]
    fn a_sibling_with_the_same_beginning_is_not_within() {
        assert!(is_within(b"root/a", b"root"));
        assert!(is_within(b"root", b"root"));
        assert!(is_within(b"root", b""));
        assert!(!is_within(b"root2", b"root"));
    }

    #[test]
    fn ancestors_begin_below_the_root() {
        let all: Vec<&[u8]> = ancestors(b"a/b/c").collect();
        assert_eq!(all, [&b"a"[..], b"a/b"]);
        assert_eq!(ancestors(b"a").count(), 0);
    }
}
