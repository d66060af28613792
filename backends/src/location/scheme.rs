//! The scheme of a location, such as `oci:`.

use std::fmt;

use tranship::{Error, ErrorKind, Printable, Result};

use super::url::{is_bucket_scheme, redacted, url_scheme};

/// A location, with its scheme taken off.
pub(super) enum Scheme<'a> {
    Oci(&'a str),
    Layouts(&'a str),
    OciArchive(&'a str),
    DockerArchive(&'a str),
    /// `oci:` and a URL.
    ObjectLayout(&'a str),
    /// `layouts:` and a URL.
    ObjectLayouts(&'a str),
    Remote(&'a str),
}

impl<'a> Scheme<'a> {
    /// Tells the scheme of `text`.
    ///
    /// # Errors
    /// `InvalidReference` if it is not a location.
    pub(super) fn of(text: &'a str) -> Result<Self> {
        let invalid = |why: String| {
            Error::new(ErrorKind::InvalidReference, why).with_subject(Printable(&redacted(text)))
        };
        let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
        match (scheme, rest) {
            ("oci", rest) if url_scheme(rest).is_some() => Ok(Self::ObjectLayout(rest)),
            ("layouts", rest) if url_scheme(rest).is_some() => Ok(Self::ObjectLayouts(rest)),
            ("oci", rest) => Ok(Self::Oci(rest)),
            ("layouts", rest) => Ok(Self::Layouts(rest)),
            ("oci-archive", rest) => Ok(Self::OciArchive(rest)),
            ("docker-archive", rest) => Ok(Self::DockerArchive(rest)),
            ("docker", rest) if rest.starts_with("//") => Ok(Self::Remote(&rest[2..])),
            _ if is_path(text) => Err(invalid("a path is not a location by itself".into())
                .with_hint("to name a layout write oci:PATH")),
            (scheme, rest) if is_bucket_scheme(scheme) && rest.starts_with("//") => {
                Err(invalid("a URL is not a location by itself".into())
                    .with_hint("to name a layout in an object store write oci:URL"))
            }
            // Else `dir:/some/path` would be the host `dir` with an empty port.
            (scheme, rest) if !scheme.is_empty() && rest.starts_with(['/', '\\']) => {
                Err(unknown_kind(text, scheme)
                    .with_hint("a registry is written without a scheme, as in registry.example/name:tag, and a layout as oci:PATH"))
            }
            _ => Ok(Self::Remote(text)),
        }
    }
}

pub(super) fn unknown_kind(text: &str, scheme: &str) -> Error {
    let why = format!("{}: is not a kind of location", Printable(scheme));
    Error::new(ErrorKind::InvalidReference, why).with_subject(Printable(&redacted(text)))
}

fn is_path(text: &str) -> bool {
    text.starts_with(['.', '/', '\\', '~'])
        || matches!(
            text.as_bytes(),
            [b'A'..=b'Z' | b'a'..=b'z', b':', b'/' | b'\\', ..]
        )
}

/// Writes a host, and perhaps what follows it, so that it is read as one.
pub(super) fn write_remote(f: &mut fmt::Formatter<'_>, remote: &str) -> fmt::Result {
    match Scheme::of(remote) {
        Ok(Scheme::Remote(text)) if text == remote => f.write_str(remote),
        _ => write!(f, "docker://{remote}"),
    }
}
