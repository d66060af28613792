//! `push`, `pull` and `attach`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::stream;
use serde::Serialize;
use tempfile::TempPath;
use tranship::{
    Algorithm, CopyHooks, Descriptor, Error, ErrorKind, MAX_MANIFEST_SIZE, Repository, Result, Tag,
    TagOrDigest,
};
use tranship_artifact::files::{
    self, FileSpec, PullAction, PullOptions, PullReport, PushOptions, PushReport,
};
use tranship_backends::{Location, OpenOptions};

use super::manifest::tags;
use super::source::{open_source, open_source_as};
use super::{open, resolve, stream as archives};
use crate::args::{Attach, FilesArgs, Pull, Push};
use crate::command_error::{At as _, Outcome};
use crate::input::{Input, spool, standard_input};
use crate::location::is_stream;
use crate::output::Output;
use crate::progress::CopyProgress;
use crate::save::save;

/// The annotation that says when an artifact was made.
const CREATED: &str = "org.opencontainers.image.created";
/// The variable that says so for reproducible builds, in seconds since 1970.
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";
/// The largest annotation file, in bytes.
const MAX_ANNOTATIONS: u64 = 4 * 1024 * 1024;

/// An artifact that was pushed: as text its digest.
#[derive(Debug, Serialize)]
struct Pushed {
    reference: String,
    descriptor: Descriptor,
    tags: Vec<String>,
    files: Vec<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Descriptor>,
}

impl fmt::Display for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.descriptor.digest().fmt(f)
    }
}

/// An artifact that was pulled: as text the paths of the files that were written.
#[derive(Debug, Serialize)]
struct Pulled {
    reference: String,
    descriptor: Descriptor,
    files: Vec<File>,
    skipped: Vec<Descriptor>,
}

#[derive(Debug, Serialize)]
struct File {
    path: String,
    action: &'static str,
    unpacked: bool,
    descriptor: Descriptor,
}

impl fmt::Display for Pulled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = self.files.iter().filter(|file| file.action == WRITTEN);
        written
            .into_iter()
            .try_for_each(|file| writeln!(f, "{}", file.path))
    }
}

const WRITTEN: &str = "written";
const UNCHANGED: &str = "unchanged";

pub(super) async fn push(args: Push, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.location;
    if let Some(TagOrDigest::Digest(_)) = location.reference() {
        return Err(Error::new(
            ErrorKind::InvalidReference,
            "the digest of an artifact follows from its files and the time",
        )
        .with_subject(&location)
        .with_hint("give a tag, or neither a tag nor a digest")
        .into());
    }
    let tags = tags(&location, args.tags);
    let mut options = options(&args.files, &tags).await?;
    options.artifact_type = args.artifact_type;
    options.config = args.config;
    options.version = args.image_spec.map(Into::into);
    options.platform = args.artifact_platform;
    refuse_stream(&location)?;
    let repository = open(&location, location_options).await?;
    if let Some(subject) = &args.subject {
        options.subject = Some(repository.resolve(subject).await.within(&location)?);
    }
    let (given, _kept) = given(&args.files, &mut options).await?;
    let progress = Arc::new(CopyProgress::new(output));
    options.hooks = Some(Arc::clone(&progress) as Arc<dyn CopyHooks>);
    let report = files::push(&*repository, given, &options).await;
    progress.finish();
    let report = report.map_err(name_path_option).pushed_to(&location)?;
    finish(&*repository, location, &args.files, &tags, report, output).await
}

pub(super) async fn attach(
    args: Attach,
    location_options: &OpenOptions,
    output: Output,
) -> Outcome {
    let location = args.location;
    refuse_stream(&location)?;
    let (found, reference) = open_source(&location, location_options, output).await?;
    let how = resolve::options(args.platform.platform);
    let subject = tranship::resolve(&*found, &reference, &how)
        .await
        .within(&location)?;
    drop(found);
    let mut options = options(&args.files, &args.tags).await?;
    options.artifact_type = Some(args.artifact_type);
    options.config = args.config;
    let repository = open(&location, location_options).await?;
    let (given, _kept) = given(&args.files, &mut options).await?;
    let progress = Arc::new(CopyProgress::new(output));
    options.hooks = Some(Arc::clone(&progress) as Arc<dyn CopyHooks>);
    let subject = TagOrDigest::from(*subject.digest());
    let report = files::attach(&*repository, &subject, given, &options).await;
    progress.finish();
    let report = report.map_err(name_path_option).pushed_to(&location)?;
    finish(
        &*repository,
        location,
        &args.files,
        &args.tags,
        report,
        output,
    )
    .await
}

