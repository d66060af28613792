//! The `Content-Range` header of chunks, whose syntax in the distribution spec is not that of HTTP.

use http::header::CONTENT_RANGE;
use http::request::Parts;

use crate::response_error::{ErrorCode, ResponseError};

/// The offsets of the first and the last byte of a chunk in its blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentRange {
    pub(crate) first: u64,
    last: u64,
}

impl ContentRange {
    /// Parses the header of a request, if it has one.
    pub(crate) fn of(request: &Parts) -> Result<Option<Self>, ResponseError> {
        let mut values = request.headers.get_all(CONTENT_RANGE).iter();
        let Some(header) = values.next() else {
            return Ok(None);
        };
        header
            .to_str()
            .ok()
            .filter(|_| values.next().is_none())
            .and_then(Self::parse)
            .map(Some)
            .ok_or_else(|| {
                ResponseError::bad_request(
                    ErrorCode::BlobUploadInvalid,
                    "the Content-Range does not have the form first-last",
                )
            })
    }

    /// The syntax of HTTP, `bytes first-last/size`, is accepted too.
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("bytes ").unwrap_or(text);
        let text = text.split_once('/').map_or(text, |(range, _)| range);
        let (first, last) = text.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        // With the largest number the length would overflow.
        (first <= last && last < u64::MAX).then_some(Self { first, last })
    }

    pub(crate) fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

fn number(digits: &str) -> Option<u64> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_range_has_at_least_one_byte(text in "(bytes )?[0-9]{0,21}-?[0-9]{0,21}(/[0-9*]{0,3})?") {
            if let Some(range) = ContentRange::parse(&text) {
                prop_assert!(range.length() > 0);
            }
        }
    }

    #[test]
    fn both_ends_are_included() {
        for text in ["3-5", "bytes 3-5/9", "bytes 3-5/*"] {
            let range = ContentRange::parse(text).expect(text);
            assert_eq!((range.first, range.length()), (3, 3), "{text}");
        }
    }

    #[test]
    fn an_invalid_range_is_refused() {
        for text in [
            "",
            "-",
            "5-3",
            "3",
            "-5",
            "3-",
            "a-b",
            "+3-5",
            "3-5-7",
            "0-18446744073709551615",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text}");
        }
    }
}
