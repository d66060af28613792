//! Descriptors: a media type, a digest and a size, which together name content (image-spec,
//! "OCI Content Descriptors").

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::{Algorithm, Digest};
use crate::media_type::MediaType;
use crate::platform::Platform;

/// Annotations, in the order of their keys.
pub type Annotations = BTreeMap<String, String>;

/// What names content: its media type, digest and size in bytes, and what else is said of it.
///
/// Cloning copies the digest and counts references. Decoding is tolerant: fields that are not known
/// are kept and written again, and `null` stands for an absent value. Encoding is deterministic.
///
/// ```
/// use tranship::{Descriptor, MediaType};
///
/// let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
/// assert_eq!(descriptor.size(), 5);
/// assert!(descriptor.digest().matches(b"hello"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Descriptor {
    media_type: MediaType,
    digest: Digest,
    size: u64,
    // Most descriptors have none of these, and a copy clones many descriptors.
    extra: Option<Arc<Extra>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Extra {
    annotations: Annotations,
    artifact_type: Option<MediaType>,
    // What is large and rare lies elsewhere: the entries of an index have this struct each.
    platform: Option<Box<Platform>>,
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Rare {
    urls: Vec<String>,
    data: Option<Bytes>,
    other: serde_json::Map<String, serde_json::Value>,
}

static NO_EXTRA: LazyLock<Extra> = LazyLock::new(Extra::default);
static NOTHING_RARE: LazyLock<Rare> = LazyLock::new(Rare::default);

impl Descriptor {
    /// The largest size that a descriptor may claim: the spec's `int64`, in bytes.
    pub const MAX_SIZE: u64 = i64::MAX as u64;

    /// A descriptor with nothing but the three required fields; `size` in bytes.
    #[must_use]
    pub const fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            extra: None,
        }
    }

    /// The descriptor of `content`, by sha256.
    #[must_use]
    pub fn of(media_type: MediaType, content: &[u8]) -> Self {
        Self::of_with(Algorithm::Sha256, media_type, content)
    }

    /// The descriptor of `content`, by `algorithm`.
    #[must_use]
    pub fn of_with(algorithm: Algorithm, media_type: MediaType, content: &[u8]) -> Self {
        Self::new(media_type, algorithm.digest(content), content.len() as u64)
    }

    /// The descriptor of the two bytes `{}` (image-spec, "Guidance for an Empty Descriptor"), with
    /// its content inline.
    #[must_use]
    pub fn empty_json() -> Self {
        Self::of(MediaType::EMPTY_JSON, b"{}").with_data(Bytes::from_static(b"{}"))
    }

    /// What kind of content this is.
    #[must_use]
    pub const fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// The name of the content.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The length of the content, in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Where else the content may be downloaded.
    #[must_use]
    pub fn urls(&self) -> &[String] {
        &self.rare().urls
    }

    /// What else is said of the content.
    #[must_use]
    pub fn annotations(&self) -> &Annotations {
        &self.extra().annotations
    }

    /// One annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations().get(key).map(String::as_str)
    }

    /// The content itself, where it is carried inline; not verified.
    #[must_use]
    pub fn data(&self) -> Option<&Bytes> {
        self.rare().data.as_ref()
    }

    /// What the content runs on, where it is an entry of an index.
    #[must_use]
    pub fn platform(&self) -> Option<&Platform> {
        self.extra().platform.as_deref()
    }

    /// The type of the artifact that the content is the manifest of.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&MediaType> {
        self.extra().artifact_type.as_ref()
    }

    /// The three required fields alone.
    #[must_use]
    pub fn plain(&self) -> Self {
        Self {
            extra: None,
            ..self.clone()
        }
    }

    /// Replaces the media type.
    #[must_use]
    pub fn with_media_type(mut self, media_type: MediaType) -> Self {
        self.media_type = media_type;
        self
    }

    /// Sets one annotation.
    #[must_use]
    pub fn with_annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra_mut()
            .annotations
            .insert(key.into(), value.into());
        self
    }

    /// Replaces all annotations.
    #[must_use]
    pub fn with_annotations(mut self, annotations: Annotations) -> Self {
        if annotations != *self.annotations() {
            self.extra_mut().annotations = annotations;
            self.drop_empty_extra();
        }
        self
    }

    /// Carries the content inline.
    #[must_use]
    pub fn with_data(mut self, data: Bytes) -> Self {
        self.extra_mut().rare.get_or_insert_default().data = Some(data);
        self
    }

    /// Sets what the content runs on.
    #[must_use]
    pub fn with_platform(mut self, platform: Platform) -> Self {
        self.extra_mut().platform = Some(Box::new(platform));
        self
    }

    /// Sets or clears the type of the artifact.
    #[must_use]
    pub fn with_artifact_type(mut self, artifact_type: Option<MediaType>) -> Self {
        if artifact_type.as_ref() != self.artifact_type() {
            self.extra_mut().artifact_type = artifact_type;
            self.drop_empty_extra();
        }
        self
    }

    /// Whether both name the same content: the same digest and size.
    #[must_use]
    pub fn same_content(&self, other: &Self) -> bool {
        self.digest == other.digest && self.size == other.size
    }

    fn extra(&self) -> &Extra {
        self.extra.as_deref().unwrap_or(&NO_EXTRA)
    }

    fn rare(&self) -> &Rare {
        self.extra().rare.as_deref().unwrap_or(&NOTHING_RARE)
    }

    fn extra_mut(&mut self) -> &mut Extra {
        Arc::make_mut(self.extra.get_or_insert_default())
    }

    fn drop_empty_extra(&mut self) {
        if *self.extra() == *NO_EXTRA {
            self.extra = None;
        }
    }
}

