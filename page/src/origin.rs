//! Tells requests of the pages themselves from those of other sites.

use http::header::{HOST, ORIGIN};
use http::request::Parts;

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

#[cfg(test)]
mod tests {
    use super::*;

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
