//! The response of a registry.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LOCATION,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tranship::{ByteStream, Digest, Error, ErrorKind, MediaType, Result};
use url::Url;

use super::failure;
use super::limit::Permit;
use super::pull_limit_headers;
use super::retry::{self, retry_after};

pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");

/// The head of a response, and its unread body. It holds the permit of its request.
pub(crate) struct Response {
    pub(crate) method: Method,
    /// The URL of the response, after redirects.
    pub(crate) url: Url,
    /// The host of the URL, if it is not the registry.
    pub(crate) other_host: Option<String>,
    pub(crate) inner: reqwest::Response,
    pub(crate) permit: Permit,
    pub(crate) silence: Duration,
    pub(crate) max_error_size: u64,
    /// How long the body may take if it is read whole.
    pub(crate) max_time: Duration,
    /// Whether an earlier attempt of the request may have been carried out.
    pub(crate) may_be_repeated: bool,
    /// Whether an option selects http, which the registry may not expect.
    pub(crate) is_http_told: bool,
    /// The hint if the response is an error.
    pub(crate) hint: Option<String>,
}

impl Response {
    pub(crate) fn status(&self) -> StatusCode {
        self.inner.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        retry_after(self.headers())
    }

    /// Returns the response if its status is `expected`, and otherwise its error.
    pub(crate) async fn expect(self, expected: StatusCode) -> Result<Self> {
        if self.status() == expected {
            Ok(self)
        } else {
            Err(self.into_error().await)
        }
    }

