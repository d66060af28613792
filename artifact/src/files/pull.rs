//! Pulls the files of an artifact.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::blocking::{self, CancelFlag, CancelOnDrop};
use tranship::{
    CopyAction, CopyEvent, Descriptor, Repository, ResolveOptions, Result, ResultExt as _,
    TagOrDigest, resolve,
};

use super::pull_options::PullOptions;
use super::select::{Wanted, explain_nothing, select};
use super::stage::stage;
use super::staging::{Inner, Staging};
use super::{archive, merge};

/// What a pull did with a file.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PullAction {
    /// It was written; of a directory, at least one file.
    Written,
    /// It had the content before, and was not touched.
    Unchanged,
}

/// A file, or an unpacked directory, of an artifact.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledFile {
    /// Where it is, below the directory that was given.
    pub path: PathBuf,
    /// Its descriptor in the manifest.
    pub descriptor: Descriptor,
    /// Whether it is an archive that was unpacked, so that the path is that of a directory.
    pub is_unpacked: bool,
    /// What was done.
    pub action: PullAction,
}

/// What was pulled.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullReport {
    /// The manifest that the reference names, of the platform that was asked for.
    pub root: Descriptor,
    /// The files in the order of the manifests.
    pub files: Vec<PulledFile>,
    /// The content that was left out because it does not have a name.
    pub skipped: Vec<Descriptor>,
}

/// Writes the files of the artifact `reference` to the directory `directory`, under their names in the artifact, and
/// unpacks its directories. The directory is made if it does not exist.
///
/// All files are fetched into a hidden directory in `directory` and verified before the first one gets its name. So if the
/// pull fails or its future is dropped before that, `directory` is as before. A file that exists with the same content is not
/// fetched or touched. In a directory that exists, files are added and, if [`PullOptions::overwrite`] is set,
/// replaced; other files in it stay.
///
/// Nothing is written outside of `directory`, whatever the artifact has: names with `..` and absolute names are refused;
/// no symbolic link in `directory` is followed; links in archives must stay in the unpacked directory; archives with
/// devices, sockets or pipes are refused. Set-user-ID, set-group-ID and sticky bits, times and owners are not restored.
/// Names are at most 4096 bytes and 100 directories deep; see [`PullOptions`] for other limits.
///
/// The layers of a Helm chart, which do not have names in the artifact, get those of `helm pull`.
///
/// ```
/// # use tranship::{Repository, Result};
/// use tranship_artifact::files::{self, PullOptions};
///
/// # async fn example(repository: &dyn Repository) -> Result<()> {
/// let options = PullOptions::default();
/// let report = files::pull(repository, &"v1".parse()?, "downloads", &options).await?;
/// for file in report.files {
///     println!("{}", file.path.display());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// - [`NotFound`](tranship::ErrorKind::NotFound) if the reference names nothing, if no file passes the filters, or if
///   content is missing in the repository.
/// - [`Unsupported`](tranship::ErrorKind::Unsupported) if nothing in the artifact has a name, as in an image, and for what
///   is refused, as above.
/// - [`Io`](tranship::ErrorKind::Io) if a file exists with other content and is not to be replaced, if a
///   file exists where a directory is needed or the reverse, or if a directory on the way is a symbolic link.
/// - [`DigestMismatch`](tranship::ErrorKind::DigestMismatch) or [`SizeMismatch`](tranship::ErrorKind::SizeMismatch) if the
///   repository has altered content.
/// - [`SizeExceedsLimit`](tranship::ErrorKind::SizeExceedsLimit) if an archive exceeds a limit.
/// - [`Corrupt`](tranship::ErrorKind::Corrupt) if an archive cannot be read.
/// - What the repository and the file system fail with.
pub async fn pull(
    repository: &dyn Repository,
    reference: &TagOrDigest,
    directory: impl AsRef<Path>,
    options: &PullOptions,
) -> Result<PullReport> {
    pull_into(repository, reference, directory.as_ref(), options).await
}

