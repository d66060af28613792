//! Reads `bundle.json` and locks. They may come from a stranger: every number is checked.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tranship::{Digest, Error, ErrorKind, MediaType, Printable, Result, Tag};

use super::contents::{BundleContents, MAX_VOLUMES};
use super::encode::{BUNDLE_TYPE, LOCK_TYPE};
use super::lock::{ContentNode, Lock, RepositoryContents, invalid, too_many_contents};
use super::name::BundleName;

/// The longest `bundle.json`, and the longest lock, in bytes.
pub(super) const MAX_ENCODED: u64 = 64 * 1024 * 1024;

impl Lock {
    /// Returns the lock as text. The same lock always makes the same text.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        super::encode::lock(self).into_bytes()
    }

    /// Reads the text of a lock, or the `bundle.json` of a bundle, which contains one.
    ///
    /// # Errors
    /// - [`Corrupt`](ErrorKind::Corrupt) if it is damaged or contradicts itself.
    /// - [`UnsupportedVersion`](ErrorKind::UnsupportedVersion) if a later version has written it.
    /// - [`SizeExceedsLimit`](ErrorKind::SizeExceedsLimit) if it has more than 64 MiB or a million pieces of content.
    pub fn decode(text: &[u8]) -> Result<Self> {
        check_version(text, &[LOCK_TYPE, BUNDLE_TYPE], "lock")?;
        if is_of_type(text, BUNDLE_TYPE) {
            return Ok(BundleContents::decode(text)?.lock);
        }
        let document: LockDocument = decode(text, "lock")?;
        build_lock(
            &document.types,
            document.contents.0,
            document.repositories.0,
        )
    }
}

impl BundleContents {
    /// Returns the text of `bundle.json` in a volume.
    pub(super) fn encode(&self, volume: u32) -> Vec<u8> {
        super::encode::bundle(self, volume).into_bytes()
    }

    /// Reads the text of `bundle.json`.
    ///
    /// # Errors
    /// As [`Lock::decode`].
    pub(super) fn decode(text: &[u8]) -> Result<Self> {
        check_version(text, &[BUNDLE_TYPE], "bundle.json")?;
        let document: BundleDocument = decode(text, "bundle.json")?;
        if !(1..=MAX_VOLUMES).contains(&document.volumes) {
            return Err(invalid(format!(
                "{} is not a number of volumes",
                document.volumes
            )));
        }
        if !(1..=document.volumes).contains(&document.volume) {
            let (volume, volumes) = (document.volume, document.volumes);
            return Err(invalid(format!("there is no volume {volume} of {volumes}")));
        }
        let lock = build_lock(
            &document.types,
            document.contents.0,
            document.repositories.0,
        )?;
        let base = document.base.unwrap_or_default().0;
        let parts = match document.parts {
            None if document.volumes == 1 => vec![all_blobs(&lock, &base)],
            Some(parts) if document.volumes > 1 => read_parts(&lock, parts)?,
            _ => return Err(invalid("the parts are not those of its volumes")),
        };
        if parts.len() != usize::try_from(document.volumes).unwrap_or(usize::MAX) {
            return Err(invalid("the parts are not those of its volumes"));
        }
        let is_sorted = |numbers: &Vec<u32>| numbers.is_sorted_by(|one, next| one < next);
        if !base.values().all(is_sorted) {
            return Err(invalid("the base is not in ascending order"));
        }
        let (digest, size) = document.index;
        let contents = Self::new(lock, base, parts, Some((digest.0, size)))?;
        if contents.set != document.set.0 {
            return Err(invalid(
                "the digest of the set does not match: bundle.json was changed",
            ));
        }
        Ok(contents.with_volume(document.volume))
    }
}

/// Returns all blobs that are not in the base, whole.
pub(super) fn all_blobs(
    lock: &Lock,
    base: &BTreeMap<BundleName, Vec<u32>>,
) -> Vec<(u32, u64, u64)> {
    let in_base: std::collections::HashSet<u32> = base.values().flatten().copied().collect();
    let nodes = (0_u32..).zip(lock.contents());
    let blobs = nodes.filter(|(number, node)| !node.is_manifest() && !in_base.contains(number));
    blobs.map(|(number, node)| (number, 0, node.size)).collect()
}

