//! A document of any kind, decoded by its media type.

use serde::{Deserialize, Deserializer};

use super::types::{ArtifactManifest, Index, Manifest};
use crate::descriptor::{Annotations, Descriptor};
use crate::error::{Error, ErrorKind, Result};
use crate::media_type::MediaType;

/// A manifest of any kind, decoded by its media type.
///
/// ```
/// use tranship::{Descriptor, Index, ManifestDocument, MediaType};
///
/// let index = serde_json::to_vec(&Index::new(vec![Descriptor::empty_json()])).unwrap();
/// let document = ManifestDocument::decode(&MediaType::IMAGE_INDEX, &index)?;
/// assert_eq!(document.unwrap().successors().len(), 1);
/// # Ok::<(), tranship::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestDocument {
    /// An OCI manifest or a Docker manifest of schema 2.
    Manifest(Manifest),
    /// An OCI index or a Docker manifest list.
    Index(Index),
    /// The withdrawn artifact manifest.
    Artifact(ArtifactManifest),
}

/// The fields of manifests of every kind.
const SHARED_FIELDS: [&str; 4] = ["mediaType", "artifactType", "subject", "annotations"];

/// The fields that make a Docker manifest of schema 1, and that no other kind has.
const SCHEMA_1_FIELDS: [&str; 3] = ["fsLayers", "history", "signatures"];

