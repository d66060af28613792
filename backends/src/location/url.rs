//! URLs of object stores.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use tranship::{
    Digest, Error, ErrorKind, Printable, RegistryName, Result, TagOrDigest,
    without_user_information,
};

use super::suffix::{self, split_digest};

/// Those of the crate `object_store`, without its `file` and `memory`.
const SCHEMES: [&str; 10] = [
    "s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss", "https", "http",
];
const CREDENTIALS: &str = "credentials and settings of the store come from the environment, or from store options such as --store-option KEY=VALUE";

/// The URL of a place in an object store, such as `s3://bucket/prefix`.
///
/// | URL | Place |
/// |---|---|
/// | `s3://BUCKET/PREFIX`, `s3a://…` | Amazon S3 and what speaks its protocol |
/// | `gs://BUCKET/PREFIX` | Google Cloud Storage |
/// | `az://CONTAINER/PREFIX`, `azure://…`, `adl://…`, `abfs://…`, `abfss://…` | Azure Blob Storage; `az`, `abfs` and `abfss` also with `CONTAINER@ACCOUNT.HOST` |
/// | `https://HOST/PATH`, `http://HOST:PORT/PATH` | what the host stands for: one of these, or WebDAV |
///
/// The prefix may be missing, and a slash at the end means nothing. It is a URL's path: ASCII letters,
/// digits, `/` and `-._~!$&'()*+,;=:` stand for themselves, everything else is percent-encoded UTF-8,
/// such as `%20` for a space. Components are not empty, `.` or `..`. Two URLs are the same if their
/// text is.
///
/// There is no place for secrets: user information, a query and a fragment are refused, and no error
/// repeats them. The endpoint of a store is a setting and no part of the URL either, except with
/// `https` and `http`.
///
/// ```
/// use tranship_backends::ObjectStoreUrl;
///
/// let url: ObjectStoreUrl = "s3://bucket/some/prefix/".parse()?;
/// assert_eq!(url.as_str(), "s3://bucket/some/prefix");
/// assert!("s3://key:secret@bucket/prefix".parse::<ObjectStoreUrl>().is_err());
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectStoreUrl(String);

impl ObjectStoreUrl {
    /// The text of the URL, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ObjectStoreUrl {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectStoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ObjectStoreUrl {
    type Err = Error;

    /// Reads a URL, without a tag or digest behind it.
    ///
    /// # Errors
    /// - [`ErrorKind::Unsupported`] if no object store has the scheme.
    /// - [`ErrorKind::InvalidReference`] if it is malformed, or has a place for secrets.
    fn from_str(text: &str) -> Result<Self> {
        let (scheme, rest) = split_scheme(text)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        check_authority(scheme, authority).map_err(|why| invalid(text, why))?;
        let path = path.strip_suffix('/').unwrap_or(path);
        if !path.is_empty() {
            let parts = path.split('/');
            parts.into_iter().try_for_each(check_component)
        } else if rest.ends_with("//") {
            Err("a component of the prefix is empty")
        } else {
            Ok(())
        }
        .map_err(|why| invalid(text, why))?;
        Ok(Self(text.strip_suffix('/').unwrap_or(text).to_owned()))
    }
}

/// What stands in front of `://`, if that can be a scheme. One letter is the drive of a Windows path.
pub(super) fn url_scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte));
    is_scheme.then_some(scheme)
}

/// Whether a scheme is that of an object store, and not also what people write for a registry.
pub(super) fn is_bucket_scheme(scheme: &str) -> bool {
    SCHEMES.contains(&scheme) && !is_http(scheme)
}

/// Takes the tag or digest off a URL.
pub(super) fn split(text: &str) -> Result<(&str, Option<TagOrDigest>)> {
    let (scheme, rest) = split_scheme(text)?;
    let (place, digest) = split_digest(rest);
    let (place, reference) = if is_http(scheme) && !place.contains('/') {
        // What stands behind a colon is the port.
        let digest = digest.map(str::parse::<TagOrDigest>).transpose()?;
        (place, digest)
    } else {
        suffix::split(rest)?
    };
    let start = text.len() - rest.len();
    Ok((&text[..start + place.len()], reference))
}