impl PartialOrd for Descriptor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Descriptor {
    /// By digest, size and media type, then by what else is said, as JSON.
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |descriptor: &Self| (descriptor.digest, descriptor.size);
        key(self)
            .cmp(&key(other))
            .then_with(|| self.media_type.cmp(&other.media_type))
            .then_with(|| {
                if self.extra == other.extra {
                    return Ordering::Equal;
                }
                let json =
                    |descriptor: &Self| serde_json::to_string(descriptor).unwrap_or_default();
                json(self).cmp(&json(other))
            })
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}, {} bytes)",
            self.digest, self.media_type, self.size
        )
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Descriptor");
        debug.field("media_type", &self.media_type);
        debug.field("digest", &self.digest);
        debug.field("size", &self.size);
        if let Some(extra) = &self.extra {
            debug.field("extra", extra);
        }
        debug.finish()
    }
}

impl Serialize for Descriptor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (extra, rare) = (self.extra(), self.rare());
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("mediaType", &self.media_type)?;
        map.serialize_entry("digest", &self.digest)?;
        map.serialize_entry("size", &self.size)?;
        if !rare.urls.is_empty() {
            map.serialize_entry("urls", &rare.urls)?;
        }
        if !extra.annotations.is_empty() {
            map.serialize_entry("annotations", &extra.annotations)?;
        }
        if let Some(data) = &rare.data {
            map.serialize_entry("data", &BASE64.encode(data))?;
        }
        if let Some(platform) = &extra.platform {
            map.serialize_entry("platform", platform)?;
        }
        if let Some(artifact_type) = &extra.artifact_type {
            map.serialize_entry("artifactType", artifact_type)?;
        }
        for (key, value) in &rare.other {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DescriptorVisitor)
    }
}

// Written by hand because `#[serde(flatten)]` buffers every field, and an index of a large layout
// holds ten thousand descriptors.
struct DescriptorVisitor;

