//! An upload while one request uses it.

use std::sync::Arc;

use bytes::Bytes;
use tranship::{Descriptor, Error, ErrorKind, Repository, Upload, UploadId};

use super::table::{Key, Owner, Released, UploadSessions};
use super::token::Token;
use crate::response_error::{Resource, ResponseError};

/// An upload that one request uses, to the exclusion of all others. Dropping it makes it available to the next one.
pub(crate) struct UploadSession {
    sessions: Arc<UploadSessions>,
    key: Key,
    id: UploadId,
    upload: Option<Box<dyn Upload>>,
    /// Whether the client knows the token, and may send further requests.
    is_token_sent: bool,
    /// Whether a write has begun and not completed, so that the object may not know its offset.
    is_writing: bool,
    /// Whether the object is paused, and so holds no resources of the system.
    is_paused: bool,
}

impl UploadSession {
    /// Starts an upload. Unless its token is sent to the client, it ends with the request.
    pub(crate) async fn start(
        sessions: &Arc<UploadSessions>,
        repository: &dyn Repository,
        owner: Owner,
    ) -> Result<Self, ResponseError> {
        sessions.check_limits(&owner)?;
        let upload = repository.blobs().start().await.map_err(failed)?;
        let id = upload.id().clone();
        let key = (repository.name().clone(), Token::of(&id)?);
        sessions.insert(key.clone(), id.clone(), owner);
        let session = Self {
            sessions: Arc::clone(sessions),
            key,
            id,
            upload: Some(upload),
            is_token_sent: false,
            is_writing: false,
            is_paused: false,
        };
        session.record_offset();
        Ok(session)
    }

    /// Acquires the upload `token`, and resumes it from the backend if it is not in the table.
    ///
    /// # Errors
    /// - 404 if there is no such upload.
    /// - 409 if another request uses it.
    pub(crate) async fn acquire(
        sessions: &Arc<UploadSessions>,
        repository: &dyn Repository,
        token: Token,
        owner: Owner,
    ) -> Result<Self, ResponseError> {
        let key = (repository.name().clone(), token);
        let (id, upload) = sessions.acquire(&key, owner)?;
        let mut session = Self {
            sessions: Arc::clone(sessions),
            key,
            id,
            upload,
            is_token_sent: true,
            is_writing: false,
            is_paused: false,
        };
        if session.upload.is_none() {
            session.resume(repository).await?;
        }
        Ok(session)
    }

    async fn resume(&mut self, repository: &dyn Repository) -> Result<(), ResponseError> {
        let resumed = repository.blobs().resume(&self.id).await;
        self.upload = Some(resumed.map_err(failed)?);
        self.record_offset();
        Ok(())
    }

    /// Returns the token that is sent to the client, which it needs for further requests.
    pub(crate) fn token_for_client(&mut self) -> &Token {
        self.is_token_sent = true;
        &self.key.1
    }

    /// Returns how many bytes have arrived.
    pub(crate) fn offset(&self) -> u64 {
        self.upload.as_ref().map_or(0, |upload| upload.offset())
    }

    /// Announces that `bytes` more will arrive.
    ///
    /// # Errors
    /// The error of the backend if it has no room for them.
    pub(crate) fn reserve(&mut self, bytes: u64) -> Result<(), ResponseError> {
        let Some(upload) = &mut self.upload else {
            return Err(ended());
        };
        upload.reserve(bytes).map_err(failed)
    }

    /// Appends `piece`.
    pub(crate) async fn write(&mut self, piece: Bytes) -> Result<(), ResponseError> {
        let Some(upload) = &mut self.upload else {
            return Err(ended());
        };
        (self.is_writing, self.is_paused) = (true, false);
        let written = upload.write(upload.offset(), piece).await;
        written.map_err(failed)?;
        self.is_writing = false;
        self.record_offset();
        Ok(())
    }

    /// Releases the resources of the system that the upload holds. An upload that is dropped without a pause is
    /// resumed by its id.
    pub(crate) async fn pause(&mut self) {
        if self.sessions.is_shared() || self.is_writing {
            return;
        }
        if let Some(upload) = &mut self.upload {
            match upload.pause().await {
                Ok(()) => self.is_paused = true,
                Err(error) => tracing::debug!(%error, "an upload was not paused"),
            }
        }
    }

    /// Stores the bytes as the blob `expected`. The upload ends in any case.
    pub(crate) async fn commit(mut self, expected: &Descriptor) -> Result<(), ResponseError> {
        self.end()?.commit(expected).await.map_err(failed)
    }

    /// Ends the upload, and discards its bytes.
    pub(crate) async fn cancel(mut self) -> Result<(), ResponseError> {
        self.end()?.cancel().await.map_err(failed)
    }

    fn end(&mut self) -> Result<Box<dyn Upload>, ResponseError> {
        self.upload.take().ok_or_else(ended)
    }

    fn record_offset(&self) {
        self.sessions.set_offset(&self.key, self.offset());
    }
}

impl Drop for UploadSession {
    fn drop(&mut self) {
        let released = match self.upload.take() {
            Some(upload) if self.is_paused => Released::Paused(upload),
            Some(upload) => {
                drop(upload);
                Released::InBackend
            }
            None => Released::Ended,
        };
        self.sessions
            .release(&self.key, released, self.is_token_sent);
    }
}

fn failed(error: Error) -> ResponseError {
    ResponseError::from_backend(&error, Resource::Upload)
}

fn ended() -> ResponseError {
    failed(Error::new(ErrorKind::NotFound, "the upload has ended"))
}
