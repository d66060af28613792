//! A YAML file as a tree that knows where each value is.
//!
//! The readers of the formats decode the tree themselves, so that each of their errors has a line and a column, and so that
//! a value such as `3.20` is the text that was written and not the number `3.2`.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Localizer, Location, MessageFormatter, Spanned};
use tranship::{Error, ErrorKind, Result};

/// How deep lists and mappings may be nested. The formats need 6.
const MAX_DEPTH: usize = 32;
/// How many lists, mappings and values a file may have. 10,000 images with 4 settings each fit.
const MAX_NODES: usize = 100_000;
/// How many events aliases may add to those of the file.
const MAX_ALIAS_EVENTS: usize = 100_000;

/// A place in a file; both numbers begin with 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl From<Location> for Position {
    fn from(location: Location) -> Self {
        Self {
            line: location.line(),
            column: location.column(),
        }
    }
}

/// A value and its place. It may be a secret, and therefore does not implement `Debug`.
pub(super) struct Node {
    pub(super) position: Position,
    pub(super) value: Value,
}

pub(super) enum Value {
    Scalar { text: String, kind: Kind },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// What YAML makes of a scalar.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    Text,
}

pub(super) struct Key {
    pub(super) position: Position,
    pub(super) text: String,
}

impl Node {
    /// Reads one YAML document. A repeated key is an error, unless `lenient` keeps all of its values.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is not YAML, has several documents, or exceeds a limit.
    pub(super) fn read(name: &str, content: &str, lenient: bool) -> Result<Self> {
        let duplicate_keys = if lenient {
            DuplicateKeyPolicy::PassThrough
        } else {
            DuplicateKeyPolicy::Error
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
            // A snippet would show lines of the file, which may be secret.
            with_snippet: false,
        };
        let tree: Tree = serde_saphyr::from_str_with_options(content, options)
            .map_err(|error| syntax_error(name, &error))?;
        Ok(tree.into_node(content))
    }
}

fn syntax_error(name: &str, error: &serde_saphyr::Error) -> Error {
    let message = error.render_with_formatter(&OneLine);
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

/// The tree before its scalars have their text.
struct Tree(Spanned<Untyped>);

enum Untyped {
    /// Text, without quotes.
    Text(String),
    /// The text is that at the place of the value.
    Typed(Kind),
    List(Vec<Tree>),
    Map(Vec<(Spanned<String>, Tree)>),
}

impl Tree {
    // The depth is bounded by `MAX_DEPTH`.
    fn into_node(self, content: &str) -> Node {
        let location = self.0.defined;
        let value = match self.0.value {
            Untyped::Text(text) => Value::Scalar {
                text,
                kind: Kind::Text,
            },
            Untyped::Typed(kind) => Value::Scalar {
                text: written(content, location),
                kind,
            },
            Untyped::List(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| item.into_node(content))
                    .collect(),
            ),
            Untyped::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, tree)| {
                        let key = Key {
                            position: key.defined.into(),
                            text: key.value,
                        };
                        (key, tree.into_node(content))
                    })
                    .collect(),
            ),
        };
        Node {
            position: location.into(),
            value,
        }
    }
}

/// The text at a place. A number or the like has no quotes and no spaces; if something else is found there, such as a tag,
/// it is not the text of the value.
fn written(content: &str, location: Location) -> String {
    let span = location.span();
    let bytes = span.byte_offset().zip(span.byte_len());
    let text = bytes.and_then(|(start, length)| {
        let start = usize::try_from(start).ok()?;
        let length = usize::try_from(length).ok()?;
        content.get(start..start.checked_add(length)?)
    });
    let text = text.unwrap_or_default().trim();
    if text.contains(char::is_whitespace) || text.contains(['"', '\'', '!', '&', '#']) {
        String::new()
    } else {
        text.to_owned()
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Untyped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UntypedVisitor)
    }
}

struct UntypedVisitor;

macro_rules! typed {
    ($($method:ident($type:ty) => $kind:expr;)+) => {$(
        fn $method<E>(self, _: $type) -> Result<Untyped, E> {
            Ok(Untyped::Typed($kind))
        }
    )+};
}

impl<'de> Visitor<'de> for UntypedVisitor {
    type Value = Untyped;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    typed! {
        visit_bool(bool) => Kind::Bool;
        visit_i64(i64) => Kind::Number;
        visit_i128(i128) => Kind::Number;
        visit_u64(u64) => Kind::Number;
        visit_u128(u128) => Kind::Number;
        visit_f64(f64) => Kind::Number;
    }

    fn visit_unit<E>(self) -> Result<Untyped, E> {
        Ok(Untyped::Typed(Kind::Null))
    }

    fn visit_none<E>(self) -> Result<Untyped, E> {
        Ok(Untyped::Typed(Kind::Null))
    }

    fn visit_str<E>(self, text: &str) -> Result<Untyped, E> {
        Ok(Untyped::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Untyped, E> {
        Ok(Untyped::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Untyped, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Untyped::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Untyped, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Untyped::Map(entries))
    }
}
