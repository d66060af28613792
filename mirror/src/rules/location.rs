//! How the text of a source or a destination is taken apart.
//!
//! The grammar is that of a `Location` of `tranship-backends`, which opens the result, with a pattern or a template in place
//! of the name of the repository.

use tranship::{Digest, Error, ErrorKind, Printable, Result, Tag, without_user_information};

/// Schemes of a single repository.
const SINGLE: [&str; 3] = ["oci:", "oci-archive:", "docker-archive:"];

/// What a location names, without a tag or digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form<'a> {
    /// A repository that does not belong to a registry, such as `oci:DIR`.
    Single(&'a str),
    /// `layouts:ROOT`, and the text after `//`.
    Layouts(&'a str, Option<&'a str>),
    /// The text after `docker://`, which begins with a host.
    Docker(&'a str),
    /// Any other text.
    Name(&'a str),
}

impl<'a> Form<'a> {
    /// Tells which form `text` has.
    ///
    /// # Errors
    /// `InvalidReference` for a path or a URL, and for a scheme without anything after it.
    pub(super) fn of(text: &'a str) -> Result<Self> {
        if let Some(rest) = SINGLE.iter().find_map(|scheme| text.strip_prefix(scheme)) {
            return if rest.is_empty() {
                Err(invalid(text, "the path is missing"))
            } else {
                Ok(Self::Single(text))
            };
        }
        if let Some(rest) = text.strip_prefix("layouts:") {
            let start = text.len() - rest.len();
            // The slashes of `s3://bucket` belong to the URL.
            let root = url_start(rest).unwrap_or(0);
            let split = rest[root..].rfind("//").map(|at| start + root + at);
            let (root, name) = match split {
                Some(at) => (&text[..at], Some(&text[at + 2..])),
                None => (text, None),
            };
            return if root.len() <= start {
                Err(invalid(text, "the path is missing"))
            } else {
                Ok(Self::Layouts(root, name))
            };
        }
        if let Some(rest) = text.strip_prefix("docker://") {
            return Ok(Self::Docker(rest));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let why = "a URL is not a location by itself";
            let hint = match scheme {
                "http" | "https" => format!(
                    "write a registry without a scheme: {}",
                    without_user_information(rest)
                ),
                _ => "write layouts:URL for a prefix of an object store, and oci:URL for a single layout".into(),
            };
            return Err(invalid(text, why).with_hint(hint));
        }
        if text.starts_with(['.', '/', '\\', '~']) {
            let hint =
                "write oci:PATH for an image layout, and layouts:ROOT for a directory of them";
            return Err(invalid(text, "a path is not a location by itself").with_hint(hint));
        }
        Ok(Self::Name(text))
    }

    /// Where the component begins that a tag or digest can follow; `None` if none can.
    fn last_component(self, text: &str) -> Option<usize> {
        match self {
            Self::Single(_) => {
                let path = text.find(':').map_or(0, |colon| colon + 1);
                let drive = match &text.as_bytes()[path..] {
                    [b'A'..=b'Z' | b'a'..=b'z', b':', b'/' | b'\\', ..] => 2,
                    _ => 0,
                };
                let slash = text.rfind(['/', '\\']).map_or(0, |slash| slash + 1);
                Some(slash.max(path + drive))
            }
            Self::Layouts(_, None) => None,
            Self::Layouts(..) | Self::Docker(_) | Self::Name(_) => {
                Some(text.rfind('/').map_or(0, |slash| slash + 1))
            }
        }
    }
}

/// The number of bytes up to the end of `://`, if `text` begins with a scheme. One letter is the drive of a Windows path.
fn url_start(text: &str) -> Option<usize> {
    let (scheme, _) = text.split_once("://")?;
    let is_scheme = scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_scheme.then_some(scheme.len() + 3)
}

/// A location, and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Split<'a> {
    pub(super) location: &'a str,
    pub(super) tag: Option<Tag>,
    pub(super) digest: Option<Digest>,
}

impl<'a> Split<'a> {
    /// Takes the tag and the digest off `text`.
    ///
    /// # Errors
    /// Those of [`Form::of`]; `InvalidReference` for a malformed tag, and `InvalidDigest` for a malformed digest.
    pub(super) fn of(text: &'a str) -> Result<Self> {
        let form = Form::of(text)?;
        let Some(start) = form.last_component(text) else {
            return Ok(Self {
                location: text,
                tag: None,
                digest: None,
            });
        };
        let is_path = matches!(form, Form::Single(_));
        let at_sign = text[start..].rfind('@').map(|at| start + at);
        // A directory may be named `app@1.2`.
        let at_sign = at_sign.filter(|at| !is_path || text[at + 1..].contains(':'));
        let (tagged, digest) = match at_sign {
            Some(at) => (&text[..at], Some(text[at + 1..].parse()?)),
            None => (text, None),
        };
        let (location, tag) = match tagged[start..].rfind(':') {
            Some(at) => (
                &tagged[..start + at],
                Some(tagged[start + at + 1..].parse()?),
            ),
            None => (tagged, None),
        };
        Ok(Self {
            location,
            tag,
            digest,
        })
    }
}

pub(super) fn invalid(text: &str, why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidReference, why)
        .with_subject(Printable(&without_user_information(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_by_their_schemes() {
        for (text, expected) in [
            ("oci:dir", Form::Single("oci:dir")),
            ("oci:s3://b/x", Form::Single("oci:s3://b/x")),
            ("oci-archive:a.tar", Form::Single("oci-archive:a.tar")),
            ("layouts:dir", Form::Layouts("layouts:dir", None)),
            (
                "layouts:dir//a/*",
                Form::Layouts("layouts:dir", Some("a/*")),
            ),
            ("layouts:s3://b/x", Form::Layouts("layouts:s3://b/x", None)),
            (
                "layouts:s3://b/x//a/**",
                Form::Layouts("layouts:s3://b/x", Some("a/**")),
            ),
            ("docker://oci:5000/app", Form::Docker("oci:5000/app")),
            ("localhost:5000/app", Form::Name("localhost:5000/app")),
            ("busybox", Form::Name("busybox")),
        ] {
            assert_eq!(Form::of(text).expect(text), expected);
        }
        for text in ["oci:", "layouts:", "https://host/app", "./dir", "/dir"] {
            assert!(Form::of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_tag_and_a_digest_are_taken_off() {
        let digest = Digest::of(b"x");
        for (text, location, tag) in [
            ("busybox", "busybox", None),
            ("busybox:1.36", "busybox", Some("1.36")),
            ("localhost:5000/app", "localhost:5000/app", None),
            ("localhost:5000/app:v1", "localhost:5000/app", Some("v1")),
            ("docker://h:1/app:v1", "docker://h:1/app", Some("v1")),
            ("layouts:dir", "layouts:dir", None),
            ("layouts:C:\\dir", "layouts:C:\\dir", None),
            ("layouts:dir//a/b:v1", "layouts:dir//a/b", Some("v1")),
            ("oci:dir", "oci:dir", None),
            ("oci:dir:v1", "oci:dir", Some("v1")),
            ("oci:C:\\dir:v1", "oci:C:\\dir", Some("v1")),
            ("oci:a:b/", "oci:a:b/", None),
            ("oci:app@1.2", "oci:app@1.2", None),
        ] {
            let split = Split::of(text).expect(text);
            assert_eq!(split.location, location);
            assert_eq!(split.tag.as_ref().map(Tag::as_str), tag);
            assert_eq!(split.digest, None);
            if !text.starts_with("layouts:") || text.contains("//") {
                let with_digest = format!("{text}@{digest}");
                let split = Split::of(&with_digest).expect(text);
                assert_eq!(split.location, location);
                assert_eq!(split.tag.as_ref().map(Tag::as_str), tag);
                assert_eq!(split.digest.as_ref(), Some(&digest));
            }
        }
    }

    #[test]
    fn no_error_repeats_a_password() {
        for text in [
            "https://me:secret@host/app",
            "me:secret@host/app@x",
            "layouts:s3://me:secret@bucket/x//A:b c",
        ] {
            let error = Split::of(text).expect_err(text);
            let shown = format!("{error} {error:?} {:?}", error.hint());
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
