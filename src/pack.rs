//! Packing artifacts: the manifest around a config and layers (image-spec, "Guidelines for Artifact
//! Usage").

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};

use crate::content::Source;
use crate::descriptor::{Annotations, Descriptor};
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::manifest::{Manifest, encode_json};
use crate::media_type::MediaType;
use crate::reference::Tag;
use crate::storage::{Pusher, ReferencePusher};

/// The annotation that says when an artifact was packed.
const CREATED: &str = "org.opencontainers.image.created";

/// By which version of the image spec a manifest is packed.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PackVersion {
    /// Image-spec 1.0, for registries that know nothing newer: the config's media type says what the
    /// artifact is, and there is no subject.
    V1_0,
    /// Image-spec 1.1: `artifactType`, `subject`, and the empty descriptor where there is no config
    /// or no layer.
    #[default]
    V1_1,
}

/// What [`pack_manifest`] packs.
///
/// ```
/// use tranship::{Descriptor, MediaType, PackOptions};
///
/// let layer = Descriptor::of("text/plain".parse()?, b"hello");
/// let options = PackOptions::new("application/vnd.example.greeting".parse()?)
///     .with_layer(layer)
///     .with_annotation("org.opencontainers.image.title", "greeting");
/// # Ok::<(), tranship::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackOptions {
    /// By which rules.
    pub version: PackVersion,
    /// What the artifact is. May be left out where the config says it.
    pub artifact_type: Option<MediaType>,
    /// The config, which must be pushed by the caller. Without one an empty config is pushed.
    pub config: Option<Descriptor>,
    /// Annotations of the empty config.
    pub config_annotations: Annotations,
    /// The layers, which must be pushed by the caller.
    pub layers: Vec<Descriptor>,
    /// The manifest that the artifact refers to.
    pub subject: Option<Descriptor>,
    /// The manifest's annotations. The time of packing is added as
    /// `org.opencontainers.image.created` unless it is among them: give it for a manifest that is the
    /// same each time.
    pub annotations: Annotations,
}

impl PackOptions {
    /// An artifact of the given type.
    #[must_use]
    pub fn new(artifact_type: MediaType) -> Self {
        Self {
            artifact_type: Some(artifact_type),
            ..Self::default()
        }
    }

    /// Sets [`version`](Self::version).
    #[must_use]
    pub fn with_version(mut self, version: PackVersion) -> Self {
        self.version = version;
        self
    }

    /// Sets [`config`](Self::config).
    #[must_use]
    pub fn with_config(mut self, config: Descriptor) -> Self {
        self.config = Some(config);
        self
    }

    /// Adds to [`config_annotations`](Self::config_annotations).
    #[must_use]
    pub fn with_config_annotation(
        mut self,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.config_annotations.insert(key.into(), value.into());
        self
    }

    /// Adds to [`layers`](Self::layers).
    #[must_use]
    pub fn with_layer(mut self, layer: Descriptor) -> Self {
        self.layers.push(layer);
        self
    }

    /// Sets [`subject`](Self::subject).
    #[must_use]
    pub fn with_subject(mut self, subject: Descriptor) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Adds to [`annotations`](Self::annotations).
    #[must_use]
    pub fn with_annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }
}

/// Packs an artifact's manifest, pushes it and the empty content that it needs, and returns its
/// descriptor, which carries the artifact type and the annotations.
///
/// # Errors
/// - [`ErrorKind::InvalidInput`] if there is no artifact type and nothing else that says it, or if
///   the `created` annotation is not a time of RFC 3339.
/// - [`ErrorKind::InvalidMediaType`] if a media type breaks the grammar.
/// - [`ErrorKind::Unsupported`] for a subject by the rules of 1.0.
/// - As [`Pusher::push`](crate::Pusher::push).
pub async fn pack_manifest(store: &dyn Pusher, options: &PackOptions) -> Result<Descriptor> {
    let (packed, content) = pack(store, options).await?;
    let pushed = store.push(&packed.plain(), Source::from(content)).await;
    pushed.during("push", packed.digest())?;
    Ok(packed)
}

