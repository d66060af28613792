//! Which side of a copy an error came from.

use crate::error::{CopySide, Result};

pub(super) trait OnSide {
    /// Says that the source failed. What the error says already stays.
    fn at_source(self) -> Self;

    /// Says that the destination failed. What the error says already stays.
    fn at_destination(self) -> Self;
}

impl<T> OnSide for Result<T> {
    fn at_source(self) -> Self {
        self.map_err(|error| error.with_copy_side(CopySide::Source))
    }

    fn at_destination(self) -> Self {
        self.map_err(|error| error.with_copy_side(CopySide::Destination))
    }
}
