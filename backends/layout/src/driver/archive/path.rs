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

/// What a member's name says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    File(LayoutFile),
    /// It is a file of a layout for whoever unpacks carelessly: with `..`, an absolute path,
    /// backslashes and the like.
    Disguised,
    /// Nothing of ours.
    Other,
}

/// What the member `name` is for a layout.
pub(super) fn claim(name: &[u8]) -> Claim {
    if let Some(file) = plain(name).and_then(layout_file) {
        return Claim::File(file);
    }
    // A directory that is named like a file is none of them.
    if name.ends_with(b"/") {
        return Claim::Other;
    }
    match layout_file(&resolved(name)) {
        Some(_) => Claim::Disguised,
        None => Claim::Other,
    }
}

/// The name without a leading `./`, if it is text.
pub(super) fn plain(mut name: &[u8]) -> Option<&str> {
    while let Some(rest) = name.strip_prefix(b"./") {
        name = rest;
    }
    std::str::from_utf8(name).ok()
}

/// The directory `blobs`, or one of an algorithm below it.
pub(super) fn blob_directory(name: &[u8]) -> Option<String> {
    let path = plain(name)?.strip_suffix('/')?;
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

/// Where a member would come to lie for who takes any name.
fn resolved(name: &[u8]) -> String {
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).replace('\\', "/");
    join(&[], &name).join("/")
}

/// Goes from the directory `from` along `path`. `..` leads nowhere above the root.
pub(super) fn join<'a>(from: &[&'a str], path: &'a str) -> Vec<&'a str> {
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

    fn blob() -> Claim {
        Claim::File(LayoutFile::Blob(Digest::of(b"")))
    }

    #[test]
    fn files_of_a_layout_are_known_with_and_without_a_dot_in_front() {
        for (name, expected) in [
            ("oci-layout", Claim::File(LayoutFile::Marker)),
            ("./index.json", Claim::File(LayoutFile::Index)),
            (&format!("blobs/sha256/{HEX}"), blob()),
            (&format!("././blobs/sha256/{HEX}"), blob()),
        ] {
            assert_eq!(claim(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn a_name_that_leads_to_a_file_of_a_layout_by_a_detour_is_disguised() {
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
            assert_eq!(claim(name.as_bytes()), Claim::Disguised, "{name:?}");
        }
    }

    #[test]
    fn all_other_names_are_nothing_of_ours() {
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
            assert_eq!(claim(name.as_bytes()), Claim::Other, "{name:?}");
        }
        assert_eq!(claim(b"\xff\xfe"), Claim::Other);
    }
}
