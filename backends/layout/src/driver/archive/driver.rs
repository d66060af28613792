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

use super::assembly::{Added, Assembly, Turn};
use super::contents::{Blob, Contents};
use super::place::{Place, no_uploads};
use super::reading::read_index;
use super::{append, collect, docker, reading};
use crate::driver::file::{age, check_limit};
use crate::driver::{
    Driver, Hashed, IndexChange, IndexEdit, IndexFile, IndexRead, IndexState, Leftover,
    Maintenance, Observer, Pages, Stored, Sweep, SweepPlan, Swept, Transaction, hash_blob,
    vanished,
};
use crate::index::EMPTY_INDEX;
use crate::options::LayoutOptions;
use crate::sizes::Sizes;

/// An `oci-archive`.
#[derive(Debug)]
pub(crate) struct Archive {
    place: Arc<Place>,
    batch: Option<Batch>,
}

/// A new state of the archive that is being written.
#[derive(Debug, Clone)]
struct Batch {
    assembly: Arc<tokio::sync::Mutex<Assembly>>,
    added: Arc<Mutex<Added>>,
}

impl Batch {
    fn new(place: &Arc<Place>) -> Self {
        let assembly = Assembly::new(Arc::clone(place));
        Self {
            added: assembly.added(),
            assembly: Arc::new(tokio::sync::Mutex::new(assembly)),
        }
    }

    fn find(&self, digest: &Digest) -> Option<(Arc<File>, Range<u64>)> {
        let added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        added.find(digest)
    }
}

impl Archive {
    /// The archive at `path`, which is absolute. Nothing looks at the disk.
    pub(crate) fn new(path: PathBuf, options: &LayoutOptions) -> Self {
        let reader = Box::new(|opened| docker::check(Contents::read(opened)?));
        Self {
            place: Arc::new(Place::new(path, options, reader)),
            batch: None,
        }
    }

    fn added(&self, digest: &Digest) -> Option<(Arc<File>, Range<u64>)> {
        self.batch.as_ref()?.find(digest)
    }

    /// Puts what was assembled, changed as `edit` says, in place of the archive.
    async fn publish(
        &self,
        assembly: Turn,
        known: Option<Arc<Contents>>,
        limit: u64,
        min_age: Duration,
        edit: IndexEdit,
    ) -> Result<Published> {
        let work = move |place: &Arc<Place>| {
            publish(place, assembly, known.as_ref(), limit, min_age, edit)
        };
        self.place.change(work).await
    }

    fn alone(&self) -> Arc<tokio::sync::Mutex<Assembly>> {
        let assembly = Assembly::new(Arc::clone(&self.place));
        Arc::new(tokio::sync::Mutex::new(assembly))
    }

    /// What is to be published: that of the batch, or something of its own.
    fn assembly(&self) -> Arc<tokio::sync::Mutex<Assembly>> {
        match &self.batch {
            Some(batch) => Arc::clone(&batch.assembly),
            None => self.alone(),
        }
    }
}

fn publish(
    place: &Place,
    mut assembly: Turn,
    known: Option<&Arc<Contents>>,
    limit: u64,
    min_age: Duration,
    mut edit: IndexEdit,
) -> Result<Published> {
    let mut removed = Vec::new();
    let version = place.replacing(|current| {
        let found = read_index(current.as_ref(), known, limit)?;
        let change = edit(found.state())?;
        for (digest, size) in change.required() {
            let stored = assembly.size(&digest).or_else(|| {
                let current = current.as_ref()?;
                current.blobs.get(&digest).map(Blob::size)
            });
            if stored != Some(size) {
                return Err(vanished(&digest));
            }
        }
        let IndexChange {
            content, remove, ..
        } = change;
        let mut without: HashSet<Digest> = remove.into_iter().collect();
        without.retain(|_| {
            let age = current
                .as_ref()
                .map(|current| age(&current.opened.metadata));
            age.is_some_and(|age| age >= min_age)
        });
        removed.clear();
        if let Some(current) = &current {
            without.retain(|digest| current.blobs.contains_key(digest));
            removed.extend(
                without
                    .iter()
                    .filter_map(|digest| collect::stored(current, digest)),
            );
        }
        if content.is_none() && without.is_empty() && assembly.is_empty() && current.is_some() {
            return Ok(Some(current));
        }
        let index = match (content, &current) {
            (Some(content), _) => {
                check_limit(content.len() as u64, limit)?;
                content
            }
            (None, Some(current)) => current.bytes(&current.index, u64::MAX)?,
            (None, None) => Bytes::from_static(EMPTY_INDEX),
        };
        if !assembly.is_over(current.as_ref(), &without) {
            assembly.begin(current, &without)?;
        }
        let Some(new) = assembly.publish(&index)? else {
            return Ok(None);
        };
        *assembly = Assembly::new(assembly.place());
        Ok(Some(new))
    })?;
    Ok(Published { version, removed })
}

/// What a change has led to.
struct Published {
    version: Option<Arc<Contents>>,
    /// The blobs that were removed.
    removed: Vec<Stored>,
}

#[async_trait]
impl Driver for Archive {
    fn location(&self) -> String {
        self.place.path().display().to_string()
    }

