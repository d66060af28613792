//! Pushes files and directories as one artifact.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{
    Annotations, CopyAction, CopyEvent, Descriptor, Error, ErrorKind, MediaType, PackOptions,
    PackVersion, Printable, Repository, Result, Source, TagOrDigest, pack_and_tag, push_bytes,
};

use super::input::{Named, Prepared, Watched};
use super::push_options::PushOptions;
use super::spec::FileSpec;

use crate::CREATED;

/// The type of an artifact without a type (ORAS).
const UNKNOWN_ARTIFACT: MediaType = MediaType::from_static("application/vnd.unknown.artifact.v1");

/// The outcome of a push.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushReport {
    /// The manifest, with the artifact type and the annotations.
    pub manifest: Descriptor,
    /// The files in the order in which they were given: the layers of the manifest.
    pub files: Vec<Descriptor>,
    /// The manifest that the artifact refers to.
    pub subject: Option<Descriptor>,
}

/// Pushes files and directories as one artifact, each as a layer with its name, and returns the manifest.
///
/// A file is read twice, to hash and to push it, and not kept in memory. A directory becomes a tar archive, compressed
/// with gzip in a temporary file. The archive has the same bytes on every machine: entries are sorted, and have their
/// names, kinds, link targets and the permission bits `0777`, but no times or owners. Formats and annotations are those of
/// ORAS, which can pull the artifact.
///
/// If the repository has [batches](Repository::batch), the push is one. If the future is dropped, no tag has moved and no
/// temporary file stays; files that were pushed may stay in the repository without a manifest.
///
/// ```
/// # use tranship::{Repository, Result};
/// use tranship_artifact::files::{self, FileSpec, PushOptions};
///
/// # async fn example(repository: &dyn Repository) -> Result<()> {
/// let options = PushOptions::default()
///     .with_artifact_type("application/vnd.example.report".parse()?)
///     .with_tag("v1".parse()?);
/// let files = [FileSpec::new("report.pdf"), FileSpec::new("data")];
/// let report = files::push(repository, files, &options).await?;
/// println!("{}", report.manifest.digest());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// - [`ErrorKind::NotFound`] if a file does not exist, and what else the file system fails with.
/// - [`ErrorKind::InvalidInput`] if two files have the same title, if a title or a symbolic link could not be pulled again
///   (see [`PushOptions::any_path`]), if options contradict each other, or if the time of creation is not one of RFC 3339.
/// - [`ErrorKind::InvalidMediaType`] if the type of the artifact or config breaks the grammar.
/// - [`ErrorKind::Unsupported`] for sockets, devices and named pipes, and for a subject by the rules of image-spec 1.0.
/// - [`ErrorKind::Conflict`] if a file changes while it is pushed.
/// - As [`Pusher::push`](tranship::Pusher::push).
pub async fn push<F>(
    repository: &dyn Repository,
    files: F,
    options: &PushOptions,
) -> Result<PushReport>
where
    F: IntoIterator,
    F::Item: Into<FileSpec>,
{
    let files: Vec<FileSpec> = files.into_iter().map(Into::into).collect();
    push_all(repository, &files, options).await
}

/// Pushes files as an artifact that refers to the manifest `subject`, such as an SBOM or a signature of it.
///
/// It is [`push`] with a subject; the artifact type is required. Only the media type, the digest and the size of the
/// subject are stored. Without files, the artifact consists of its annotations.
///
/// ```
/// # use tranship::{Repository, Result};
/// use tranship_artifact::files::{self, FileSpec, PushOptions};
///
/// # async fn example(repository: &dyn Repository) -> Result<()> {
/// let sbom: FileSpec = "sbom.json:application/spdx+json".parse()?;
/// let options = PushOptions::default().with_artifact_type("application/spdx+json".parse()?);
/// files::attach(repository, &"v1".parse()?, [sbom], &options).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// - [`ErrorKind::NotFound`] if `subject` names nothing.
/// - [`ErrorKind::InvalidInput`] without an artifact type, or without both files and annotations
///   other than the time.
/// - As [`push`].
pub async fn attach<F>(
    repository: &dyn Repository,
    subject: &TagOrDigest,
    files: F,
    options: &PushOptions,
) -> Result<PushReport>
where
    F: IntoIterator,
    F::Item: Into<FileSpec>,
{
    let files: Vec<FileSpec> = files.into_iter().map(Into::into).collect();
    if options.artifact_type.is_none() {
        return Err(invalid("what is attached needs an artifact type"));
    }
    if files.is_empty() && options.annotations.keys().all(|key| key == CREATED) {
        return Err(
            invalid("there is nothing to attach").with_hint("give files, annotations, or both")
        );
    }
    let subject = repository.resolve(subject).await?;
    let options = options.clone().with_subject(subject);
    push_all(repository, &files, &options).await
}