/// As [`pack_manifest`], and points `tags` at the manifest in the same push.
///
/// # Errors
/// As [`pack_manifest`].
pub async fn pack_and_tag<R>(
    repository: &R,
    options: &PackOptions,
    tags: &[Tag],
) -> Result<Descriptor>
where
    R: Pusher + ReferencePusher + ?Sized,
{
    let (packed, content) = pack(repository, options).await?;
    let (target, source) = (packed.plain(), Source::from(content));
    let pushed = repository.push_reference(&target, source, tags).await;
    pushed.during("push", packed.digest())?;
    Ok(packed)
}

/// Pushes the empty config and layer, and returns the manifest.
async fn pack<P>(store: &P, options: &PackOptions) -> Result<(Descriptor, Bytes)>
where
    P: Pusher + ?Sized,
{
    let mut blobs = Vec::new();
    let manifest = match options.version {
        PackVersion::V1_0 => pack_v1_0(options, &mut blobs)?,
        PackVersion::V1_1 => pack_v1_1(options, &mut blobs)?,
    };
    for (descriptor, content) in blobs {
        let pushed = store.push(&descriptor, Source::from(content)).await;
        pushed.during("push", descriptor.digest())?;
    }
    let content = escape_as_go(encode_json(&manifest)?);
    let artifact_type = manifest
        .artifact_type
        .unwrap_or_else(|| manifest.config.media_type().clone());
    let packed = Descriptor::of(MediaType::IMAGE_MANIFEST, &content)
        .with_artifact_type(Some(artifact_type))
        .with_annotations(manifest.annotations);
    Ok((packed, content))
}

/// Escapes the characters in JSON that Go's encoder escapes for the sake of HTML and JavaScript, so that the same
/// manifest has the same digest as one that a program in Go packs. They occur in strings only.
fn escape_as_go(json: Bytes) -> Bytes {
    let escapes = [
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u{2028}", "\\u2028"),
        ("\u{2029}", "\\u2029"),
    ];
    let Ok(text) = str::from_utf8(&json) else {
        return json;
    };
    if !escapes
        .iter()
        .any(|(character, _)| text.contains(character))
    {
        return json;
    }
    let escape = |text: String, (character, escape): (&str, &str)| text.replace(character, escape);
    Bytes::from(escapes.into_iter().fold(text.to_owned(), escape))
}

type Blobs = Vec<(Descriptor, Bytes)>;

fn pack_v1_0(options: &PackOptions, blobs: &mut Blobs) -> Result<Manifest> {
    if options.subject.is_some() {
        return Err(Error::unsupported(
            "manifests of image-spec 1.0 have no subject",
        ));
    }
    let config = match &options.config {
        Some(config) => checked_config(config)?,
        None => {
            let kind = match &options.artifact_type {
                Some(kind) => checked(kind)?,
                None => MediaType::UNKNOWN_CONFIG,
            };
            empty_blob(kind, &options.config_annotations, blobs)
        }
    };
    Ok(Manifest {
        annotations: annotations_with_created(options)?,
        ..Manifest::new(config, options.layers.clone())
    })
}

fn pack_v1_1(options: &PackOptions, blobs: &mut Blobs) -> Result<Manifest> {
    let artifact_type = options.artifact_type.as_ref().map(checked).transpose()?;
    let config_says = options
        .config
        .as_ref()
        .is_some_and(|config| *config.media_type() != MediaType::EMPTY_JSON);
    if artifact_type.is_none() && !config_says {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "an artifact without a config needs an artifact type",
        )
        .with_hint("give the artifact type, or a config whose media type says what it is"));
    }
    let config = match &options.config {
        Some(config) => checked_config(config)?,
        None => empty_blob(MediaType::EMPTY_JSON, &options.config_annotations, blobs),
    };
    let layers = if options.layers.is_empty() {
        vec![empty_blob(
            MediaType::EMPTY_JSON,
            &Annotations::new(),
            blobs,
        )]
    } else {
        options.layers.clone()
    };
    Ok(Manifest {
        artifact_type,
        subject: options.subject.as_ref().map(Descriptor::plain),
        annotations: annotations_with_created(options)?,
        ..Manifest::new(config, layers)
    })
}

