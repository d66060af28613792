//! The driver of a `docker-archive`.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tranship::{
    Body, Capabilities, Descriptor, Digest, Error, Result, Source, Support, Upload, UploadId,
};

use super::assembly::{self, Assembly, AssemblyGuard};
use super::pushed::PushedContent;
use super::tags::ImageName;
use super::{contents, layer};
use crate::driver::archive::archive_file::{ArchiveFile, no_uploads};
use crate::driver::archive::contents::Contents;
use crate::driver::archive::{maintenance, read};
use crate::driver::file::check_limit;
use crate::driver::{
    Driver, Hashed, IndexEdit, IndexFile, IndexRead, Leftover, Maintenance, Observer, Pages,
    Stored, SweepPlan, Swept, Transaction, check_size, hash_blob,
};
use crate::options::LayoutOptions;
use crate::sizes::Sizes;

const ONLY_IMAGES: &str = "a docker-archive contains whole images, and cannot contain single blobs";

/// A `docker-archive`.
#[derive(Debug, Clone)]
pub(crate) struct DockerArchive {
    archive: Arc<ArchiveFile>,
    name: ImageName,
    batch: Option<Batch>,
}

#[derive(Debug, Clone)]
struct Batch {
    assembly: Arc<tokio::sync::Mutex<Assembly>>,
    pushed: Arc<Mutex<PushedContent>>,
}

impl Batch {
    fn new(archive: &Arc<ArchiveFile>) -> Self {
        let assembly = Assembly::new(Arc::clone(archive));
        Self {
            pushed: assembly.pushed(),
            assembly: Arc::new(tokio::sync::Mutex::new(assembly)),
        }
    }

    fn pushed(&self) -> MutexGuard<'_, PushedContent> {
        self.pushed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DockerArchive {
    /// Returns the archive at the absolute path `path`. Its tags are those of the image `name`.
    pub(crate) fn new(path: PathBuf, options: &LayoutOptions, name: ImageName) -> Self {
        let tags_of = name.clone();
        let reader = Box::new(move |opened| contents::read(opened, &tags_of));
        Self {
            archive: Arc::new(ArchiveFile::new(path, options, reader)),
            name,
            batch: None,
        }
    }
}

#[async_trait]
impl Driver for DockerArchive {
    fn location(&self) -> String {
        self.archive.path().display().to_string()
    }

    fn capabilities(&self) -> Capabilities {
        self.archive
            .capabilities()
            .with_referrers(Support::No("a docker-archive cannot store referrers"))
            .with_delete_blobs(Support::No(ONLY_IMAGES))
    }

    async fn version(&self) -> Result<Option<String>> {
        read::version(&self.archive).await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        if let Some(batch) = &self.batch
            && let Some(size) = batch.pushed().size(digest)
        {
            return Ok(Some(size));
        }
        read::blob_size(&self.archive, digest).await
    }

    async fn open_blob(&self, target: &Descriptor, range: Range<u64>) -> Result<Body> {
        if let Some(batch) = &self.batch {
            let pushed = batch.pushed();
            if let Some(content) = pushed.content(target.digest()) {
                check_size(content.len() as u64, target)?;
                let at = |at| usize::try_from(at).map_or(content.len(), |at| at.min(content.len()));
                return Ok(Body::from_bytes(
                    content.slice(at(range.start)..at(range.end)),
                ));
            }
            if pushed.size(target.digest()).is_some() {
                return Err(Error::unsupported(
                    "a docker-archive stores layers uncompressed, and not as they were pushed",
                )
                .with_subject(target.digest()));
            }
        }
        read::open_blob(&self.archive, target, range).await
    }

    async fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>> {
        if let Some(batch) = &self.batch
            && let Some(content) = batch.pushed().content(digest)
        {
            check_limit(content.len() as u64, limit).map_err(|error| error.with_subject(digest))?;
            return Ok(Some(content));
        }
        read::read_blob(&self.archive, digest, limit).await
    }

