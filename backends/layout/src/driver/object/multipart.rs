//! An object that is sent in parts. It does not exist before it is completed.

use std::fmt;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tranship::{Error, ErrorKind, Result};

use super::bucket::Bucket;
use super::errors::{is_not_offered, not_written};
use super::memory_budget::Reservation;

/// A multipart upload. Unless it is completed, it is aborted, so that the store does not keep the parts. Dropping it
/// aborts it in a new task, which may not finish if the program ends. Stores can be configured to remove such parts.
pub(super) struct Multipart {
    bucket: Arc<Bucket>,
    key: Path,
    upload: Option<Box<dyn MultipartUpload>>,
    sending: JoinSet<object_store::Result<()>>,
}

impl Multipart {
    pub(super) async fn start(bucket: &Arc<Bucket>, key: Path) -> Result<Self> {
        let upload = match bucket.store().put_multipart(&key).await {
            Ok(upload) => upload,
            Err(error) if is_not_offered(&error) => {
                return Err(not_written(bucket.url(), &key, error).with_hint(
                    "the store does not support multipart uploads, which large blobs need",
                ));
            }
            Err(error) => return Err(not_written(bucket.url(), &key, error)),
        };
        Ok(Self {
            bucket: Arc::clone(bucket),
            key,
            upload: Some(upload),
            sending: JoinSet::new(),
        })
    }

    /// Sends the next part, in the background. The reservation is dropped when the store has the part.
    ///
    /// # Errors
    /// Returns the error of an earlier part.
    pub(super) async fn send(
        &mut self,
        part: PutPayload,
        reservation: Option<Reservation>,
    ) -> Result<()> {
        while let Some(sent) = self.sending.try_join_next() {
            self.check(sent)?;
        }
        if let Some(upload) = &mut self.upload {
            let sent = upload.put_part(part);
            self.sending.spawn(async move {
                let sent = sent.await;
                drop(reservation);
                sent
            });
        }
        Ok(())
    }

    /// Waits for all parts, and creates the object of them.
    pub(super) async fn complete(mut self) -> Result<()> {
        let completed = self.try_complete().await;
        match completed {
            Ok(()) => self.upload = None,
            Err(_) => self.abort_upload().await,
        }
        completed
    }

    async fn try_complete(&mut self) -> Result<()> {
        while let Some(sent) = self.sending.join_next().await {
            self.check(sent)?;
        }
        let Some(upload) = &mut self.upload else {
            return Ok(());
        };
        let completed = upload.complete().await;
        completed.map_err(|error| not_written(self.bucket.url(), &self.key, error))?;
        Ok(())
    }

    /// Asks the store to remove the parts. Errors are ignored: stores can be configured to remove such parts.
    pub(super) async fn abort(mut self) {
        self.abort_upload().await;
    }

    async fn abort_upload(&mut self) {
        self.sending.shutdown().await;
        if let Some(upload) = &mut self.upload {
            let _ = upload.abort().await;
        }
        self.upload = None;
    }

    fn check(&self, sent: Result<object_store::Result<()>, tokio::task::JoinError>) -> Result<()> {
        match sent {
            Ok(sent) => sent.map_err(|error| not_written(self.bucket.url(), &self.key, error)),
            Err(error) => Err(Error::new(ErrorKind::Io, "sending a part was interrupted")
                .with_subject(self.bucket.url().of(&self.key))
                .with_source(error)),
        }
    }
}

impl Drop for Multipart {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else {
            return;
        };
        let mut sending = std::mem::take(&mut self.sending);
        sending.abort_all();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                sending.shutdown().await;
                let _ = upload.abort().await;
            });
        }
    }
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
