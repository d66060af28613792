//! Titles: the names of files in an artifact (annotation `org.opencontainers.image.title`).

use std::path::{Component, Path};

use tranship::{Error, ErrorKind, Result};

/// The annotation of a layer that has its file name (image-spec, "Pre-Defined Annotation Keys").
pub(super) const TITLE: &str = "org.opencontainers.image.title";
/// Says `true` if the layer is an archive of a directory (ORAS).
pub(super) const UNPACK: &str = "io.deis.oras.content.unpack";
/// The digest of the archive before compression (ORAS).
pub(super) const TAR_DIGEST: &str = "io.deis.oras.content.digest";

/// The longest name of one file, in bytes: what file systems allow.
const MAX_NAME: usize = 255;
/// The longest path, in bytes: `PATH_MAX` of Linux.
const MAX_PATH: usize = 4096;
/// The most directories inside each other.
const MAX_DEPTH: usize = 100;

/// Returns the title of a file that is given by `path`: the path cleaned lexically, as ORAS does.
pub(super) fn of_path(path: &Path) -> Result<String> {
    let Some(text) = path.to_str() else {
        return Err(Error::new(ErrorKind::InvalidInput, "the path is not UTF-8")
            .with_subject(path.display())
            .with_hint("give the file another title"));
    };
    let mut names: Vec<&str> = Vec::new();
    let mut start = String::new();
    for component in path.components() {
        match component {
            Component::Prefix(prefix) => start.push_str(prefix.as_os_str().to_str().unwrap_or("")),
            Component::RootDir => start.push(std::path::MAIN_SEPARATOR),
            Component::CurDir => {}
            Component::ParentDir if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            Component::ParentDir if !start.is_empty() => {}
            Component::ParentDir => names.push(".."),
            Component::Normal(name) => names.push(name.to_str().unwrap_or(text)),
        }
    }
    let separator = if start.is_empty() {
        "/"
    } else {
        std::path::MAIN_SEPARATOR_STR
    };
    start.push_str(&names.join(separator));
    Ok(if start.is_empty() {
        ".".to_owned()
    } else {
        start
    })
}

/// How the temporary directories of a pull begin.
pub(super) const STAGING: &str = ".tranship-";

/// A relative path whose components are names, and cannot lead out of the directory that it is joined to. It is empty
/// for that directory itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SafePath(Vec<String>);

impl SafePath {
    /// Parses a title, or the name of an entry of an archive.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let refuse = Err;
        if text.is_empty() {
            return refuse("the name is empty");
        }
        if text.len() > MAX_PATH {
            return refuse("the name is longer than 4096 bytes");
        }
        if text.starts_with('/') || has_drive(text) {
            return refuse("the name is an absolute path");
        }
        if text.chars().any(char::is_control) {
            return refuse("the name has a control character");
        }
        let mut names = Vec::new();
        for name in text.split('/') {
            match name {
                "" | "." => {}
                ".." => return refuse("the name has `..`, which can lead out of the directory"),
                name if name.len() > MAX_NAME => {
                    return refuse("a part of the name is longer than 255 bytes");
                }
                name if cfg!(windows) && !is_portable(name) => {
                    return refuse("the name is not one that Windows allows");
                }
                name => names.push(name.to_owned()),
            }
        }
        if names
            .first()
            .is_some_and(|first: &String| first.starts_with(STAGING))
        {
            return refuse("the name is one that is kept for temporary directories");
        }
        if names.len() > MAX_DEPTH {
            return refuse("the name has more than 100 directories");
        }
        Ok(Self(names))
    }

    /// Returns the names of the directories, and the last name; `None` for the directory itself.
    pub(super) fn split_last(&self) -> Option<(&str, &[String])> {
        let (last, parents) = self.0.split_last()?;
        Some((last, parents))
    }

    pub(super) fn names(&self) -> &[String] {
        &self.0
    }

    /// Returns the rest of the path below `base`; `None` if it is not below it.
    pub(super) fn below(&self, base: &Self) -> Option<Self> {
        let rest = self.0.strip_prefix(&base.0[..])?;
        Some(Self(rest.to_vec()))
    }

    pub(super) fn join(&self, below: &Self) -> Self {
        Self([&self.0[..], &below.0].concat())
    }

    /// Returns the path of `name` in this directory.
    pub(super) fn child(&self, name: &str) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_owned());
        Self(names)
    }

    /// Returns the path with `suffix` after its last name; `name` and the suffix for the directory itself.
    pub(super) fn with_suffix(&self, name: &str, suffix: &str) -> Self {
        let mut names = self.0.clone();
        match names.last_mut() {
            Some(last) => last.push_str(suffix),
            None => names.push(format!("{name}{suffix}")),
        }
        Self(names)
    }
}

impl std::fmt::Display for SafePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str(".");
        }
        f.write_str(&self.0.join("/"))
    }
}

/// Returns whether `text` begins like a path of Windows that is not relative.
fn has_drive(text: &str) -> bool {
    cfg!(windows) && (text.starts_with('\\') || text.as_bytes().get(1) == Some(&b':'))
}

/// Returns whether `name` means the same file on Windows as elsewhere.
fn is_portable(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).to_ascii_uppercase();
    let is_device = ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str())
        || stem.len() == 4
            && (stem.starts_with("COM") || stem.starts_with("LPT"))
            && stem.ends_with(|last: char| last.is_ascii_digit());
    !is_device
        && !name.contains(['\\', ':', '<', '>', '"', '|', '?', '*'])
        && !name.ends_with(['.', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn titles_are_cleaned_paths() {
        for (path, title) in [
            ("a", "a"),
            ("./a", "a"),
            ("a/b/", "a/b"),
            ("a//b", "a/b"),
            ("a/./b", "a/b"),
            ("a/../b", "b"),
            ("a/../../b", "../b"),
            ("../../b", "../../b"),
            (".", "."),
            ("", "."),
            ("a/..", "."),
            ("/a/../b", "/b"),
            ("/../b", "/b"),
        ] {
            assert_eq!(of_path(Path::new(path)).expect(path), title, "{path}");
        }
    }

    #[test]
    fn a_safe_path_stays_in_its_directory() {
        for (text, names) in [
            ("a", &["a"][..]),
            ("./a", &["a"]),
            ("a/b", &["a", "b"]),
            ("a//b/", &["a", "b"]),
            (".", &[]),
            ("...", &["..."]),
        ] {
            assert_eq!(SafePath::parse(text).expect(text).names(), names, "{text}");
        }
        let long = "x".repeat(256);
        let deep = "d/".repeat(101);
        let longest = "ab/".repeat(1400);
        for text in [
            "",
            "..",
            "../a",
            "a/..",
            "a/../b",
            "a/../../b",
            "/",
            "/etc/passwd",
            "a\0b",
            "a\nb",
            "\u{1b}[2J",
            &long,
            &deep,
            &longest,
        ] {
            assert!(SafePath::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_that_windows_takes_for_devices_are_not_portable() {
        for name in ["con", "NUL.txt", "com1", r"a\b", "a:b", "a.", "a "] {
            assert!(!is_portable(name), "{name}");
        }
        for name in ["a", "a.txt", "console", "com", ".git"] {
            assert!(is_portable(name), "{name}");
        }
    }
}