    /// Returns the error of the response, with the list of errors in its body.
    pub(crate) async fn into_error(self) -> Error {
        let (method, url) = (self.method.clone(), self.url.clone());
        let status = self.status();
        if status.is_success() || status.is_redirection() {
            return failure::protocol(format!(
                "the registry responds to {method} with {status}, which is not expected"
            ));
        }
        let limit = self.max_error_size;
        let asked = self.retry_after();
        let pulls = pull_limit_headers::status_of(self.headers(), SystemTime::now());
        let is_told_clear_text = self.is_http_told && self.url.scheme() == "http";
        let hint = self.hint.clone();
        let body = self.prefix(limit).await;
        let error = failure::of_status(&method, &url, status, failure::registry_errors(&body));
        match asked {
            Some(asked) if error.is_retryable() => error
                .with_hint(retry::hint(asked, SystemTime::now()))
                .with_retry_after(asked),
            None if status == StatusCode::TOO_MANY_REQUESTS
                && let Some(pulls) = pulls =>
            {
                error.with_hint(format!("of the pulls that the registry allows, {pulls}"))
            }
            // Servers that expect TLS respond to HTTP in this way, with a text that is not JSON.
            _ if is_told_clear_text
                && status == StatusCode::BAD_REQUEST
                && error.registry_errors().is_empty() =>
            {
                error.with_hint(failure::IF_HTTPS)
            }
            _ => match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            },
        }
    }

    /// Reads the whole body, a JSON object, which must not be longer than `limit`.
    ///
    /// Some servers label content that is not encoded, so a `Content-Encoding` is refused only if the body is not JSON.
    pub(crate) async fn bytes(self, limit: u64) -> Result<Bytes> {
        let coding = self.coding().map(str::to_owned);
        let too_long = || {
            Error::new(
                ErrorKind::SizeExceedsLimit,
                format!("the response is longer than the limit of {limit} bytes"),
            )
        };
        if self.content_length()?.is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        let (most, mut body) = (self.max_time, self.into_stream());
        let reading = async {
            let mut whole = BytesMut::new();
            while let Some(piece) = body.next().await.transpose()? {
                if (whole.len() + piece.len()) as u64 > limit {
                    return Err(too_long());
                }
                whole.extend_from_slice(&piece);
            }
            Ok(whole)
        };
        // Each piece may arrive in time while the body does not end.
        let whole = tokio::time::timeout(most, reading).await;
        let whole = whole.map_err(|_| failure::too_slow(most))??;
        match coding {
            Some(coding) if !whole.trim_ascii_start().starts_with(b"{") => {
                Err(failure::protocol(failure::encoded(&coding)))
            }
            _ => Ok(whole.freeze()),
        }
    }

    /// Reads up to `limit` bytes of the body, and stops at an error.
    async fn prefix(self, limit: u64) -> Bytes {
        let (most, mut body) = (self.max_time, self.into_stream());
        let mut prefix = BytesMut::new();
        let reading = async {
            while let Some(Ok(piece)) = body.next().await {
                let room = usize::try_from(limit).unwrap_or(usize::MAX) - prefix.len();
                prefix.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.len() >= room {
                    break;
                }
            }
        };
        // After a timeout, the received bytes are sufficient.
        let _ = tokio::time::timeout(most, reading).await;
        prefix.freeze()
    }

    /// Returns the body as a stream, which fails if no piece arrives within the silence timeout.
    pub(crate) fn into_stream(self) -> ByteStream {
        let silence = self.silence;
        let state = (Box::pin(self.inner.bytes_stream()), self.permit);
        let pieces = stream::try_unfold(state, move |(mut body, permit)| async move {
            match tokio::time::timeout(silence, body.next()).await {
                Ok(Some(Ok(piece))) => Ok(Some((piece, (body, permit)))),
                Ok(Some(Err(error))) => Err(failure::of_network(error, false)),
                Ok(None) => Ok(None),
                Err(_) => Err(failure::silence(silence)),
            }
        });
        match self.other_host {
            Some(host) => Box::pin(pieces.map_err(move |error| error.with_other_host(&host))),
            None => Box::pin(pieces),
        }
    }

    /// Returns the `Content-Encoding`, which is never requested, unless it is empty or `identity`.
    ///
    /// It is not reliable: gzip layers are sent with `x-gzip` (moby#17595), and storage adds labels such as `aws-chunked` or
    /// `UTF-8`, all to bytes that match their digest. Encoded bytes do not match it, and rarely have the right size.
    pub(crate) fn coding(&self) -> Option<&str> {
        let coding = self.headers().get(CONTENT_ENCODING)?;
        let coding = coding.to_str().unwrap_or("of unknown name").trim();
        let is_none = coding.is_empty() || coding.eq_ignore_ascii_case("identity");
        (!is_none).then_some(coding)
    }

    fn text(&self, name: &HeaderName) -> Result<Option<&str>> {
        let Some(value) = self.headers().get(name) else {
            return Ok(None);
        };
        match value.to_str() {
            Ok(value) => Ok(Some(value.trim())),
            Err(_) => Err(failure::protocol(format!(
                "the registry's header {name} is not text"
            ))),
        }
    }

    pub(crate) fn content_length(&self) -> Result<Option<u64>> {
        let Some(text) = self.text(&CONTENT_LENGTH)? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(length) => Ok(Some(length)),
            Err(_) => Err(failure::protocol(
                "the registry's Content-Length is not a number",
            )),
        }
    }

    /// Returns the size of the content if the registry states it. The length of content that may be encoded is not its size.
    pub(crate) fn length(&self) -> Result<Option<u64>> {
        match self.coding() {
            Some(_) => Ok(None),
            None => self.content_length(),
        }
    }

    /// Returns the media type without its parameters.
    pub(crate) fn media_type(&self) -> Result<Option<MediaType>> {
        let Some(text) = self.text(&CONTENT_TYPE)? else {
            return Ok(None);
        };
        let essence = text.split(';').next().unwrap_or_default().trim();
        match essence.parse() {
            Ok(media_type) => Ok(Some(media_type)),
            Err(_) => Err(failure::protocol(format!(
                "the registry's Content-Type {essence:?} is not a media type"
            ))),
        }
    }

    /// Returns the digest that the registry states.
    pub(crate) fn digest(&self) -> Result<Option<Digest>> {
        let Some(text) = self.text(&DOCKER_CONTENT_DIGEST)? else {
            return Ok(None);
        };
        match text.parse() {
            _ if text.is_empty() => Ok(None),
            Ok(digest) => Ok(Some(digest)),
            Err(_) => Err(failure::protocol(format!(
                "the registry's Docker-Content-Digest {text:?} is not a digest"
            ))),
        }
    }

    /// Checks that the digest that the registry states, if any, is `expected`.
    pub(crate) fn check_digest(&self, expected: &Digest) -> Result<()> {
        match self.digest()? {
            Some(other) if other.algorithm() == expected.algorithm() && other != *expected => {
                Err(Error::new(
                    ErrorKind::DigestMismatch,
                    format!("the registry returns {other}"),
                )
                .with_subject(expected))
            }
            _ => Ok(()),
        }
    }

    /// Returns the strong validator of the content, for conditional requests.
    pub(crate) fn strong_etag(&self) -> Option<HeaderValue> {
        let etag = self.headers().get(ETAG)?;
        let is_strong = etag.len() > 2 && etag.as_bytes().starts_with(b"\"");
        is_strong.then(|| etag.clone())
    }

    /// Returns the start and the end of the part in `Content-Range`, and the size of the whole, if it is stated.
    pub(crate) fn content_range(&self) -> Result<(u64, u64, Option<u64>)> {
        let text = self.text(&CONTENT_RANGE)?.unwrap_or_default();
        parse_content_range(text).ok_or_else(|| {
            failure::protocol(format!(
                "the registry's Content-Range {text:?} does not state which part this is"
            ))
        })
    }

    /// Returns `Location`, resolved against the URL of the response.
    pub(crate) fn location(&self) -> Result<Option<Url>> {
        let Some(text) = self.text(&LOCATION)? else {
            return Ok(None);
        };
        match self.url.join(text) {
            _ if text.is_empty() => Ok(None),
            Ok(url) => Ok(Some(url)),
            Err(_) => Err(failure::protocol("the registry's Location is not a URL")),
        }
    }
}

