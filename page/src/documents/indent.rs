//! Adds line breaks and indentation to JSON. The order of fields, numbers and escapes do not change.

use serde::de::IgnoredAny;

/// How many levels are indented. Deeper ones are not, so that nested brackets do not become very much text.
const MAX_LEVELS: usize = 32;

/// Returns `json` with line breaks and indentation; `None` if it is not JSON.
pub(super) fn indented(json: &str) -> Option<String> {
    serde_json::from_str::<IgnoredAny>(json).ok()?;
    let mut output = String::with_capacity(json.len().saturating_mul(2));
    let mut level: usize = 0;
    let mut in_string = false;
    let mut escaped = false;
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        if in_string {
            output.push(character);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            '"' => {
                in_string = true;
                output.push(character);
            }
            '{' | '[' => {
                output.push(character);
                while characters.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    output.push(end);
                } else {
                    level += 1;
                    line(&mut output, level);
                }
            }
            '}' | ']' => {
                level = level.saturating_sub(1);
                line(&mut output, level);
                output.push(character);
            }
            ',' => {
                output.push(character);
                line(&mut output, level);
            }
            ':' => output.push_str(": "),
            space if space.is_ascii_whitespace() => {}
            other => output.push(other),
        }
    }
    Some(output)
}

fn line(output: &mut String, level: usize) {
    output.push('\n');
    for _ in 0..level.min(MAX_LEVELS) {
        output.push_str("  ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_and_otherwise_the_same() {
        let json = r#"{"b":[1.50, {}],"a\"[":"x, y:\\","c":{ "d" : [ ] , "e":null}}"#;
        let expected = r#"{
  "b": [
    1.50,
    {}
  ],
  "a\"[": "x, y:\\",
  "c": {
    "d": [],
    "e": null
  }
}"#;
        assert_eq!(indented(json).expect("json"), expected);
    }

    #[test]
    fn other_text_is_not_indented() {
        for text in ["", "{", "a: b", "{} {}", "[1,]"] {
            assert_eq!(indented(text), None, "{text}");
        }
    }
}
