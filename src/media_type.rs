//! Media types: the names of content formats, and which of them mean a manifest.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::printable::Printable;

/// A media type (RFC 6838), such as `application/vnd.oci.image.manifest.v1+json`.
///
/// What stands in a stored manifest is taken as it is, so a value of this type need not follow the
/// grammar; [`MediaType::validate`] checks it, and [`FromStr`] does so on the way in. Cheap to clone.
///
/// ```
/// use tranship::MediaType;
///
/// let sbom: MediaType = "application/spdx+json".parse()?;
/// assert!(!sbom.is_manifest());
/// assert!(MediaType::IMAGE_INDEX.is_manifest());
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Clone)]
pub struct MediaType(Repr);

/// Every descriptor has one, so it is small: 16 bytes, as a text behind two pointers is one of few.
#[derive(Clone)]
enum Repr {
    Static(&'static str),
    Shared(Arc<Box<str>>),
}

impl MediaType {
    /// The OCI image manifest.
    pub const IMAGE_MANIFEST: Self =
        Self::from_static("application/vnd.oci.image.manifest.v1+json");
    /// The OCI image index.
    pub const IMAGE_INDEX: Self = Self::from_static("application/vnd.oci.image.index.v1+json");
    /// The OCI artifact manifest, withdrawn before image-spec 1.1 was released, but still in stores.
    pub const ARTIFACT_MANIFEST: Self =
        Self::from_static("application/vnd.oci.artifact.manifest.v1+json");
    /// The Docker image manifest, version 2, schema 2.
    pub const DOCKER_MANIFEST: Self =
        Self::from_static("application/vnd.docker.distribution.manifest.v2+json");
    /// The Docker manifest list.
    pub const DOCKER_MANIFEST_LIST: Self =
        Self::from_static("application/vnd.docker.distribution.manifest.list.v2+json");
    /// The OCI image configuration.
    pub const IMAGE_CONFIG: Self = Self::from_static("application/vnd.oci.image.config.v1+json");
    /// The Docker image configuration.
    pub const DOCKER_CONFIG: Self =
        Self::from_static("application/vnd.docker.container.image.v1+json");
    /// An OCI image layer, an uncompressed tar.
    pub const IMAGE_LAYER: Self = Self::from_static("application/vnd.oci.image.layer.v1.tar");
    /// An OCI image layer, compressed with gzip.
    pub const IMAGE_LAYER_GZIP: Self =
        Self::from_static("application/vnd.oci.image.layer.v1.tar+gzip");
    /// The two bytes `{}`, which stand for "no config" (image-spec, "Guidance for an Empty Descriptor").
    pub const EMPTY_JSON: Self = Self::from_static("application/vnd.oci.empty.v1+json");
    /// The config of an artifact that names no type, packed by the rules of image-spec 1.0.
    pub const UNKNOWN_CONFIG: Self = Self::from_static("application/vnd.unknown.config.v1+json");
    /// Bytes of which nothing is known.
    pub const OCTET_STREAM: Self = Self::from_static("application/octet-stream");

    /// The types that [`is_manifest`](Self::is_manifest) answers `true` for.
    pub const MANIFESTS: [Self; 5] = [
        Self::IMAGE_MANIFEST,
        Self::IMAGE_INDEX,
        Self::DOCKER_MANIFEST,
        Self::DOCKER_MANIFEST_LIST,
        Self::ARTIFACT_MANIFEST,
    ];

    /// A constant media type; not validated.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Repr::Static(text))
    }

    /// A media type as it was found in a stored document; not validated.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(Repr::Shared(Arc::new(text.into())))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Static(text) => text,
            Repr::Shared(text) => text,
        }
    }

    /// Whether content of this type is a manifest, an index or a manifest list: what repositories
    /// keep in their manifest store, and what can have successors.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        Self::MANIFESTS.contains(self)
    }

    /// Whether content of this type lists manifests: an OCI index or a Docker manifest list.
    #[must_use]
    pub fn is_index(&self) -> bool {
        [Self::IMAGE_INDEX, Self::DOCKER_MANIFEST_LIST].contains(self)
    }

    /// Whether this is the type of a Docker manifest of schema 1, which nothing here reads.
    #[must_use]
    pub fn is_schema_1(&self) -> bool {
        [
            "application/vnd.docker.distribution.manifest.v1+json",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
        ]
        .contains(&self.as_str())
    }

    /// Whether a layer of this type must not be handed out by registries (image-spec,
    /// "Non-Distributable Layers", and Docker's foreign layers).
    #[must_use]
    pub fn is_non_distributable(&self) -> bool {
        [
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        ]
        .contains(&self.as_str())
    }

    /// Checks the grammar of RFC 6838, section 4.2: `type/subtype`, each of 1 to 127 characters.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMediaType`].
    pub fn validate(&self) -> Result<()> {
        let well_formed = self
            .as_str()
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_restricted_name(kind) && is_restricted_name(subtype));
        if well_formed {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidMediaType,
            "a media type has the form type/subtype, without parameters",
        )
        .with_subject(Printable(self.as_str())))
    }
}

fn is_restricted_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    (1..=127).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(byte))
}

impl PartialEq for MediaType {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for MediaType {}

impl Hash for MediaType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for MediaType {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MediaType {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl AsRef<str> for MediaType {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl FromStr for MediaType {
    type Err = Error;

    /// Reads a media type that must follow the grammar.
    ///
    /// # Errors
    /// As [`MediaType::validate`].
    fn from_str(text: &str) -> Result<Self> {
        let media_type = Self::from_stored(text);
        media_type.validate()?;
        Ok(media_type)
    }
}

impl serde::Serialize for MediaType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for MediaType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        // The types that nearly every document holds need no allocation.
        let known = Self::MANIFESTS
            .into_iter()
            .chain([Self::IMAGE_CONFIG, Self::IMAGE_LAYER_GZIP, Self::EMPTY_JSON])
            .find(|known| known.as_str() == text);
        Ok(known.unwrap_or_else(|| Self::from_stored(&text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_of_rfc_6838_decides() {
        for good in [
            "application/vnd.oci.image.manifest.v1+json",
            "text/plain",
            "application/json+ld",
            "application/x.foo",
            "application/x-foo",
            "application/vnd.foo^bar",
        ] {
            assert!(good.parse::<MediaType>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "application/",
            "/x",
            "application",
            "a/b/c",
            "-a/b",
            "a/-b",
            "a/b%",
            "a/b c",
            "text/plain; charset=utf-8",
        ] {
            let error = bad.parse::<MediaType>().expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::InvalidMediaType, "{bad}");
        }
        let long = "x".repeat(127);
        assert!(format!("{long}/{long}").parse::<MediaType>().is_ok());
        assert!(format!("{long}x/{long}").parse::<MediaType>().is_err());
    }

    #[test]
    fn static_and_shared_texts_are_the_same_type() {
        let shared = MediaType::from_stored(MediaType::IMAGE_INDEX.as_str());
        assert_eq!(shared, MediaType::IMAGE_INDEX);
        assert!(shared.is_index());
    }
}
