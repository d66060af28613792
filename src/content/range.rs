//! Ranges of bytes in content.

use std::ops::{Range, RangeFrom, RangeInclusive};

use crate::error::{Error, ErrorKind, Result};

/// A part of some content, in bytes: from a start to an end, or to the end of the content.
///
/// ```
/// use tranship::ByteRange;
///
/// assert_eq!(ByteRange::from(2..).resolve(10)?, 2..10);
/// assert_eq!(ByteRange::from(2..99).resolve(10)?, 2..10);
/// assert!(ByteRange::from(11..).resolve(10).is_err());
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteRange {
    start: u64,
    end: Option<u64>,
}

impl ByteRange {
    /// The first byte, counted from zero.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The byte after the last one; `None` for the end of the content.
    #[must_use]
    pub const fn end(&self) -> Option<u64> {
        self.end
    }

    /// The range within content of `size` bytes. An end beyond the content stands for its end; a
    /// range that begins where the content ends is empty.
    ///
    /// # Errors
    /// [`ErrorKind::RangeInvalid`] if the range begins beyond the content, or ends before it begins.
    pub fn resolve(&self, size: u64) -> Result<Range<u64>> {
        let end = self.end.map_or(size, |end| end.min(size));
        if self.start > size || self.end.is_some_and(|end| end < self.start) {
            let end = self.end.map(|end| end.to_string()).unwrap_or_default();
            return Err(Error::new(
                ErrorKind::RangeInvalid,
                format!(
                    "the range {}..{end} does not fit {size} bytes of content",
                    self.start
                ),
            ));
        }
        Ok(self.start..end)
    }
}

impl From<Range<u64>> for ByteRange {
    fn from(range: Range<u64>) -> Self {
        Self {
            start: range.start,
            end: Some(range.end),
        }
    }
}

impl From<RangeInclusive<u64>> for ByteRange {
    fn from(range: RangeInclusive<u64>) -> Self {
        Self {
            start: *range.start(),
            end: Some(range.end().saturating_add(1)),
        }
    }
}

impl From<RangeFrom<u64>> for ByteRange {
    fn from(range: RangeFrom<u64>) -> Self {
        Self {
            start: range.start,
            end: None,
        }
    }
}