async fn push_all(
    repository: &dyn Repository,
    files: &[FileSpec],
    options: &PushOptions,
) -> Result<PushReport> {
    let version = check(options)?;
    let named = name_all(files, options)?;
    repository.expect_pushes();
    let batch = repository.batch();
    let (target, most) = match &batch {
        Some(batch) => (batch as &dyn Repository, batch.concurrency()),
        None => (repository, None),
    };
    let concurrency = options.concurrency.min(most.unwrap_or(usize::MAX)).max(1);
    let pushes = named
        .into_iter()
        .map(|each| push_one(target, each, MediaType::IMAGE_LAYER, options));
    let layers: Vec<Descriptor> = stream::iter(pushes)
        .buffered(concurrency)
        .try_collect()
        .await?;
    let config = push_config(target, options).await?;
    let manifest = pack_and_tag(
        target,
        &pack_options(options, version, config, &layers),
        &options.tags,
    )
    .await?;
    if let Some(batch) = batch {
        batch.commit().await?;
    }
    Ok(PushReport {
        manifest,
        files: layers,
        subject: options.subject.as_ref().map(Descriptor::plain),
    })
}

/// Returns the version of image-spec, by the rules of ORAS.
fn check(options: &PushOptions) -> Result<PackVersion> {
    let (has_type, has_config) = (options.artifact_type.is_some(), options.config.is_some());
    if has_config && options.platform.is_some() {
        return Err(
            invalid("there cannot be both a config and an artifact platform")
                .with_hint("the platform is stored in a config; leave one of the two out"),
        );
    }
    let version = match options.version {
        Some(version) => version,
        None if has_config && !has_type => PackVersion::V1_0,
        None => PackVersion::V1_1,
    };
    match version {
        PackVersion::V1_0 if has_config && has_type => {
            Err(invalid("by image-spec 1.0 the config's media type is the artifact type, so there cannot be both")
                .with_hint("give the config the type, as FILE:TYPE, or use image-spec 1.1"))
        }
        PackVersion::V1_0 if options.platform.is_some() && has_type => {
            Err(invalid("by image-spec 1.0 there cannot be both an artifact platform and an artifact type")
                .with_hint("use image-spec 1.1, or leave the artifact type out"))
        }
        PackVersion::V1_0 if options.subject.is_some() => {
            Err(Error::unsupported("manifests of image-spec 1.0 do not have a subject")
                .with_hint("give an artifact type, and use image-spec 1.1"))
        }
        PackVersion::V1_1 if has_config && !has_type => {
            Err(invalid("by image-spec 1.1 an artifact with a config needs an artifact type")
                .with_hint("give the artifact type, or use image-spec 1.0"))
        }
        version => Ok(version),
    }
}

/// Checks that no title lies within another one: a directory has its files in its archive.
fn check_nesting(paths: &BTreeMap<String, PathBuf>) -> Result<()> {
    for title in paths.keys() {
        let outer = Path::new(title)
            .ancestors()
            .skip(1)
            .filter_map(Path::to_str)
            .map(|outer| if outer.is_empty() { "." } else { outer })
            .find(|outer| outer != title && paths.contains_key(*outer));
        if let Some(outer) = outer {
            return Err(invalid(format!(
                "{} would be pulled into {}, which is pushed, too",
                Printable(title),
                Printable(outer)
            ))
            .with_hint("leave one of them out, or give one another title"));
        }
    }
    Ok(())
}

