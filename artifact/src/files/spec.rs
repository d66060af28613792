//! Which file is pushed, and as what.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use tranship::{Annotations, Error, ErrorKind, MediaType, Printable, Result};

use super::title;

/// A file or directory to push.
///
/// Parsed from text it has the form `FILE[:TYPE]`, as in ORAS: the last colon separates the media type, so that
/// `a:b:` is the file `a:b` with the default type. On Windows, the colon after a drive letter belongs to the path. Made
/// from a path, it is that path, whatever characters it has.
///
/// ```
/// use tranship_artifact::files::FileSpec;
///
/// let spec: FileSpec = "sbom.json:application/spdx+json".parse()?;
/// assert_eq!(spec.path().to_str(), Some("sbom.json"));
/// assert_eq!(spec.media_type().unwrap().as_str(), "application/spdx+json");
///
/// let spec = FileSpec::new("build/app").with_title("app");
/// assert_eq!(spec.title()?, "app");
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpec {
    path: PathBuf,
    media_type: Option<MediaType>,
    title: Option<String>,
    annotations: Annotations,
}

impl FileSpec {
    /// Returns the file or directory `path`, with the default type.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            media_type: None,
            title: None,
            annotations: Annotations::new(),
        }
    }

    /// Sets the media type of the layer or config. The grammar of a layer's type is not checked.
    #[must_use]
    pub fn with_media_type(mut self, media_type: MediaType) -> Self {
        self.media_type = Some(media_type);
        self
    }

    /// Sets the name under which the file is pulled, instead of its path.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Adds an annotation to the descriptor of the file.
    #[must_use]
    pub fn with_annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the media type, if one was given.
    #[must_use]
    pub fn media_type(&self) -> Option<&MediaType> {
        self.media_type.as_ref()
    }

    /// Returns the annotations that were given.
    #[must_use]
    pub fn annotations(&self) -> &Annotations {
        &self.annotations
    }

    /// Returns the name under which the file is pulled: the title that was given, or else the path without `.`, double
    /// separators and, where a name precedes it, `..`; with `/` as the separator unless it is absolute.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the path is not UTF-8.
    pub fn title(&self) -> Result<String> {
        match &self.title {
            Some(title) => Ok(title.clone()),
            None => title::of_path(&self.path),
        }
    }
}

impl FromStr for FileSpec {
    type Err = Error;

    /// Parses `FILE[:TYPE]`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the path is empty.
    fn from_str(text: &str) -> Result<Self> {
        let (path, media_type) = split(text, cfg!(windows));
        if path.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "the path is empty")
                .with_subject(Printable(text))
                .with_hint("write FILE or FILE:TYPE; for a file whose name has a colon, FILE:"));
        }
        let spec = Self::new(path);
        Ok(match media_type {
            Some("") | None => spec,
            Some(media_type) => spec.with_media_type(MediaType::from_stored(media_type)),
        })
    }
}

impl From<&Path> for FileSpec {
    fn from(path: &Path) -> Self {
        Self::new(path)
    }
}

impl From<PathBuf> for FileSpec {
    fn from(path: PathBuf) -> Self {
        Self::new(path)
    }
}

/// Splits at the last colon, unless that follows a drive letter.
fn split(text: &str, has_drives: bool) -> (&str, Option<&str>) {
    let is_drive = |colon: usize| {
        let bytes = text.as_bytes();
        has_drives
            && colon == 1
            && bytes[0].is_ascii_alphabetic()
            && matches!(bytes.get(2), Some(b'\\' | b'/'))
    };
    match text.rfind(':') {
        Some(colon) if !is_drive(colon) => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_colon_separates_the_type() {
        for (text, path, media_type) in [
            ("hi.txt", "hi.txt", None),
            ("hi.txt:text/plain", "hi.txt", Some("text/plain")),
            ("hi:txt:", "hi:txt", None),
            ("hi:txt", "hi", Some("txt")),
            ("a:b:c/d", "a:b", Some("c/d")),
            ("-:text/plain", "-", Some("text/plain")),
        ] {
            let spec: FileSpec = text.parse().expect(text);
            assert_eq!(spec.path(), Path::new(path), "{text}");
            let found = spec.media_type().map(MediaType::as_str);
            assert_eq!(found, media_type, "{text}");
        }
    }

    #[test]
    fn an_empty_path_is_an_error() {
        for text in ["", ":", ":text/plain"] {
            let error = text.parse::<FileSpec>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_drive_letter_belongs_to_the_path() {
        for (text, expected) in [
            (r"C:\x", (r"C:\x", None)),
            ("C:/x", ("C:/x", None)),
            (r"C:\x:text/plain", (r"C:\x", Some("text/plain"))),
            ("c:text/plain", ("c", Some("text/plain"))),
        ] {
            assert_eq!(split(text, true), expected, "{text}");
        }
        assert_eq!(split("C:/x", false), ("C", Some("/x")));
    }

    #[test]
    fn a_path_is_not_parsed() {
        let spec = FileSpec::from(Path::new("a:b"));
        assert_eq!(spec.path(), Path::new("a:b"));
        assert_eq!(spec.media_type(), None);
    }
}
