//! The hosts by which programs on this machine reach a server that is for them alone.

use std::net::IpAddr;

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;

/// The names by which requests may reach a server that only this machine uses: loopback addresses, `localhost`, and others
/// that are [added](Self::with_host).
///
/// A server on a loopback address without users trusts every program of its machine, but not web pages in its browsers. A
/// page can make a browser send requests to the server by a name of the page's site that resolves to a loopback address,
/// and read the responses (DNS rebinding). Such requests have that name as their `Host`.
///
/// ```
/// use tranship_server::LocalHosts;
///
/// let hosts = LocalHosts::default().with_host("host.docker.internal");
/// let request = |host: &str| http::Request::builder().header("host", host).body(());
/// let allows = |host: &str| hosts.allow(&request(host).unwrap().into_parts().0);
/// assert!(allows("localhost:5000") && allows("[::1]:5000"));
/// assert!(allows("host.docker.internal:5000"));
/// assert!(!allows("attacker.example:5000"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalHosts(Vec<String>);

impl LocalHosts {
    /// Adds a name or an address, without a port.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.0.push(host.into());
        self
    }

    /// Returns whether the `Host` of the request is one of these.
    #[must_use]
    pub fn allow(&self, request: &Parts) -> bool {
        let host = request
            .headers
            .get(HOST)
            .and_then(|host| host.to_str().ok());
        let Some(Ok(authority)) = host.map(str::parse::<Authority>) else {
            return false;
        };
        let host = without_brackets(authority.host());
        let is_loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let mut others = self.0.iter().map(|other| without_brackets(other));
        is_loopback
            || host.eq_ignore_ascii_case("localhost")
            || others.any(|other| other.eq_ignore_ascii_case(host))
    }
}

fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        let hosts = LocalHosts::default().with_host("Host.docker.internal");
        let is_local = |host: &str| {
            let request = http::Request::builder().header(HOST, host).body(());
            hosts.allow(&request.expect("a request").into_parts().0)
        };
        for host in [
            "localhost",
            "LocalHost:5000",
            "127.0.0.1:5000",
            "127.8.8.8",
            "[::1]:5000",
            "host.docker.internal:5000",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:5000",
            "10.0.0.1",
            "[::2]",
            "",
            "a b",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