/// Names all files, before any of them is read.
fn name_all(files: &[FileSpec], options: &PushOptions) -> Result<Vec<Named>> {
    let mut all = Vec::new();
    let mut paths = BTreeMap::new();
    for spec in files {
        let more = spec
            .path()
            .to_str()
            .and_then(|path| options.file_annotations.get(path));
        let named = Named::new(spec, more)?;
        if !options.any_path {
            named.check_title()?;
        }
        if let Some(other) = paths.insert(named.title.clone(), named.path.clone()) {
            return Err(invalid(format!(
                "two files would be pulled under this name: {} and {}",
                other.display(),
                named.path.display()
            ))
            .with_subject(Printable(&named.title))
            .with_hint("give one of them another title"));
        }
        all.push(named);
    }
    if !options.any_path {
        check_nesting(&paths)?;
    }
    if let Some(path) = options.file_annotations.keys().find(|path| {
        !files
            .iter()
            .any(|spec| spec.path().to_str() == Some(path.as_str()))
    }) {
        return Err(
            invalid("the annotation file has annotations of a file that is not pushed")
                .with_subject(Printable(path))
                .with_hint(
                    "its key must be exactly the path that is given, without the media type",
                ),
        );
    }
    Ok(all)
}

async fn push_one(
    target: &dyn Repository,
    named: Named,
    default_type: MediaType,
    options: &PushOptions,
) -> Result<Descriptor> {
    let prepared = Prepared::new(named, default_type, options.any_path).await?;
    let descriptor = prepared.descriptor.clone();
    let source = Source::file(prepared.path());
    let pushed = match &options.hooks {
        None => target.blobs().push(&descriptor.plain(), source).await,
        Some(hooks) => {
            hooks.on_event(CopyEvent::Found(&descriptor));
            hooks.on_event(CopyEvent::Started(&descriptor));
            let watched = Watched {
                source,
                descriptor: &descriptor,
                hooks: Arc::clone(hooks),
            };
            target
                .blobs()
                .push(&descriptor.plain(), Source::open_at(&watched))
                .await
        }
    };
    let outcome = match pushed {
        Ok(outcome) => outcome,
        Err(error) => return Err(prepared.explain(error).await),
    };
    if let Some(hooks) = &options.hooks {
        let action = match outcome {
            tranship::PushOutcome::Present => CopyAction::Skipped,
            _ => CopyAction::Copied,
        };
        hooks.on_event(CopyEvent::Done(&descriptor, action));
    }
    Ok(descriptor)
}

/// Pushes the config, if there is one that is not empty.
async fn push_config(target: &dyn Repository, options: &PushOptions) -> Result<Option<Descriptor>> {
    let config = if let Some(spec) = &options.config {
        let path = spec.path().to_path_buf();
        if tranship::blocking::run(move || Ok(path.is_dir())).await? {
            return Err(invalid("the config is a directory").with_subject(spec.path().display()));
        }
        let named = Named::new(&spec.clone().with_title("config"), None)?;
        push_one(target, named, MediaType::UNKNOWN_CONFIG, options).await?
    } else if let Some(platform) = &options.platform {
        let json = tranship::encode_json(platform)?;
        push_bytes(target, MediaType::IMAGE_CONFIG, json).await?
    } else {
        return Ok(None);
    };
    Ok(Some(
        config.with_annotations(options.config_annotations.clone()),
    ))
}

fn pack_options(
    options: &PushOptions,
    version: PackVersion,
    config: Option<Descriptor>,
    layers: &[Descriptor],
) -> PackOptions {
    let mut pack = PackOptions::default().with_version(version);
    pack.artifact_type = match (&options.artifact_type, version) {
        // A config of an image does not say what the artifact is.
        (None, PackVersion::V1_1) if options.config.is_none() => Some(UNKNOWN_ARTIFACT),
        (artifact_type, _) => artifact_type.clone(),
    };
    pack.config = config;
    pack.config_annotations = options.config_annotations.clone();
    pack.layers = layers.to_vec();
    pack.subject.clone_from(&options.subject);
    pack.annotations = Annotations::clone(&options.annotations);
    pack
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
