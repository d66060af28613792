//! Which members of an archive are files of a layout.

use tranship::{Algorithm, Digest};

use crate::driver::{BLOBS, INDEX, OCI_LAYOUT};

/// A file of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum LayoutFile {
    /// `oci-layout`
    Marker,
    /// `index.json`
    Index,
    Blob(Digest),
}

/// The name of a member, classified.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MemberName {
    File(LayoutFile),
    /// A file of a layout only for programs that unpack names with `..`, absolute paths, backslashes and the like.
    Disguised,
    /// Not a file of a layout.
    Other,
}

impl MemberName {
    /// Classifies the name of a member.
    pub(super) fn parse(name: &[u8]) -> Self {
        if let Some(file) = plain_path(name).and_then(layout_file) {
            return Self::File(file);
        }
        // A directory with the name of such a file is not one.
        if name.ends_with(b"/") {
            return Self::Other;
        }
        match layout_file(&resolved(name)) {
            Some(_) => Self::Disguised,
            None => Self::Other,
        }
    }
}

/// Returns the name without a leading `./`; `None` if it is not UTF-8.
pub(super) fn plain_path(mut name: &[u8]) -> Option<&str> {
    while let Some(rest) = name.strip_prefix(b"./") {
        name = rest;
    }
    std::str::from_utf8(name).ok()
}

/// Returns the path, without the last slash, if it is the directory `blobs` or that of an algorithm below it.
pub(super) fn blob_directory(name: &[u8]) -> Option<String> {
    let path = plain_path(name)?.strip_suffix('/')?;
    let is_one = match path.strip_prefix(BLOBS)?.strip_prefix('/') {
        None => path == BLOBS,
        Some(algorithm) => algorithm.parse::<Algorithm>().is_ok(),
    };
    is_one.then(|| path.to_owned())
}

fn layout_file(path: &str) -> Option<LayoutFile> {
    match path {
        OCI_LAYOUT => return Some(LayoutFile::Marker),
        INDEX => return Some(LayoutFile::Index),
        _ => {}
    }
    let (algorithm, hex) = path
        .strip_prefix(BLOBS)?
        .strip_prefix('/')?
        .split_once('/')?;
    format!("{algorithm}:{hex}")
        .parse()
        .ok()
        .map(LayoutFile::Blob)
}

/// Returns the path at which a careless program would unpack a member.
fn resolved(name: &[u8]) -> String {
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).replace('\\', "/");
    join_path(&[], &name).join("/")
}

/// Resolves `path` in the directory `from`. `..` does not leave the root.
pub(super) fn join_path<'a>(from: &[&'a str], path: &'a str) -> Vec<&'a str> {
    let mut walked = from.to_vec();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                walked.pop();
            }
            step => walked.push(step),
        }
    }
    walked
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn blob() -> MemberName {
        MemberName::File(LayoutFile::Blob(Digest::of(b"")))
    }

    #[test]
    fn files_of_a_layout_are_known_with_and_without_a_dot() {
        for (name, expected) in [
            ("oci-layout", MemberName::File(LayoutFile::Marker)),
            ("./index.json", MemberName::File(LayoutFile::Index)),
            (&format!("blobs/sha256/{HEX}"), blob()),
            (&format!("././blobs/sha256/{HEX}"), blob()),
        ] {
            assert_eq!(MemberName::parse(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn an_indirect_name_of_a_file_of_a_layout_is_disguised() {
        for name in [
            "/index.json",
            "../index.json",
            "a/../index.json",
            "blobs//sha256/../../oci-layout",
            "index.json\0.txt",
            ".\\index.json",
            "..\\..\\oci-layout",
            &format!("blobs\\sha256\\{HEX}"),
            &format!("/blobs/sha256/{HEX}"),
            &format!("blobs/sha256/x/../{HEX}"),
        ] {
            assert_eq!(
                MemberName::parse(name.as_bytes()),
                MemberName::Disguised,
                "{name:?}"
            );
        }
    }

    #[test]
    fn all_other_names_are_not_files_of_a_layout() {
        for name in [
            "",
            "manifest.json",
            "index.json.bak",
            "a/index.json",
            "../../etc/passwd",
            "blobs/sha256/",
            "blobs/sha256/short",
            "blobs/md5/d41d8cd98f00b204e9800998ecf8427e",
            &format!("blobs/sha256/{}", HEX.to_uppercase()),
            &format!("blobs/sha256/{HEX}/more"),
        ] {
            assert_eq!(
                MemberName::parse(name.as_bytes()),
                MemberName::Other,
                "{name:?}"
            );
        }
        assert_eq!(MemberName::parse(b"\xff\xfe"), MemberName::Other);
    }
}