async fn pull_into(
    repository: &dyn Repository,
    reference: &TagOrDigest,
    directory: &Path,
    options: &PullOptions,
) -> Result<PullReport> {
    let mut how = ResolveOptions::default();
    how.platform.clone_from(&options.platform);
    let root = resolve(repository, reference, &how).await?;
    let selected = select(repository, &root, options).await?;
    let mut files = Vec::new();
    if selected.files.is_empty() {
        explain_nothing(&selected, &root)?;
    } else {
        let actions = write(repository, directory, &selected.files, options).await;
        let actions = actions.during("pull", root.digest())?;
        files = selected
            .files
            .into_iter()
            .zip(actions)
            .map(|(wanted, action)| PulledFile {
                path: wanted
                    .path
                    .names()
                    .iter()
                    .fold(directory.to_owned(), |path, name| path.join(name)),
                is_unpacked: wanted.archive.is_some(),
                descriptor: wanted.descriptor,
                action,
            })
            .collect();
    }
    Ok(PullReport {
        root,
        files,
        skipped: selected.unnamed,
    })
}

/// Writes all files, and returns what was done with each.
async fn write(
    repository: &dyn Repository,
    directory: &Path,
    files: &[Wanted],
    options: &PullOptions,
) -> Result<Vec<PullAction>> {
    let path = directory.to_owned();
    let staging = blocking::run(move || Staging::new(&path)).await?;
    let written = write_in(&staging, repository, directory, files, options).await;
    staging.close().await;
    written
}

async fn write_in(
    staging: &Staging,
    repository: &dyn Repository,
    directory: &Path,
    files: &[Wanted],
    options: &PullOptions,
) -> Result<Vec<PullAction>> {
    let waiting = CancelOnDrop::default();
    let (lease, all, path) = (staging.lease(), files.to_vec(), directory.to_owned());
    let (replace, cancelled) = (options.overwrite, waiting.flag());
    let present = blocking::run(move || {
        all.iter()
            .map(|wanted| is_present(&lease, wanted, &path, replace, &cancelled))
            .collect::<Result<Vec<bool>>>()
    });
    let present = present.await?;
    if let Some(hooks) = &options.hooks {
        for (wanted, is_present) in files.iter().zip(&present) {
            hooks.on_event(CopyEvent::Found(&wanted.descriptor));
            if *is_present {
                hooks.on_event(CopyEvent::Done(&wanted.descriptor, CopyAction::Skipped));
            }
        }
    }
    let missing = files
        .iter()
        .zip(&present)
        .filter(|(_, is_present)| !**is_present);
    let stages = missing.map(|(wanted, _)| stage(repository, wanted, staging.lease(), options));
    let staged = stream::iter(stages).buffer_unordered(options.concurrency.max(1));
    staged.try_for_each(|()| std::future::ready(Ok(()))).await?;
    let (lease, all) = (staging.lease(), files.to_vec());
    let moved = blocking::run(move || move_all(&lease, &all, &present, replace));
    moved.await
}

/// Returns whether the output directory has `wanted` already.
fn is_present(
    staging: &Inner,
    wanted: &Wanted,
    directory: &Path,
    replace: bool,
    cancelled: &CancelFlag,
) -> Result<bool> {
    cancelled.check()?;
    let output = &staging.output;
    let Some(archive) = &wanted.archive else {
        let content = (wanted.descriptor.digest(), wanted.descriptor.size());
        return merge::is_unchanged(output, &wanted.path, content, replace, cancelled);
    };
    let is_directory = merge::is_directory(output, &wanted.path)?;
    let (Some(expected), true, false) =
        (archive.digest, is_directory, wanted.path.names().is_empty())
    else {
        return Ok(false);
    };
    // The archive of the directory is the same if tranship has pushed it and nothing was changed.
    let path = wanted
        .path
        .names()
        .iter()
        .fold(directory.to_owned(), |path, name| path.join(name));
    let found = archive::tar_digest(&path, &archive.prefix.to_string(), cancelled);
    Ok(found.is_ok_and(|found| found == expected))
}

/// Moves all files to where they belong, after a look whether that can be done.
fn move_all(
    staging: &Arc<Inner>,
    files: &[Wanted],
    present: &[bool],
    replace: bool,
) -> Result<Vec<PullAction>> {
    let (staged, output) = (&staging.tree, &staging.output);
    let missing = files
        .iter()
        .zip(present)
        .filter(|(_, is_present)| !**is_present);
    for (wanted, _) in missing {
        merge::check(staged, output, &wanted.path, replace)?;
    }
    let mut actions = Vec::new();
    for (wanted, is_present) in files.iter().zip(present) {
        let is_changed = !is_present && merge::apply(staged, output, &wanted.path, replace)?;
        actions.push(if is_changed {
            PullAction::Written
        } else {
            PullAction::Unchanged
        });
    }
    Ok(actions)
}