impl<'de> Visitor<'de> for DescriptorVisitor {
    type Value = Descriptor;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a descriptor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Descriptor, A::Error> {
        fn once<T, E: de::Error>(
            slot: &mut Option<T>,
            value: Option<T>,
            field: &'static str,
        ) -> Result<(), E> {
            if slot.is_some() {
                return Err(E::duplicate_field(field));
            }
            *slot = value;
            Ok(())
        }
        let (mut media_type, mut digest, mut size) = (None, None, None);
        let (mut urls, mut annotations, mut data) = (None, None, None);
        let (mut platform, mut artifact_type) = (None, None);
        let mut other = serde_json::Map::new();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match &*key {
                "mediaType" => once(&mut media_type, map.next_value()?, "mediaType")?,
                "digest" => once(&mut digest, Some(map.next_value()?), "digest")?,
                "size" => once(&mut size, Some(map.next_value::<Size>()?.0), "size")?,
                "urls" => once(&mut urls, map.next_value()?, "urls")?,
                "annotations" => once(&mut annotations, map.next_value()?, "annotations")?,
                "data" => once(&mut data, map.next_value::<Option<Data>>()?, "data")?,
                "platform" => once(&mut platform, map.next_value()?, "platform")?,
                "artifactType" => once(&mut artifact_type, map.next_value()?, "artifactType")?,
                _ => {
                    other.insert(key.into_owned(), map.next_value()?);
                }
            }
        }
        let rare = Rare {
            urls: urls.unwrap_or_default(),
            data: data.map(|data| data.0),
            other,
        };
        let extra = Extra {
            annotations: annotations.unwrap_or_default(),
            artifact_type: artifact_type.filter(|kind: &MediaType| !kind.as_str().is_empty()),
            platform,
            rare: (rare != *NOTHING_RARE).then(|| Box::new(rare)),
        };
        Ok(Descriptor {
            media_type: media_type.unwrap_or(MediaType::OCTET_STREAM),
            digest: digest.ok_or_else(|| de::Error::missing_field("digest"))?,
            size: size.ok_or_else(|| de::Error::missing_field("size"))?,
            extra: (extra != *NO_EXTRA).then(|| Arc::new(extra)),
        })
    }
}

struct Size(u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let size = i64::deserialize(deserializer)?;
        u64::try_from(size)
            .map(Self)
            .map_err(|_| de::Error::custom(format_args!("a size is not negative, this is {size}")))
    }
}

struct Data(Bytes);

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        BASE64
            .decode(text.as_bytes())
            .map(|bytes| Self(bytes.into()))
            .map_err(|error| de::Error::custom(format_args!("data is not base64: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn decode(json: &str) -> Result<Descriptor, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn unknown_fields_survive_a_round_trip() {
        let json = format!(
            r#"{{"mediaType":"text/plain","digest":"{HELLO}","size":5,"urls":["https://a.example"],"annotations":{{"a":"1","b":"2"}},"data":"aGVsbG8=","platform":{{"architecture":"amd64","os":"linux","future":true}},"artifactType":"x/y","zzz":[1,2]}}"#
        );
        let descriptor = decode(&json).expect("a descriptor");
        assert_eq!(descriptor.data().map(|data| &data[..]), Some(&b"hello"[..]));
        assert_eq!(serde_json::to_string(&descriptor).expect("json"), json);
    }

    #[test]
    fn null_stands_for_absent() {
        let json = format!(
            r#"{{"mediaType":null,"digest":"{HELLO}","size":5,"urls":null,"annotations":null,"data":null,"platform":null,"artifactType":null}}"#
        );
        let descriptor = decode(&json).expect("a descriptor");
        assert_eq!(
            descriptor,
            Descriptor::of(MediaType::OCTET_STREAM, b"hello")
        );
    }

    #[test]
    fn sizes_are_neither_negative_nor_beyond_int64_nor_fractions() {
        for size in ["-1", "9223372036854775808", "1.5", "1e3", "\"5\"", "null"] {
            let json = format!(r#"{{"digest":"{HELLO}","size":{size}}}"#);
            assert!(decode(&json).is_err(), "{size}");
        }
        let json = format!(r#"{{"digest":"{HELLO}","size":{}}}"#, i64::MAX);
        assert_eq!(
            decode(&json).expect("a descriptor").size(),
            Descriptor::MAX_SIZE
        );
    }

    #[test]
    fn a_field_that_stands_twice_is_refused() {
        let json = format!(r#"{{"digest":"{HELLO}","digest":"{HELLO}","size":5}}"#);
        assert!(decode(&json).expect_err("twice").contains("duplicate"));
    }

    #[test]
    fn setting_nothing_leaves_the_descriptor_equal() {
        let plain = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
        let same = plain
            .clone()
            .with_annotations(Annotations::new())
            .with_artifact_type(None);
        assert_eq!(same, plain);
        let emptied = plain
            .clone()
            .with_annotation("a", "b")
            .with_annotations(Annotations::new());
        assert_eq!(emptied, plain);
    }
}