pub(super) async fn pull(args: Pull, location_options: &OpenOptions, output: Output) -> Outcome {
    let incoming = archives::read_in(&args.location).await?;
    let pulled = pull_from(&args, incoming.as_ref(), location_options, output).await;
    match &incoming {
        Some(kept) => pulled.map_err(|failure| kept.explain(failure)),
        None => pulled,
    }
}

async fn pull_from(
    args: &Pull,
    incoming: Option<&archives::Kept>,
    location_options: &OpenOptions,
    output: Output,
) -> Outcome {
    let location = &args.location;
    let opened = incoming.map_or(location, |kept| &kept.location);
    let (repository, reference) =
        open_source_as(location, opened, location_options, output).await?;
    let progress = Arc::new(CopyProgress::new(output));
    let mut options = PullOptions::default()
        .with_overwrite(args.overwrite)
        .with_include_subject(args.include_subject)
        .with_include_referrers(args.recursive)
        .with_keep_tar(args.keep_tar)
        .with_concurrency(args.concurrency.into())
        .with_hooks(Arc::clone(&progress) as Arc<dyn CopyHooks>);
    options.platform.clone_from(&args.platform.platform);
    options.names.clone_from(&args.names);
    options.media_types.clone_from(&args.media_types);
    options.config.clone_from(&args.config);
    options.max_unpacked_size = args.max_unpacked_size;
    let report = files::pull(&*repository, &reference, &args.output, &options).await;
    progress.finish();
    let report = report
        .map_err(|error| name_options(error, location))
        .within(location)?;
    tell(&report, output);
    output.print(&pulled(location, report)).await
}

fn pulled(location: &Location, report: PullReport) -> Pulled {
    let files = report.files.into_iter().map(|file| File {
        path: file.path.display().to_string(),
        action: match file.action {
            PullAction::Unchanged => UNCHANGED,
            _ => WRITTEN,
        },
        unpacked: file.is_unpacked,
        descriptor: file.descriptor,
    });
    Pulled {
        reference: location
            .clone()
            .with_reference(*report.root.digest())
            .to_string(),
        files: files.collect(),
        descriptor: report.root,
        skipped: report.skipped,
    }
}

/// Says what the list of written files does not.
fn tell(report: &PullReport, output: Output) {
    let unchanged = report
        .files
        .iter()
        .filter(|file| file.action == PullAction::Unchanged)
        .count();
    let of = |count: usize| if count == 1 { "" } else { "s" };
    if unchanged > 0 {
        output.note(format_args!("{unchanged} file{} unchanged", of(unchanged)));
    }
    let skipped = report.skipped.len();
    if skipped > 0 {
        output.note(format_args!(
            "skipped {skipped} blob{} without a file name",
            of(skipped)
        ));
    }
    if report.files.is_empty() {
        output.note("the artifact does not have files");
    }
}

/// Names the options of the command where the library speaks of its own.
fn name_options(error: Error, location: &Location) -> Error {
    match error.kind() {
        ErrorKind::Io if error.hint().is_some_and(|hint| hint.contains("replaced")) => {
            error.with_hint("replace it with --overwrite, or pull into another directory with -o DIR")
        }
        ErrorKind::SizeExceedsLimit if error.hint().is_some_and(|hint| hint.contains("packed")) => {
            error.with_hint("if you trust the archive, raise --max-unpacked-size, or keep it packed with --keep-tar")
        }
        ErrorKind::Unsupported if error.hint().is_some_and(|hint| hint.contains("tranship cp")) => error.with_hint(
            format!("to get an image, copy it: `tranship cp {location} oci:DIR:TAG`, or docker-archive:FILE for Docker"),
        ),
        _ => error,
    }
}

/// Names the option where the library says that any path can be allowed.
fn name_path_option(error: Error) -> Error {
    match error.hint() {
        Some(hint) if hint.contains("allow any path") => {
            let hint = hint.replace("allow any path", "use --disable-path-validation");
            error.with_hint(hint)
        }
        _ => error,
    }
}

/// Standard output has the digest, so it cannot have the archive, too.
fn refuse_stream(location: &Location) -> Result<()> {
    if !is_stream(location) {
        return Ok(());
    }
    Err(
        Error::unsupported("an artifact is not pushed to standard output")
            .with_subject(location)
            .with_hint("push it to a file such as oci-archive:FILE"),
    )
}