/// Whether Go's decoder of JSON takes `name` for the field `field`, which is in ASCII: it folds the case of
/// names as Unicode does, by which two characters beyond ASCII are letters in ASCII.
fn is_same_field(field: &str, name: &str) -> bool {
    let folded = name.chars().map(|character| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    folded.eq(field
        .chars()
        .map(|character| character.to_ascii_lowercase()))
}

impl ManifestDocument {
    /// Decodes `content` as what `media_type` says it is; returns `None` for every type that is not a
    /// manifest.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidManifest`] if the content is not such a document, if its own `mediaType` or
    /// `schemaVersion` is another one, or if it also has what makes a manifest of another kind, such as
    /// `layers` beside `manifests`, or a field of its own in another case, such as `Layers`: two programs could
    /// take it for two different things (CVE-2021-41190).
    pub fn decode(media_type: &MediaType, content: &[u8]) -> Result<Option<Self>> {
        let document = if *media_type == MediaType::ARTIFACT_MANIFEST {
            Self::Artifact(decode_json(media_type, content)?)
        } else if media_type.is_index() {
            Self::Index(decode_json(media_type, content)?)
        } else if media_type.is_manifest() {
            Self::Manifest(decode_json(media_type, content)?)
        } else {
            return Ok(None);
        };
        document.checked(media_type).map(Some)
    }

    fn checked(self, media_type: &MediaType) -> Result<Self> {
        if let Some(field) = self.contradiction() {
            return Err(Error::new(
                ErrorKind::InvalidManifest,
                format!("the manifest is to be read as {media_type}, and also has `{field}`"),
            )
            .with_hint("programs would disagree about what it is; remove one of the two"));
        }
        if let Some(version) = self.schema_version().filter(|version| *version != 2) {
            return Err(Error::new(
                ErrorKind::InvalidManifest,
                format!("the manifest has the schemaVersion {version}, and {media_type} has 2"),
            ));
        }
        match self.own_media_type() {
            Some(own) if own != media_type => Err(Error::new(
                ErrorKind::InvalidManifest,
                format!("the manifest says that it is {own}, its descriptor says {media_type}"),
            )),
            _ => Ok(self),
        }
    }

    /// Returns the name of a field that only a manifest of another kind has, unless it is `null`, or that some
    /// programs take for a field of this kind, and others do not: Go's decoder of JSON ignores the case of
    /// names.
    fn contradiction(&self) -> Option<&str> {
        let (other, own, foreign): (_, &[&str], &[&str]) = match self {
            Self::Manifest(manifest) => (
                &manifest.other,
                &["schemaVersion", "config", "layers"],
                &["manifests", "blobs"],
            ),
            Self::Index(index) => (
                &index.other,
                &["schemaVersion", "manifests"],
                &["config", "layers", "blobs"],
            ),
            // Some programs write a schemaVersion here, which the withdrawn format does not have.
            Self::Artifact(artifact) => (
                &artifact.other,
                &["blobs"],
                &["config", "layers", "manifests"],
            ),
        };
        let is_own = |name: &str| {
            own.iter()
                .chain(&SHARED_FIELDS)
                .any(|own| is_same_field(own, name))
        };
        let is_foreign = |name: &str| {
            foreign
                .iter()
                .chain(&SCHEMA_1_FIELDS)
                .any(|field| is_same_field(field, name))
        };
        other
            .iter()
            .find(|(name, value)| is_own(name) || is_foreign(name) && !value.is_null())
            .map(|(name, _)| name.as_str())
    }

    fn schema_version(&self) -> Option<u32> {
        match self {
            Self::Manifest(manifest) => Some(manifest.schema_version),
            Self::Index(index) => Some(index.schema_version),
            Self::Artifact(_) => None,
        }
    }

    /// Like [`decode`](Self::decode), but keeps of each manifest that an index lists the three
    /// required fields alone: all that a store needs to know the graph by, in a fraction of the memory.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_plain(media_type: &MediaType, content: &[u8]) -> Result<Option<Self>> {
        if !media_type.is_index() {
            return Self::decode(media_type, content);
        }
        let PlainIndex { manifests, head } = decode_json(media_type, content)?;
        let index = Index { manifests, ..head };
        Self::Index(index).checked(media_type).map(Some)
    }

    /// Returns the media type of `content`, if it reads as a manifest: by its own `mediaType`, or else by
    /// the fields that it has, unless those are of several kinds. For stores that keep no media type
    /// beside the bytes.
    #[must_use]
    pub fn sniff(content: &[u8]) -> Option<MediaType> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Shape {
            #[serde(default)]
            schema_version: Option<u32>,
            #[serde(default)]
            media_type: Option<MediaType>,
            #[serde(default)]
            config: Option<serde::de::IgnoredAny>,
            #[serde(default)]
            layers: Option<serde::de::IgnoredAny>,
            #[serde(default)]
            manifests: Option<serde::de::IgnoredAny>,
        }
        let shape: Shape = serde_json::from_slice(content).ok()?;
        match shape.media_type {
            Some(own) if !own.as_str().is_empty() => own.is_manifest().then_some(own),
            _ if shape.schema_version != Some(2) => None,
            _ if shape.manifests.is_some()
                && (shape.config.is_some() || shape.layers.is_some()) =>
            {
                None
            }
            _ if shape.config.is_some() && shape.layers.is_some() => {
                Some(MediaType::IMAGE_MANIFEST)
            }
            _ if shape.manifests.is_some() => Some(MediaType::IMAGE_INDEX),
            _ => None,
        }
    }

    /// What the document refers to: the subject, then the config, then layers, manifests or blobs
    /// in their order.
    #[must_use]
    pub fn successors(&self) -> Vec<Descriptor> {
        self.iter_successors().cloned().collect()
    }

    /// The same as [`successors`](Self::successors), one by one: an index can list very many.
    pub fn iter_successors(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, rest) = match self {
            Self::Manifest(manifest) => (Some(&manifest.config), &manifest.layers),
            Self::Index(index) => (None, &index.manifests),
            Self::Artifact(artifact) => (None, &artifact.blobs),
        };
        self.subject().into_iter().chain(config).chain(rest)
    }

    /// The same as [`successors`](Self::successors), taken over: an index can list very many.
    #[must_use]
    pub fn into_successors(self) -> Vec<Descriptor> {
        let (subject, config, mut rest) = match self {
            Self::Manifest(manifest) => (manifest.subject, Some(manifest.config), manifest.layers),
            Self::Index(index) => (index.subject, None, index.manifests),
            Self::Artifact(artifact) => (artifact.subject, None, artifact.blobs),
        };
        rest.splice(0..0, subject.into_iter().chain(config));
        rest
    }

    /// Returns the manifest that this one refers to. Docker's formats do not define the field, but where it is
    /// set it means the same.
    #[must_use]
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Manifest(manifest) => manifest.subject.as_ref(),
            Self::Index(index) => index.subject.as_ref(),
            Self::Artifact(artifact) => artifact.subject.as_ref(),
        }
    }

    /// What a list of referrers says of this one (distribution-spec, "Listing Referrers"): the
    /// artifact type, and for a manifest without one its config's media type.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&MediaType> {
        let own = match self {
            Self::Manifest(manifest) => &manifest.artifact_type,
            Self::Index(index) => &index.artifact_type,
            Self::Artifact(artifact) => &artifact.artifact_type,
        };
        let own = own.as_ref().filter(|own| !own.as_str().is_empty());
        match self {
            Self::Manifest(manifest) => own.or(Some(manifest.config.media_type())),
            _ => own,
        }
    }

    /// The document's annotations.
    #[must_use]
    pub fn annotations(&self) -> &Annotations {
        match self {
            Self::Manifest(manifest) => &manifest.annotations,
            Self::Index(index) => &index.annotations,
            Self::Artifact(artifact) => &artifact.annotations,
        }
    }

    /// Returns the media type that the document says it has, if it says one. An empty text says none: Go programs,
    /// such as distribution and containerd, cannot tell it from an absent field, and image-spec does not require
    /// the field.
    #[must_use]
    pub fn own_media_type(&self) -> Option<&MediaType> {
        let own = match self {
            Self::Manifest(manifest) => &manifest.media_type,
            Self::Index(index) => &index.media_type,
            Self::Artifact(artifact) => &artifact.media_type,
        };
        own.as_ref().filter(|own| !own.as_str().is_empty())
    }
}

