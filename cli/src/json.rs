//! JSON for people: indented, and otherwise left as it is, so that fields keep their order and
//! numbers their digits.

use serde::Serialize;
use serde::de::IgnoredAny;
use tranship::{Error, ErrorKind, Result};

/// A value as indented JSON, with a line feed at its end.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if the value cannot be written as JSON.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<String> {
    compact(value).map(|compact| indent_valid(&compact))
}

/// A value as JSON on one line, with a line feed at its end.
///
/// # Errors
/// As [`encode`].
pub(crate) fn encode_line<T: Serialize>(value: &T) -> Result<String> {
    compact(value).map(|compact| compact + "\n")
}

fn compact<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "cannot be written as JSON").with_source(error)
    })
}

/// The same JSON, indented, with a line feed at its end.
///
/// # Errors
/// [`ErrorKind::InvalidManifest`] if it is not JSON.
pub(crate) fn indent(json: &[u8]) -> Result<String> {
    let not_json = || {
        Error::new(
            ErrorKind::InvalidManifest,
            "the manifest is not JSON in UTF-8",
        )
    };
    serde_json::from_slice::<IgnoredAny>(json).map_err(|error| not_json().with_source(error))?;
    let text = str::from_utf8(json).map_err(|error| not_json().with_source(error))?;
    Ok(indent_valid(text))
}

fn indent_valid(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut rest = json.chars().peekable();
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(character) = rest.next() {
        match character {
            '"' => {
                out.push('"');
                while let Some(inner) = rest.next() {
                    out.push(inner);
                    match inner {
                        '\\' => out.extend(rest.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '{' | '[' => {
                out.push(character);
                while rest.next_if(char::is_ascii_whitespace).is_some() {}
                match rest.next_if(|next| matches!(next, '}' | ']')) {
                    Some(close) => out.push(close),
                    None => {
                        depth += 1;
                        new_line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(',');
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            other if other.is_ascii_whitespace() => {}
            other => out.push(other),
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_as_serde_would_write_it() {
        for json in [
            r#"{"a":[1,2,{"b":null}],"c":{},"d":[],"e":"x,{}[]:\"\\ y"}"#,
            "[ ]",
            "{ \"a\" :\n\t[ true , 1e5 ] }",
            "\"\"",
            "17",
        ] {
            let value: serde_json::Value = serde_json::from_str(json).expect("valid");
            let expected = serde_json::to_string_pretty(&value)
                .expect("json")
                .replace("100000.0", "1e5");
            assert_eq!(indent(json.as_bytes()).expect("valid"), expected + "\n");
        }
    }

    #[test]
    fn fields_keep_their_order_and_numbers_their_digits() {
        let json = r#"{"z":1.00,"a":12345678901234567890123}"#;
        assert_eq!(
            indent(json.as_bytes()).expect("valid"),
            "{\n  \"z\": 1.00,\n  \"a\": 12345678901234567890123\n}\n"
        );
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        for bad in [&b"{"[..], b"", b"{} x", b"\"\xff\""] {
            let error = indent(bad).expect_err("not JSON");
            assert_eq!(error.kind(), ErrorKind::InvalidManifest);
        }
    }
}
