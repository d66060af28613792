//! Text from outside in messages.

use std::fmt;

/// Text from outside, made safe to stand in an error: no control characters, not endless.
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LIMIT: usize = 300;
        f.write_str("\"")?;
        for (count, character) in self.0.chars().enumerate() {
            if count == LIMIT {
                f.write_str("…")?;
                break;
            }
            if character.is_control() {
                write!(f, "{}", character.escape_debug())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        f.write_str("\"")
    }
}
