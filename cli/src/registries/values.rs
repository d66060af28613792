//! What the options for registries are read as.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::{HeaderName, HeaderValue};
use tranship::{Error, ErrorKind, RegistryName, Result, escape_controls as plain};

/// The registry that an option is for; `None` for all that no other option names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Which(pub(super) Option<RegistryName>);

impl FromStr for Which {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(Self(match text {
            "" => None,
            name => Some(name.parse()?),
        }))
    }
}

/// A rule of the security policy that is loosened, and for which registry.
#[derive(Debug, Clone)]
pub(crate) struct AllowArg {
    pub(super) rule: Rule,
    pub(super) registry: Which,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    ForeignUploads,
    Downgrades,
    PrivateTargets,
}

impl FromStr for AllowArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (rule, registry) = text.split_once('=').unwrap_or((text, ""));
        let rule = match rule {
            "foreign-uploads" => Rule::ForeignUploads,
            "downgrades" => Rule::Downgrades,
            "private-targets" => Rule::PrivateTargets,
            _ => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("{} is not a rule that can be loosened", plain(rule)),
                )
                .with_hint("the rules are foreign-uploads, downgrades and private-targets"));
            }
        };
        let registry = registry.parse()?;
        Ok(Self { rule, registry })
    }
}

/// `NAME: VALUE`. The value may be secret: neither an error nor `Debug` shows it.
#[derive(Clone)]
pub(crate) struct HeaderArg(pub(super) HeaderName, pub(super) HeaderValue);

impl FromStr for HeaderArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once(':').and_then(|(name, value)| {
            let mut value: HeaderValue = value.trim().parse().ok()?;
            value.set_sensitive(true);
            Some(Self(name.trim().parse().ok()?, value))
        });
        parsed.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "a header has a name, a colon and a value",
            )
            .with_hint("write for example --header 'X-Team: build'")
        })
    }
}

impl fmt::Debug for HeaderArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: …", self.0)
    }
}

/// `HOST:PORT:ADDRESS`.
#[derive(Debug, Clone)]
pub(crate) struct ResolveArg(pub(super) String, pub(super) SocketAddr);

impl FromStr for ResolveArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.splitn(3, ':');
        let parsed = (|| {
            let host = parts.next().filter(|host| !host.is_empty())?;
            let port: u16 = parts.next()?.parse().ok()?;
            let address = parts.next()?;
            let address = address
                .strip_prefix('[')
                .and_then(|text| text.strip_suffix(']'))
                .unwrap_or(address);
            let address: IpAddr = address.parse().ok()?;
            Some(Self(host.to_owned(), SocketAddr::new(address, port)))
        })();
        parsed.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("{text:?} is no host, port and address with colons between them"),
            )
            .with_hint("write for example --resolve registry.example:443:10.0.0.7")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_shows_its_name_alone() {
        let header: HeaderArg = "X-Token: hunter2".parse().expect("a header");
        assert_eq!(
            (header.0.as_str(), header.1.as_bytes()),
            ("x-token", &b"hunter2"[..])
        );
        assert_eq!(format!("{header:?}"), "x-token: …");
        for text in ["hunter2", ": hunter2", "x y: hunter2", "x: hunter2\nb: c"] {
            let text = text.replace("\\n", "\n");
            if let Err(error) = text.parse::<HeaderArg>() {
                assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            } else {
                panic!("{text:?} is no header");
            }
        }
    }

    #[test]
    fn an_address_stands_for_a_host() {
        let parse = |text: &str| {
            text.parse::<ResolveArg>()
                .ok()
                .map(|arg| (arg.0, arg.1.to_string()))
        };
        let expected = Some(("a.example".to_owned(), "10.0.0.7:443".to_owned()));
        assert_eq!(parse("a.example:443:10.0.0.7"), expected);
        let expected = Some(("a.example".to_owned(), "[::1]:5000".to_owned()));
        assert_eq!(parse("a.example:5000:::1"), expected);
        assert_eq!(parse("a.example:5000:[::1]"), expected);
        for text in [
            "",
            "a.example",
            "a.example:10.0.0.7",
            ":443:10.0.0.7",
            "a:b:10.0.0.7",
            "a:1:b",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
