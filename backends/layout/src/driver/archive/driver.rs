//! The driver of an `oci-archive`.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tranship::{
    Body, Capabilities, Descriptor, Digest, Result, Source, Upload, UploadId, blocking,
};

use super::archive_file::{ArchiveFile, no_uploads};
use super::assembly::{AddedBlobs, Assembly, AssemblyGuard};
use super::contents::Contents;
use super::publish::{Published, publish};
use super::{append, docker, maintenance, read};
use crate::driver::{
    Driver, Hashed, IndexChange, IndexEdit, IndexFile, IndexRead, IndexState, Leftover,
    Maintenance, Observer, Pages, Stored, Sweep, SweepPlan, Swept, Transaction, hash_blob,
};
use crate::options::LayoutOptions;
use crate::sizes::Sizes;

/// An `oci-archive`.
#[derive(Debug)]
pub(crate) struct Archive {
    archive: Arc<ArchiveFile>,
    batch: Option<Batch>,
}

/// A new archive that is being written.
#[derive(Debug, Clone)]
struct Batch {
    assembly: Arc<tokio::sync::Mutex<Assembly>>,
    added: Arc<Mutex<AddedBlobs>>,
}

impl Batch {
    fn new(archive: &Arc<ArchiveFile>) -> Self {
        let assembly = Assembly::new(Arc::clone(archive));
        Self {
            added: assembly.added(),
            assembly: Arc::new(tokio::sync::Mutex::new(assembly)),
        }
    }

    fn added(&self, digest: &Digest) -> Option<(Arc<File>, Range<u64>)> {
        let added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        added.get(digest)
    }
}

impl Archive {
    /// Returns the archive at the absolute path `path`. This does not access the disk.
    pub(crate) fn new(path: PathBuf, options: &LayoutOptions) -> Self {
        let reader = Box::new(|opened| docker::check_configs(Contents::read(opened)?));
        Self {
            archive: Arc::new(ArchiveFile::new(path, options, reader)),
            batch: None,
        }
    }

    fn added(&self, digest: &Digest) -> Option<(Arc<File>, Range<u64>)> {
        self.batch.as_ref()?.added(digest)
    }

    /// Replaces the archive by the assembled one, with the changes of `edit`.
    async fn publish(
        &self,
        assembly: AssemblyGuard,
        known: Option<Arc<Contents>>,
        limit: u64,
        min_age: Duration,
        edit: IndexEdit,
    ) -> Result<Published> {
        let work = move |archive: &Arc<ArchiveFile>| {
            publish(archive, assembly, known.as_ref(), limit, min_age, edit)
        };
        self.archive.change(work).await
    }

    fn new_assembly(&self) -> Arc<tokio::sync::Mutex<Assembly>> {
        let assembly = Assembly::new(Arc::clone(&self.archive));
        Arc::new(tokio::sync::Mutex::new(assembly))
    }

    /// Returns the assembly of the batch, or a new one.
    fn assembly(&self) -> Arc<tokio::sync::Mutex<Assembly>> {
        match &self.batch {
            Some(batch) => Arc::clone(&batch.assembly),
            None => self.new_assembly(),
        }
    }
}

#[async_trait]
impl Driver for Archive {
    fn location(&self) -> String {
        self.archive.path().display().to_string()
    }

    fn capabilities(&self) -> Capabilities {
        self.archive.capabilities()
    }

    async fn version(&self) -> Result<Option<String>> {
        read::version(&self.archive).await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        if let Some((_, range)) = self.added(digest) {
            return Ok(Some(range.end - range.start));
        }
        read::blob_size(&self.archive, digest).await
    }

    async fn open_blob(&self, target: &Descriptor, range: Range<u64>) -> Result<Body> {
        match self.added(target.digest()) {
            Some((file, data)) => read::open_part(file, self.archive.path(), &data, target, range),
            None => read::open_blob(&self.archive, target, range).await,
        }
    }

