//! Tells requests of the pages themselves from those of other sites.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;

/// Returns whether a page of this site has sent the request. Browsers say so themselves: all of them send `Origin` with
/// a POST, and new ones also `Sec-Fetch-Site`. A request with neither is not from a page.
pub(crate) fn is_same_origin(request: &Parts, is_tls: bool) -> bool {
    let header = |name: &str| {
        let mut values = request.headers.get_all(name).iter();
        let first = values.next().and_then(|value| value.to_str().ok());
        first.filter(|_| values.next().is_none())
    };
    let site = header("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    let Some(origin) = header(ORIGIN.as_str()) else {
        return site.is_some();
    };
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let is_expected_scheme = match scheme {
        "https" => true,
        // A proxy that terminates TLS sends requests in clear text, and not the reverse.
        "http" => !is_tls,
        _ => false,
    };
    is_expected_scheme
        && header(HOST.as_str()).is_some_and(|host| host.eq_ignore_ascii_case(authority))
}

/// Returns whether the request names a loopback address or `localhost` as its host.
pub(crate) fn has_local_host(request: &Parts) -> bool {
    let host = request
        .headers
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let Some(Ok(authority)) = host.map(str::parse::<Authority>) else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    is_loopback || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        let is_local = |host: &str| {
            let request = http::Request::builder().header(HOST, host).body(());
            has_local_host(&request.expect("a request").into_parts().0)
        };
        for host in [
            "localhost",
            "LocalHost:5000",
            "127.0.0.1:5000",
            "127.8.8.8",
            "[::1]:5000",
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

    fn is_same(headers: &[(&str, &str)], is_tls: bool) -> bool {
        let mut request = http::Request::builder().method("POST");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        is_same_origin(&parts, is_tls)
    }

    #[test]
    fn only_pages_of_the_host_are_of_the_same_origin() {
        let host = ("host", "reg.example:5000");
        let origin = |value| ("origin", value);
        let site = |value| ("sec-fetch-site", value);
        assert!(is_same(&[host, origin("http://reg.example:5000")], false));
        assert!(is_same(&[host, origin("https://reg.example:5000")], true));
        assert!(is_same(&[host, site("same-origin")], false));
        for headers in [
            &[host][..],
            &[host, origin("null")],
            &[host, origin("http://reg.example")],
            &[host, origin("http://evil.example:5000")],
            &[host, origin("http://reg.example:5000"), origin("http://a")],
            &[host, origin("http://reg.example:5000"), site("same-site")],
            &[host, site("cross-site")],
            &[host, site("none")],
            &[origin("http://reg.example:5000")],
        ] {
            assert!(!is_same(headers, false), "{headers:?}");
        }
        assert!(!is_same(&[host, origin("http://reg.example:5000")], true));
    }
}
