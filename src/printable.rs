//! Text from outside in messages.

use std::fmt;

/// Text from outside, for an error or another message: in quotes, with control characters escaped, and cut after 300
/// characters.
///
/// ```
/// use tranship::Printable;
///
/// assert_eq!(Printable("a\nb").to_string(), r#""a\nb""#);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

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
