//! Reads YAML from files of users: bounded, and with errors that say the line, the column and the key.
//!
//! ```
//! use serde::Deserialize;
//! use tranship_yaml::{RepeatedKeys, decode};
//!
//! #[derive(Debug, Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     port: u16,
//! }
//!
//! let settings: Settings = decode("settings.yaml", "port: 5000", RepeatedKeys::Refuse)?;
//! assert_eq!(settings.port, 5000);
//!
//! let error = decode::<Settings>("settings.yaml", "port: many", RepeatedKeys::Refuse).unwrap_err();
//! assert!(error.to_string().starts_with("settings.yaml:1:7: port: "));
//!
//! let error = decode::<Settings>("settings.yaml", "prot: 5000", RepeatedKeys::Refuse).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "settings.yaml:1:1: unknown key `prot`; did you mean `port`?"
//! );
//! # Ok::<(), tranship::Error>(())
//! ```

mod message;

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Localizer, Location, MessageFormatter};
use tranship::{Error, ErrorKind, Result};

/// How deep lists and mappings may be nested. The formats of tranship need 6.
const MAX_DEPTH: usize = 32;
/// How many lists, mappings and values a file may have. 10,000 images with 4 settings each fit.
const MAX_NODES: usize = 100_000;
/// How many events aliases may add to those of the file.
const MAX_ALIAS_EVENTS: usize = 100_000;

/// What a key that a mapping has more than once means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepeatedKeys {
    /// An error.
    Refuse,
    /// The type that is decoded gets every value.
    Keep,
}

/// Decodes `content`, one YAML document. `name` is the name of the file, for errors.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if `content` is not YAML, has several documents, does not fit the type, or is nested
/// deeper or repeated by aliases more often than a file of settings needs. The subject is `name` with the line and the
/// column, both counted from 1. The message of a value that does not fit begins with its key, such as
/// `repositories[0].quota`, and that of an unknown key has the known one with the most similar name. The message never
/// shows a line of the file, which may have secrets.
pub fn decode<T: DeserializeOwned>(
    name: &str,
    content: &str,
    repeated_keys: RepeatedKeys,
) -> Result<T> {
    let duplicate_keys = match repeated_keys {
        RepeatedKeys::Refuse => DuplicateKeyPolicy::Error,
        RepeatedKeys::Keep => DuplicateKeyPolicy::PassThrough,
    };
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_documents: 2,
            max_aliases: 10_000,
            max_merge_keys: 10_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_ALIAS_EVENTS,
            max_replay_stack_depth: MAX_DEPTH,
        },
        duplicate_keys: duplicate_keys,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    };
    let mut path = None;
    let decoded =
        serde_saphyr::with_deserializer_from_str_with_options(content, options, |document| {
            serde_path_to_error::deserialize(document).map_err(|error| {
                path = Some(error.path().to_string());
                error.into_inner()
            })
        });
    // The path of a value at the top is a dot.
    let path = path.filter(|path| path != ".");
    decoded.map_err(|error| decode_error(name, path.as_deref(), &error))
}

fn decode_error(name: &str, path: Option<&str>, error: &serde_saphyr::Error) -> Error {
    let message = match message::of_value(path, error) {
        Some(message) => message,
        None => error.render_with_formatter(&OneLine),
    };
    let subject = match error.location().filter(|location| location.line() > 0) {
        Some(location) => format!("{name}:{}:{}", location.line(), location.column()),
        None => name.to_owned(),
    };
    let placed = Error::new(ErrorKind::InvalidInput, message).with_subject(subject);
    if is_unknown_alias(error) {
        placed.with_hint("write text that begins with *, & or ! in quotes")
    } else {
        placed
    }
}

fn is_unknown_alias(error: &serde_saphyr::Error) -> bool {
    match error.without_snippet() {
        serde_saphyr::Error::AliasError { error, .. } => is_unknown_alias(error),
        error => matches!(error, serde_saphyr::Error::UnknownAnchor { .. }),
    }
}

/// Messages of one line, without the place and without details for developers.
struct OneLine;

impl MessageFormatter for OneLine {
    fn localizer(&self) -> &dyn Localizer {
        self
    }

    fn format_message<'a>(&self, error: &'a serde_saphyr::Error) -> Cow<'a, str> {
        use serde_saphyr::Error as Yaml;
        match error {
            Yaml::UnknownAnchor { .. } => {
                "the alias refers to an anchor that does not exist".into()
            }
            Yaml::MultipleDocuments { .. } => "the file has more than one YAML document".into(),
            Yaml::Budget { .. } => "the file is too large or too deeply nested".into(),
            Yaml::AliasReplayLimitExceeded { .. }
            | Yaml::AliasExpansionLimitExceeded { .. }
            | Yaml::AliasReplayStackDepthExceeded { .. } => {
                "the aliases of the file repeat too much".into()
            }
            error => serde_saphyr::UserMessageFormatter.format_message(error),
        }
    }
}

impl Localizer for OneLine {
    fn attach_location<'a>(&self, base: Cow<'a, str>, _: Location) -> Cow<'a, str> {
        base
    }

    fn alias_defined_at(&self, _: Location) -> String {
        String::new()
    }

    fn alias_used_at(&self, _: Location) -> String {
        String::new()
    }
}