fn checked(media_type: &MediaType) -> Result<MediaType> {
    media_type.validate()?;
    Ok(media_type.clone())
}

fn checked_config(config: &Descriptor) -> Result<Descriptor> {
    config.media_type().validate()?;
    Ok(config.clone())
}

/// The content `{}` under any media type, to be pushed once.
fn empty_blob(media_type: MediaType, annotations: &Annotations, blobs: &mut Blobs) -> Descriptor {
    const EMPTY: &[u8] = b"{}";
    let empty = if media_type == MediaType::EMPTY_JSON {
        Descriptor::empty_json()
    } else {
        Descriptor::of(media_type, EMPTY)
    };
    if blobs.is_empty() {
        blobs.push((empty.plain(), Bytes::from_static(EMPTY)));
    }
    empty.with_annotations(annotations.clone())
}

fn annotations_with_created(options: &PackOptions) -> Result<Annotations> {
    let mut annotations = options.annotations.clone();
    match annotations.get(CREATED) {
        Some(given) => {
            if !is_rfc_3339(given) {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("the annotation {CREATED} is not a time as RFC 3339 defines it"),
                )
                .with_hint("write for example 2026-01-31T12:00:00Z"));
            }
        }
        None => {
            let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
            annotations.insert(CREATED.into(), now);
        }
    }
    Ok(annotations)
}

/// Whether `text` is a date and time by RFC 3339, section 5.6. Parsers take other forms as well, such as a
/// space between the two, which the readers of the annotation refuse.
fn is_rfc_3339(text: &str) -> bool {
    let has_form = |bytes: &[u8], form: &[u8]| {
        let fits = |(byte, form): (&u8, &u8)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte.eq_ignore_ascii_case(form),
        };
        bytes.len() == form.len() && bytes.iter().zip(form).all(fits)
    };
    let form = b"0000-00-00T00:00:00";
    let Some((time, rest)) = text.as_bytes().split_at_checked(form.len()) else {
        return false;
    };
    let offset = match rest.strip_prefix(b".") {
        None => rest,
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
            match digits.count() {
                0 => return false,
                digits => &rest[digits..],
            }
        }
    };
    let is_offset = ["Z", "+00:00", "-00:00"]
        .iter()
        .any(|form| has_form(offset, form.as_bytes()));
    // The parser knows which days there are.
    has_form(time, form) && is_offset && DateTime::parse_from_rfc3339(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_escapes_is_escaped() {
        let json = encode_json(&"<a> & \u{2028}\u{2029} \u{e4}\"").expect("json");
        let escaped = escape_as_go(json);
        assert_eq!(escaped, r#""\u003ca\u003e \u0026 \u2028\u2029 ä\"""#);
        let plain = Bytes::from_static(br#"{"a":"b"}"#);
        assert_eq!(escape_as_go(plain.clone()), plain);
    }

    #[test]
    fn a_time_of_creation_is_one_of_rfc_3339() {
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31t12:00:00z",
            "2026-01-31T12:00:00.5+02:00",
            "2026-01-31T12:00:00.1234567890123-23:59",
            "1990-12-31T23:59:60Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "2024-02-29T00:00:00-00:00",
        ] {
            assert!(is_rfc_3339(text), "{text}");
        }
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T12:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00:00Z",
            "20260131T120000Z",
            "2026-01-31T12:00:00,5Z",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00+02",
            "2026-01-31T12:00:00+0200",
            "2026-01-31T12:00:00+24:00",
            "2026-01-31T12:00:00+02:60",
            "2026-01-31T12:00:00+02:00:00",
            "2026-01-31T12:00:00Z[UTC]",
            "2026-01-31T12:00:00[Europe/Berlin]",
            "2026-02-30T12:00:00Z",
            "2025-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-01-31T24:00:00Z",
            "+002026-01-31T12:00:00Z",
            "2026-01-31T12:00:00Z ",
            "2026-01-31T12:00:00\u{661}Z",
            "\u{2212}26-01-31T12:00:00Z",
            "1769860800",
        ] {
            assert!(!is_rfc_3339(text), "{text}");
        }
    }
}
