//! One attempt to deliver an event.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use tranship::{Error, ErrorKind, Result};

use crate::endpoint::Endpoint;
use crate::queue::Item;

/// How much of a response is read, so that its connection can be used again.
const MAX_RESPONSE: usize = 64 * 1024;

/// What has become of an attempt.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The receiver has accepted the event.
    Delivered,
    /// The receiver says that it will never accept the event.
    Rejected(String),
    /// The receiver may accept the event later.
    Failed {
        reason: String,
        retry_after: Option<Duration>,
    },
}

/// Returns the client that sends events. It does not follow redirects: a receiver could make this server send requests
/// to any host in its network.
///
/// # Errors
/// - `Unsupported` if the process does not have a TLS provider.
/// - `InvalidInput` if the environment has an unusable proxy.
pub(crate) fn client() -> Result<reqwest::Client> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(
            Error::unsupported("this program does not have a TLS provider for webhooks")
                .with_hint("call rustls::crypto::CryptoProvider::install_default first"),
        );
    }
    reqwest::Client::builder()
        .user_agent(concat!("tranship/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .build()
        .map_err(|error| {
            let message = "webhooks cannot be sent";
            Error::new(ErrorKind::InvalidInput, message).with_source(error.without_url())
        })
}

/// Sends `item` to `endpoint`.
pub(crate) async fn send(client: &reqwest::Client, endpoint: &Endpoint, item: &Item) -> Outcome {
    let headers = match headers(endpoint, item) {
        Ok(headers) => headers,
        Err(error) => return Outcome::Rejected(error.to_string()),
    };
    let request = client
        .post(endpoint.url().clone())
        .headers(headers)
        .timeout(endpoint.timeout)
        .body(item.body.clone());
    match request.send().await {
        Ok(response) => {
            let outcome = classify(response.status(), response.headers());
            drain(response).await;
            outcome
        }
        Err(error) => Outcome::Failed {
            reason: describe(error),
            retry_after: None,
        },
    }
}

/// Returns the headers of a request: those of the endpoint, and those of Standard Webhooks.
fn headers(endpoint: &Endpoint, item: &Item) -> Result<HeaderMap> {
    let invalid = || {
        Error::new(
            ErrorKind::InvalidInput,
            "the event cannot be sent in a header",
        )
    };
    let mut headers = endpoint.headers().clone();
    let media_type = HeaderValue::from_static(item.format.media_type());
    headers.insert(CONTENT_TYPE, media_type);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let timestamp = now.unwrap_or_default().as_secs();
    let id = HeaderValue::from_str(&item.id).map_err(|_| invalid())?;
    headers.insert("webhook-id", id);
    headers.insert("webhook-timestamp", timestamp.into());
    if let Some(secret) = &endpoint.secret {
        let signature = secret.sign(&item.id, timestamp, &item.body)?;
        let signature = HeaderValue::from_str(&signature).map_err(|_| invalid())?;
        headers.insert("webhook-signature", signature);
    }
    Ok(headers)
}

/// Returns what a response means. Statuses that say that something is wrong with the event, and not with the receiver
/// or the credentials, are final.
fn classify(status: StatusCode, headers: &HeaderMap) -> Outcome {
    if status.is_success() {
        return Outcome::Delivered;
    }
    let reason = format!("the receiver responded with status {}", status.as_u16());
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => Outcome::Rejected(reason),
        _ => Outcome::Failed {
            reason,
            retry_after: retry_after(headers),
        },
    }
}

/// Returns the seconds in `Retry-After`. A date is ignored: the delay of the retry options is as good.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

async fn drain(mut response: reqwest::Response) {
    let mut left = MAX_RESPONSE;
    while let Ok(Some(chunk)) = response.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => break,
        }
    }
}

/// Returns the error with its causes, and without the URL, which may be secret.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_statuses_about_the_event_are_final() {
        for (status, expected) in [
            (200, "delivered"),
            (202, "delivered"),
            (302, "failed"),
            (400, "rejected"),
            (401, "failed"),
            (404, "failed"),
            (413, "rejected"),
            (429, "failed"),
            (503, "failed"),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let outcome = match classify(status, &HeaderMap::new()) {
                Outcome::Delivered => "delivered",
                Outcome::Rejected(_) => "rejected",
                Outcome::Failed { .. } => "failed",
            };
            assert_eq!(outcome, expected, "{status}");
        }
    }

    #[test]
    fn a_delay_in_seconds_is_read() {
        let mut headers = HeaderMap::new();
        for (text, expected) in [("30", Some(30)), ("soon", None), ("-1", None)] {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs));
        }
    }
}
