//! `bundle`, `backup` and `restore`: many images as one file.

mod apply;
mod create;
mod show;
mod sink;
mod spooled;
mod written;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use tranship::{Error, ErrorKind, Result, blocking};
use tranship_backends::OpenOptions;
use tranship_mirror::bundle::{Bundle, Lock};

use crate::args;
use crate::command_error::Outcome;
use crate::output::Output;
use crate::save::save;

pub(super) use apply::run as apply;
pub(super) use create::backup;

/// So long may a lock be, in bytes: what the library reads.
const MAX_LOCK: u64 = 64 * 1024 * 1024;

pub(super) async fn run(
    args: args::Bundle,
    location_options: &args::LocationOptions,
    output: Output,
) -> Outcome {
    match args {
        args::Bundle::Create(args) => create::run(*args, location_options, output).await,
        args::Bundle::Apply(args) => apply::run(*args, location_options, output).await,
        args::Bundle::List(args) => show::list(args, output).await,
        args::Bundle::Verify(args) => show::verify(args, output).await,
        args::Bundle::Diff(args) => show::diff(args, output).await,
        args::Bundle::Lock(args) => show::lock(args).await,
    }
}

/// A lock, or the volumes of a bundle.
enum LockOrBundle {
    Lock(Lock),
    Bundle(Bundle),
}

impl LockOrBundle {
    /// Opens files, which are told by their content.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for several locks, and for a lock among volumes.
    async fn open(files: &[PathBuf]) -> Result<Self> {
        let mut locks = Vec::new();
        for file in files {
            locks.extend(read_lock(file).await?);
        }
        match (locks.pop(), files) {
            (None, _) => Bundle::open(files).await.map(Self::Bundle),
            (Some(lock), [_]) => Ok(Self::Lock(lock)),
            (Some(_), _) => Err(Error::new(
                ErrorKind::InvalidInput,
                "one lock, or the volumes of one bundle, is expected",
            )),
        }
    }

    /// Returns what a destination has after the bundle was applied.
    fn lock(&self) -> &Lock {
        match self {
            Self::Lock(lock) => lock,
            Self::Bundle(bundle) => bundle.contents().lock(),
        }
    }

    fn into_lock(self) -> Lock {
        match self {
            Self::Lock(lock) => lock,
            Self::Bundle(bundle) => bundle.contents().lock().clone(),
        }
    }
}

/// Reads the lock in `file`; returns `None` if it is not a lock, as it does not begin with a brace.
async fn read_lock(file: &Path) -> Result<Option<Lock>> {
    let path = file.to_owned();
    let text = blocking::run(move || {
        let failed = |error| Error::io("cannot be read", error).with_subject(path.display());
        let mut file = std::fs::File::open(&path).map_err(failed)?;
        let mut text = Vec::new();
        std::io::Read::by_ref(&mut file)
            .take(1)
            .read_to_end(&mut text)
            .map_err(failed)?;
        if text != b"{" {
            return Ok(None);
        }
        file.take(MAX_LOCK).read_to_end(&mut text).map_err(failed)?;
        Lock::decode(&text).map(Some)
    })
    .await;
    text.map_err(|error| error.with_subject(file.display()))
}

/// Returns the lock that options with the name `base` give, if any.
async fn base(files: &[PathBuf]) -> Result<Option<Lock>> {
    if files.is_empty() {
        return Ok(None);
    }
    let opened = LockOrBundle::open(files).await?;
    Ok(Some(opened.into_lock()))
}

/// Writes a lock to a file, which is replaced when all of it is written.
async fn write_lock(lock: &Lock, path: &Path) -> Outcome {
    let text = futures_util::stream::iter([Ok(lock.encode().into())]);
    save(path, text).await
}

/// Returns how both ends are opened.
fn open_options(location_options: &args::LocationOptions) -> Result<OpenOptions> {
    let mut location_options = location_options.clone();
    location_options.registries.keep_rate_limits();
    location_options.open_options()
}