    fn capabilities(&self) -> Capabilities {
        self.place.capabilities()
    }

    async fn version(&self) -> Result<Option<String>> {
        reading::version(&self.place).await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        if let Some((_, range)) = self.added(digest) {
            return Ok(Some(range.end - range.start));
        }
        reading::blob_size(&self.place, digest).await
    }

    async fn open_blob(&self, target: &Descriptor, range: Range<u64>) -> Result<Body> {
        match self.added(target.digest()) {
            Some((file, data)) => reading::open_part(file, self.place.path(), &data, target, range),
            None => reading::open_blob(&self.place, target, range).await,
        }
    }

    async fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>> {
        match self.added(digest) {
            Some((file, data)) => reading::read_part(file, data, digest, limit)
                .await
                .map(Some),
            None => reading::read_blob(&self.place, digest, limit).await,
        }
    }

    async fn put_blob(&self, expected: &Descriptor, source: Source<'_>) -> Result<()> {
        self.place.check_writable()?;
        let body = source.open(0).await?;
        let mut turn = self.assembly().lock_owned().await;
        if !turn.is_begun() {
            let place = Arc::clone(&self.place);
            // On its own it is added to what is there when it is complete: its source may take long.
            let is_batch = self.batch.is_some();
            turn = blocking::run(move || {
                let base = if is_batch { place.current()? } else { None };
                turn.begin(base, &HashSet::new())?;
                Ok(turn)
            })
            .await?;
        }
        let turn = append::append(turn, expected, body).await?;
        if self.batch.is_none() {
            let edit = Box::new(|_: IndexState<'_>| Ok(IndexChange::default()));
            self.publish(turn, None, u64::MAX, Duration::ZERO, edit)
                .await?;
        }
        Ok(())
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<bool> {
        if reading::blob_size(&self.place, digest).await?.is_none() {
            return Ok(false);
        }
        self.place.check_writable()?;
        let target = *digest;
        let edit = Box::new(move |_: IndexState<'_>| {
            Ok(IndexChange {
                remove: vec![target],
                ..IndexChange::default()
            })
        });
        let turn = self.alone().lock_owned().await;
        let published = self
            .publish(turn, None, u64::MAX, Duration::ZERO, edit)
            .await?;
        Ok(!published.removed.is_empty())
    }

    fn begin(&self) -> Box<dyn Transaction> {
        Box::new(ArchiveTransaction {
            place: Arc::clone(&self.place),
            batch: Batch::new(&self.place),
        })
    }

    fn is_to_secure(&self) -> bool {
        self.place.syncs()
    }

    async fn secure_blobs(&self, _: Arc<Sizes>) -> Result<()> {
        self.place.secure_all().await
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
        reading::index(&self.place, known, limit).await
    }

    async fn update(
        &self,
        known: Option<Arc<Contents>>,
        limit: u64,
        edit: IndexEdit,
    ) -> Result<Option<Arc<Contents>>> {
        self.place.check_writable()?;
        let turn = self.assembly().lock_owned().await;
        let published = self
            .publish(turn, known, limit, Duration::ZERO, edit)
            .await?;
        Ok(published.version)
    }

    async fn secure(&self, _: &Arc<Contents>) -> Result<()> {
        self.place.secure_all().await
    }

    async fn sweep(
        &self,
        known: Option<Arc<Contents>>,
        limit: u64,
        min_age: Duration,
        mut plan: SweepPlan,
    ) -> Result<Swept<Arc<Contents>>> {
        self.place.check_writable()?;
        let edit = Box::new(move |found: IndexState<'_>| {
            let Sweep { content, remove } = plan(found)?;
            Ok(IndexChange {
                content,
                remove,
                required: Vec::new(),
            })
        });
        let turn = self.alone().lock_owned().await;
        let published = self.publish(turn, known, limit, min_age, edit).await?;
        Ok(Swept {
            version: published.version,
            removed: published.removed,
        })
    }
}

#[async_trait]
impl Maintenance for Archive {
    fn stored(&self) -> Pages<'_, Stored> {
        collect::all_stored(&self.place)
    }

    async fn hash_blob(&self, digest: &Digest, observe: Observer) -> Result<Option<Hashed>> {
        hash_blob(self, digest, observe).await
    }

    fn leftovers(&self, min_age: Duration) -> Pages<'_, Leftover> {
        collect::leftovers(&self.place, min_age)
    }

    async fn remove_leftover(&self, leftover: &Leftover, min_age: Duration) -> Result<bool> {
        collect::remove_leftover(&self.place, leftover, min_age).await
    }
}

/// A batch, which writes a new archive beside the old one.
#[derive(Debug)]
struct ArchiveTransaction {
    place: Arc<Place>,
    batch: Batch,
}

impl ArchiveTransaction {
    fn archive(&self) -> Archive {
        Archive {
            place: Arc::clone(&self.place),
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
        let turn = Arc::clone(&self.batch.assembly).lock_owned().await;
        if turn.is_empty() {
            return Ok(());
        }
        let edit = Box::new(|_: IndexState<'_>| Ok(IndexChange::default()));
        let archive = self.archive();
        let published = archive.publish(turn, None, u64::MAX, Duration::ZERO, edit);
        published.await.map(drop)
    }
}
