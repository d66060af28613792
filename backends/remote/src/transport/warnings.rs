//! Warnings that a registry sends (distribution-spec, "Warnings"), each distinct text once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use http::header::WARNING;

use crate::options::WarningHandler;

/// More than that many distinct texts are noise, and are dropped.
const MOST: usize = 256;

pub(crate) struct Warnings {
    handler: Option<Arc<WarningHandler>>,
    told: Mutex<HashSet<String>>,
}

impl Warnings {
    pub(crate) fn new(handler: Option<Arc<WarningHandler>>) -> Self {
        Self {
            handler,
            told: Mutex::default(),
        }
    }

    /// Hands on those of `headers` that are new.
    pub(crate) fn take_from(&self, headers: &HeaderMap) {
        for value in headers.get_all(WARNING) {
            let Some(text) = value.to_str().ok().and_then(text_of) else {
                continue;
            };
            let is_new = {
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                told.len() < MOST && told.insert(text.clone())
            };
            if is_new {
                tracing::warn!(text = %text, "the registry warns");
                if let Some(handler) = &self.handler {
                    handler(&text);
                }
            }
        }
    }
}

/// The text of `299 - "text"`, the one form that the spec has.
fn text_of(value: &str) -> Option<String> {
    let quoted = value.strip_prefix("299 - \"")?.strip_suffix('"')?;
    let mut text = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => text.push(characters.next()?),
            // Whoever prints it must not be led by it.
            character if character.is_control() => text.push(' '),
            character => text.push(character),
        }
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_of_the_spec_is_a_warning() {
        assert_eq!(
            text_of(r#"299 - "This is a warning.""#).as_deref(),
            Some("This is a warning.")
        );
        assert_eq!(text_of(r#"299 - " ""#).as_deref(), Some(" "));
        assert_eq!(
            text_of(r#"299 - "a \"b\" \\ c""#).as_deref(),
            Some(r#"a "b" \ c"#)
        );
        for other in [
            r#"299  - "text""#,
            r#" 299 - "text""#,
            r#"299 - "text" "#,
            r#"199 - "text""#,
            r#"299 agent "text""#,
            r#"299 - "text" "Sat, 25 Aug 2012 23:34:45 GMT""#,
            r#"299 - "text" more"#,
            r#"- "text""#,
            r#"299 "text""#,
            r#"299 - """#,
            "299 -",
            "299 - text",
            "299 - 'text'",
            "299 - `text`",
            r#"299 - "text'"#,
            "",
        ] {
            assert_eq!(text_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_text_is_told_once() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&told);
        let warnings = Warnings::new(Some(Arc::new(move |text: &str| {
            kept.lock().expect("no panic").push(text.to_owned());
        })));
        let mut headers = HeaderMap::new();
        headers.append(WARNING, r#"299 - "one""#.parse().expect("a value"));
        headers.append(WARNING, r#"299 - "two""#.parse().expect("a value"));
        warnings.take_from(&headers);
        warnings.take_from(&headers);
        assert_eq!(*told.lock().expect("no panic"), ["one", "two"]);
    }
}
