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

use super::assembly::{self, Assembly, Turn};
use super::pushed::Known;
use super::tags::ImageName;
use super::{layer, reading};
use crate::driver::archive::contents::Contents;
use crate::driver::archive::place::{Place, no_uploads};
use crate::driver::archive::{collect, reading as archive};
use crate::driver::file::check_limit;
use crate::driver::{
    Driver, Hashed, IndexEdit, IndexFile, IndexRead, Leftover, Maintenance, Observer, Pages,
    Stored, SweepPlan, Swept, Transaction, check_size, hash_blob,
};
use crate::options::LayoutOptions;
use crate::sizes::Sizes;

const ONLY_IMAGES: &str = "an archive of docker holds whole images, and no single blobs";

/// A `docker-archive`.
#[derive(Debug, Clone)]
pub(crate) struct DockerArchive {
    place: Arc<Place>,
    name: ImageName,
    batch: Option<Batch>,
}

#[derive(Debug, Clone)]
struct Batch {
    assembly: Arc<tokio::sync::Mutex<Assembly>>,
    known: Arc<Mutex<Known>>,
}

impl Batch {
    fn new(place: &Arc<Place>) -> Self {
        let assembly = Assembly::new(Arc::clone(place));
        Self {
            known: assembly.known(),
            assembly: Arc::new(tokio::sync::Mutex::new(assembly)),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DockerArchive {
    /// The archive at `path`, which is absolute. Its tags are those of the image `name`.
    pub(crate) fn new(path: PathBuf, options: &LayoutOptions, name: ImageName) -> Self {
        let tags_of = name.clone();
        let reader = Box::new(move |opened| reading::read(opened, &tags_of));
        Self {
            place: Arc::new(Place::new(path, options, reader)),
            name,
            batch: None,
        }
    }
}

#[async_trait]
impl Driver for DockerArchive {
    fn location(&self) -> String {
        self.place.path().display().to_string()
    }

    fn capabilities(&self) -> Capabilities {
        self.place
            .capabilities()
            .with_referrers(Support::No("an archive of docker keeps no referrers"))
            .with_delete_blobs(Support::No(ONLY_IMAGES))
    }

    async fn version(&self) -> Result<Option<String>> {
        archive::version(&self.place).await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        if let Some(batch) = &self.batch
            && let Some(size) = batch.known().size(digest)
        {
            return Ok(Some(size));
        }
        archive::blob_size(&self.place, digest).await
    }

    async fn open_blob(&self, target: &Descriptor, range: Range<u64>) -> Result<Body> {
        if let Some(batch) = &self.batch {
            let known = batch.known();
            if let Some(content) = known.content(target.digest()) {
                check_size(content.len() as u64, target)?;
                let at = |at| usize::try_from(at).map_or(content.len(), |at| at.min(content.len()));
                return Ok(Body::from_bytes(
                    content.slice(at(range.start)..at(range.end)),
                ));
            }
            if known.size(target.digest()).is_some() {
                return Err(Error::unsupported(
                    "a layer is kept as docker has it, not as it was pushed",
                )
                .with_subject(target.digest()));
            }
        }
        archive::open_blob(&self.place, target, range).await
    }

    async fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>> {
        if let Some(batch) = &self.batch
            && let Some(content) = batch.known().content(digest)
        {
            check_limit(content.len() as u64, limit).map_err(|error| error.with_subject(digest))?;
            return Ok(Some(content));
        }
        archive::read_blob(&self.place, digest, limit).await
    }

    async fn put_blob(&self, expected: &Descriptor, source: Source<'_>) -> Result<()> {
        self.place.check_writable()?;
        let Some(batch) = &self.batch else {
            return Err(Error::unsupported(ONLY_IMAGES)
                .with_subject(expected.digest())
                .with_hint("copy an image into it instead"));
        };
        let turn = Arc::clone(&batch.assembly).lock_owned().await;
        layer::put(turn, expected, source).await
    }

    async fn delete_blob(&self, _: &Digest) -> Result<bool> {
        Err(Error::unsupported(ONLY_IMAGES).with_hint("delete the image's manifest instead"))
    }

    fn begin(&self) -> Box<dyn Transaction> {
        Box::new(DockerTransaction(Self {
            place: Arc::clone(&self.place),
            name: self.name.clone(),
            batch: Some(Batch::new(&self.place)),
        }))
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
impl IndexFile for DockerArchive {
    type Version = Arc<Contents>;

    async fn read(
        &self,
        known: Option<Arc<Contents>>,
        limit: u64,
    ) -> Result<IndexRead<Arc<Contents>>> {
        archive::index(&self.place, known, limit).await
    }

    async fn update(
        &self,
        _: Option<Arc<Contents>>,
        limit: u64,
        edit: IndexEdit,
    ) -> Result<Option<Arc<Contents>>> {
        self.place.check_writable()?;
        let assembly = match &self.batch {
            Some(batch) => Arc::clone(&batch.assembly),
            None => Arc::new(tokio::sync::Mutex::new(Assembly::new(Arc::clone(
                &self.place,
            )))),
        };
        let turn: Turn = assembly.lock_owned().await;
        let name = self.name.clone();
        let work = move |place: &Arc<Place>| assembly::publish(place, turn, &name, limit, edit);
        self.place.change(work).await?;
        // What is listed now is what can be made of the images, and not what the edit wanted.
        Ok(None)
    }

    async fn secure(&self, _: &Arc<Contents>) -> Result<()> {
        self.place.secure_all().await
    }

    async fn sweep(
        &self,
        _: Option<Arc<Contents>>,
        _: u64,
        _: Duration,
        _: SweepPlan,
    ) -> Result<Swept<Arc<Contents>>> {
        Err(
            Error::unsupported("an archive of docker holds nothing that no image refers to")
                .with_subject(self.place.path().display())
                .with_hint("delete images to make it smaller"),
        )
    }
}

#[async_trait]
impl Maintenance for DockerArchive {
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
struct DockerTransaction(DockerArchive);

impl Transaction for DockerTransaction {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(self.0.clone())
    }

    fn is_exclusive(&self) -> bool {
        true
    }
}