async fn options(args: &FilesArgs, tags: &[Tag]) -> Outcome<PushOptions> {
    let mut options = PushOptions::default()
        .with_any_path(args.disable_path_validation)
        .with_concurrency(args.concurrency.into());
    options.tags = tags.to_vec();
    for annotation in &args.annotations {
        let value = annotation.value.clone();
        if options
            .annotations
            .insert(annotation.key.clone(), value)
            .is_some()
        {
            return Err(
                Error::new(ErrorKind::InvalidInput, "the annotation is given twice")
                    .with_subject(&annotation.key)
                    .into(),
            );
        }
    }
    if let Some(path) = &args.annotation_file {
        let json = Input::File(path.clone()).bytes(MAX_ANNOTATIONS).await?;
        options = options.with_annotation_file(&json).at(path.display())?;
    }
    if !options.annotations.contains_key(CREATED)
        && let Some(created) = source_date()?
    {
        options = options.with_annotation(CREATED, created);
    }
    Ok(options)
}

/// Returns the time that SOURCE_DATE_EPOCH says.
fn source_date() -> Result<Option<String>> {
    let Some(text) = std::env::var_os(SOURCE_DATE_EPOCH).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    // The last second of the year 9999.
    const LAST: u64 = 253_402_300_799;
    let seconds = text.to_str().and_then(|text| text.parse::<u64>().ok());
    let seconds = seconds.filter(|seconds| *seconds <= LAST).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            "is not a number of seconds since 1970",
        )
        .with_subject(SOURCE_DATE_EPOCH)
        .with_hint("set it for example to 1767225600, or unset it")
    })?;
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    Ok(Some(humantime::format_rfc3339_seconds(time).to_string()))
}

/// Returns the files, with standard input in a temporary file.
async fn given(
    args: &FilesArgs,
    options: &mut PushOptions,
) -> Outcome<(Vec<FileSpec>, Option<TempPath>)> {
    let is_stdin = |spec: &&FileSpec| spec.path() == Path::new("-");
    let stdins = args.files.iter().filter(is_stdin).count();
    let wrong = |message: &'static str, hint: &'static str| {
        Err(Error::new(ErrorKind::InvalidInput, message)
            .with_hint(hint)
            .into())
    };
    let title = match (stdins, &args.title) {
        (0, None) => return Ok((args.files.clone(), None)),
        (0, Some(_)) => {
            return wrong(
                "--title is the name of standard input, which is not pushed",
                "write - as a file",
            );
        }
        (1, Some(title)) => title,
        (1, None) => {
            return wrong(
                "standard input needs a name in the artifact",
                "give it with --title",
            );
        }
        _ => return wrong("standard input can be read once", "write - once"),
    };
    let spooled = spool(standard_input(), Algorithm::Sha256)
        .await
        .at("standard input")?;
    let annotations = options.file_annotations.remove("-").unwrap_or_default();
    let mut kept = FileSpec::new(&*spooled.path).with_title(title.path().to_string_lossy());
    if let Some(media_type) = title.media_type() {
        kept = kept.with_media_type(media_type.clone());
    }
    for (key, value) in annotations {
        kept = kept.with_annotation(key, value);
    }
    let replace = |spec: &FileSpec| {
        if is_stdin(&spec) {
            kept.clone()
        } else {
            spec.clone()
        }
    };
    let files = args.files.iter().map(replace).collect();
    Ok((files, Some(spooled.path)))
}

/// Writes the manifest where it is wanted, and prints the result.
async fn finish(
    repository: &dyn Repository,
    location: Location,
    args: &FilesArgs,
    tags: &[Tag],
    report: PushReport,
    output: Output,
) -> Outcome {
    if let Some(path) = &args.export_manifest {
        let content = repository
            .fetch(&report.manifest.plain())
            .await
            .within(&location)?;
        let bytes = content.bytes(MAX_MANIFEST_SIZE).await.within(&location)?;
        save(path, stream::iter([Ok(bytes)])).await?;
    }
    let pushed = Pushed {
        reference: location
            .with_reference(*report.manifest.digest())
            .to_string(),
        descriptor: report.manifest,
        tags: tags.iter().map(ToString::to_string).collect(),
        files: report.files,
        subject: report.subject,
    };
    output.print(&pushed).await
}