    async fn put_blob(&self, expected: &Descriptor, source: Source<'_>) -> Result<()> {
        self.archive.check_writable()?;
        let Some(batch) = &self.batch else {
            return Err(Error::unsupported(ONLY_IMAGES)
                .with_subject(expected.digest())
                .with_hint("copy an image into it instead"));
        };
        let assembly = Arc::clone(&batch.assembly).lock_owned().await;
        layer::put(assembly, expected, source).await
    }

    async fn delete_blob(&self, _: &Digest) -> Result<bool> {
        Err(Error::unsupported(ONLY_IMAGES).with_hint("delete the image's manifest instead"))
    }

    fn begin(&self) -> Box<dyn Transaction> {
        Box::new(DockerTransaction(Self {
            archive: Arc::clone(&self.archive),
            name: self.name.clone(),
            batch: Some(Batch::new(&self.archive)),
        }))
    }

    fn is_to_secure(&self) -> bool {
        self.archive.syncs()
    }

    async fn secure_blobs(&self, _: Arc<Sizes>) -> Result<()> {
        self.archive.secure_all().await
    }

    async fn start_upload(&self) -> Result<Box<dyn Upload>> {
        Err(no_uploads())
    }

    async fn resume_upload(&self, _: &UploadId) -> Result<Box<dyn Upload>> {
        Err(no_uploads())
    }
}

#[async_trait]
impl IndexFile for DockerArchive {
    type Version = Arc<Contents>;

    async fn read(
        &self,
        known: Option<Arc<Contents>>,
        limit: u64,
    ) -> Result<IndexRead<Arc<Contents>>> {
        read::index(&self.archive, known, limit).await
    }

    async fn update(
        &self,
        _: Option<Arc<Contents>>,
        limit: u64,
        edit: IndexEdit,
    ) -> Result<Option<Arc<Contents>>> {
        self.archive.check_writable()?;
        let assembly = match &self.batch {
            Some(batch) => Arc::clone(&batch.assembly),
            None => Arc::new(tokio::sync::Mutex::new(Assembly::new(Arc::clone(
                &self.archive,
            )))),
        };
        let guard: AssemblyGuard = assembly.lock_owned().await;
        let name = self.name.clone();
        let work =
            move |archive: &Arc<ArchiveFile>| assembly::publish(archive, guard, &name, limit, edit);
        self.archive.change(work).await?;
        // The new index is made from the images, and may differ from the one of the edit.
        Ok(None)
    }

    async fn secure(&self, _: &Arc<Contents>) -> Result<()> {
        self.archive.secure_all().await
    }

    async fn sweep(
        &self,
        _: Option<Arc<Contents>>,
        _: u64,
        _: Duration,
        _: SweepPlan,
    ) -> Result<Swept<Arc<Contents>>> {
        Err(
            Error::unsupported("a docker-archive contains nothing that no image refers to")
                .with_subject(self.archive.path().display())
                .with_hint("delete images to make it smaller"),
        )
    }
}

#[async_trait]
impl Maintenance for DockerArchive {
    fn stored(&self) -> Pages<'_, Stored> {
        maintenance::all_stored(&self.archive)
    }

    async fn hash_blob(&self, digest: &Digest, observe: Observer) -> Result<Option<Hashed>> {
        hash_blob(self, digest, observe).await
    }

    fn leftovers(&self, min_age: Duration) -> Pages<'_, Leftover> {
        maintenance::leftovers(&self.archive, min_age)
    }

    async fn remove_leftover(&self, leftover: &Leftover, min_age: Duration) -> Result<bool> {
        maintenance::remove_leftover(&self.archive, leftover, min_age).await
    }
}

/// A batch, which writes a new archive beside the old one.
#[derive(Debug)]
struct DockerTransaction(DockerArchive);

impl Transaction for DockerTransaction {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(self.0.clone())
    }

    fn is_exclusive(&self) -> bool {
        true
    }
}
