//! The proxy of a request: that of the options, or of the environment.

use std::fmt;
use std::net::IpAddr;

use tranship::{Error, ErrorKind, Result};
use url::{Host, Url};

use crate::options::RemoteOptions;
use crate::policy::is_this_machine;

/// The proxies for the requests of one registry.
#[derive(Clone, Default)]
pub(super) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    exceptions: ProxyExceptions,
}

impl Proxies {
    /// Returns the proxy of the options, for all requests, or else those of the environment, unless the registry at `origin` is
    /// on this machine, which a proxy cannot reach.
    ///
    /// # Errors
    /// `InvalidInput` if one is not the URL of a proxy. It is not shown, since it may hold a password.
    pub(super) fn new(origin: &Url, options: &RemoteOptions) -> Result<Self> {
        if let Some(given) = &options.proxy {
            let url = proxy_url("the option for a proxy", given)?;
            return Ok(Self {
                http: Some(url.clone()),
                https: Some(url),
                exceptions: ProxyExceptions::default(),
            });
        }
        if origin.host().is_some_and(is_this_machine) {
            return Ok(Self::default());
        }
        Self::of_environment(|name| std::env::var(name).ok())
    }

    /// Reads nothing in CGI programs, where `HTTP_PROXY` may be a header of the request that they serve.
    fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        if variable("REQUEST_METHOD").is_some() {
            return Ok(Self::default());
        }
        let first = |names: [&'static str; 2]| {
            let values = names
                .into_iter()
                .map(|name| (name, variable(name).unwrap_or_default()));
            values
                .into_iter()
                .find(|(_, value)| !value.trim().is_empty())
        };
        let proxy = |names| match first(names) {
            Some((name, value)) => proxy_url(name, &value).map(Some),
            None => Ok(None),
        };
        let all = proxy(["ALL_PROXY", "all_proxy"])?;
        let exceptions = first(["NO_PROXY", "no_proxy"]);
        let exceptions = exceptions.map_or_else(ProxyExceptions::default, |(_, list)| {
            ProxyExceptions::parse(&list)
        });
        Ok(Self {
            http: proxy(["HTTP_PROXY", "http_proxy"])?.or_else(|| all.clone()),
            https: proxy(["HTTPS_PROXY", "https_proxy"])?.or(all),
            exceptions,
        })
    }

    /// Returns the proxy for a request to `url`, if any.
    pub(super) fn for_url(&self, url: &Url) -> Option<&Url> {
        let proxy = match url.scheme() {
            "http" => self.http.as_ref(),
            _ => self.https.as_ref(),
        }?;
        let is_excepted = url
            .host()
            .is_none_or(|host| self.exceptions.have(&host, url.port_or_known_default()));
        (!is_excepted).then_some(proxy)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .finish_non_exhaustive()
    }
}

/// Parses the URL of a proxy, with or without `http://`.
fn proxy_url(name: &str, text: &str) -> Result<Url> {
    let text = text.trim();
    let url = match text.contains("://") {
        true => Url::parse(text),
        false => Url::parse(&format!("http://{text}")),
    };
    let schemes = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
    let is_proxy = |url: &Url| url.has_host() && schemes.contains(&url.scheme());
    url.ok().filter(is_proxy).ok_or_else(|| {
        let message = format!("{name} is not the URL of a proxy");
        Error::new(ErrorKind::InvalidInput, message)
            .with_hint("write for example http://proxy.example:3128")
    })
}

/// The hosts that are reached without a proxy, from `NO_PROXY` in every form that curl or Go reads.
///
/// The parts are separated by commas or blanks. A part is `*` for all hosts; an address; a network such as
/// `10.0.0.0/8`; or a name, with or without `.` or `*.` in front, which includes all names below it. An address or
/// a name may have a port, and is limited to that port then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct ProxyExceptions(Vec<ProxyException>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum ProxyException {
    All,
    Network(IpAddr, u8),
    Address(IpAddr, Option<u16>),
    Name(String, Option<u16>),
}

