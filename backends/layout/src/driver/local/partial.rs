//! Blobs whose content is kept when a push ends before they are complete, for the next push of the same
//! blob to continue.
//!
//! Such a file is stored among the uploads, under the digest that its content is to have, with a dash, which no id
//! of an upload has. It is locked by the push that writes to it. Garbage collection removes it as it removes
//! uploads: when it is old and not locked. Nothing in it is verified; the push that completes it hashes all of it.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::{NamedTempFile, TempPath};
use tranship::blocking::{self, Sequence};
use tranship::{Body, Descriptor, ErrorKind, Result, Source, Verifier};

use super::commit::BLOB_MODE;
use super::directory::{LocalDirectory, SMALL};
use super::link::{self, Trust};
use super::suspects::name_of;
use super::upload::{make_read_only, wait_for_lock};
use super::write::{self, Growing, fill};
use crate::driver::disk;
use crate::driver::file::{failed, identity, not_named, open_no_follow, read_pieces, stat_regular};

/// Stores the content of `source` as the blob `expected`. Where no part can be kept, as another user has begun
/// it or the file system knows no locks, the push is like any other. The part that has arrived stays when this fails or
/// is dropped, unless it turns out to be wrong or the disk is full.
pub(super) async fn put(
    directory: &Arc<LocalDirectory>,
    expected: &Descriptor,
    source: &Source<'_>,
) -> Result<()> {
    let is_worth_it = expected.size() > SMALL && source.is_reopenable();
    let found = match is_worth_it {
        true => find(directory, expected).await.unwrap_or(Found::InUse),
        false => Found::InUse,
    };
    let Found::Begun(begun) = found else {
        let body = source.open(0).await?;
        if let Some(origin) = body.local_file()
            && link::take_over(directory, expected, origin, Trust::Nothing).await?
        {
            return Ok(());
        }
        return match found {
            Found::Nothing => put_anew(directory, expected, body).await,
            _ => write::write(directory, expected, body).await,
        };
    };
    let is_continued = begun.length > 0;
    let body = source.open(begun.length).await?;
    match begun.complete(directory, expected, body).await {
        // The stored part is not the beginning of this content, as can happen in a power cut.
        Err(error) if is_continued && is_wrong(error.kind()) => {
            put_anew(directory, expected, source.open(0).await?).await
        }
        outcome => outcome,
    }
}

async fn put_anew(
    directory: &Arc<LocalDirectory>,
    expected: &Descriptor,
    body: Body,
) -> Result<()> {
    match create(directory, expected).await {
        Ok(Some(partial)) => partial.complete(directory, expected, body).await,
        _ => write::write(directory, expected, body).await,
    }
}

/// Whether an error says that the content is not what it should be.
fn is_wrong(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::DigestMismatch | ErrorKind::SizeMismatch)
}

enum Found {
    Nothing,
    Begun(Box<Partial>),
    /// Another push is writing to it, or it cannot be used for another reason.
    InUse,
}

/// A blob with the first bytes of its content, locked by us.
struct Partial {
    file: NamedTempFile,
    /// How many bytes it has.
    length: u64,
    /// Knows these bytes.
    verifier: Verifier,
}

/// Finds the part that an earlier push has left behind.
async fn find(directory: &Arc<LocalDirectory>, expected: &Descriptor) -> Result<Found> {
    let (directory, expected) = (Arc::clone(directory), expected.clone());
    blocking::run(move || {
        let Some(uploads) = directory.paths.existing_uploads()? else {
            return Ok(Found::Nothing);
        };
        let path = uploads.join(name_of(expected.digest()));
        let options = &mut File::options();
        let Some(file) = open_no_follow(options.read(true).write(true), &path)? else {
            return Ok(Found::Nothing);
        };
        match Partial::lock(file, path, &expected)? {
            Some(partial) => partial.read(&expected).map(Box::new).map(Found::Begun),
            None => Ok(Found::InUse),
        }
    })
    .await
}

