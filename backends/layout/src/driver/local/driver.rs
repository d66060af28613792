//! A layout in a directory as a driver. Short calls of the file system are made in place, all others on blocking threads.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tranship::blocking::{self, Work};
use tranship::{
    Body, Capabilities, Descriptor, Digest, Error, ErrorKind, LocalFile, Result, Source, Upload,
    UploadId,
};

use super::commit::Commit;
use super::directory::{LocalDirectory, SMALL};
use super::index::FileVersion;
use super::link::Trust;
use super::{hash, index, leftover, link, partial, stored, sweep, upload, write};
use crate::driver::file::{check_limit, failed, open_regular, stat_regular};
use crate::driver::stamp::Stamp;
use crate::driver::{
    Driver, Hashed, IndexEdit, IndexFile, IndexRead, Leftover, Maintenance, OCI_LAYOUT, Observer,
    Pages, Stored, SweepPlan, Swept, Transaction, check_size, marker,
};
use crate::options::Durability;
use crate::sizes::Sizes;

/// One layout on a local disk.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    pub(super) directory: Arc<LocalDirectory>,
    /// Commits changes of the index: in a batch too, at once.
    index: Arc<Commit>,
}

impl Local {
    /// The layout at `root`, an absolute path. Nothing looks at the disk.
    pub(crate) fn new(root: PathBuf, durability: Durability) -> Self {
        let directory = Arc::new(LocalDirectory::new(root, durability));
        Self {
            index: Arc::clone(&directory.commit),
            directory,
        }
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&LocalDirectory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let directory = Arc::clone(&self.directory);
        blocking::run(move || work(&directory)).await
    }

    /// Runs work that makes a few system calls and no more.
    async fn briefly<T: Send + 'static>(
        &self,
        work: impl FnOnce(&LocalDirectory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let directory = Arc::clone(&self.directory);
        self.directory
            .disk
            .run(Work::Look, move || work(&directory))
            .await
    }

    /// Returns what a brief look finds, and does more on a blocking thread where it finds nothing.
    async fn look_first<T: Send + 'static>(
        &self,
        look: impl FnOnce(&LocalDirectory) -> Result<Option<T>> + Send + 'static,
        work: impl FnOnce(&LocalDirectory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (to_look, to_work) = (Arc::clone(&self.directory), Arc::clone(&self.directory));
        let disk = &self.directory.disk;
        disk.look_first(move || look(&to_look), move || work(&to_work))
            .await
    }

    /// Opens the file of the blob `target`; `None` if there is no such blob, or one of another size.
    pub(super) async fn blob_file(&self, target: &Descriptor) -> Result<Option<LocalFile>> {
        let target = target.clone();
        self.briefly(move |directory| {
            let found = find_file(directory, target.digest())?;
            let found = found.filter(|(_, metadata, _)| metadata.len() == target.size());
            Ok(found.map(|found| as_local_file(found, 0..target.size())))
        })
        .await
    }
}

