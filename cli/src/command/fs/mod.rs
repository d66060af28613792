//! `fs`: the files of images.

mod changes;
mod listing;

use std::io::{BufWriter, IsTerminal as _};

use futures_util::TryStreamExt as _;
use serde::Serialize;
use tranship::{Error, ErrorKind, Platform, Repository, TagOrDigest, escape_controls as plain};
use tranship_artifact::image::{
    self, CopyOutOptions, CopyOutReport, Diff, Entry, Filesystem, FilesystemOptions,
};
use tranship_backends::{Location, OpenOptions};

use super::source::open_source;
use crate::args::{Fs, FsCat, FsCp, FsDiff, FsExport, FsLs};
use crate::command_error::{At as _, CommandError, Outcome};
use crate::output::{self, Output};
use crate::progress::TransferProgress;
use crate::save::beside;

/// How many bytes of an archive are written to standard output at a time.
const BUFFER: usize = 256 * 1024;

pub(super) async fn run(command: Fs, location_options: &OpenOptions, output: Output) -> Outcome {
    match command {
        Fs::Ls(args) => ls(args, location_options, output).await,
        Fs::Cat(args) => cat(args, location_options, output).await,
        Fs::Cp(args) => cp(args, location_options, output).await,
        Fs::Export(args) => export(args, location_options, output).await,
        Fs::Diff(args) => diff(*args, location_options, output).await,
    }
}

/// Opens the files of the image `reference`, with a bar for `passes` readings of all layers.
async fn open<'r>(
    repository: &'r dyn Repository,
    reference: &TagOrDigest,
    location: &Location,
    platform: Option<Platform>,
    (passes, output): (u64, Output),
) -> Outcome<(Filesystem<'r>, TransferProgress)> {
    let options = FilesystemOptions::default().with_platform(platform);
    let files = Filesystem::open(repository, reference, options).await;
    let files = files.within(location)?;
    let total: u64 = files.layers().map(tranship::Descriptor::size).sum();
    let name = location.to_string();
    let progress = TransferProgress::new(output, &name, total.saturating_mul(passes));
    let count = progress.counter();
    Ok((files.with_progress(count), progress))
}

#[derive(Serialize)]
struct Listed {
    reference: String,
    entries: Vec<Entry>,
}

fn named(location: &Location, files: &Filesystem<'_>) -> String {
    let location = location.clone().without_reference();
    location
        .with_reference(*files.manifest().digest())
        .to_string()
}

async fn ls(args: FsLs, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.image;
    let (repository, reference) = open_source(&location, location_options, output).await?;
    let platform = args.platform.platform;
    let opened = open(&*repository, &reference, &location, platform, (1, output));
    let (mut files, progress) = opened.await?;
    let entries = files.list(&args.path, args.recursive).await;
    let entries = entries.within(&location)?;
    drop(progress);
    if output.is_json() {
        let reference = named(&location, &files);
        return output.print_json(&Listed { reference, entries }).await;
    }
    output::write(listing::lines(&entries, args.long, args.recursive).as_bytes()).await
}

async fn cat(args: FsCat, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.image;
    let (repository, reference) = open_source(&location, location_options, output).await?;
    let platform = args.platform.platform;
    let opened = open(&*repository, &reference, &location, platform, (1, output));
    let (mut files, progress) = opened.await?;
    let mut stdout = tokio::io::stdout();
    let mut contents = Vec::new();
    // One that fails is found before anything is printed.
    for path in &args.paths {
        let (_, content) = files.read(path).await.within(&location)?;
        contents.push(content);
    }
    drop(progress);
    for content in contents {
        let mut stream = content.into_body()?.into_stream();
        while let Some(piece) = stream.try_next().await? {
            output::write_to(&mut stdout, &piece).await?;
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Copied {
    reference: String,
    #[serde(flatten)]
    report: CopyOutReport,
}

async fn cp(args: FsCp, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.image;
    let (repository, reference) = open_source(&location, location_options, output).await?;
    let platform = args.platform.platform;
    let opened = open(&*repository, &reference, &location, platform, (2, output));
    let (mut files, progress) = opened.await?;
    let options = CopyOutOptions::default()
        .with_overwrite(args.overwrite)
        .with_special_bits(args.special_bits);
    let report = files.copy_out(&args.path, &args.directory, options).await;
    let report = report.within(&location)?;
    drop(progress);
    for path in &report.skipped {
        output.note(format_args!("left out {path}, which is not a file"));
    }
    if output.is_json() {
        let reference = named(&location, &files);
        return output.print_json(&Copied { reference, report }).await;
    }
    let mut text = String::new();
    for path in &report.written {
        text.push_str(&plain(&path.display().to_string()));
        text.push('\n');
    }
    output::write(text.as_bytes()).await
}

#[derive(Serialize)]
struct Exported {
    reference: String,
    output: String,
    bytes: u64,
}

async fn export(args: FsExport, location_options: &OpenOptions, output: Output) -> Outcome {
    if args.output.is_none() && std::io::stdout().is_terminal() {
        let error = Error::new(
            ErrorKind::InvalidInput,
            "an archive is not written to a terminal",
        );
        return Err(error
            .with_hint("redirect standard output, or give --output FILE")
            .into());
    }
    let location = args.image;
    let (repository, reference) = open_source(&location, location_options, output).await?;
    let platform = args.platform.platform;
    let opened = open(&*repository, &reference, &location, platform, (2, output));
    let (mut files, progress) = opened.await?;
    let Some(path) = args.output else {
        let written = files
            .export(BufWriter::with_capacity(BUFFER, std::io::stdout()))
            .await;
        return match written {
            Err(error) if is_closed(&error) => Err(CommandError::OutputClosed),
            outcome => outcome.within(&location).map(drop),
        };
    };
    let fail = |error| Error::io("cannot be written", error).with_subject(path.display());
    let file = beside(&path).map_err(fail)?;
    let file = files.export(file).await.within(&location)?;
    let bytes = file.as_file().metadata().map_err(fail)?.len();
    file.persist(&path).map_err(|error| fail(error.error))?;
    drop(progress);
    output.note(format_args!("wrote {}", path.display()));
    if !output.is_json() {
        return Ok(());
    }
    let exported = Exported {
        reference: named(&location, &files),
        output: path.display().to_string(),
        bytes,
    };
    output.print_json(&exported).await
}

/// Returns whether a reader has closed standard output.
fn is_closed(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    let source = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|source| source.kind() == std::io::ErrorKind::BrokenPipe)
}

#[derive(Serialize)]
struct Compared {
    before: String,
    after: String,
    #[serde(flatten)]
    diff: Diff,
}

async fn diff(args: FsDiff, location_options: &OpenOptions, output: Output) -> Outcome {
    let (first, second) = (args.before, args.after);
    let left = open_source(&first, location_options, output).await?;
    let right = open_source(&second, location_options, output).await?;
    let platform = args.platform.platform;
    let other_platform = args.other_platform.or_else(|| platform.clone());
    let (mut before, progress) = open(&*left.0, &left.1, &first, platform, (1, output)).await?;
    drop(progress);
    let opened = open(&*right.0, &right.1, &second, other_platform, (1, output));
    let (mut after, progress) = opened.await?;
    let diff = image::diff(&mut before, &mut after).await.within(&second)?;
    drop(progress);
    if output.is_json() {
        let compared = Compared {
            before: named(&first, &before),
            after: named(&second, &after),
            diff,
        };
        return output.print_json(&compared).await;
    }
    output::write(changes::lines(&diff).as_bytes()).await
}
