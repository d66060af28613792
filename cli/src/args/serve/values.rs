//! The values of settings, which are text on the command line and in a file.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Visitor};
use tranship::{Error, ErrorKind, RegistryName, RepositoryName, Result};
use tranship_artifact::tags::VersionRange;
use tranship_backends::RegistryLocation;
use tranship_server::{Grant, NamePattern, Rate, TokenOptions};

use crate::location::{DurationArg, GrantArg, parse_root};

/// The registry that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RootArg(pub(crate) RegistryLocation);

impl FromStr for RootArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_root(text).map(Self)
    }
}

/// A number of bytes, such as `4096` or `10GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SizeArg(pub(crate) u64);

impl FromStr for SizeArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let factor = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => Some(1),
            "kib" => Some(1 << 10),
            "mib" => Some(1 << 20),
            "gib" => Some(1 << 30),
            "tib" => Some(1 << 40),
            "kb" => Some(1000),
            "mb" => Some(1_000_000),
            "gb" => Some(1_000_000_000),
            "tb" => Some(1_000_000_000_000),
            _ => None,
        };
        let number = number.parse::<u64>().ok();
        let size = number
            .zip(factor)
            .and_then(|(number, factor)| number.checked_mul(factor));
        size.map(Self).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("invalid size {text:?}: expected a number of bytes"),
            )
            .with_hint("write for example 4096, 512MiB or 10GiB")
        })
    }
}

/// A pattern of repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PatternArg(pub(crate) NamePattern);

impl FromStr for PatternArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self)
    }
}

/// The host of a `Host` header: a name or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostArg(pub(crate) String);

impl FromStr for HostArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let address = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let is_address = address.unwrap_or(text).parse::<Ipv6Addr>().is_ok();
        let is_name = !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if is_address || is_name {
            return Ok(Self(text.to_owned()));
        }
        let message = format!(
            "invalid host {text:?}: no request names it; expected a name or an address, without a scheme, a port, a path or a *"
        );
        Err(Error::new(ErrorKind::InvalidInput, message)
            .with_hint("write for example host.docker.internal"))
    }
}

/// The URL at which clients reach the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicUrlArg(pub(crate) String);

impl FromStr for PublicUrlArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let checked = TokenOptions::default().with_public_url(text);
        checked.map(|_| Self(text.to_owned()))
    }
}

/// A range of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VersionRangeArg(pub(crate) VersionRange);

impl FromStr for VersionRangeArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self)
    }
}

/// `NAME[=URL]`, a registry that is mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MirrorArg {
    /// The host that clients know the registry by.
    pub(crate) host: RegistryName,
    /// The registry that content is read from.
    pub(crate) upstream: RegistryName,
    /// Whether it is reached over http.
    pub(crate) plain_http: bool,
    /// What the names of its repositories begin with there.
    pub(crate) below: Option<RepositoryName>,
}

impl MirrorArg {
    /// Returns what the names of its repositories begin with here.
    pub(crate) fn prefix(&self) -> String {
        self.host.as_str().to_ascii_lowercase().replace(':', "_")
    }
}

impl FromStr for MirrorArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (host, url) = match text.split_once('=') {
            Some((host, url)) => (host, url),
            None => (text, text),
        };
        let hint = "write for example docker.io, or ghcr.io=https://proxy.example/ghcr";
        let (plain_http, address) = match url.split_once("://") {
            None => (false, url),
            Some(("https", address)) => (false, address),
            Some(("http", address)) => (true, address),
            Some(_) => {
                let error = Error::new(
                    ErrorKind::InvalidInput,
                    "a mirror is reached over http or https",
                );
                return Err(error.with_hint(hint));
            }
        };
        let (upstream, below) = match address.trim_end_matches('/').split_once('/') {
            Some((upstream, below)) => (upstream, Some(below)),
            None => (address.trim_end_matches('/'), None),
        };
        Ok(Self {
            host: host.parse().map_err(|error: Error| error.with_hint(hint))?,
            upstream: upstream
                .parse()
                .map_err(|error: Error| error.with_hint(hint))?,
            plain_http,
            below: below.map(str::parse).transpose()?,
        })
    }
}

/// `PATTERN:r|rw`, what may be done where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepositoryGrantArg(pub(crate) Grant);

impl FromStr for RepositoryGrantArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self)
    }
}

/// How often something may happen, such as `600/m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateArg(pub(crate) Rate);

impl FromStr for RateArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self)
    }
}

/// Parses values of a file in the same way as those of the command line.
macro_rules! deserialize_as_text {
    ($($type:ty),+) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = deserializer.deserialize_any(ScalarText)?;
                text.parse().map_err(|error: Error| {
                    let message = match error.hint() {
                        Some(hint) => format!("{error}; {hint}"),
                        None => error.to_string(),
                    };
                    serde::de::Error::custom(message)
                })
            }
        }
    )+};
}

deserialize_as_text!(
    VersionRangeArg,
    RootArg,
    SizeArg,
    PatternArg,
    MirrorArg,
    HostArg,
    PublicUrlArg,
    DurationArg,
    GrantArg,
    RepositoryGrantArg,
    RateArg
);

/// Accepts text, and a number as text.
struct ScalarText;

impl Visitor<'_> for ScalarText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_may_have_a_unit() {
        let size = |text: &str| text.parse::<SizeArg>().map(|size| size.0).ok();
        assert_eq!(size("4096"), Some(4096));
        assert_eq!(size("10GiB"), Some(10 << 30));
        assert_eq!(size("2 kb"), Some(2000));
        for text in ["", "GiB", "-1", "1.5GiB", "10 apples", "99999999TiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn a_host_is_what_requests_name() {
        for text in [
            "host.docker.internal",
            "Registry_1",
            "10.0.0.1",
            "::1",
            "[fd00::1]",
        ] {
            text.parse::<HostArg>().expect(text);
        }
        for text in [
            "",
            "http://a",
            "a:5000",
            "a/b",
            "*.example",
            "u@a",
            "[a]",
            "[::1]:5",
            "é",
        ] {
            text.parse::<HostArg>().expect_err(text);
        }
    }

    #[test]
    fn a_mirror_has_a_host_and_may_have_a_url() {
        let mirror = |text: &str| text.parse::<MirrorArg>().expect(text);
        let plain = mirror("ghcr.io");
        assert_eq!(
            (plain.host.as_str(), plain.upstream.as_str()),
            ("ghcr.io", "ghcr.io")
        );
        assert!(!plain.plain_http);
        let proxied = mirror("quay.io=http://proxy.example:8080/mirrors/quay/");
        assert_eq!(proxied.upstream.as_str(), "proxy.example:8080");
        assert!(proxied.plain_http);
        assert_eq!(proxied.below.expect("a path").as_str(), "mirrors/quay");
        for text in [
            "",
            "=",
            "ghcr.io=ftp://x",
            "a b",
            "ghcr.io=",
            "x=https://y/UPPER",
        ] {
            text.parse::<MirrorArg>().expect_err(text);
        }
    }
}
