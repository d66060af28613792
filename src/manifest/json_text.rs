//! Where the members of a JSON object, or the elements of an array, are in its text, and edits of these that leave
//! the rest of the text as it is.

use std::fmt;
use std::ops::Range;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Result};

/// A member of an object, or an element of an array.
pub(super) struct Item {
    /// The name of the member; empty for an element.
    pub(super) name: String,
    /// Name and value of the member, in the text.
    whole: Range<usize>,
    /// The value alone, in the text.
    pub(super) value: Range<usize>,
}

/// The items of an object or an array.
pub(super) struct Items {
    /// Between the brackets, in the text.
    inside: Range<usize>,
    items: Vec<Item>,
}

/// One pair of an object, whose name is empty for an element of an array.
type Pair<'a> = (String, &'a RawValue);

struct Pairs<'a>(Vec<Pair<'a>>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or an array")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(value) = seq.next_element()? {
                    pairs.push((String::new(), value));
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_any(Collect)
    }
}

impl Items {
    /// Finds the items of the object or array `text`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidManifest`] if `text` is neither.
    pub(super) fn of(text: &str) -> Result<Self> {
        let pairs: Pairs<'_> = serde_json::from_str(text).map_err(|error| {
            Error::new(ErrorKind::InvalidManifest, "cannot be edited as JSON").with_source(error)
        })?;
        let is_space = |character: char| character.is_ascii_whitespace();
        let open = text.len() - text.trim_start_matches(is_space).len() + 1;
        let inside = open..text.trim_end_matches(is_space).len() - 1;
        let mut items: Vec<Item> = Vec::with_capacity(pairs.0.len());
        let mut end = open;
        for (name, value) in pairs.0 {
            // The value is a part of the text that was parsed.
            let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
            let before = &text[end..start];
            let rest = before.trim_start_matches(|c: char| c == ',' || is_space(c));
            let whole = end + (before.len() - rest.len());
            end = start + value.get().len();
            items.push(Item {
                name,
                whole: whole..end,
                value: start..end,
            });
        }
        Ok(Self { inside, items })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }

    /// Returns the value of the member `name`, unless it is `null`.
    pub(super) fn value(&self, text: &str, name: &str) -> Option<Range<usize>> {
        let found = self.items.iter().rfind(|item| item.name == name)?;
        (&text[found.value.clone()] != "null").then(|| found.value.clone())
    }

    /// Returns `text` with those of its items that `keep` is true for, by their number. Kept items keep what
    /// separates them from the item before.
    pub(super) fn retain(&self, text: &str, mut keep: impl FnMut(usize) -> bool) -> String {
        let mut out = String::with_capacity(text.len());
        out.push_str(&text[..self.inside.start]);
        let mut is_empty = true;
        for (number, item) in self.items.iter().enumerate() {
            if !keep(number) {
                continue;
            }
            let separator = match number {
                _ if is_empty => self.lead(text),
                0 => "",
                number => &text[self.items[number - 1].whole.end..item.whole.start],
            };
            out.push_str(separator);
            out.push_str(&text[item.whole.clone()]);
            is_empty = false;
        }
        let end = match self.items.last() {
            Some(last) if !is_empty => last.whole.end,
            _ => self.inside.end,
        };
        out.push_str(&text[end..]);
        out
    }

    /// Returns `text` with `values` added at its end: elements, or members of an object, as `"name":value`. If the
    /// text is indented, they begin on lines as the first item does.
    pub(super) fn append(&self, text: &str, values: impl IntoIterator<Item = String>) -> String {
        let lead = self.lead(text);
        let (mut is_empty, end) = match self.items.last() {
            Some(last) => (false, last.whole.end),
            None => (true, self.inside.start),
        };
        let mut out = text[..end].to_owned();
        for value in values {
            if !is_empty {
                out.push(',');
                out.push_str(lead);
            }
            out.push_str(&value);
            is_empty = false;
        }
        let rest = if self.items.is_empty() {
            self.inside.end
        } else {
            end
        };
        out.push_str(&text[rest..]);
        out
    }

    /// Whether members are on lines.
    pub(super) fn is_indented(&self, text: &str) -> bool {
        !self.lead(text).is_empty()
    }

    /// The white space before the first item.
    fn lead<'t>(&self, text: &'t str) -> &'t str {
        self.items
            .first()
            .map_or("", |first| &text[self.inside.start..first.whole.start])
    }
}

/// Returns the object `text` with the value of its member `name` replaced, or with that member added.
///
/// # Errors
/// As [`Items::of`].
pub(super) fn with_member(text: &str, name: &str, value: &str) -> Result<String> {
    let items = Items::of(text)?;
    if items.iter().all(|item| item.name != name) {
        let colon = if items.is_indented(text) { ": " } else { ":" };
        return Ok(items.append(text, [format!("{}{colon}{value}", quoted(name))]));
    }
    let mut text = text.to_owned();
    // From the end, so that the ranges before stay right.
    for item in items.items.iter().rev().filter(|item| item.name == name) {
        text.replace_range(item.value.clone(), value);
    }
    Ok(text)
}

/// Returns the object `text` without its member `name`.
///
/// # Errors
/// As [`Items::of`].
pub(super) fn without_member(text: &str, name: &str) -> Result<String> {
    let items = Items::of(text)?;
    Ok(items.retain(text, |number| items.items[number].name != name))
}

/// Returns `text` as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_replaced_added_and_removed_in_place() {
        let with = |text: &str, name: &str| with_member(text, name, "7").expect("an object");
        assert_eq!(with(r#"{"a":1,"b":1.00}"#, "a"), r#"{"a":7,"b":1.00}"#);
        assert_eq!(with(r#"{"a":1}"#, "c"), r#"{"a":1,"c":7}"#);
        assert_eq!(with("{ }", "c"), r#"{"c":7}"#);
        assert_eq!(
            with("{\n  \"a\": 1\n}\n", "c"),
            "{\n  \"a\": 1,\n  \"c\": 7\n}\n"
        );
        assert_eq!(with(r#"{"\u0061":1}"#, "a"), r#"{"\u0061":7}"#);
        assert_eq!(with(r#"{"a":1,"a":2}"#, "a"), r#"{"a":7,"a":7}"#);
        let without = |text: &str, name: &str| without_member(text, name).expect("an object");
        assert_eq!(
            without(r#"{"a":1, "b":2 , "c":3}"#, "b"),
            r#"{"a":1 , "c":3}"#
        );
        assert_eq!(
            without("{\n \"a\": 1,\n \"b\": 2\n}", "a"),
            "{\n \"b\": 2\n}"
        );
        assert_eq!(without("{\n \"a\": 1\n}", "a"), "{}");
        assert_eq!(without(r#"{"a":[{"b":1}]}"#, "b"), r#"{"a":[{"b":1}]}"#);
    }

    #[test]
    fn elements_keep_their_text_and_their_order() {
        let text = " [ {\"z\":1,\"a\":1e2} ,\n\t[2], \"]\" ] ";
        let items = Items::of(text).expect("an array");
        assert_eq!(items.retain(text, |_| true), text);
        assert_eq!(
            items.retain(text, |number| number != 1),
            " [ {\"z\":1,\"a\":1e2}, \"]\" ] "
        );
        assert_eq!(items.retain(text, |number| number == 1), " [ [2] ] ");
        assert_eq!(items.retain(text, |_| false), " [] ");
        assert_eq!(
            items.append(text, ["3".to_owned(), "4".to_owned()]),
            " [ {\"z\":1,\"a\":1e2} ,\n\t[2], \"]\", 3, 4 ] "
        );
        assert!(Items::of("17").is_err());
    }
}
