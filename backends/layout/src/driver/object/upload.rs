//! Uploads in an object store.
//!
//! An upload is a prefix with a random name. Each write creates an object that is named by its offset, so that any
//! process can find out how far the upload has come. Such an object is never replaced: of two writes at the same offset,
//! one fails. A commit reads the parts, verifies them, and writes them as the blob.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tranship::{Descriptor, Error, ErrorKind, Result, ResultExt as _, Upload, UploadId};

use super::layout::ObjectLayout;
use super::redact::redact;
use super::session::{ObjectSession, is_id};

pub(super) async fn start(layout: &Arc<ObjectLayout>) -> Result<Box<dyn Upload>> {
    const OPERATION: &str = "start an upload";
    let started = async {
        layout.prepare().await?;
        let id = random_id()?;
        let session = ObjectSession::new(layout, &id);
        let created = layout.bucket.create(&session.marker(), "".into()).await?;
        if created {
            Ok((id, session))
        } else {
            Err(
                Error::new(ErrorKind::Conflict, "an upload with this id exists")
                    .with_retryable(true),
            )
        }
    };
    let (id, session) = started
        .await
        .map_err(|error: Error| error.with_operation(OPERATION))?;
    Ok(Box::new(ObjectUpload { id, session }))
}

pub(super) async fn resume(layout: &Arc<ObjectLayout>, id: &UploadId) -> Result<Box<dyn Upload>> {
    let resumed = async {
        if !is_id(id.as_str()) {
            return Err(unknown_upload());
        }
        let mut session = ObjectSession::new(layout, id);
        if layout.bucket.head(&session.marker()).await?.is_none() {
            return Err(unknown_upload());
        }
        session.refresh().await?;
        Ok(session)
    };
    let session = resumed
        .await
        .map_err(|error| error.with_operation("resume an upload"))?;
    Ok(Box::new(ObjectUpload {
        id: id.clone(),
        session,
    }))
}

fn random_id() -> Result<UploadId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Io, "cannot get random numbers from the system")
            .with_source(redact(&error.to_string()))
    })?;
    Ok(UploadId::new(format!(
        "{:032x}",
        u128::from_be_bytes(bytes)
    )))
}

fn unknown_upload() -> Error {
    Error::new(ErrorKind::NotFound, "there is no such upload")
        .with_hint("it may have been committed or cancelled; start a new one")
}

struct ObjectUpload {
    id: UploadId,
    session: ObjectSession,
}

#[async_trait]
impl Upload for ObjectUpload {
    fn id(&self) -> &UploadId {
        &self.id
    }

    fn offset(&self) -> u64 {
        self.session.offset
    }

    async fn write(&mut self, offset: u64, chunk: Bytes) -> Result<()> {
        let written = self.session.write(offset, chunk).await;
        written.map_err(|error| error.with_operation("write to an upload"))
    }

    async fn commit(mut self: Box<Self>, expected: &Descriptor) -> Result<()> {
        let committed = self.session.commit(expected).await;
        committed.during("commit an upload", expected.digest())
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        let cancelled = match self.session.refresh_if_unsure().await {
            Ok(()) => self.session.remove().await,
            Err(error) => Err(error),
        };
        cancelled.map_err(|error| error.with_operation("cancel an upload"))
    }
}

impl fmt::Debug for ObjectUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // With the id, a reader of the text could write to the upload.
        f.debug_struct("ObjectUpload")
            .field("offset", &self.session.offset)
            .finish_non_exhaustive()
    }
}
