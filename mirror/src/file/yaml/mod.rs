//! A YAML file as a tree that knows where each value is.
//!
//! The readers of the formats decode the tree themselves, so that each of their errors has a line and a column, and so that
//! a value such as `3.20` is the text that was written and not the number `3.2`.

#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use tranship::Result;
use tranship_yaml::RepeatedKeys;

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
        let repeated_keys = if lenient {
            RepeatedKeys::Keep
        } else {
            RepeatedKeys::Refuse
        };
        let tree: Tree = tranship_yaml::decode(name, content, repeated_keys)?;
        Ok(tree.into_node(content))
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
