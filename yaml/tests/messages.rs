//! The messages of files that do not fit.

use std::collections::BTreeMap;

use serde::Deserialize;
use tranship_yaml::{RepeatedKeys, decode};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "only errors are looked at")]
struct Settings {
    #[serde(default)]
    audit_log: Option<String>,
    #[serde(default)]
    max_uploads: Option<u32>,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    repositories: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only errors are looked at")]
struct Entry {
    name: String,
    #[serde(default)]
    action: Option<Action>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Push,
    Delete,
}

fn message(content: &str) -> String {
    let error = decode::<Settings>("f.yaml", content, RepeatedKeys::Refuse);
    error.expect_err(content).to_string()
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest_one() {
    for (content, expected) in [
        (
            "max-uplaods: 1",
            "f.yaml:1:1: unknown key `max-uplaods`; did you mean `max-uploads`?",
        ),
        (
            "auditLog: x",
            "f.yaml:1:1: unknown key `auditLog`; did you mean `audit-log`?",
        ),
        (
            "repositories:\n- {name: a, acton: push}",
            "f.yaml:2:13: unknown key `repositories[0].acton`; did you mean `action`?",
        ),
        (
            "repositories:\n- {name: a, colour: red}",
            "f.yaml:2:13: unknown key `repositories[0].colour`, expected one of name, action",
        ),
    ] {
        assert_eq!(message(content), expected);
    }
}

#[test]
fn a_value_that_does_not_fit_is_named_by_its_key() {
    for (content, expected) in [
        (
            "max-uploads: many",
            "f.yaml:1:14: max-uploads: expected a whole number that is not negative",
        ),
        (
            "audit-log: a\nread-only: maybe",
            "f.yaml:2:12: read-only: expected true or false",
        ),
        (
            "repositories:\n- name: a\n- {name: b, action: [push]}",
            "f.yaml:3:21: repositories[1].action: expected text",
        ),
        (
            "repositories:\n- {name: b, action: pusch}",
            "f.yaml:2:21: repositories[0].action: unknown value `pusch`; did you mean `push`?",
        ),
        (
            "repositories:\n- {action: push}",
            "f.yaml:2:4: repositories[0]: the key `name` is missing",
        ),
        ("audit-log: [a]", "f.yaml:1:12: audit-log: expected text"),
        ("headers: a", "f.yaml:1:10: headers: expected a mapping"),
        ("- a", "f.yaml:1:1: expected a mapping"),
    ] {
        let message = message(content);
        assert!(message.starts_with(expected), "{content} gives {message}");
    }
}

#[test]
fn an_error_of_the_syntax_does_not_name_a_key() {
    let message = message("repositories: [{name: a\n");
    assert!(!message.contains("repositories"), "{message}");
}

#[test]
fn a_message_does_not_repeat_text_of_the_file() {
    let message = message("headers: Bearer hunter2");
    assert!(message.starts_with("f.yaml:1:10: headers: "), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}
