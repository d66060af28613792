//! How files are pushed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tranship::{
    Annotations, CopyHooks, Descriptor, Error, ErrorKind, MediaType, PackVersion, Platform, Result,
    Tag,
};

use super::spec::FileSpec;

/// How many files are pushed at a time by default.
const CONCURRENCY: usize = 5;

/// The key of the manifest's annotations in an annotation file.
const MANIFEST: &str = "$manifest";
/// The key of the config's annotations in an annotation file.
const CONFIG: &str = "$config";

/// How [`push`](super::push) and [`attach`](super::attach) make an artifact of files.
///
/// ```
/// use tranship_artifact::files::PushOptions;
///
/// let options = PushOptions::default()
///     .with_artifact_type("application/vnd.example.report".parse()?)
///     .with_annotation("org.opencontainers.image.created", "2026-01-31T12:00:00Z")
///     .with_tag("v1".parse()?);
/// # Ok::<(), tranship::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone)]
pub struct PushOptions {
    /// What the artifact is. `application/vnd.unknown.artifact.v1` if neither this nor a config is given. By the rules
    /// of image-spec 1.0 it is the type of an empty config.
    pub artifact_type: Option<MediaType>,
    /// A file that becomes the config, of the type `application/vnd.unknown.config.v1+json` unless it has one.
    pub config: Option<FileSpec>,
    /// By which version of image-spec the manifest is made. The default, `None`, is 1.1, or 1.0 for a config without an
    /// artifact type.
    pub version: Option<PackVersion>,
    /// What the files are for. It is stored in a config like that of an image, so there cannot be another config.
    pub platform: Option<Platform>,
    /// The manifest that the artifact refers to.
    pub subject: Option<Descriptor>,
    /// Annotations of the manifest. The time is added as `org.opencontainers.image.created` unless it is among them.
    pub annotations: Annotations,
    /// Annotations of the config.
    pub config_annotations: Annotations,
    /// Annotations of files by their paths, as the paths were given. Those of [`FileSpec`] precede them.
    pub file_annotations: BTreeMap<String, Annotations>,
    /// The tags that are pointed at the manifest.
    pub tags: Vec<Tag>,
    /// How many files are read and pushed at a time; 5 by default, and at least 1.
    pub concurrency: usize,
    /// Whether files with absolute paths and with `..` are pushed, and directories with symbolic links that lead out of
    /// them. [`pull`](super::pull) refuses such names and links.
    pub any_path: bool,
    /// Is told of the progress, by [`CopyHooks::on_event`]. The other hooks are not called.
    pub hooks: Option<Arc<dyn CopyHooks>>,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self {
            artifact_type: None,
            config: None,
            version: None,
            platform: None,
            subject: None,
            annotations: Annotations::new(),
            config_annotations: Annotations::new(),
            file_annotations: BTreeMap::new(),
            tags: Vec::new(),
            concurrency: CONCURRENCY,
            any_path: false,
            hooks: None,
        }
    }
}

impl PushOptions {
    /// Sets [`artifact_type`](Self::artifact_type).
    #[must_use]
    pub fn with_artifact_type(mut self, artifact_type: MediaType) -> Self {
        self.artifact_type = Some(artifact_type);
        self
    }

    /// Sets [`config`](Self::config).
    #[must_use]
    pub fn with_config(mut self, config: impl Into<FileSpec>) -> Self {
        self.config = Some(config.into());
        self
    }

    /// Sets [`version`](Self::version).
    #[must_use]
    pub fn with_version(mut self, version: PackVersion) -> Self {
        self.version = Some(version);
        self
    }

    /// Sets [`platform`](Self::platform).
    #[must_use]
    pub fn with_platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
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

    /// Sets the annotations of the manifest, the config and the files from an annotation file, as ORAS defines it: a JSON
    /// object of objects of strings. The key `$manifest` has the annotations of the manifest, `$config` those of the
    /// config, and the path of a file, exactly as given and without its type, those of the file. They replace
    /// generated annotations with the same key, such as the title.
    ///
    /// ```
    /// use tranship_artifact::files::PushOptions;
    ///
    /// let json = br#"{"$manifest": {"a": "1"}, "./notes.txt": {"b": "2"}}"#;
    /// let options = PushOptions::default().with_annotation_file(json)?;
    /// assert_eq!(options.annotations["a"], "1");
    /// assert_eq!(options.file_annotations["./notes.txt"]["b"], "2");
    /// # Ok::<(), tranship::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if `json` is something else.
    pub fn with_annotation_file(mut self, json: &[u8]) -> Result<Self> {
        let parsed: Result<BTreeMap<String, Annotations>, _> = serde_json::from_slice(json);
        let mut parsed = parsed.map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "is not an annotation file")
                .with_source(error)
                .with_hint(r#"write for example {"$manifest": {"key": "value"}, "notes.txt": {"key": "value"}}"#)
        })?;
        self.annotations
            .extend(parsed.remove(MANIFEST).unwrap_or_default());
        self.config_annotations
            .extend(parsed.remove(CONFIG).unwrap_or_default());
        self.file_annotations.extend(parsed);
        Ok(self)
    }

    /// Adds to [`tags`](Self::tags).
    #[must_use]
    pub fn with_tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Sets [`concurrency`](Self::concurrency).
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets [`any_path`](Self::any_path).
    #[must_use]
    pub fn with_any_path(mut self, any_path: bool) -> Self {
        self.any_path = any_path;
        self
    }

    /// Sets [`hooks`](Self::hooks).
    #[must_use]
    pub fn with_hooks(mut self, hooks: Arc<dyn CopyHooks>) -> Self {
        self.hooks = Some(hooks);
        self
    }
}

impl fmt::Debug for PushOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushOptions")
            .field("artifact_type", &self.artifact_type)
            .field("config", &self.config)
            .field("version", &self.version)
            .field("platform", &self.platform)
            .field("subject", &self.subject)
            .field("annotations", &self.annotations)
            .field("config_annotations", &self.config_annotations)
            .field("file_annotations", &self.file_annotations)
            .field("tags", &self.tags)
            .field("concurrency", &self.concurrency)
            .field("any_path", &self.any_path)
            .finish_non_exhaustive()
    }
}
