//! Warnings of a registry (distribution-spec, "Warnings"), each distinct one once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use http::header::WARNING;
use tranship::{RegistryName, RepositoryName};

use crate::options::WarningHandler;
use crate::warning::Warning;

/// The most distinct warnings that are passed on. Others are dropped.
const MOST: usize = 256;

pub(crate) struct Warnings {
    registry: RegistryName,
    handler: Option<Arc<WarningHandler>>,
    seen: Mutex<HashSet<Warning>>,
}

impl Warnings {
    pub(crate) fn new(registry: RegistryName, handler: Option<Arc<WarningHandler>>) -> Self {
        Self {
            registry,
            handler,
            seen: Mutex::default(),
        }
    }

    /// Passes the new warnings in `headers` to the handler. `repository` returns the one that the request was about.
    pub(crate) fn take_from(
        &self,
        headers: &HeaderMap,
        repository: impl Fn() -> Option<RepositoryName>,
    ) {
        for value in headers.get_all(WARNING) {
            let Some(text) = value.to_str().ok().and_then(text_of) else {
                continue;
            };
            let warning = Warning {
                registry: self.registry.clone(),
                repository: repository(),
                text,
            };
            let is_new = {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.len() < MOST && seen.insert(warning.clone())
            };
            if is_new {
                tracing::warn!(%warning, "the registry warns");
                if let Some(handler) = &self.handler {
                    handler(&warning);
                }
            }
        }
    }
}

/// Returns the text of `299 - "text"`, the only form in the spec.
fn text_of(value: &str) -> Option<String> {
    let quoted = value.strip_prefix("299 - \"")?.strip_suffix('"')?;
    let mut text = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => text.push(characters.next()?),
            // A control character could change the terminal that it is printed to.
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
    fn a_text_is_seen_once_for_each_repository() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let registry = "registry.example".parse().expect("a name");
        let handler = move |warning: &Warning| {
            kept.lock().expect("no panic").push(warning.to_string());
        };
        let warnings = Warnings::new(registry, Some(Arc::new(handler)));
        let mut headers = HeaderMap::new();
        headers.append(WARNING, r#"299 - "one""#.parse().expect("a value"));
        headers.append(WARNING, r#"299 - "two""#.parse().expect("a value"));
        for name in [None, None, Some("app"), Some("app")] {
            let repository = || Some(name?.parse().expect("a name"));
            warnings.take_from(&headers, repository);
        }
        let expected = [
            "registry.example: one",
            "registry.example: two",
            "registry.example/app: one",
            "registry.example/app: two",
        ];
        assert_eq!(*seen.lock().expect("no panic"), expected);
    }
}