fn read_parts(lock: &Lock, parts: Vec<Vec<PartEntry>>) -> Result<Vec<Vec<(u32, u64, u64)>>> {
    let read = |entry: PartEntry| match entry {
        PartEntry::Whole(number) => {
            let node = lock.get(number);
            let node = node.ok_or_else(|| invalid("a part of content that is not listed"))?;
            Ok((number, 0, node.size))
        }
        PartEntry::Part(number, offset, length) => Ok((number, offset, length)),
    };
    parts
        .into_iter()
        .map(|volume| volume.into_iter().map(read).collect())
        .collect()
}

fn build_lock(
    types: &[String],
    contents: Vec<ContentEntry>,
    repositories: BTreeMap<BundleName, RepositoryEntry>,
) -> Result<Lock> {
    let types: Vec<MediaType> = types
        .iter()
        .map(|text| MediaType::from_stored(text))
        .collect();
    let mut nodes = Vec::new();
    for entry in contents {
        let (media_type, children) = match entry.manifest {
            Some((number, children)) => {
                let media_type = usize::try_from(number)
                    .ok()
                    .and_then(|number| types.get(number));
                let media_type = media_type.ok_or_else(|| invalid("a type that is not listed"))?;
                (Some(media_type.clone()), children.into_boxed_slice())
            }
            None => (None, Box::default()),
        };
        nodes.push(ContentNode {
            digest: entry.digest,
            size: entry.size,
            media_type,
            children,
        });
    }
    let repositories = repositories.into_iter().map(|(name, entry)| {
        let contents = RepositoryContents {
            tags: entry.tags.0,
            manifests: entry.manifests,
        };
        (name, contents)
    });
    Lock::new(nodes, repositories.collect())
}

fn decode<T: DeserializeOwned>(text: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| {
        if error.to_string().contains(TOO_MANY) {
            return too_many_contents();
        }
        invalid(format!("{what} cannot be read")).with_source(error)
    })
}

/// Checks the size, the type and the version of a document before the rest of it is read.
fn check_version(text: &[u8], types: &[&str], what: &str) -> Result<()> {
    if text.len() as u64 > MAX_ENCODED {
        let message = format!("{what} has more than {MAX_ENCODED} bytes");
        return Err(Error::new(ErrorKind::SizeExceedsLimit, message));
    }
    let found: Version = decode(text, what)?;
    if !types.contains(&found.media_type.as_str()) {
        let found = Printable(&found.media_type);
        return Err(invalid(format!(
            "{what} has the type {found}, which is not known"
        )));
    }
    if found.schema_version != 1 {
        let message = format!("{what} has version {} of its format", found.schema_version);
        return Err(Error::new(ErrorKind::UnsupportedVersion, message)
            .with_hint("it was written by a later version of tranship; use that"));
    }
    Ok(())
}

fn is_of_type(text: &[u8], media_type: &str) -> bool {
    serde_json::from_slice::<Version>(text).is_ok_and(|found| found.media_type == media_type)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    media_type: String,
    schema_version: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LockDocument {
    #[serde(rename = "mediaType")]
    _media_type: String,
    #[serde(rename = "schemaVersion")]
    _schema_version: u32,
    types: Vec<String>,
    contents: ContentEntries,
    repositories: UniqueMap<BundleName, RepositoryEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BundleDocument {
    #[serde(rename = "mediaType")]
    _media_type: String,
    #[serde(rename = "schemaVersion")]
    _schema_version: u32,
    set: Parsed<Digest>,
    volume: u32,
    volumes: u32,
    types: Vec<String>,
    contents: ContentEntries,
    repositories: UniqueMap<BundleName, RepositoryEntry>,
    index: (ShortDigest, u64),
    base: Option<UniqueMap<BundleName, Vec<u32>>>,
    parts: Option<Vec<Vec<PartEntry>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RepositoryEntry {
    tags: UniqueMap<Tag, u32>,
    manifests: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PartEntry {
    Whole(u32),
    Part(u32, u64, u64),
}

const TOO_MANY: &str = "too many contents";

/// The list of contents, which ends with an error after the most that there may be.
struct ContentEntries(Vec<ContentEntry>);

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
struct ContentEntry {
    digest: Digest,
    size: u64,
    manifest: Option<(u32, Vec<u32>)>,
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
struct ShortDigest(Digest);

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
struct Parsed<T>(T);

impl<'de, T: FromStr<Err = Error>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// A map of which each key may occur once.
struct UniqueMap<K, V>(BTreeMap<K, V>);

impl<K, V> Default for UniqueMap<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, K, V> Deserialize<'de> for UniqueMap<K, V>
where
    K: FromStr<Err = Error> + Ord + Hash,
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