    async fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>> {
        match self.added(digest) {
            Some((file, data)) => read::read_part(file, data, digest, limit).await.map(Some),
            None => read::read_blob(&self.archive, digest, limit).await,
        }
    }

    async fn put_blob(&self, expected: &Descriptor, source: Source<'_>) -> Result<()> {
        self.archive.check_writable()?;
        let body = source.open(0).await?;
        let mut assembly = self.assembly().lock_owned().await;
        if !assembly.has_file() {
            let archive = Arc::clone(&self.archive);
            // Without a batch, the blob is added to the current archive when it is complete: its source may be slow.
            let is_batch = self.batch.is_some();
            assembly = blocking::run(move || {
                let base = if is_batch { archive.current()? } else { None };
                assembly.begin(base, &HashSet::new())?;
                Ok(assembly)
            })
            .await?;
        }
        let assembly = append::append(assembly, expected, body).await?;
        if self.batch.is_none() {
            let edit = Box::new(|_: IndexState<'_>| Ok(IndexChange::default()));
            self.publish(assembly, None, u64::MAX, Duration::ZERO, edit)
                .await?;
        }
        Ok(())
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<bool> {
        if read::blob_size(&self.archive, digest).await?.is_none() {
            return Ok(false);
        }
        self.archive.check_writable()?;
        let target = *digest;
        let edit = Box::new(move |_: IndexState<'_>| {
            Ok(IndexChange {
                remove: vec![target],
                ..IndexChange::default()
            })
        });
        let assembly = self.new_assembly().lock_owned().await;
        let published = self
            .publish(assembly, None, u64::MAX, Duration::ZERO, edit)
            .await?;
        Ok(!published.removed.is_empty())
    }

    fn begin(&self) -> Box<dyn Transaction> {
        Box::new(ArchiveTransaction {
            archive: Arc::clone(&self.archive),
            batch: Batch::new(&self.archive),
        })
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
impl IndexFile for Archive {
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
        known: Option<Arc<Contents>>,
        limit: u64,
        edit: IndexEdit,
    ) -> Result<Option<Arc<Contents>>> {
        self.archive.check_writable()?;
        let assembly = self.assembly().lock_owned().await;
        let published = self
            .publish(assembly, known, limit, Duration::ZERO, edit)
            .await?;
        Ok(published.version)
    }

    async fn secure(&self, _: &Arc<Contents>) -> Result<()> {
        self.archive.secure_all().await
    }

    async fn sweep(
        &self,
        known: Option<Arc<Contents>>,
        limit: u64,
        min_age: Duration,
        mut plan: SweepPlan,
    ) -> Result<Swept<Arc<Contents>>> {
        self.archive.check_writable()?;
        let edit = Box::new(move |found: IndexState<'_>| {
            let Sweep { content, remove } = plan(found)?;
            Ok(IndexChange {
                content,
                remove,
                required: Vec::new(),
            })
        });
        let assembly = self.new_assembly().lock_owned().await;
        let published = self.publish(assembly, known, limit, min_age, edit).await?;
        Ok(Swept {
            version: published.version,
            removed: published.removed,
        })
    }
}

#[async_trait]
impl Maintenance for Archive {
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
struct ArchiveTransaction {
    archive: Arc<ArchiveFile>,
    batch: Batch,
}

impl ArchiveTransaction {
    fn archive(&self) -> Archive {
        Archive {
            archive: Arc::clone(&self.archive),
            batch: Some(self.batch.clone()),
        }
    }
}

#[async_trait]
impl Transaction for ArchiveTransaction {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(self.archive())
    }

    fn is_exclusive(&self) -> bool {
        true
    }

    async fn commit(&self) -> Result<()> {
        let assembly = Arc::clone(&self.batch.assembly).lock_owned().await;
        if assembly.is_empty() {
            return Ok(());
        }
        let edit = Box::new(|_: IndexState<'_>| Ok(IndexChange::default()));
        let archive = self.archive();
        let published = archive.publish(assembly, None, u64::MAX, Duration::ZERO, edit);
        published.await.map(drop)
    }
}
