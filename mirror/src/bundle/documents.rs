//! The JSON of `bundle.json` and of locks, before it is checked.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tranship::{Digest, Error, Result, Tag};

use super::lock::Lock;
use super::name::BundleName;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Version {
    pub(super) media_type: String,
    pub(super) schema_version: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LockDocument {
    #[serde(rename = "mediaType")]
    pub(super) _media_type: String,
    #[serde(rename = "schemaVersion")]
    pub(super) _schema_version: u32,
    pub(super) types: Vec<String>,
    pub(super) contents: ContentEntries,
    pub(super) repositories: UniqueMap<BundleName, RepositoryEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BundleDocument {
    #[serde(rename = "mediaType")]
    pub(super) _media_type: String,
    #[serde(rename = "schemaVersion")]
    pub(super) _schema_version: u32,
    pub(super) set: Parsed<Digest>,
    pub(super) volume: u32,
    pub(super) volumes: u32,
    pub(super) types: Vec<String>,
    pub(super) contents: ContentEntries,
    pub(super) repositories: UniqueMap<BundleName, RepositoryEntry>,
    pub(super) index: (ShortDigest, u64),
    pub(super) base: Option<UniqueMap<BundleName, Vec<u32>>>,
    pub(super) parts: Option<Vec<Vec<PartEntry>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RepositoryEntry {
    pub(super) tags: UniqueMap<Tag, u32>,
    pub(super) manifests: Vec<u32>,
    #[serde(default)]
    pub(super) incomplete: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum PartEntry {
    Whole(u32),
    Part(u32, u64, u64),
}

pub(super) const TOO_MANY: &str = "too many contents";

/// The list of contents, which ends with an error after the most that there may be.
pub(super) struct ContentEntries(pub(super) Vec<ContentEntry>);

impl<'de> Deserialize<'de> for ContentEntries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = ContentEntries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of contents")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ContentEntries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = list.next_element()? {
                    if entries.len() >= Lock::MAX_CONTENTS {
                        return Err(de::Error::custom(TOO_MANY));
                    }
                    entries.push(entry);
                }
                Ok(ContentEntries(entries))
            }
        }
        deserializer.deserialize_seq(Entries)
    }
}

/// `["HEX", SIZE]` for a blob, `["HEX", SIZE, TYPE, [CHILD, …]]` for a manifest.
pub(super) struct ContentEntry {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) manifest: Option<(u32, Vec<u32>)>,
}

impl<'de> Deserialize<'de> for ContentEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;
        impl<'de> Visitor<'de> for Entry {
            type Value = ContentEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a digest, a size and, for a manifest, its type and children")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ContentEntry, A::Error> {
                let missing = || de::Error::invalid_length(0, &"two or four elements");
                let digest: ShortDigest = list.next_element()?.ok_or_else(missing)?;
                let size = list.next_element()?.ok_or_else(missing)?;
                let manifest = match list.next_element()? {
                    Some(number) => Some((number, list.next_element()?.ok_or_else(missing)?)),
                    None => None,
                };
                if manifest.is_some() && list.next_element::<de::IgnoredAny>()?.is_some() {
                    return Err(missing());
                }
                Ok(ContentEntry {
                    digest: digest.0,
                    size,
                    manifest,
                })
            }
        }
        deserializer.deserialize_seq(Entry)
    }
}

/// A digest without `sha256:`, or another one.
pub(super) struct ShortDigest(pub(super) Digest);

impl<'de> Deserialize<'de> for ShortDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let digest = match text.contains(':') {
            true => text.parse(),
            false => format!("sha256:{text}").parse(),
        };
        digest.map(Self).map_err(de::Error::custom)
    }
}

/// A text that is parsed.
pub(super) struct Parsed<T>(pub(super) T);

impl<'de, T: FromStr<Err = Error>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// A map of which each key may occur once.
pub(super) struct UniqueMap<K, V>(pub(super) BTreeMap<K, V>);

impl<K, V> Default for UniqueMap<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, K, V> Deserialize<'de> for UniqueMap<K, V>
where
    K: FromStr<Err = Error> + Ord,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);
        impl<'de, K, V> Visitor<'de> for Entries<K, V>
        where
            K: FromStr<Err = Error> + Ord,
            V: Deserialize<'de>,
        {
            type Value = UniqueMap<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<Parsed<K>, V>()? {
                    if entries.insert(key.0, value).is_some() {
                        return Err(de::Error::custom("a name occurs twice"));
                    }
                }
                Ok(UniqueMap(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}