#[async_trait]
impl Driver for Local {
    fn location(&self) -> String {
        self.directory.paths.root().display().to_string()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    async fn version(&self) -> Result<Option<String>> {
        self.on_thread(read_version).await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        let digest = *digest;
        self.briefly(move |directory| {
            let found = directory.find_blob(&digest, |path| stat_regular(&path))?;
            Ok(found.map(|metadata| metadata.len()))
        })
        .await
    }

    async fn open_blob(&self, target: &Descriptor, range: Range<u64>) -> Result<Body> {
        let target = target.clone();
        self.briefly(move |directory| open_blob(directory, &target, range))
            .await
    }

    async fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>> {
        let digest = *digest;
        let found = self.briefly(move |directory| {
            if let Some(content) = recently_read(directory, &digest, limit)? {
                return Ok(Some(Found::Content(content)));
            }
            directory.find_blob(&digest, |path| find_blob(&digest, path, limit))
        });
        let (file, path, metadata) = match found.await? {
            None => return Ok(None),
            Some(Found::Content(content)) => return Ok(Some(content)),
            Some(Found::File(file, path, metadata)) => (file, path, metadata),
        };
        let directory = Arc::clone(&self.directory);
        let size = metadata.len();
        let read = move || read_blob(&directory, &digest, file, &path, &metadata).map(Some);
        match size <= SMALL {
            true => self.directory.disk.run(Work::Look, read).await,
            false => blocking::run(read).await,
        }
    }

    async fn put_blob(&self, expected: &Descriptor, source: Source<'_>) -> Result<()> {
        let body = source.open(0).await?;
        if let Some(origin) = body.local_file()
            && link::take_over(&self.directory, expected, origin, Trust::Nothing).await?
        {
            return Ok(());
        }
        write::write(&self.directory, expected, body).await
    }

    async fn put_blob_resumable(&self, expected: &Descriptor, source: Source<'_>) -> Result<()> {
        partial::put(&self.directory, expected, &source).await
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<bool> {
        let digest = *digest;
        self.on_thread(move |directory| {
            // If a power cut brought an older state of the index back, that might need the blob.
            index::secure_file(&directory.commit, None)?;
            directory.commit.remove_blob(&digest)
        })
        .await
    }

    fn begin(&self) -> Box<dyn Transaction> {
        Box::new(LocalTransaction(Self {
            directory: Arc::new(self.directory.for_batch()),
            index: Arc::clone(&self.index),
        }))
    }

    fn is_to_secure(&self) -> bool {
        self.directory.commit.syncs()
    }

    async fn secure_blobs(&self, blobs: Arc<Sizes>) -> Result<()> {
        self.on_thread(move |directory| {
            directory
                .commit
                .secure_blobs(blobs.iter().map(|(digest, _)| digest))
        })
        .await
    }

    async fn start_upload(&self) -> Result<Box<dyn Upload>> {
        upload::start(&self.directory).await
    }

    async fn resume_upload(&self, id: &UploadId) -> Result<Box<dyn Upload>> {
        upload::resume(&self.directory, id).await
    }
}

#[async_trait]
impl IndexFile for Local {
    type Version = FileVersion;

    async fn read(&self, known: Option<FileVersion>, limit: u64) -> Result<IndexRead<FileVersion>> {
        let seen = known.clone();
        let look = move |directory: &LocalDirectory| index::look(&directory.commit, seen.as_ref());
        let read =
            move |directory: &LocalDirectory| index::read(&directory.commit, known.as_ref(), limit);
        self.look_first(look, read).await
    }

    async fn update(
        &self,
        known: Option<FileVersion>,
        limit: u64,
        edit: IndexEdit,
    ) -> Result<Option<FileVersion>> {
        let index = Arc::clone(&self.index);
        blocking::run(move || index::update(&index, known, limit, edit)).await
    }

    async fn secure(&self, version: &FileVersion) -> Result<()> {
        let (index, version) = (Arc::clone(&self.index), version.clone());
        blocking::run(move || index::secure_version(&index, Some(&version), None)).await
    }

    async fn sweep(
        &self,
        known: Option<FileVersion>,
        limit: u64,
        min_age: Duration,
        plan: SweepPlan,
    ) -> Result<Swept<FileVersion>> {
        let index = Arc::clone(&self.index);
        blocking::run(move || sweep::sweep(&index, known, limit, min_age, plan)).await
    }
}

#[async_trait]
impl Maintenance for Local {
    async fn write_version(&self) -> Result<()> {
        self.on_thread(|directory| directory.commit.write_marker())
            .await
    }

    fn stored(&self) -> Pages<'_, Stored> {
        stored::list(&self.directory.paths)
    }

    async fn hash_blob(&self, digest: &Digest, observe: Observer) -> Result<Option<Hashed>> {
        hash::hash(&self.directory, digest, observe).await
    }

    fn leftovers(&self, min_age: Duration) -> Pages<'_, Leftover> {
        leftover::list(Arc::clone(&self.directory.paths), min_age)
    }

    async fn remove_leftover(&self, leftover: &Leftover, min_age: Duration) -> Result<bool> {
        let leftover = leftover.clone();
        self.on_thread(move |directory| leftover::remove(&directory.paths, &leftover, min_age))
            .await
    }
}

/// A batch, whose blobs are published in groups.
#[derive(Debug)]
struct LocalTransaction(Local);

#[async_trait]
impl Transaction for LocalTransaction {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(self.0.clone())
    }

    async fn publish(&self) -> Result<()> {
        self.0.on_thread(|directory| directory.commit.flush()).await
    }
}

