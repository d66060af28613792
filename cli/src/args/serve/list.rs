//! Lists in a file with settings, where a single value is a list of one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{
    Deserialize, Deserializer, Error, IntoDeserializer as _, MapAccess, SeqAccess, Visitor,
};
use tranship_server::NamePattern;

use super::values::PatternArg;

/// Reads a list, or a single item.
pub(super) fn list<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(ListOrItem(PhantomData))
}

/// Reads a list with at least one item, or a single item: an empty list would mean everything.
pub(super) fn filled_list<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let items: Vec<T> = list(deserializer)?;
    if items.is_empty() {
        return Err(D::Error::custom(
            "an empty list; leave the key out for the default",
        ));
    }
    Ok(items)
}

/// Reads patterns of repositories; `true` is every repository, and `false` none.
pub(super) fn patterns_or_all<'de, D>(deserializer: D) -> Result<Vec<PatternArg>, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(PatternsOrAll)
}

struct ListOrItem<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListOrItem<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, or one item")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Vec<T>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, item: A) -> Result<Vec<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(item)).map(one)
    }

    fn visit_str<E: Error>(self, item: &str) -> Result<Vec<T>, E> {
        T::deserialize(item.into_deserializer()).map(one)
    }

    fn visit_u64<E: Error>(self, item: u64) -> Result<Vec<T>, E> {
        T::deserialize(item.into_deserializer()).map(one)
    }
}

fn one<T>(item: T) -> Vec<T> {
    vec![item]
}

struct PatternsOrAll;

impl<'de> Visitor<'de> for PatternsOrAll {
    type Value = Vec<PatternArg>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, a pattern of repositories, or a list of them")
    }

    fn visit_bool<E>(self, is_all: bool) -> Result<Vec<PatternArg>, E> {
        let all = is_all.then(|| PatternArg(NamePattern::all()));
        Ok(all.into_iter().collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, patterns: A) -> Result<Vec<PatternArg>, A::Error> {
        ListOrItem(PhantomData).visit_seq(patterns)
    }

    fn visit_str<E: Error>(self, pattern: &str) -> Result<Vec<PatternArg>, E> {
        ListOrItem(PhantomData).visit_str(pattern)
    }
}
