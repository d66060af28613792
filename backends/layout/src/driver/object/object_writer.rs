//! Writes one object from bytes that arrive in their order.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use object_store::ObjectStore;
use object_store::path::Path;
use tranship::Result;

use super::bucket::Bucket;
use super::multipart::Multipart;
use crate::options::LayoutOptions;

/// The smallest part that is sent, in bytes.
const LEAST_PART: u64 = 8 * 1024 * 1024;

/// S3 takes 10,000 parts. Some are left for a size that was not exact.
const MAX_PARTS: u64 = 9_000;

/// Writes one object of an object store, such as an archive, in parts. The object does not exist before
/// [`finish`](Self::finish).
///
/// Dropping it aborts the upload in a new task, which may not finish if the program ends. A rule of the bucket can remove
/// such leftovers.
///
/// ```
/// # use std::sync::Arc;
/// # use object_store::memory::InMemory;
/// use tranship_layout::ObjectWriter;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let store = Arc::new(InMemory::new());
/// let mut writer = ObjectWriter::create(store, "backups/app.tar".into(), 5).await?;
/// writer.write("hello".into()).await?;
/// writer.finish().await?;
/// # Ok(())
/// # }
/// ```
pub struct ObjectWriter {
    bucket: Arc<Bucket>,
    upload: Multipart,
    pending: BytesMut,
    part_size: usize,
}

impl ObjectWriter {
    /// Begins the object `key`, which will have `size` bytes; the size of the parts depends on that. Up to two parts are in
    /// memory.
    ///
    /// # Errors
    /// - [`NotFound`](tranship::ErrorKind::NotFound) if the bucket does not exist.
    /// - [`Unsupported`](tranship::ErrorKind::Unsupported) if the store has no multipart uploads.
    /// - [`Unauthorized`](tranship::ErrorKind::Unauthorized), [`PermissionDenied`](tranship::ErrorKind::PermissionDenied),
    ///   [`Unavailable`](tranship::ErrorKind::Unavailable) and other errors of the store.
    pub async fn create(store: Arc<dyn ObjectStore>, key: Path, size: u64) -> Result<Self> {
        let part_size = size.div_ceil(MAX_PARTS).max(LEAST_PART);
        let options = LayoutOptions {
            upload_memory: 2 * part_size,
            ..LayoutOptions::default()
        };
        let bucket = Arc::new(Bucket::new(store, &options));
        let upload = Multipart::start(&bucket, key).await?;
        Ok(Self {
            bucket,
            upload,
            pending: BytesMut::new(),
            part_size: usize::try_from(part_size).unwrap_or(usize::MAX),
        })
    }

    /// Appends `bytes`, and waits while the store is slower than the caller. If the future is dropped, it is not known how
    /// many of the bytes are appended.
    ///
    /// # Errors
    /// What the store fails with, for these or for earlier bytes.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.pending.extend_from_slice(&bytes);
        while self.pending.len() >= self.part_size {
            let part = self.pending.split_to(self.part_size).freeze();
            self.send(part).await?;
        }
        Ok(())
    }

    /// Sends the rest, and creates the object. If the future is dropped, it is not known whether the object is created.
    ///
    /// # Errors
    /// What the store fails with. The object is not created.
    pub async fn finish(mut self) -> Result<()> {
        let rest = self.pending.split().freeze();
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        self.upload.complete().await
    }

    async fn send(&mut self, part: Bytes) -> Result<()> {
        let reservation = self.bucket.memory.reserve(part.len() as u64).await;
        self.upload.send(part.into(), Some(reservation)).await
    }
}

impl fmt::Debug for ObjectWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectWriter")
            .field("upload", &self.upload)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;
    use object_store::ObjectStoreExt as _;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn an_object_is_written_in_parts_and_exists_when_it_is_finished() {
        let store = Arc::new(InMemory::new());
        let content: Bytes = (0..20_000_000_u32).map(|at| (at % 251) as u8).collect();
        let key = Path::from("a/b.tar");
        let size = content.len() as u64;
        let mut writer = ObjectWriter::create(store.clone(), key.clone(), size)
            .await
            .expect("begun");
        for piece in content.chunks(1_234_567) {
            let piece = Bytes::copy_from_slice(piece);
            writer.write(piece).await.expect("written");
        }
        assert!(store.head(&key).await.is_err());
        writer.finish().await.expect("finished");
        let stored = store.get(&key).await.expect("stored").bytes().await;
        assert!(stored.expect("read") == content);
    }

    #[tokio::test]
    async fn a_writer_that_is_dropped_leaves_no_object() {
        let store = Arc::new(InMemory::new());
        let key = Path::from("a.tar");
        let mut writer = ObjectWriter::create(store.clone(), key, 9)
            .await
            .expect("begun");
        writer
            .write(Bytes::from_static(b"unfinished"))
            .await
            .expect("written");
        drop(writer);
        let objects: Vec<_> = store.list(None).try_collect().await.expect("listed");
        assert!(objects.is_empty());
    }
}