impl ProxyExceptions {
    /// Parses a list. Invalid parts are skipped, as in curl and Go.
    fn parse(list: &str) -> Self {
        let parts = list.split(|c: char| c == ',' || c.is_whitespace());
        Self(parts.filter_map(ProxyException::parse).collect())
    }

    fn have(&self, host: &Host<&str>, port: Option<u16>) -> bool {
        self.0.iter().any(|exception| exception.has(host, port))
    }
}

impl ProxyException {
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        if text == "*" {
            return Some(Self::All);
        }
        if let Some((address, length)) = text.split_once('/') {
            let address: IpAddr = unbracketed(address).parse().ok()?;
            let length: u8 = length.parse().ok()?;
            let is_whole = length <= if address.is_ipv4() { 32 } else { 128 };
            return is_whole.then_some(Self::Network(address, length));
        }
        if let Ok(address) = unbracketed(text).parse() {
            return Some(Self::Address(address, None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text, None),
        };
        if let Ok(address) = unbracketed(host).parse() {
            return Some(Self::Address(address, port));
        }
        let name = host.strip_prefix('*').unwrap_or(host);
        let name = name.trim_matches('.');
        // As the host of a URL is written: in lower case, and in ASCII.
        match Host::parse(name).ok()? {
            Host::Domain(name) => Some(Self::Name(name, port)),
            Host::Ipv4(address) => Some(Self::Address(address.into(), port)),
            Host::Ipv6(_) => None,
        }
    }

    fn has(&self, host: &Host<&str>, port: Option<u16>) -> bool {
        let is_port = |own: &Option<u16>| own.is_none() || *own == port;
        match (self, host) {
            (Self::All, _) => true,
            (Self::Network(network, length), host) => {
                address(host).is_some_and(|address| is_within(address, *network, *length))
            }
            (Self::Address(own, port), host) => address(host) == Some(*own) && is_port(port),
            (Self::Name(own, port), Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                let above = name.strip_suffix(own.as_str());
                above.is_some_and(|above| above.is_empty() || above.ends_with('.')) && is_port(port)
            }
            (Self::Name(..), _) => false,
        }
    }
}

fn unbracketed(text: &str) -> &str {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    inner.unwrap_or(text)
}

fn address(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some(address.to_canonical()),
        Host::Domain(_) => None,
    }
}

