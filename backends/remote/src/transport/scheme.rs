//! Telling http and https apart by what comes back.

use http::StatusCode;
use http::header::{CONTENT_TYPE, LOCATION};
use url::Url;

use super::failure;
use crate::policy::same_origin;

/// Whether a response from `url` over http may be that of a server which speaks https: those respond with
/// 400 and words of their own, where registries send a list of errors in JSON, or lead to the same place
/// over https.
pub(super) fn is_doubtful(response: &reqwest::Response, url: &Url) -> bool {
    if url.scheme() != "http" {
        return false;
    }
    if response.status() == StatusCode::BAD_REQUEST {
        let kind = response.headers().get(CONTENT_TYPE);
        let is_json =
            kind.is_some_and(|kind| kind.as_bytes().windows(4).any(|part| part == b"json"));
        return !is_json;
    }
    let location = response.headers().get(LOCATION);
    let target = location.and_then(|location| url.join(location.to_str().ok()?).ok());
    let mut secure = url.clone();
    let is_https = secure.set_scheme("https").is_ok();
    is_https
        && response.status().is_redirection()
        && target.is_some_and(|target| same_origin(&target, &secure))
}

/// Whether what became of a request to `url` says that the other side speaks the scheme.
pub(super) fn is_spoken(url: &Url, answered: &reqwest::Result<reqwest::Response>) -> bool {
    match answered {
        Ok(response) => !is_doubtful(response, url),
        // The other side speaks TLS, and one of the two does not want the other.
        Err(error) => url.scheme() == "https" && failure::is_of_tls(error),
    }
}
