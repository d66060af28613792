//! The list `NO_PROXY`.

use std::net::IpAddr;

use url::Host;

/// The hosts that are reached without a proxy, from `NO_PROXY` in every form that curl or Go reads.
///
/// The parts are separated by commas or blanks. A part is `*` for all hosts; an address; a network such as
/// `10.0.0.0/8`; or a name, with or without `.` or `*.` in front, which includes all names below it. An address or
/// a name may have a port, and is limited to that port then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct NoProxy(Vec<Exemption>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Exemption {
    All,
    Network(IpAddr, u8),
    Address(IpAddr, Option<u16>),
    Name(String, Option<u16>),
}

impl NoProxy {
    /// Parses a list. Invalid parts are skipped, as in curl and Go.
    pub(super) fn parse(list: &str) -> Self {
        let parts = list.split(|c: char| c == ',' || c.is_whitespace());
        Self(parts.filter_map(Exemption::parse).collect())
    }

    /// Returns whether a request to `host` and `port` bypasses the proxy.
    pub(super) fn matches(&self, host: &Host<&str>, port: Option<u16>) -> bool {
        self.0.iter().any(|exemption| exemption.matches(host, port))
    }
}

impl Exemption {
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
        // This gives the name the form of a host in a URL: lower case and ASCII.
        match Host::parse(&in_ascii(name)?).ok()? {
            Host::Domain(name) => Some(Self::Name(name, port)),
            Host::Ipv4(address) => Some(Self::Address(address.into(), port)),
            Host::Ipv6(_) => None,
        }
    }

    fn matches(&self, host: &Host<&str>, port: Option<u16>) -> bool {
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

/// Encodes each label of a name that is not ASCII by Punycode. Letters are made lower case and not normalized further,
/// since that takes tables of Unicode.
fn in_ascii(name: &str) -> Option<String> {
    let labels = name.split('.').map(|label| {
        if label.is_ascii() {
            return Some(label.to_owned());
        }
        idna::punycode::encode_str(&label.to_lowercase()).map(|label| format!("xn--{label}"))
    });
    labels
        .collect::<Option<Vec<_>>>()
        .map(|labels| labels.join("."))
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
    use url::Url;

    /// Returns whether a request to `target` bypasses the proxy.
    fn is_excepted(no_proxy: &str, target: &str) -> bool {
        let target: Url = target.parse().expect("a URL");
        let host = target.host().expect("a host");
        NoProxy::parse(no_proxy).matches(&host, target.port_or_known_default())
    }

    #[test]
    fn lists_are_parsed_in_the_forms_of_curl_and_go() {
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
            // Invalid parts are skipped.
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
}