/// Returns whether the first `length` bits of both are the same.
fn is_within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differing = u32::from(address) ^ u32::from(network);
            differing.leading_zeros() >= u32::from(length)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differing = u128::from(address) ^ u128::from(network);
            differing.leading_zeros() >= u32::from(length)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies> {
        Proxies::of_environment(|name| {
            let mut variables = variables.iter();
            let (_, value) = variables.find(|(found, _)| *found == name)?;
            Some((*value).to_owned())
        })
    }

    /// Whether `target` is reached without a proxy.
    fn is_excepted(no_proxy: &str, target: &str) -> bool {
        let variables = [("ALL_PROXY", "proxy.test:3128"), ("NO_PROXY", no_proxy)];
        let proxies = proxies(&variables).expect("proxies");
        proxies.for_url(&url(target)).is_none()
    }

    #[test]
    fn exceptions_are_read_as_curl_and_go_write_them() {
        for (no_proxy, excepted, others) in [
            ("*", &["https://a.example", "http://10.0.0.1"][..], &[][..]),
            (
                "a.example",
                &[
                    "https://a.example",
                    "https://A.example.",
                    "https://b.a.example",
                ],
                &[
                    "https://ba.example",
                    "https://a.example.com",
                    "https://example",
                ],
            ),
            (
                ".a.example",
                &["https://a.example", "https://b.a.example"],
                &["https://ba.example"],
            ),
            (
                "*.a.example",
                &["https://b.a.example", "https://c.b.a.example"],
                &["https://ba.example"],
            ),
            ("A.Example.", &["https://a.example"], &["https://b.example"]),
            ("bücher.example", &["https://xn--bcher-kva.example"], &[]),
            (
                "a.example:5000",
                &["https://a.example:5000", "http://b.a.example:5000"],
                &["https://a.example", "https://a.example:5001"],
            ),
            (
                "a.example:443",
                &["https://a.example"],
                &["http://a.example"],
            ),
            (
                "a.example, b.example",
                &["https://a.example", "https://b.example"],
                &["https://c.example"],
            ),
            (
                "a.example b.example\tc.example",
                &[
                    "https://a.example",
                    "https://b.example",
                    "https://c.example",
                ],
                &["https://d.example"],
            ),
            (
                "10.0.0.7",
                &["https://10.0.0.7:5000"],
                &["https://10.0.0.8"],
            ),
            (
                "10.0.0.7:5000",
                &["https://10.0.0.7:5000"],
                &["https://10.0.0.7"],
            ),
            (
                "10.0.0.0/8",
                &["https://10.1.2.3", "https://[::ffff:10.1.2.3]"],
                &["https://11.0.0.1", "https://ten.example"],
            ),
            ("10.1.2.3/8", &["https://10.9.9.9"], &["https://11.0.0.1"]),
            (
                "0.0.0.0/0",
                &["https://1.2.3.4"],
                &["https://[2001:db8::1]"],
            ),
            ("10.0.0.1/32", &["https://10.0.0.1"], &["https://10.0.0.2"]),
            (
                "2001:db8::1",
                &["https://[2001:db8::1]"],
                &["https://[2001:db8::2]"],
            ),
            (
                "[2001:db8::1]",
                &["https://[2001:db8::1]:5000"],
                &["https://[2001:db8::2]"],
            ),
            (
                "[2001:db8::1]:5000",
                &["https://[2001:db8::1]:5000"],
                &["https://[2001:db8::1]"],
            ),
            (
                "2001:db8::/32",
                &["https://[2001:db8:1::1]"],
                &["https://[2001:db9::1]"],
            ),
            // What makes no sense does not keep the rest from being read.
            (
                ",, :80, a.example:x, 10.0.0.0/33, /8, b.example",
                &["https://b.example"],
                &["https://a.example", "https://10.0.0.0"],
            ),
            ("", &[], &["https://a.example"]),
        ] {
            for target in excepted {
                assert!(is_excepted(no_proxy, target), "{no_proxy:?} {target}");
            }
            for target in others {
                assert!(!is_excepted(no_proxy, target), "{no_proxy:?} {target}");
            }
        }
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let found = |variables: &[(&str, &str)], target: &str| {
            let proxies = proxies(variables).expect("proxies");
            proxies.for_url(&url(target)).map(Url::to_string)
        };
        let variables = [
            ("HTTP_PROXY", "http://one:3128"),
            ("https_proxy", "https://u:p@two:3129"),
            ("ALL_PROXY", "socks5h://three:1080"),
        ];
        let of = |target| found(&variables, target);
        assert_eq!(of("http://a.example").as_deref(), Some("http://one:3128/"));
        assert_eq!(
            of("https://a.example").as_deref(),
            Some("https://u:p@two:3129/")
        );
        let all = found(&variables[2..], "http://a.example");
        assert_eq!(all.as_deref(), Some("socks5h://three:1080"));
        // An empty variable is as good as none.
        let variables = [
            ("HTTPS_PROXY", ""),
            ("https_proxy", "lower:1"),
            ("NO_PROXY", " "),
            ("no_proxy", "b.example"),
        ];
        assert_eq!(
            found(&variables, "https://a.example").as_deref(),
            Some("http://lower:1/")
        );
        assert_eq!(found(&variables, "https://b.example"), None);
        assert_eq!(found(&variables, "http://a.example"), None);
        let cgi = [("HTTP_PROXY", "http://one:3128"), ("REQUEST_METHOD", "GET")];
        assert_eq!(found(&cgi, "http://a.example"), None);
    }

    #[test]
    fn what_is_no_url_of_a_proxy_is_named_and_not_shown() {
        for value in ["http://", "ftp://hunter2@a.example", "http://u:hunter2@:1"] {
            let error = proxies(&[("HTTPS_PROXY", value)]).expect_err(value);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let shown = format!("{error:?}");
            assert!(shown.contains("HTTPS_PROXY"), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let secret = proxies(&[("HTTPS_PROXY", "u:hunter2@a.example:1")]);
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
