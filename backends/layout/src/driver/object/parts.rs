//! An object that is sent in parts, and is not there before it is completed.

use std::fmt;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tranship::{Error, ErrorKind, Result};

use super::bucket::Bucket;
use super::errors::{is_not_offered, not_written};
use super::memory::Share;

/// Parts under way. Unless they are completed they are given up, so that the store keeps nothing: when
/// this is dropped, by a task of its own, which a program that ends at once may cut short. Stores have
/// rules that remove what is left then.
pub(super) struct Parts {
    bucket: Arc<Bucket>,
    key: Path,
    upload: Option<Box<dyn MultipartUpload>>,
    sending: JoinSet<object_store::Result<()>>,
}

impl Parts {
    pub(super) async fn start(bucket: &Arc<Bucket>, key: Path) -> Result<Self> {
        let upload = match bucket.store().put_multipart(&key).await {
            Ok(upload) => upload,
            Err(error) if is_not_offered(&error) => {
                return Err(not_written(bucket.url(), &key, error)
                    .with_hint("the store takes no objects in parts, so large blobs do not fit"));
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

    /// Sends the next part, in the background. The share is given back when it has arrived.
    ///
    /// # Errors
    /// What a part before failed with.
    pub(super) async fn send(&mut self, part: PutPayload, share: Option<Share>) -> Result<()> {
        while let Some(sent) = self.sending.try_join_next() {
            self.check(sent)?;
        }
        if let Some(upload) = &mut self.upload {
            let sent = upload.put_part(part);
            self.sending.spawn(async move {
                let sent = sent.await;
                drop(share);
                sent
            });
        }
        Ok(())
    }

    /// Makes the object appear, when all parts have arrived.
    pub(super) async fn complete(mut self) -> Result<()> {
        let completed = self.try_complete().await;
        match completed {
            Ok(()) => self.upload = None,
            Err(_) => self.give_up().await,
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

    /// Tells the store to forget the parts. If it does not listen, its own rules must do.
    pub(super) async fn abort(mut self) {
        self.give_up().await;
    }

    async fn give_up(&mut self) {
        self.sending.shutdown().await;
        if let Some(upload) = &mut self.upload {
            let _ = upload.abort().await;
        }
        self.upload = None;
    }

    fn check(&self, sent: Result<object_store::Result<()>, tokio::task::JoinError>) -> Result<()> {
        match sent {
            Ok(sent) => sent.map_err(|error| not_written(self.bucket.url(), &self.key, error)),
            Err(error) => Err(Error::new(ErrorKind::Io, "sending a part was cut short")
                .with_subject(self.bucket.url().of(&self.key))
                .with_source(error)),
        }
    }
}

impl Drop for Parts {
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

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