/// Returns the first byte, the byte after the last one, and the size of the whole.
fn parse_content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (unit, rest) = text.split_once(' ')?;
    let (range, total) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    let (first, last) = (number(first)?, number(last)?);
    let total = match total {
        "*" => None,
        total => Some(number(total)?),
    };
    let end = last.checked_add(1)?;
    let fits = first <= last && total.is_none_or(|total| end <= total);
    (unit.eq_ignore_ascii_case("bytes") && fits).then_some((first, end, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a response of which a byte arrives every 50 seconds, without end.
    fn dripping(max_time: Duration) -> Response {
        let drops = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(50)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"{")), ()))
        });
        let body = reqwest::Body::wrap_stream(drops);
        Response {
            method: Method::GET,
            url: "https://registry.example/v2/".parse().expect("a URL"),
            other_host: None,
            inner: http::Response::new(body).into(),
            permit: Permit::none(),
            silence: Duration::from_secs(60),
            max_error_size: 1000,
            max_time,
            may_be_repeated: false,
            is_http_told: false,
            hint: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_drips_without_end_is_cut_off() {
        let most = Duration::from_secs(299);
        let begun = tokio::time::Instant::now();
        let error = dripping(most).bytes(1000).await.expect_err("too slow");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(!error.is_retryable());
        assert_eq!(begun.elapsed().as_secs(), 299);
        // For an error the received bytes are sufficient.
        assert_eq!(dripping(most).prefix(1000).await.len(), 5);
    }

    #[test]
    fn a_content_range_says_which_part_of_how_much() {
        let parse = parse_content_range;
        assert_eq!(parse("bytes 0-4/11"), Some((0, 5, Some(11))));
        assert_eq!(parse("Bytes 5-10/11"), Some((5, 11, Some(11))));
        assert_eq!(parse("bytes 5-10/*"), Some((5, 11, None)));
        for other in [
            "",
            "bytes",
            "bytes */11",
            "bytes 5-4/11",
            "bytes 5-11/11",
            "bytes -5/11",
            "bytes +1-2/3",
            "bytes 0-18446744073709551615/*",
            "items 0-4/11",
            "0-4/11",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
