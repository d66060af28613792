//! Uploads on a local disk: a file for each, which a lock reserves for one writer.

use std::fs::{File, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::{Builder, TempPath};
use tranship::UploadHash;
use tranship::blocking::{self, Task};
use tranship::{
    Descriptor, Digest, Error, ErrorKind, Result, ResultExt as _, Upload, UploadId, Verifier,
};

use super::directory::LocalDirectory;
use crate::driver::file::{failed, identity, open_no_follow, read_pieces, stat_regular, with_mode};

/// The length of an id: letters and digits only, so that it is a file name and nothing more.
const ID_LENGTH: usize = 32;

/// How often, and how long in between, a lock is tried that a dropped upload may still hold.
const PATIENCE: (u32, Duration) = (20, Duration::from_millis(25));

pub(super) async fn start(layout: &Arc<LocalDirectory>) -> Result<Box<dyn Upload>> {
    let layout = Arc::clone(layout);
    let session = blocking::run(move || {
        let directory = layout.paths.uploads()?;
        let file = with_mode(Builder::new().prefix("").rand_bytes(ID_LENGTH), 0o666)
            .disable_cleanup(true)
            .tempfile_in(&directory)
            .map_err(|error| failed("created", &directory, error))?;
        let (file, path) = file
            .keep()
            .map_err(|error| failed("created", &directory, error.error))?;
        if !try_lock(&file, &path)? {
            return Err(busy());
        }
        Ok(UploadFile {
            layout,
            path,
            file,
            offset: 0,
        })
    })
    .await
    .map_err(|error| error.with_operation("start an upload"))?;
    let id = session
        .path
        .file_name()
        .and_then(|name| name.to_str())
        .map(UploadId::new)
        .ok_or_else(|| Error::new(ErrorKind::Io, "the upload has no name"))?;
    Ok(Box::new(LocalUpload::new(
        id,
        session,
        UploadHash::default(),
    )))
}

pub(super) async fn resume(layout: &Arc<LocalDirectory>, id: &UploadId) -> Result<Box<dyn Upload>> {
    let name = id.as_str();
    if name.len() != ID_LENGTH || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(unknown());
    }
    let (layout, name) = (Arc::clone(layout), name.to_owned());
    let session = blocking::run(move || {
        let directory = layout.paths.existing_uploads()?.ok_or_else(unknown)?;
        let path = directory.join(name);
        UploadFile::open(layout, path)
    })
    .await
    .map_err(|error| error.with_operation("resume an upload"))?;
    let hash = UploadHash::lost();
    Ok(Box::new(LocalUpload::new(id.clone(), session, hash)))
}

fn try_lock(file: &File, path: &Path) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(failed("locked", path, error)),
    }
}

/// # Errors
/// `Conflict` if it is held for long.
pub(super) fn wait_for_lock(file: &File, path: &Path) -> Result<()> {
    let (attempts, pause) = PATIENCE;
    for _ in 1..attempts {
        if try_lock(file, path)? {
            return Ok(());
        }
        std::thread::sleep(pause);
    }
    if try_lock(file, path)? {
        Ok(())
    } else {
        Err(busy())
    }
}

fn unknown() -> Error {
    Error::new(ErrorKind::NotFound, "there is no such upload")
        .with_hint("it may have been committed or cancelled; start a new one")
}

fn busy() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "somebody else is writing to the upload",
    )
}

/// The file of an upload, locked as long as it is open.
struct UploadFile {
    layout: Arc<LocalDirectory>,
    path: PathBuf,
    file: File,
    offset: u64,
}

impl UploadFile {
    /// Opens the file of an upload that exists, where it ends now.
    fn open(layout: Arc<LocalDirectory>, path: PathBuf) -> Result<Self> {
        let file =
            open_no_follow(File::options().read(true).write(true), &path)?.ok_or_else(unknown)?;
        wait_for_lock(&file, &path)?;
        let metadata = file
            .metadata()
            .map_err(|error| failed("inspected", &path, error))?;
        // Committed or cancelled while we waited.
        let current = stat_regular(&path)?.ok_or_else(unknown)?;
        if identity(&current) != identity(&metadata) {
            return Err(unknown());
        }
        Ok(Self {
            layout,
            path,
            file,
            offset: metadata.len(),
        })
    }

    fn write(&mut self, chunk: &[u8]) -> Result<()> {
        let written = self
            .file
            .seek(SeekFrom::Start(self.offset))
            .and_then(|_| self.file.write_all(chunk));
        if let Err(error) = written {
            // What is half written is not counted; resuming takes the file's length for the offset.
            let _ = self.file.set_len(self.offset);
            return Err(failed("written", &self.path, error));
        }
        self.offset += chunk.len() as u64;
        Ok(())
    }

    /// Gives the file the name of the blob. `actual` is the digest of its bytes, if that is known.
    fn commit(self, expected: &Descriptor, actual: Option<Digest>) -> Result<()> {
        let temporary = TempPath::try_from_path(&self.path)
            .map_err(|error| failed("replaced", &self.path, error))?;
        self.verify(expected, actual)?;
        make_read_only(&self.file).map_err(|error| failed("written", &self.path, error))?;
        let file = tempfile::NamedTempFile::from_parts(self.file, temporary);
        self.layout.commit.store(file, expected)
    }

