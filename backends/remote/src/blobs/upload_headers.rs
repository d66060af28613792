//! The headers and the URLs of requests and responses of an upload.

use std::ops::Range;

use http::header::RANGE;
use http::{HeaderName, HeaderValue};
use tranship::{Digest, Result};
use url::Url;

use crate::transport::{Response, failure};

const OCI_CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// The largest `OCI-Chunk-Min-Length` that is accepted, in bytes.
const MAX_MIN_CHUNK: u64 = 1024 * 1024 * 1024;

/// Returns `OCI-Chunk-Min-Length` in bytes, if the response has it.
///
/// # Errors
/// `Unavailable` if it is not a number, or is too large.
pub(super) fn min_chunk(response: &Response) -> Result<Option<u64>> {
    let Some(value) = response.headers().get(OCI_CHUNK_MIN_LENGTH) else {
        return Ok(None);
    };
    let least = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    match least {
        Some(least) if least <= MAX_MIN_CHUNK => Ok(Some(least)),
        _ => Err(failure::protocol(
            "the registry's OCI-Chunk-Min-Length is not a sensible number of bytes",
        )),
    }
}

/// Returns the `Content-Range` of a request. The range must not be empty.
pub(super) fn content_range(range: &Range<u64>) -> Result<HeaderValue> {
    HeaderValue::try_from(format!("{}-{}", range.start, range.end - 1))
        .map_err(|_| failure::protocol("the range is no header"))
}

/// Returns the number of bytes that the registry has received according to a response.
pub(super) fn received(response: &Response) -> Option<u64> {
    let text = response.headers().get(RANGE)?.to_str().ok()?;
    parse_received(text)
}

fn parse_received(text: &str) -> Option<u64> {
    let text = text.trim();
    let text = text.strip_prefix("bytes=").unwrap_or(text);
    match text.strip_prefix("0-")? {
        // No bytes, as olareg and distribution write it.
        "-1" | "0" => Some(0),
        last => last.parse::<u64>().ok()?.checked_add(1),
    }
}

/// Returns the URL with the digest appended to its query. The rest is kept byte by byte, because it may be signed.
pub(super) fn with_digest(url: &Url, digest: &Digest) -> Url {
    let digest = digest.to_string().replace(':', "%3A");
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&digest={digest}"),
        _ => format!("digest={digest}"),
    };
    let mut url = url.clone();
    url.set_query(Some(&query));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_received_bytes_are_stated_in_several_forms() {
        for (text, received) in [
            ("0-1023", Some(1024)),
            ("bytes=0-1023", Some(1024)),
            (" 0-4 ", Some(5)),
            ("0-0", Some(0)),
            ("0--1", Some(0)),
            ("5-9", None),
            ("0-", None),
            ("0-x", None),
            ("0-18446744073709551615", None),
            ("", None),
        ] {
            assert_eq!(parse_received(text), received, "{text}");
        }
    }

    #[test]
    fn the_query_of_a_location_stays_as_it_is() {
        let digest = Digest::of(b"");
        let hex = digest.hex();
        for (url, expected) in [
            (
                "https://a/u/1",
                format!("https://a/u/1?digest=sha256%3A{hex}"),
            ),
            ("https://a/u?", format!("https://a/u?digest=sha256%3A{hex}")),
            (
                "https://a/u?_state=a%2Fb+c&x",
                format!("https://a/u?_state=a%2Fb+c&x&digest=sha256%3A{hex}"),
            ),
        ] {
            let url: Url = url.parse().expect("a URL");
            assert_eq!(with_digest(&url, &digest).as_str(), expected);
        }
    }
}
