//! Uploads in pieces: buffers that wait in their repository until somebody goes on with them.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tranship::HashingSink;
use tranship::{
    Descriptor, Digest, Error, ErrorKind, Result, ResultExt as _, Upload, UploadId, Verifier,
};

use crate::blobs::Blobs;
use crate::contents::Arrived;
use crate::lock::lock;
use crate::store::Filled;

/// An id that cannot be guessed from those before it: who knows one may write to the upload.
fn new_id() -> UploadId {
    static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
    static UPLOADS: AtomicU64 = AtomicU64::new(0);
    let number = UPLOADS.fetch_add(1, Ordering::Relaxed);
    let [high, low] = KEYS.each_ref().map(|key| key.hash_one(number));
    UploadId::new(format!("{high:016x}{low:016x}"))
}

impl Blobs {
    pub(crate) fn start_upload(&self) -> Box<dyn Upload> {
        let id = new_id();
        lock(&self.0.contents.uploads).insert(id.clone(), None);
        Box::new(MemoryUpload::new(self, id, Arrived::new(self.new_buffer())))
    }

    pub(crate) fn resume_upload(&self, id: &UploadId) -> Result<Box<dyn Upload>> {
        let session = lock(&self.0.contents.uploads).get_mut(id).map(Option::take);
        match session {
            Some(Some(arrived)) => Ok(Box::new(MemoryUpload::new(self, id.clone(), arrived))),
            Some(None) => Err(Error::new(
                ErrorKind::Conflict,
                "another request is writing to it",
            )),
            None => Err(Error::new(ErrorKind::NotFound, "no such upload")),
        }
    }
}

struct MemoryUpload {
    blobs: Blobs,
    id: UploadId,
    arrived: Arrived,
    is_over: bool,
}

impl MemoryUpload {
    fn new(blobs: &Blobs, id: UploadId, arrived: Arrived) -> Self {
        Self {
            blobs: blobs.clone(),
            id,
            arrived,
            is_over: false,
        }
    }

    fn take_arrived(&mut self) -> Arrived {
        std::mem::replace(&mut self.arrived, Arrived::new(self.blobs.new_buffer()))
    }

    fn end(&mut self) -> Arrived {
        self.is_over = true;
        lock(&self.blobs.0.contents.uploads).remove(&self.id);
        self.take_arrived()
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let arrived = self.take_arrived();
        if let Some(session) = lock(&self.blobs.0.contents.uploads).get_mut(&self.id) {
            *session = Some(arrived);
        }
    }
}

#[async_trait]
impl Upload for MemoryUpload {
    fn id(&self) -> &UploadId {
        &self.id
    }

    fn offset(&self) -> u64 {
        self.arrived.buffer.len()
    }

    async fn write(&mut self, offset: u64, chunk: Bytes) -> Result<()> {
        if offset != self.offset() {
            return Err(Error::new(
                ErrorKind::RangeInvalid,
                format!("the next byte is number {}, not {offset}", self.offset()),
            )
            .with_operation("write")
            .with_subject("upload"));
        }
        let Arrived { buffer, hash } = &mut self.arrived;
        buffer.push(chunk.clone()).during("write", "upload")?;
        hash.update(offset, chunk).await;
        Ok(())
    }

    async fn commit(mut self: Box<Self>, expected: &Descriptor) -> Result<()> {
        let Arrived { buffer, hash } = self.end();
        let content = buffer.finish();
        let hash = hash.finish(expected.size()).await;
        check(&content, hash, expected)
            .await
            .during("commit", expected.digest())?;
        let blob = self
            .blobs
            .0
            .shared
            .store
            .insert(*expected.digest(), content);
        self.blobs.add(*expected.digest(), blob);
        Ok(())
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        self.end();
        Ok(())
    }
}

/// Checks what has arrived. Without its digest, or if that is of no use, it is hashed.
async fn check(content: &Filled, hash: Option<Digest>, expected: &Descriptor) -> Result<()> {
    // The wrong size is no reason to hash.
    let mut length = Verifier::for_length(expected, expected.size());
    for piece in content.pieces().iter() {
        length.update(piece)?;
    }
    length.finish()?;
    if hash.as_ref() == Some(expected.digest()) {
        return Ok(());
    }
    let mut hashing = HashingSink::new(Verifier::new(expected));
    for piece in content.pieces().iter() {
        hashing.update(piece.clone()).await?;
    }
    hashing.finish().await?.finish()
}