    fn verify(&self, expected: &Descriptor, actual: Option<Digest>) -> Result<()> {
        if self.offset != expected.size() {
            return Err(Error::new(
                ErrorKind::SizeMismatch,
                format!(
                    "{} bytes were uploaded, {} were expected",
                    self.offset,
                    expected.size()
                ),
            )
            .with_subject(expected.digest()));
        }
        let algorithm = expected.digest().algorithm();
        match actual.filter(|actual| actual.algorithm() == algorithm) {
            Some(actual) if actual == *expected.digest() => Ok(()),
            Some(actual) => Err(Error::new(
                ErrorKind::DigestMismatch,
                format!("the content hashes to {actual}"),
            )
            .with_subject(expected.digest())),
            None => self.hash_again(expected),
        }
    }

    fn hash_again(&self, expected: &Descriptor) -> Result<()> {
        let mut verifier = Verifier::new(expected);
        read_pieces(&self.file, &self.path, expected.size(), |bytes| {
            verifier.update(bytes)
        })?;
        verifier.finish()
    }
}

#[cfg(unix)]
pub(super) fn make_read_only(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut permissions = file.metadata()?.permissions();
    permissions.set_mode(permissions.mode() & 0o444);
    file.set_permissions(permissions)
}

#[cfg(not(unix))]
pub(super) fn make_read_only(_: &File) -> io::Result<()> {
    Ok(())
}

/// An upload whose file is closed, so that it holds no descriptor.
struct Paused {
    layout: Arc<LocalDirectory>,
    path: PathBuf,
}

enum State {
    Idle(Box<UploadFile>),
    Paused(Paused),
    Writing(Task<(Box<UploadFile>, Result<()>)>),
    /// The thread that had the session did not give it back.
    Lost,
}

struct LocalUpload {
    id: UploadId,
    offset: u64,
    state: State,
    hash: UploadHash,
}

impl LocalUpload {
    fn new(id: UploadId, session: UploadFile, hash: UploadHash) -> Self {
        Self {
            id,
            offset: session.offset,
            state: State::Idle(Box::new(session)),
            hash,
        }
    }

    /// Waits for the write that is under way, and answers how it ended.
    async fn settle(&mut self) -> Result<()> {
        let State::Writing(handle) = &mut self.state else {
            return Ok(());
        };
        let ended = handle.await;
        self.state = State::Lost;
        let (session, outcome) = ended.map_err(lost)?;
        self.offset = session.offset;
        self.state = State::Idle(session);
        if outcome.is_err() {
            self.hash = UploadHash::lost();
        }
        outcome
    }

    /// The session, when the last write has ended. How that ended, its caller did not want to know.
    async fn session(&mut self) -> Result<Box<UploadFile>> {
        let _ = self.settle().await;
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Idle(session) => Ok(session),
            State::Paused(Paused { layout, path }) => {
                let session = blocking::run(move || UploadFile::open(layout, path)).await?;
                // Files of uploads only grow: with the same length it has the same bytes.
                if session.offset != self.offset {
                    self.offset = session.offset;
                    self.hash = UploadHash::lost();
                }
                Ok(Box::new(session))
            }
            State::Writing(_) | State::Lost => Err(lost("the session is gone")),
        }
    }
}

fn lost(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Io, "a write to the upload was cut short")
        .with_hint("resume the upload by its id")
        .with_source(why)
}

#[async_trait]
impl Upload for LocalUpload {
    fn id(&self) -> &UploadId {
        &self.id
    }

    fn offset(&self) -> u64 {
        self.offset
    }

    async fn write(&mut self, offset: u64, chunk: Bytes) -> Result<()> {
        let mut session = self.session().await?;
        if offset != session.offset {
            let error = Error::new(
                ErrorKind::RangeInvalid,
                format!(
                    "the upload goes on at byte {}, not at {offset}",
                    session.offset
                ),
            );
            self.state = State::Idle(session);
            return Err(error.with_operation("write to an upload"));
        }
        // One thread writes and another one hashes: with a fast client that is faster than the two in
        // turn. The hash may still be under way when this returns.
        let written = chunk.clone();
        self.state = State::Writing(blocking::start(move || {
            let outcome = session.write(&written);
            Ok((session, outcome))
        }));
        self.hash.update(offset, chunk).await;
        self.settle()
            .await
            .map_err(|error| error.with_operation("write to an upload"))
    }

    async fn pause(&mut self) -> Result<()> {
        if matches!(self.state, State::Paused(_)) {
            return Ok(());
        }
        let session = self.session().await?;
        self.offset = session.offset;
        let UploadFile {
            layout, path, file, ..
        } = *session;
        self.state = State::Paused(Paused { layout, path });
        blocking::run(move || {
            drop(file);
            Ok(())
        })
        .await
    }

    async fn commit(mut self: Box<Self>, expected: &Descriptor) -> Result<()> {
        let session = self.session().await?;
        let (target, actual) = (expected.clone(), self.hash.finish(session.offset).await);
        let layout = Arc::clone(&session.layout);
        let committed = async {
            blocking::run(move || session.commit(&target, actual)).await?;
            layout.flush_if_due().await
        };
        committed
            .await
            .during("commit an upload", expected.digest())
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        let session = self.session().await?;
        blocking::run(move || {
            std::fs::remove_file(&session.path)
                .map_err(|error| failed("removed", &session.path, error))
        })
        .await
        .map_err(|error| error.with_operation("cancel an upload"))
    }
}
