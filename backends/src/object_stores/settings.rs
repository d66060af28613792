//! Settings of object stores: names and values, as `object_store` names them.

use std::fmt::Display;
use std::str::FromStr;

use tranship::{Error, ErrorKind, Result};

/// Names and values. A value may be a secret.
pub(super) type Settings = [(String, String)];

/// How many names like an unknown one are told.
const NEAR: usize = 3;

/// What all stores can be told about how they are reached.
const COMMON: [&str; 9] = [
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "http1_only",
    "pool_idle_timeout",
    "proxy_url",
    "read_timeout",
    "timeout",
    "user_agent",
];

/// Sets what is asked for, name by name.
pub(super) fn set<B, K: FromStr>(
    builder: B,
    settings: &Settings,
    store: &str,
    known: &[&str],
    with: impl Fn(B, K, &str) -> B,
) -> Result<B> {
    settings.iter().try_fold(builder, |builder, (name, value)| {
        Ok(with(builder, parse(name, store, known)?, value))
    })
}

/// Reads the name of a setting; `known` are those that people ask for most.
///
/// # Errors
/// `InvalidInput` with the names that are most like it. The value is not repeated: it may be a secret.
fn parse<K: FromStr>(name: &str, store: &str, known: &[&str]) -> Result<K> {
    let lower = name.to_ascii_lowercase();
    lower.parse().map_err(|_| {
        let mut near: Vec<_> = known
            .iter()
            .chain(&COMMON)
            .map(|candidate| (distance(&lower, candidate), *candidate))
            .collect();
        near.sort_unstable();
        let near: Vec<_> = near.iter().take(NEAR).map(|(_, name)| *name).collect();
        Error::new(
            ErrorKind::InvalidInput,
            format!("{store} has no setting {name:?}"),
        )
        .with_hint(format!("is one of these meant: {}?", near.join(", ")))
    })
}

/// The error for a store that cannot be set up.
pub(super) fn unusable(store: &str, error: impl Display, settings: &Settings) -> Error {
    // The message may repeat a value, or what a file of credentials holds.
    let text = without_values(&error.to_string(), settings);
    let first = text.lines().next().unwrap_or_default();
    let message: String = first.chars().take(200).collect();
    Error::new(
        ErrorKind::InvalidInput,
        format!("the settings of {store} are incomplete or wrong"),
    )
    .with_source(message)
    .with_hint("check the environment and the options of the store")
}

/// `text` without the values of settings, wherever they come from.
fn without_values(text: &str, settings: &Settings) -> String {
    let environment = std::env::vars().filter(|(name, _)| {
        let clouds = ["AWS_", "GOOGLE_", "AZURE_"];
        clouds.iter().any(|cloud| name.starts_with(cloud))
    });
    let mut values: Vec<String> = settings
        .iter()
        .cloned()
        .chain(environment)
        .map(|(_, value)| value)
        .filter(|value| !value.is_empty())
        .collect();
    // One value may be a part of another.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values
        .iter()
        .fold(text.to_owned(), |text, value| text.replace(value, "…"))
}

/// How many letters have to be changed to make `one` the `other`, where words that are left out in
/// front do not count.
fn distance(one: &str, other: &str) -> usize {
    let whole = letters_to_change(one, other);
    let bare = |text: &str| text.split_once('_').map(|(_, rest)| rest.to_owned());
    let cut = bare(other).map(|rest| letters_to_change(one, &rest) + 1);
    cut.map_or(whole, |cut| whole.min(cut))
}

fn letters_to_change(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, candidate) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *candidate);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_repeated() {
        let settings = [("key", "SECRET"), ("other", "SECRETER"), ("empty", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let error = unusable("it", "bad: SECRETER, \"SECRET\"\nSECOND LINE", &settings);
        let cause = std::error::Error::source(&error).expect("a cause");
        assert_eq!(cause.to_string(), "bad: …, \"…\"");
    }

    #[test]
    fn letters_are_counted() {
        for (one, other, count) in [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3)] {
            assert_eq!(letters_to_change(one, other), count, "{one} {other}");
            assert_eq!(letters_to_change(other, one), count, "{other} {one}");
        }
    }
}
