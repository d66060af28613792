//! Text from outside in messages, on terminals and on pages.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

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

/// Returns `text` on one line, with every character escaped that could change what a reader sees around it: control
/// characters, and those that change the direction of text.
///
/// ```
/// use tranship::escape_controls;
///
/// assert_eq!(escape_controls("a\nb"), r"a\nb");
/// assert_eq!(escape_controls("größer ✓"), "größer ✓");
/// ```
#[must_use]
pub fn escape_controls(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unprintable(character) {
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Returns whether a character is a control character, or one of those that change the direction of the surrounding text.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_shown_and_not_obeyed() {
        assert_eq!(escape_controls("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(escape_controls("x\u{202e}y"), "x\\u{202e}y");
        assert!(matches!(escape_controls("größer ✓"), Cow::Borrowed(_)));
    }
}
