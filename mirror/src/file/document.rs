//! Values of a YAML file, checked, with errors that say where.

use std::error::Error as _;
use std::num::NonZeroUsize;
use std::str::FromStr;

use tranship::{Error, ErrorKind, Printable, Result};

use super::yaml::{Key, Kind, Node, Position, Value};

/// The name of a file, for errors and notes.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    pub(super) name: &'a str,
}

/// A mapping.
#[derive(Clone, Copy)]
pub(super) struct Map<'n> {
    pub(super) position: Position,
    pub(super) entries: &'n [(Key, Node)],
}

impl<'n> Map<'n> {
    /// Returns the value of `key`, unless it is missing or null. Where a key may be repeated, its last value counts.
    pub(super) fn get(self, key: &str) -> Option<&'n Node> {
        let mut entries = self.entries.iter().rev();
        let entry = entries.find(|(name, _)| name.text == key);
        entry.map(|(_, node)| node).filter(|node| !node.is_null())
    }

    /// Returns the keys that are not among `known`.
    pub(super) fn unknown(self, known: &[&str]) -> impl Iterator<Item = &'n Key> {
        let keys = self.entries.iter().map(|(key, _)| key);
        keys.filter(move |key| !known.contains(&key.text.as_str()))
    }
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        matches!(
            self.value,
            Value::Scalar {
                kind: Kind::Null,
                ..
            }
        )
    }

    pub(super) fn is_scalar(&self) -> bool {
        matches!(self.value, Value::Scalar { .. })
    }

    /// What it is, for messages.
    fn described(&self) -> &'static str {
        match &self.value {
            Value::Scalar { kind, .. } => match kind {
                Kind::Null => "nothing",
                Kind::Bool => "a boolean",
                Kind::Number => "a number",
                Kind::Text => "text",
            },
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

impl Document<'_> {
    /// Returns the place as `mirror.yaml:7:5`.
    pub(super) fn place(self, position: Position) -> String {
        format!("{}:{}:{}", self.name, position.line, position.column)
    }

    pub(super) fn error(self, position: Position, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::InvalidInput, message.into()).with_subject(self.place(position))
    }

    pub(super) fn note(self, position: Position, message: &str) -> String {
        format!("{}: {message}", self.place(position))
    }

    /// Adds the place to an error, whose causes become part of its message.
    pub(super) fn at(self, position: Position, error: &Error) -> Error {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message += &format!(": {cause}");
            source = cause.source();
        }
        // Some causes have several lines, such as those of regular expressions.
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        let placed = self.error(position, message);
        match error.hint() {
            Some(hint) => placed.with_hint(hint.to_owned()),
            None => placed,
        }
    }

    fn expected(self, node: &Node, what: &str) -> Error {
        let found = node.described();
        self.error(node.position, format!("expected {what}, found {found}"))
    }

    pub(super) fn map(self, node: &Node) -> Result<Map<'_>> {
        match &node.value {
            Value::Map(entries) => Ok(Map {
                position: node.position,
                entries,
            }),
            _ => Err(self.expected(node, "a mapping")),
        }
    }

    /// Returns a mapping that has no other keys than `known`.
    pub(super) fn fields<'n>(self, node: &'n Node, known: &[&str]) -> Result<Map<'n>> {
        let map = self.map(node)?;
        match map.unknown(known).next() {
            None => Ok(map),
            Some(key) => {
                let unknown = Printable(&key.text);
                let known = known.join(", ");
                let message = format!("unknown field {unknown}, expected one of {known}");
                Err(self.error(key.position, message))
            }
        }
    }

    /// Returns the exact text of a value. A number and a boolean are text too, such as the tags `3.20` and `on`.
    pub(super) fn text(self, node: &Node) -> Result<&str> {
        match &node.value {
            Value::Scalar { kind, .. } if *kind == Kind::Null => {
                let hint = "write text that begins with *, & or ! in quotes";
                Err(self.expected(node, "text").with_hint(hint))
            }
            Value::Scalar { text, kind } => {
                if text.is_empty() && *kind != Kind::Text {
                    return Err(self.error(node.position, "text with a YAML tag needs quotes"));
                }
                Ok(text)
            }
            _ => Err(self.expected(node, "text")),
        }
    }

    pub(super) fn list(self, node: &Node) -> Result<&[Node]> {
        match &node.value {
            Value::List(items) => Ok(items),
            _ => Err(self.expected(node, "a list")),
        }
    }

    /// Returns the items of a list, or the one value that was written without a list.
    pub(super) fn one_or_more(self, node: &Node) -> Result<&[Node]> {
        match &node.value {
            Value::List(items) => Ok(items),
            Value::Scalar { .. } => Ok(std::slice::from_ref(node)),
            Value::Map(_) => Err(self.expected(node, "text or a list")),
        }
    }

    pub(super) fn parsed<T: FromStr<Err = Error>>(self, node: &Node) -> Result<T> {
        let text = self.text(node)?;
        text.parse()
            .map_err(|error: Error| self.at(node.position, &error))
    }

    /// Reads one value or a list of them.
    pub(super) fn all_parsed<T: FromStr<Err = Error>>(self, node: &Node) -> Result<Vec<T>> {
        let items = self.one_or_more(node)?;
        items.iter().map(|item| self.parsed(item)).collect()
    }

    pub(super) fn boolean(self, node: &Node) -> Result<bool> {
        match &node.value {
            Value::Scalar { text, kind } if *kind == Kind::Bool => match text.as_str() {
                "true" | "True" | "TRUE" => Ok(true),
                "false" | "False" | "FALSE" => Ok(false),
                _ => Err(self.expected(node, "true or false")),
            },
            _ => Err(self.expected(node, "true or false")),
        }
    }

    /// Reads a whole number, in digits.
    pub(super) fn number<T: FromStr>(self, node: &Node) -> Result<T> {
        match &node.value {
            Value::Scalar { text, kind } if *kind == Kind::Number => {
                let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse().ok().filter(|_| is_plain);
                number.ok_or_else(|| {
                    let why = format!("{} is not a whole number in range", Printable(text));
                    self.error(node.position, why)
                })
            }
            _ => Err(self.expected(node, "a whole number")),
        }
    }

    /// Reads a whole number that is at least 1.
    pub(super) fn count(self, node: &Node) -> Result<NonZeroUsize> {
        let number: usize = self.number(node)?;
        NonZeroUsize::new(number)
            .ok_or_else(|| self.error(node.position, "the number must be at least 1"))
    }
}
