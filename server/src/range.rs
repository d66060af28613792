//! The `Range` header of requests for blobs (RFC 9110, section 14).

use std::ops::Range;

use http::HeaderMap;
use http::header::RANGE;

/// The bytes that a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RequestedRange {
    /// All bytes. A header that is malformed, has another unit or more than one range is ignored, as the RFC allows.
    Whole,
    /// These bytes, at least one.
    Part(Range<u64>),
    /// Bytes beyond the end.
    Unsatisfiable,
}

/// Returns which bytes of content of `size` bytes a request with `headers` asks for.
pub(crate) fn requested_range(headers: &HeaderMap, size: u64) -> RequestedRange {
    let mut values = headers.get_all(RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return RequestedRange::Whole;
    };
    value
        .to_str()
        .ok()
        .and_then(|text| parse(text, size))
        .unwrap_or(RequestedRange::Whole)
}

fn parse(text: &str, size: u64) -> Option<RequestedRange> {
    let (unit, range) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let (start, end) = if first.is_empty() {
        let length = number(last)?;
        if length > 0 && size == 0 {
            // Satisfiable, but no Content-Range can say so.
            return Some(RequestedRange::Whole);
        }
        (
            if length == 0 {
                size
            } else {
                size.saturating_sub(length)
            },
            size,
        )
    } else if last.is_empty() {
        (number(first)?, size)
    } else {
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            // May be ignored or refused. A client that sends this does not expect the whole content.
            return Some(RequestedRange::Unsatisfiable);
        }
        (first, last.saturating_add(1).min(size))
    };
    if start >= size {
        return Some(RequestedRange::Unsatisfiable);
    }
    Some(RequestedRange::Part(start..end))
}

/// Parses a number of bytes; one that is too large becomes the largest.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(value: &str, size: u64) -> RequestedRange {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, value.parse().expect("a header"));
        requested_range(&headers, size)
    }

    #[test]
    fn every_form_of_a_single_range_is_read() {
        assert_eq!(of("bytes=0-0", 10), RequestedRange::Part(0..1));
        assert_eq!(of("bytes=2-4", 10), RequestedRange::Part(2..5));
        assert_eq!(of("bytes=2-", 10), RequestedRange::Part(2..10));
        assert_eq!(of("bytes=-3", 10), RequestedRange::Part(7..10));
        assert_eq!(of("Bytes= 2-4 ", 10), RequestedRange::Part(2..5));
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_never_beyond_the_end(
            text in "bytes=[0-9,-]{0,24}",
            size in 0..=u64::MAX,
        ) {
            if let RequestedRange::Part(part) = of(&text, size) {
                prop_assert!(part.start < part.end && part.end <= size, "{part:?}");
            }
        }
    }

    #[test]
    fn a_last_byte_beyond_the_end_is_the_last_one() {
        assert_eq!(of("bytes=2-99", 10), RequestedRange::Part(2..10));
        assert_eq!(of("bytes=-99", 10), RequestedRange::Part(0..10));
        assert_eq!(
            of("bytes=2-99999999999999999999999", 10),
            RequestedRange::Part(2..10)
        );
    }

    #[test]
    fn a_range_without_bytes_is_not_satisfiable() {
        for value in [
            "bytes=10-",
            "bytes=10-20",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            assert_eq!(of(value, 10), RequestedRange::Unsatisfiable, "{value}");
        }
        assert_eq!(of("bytes=0-", 0), RequestedRange::Unsatisfiable);
        assert_eq!(of("bytes=4-2", 10), RequestedRange::Unsatisfiable);
    }

    #[test]
    fn other_ranges_are_ignored() {
        for value in [
            "bytes=0-1,3-4",
            "bytes=-",
            "bytes=",
            "bytes",
            "lines=0-1",
            "bytes=a-b",
            "bytes=0-1-2",
            "bytes=+1-2",
        ] {
            assert_eq!(of(value, 10), RequestedRange::Whole, "{value}");
        }
        assert_eq!(of("bytes=-1", 0), RequestedRange::Whole);
        let mut twice = HeaderMap::new();
        twice.append(RANGE, "bytes=0-1".parse().expect("a header"));
        twice.append(RANGE, "bytes=3-4".parse().expect("a header"));
        assert_eq!(requested_range(&twice, 10), RequestedRange::Whole);
    }
}