fn decode_json<'a, T: Deserialize<'a>>(media_type: &MediaType, content: &'a [u8]) -> Result<T> {
    serde_json::from_slice(content).map_err(|error| {
        Error::new(
            ErrorKind::InvalidManifest,
            format!("cannot be decoded as {media_type}"),
        )
        .with_source(error)
    })
}

/// An index whose manifests are reduced one by one, as they are read.
#[derive(Deserialize)]
struct PlainIndex {
    #[serde(default, deserialize_with = "plain_descriptors")]
    manifests: Vec<Descriptor>,
    #[serde(flatten)]
    head: Index,
}

fn plain_descriptors<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Descriptor>, D::Error> {
    struct Plain(Descriptor);

    impl<'de> Deserialize<'de> for Plain {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Descriptor::deserialize(deserializer).map(|whole| Self(whole.plain()))
        }
    }

    let manifests: Vec<Plain> = crate::lenient::null_as_default(deserializer)?;
    Ok(manifests.into_iter().map(|plain| plain.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::encode_json;

    const EMPTY: &str = r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;

    fn decode(media_type: &MediaType, json: &str) -> Result<ManifestDocument> {
        let document = ManifestDocument::decode(media_type, json.as_bytes())?;
        Ok(document.expect("a manifest's media type"))
    }

    #[test]
    fn successors_are_subject_then_config_then_the_rest() {
        let other = EMPTY.replace("\"size\":2", "\"size\":3");
        let third = EMPTY.replace("\"size\":2", "\"size\":4");
        let sizes = |media_type: &MediaType, json: &str| -> Vec<u64> {
            let document = decode(media_type, json).expect("a manifest");
            let successors = document.successors();
            assert_eq!(document.into_successors(), successors);
            successors.iter().map(Descriptor::size).collect()
        };
        let manifest = format!(
            r#"{{"schemaVersion":2,"layers":[{third}],"config":{other},"subject":{EMPTY}}}"#
        );
        assert_eq!(sizes(&MediaType::IMAGE_MANIFEST, &manifest), [2, 3, 4]);
        let index =
            format!(r#"{{"schemaVersion":2,"manifests":[{other},{third}],"subject":{EMPTY}}}"#);
        assert_eq!(sizes(&MediaType::IMAGE_INDEX, &index), [2, 3, 4]);
        let artifact = format!(r#"{{"blobs":[{other},{third}],"subject":{EMPTY}}}"#);
        assert_eq!(sizes(&MediaType::ARTIFACT_MANIFEST, &artifact), [2, 3, 4]);
    }

    #[test]
    fn null_lists_are_empty() {
        let manifest =
            format!(r#"{{"schemaVersion":2,"config":{EMPTY},"layers":null,"annotations":null}}"#);
        let document = decode(&MediaType::IMAGE_MANIFEST, &manifest).expect("a manifest");
        assert_eq!(document.successors().len(), 1);
        let index = r#"{"schemaVersion":2,"manifests":null}"#;
        let document = decode(&MediaType::IMAGE_INDEX, index).expect("an index");
        assert!(document.successors().is_empty());
    }

    #[test]
    fn a_plain_index_lists_the_same_and_says_less() {
        let entry = EMPTY.replace('}', r#","platform":{"os":"linux","architecture":"arm64"}}"#);
        let json = format!(
            r#"{{"schemaVersion":2,"manifests":[{entry}],"subject":{EMPTY},"annotations":{{"a":"1"}},"future":[1]}}"#
        );
        let kind = &MediaType::IMAGE_INDEX;
        let plain = ManifestDocument::decode_plain(kind, json.as_bytes()).expect("an index");
        let Some(ManifestDocument::Index(plain)) = plain else {
            panic!("not an index");
        };
        let Ok(ManifestDocument::Index(mut whole)) = decode(kind, &json) else {
            panic!("not an index");
        };
        assert_ne!(plain, whole);
        whole.manifests = whole.manifests.iter().map(Descriptor::plain).collect();
        assert_eq!(plain, whole);
    }

    #[test]
    fn a_plain_index_is_checked_like_any_other() {
        for json in [
            r#"{"schemaVersion":2,"manifests":[{"size":1}]}"#.to_owned(),
            r#"{"manifests":[]}"#.to_owned(),
            format!(
                r#"{{"schemaVersion":2,"manifests":[{},"platform":1}}]}}"#,
                EMPTY.trim_end_matches('}')
            ),
            format!(
                r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#,
                MediaType::IMAGE_MANIFEST
            ),
        ] {
            let kind = &MediaType::IMAGE_INDEX;
            assert!(decode(kind, &json).is_err(), "{json}");
            let plain = ManifestDocument::decode_plain(kind, json.as_bytes());
            let error = plain.expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidManifest, "{json}");
        }
        let null = br#"{"schemaVersion":2,"manifests":null}"#;
        let plain = ManifestDocument::decode_plain(&MediaType::IMAGE_INDEX, null);
        assert!(plain.is_ok());
    }

    #[test]
    fn docker_formats_may_have_a_subject() {
        for (kind, fields) in [
            (
                MediaType::DOCKER_MANIFEST,
                format!(r#""config":{EMPTY},"layers":[]"#),
            ),
            (
                MediaType::DOCKER_MANIFEST_LIST,
                r#""manifests":[]"#.to_owned(),
            ),
        ] {
            let json = format!(r#"{{"schemaVersion":2,{fields},"subject":{EMPTY}}}"#);
            let document = decode(&kind, &json).expect("a manifest");
            let subject = document.subject().expect("a subject");
            assert_eq!(document.successors().first(), Some(subject));
        }
    }

    #[test]
    fn a_manifest_that_claims_to_be_another_kind_is_refused() {
        let image = |also: &str| {
            let own = format!(r#"{{"schemaVersion":2,"config":{EMPTY},"layers":[]{also}}}"#);
            (MediaType::IMAGE_MANIFEST, own)
        };
        let index = |also: &str| {
            let own = format!(r#"{{"schemaVersion":2,"manifests":[]{also}}}"#);
            (MediaType::IMAGE_INDEX, own)
        };
        let artifact = |also: &str| {
            let own = format!(r#"{{"blobs":[]{also}}}"#);
            (MediaType::ARTIFACT_MANIFEST, own)
        };
        let own_type = format!(r#","mediaType":"{}""#, MediaType::DOCKER_MANIFEST);
        for (kind, json) in [
            image(&own_type),
            index(&own_type),
            artifact(&own_type),
            image(r#","manifests":[]"#),
            image(r#","Manifests":[]"#),
            image(r#","fsLayers":[]"#),
            image(r#","blobs":[]"#),
            image(r#","signatures":[]"#),
            image(r#","history":[]"#),
            image(&own_type.replace("mediaType", "MediaType")),
            image(&own_type.replace("mediaType", "MEDIATYPE")),
            image(r#","mediatype":"""#),
            image(r#","Config":{}"#),
            image(r#","Layers":null"#),
            image(r#","layerſ":[]"#),
            image(r#","Subject":{}"#),
            image(r#","SchemaVersion":2"#),
            index(r#","Manifests":[]"#),
            index(r#","blobs":[]"#),
            index(r#","Signatures":[]"#),
            artifact(r#","Blobs":[]"#),
            artifact(r#","history":[]"#),
            index(r#","layers":[]"#),
            index(r#","CONFIG":{}"#),
            artifact(r#","layers":[]"#),
            artifact(r#","manifests":[]"#),
        ] {
            let error = decode(&kind, &json).expect_err(&json);
            assert_eq!(error.kind(), ErrorKind::InvalidManifest, "{json}");
            let plain = ManifestDocument::decode_plain(&kind, json.as_bytes());
            plain.expect_err(&json);
        }
        for (kind, json) in [
            image(r#","manifests":null,"mediaType":"""#),
            index(r#","layers":null,"config":null"#),
            index(r#","annotations":{"layers":"1"}"#),
            index(r#","blobs":null,"history":null"#),
            artifact(r#","schemaVersion":2"#),
        ] {
            decode(&kind, &json).expect(&json);
        }
    }

    #[test]
    fn another_schema_version_is_refused() {
        for version in ["0", "1", "3"] {
            for (kind, fields) in [
                (
                    MediaType::IMAGE_MANIFEST,
                    format!(r#""config":{EMPTY},"layers":[]"#),
                ),
                (
                    MediaType::DOCKER_MANIFEST,
                    format!(r#""config":{EMPTY},"layers":[]"#),
                ),
                (MediaType::IMAGE_INDEX, r#""manifests":[]"#.to_owned()),
            ] {
                let json = format!(r#"{{"schemaVersion":{version},{fields}}}"#);
                let error = decode(&kind, &json).expect_err(&json);
                assert_eq!(error.kind(), ErrorKind::InvalidManifest, "{json}");
                let plain = ManifestDocument::decode_plain(&kind, json.as_bytes());
                plain.expect_err(&json);
            }
        }
    }

    #[test]
    fn what_is_no_manifest_is_an_error_and_never_a_panic() {
        let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let deep = format!(r#"{{"schemaVersion":2,"manifests":[],"x":{nested}}}"#);
        for json in [
            "",
            "null",
            "[]",
            "{}",
            "{\"schemaVersion\":",
            "\u{feff}{}",
            &nested,
            &deep,
        ] {
            let error = decode(&MediaType::IMAGE_MANIFEST, json).expect_err("no manifest");
            assert_eq!(error.kind(), ErrorKind::InvalidManifest);
        }
        assert!(decode(&MediaType::IMAGE_INDEX, &deep).is_err());
    }

    #[test]
    fn the_artifact_type_falls_back_on_the_config_for_manifests_only() {
        let artifact_type = |media_type: &MediaType, json: &str| {
            let document = decode(media_type, json).expect("a manifest");
            document.artifact_type().map(ToString::to_string)
        };
        let manifest =
            |own: &str| format!(r#"{{"schemaVersion":2,{own}"config":{EMPTY},"layers":[]}}"#);
        let kind = &MediaType::IMAGE_MANIFEST;
        let config_type = Some(MediaType::EMPTY_JSON.to_string());
        assert_eq!(artifact_type(kind, &manifest("")), config_type);
        assert_eq!(
            artifact_type(kind, &manifest("\"artifactType\":\"\",")),
            config_type
        );
        assert_eq!(
            artifact_type(kind, &manifest("\"artifactType\":\"a/b\",")).as_deref(),
            Some("a/b")
        );
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert_eq!(artifact_type(&MediaType::IMAGE_INDEX, index), None);
    }

    #[test]
    fn manifests_are_told_from_blobs_by_what_they_say() {
        let sniff = |json: &str| ManifestDocument::sniff(json.as_bytes());
        let named = format!(r#"{{"mediaType":"{}"}}"#, MediaType::DOCKER_MANIFEST);
        assert_eq!(sniff(&named), Some(MediaType::DOCKER_MANIFEST));
        let unnamed = format!(r#"{{"schemaVersion":2,"config":{EMPTY},"layers":[]}}"#);
        assert_eq!(sniff(&unnamed), Some(MediaType::IMAGE_MANIFEST));
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert_eq!(sniff(index), Some(MediaType::IMAGE_INDEX));
        for blob in [
            "",
            "{}",
            "[]",
            r#"{"os":"linux","config":{}}"#,
            "\u{1f}\u{8b}",
            r#"{"schemaVersion":2,"manifests":[],"config":{},"layers":[]}"#,
            r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
        ] {
            assert_eq!(sniff(blob), None, "{blob}");
        }
    }

    #[test]
    fn unknown_fields_survive_and_encoding_is_the_same_each_time() {
        let json = format!(
            r#"{{"schemaVersion":2,"config":{EMPTY},"layers":[],"annotations":{{"a":"1","b":"2"}},"future":{{"x":[1]}}}}"#
        );
        let manifest: Manifest = serde_json::from_str(&json).expect("a manifest");
        assert_eq!(encode_json(&manifest).expect("json"), json);
    }
}
