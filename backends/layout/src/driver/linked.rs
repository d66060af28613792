//! A layout in a directory of a local disk whose files may be symbolic links, as build tools such as Bazel make them.
//! It is only read.
//!
//! A link in a layout from elsewhere could make a reader hand out any file of the machine. So links are followed only
//! where the user names a directory that their targets must be in.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tranship::{
    Body, Capabilities, Descriptor, Digest, Error, ErrorKind, LocalFile, Result, Source, Support,
    Upload, UploadId, blocking,
};

use super::file::{check_limit, failed, open_regular};
use super::stamp::Stamp;
use super::{
    BLOBS, Driver, Hashed, INDEX, Immediate, IndexEdit, IndexFile, IndexRead, Leftover,
    Maintenance, OCI_LAYOUT, Observer, Pages, Stored, SweepPlan, Swept, Transaction, check_size,
    hash_blob, marker,
};

const READ_ONLY: &str = "a layout whose links are followed is only read";

/// A layout whose links are followed.
#[derive(Debug, Clone)]
pub(crate) struct Linked {
    layout: PathBuf,
    /// Where the targets of links must be.
    root: PathBuf,
}

impl Linked {
    /// The layout in the directory `layout`, with links to files below `root`. Both paths are absolute.
    pub(crate) fn new(layout: PathBuf, root: PathBuf) -> Self {
        Self { layout, root }
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        blocking::run(move || work(&this)).await
    }

    /// Opens the file at `path` below the layout; `None` if there is none.
    ///
    /// # Errors
    /// `PermissionDenied` if it, or a directory on the way, is a link to something outside the root.
    fn open(&self, path: &Path) -> Result<Option<(File, std::fs::Metadata, PathBuf)>> {
        let path = self.layout.join(path);
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.missing(&path),
            Err(error) => return Err(failed("opened", &path, error)),
        };
        // Content that no link leads out of is in the layout itself, which need not be below the root.
        let is_inside = |root: &Path| root.canonicalize().is_ok_and(|root| real.starts_with(root));
        if !is_inside(&self.root) && !is_inside(&self.layout) {
            if let Err(error) = self.root.canonicalize() {
                return Err(Error::io(
                    "cannot be opened, and the links to files below it not be followed",
                    error,
                )
                .with_subject(self.root.display()));
            }
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                format!("is a symbolic link to {}, which is outside the directory whose links are followed", real.display()),
            )
            .with_subject(path.display())
            .with_hint("name a directory that holds the targets of all links"));
        }
        // It was resolved: whatever is a link now was put there since.
        Ok(open_regular(&real)?.map(|(file, metadata)| (file, metadata, real)))
    }

    fn missing(&self, path: &Path) -> Result<Option<(File, std::fs::Metadata, PathBuf)>> {
        if path.is_symlink() {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "is a symbolic link to a file that does not exist",
            )
            .with_subject(path.display()));
        }
        Ok(None)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<(File, std::fs::Metadata, PathBuf)>> {
        let algorithm = digest.algorithm().to_string();
        self.open(&Path::new(BLOBS).join(algorithm).join(digest.hex()))
    }

    fn read(&self, file: File, size: u64, path: &Path, limit: u64) -> Result<Bytes> {
        check_limit(size, limit).map_err(|error| error.with_subject(path.display()))?;
        let mut content = Vec::new();
        file.take(limit.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|error| failed("read", path, error))?;
        check_limit(content.len() as u64, limit)
            .map_err(|error| error.with_subject(path.display()))?;
        Ok(content.into())
    }

    fn refused(&self) -> Error {
        Error::unsupported(READ_ONLY).with_subject(self.layout.display())
    }
}

#[async_trait]
impl Driver for Linked {
    fn location(&self) -> String {
        self.layout.display().to_string()
    }

    fn capabilities(&self) -> Capabilities {
        let no = Support::No(READ_ONLY);
        Capabilities::all()
            .with_push(no)
            .with_uploads(no)
            .with_mount(no)
            .with_delete_blobs(no)
            .with_delete_manifests(no)
            .with_untag(no)
    }

    async fn version(&self) -> Result<Option<String>> {
        self.on_thread(|this| {
            let Some((file, metadata, path)) = this.open(Path::new(OCI_LAYOUT))? else {
                return Ok(None);
            };
            let content = this.read(file, metadata.len(), &path, marker::MAX_SIZE)?;
            marker::version(&content)
                .map(Some)
                .map_err(|error| error.with_subject(path.display()))
        })
        .await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        let digest = *digest;
        self.on_thread(move |this| Ok(this.blob(&digest)?.map(|(_, metadata, _)| metadata.len())))
            .await
    }

    async fn open_blob(&self, target: &Descriptor, range: Range<u64>) -> Result<Body> {
        let target = target.clone();
        self.on_thread(move |this| {
            let found = this.blob(target.digest())?;
            let (file, metadata, path) = found.ok_or_else(|| Error::not_found(target.digest()))?;
            check_size(metadata.len(), &target)?;
            let part = LocalFile::new(file, range).with_path(path);
            Ok(Body::from_local_file(part))
        })
        .await
    }

    async fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>> {
        let digest = *digest;
        self.on_thread(move |this| {
            let Some((file, metadata, path)) = this.blob(&digest)? else {
                return Ok(None);
            };
            this.read(file, metadata.len(), &path, limit).map(Some)
        })
        .await
    }

    async fn put_blob(&self, _: &Descriptor, _: Source<'_>) -> Result<()> {
        Err(self.refused())
    }

    async fn delete_blob(&self, _: &Digest) -> Result<bool> {
        Err(self.refused())
    }

    fn begin(&self) -> Box<dyn Transaction> {
        Box::new(Immediate(Arc::new(self.clone())))
    }

    async fn start_upload(&self) -> Result<Box<dyn Upload>> {
        Err(self.refused())
    }

    async fn resume_upload(&self, _: &UploadId) -> Result<Box<dyn Upload>> {
        Err(self.refused())
    }
}

#[async_trait]
impl IndexFile for Linked {
    type Version = Stamp;

    async fn read(&self, known: Option<Stamp>, limit: u64) -> Result<IndexRead<Stamp>> {
        self.on_thread(move |this| {
            let Some((file, metadata, path)) = this.open(Path::new(INDEX))? else {
                return Ok(IndexRead::Absent);
            };
            let stamp = Stamp::of(&metadata);
            if known.as_ref() == Some(&stamp) && !stamp.is_fresh() {
                return Ok(IndexRead::Unchanged(stamp));
            }
            let content = this.read(file, metadata.len(), &path, limit)?;
            Ok(IndexRead::Read(content, stamp))
        })
        .await
    }

    async fn update(&self, _: Option<Stamp>, _: u64, _: IndexEdit) -> Result<Option<Stamp>> {
        Err(self.refused())
    }

    async fn sweep(
        &self,
        _: Option<Stamp>,
        _: u64,
        _: Duration,
        _: SweepPlan,
    ) -> Result<Swept<Stamp>> {
        Err(self.refused())
    }
}

#[async_trait]
impl Maintenance for Linked {
    fn stored(&self) -> Pages<'_, Stored> {
        futures_util::stream::iter([Err(self.refused())]).boxed()
    }

    async fn hash_blob(&self, digest: &Digest, observe: Observer) -> Result<Option<Hashed>> {
        hash_blob(self, digest, observe).await
    }

    fn leftovers(&self, _: Duration) -> Pages<'_, Leftover> {
        futures_util::stream::empty().boxed()
    }

    async fn remove_leftover(&self, _: &Leftover, _: Duration) -> Result<bool> {
        Err(self.refused())
    }
}
