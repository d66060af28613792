//! Finds keys that a JSON object has twice, which readers silently take for one.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use tranship::{Error, ErrorKind, Result};

/// Checks that no object in the JSON document `content` has a key twice.
///
/// # Errors
/// `Corrupt`, which names the key.
pub(super) fn check_keys(content: &[u8]) -> Result<()> {
    let mut document = serde_json::Deserializer::from_slice(content);
    UniqueKeys.deserialize(&mut document).map_err(|error| {
        Error::new(ErrorKind::Corrupt, "an object in it has the same key twice")
            .with_hint("other tools read the one or the other; the file was not changed, remove one by hand")
            .with_source(error)
    })
}

/// Any JSON value whose objects have each key once.
struct UniqueKeys;

impl<'de> DeserializeSeed<'de> for UniqueKeys {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while values.next_element_seed(UniqueKeys)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = fields.next_key::<String>()? {
            if seen.contains(&key) {
                let key = key.escape_debug();
                return Err(A::Error::custom(format_args!("the key \"{key}\"")));
            }
            seen.insert(key);
            fields.next_value_seed(UniqueKeys)?;
        }
        Ok(())
    }
}
