//! What a registry answered.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LOCATION,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tranship::{ByteStream, Digest, Error, ErrorKind, MediaType, Result};
use url::Url;

use super::failure;
use super::limit::Permit;
use super::retry::retry_after;

pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");

/// The head of an answer, and its body to be read. It holds the permit of its request for as long.
pub(crate) struct Response {
    pub(crate) method: Method,
    /// Where the answer came from in the end.
    pub(crate) url: Url,
    pub(crate) inner: reqwest::Response,
    pub(crate) permit: Permit,
    pub(crate) silence: Duration,
    pub(crate) max_error_size: u64,
    /// How long the body may take where it is read whole.
    pub(crate) max_time: Duration,
    /// Whether an earlier try of the same request may have been carried out.
    pub(crate) may_be_repeated: bool,
    /// Whether an option chose http, which the registry may not expect.
    pub(crate) is_http_told: bool,
    /// What may help if the answer is an error.
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

    /// The answer itself if its status is `expected`, and the error that it stands for otherwise.
    pub(crate) async fn expect(self, expected: StatusCode) -> Result<Self> {
        match self.status() == expected {
            true => Ok(self),
            false => Err(self.into_error().await),
        }
    }

    /// The error that the answer stands for, with what the registry says in its body.
    pub(crate) async fn into_error(self) -> Error {
        let (method, url) = (self.method.clone(), self.url.clone());
        let status = self.status();
        if status.is_success() || status.is_redirection() {
            return failure::protocol(format!(
                "the registry answers {method} with {status}, which means nothing here"
            ));
        }
        let limit = self.max_error_size;
        let asked = self.retry_after();
        let is_told_clear_text = self.is_http_told && self.url.scheme() == "http";
        let hint = self.hint.clone();
        let body = self.prefix(limit).await;
        let error = failure::of_status(&method, &url, status, failure::registry_errors(&body));
        match asked {
            Some(asked) if error.is_retryable() => error.with_hint(format!(
                "the registry asks to wait {} seconds",
                asked.as_secs()
            )),
            // What servers that expect TLS answer to who speaks HTTP, in words of their own.
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

    /// The whole body, a JSON object, which must not be longer than `limit`.
    ///
    /// Some servers label what they did not encode, so a `Content-Encoding` is refused only where the body
    /// shows it.
    pub(crate) async fn bytes(self, limit: u64) -> Result<Bytes> {
        let coding = self.coding().map(str::to_owned);
        let too_long = || {
            Error::new(
                ErrorKind::SizeExceedsLimit,
                format!("the answer is longer than the limit of {limit} bytes"),
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
        // Each piece may come in time, and their number have no end.
        let whole = tokio::time::timeout(most, reading).await;
        let whole = whole.map_err(|_| failure::too_slow(most))??;
        match coding {
            Some(coding) if !whole.trim_ascii_start().starts_with(b"{") => {
                Err(failure::protocol(failure::encoded(&coding)))
            }
            _ => Ok(whole.freeze()),
        }
    }

    /// As much of the body as comes, up to `limit`.
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
        // What has come by then is enough.
        let _ = tokio::time::timeout(most, reading).await;
        prefix.freeze()
    }

    /// The body as it comes. It fails when nothing comes for too long.
    pub(crate) fn into_stream(self) -> ByteStream {
        let silence = self.silence;
        let state = (Box::pin(self.inner.bytes_stream()), self.permit);
        Box::pin(stream::try_unfold(
            state,
            move |(mut body, permit)| async move {
                match tokio::time::timeout(silence, body.next()).await {
                    Ok(Some(Ok(piece))) => Ok(Some((piece, (body, permit)))),
                    Ok(Some(Err(error))) => Err(failure::of_network(error, false)),
                    Ok(None) => Ok(None),
                    Err(_) => Err(failure::silence(silence)),
                }
            },
        ))
    }

    /// The `Content-Encoding`, which is never asked for, unless it is empty or `identity`.
    ///
    /// It says little: gzip layers come with `x-gzip` (moby#17595), and storage adds labels such as
    /// `aws-chunked` or `UTF-8`, all to bytes that have their digest. Encoded bytes do not have it, and rarely
    /// the size.
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
                "the registry's header {name} is no text"
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
                "the registry's Content-Length is no number",
            )),
        }
    }

    /// How many bytes the content has, as far as the registry says so. Of what may be encoded it does not.
    pub(crate) fn length(&self) -> Result<Option<u64>> {
        match self.coding() {
            Some(_) => Ok(None),
            None => self.content_length(),
        }
    }

    /// The media type without its parameters.
    pub(crate) fn media_type(&self) -> Result<Option<MediaType>> {
        let Some(text) = self.text(&CONTENT_TYPE)? else {
            return Ok(None);
        };
        let essence = text.split(';').next().unwrap_or_default().trim();
        match essence.parse() {
            Ok(media_type) => Ok(Some(media_type)),
            Err(_) => Err(failure::protocol(format!(
                "the registry's Content-Type {essence:?} is no media type"
            ))),
        }
    }

    /// What the registry says that the digest is.
    pub(crate) fn digest(&self) -> Result<Option<Digest>> {
        let Some(text) = self.text(&DOCKER_CONTENT_DIGEST)? else {
            return Ok(None);
        };
        match text.parse() {
            _ if text.is_empty() => Ok(None),
            Ok(digest) => Ok(Some(digest)),
            Err(_) => Err(failure::protocol(format!(
                "the registry's Docker-Content-Digest {text:?} is no digest"
            ))),
        }
    }

    /// That the registry, if it says a digest, says `expected`.
    pub(crate) fn check_digest(&self, expected: &Digest) -> Result<()> {
        match self.digest()? {
            Some(other) if other.algorithm() == expected.algorithm() && other != *expected => {
                Err(Error::new(
                    ErrorKind::DigestMismatch,
                    format!("the registry answers with {other}"),
                )
                .with_subject(expected))
            }
            _ => Ok(()),
        }
    }

    /// The strong validator of the content, for conditions.
    pub(crate) fn strong_etag(&self) -> Option<HeaderValue> {
        let etag = self.headers().get(ETAG)?;
        let is_strong = etag.len() > 2 && etag.as_bytes().starts_with(b"\"");
        is_strong.then(|| etag.clone())
    }

    /// Where `Content-Range` says that a part begins, where it ends, and how much there is in all.
    pub(crate) fn content_range(&self) -> Result<(u64, u64, Option<u64>)> {
        let text = self.text(&CONTENT_RANGE)?.unwrap_or_default();
        parse_content_range(text).ok_or_else(|| {
            failure::protocol(format!(
                "the registry's Content-Range {text:?} does not say which part this is"
            ))
        })
    }

    /// `Location`, taken relative to where the answer came from.
    pub(crate) fn location(&self) -> Result<Option<Url>> {
        let Some(text) = self.text(&LOCATION)? else {
            return Ok(None);
        };
        match self.url.join(text) {
            _ if text.is_empty() => Ok(None),
            Ok(url) => Ok(Some(url)),
            Err(_) => Err(failure::protocol("the registry's Location is no URL")),
        }
    }
}

/// The first byte, the byte after the last one, and the size of the whole.
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

    /// An answer of which a byte comes every 50 seconds, without end.
    fn dripping(max_time: Duration) -> Response {
        let drops = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(50)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"{")), ()))
        });
        let body = reqwest::Body::wrap_stream(drops);
        Response {
            method: Method::GET,
            url: "https://registry.example/v2/".parse().expect("a URL"),
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
        // Of an error what has come is enough.
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
