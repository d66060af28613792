//! Reads the headers with which a registry states its limit on pulls, such as `ratelimit-remaining: 20;w=21600`.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use crate::rate_limit::RateLimitStatus;

const LIMIT: &str = "ratelimit-limit";
const REMAINING: &str = "ratelimit-remaining";
const SOURCE: &str = "docker-ratelimit-source";

/// The most characters of a source that are kept.
const LONGEST_SOURCE: usize = 256;

/// Returns the limit that `headers`, which arrived `now`, state, and `None` if they do not say how many are left.
pub(super) fn status_of(headers: &HeaderMap, now: SystemTime) -> Option<RateLimitStatus> {
    let (remaining, window) = amount(headers, REMAINING)?;
    let limit = amount(headers, LIMIT);
    Some(RateLimitStatus {
        limit: limit.map(|(limit, _)| limit),
        remaining,
        window: limit.and_then(|(_, window)| window).or(window),
        source: source(headers),
        seen_at: now,
    })
}

/// Returns whether `headers` state a limit.
pub(super) fn is_stated(headers: &HeaderMap) -> bool {
    amount(headers, REMAINING).is_some()
}

/// Returns the number and the window of the first item of a header. Items are separated by commas, and parameters by
/// semicolons; other parameters are ignored.
fn amount(headers: &HeaderMap, name: &str) -> Option<(u64, Option<Duration>)> {
    let value = headers.get(name)?.to_str().ok()?;
    let mut parts = value.split(',').next()?.split(';').map(str::trim);
    let number = number(parts.next()?)?;
    let window = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        (name.trim() == "w").then(|| self::number(value.trim()))?
    });
    Some((number, window.map(Duration::from_secs)))
}

/// Returns a number of digits alone, which `u64::from_str` would also take with a sign.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

fn source(headers: &HeaderMap) -> Option<String> {
    // `to_str` admits visible ASCII and tabs.
    let source = headers.get(SOURCE)?.to_str().ok()?.trim();
    let printable = source.chars().filter(|one| !one.is_control());
    let source: String = printable.take(LONGEST_SOURCE).collect();
    (!source.is_empty()).then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Option<RateLimitStatus> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().expect("a value"));
        }
        status_of(&headers, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn the_headers_of_docker_hub_are_read() {
        let status = read(&[
            (LIMIT, "100;w=21600"),
            (REMAINING, "20;w=21600"),
            (SOURCE, "203.0.113.9"),
        ]);
        let status = status.expect("a limit");
        assert_eq!((status.limit, status.remaining), (Some(100), 20));
        assert_eq!(status.window, Some(Duration::from_secs(21600)));
        assert_eq!(status.source.as_deref(), Some("203.0.113.9"));
    }

    #[test]
    fn variants_are_read_and_garbage_is_ignored() {
        for (value, expected) in [
            ("20", Some((20, None))),
            (" 20 ; w = 60 ", Some((20, Some(60)))),
            ("20;x=1;w=60", Some((20, Some(60)))),
            ("20;w=60, 500;w=3600", Some((20, Some(60)))),
            ("20, 500;w=3600", Some((20, None))),
            ("20;w=soon", Some((20, None))),
            ("20;w=", Some((20, None))),
            ("20;;", Some((20, None))),
            ("99999999999999999999", Some((u64::MAX, None))),
            ("", None),
            (";w=60", None),
            (",20", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("many;w=60", None),
        ] {
            let status = read(&[(REMAINING, value)]);
            let read = status.map(|status| (status.remaining, status.window));
            let expected =
                expected.map(|(number, window)| (number, window.map(Duration::from_secs)));
            assert_eq!(read, expected, "{value:?}");
        }
        assert_eq!(read(&[(LIMIT, "100;w=21600")]), None);
        let status = read(&[(LIMIT, "garbage"), (REMAINING, "7")]);
        assert_eq!(status.expect("a rest").limit, None);
    }

    #[test]
    fn a_source_is_cut_and_an_empty_one_is_none() {
        let long = "x".repeat(10_000);
        let status = read(&[(REMAINING, "7"), (SOURCE, &long)]).expect("a rest");
        assert_eq!(status.source.expect("a source").len(), LONGEST_SOURCE);
        let status = read(&[(REMAINING, "7"), (SOURCE, " ")]).expect("a rest");
        assert_eq!(status.source, None);
    }
}