/// A partial blob without content; `None` if another push is writing to it.
async fn create(directory: &Arc<LocalDirectory>, expected: &Descriptor) -> Result<Option<Partial>> {
    let (directory, expected) = (Arc::clone(directory), expected.clone());
    blocking::run(move || {
        let path = directory.paths.uploads()?.join(name_of(expected.digest()));
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let Some(file) = open_no_follow(options, &path)? else {
            return Ok(None);
        };
        let Some(partial) = Partial::lock(file, path, &expected)? else {
            return Ok(None);
        };
        partial.truncate().map(Some)
    })
    .await
}

impl Partial {
    /// Takes the file for one push alone; `None` if another one has it.
    fn lock(file: File, path: PathBuf, expected: &Descriptor) -> Result<Option<Self>> {
        if wait_for_lock(&file, &path).is_err() {
            return Ok(None);
        }
        let inspected = |error| failed("inspected", &path, error);
        let metadata = file.metadata().map_err(inspected)?;
        // Completed, or removed, while we waited.
        match stat_regular(&path)? {
            Some(current) if identity(&current) == identity(&metadata) => {}
            _ => return Ok(None),
        }
        let replaced = |error| failed("replaced", &path, error);
        let mut kept = TempPath::try_from_path(&path).map_err(replaced)?;
        kept.disable_cleanup(true);
        Ok(Some(Self {
            file: NamedTempFile::from_parts(file, kept),
            length: metadata.len(),
            verifier: Verifier::new(expected),
        }))
    }

    /// Hashes the content of the file, or drops it if it is longer than the blob. The cursor is at its end then.
    fn read(mut self, expected: &Descriptor) -> Result<Self> {
        if self.length > expected.size() {
            return self.truncate();
        }
        let (file, path) = (self.file.as_file(), self.file.path());
        self.length = 0;
        read_pieces(file, path, expected.size(), |bytes| {
            self.length += bytes.len() as u64;
            self.verifier.update(bytes)
        })?;
        let end = SeekFrom::Start(self.length);
        let moved = self.file.as_file_mut().seek(end);
        moved.map_err(|error| failed("read", self.file.path(), error))?;
        Ok(self)
    }

    fn truncate(mut self) -> Result<Self> {
        let path = self.file.path();
        self.file
            .as_file()
            .set_len(0)
            .map_err(|error| failed("written", path, error))?;
        self.length = 0;
        Ok(self)
    }

    /// Appends the rest, and makes it the blob `expected`.
    async fn complete(
        self,
        directory: &Arc<LocalDirectory>,
        expected: &Descriptor,
        rest: Body,
    ) -> Result<()> {
        let path = self.file.path().to_owned();
        // Shares the lock, which others must not get before the file is removed or moved away.
        let held = self.file.as_file().try_clone();
        let held = held.map_err(|error| failed("opened", &path, error))?;
        let growing = Growing::resume(self.file, self.length, expected.size());
        let filled = fill(
            directory,
            Sequence::new(growing),
            self.verifier,
            rest.into_stream(),
        );
        let outcome = filled.await;
        let (to, directory, expected) = (directory, Arc::clone(directory), expected.clone());
        blocking::run(move || {
            let outcome = match outcome {
                Ok(file) => give_name(&directory, file, &expected),
                Err(error) => {
                    let is_full = error.kind() == ErrorKind::StorageFull;
                    let is_empty = held.metadata().is_ok_and(|found| found.len() == 0);
                    if is_wrong(error.kind()) || is_full || is_empty {
                        // If that fails, garbage collection does it later.
                        let _ = std::fs::remove_file(&path);
                    }
                    Err(error)
                }
            };
            drop(held);
            outcome
        })
        .await?;
        to.flush_if_due().await
    }
}

/// Makes a complete file a blob like those that come in one go.
fn give_name(directory: &LocalDirectory, file: NamedTempFile, expected: &Descriptor) -> Result<()> {
    let temporary = directory.commit.temporary_file(BLOB_MODE)?.into_temp_path();
    let (file, kept) = file.into_parts();
    disk::naming(&temporary, || std::fs::rename(&kept, &temporary))
        .map_err(|error| not_named(&kept, error))?;
    make_read_only(&file).map_err(|error| failed("written", &temporary, error))?;
    let file = NamedTempFile::from_parts(file, temporary);
    directory.commit.store(file, expected)
}