/// Takes the scheme off a URL, perhaps with a tag or digest behind it, when all of it may be shown
/// in an error.
pub(super) fn split_scheme(text: &str) -> Result<(&str, &str)> {
    let Some(scheme) = url_scheme(text) else {
        return Err(invalid(text, "this is no URL of an object store")
            .with_hint("write SCHEME://BUCKET/PREFIX, such as s3://bucket/prefix"));
    };
    if !SCHEMES.contains(&scheme) {
        let error = Error::unsupported(format!("{scheme}:// is no object store known here"))
            .with_subject(Printable(&redacted(text)));
        return Err(match scheme {
            "file" => error.with_hint("write the path alone"),
            _ => error.with_hint(format!("known are {}://", SCHEMES.join("://, "))),
        });
    }
    let rest = &text[scheme.len() + "://".len()..];
    if rest.contains(['?', '#']) {
        let why = "the URL of an object store has no query and no fragment here";
        return Err(invalid(text, why).with_hint(CREDENTIALS));
    }
    let (place, _) = split_digest(rest);
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    let host = match authority.split_once('@') {
        Some((container, host)) if has_account(scheme) && is_bucket(container) => host,
        _ => authority,
    };
    if host.contains('@') || path.contains('@') {
        let why = "the URL of an object store has no user information here";
        let hint = format!("{CREDENTIALS}; in a prefix write %40 for an at sign");
        return Err(invalid(text, why).with_hint(hint));
    }
    Ok((scheme, rest))
}

fn check_authority(scheme: &str, authority: &str) -> Result<(), &'static str> {
    if is_http(scheme) {
        return match authority.parse::<RegistryName>() {
            Ok(host) if !host.as_str().starts_with(':') => Ok(()),
            _ => Err("the URL has no valid host, with a port or without"),
        };
    }
    let bucket = match authority.split_once('@') {
        Some((_, "")) => return Err("the account behind the container is missing"),
        Some((container, host)) if is_bucket(container) => host,
        _ => authority,
    };
    if bucket.is_empty() {
        Err("the URL names no bucket")
    } else if bucket.contains(':') {
        Err("a bucket has no colon, and the endpoint of a store is a setting")
    } else if !is_bucket(bucket) {
        Err("the bucket has a character that no bucket has")
    } else {
        Ok(())
    }
}

fn check_component(component: &str) -> Result<(), &'static str> {
    let mut bytes = component.bytes();
    let mut decoded = Vec::with_capacity(component.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = (bytes.next(), bytes.next());
                let (Some(high), Some(low)) = (digits.0.and_then(hex), digits.1.and_then(hex))
                else {
                    return Err("a percent sign is not followed by two hexadecimal digits");
                };
                high << 4 | low
            }
            _ if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) => byte,
            _ => return Err("a character of the prefix must be percent-encoded, such as %20"),
        });
    }
    let Ok(decoded) = std::str::from_utf8(&decoded) else {
        return Err("the prefix is not UTF-8");
    };
    match decoded {
        "" => Err("a component of the prefix is empty"),
        "." | ".." => Err("a component of the prefix is . or .."),
        _ if decoded.contains('/') => Err("a component of the prefix has an encoded slash"),
        _ if decoded.contains(char::is_control) => Err("the prefix has a control character"),
        _ => Ok(()),
    }
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

fn is_http(scheme: &str) -> bool {
    matches!(scheme, "https" | "http")
}

/// Whether `CONTAINER@ACCOUNT.HOST` may stand behind a scheme, which looks like user information.
fn has_account(scheme: &str) -> bool {
    matches!(scheme, "az" | "abfs" | "abfss")
}

fn is_bucket(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._$".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

pub(super) fn invalid(text: &str, why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidReference, why).with_subject(Printable(&redacted(text)))
}

/// Text that is or holds a URL, for an error: in `user:password@host`, and in the signed query of a
/// presigned URL, lies a secret.
pub(super) fn redacted(text: &str) -> Cow<'_, str> {
    let Some(start) = text.find("://").map(|at| at + "://".len()) else {
        return without_user_information(text);
    };
    let (head, query) = text.split_at(
        text[start..]
            .find(['?', '#'])
            .map_or(text.len(), |at| start + at),
    );
    let plain = match head.rsplit_once('@') {
        Some((plain, digest)) if digest.parse::<Digest>().is_ok() => plain,
        _ => head,
    };
    let scheme = &text[..start];
    let mark = if query.is_empty() { "" } else { "?…" };
    match plain.rfind('@') {
        _ if query.contains('@') => Cow::Owned(format!("{scheme}…")),
        Some(at) if at >= start => Cow::Owned(format!("{scheme}…{}{mark}", &head[at..])),
        _ if query.is_empty() => Cow::Borrowed(text),
        _ => Cow::Owned(format!("{head}{mark}")),
    }
}