fn read_version(directory: &LocalDirectory) -> Result<Option<String>> {
    let path = directory.paths.file(OCI_LAYOUT);
    if std::fs::metadata(directory.paths.root()).is_ok_and(|metadata| !metadata.is_dir()) {
        return Err(
            Error::new(ErrorKind::InvalidInput, "is a file, not a directory")
                .with_subject(directory.paths.root().display()),
        );
    }
    let Some((file, _)) = open_regular(&path)? else {
        return Ok(None);
    };
    let mut content = Vec::new();
    file.take(marker::MAX_SIZE)
        .read_to_end(&mut content)
        .map_err(|error| failed("read", &path, error))?;
    marker::version(&content)
        .map(Some)
        .map_err(|error| error.with_subject(path.display()))
}

fn open_blob(directory: &LocalDirectory, target: &Descriptor, range: Range<u64>) -> Result<Body> {
    let found = find_file(directory, target.digest())?;
    let found = found.ok_or_else(|| Error::not_found(target.digest()))?;
    check_size(found.1.len(), target)?;
    Ok(Body::from_local_file(as_local_file(found, range)))
}

/// An open file, its metadata, and its path.
type FoundFile = (File, Metadata, PathBuf);

fn find_file(directory: &LocalDirectory, digest: &Digest) -> Result<Option<FoundFile>> {
    directory.find_blob(digest, |path| {
        Ok(open_regular(&path)?.map(|(file, metadata)| (file, metadata, path)))
    })
}

/// In one call, where `read_to_end` begins with small ones.
fn read_up_to(file: &mut File, length: u64) -> io::Result<Bytes> {
    let mut content = vec![0; usize::try_from(length).unwrap_or_default()];
    let mut filled = 0;
    while filled < content.len() {
        match file.read(&mut content[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    content.truncate(filled);
    Ok(content.into())
}

/// Returns the bytes `range` of the file of a blob. Only a file without write permissions may be linked: tools that
/// leave blobs writable, or their users, may rely on changing one file and not another.
fn as_local_file((file, metadata, path): FoundFile, range: Range<u64>) -> LocalFile {
    LocalFile::new(file, range)
        .with_path(path)
        .with_immutable(metadata.permissions().readonly())
}

/// What there is of a small blob.
enum Found {
    /// It was read of late, and its file is still the same.
    Content(Bytes),
    /// Its file, where that is, and its state when it was opened.
    File(File, PathBuf, Metadata),
}

/// Returns the content of a blob that was read recently, if its file is still the same: other processes may have removed
/// it. The directories above the file need no check for links, as the check of the file covers what they lead to.
fn recently_read(directory: &LocalDirectory, digest: &Digest, limit: u64) -> Result<Option<Bytes>> {
    if directory.commit.staged(digest).is_some() {
        return Ok(None);
    }
    let Some(known) = directory.recent.get(digest) else {
        return Ok(None);
    };
    match stat_regular(&directory.paths.unchecked_blob(digest)) {
        Ok(Some(found)) if Stamp::of(&found) == known.stamp => {
            check_limit(found.len(), limit).map_err(|error| error.with_subject(digest))?;
            Ok(Some(known.content))
        }
        _ => {
            directory.recent.forget(digest);
            Ok(None)
        }
    }
}

fn find_blob(digest: &Digest, path: PathBuf, limit: u64) -> Result<Option<Found>> {
    let Some((file, metadata)) = open_regular(&path)? else {
        return Ok(None);
    };
    check_limit(metadata.len(), limit).map_err(|error| error.with_subject(digest))?;
    Ok(Some(Found::File(file, path, metadata)))
}

fn read_blob(
    directory: &LocalDirectory,
    digest: &Digest,
    mut file: File,
    path: &Path,
    opened: &Metadata,
) -> Result<Bytes> {
    let read = |error| failed("read", path, error);
    let before = Stamp::of(opened);
    let content = read_up_to(&mut file, opened.len()).map_err(read)?;
    // A file that was written to in the meantime has another stamp.
    if before == Stamp::of(&file.metadata().map_err(read)?) {
        directory.recent.remember(digest, before, &content);
    }
    Ok(content)
}
