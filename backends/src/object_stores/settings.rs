//! Settings of object stores, with the names of the crate `object_store`.

use std::fmt::Display;
use std::str::FromStr;

use tranship::{Error, ErrorKind, Result};

/// Names and values. A value may be a secret.
pub(super) type Settings = [(String, String)];

/// How many names are suggested for an unknown one.
const NEAR: usize = 3;

/// The names of settings of the HTTP client, which all stores have.
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

/// Applies the settings to the builder of a store.
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

/// Parses the name of a setting. `known` are the names to suggest for an unknown one.
///
/// # Errors
/// `InvalidInput` with the most similar names. The message does not have the value, which may be a secret.
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
        .with_hint(format!("did you mean one of these: {}?", near.join(", ")))
    })
}

/// Returns the error for a store that cannot be built.
pub(super) fn unusable(store: &str, error: impl Display, settings: &Settings) -> Error {
    // The message may have a value, or the content of a file of credentials.
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

/// Returns `text` without the values of settings, from the options and the environment.
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

/// Returns how many letters of `one` have to be changed to get `other`. The first word of `other` may be missing.
fn distance(one: &str, other: &str) -> usize {
    let whole = strsim::levenshtein(one, other);
    let bare = |text: &str| text.split_once('_').map(|(_, rest)| rest.to_owned());
    let cut = bare(other).map(|rest| strsim::levenshtein(one, &rest) + 1);
    cut.map_or(whole, |cut| whole.min(cut))
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
}
