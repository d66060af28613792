//! Uploads in pieces, which another process can resume.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use tranship::{Descriptor, Error, ErrorKind, Presence, Result, ResultExt as _, Upload, UploadId};
use url::Url;

use super::lookup::presence;
use super::session::{ChunkOutcome, StartedUpload, UploadSession};
use super::transfer::SMALLEST_CHUNK;
use crate::repository_client::RepositoryClient;
use crate::transport::{Payload, Retries, failure};

pub(crate) async fn start(client: &RepositoryClient) -> Result<Box<dyn Upload>> {
    match UploadSession::start(client, None, None).await? {
        StartedUpload::Session(session) => Ok(RemoteUpload::boxed(client, session)),
        StartedUpload::Mounted => Err(failure::protocol(
            "the registry responds that an upload is complete which was not started",
        )),
    }
}

pub(crate) async fn resume(client: &RepositoryClient, id: &UploadId) -> Result<Box<dyn Upload>> {
    let url = url_of(client, id).ok_or_else(no_upload)?;
    let session = UploadSession::resume(client, url).await?;
    Ok(RemoteUpload::boxed(client, session))
}

/// Returns the name of the repository, a space, and the URL. A name does not contain spaces.
fn id_of(client: &RepositoryClient, url: &Url) -> UploadId {
    UploadId::new(format!("{} {url}", client.name))
}

fn url_of(client: &RepositoryClient, id: &UploadId) -> Option<Url> {
    let (name, url) = id.as_str().split_once(' ')?;
    if name != client.name.as_str() {
        return None;
    }
    url.parse().ok()
}

fn no_upload() -> Error {
    Error::new(ErrorKind::NotFound, "this repository has no such upload")
}

struct RemoteUpload {
    client: RepositoryClient,
    session: UploadSession,
    id: UploadId,
    /// Bytes that are too few for a chunk.
    buffered: BytesMut,
}

impl RemoteUpload {
    fn boxed(client: &RepositoryClient, mut session: UploadSession) -> Box<dyn Upload> {
        session.keep_open();
        Box::new(Self {
            id: id_of(client, session.url()),
            client: client.clone(),
            session,
            buffered: BytesMut::new(),
        })
    }

    /// Sends `chunk` at the offset of the upload, in several requests if the registry accepts it in parts.
    async fn send(&mut self, chunk: Bytes) -> Result<()> {
        let start = self.session.offset();
        let end = start + chunk.len() as u64;
        let mut retries = self.client.transport().retries();
        while self.session.offset() < end {
            let at = self.session.offset();
            let Some(left) = at
                .checked_sub(start)
                .and_then(|sent| usize::try_from(sent).ok())
            else {
                return Err(moved(at));
            };
            let limit = &self.client.learned().body_limit;
            let length = (end - at).min(limit.get());
            let piece = usize::try_from(length).unwrap_or(usize::MAX);
            let piece = chunk.slice(left..left.saturating_add(piece).min(chunk.len()));
            let range = at..at + piece.len() as u64;
            let sent = self.session.send_chunk(range, Payload::Bytes(piece)).await;
            self.id = id_of(&self.client, self.session.url());
            match sent {
                Ok(ChunkOutcome::Accepted) if self.session.offset() > at => {}
                Ok(ChunkOutcome::Accepted) => self.continue_after(&mut retries, moved(at)).await?,
                Ok(ChunkOutcome::OffsetDiffers) => {
                    return Err(moved(self.session.offset()));
                }
                Ok(ChunkOutcome::Refused(response))
                    if response.status() == StatusCode::PAYLOAD_TOO_LARGE
                        && length > SMALLEST_CHUNK.max(self.session.min_chunk()) =>
                {
                    let least = SMALLEST_CHUNK.max(self.session.min_chunk());
                    limit.lower_to((length / 2).max(least));
                }
                Ok(ChunkOutcome::Refused(response)) => {
                    let error = response.into_error().await;
                    self.continue_after(&mut retries, error).await?;
                }
                Err(error) => self.continue_after(&mut retries, error).await?,
            }
        }
        Ok(())
    }

    /// Ends the upload with the buffered bytes, and retries after errors that may pass.
    async fn finish(&mut self, expected: &Descriptor) -> Result<()> {
        let buffered = self.buffered.split().freeze();
        let start = self.session.offset();
        let mut retries = self.client.transport().retries();
        loop {
            let at = self.session.offset();
            let sent = at.checked_sub(start).filter(|_| at <= expected.size());
            let Some(sent) = sent.and_then(|sent| usize::try_from(sent).ok()) else {
                return Err(moved(at));
            };
            let (payload, range) = match buffered.slice(sent..) {
                left if left.is_empty() => (Payload::Empty, None),
                left => (Payload::Bytes(left), Some(at..expected.size())),
            };
            let ended = self.session.finish(expected.digest(), payload, range).await;
            let error = match ended {
                Ok(None) => return Ok(()),
                Ok(Some(response)) => response.into_error().await,
                Err(error) => error,
            };
            if !error.is_retryable() {
                return Err(error);
            }
            // Only the response may have been lost.
            let presence = presence(&self.client, expected).await;
            if presence.is_ok_and(|presence| presence == Presence::Whole) {
                return Ok(());
            }
            self.continue_after(&mut retries, error).await?;
        }
    }

    /// Pauses and refreshes the offset, if `error` may pass.
    async fn continue_after(&mut self, retries: &mut Retries, error: Error) -> Result<()> {
        // The registry may still be handling a write whose future was dropped.
        let may_pass = error.is_retryable() || error.kind() == ErrorKind::Conflict;
        if !may_pass || !retries.pause(None).await {
            return Err(error);
        }
        self.session.refresh().await.map_err(|_| error)
    }
}

fn moved(to: u64) -> Error {
    Error::new(
        ErrorKind::RangeInvalid,
        format!("the upload is at byte {to} at the registry"),
    )
    .with_hint("resume the upload and continue from its offset")
}

#[async_trait]
impl Upload for RemoteUpload {
    fn id(&self) -> &UploadId {
        &self.id
    }

    fn offset(&self) -> u64 {
        self.session.offset() + self.buffered.len() as u64
    }

    async fn write(&mut self, offset: u64, chunk: Bytes) -> Result<()> {
        if offset != self.offset() {
            return Err(Error::new(
                ErrorKind::RangeInvalid,
                format!("the upload is at byte {}, not at {offset}", self.offset()),
            ));
        }
        let least = self.session.min_chunk();
        if self.buffered.is_empty() && chunk.len() as u64 >= least {
            return if chunk.is_empty() {
                Ok(())
            } else {
                self.send(chunk)
                    .await
                    .during("upload to", &self.client.name)
            };
        }
        self.buffered.extend_from_slice(&chunk);
        if (self.buffered.len() as u64) < least {
            return Ok(());
        }
        let buffered = self.buffered.split().freeze();
        self.send(buffered)
            .await
            .during("upload to", &self.client.name)
    }

    async fn commit(mut self: Box<Self>, expected: &Descriptor) -> Result<()> {
        let offset = self.offset();
        if offset != expected.size() {
            let error = Error::new(
                ErrorKind::SizeMismatch,
                format!(
                    "{offset} bytes have arrived, and there should be {}",
                    expected.size()
                ),
            );
            // Whether cancelling succeeds does not matter, because the size is wrong.
            let _ = self.session.cancel().await;
            return Err(error
                .with_operation("commit an upload as")
                .with_subject(expected.digest()));
        }
        let refused = match self.finish(expected).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if refused.kind() == ErrorKind::DigestMismatch {
            // Whether cancelling succeeds does not matter, because the digest is wrong.
            let _ = self.session.cancel().await;
        }
        Err(refused
            .with_operation("commit an upload as")
            .with_subject(expected.digest()))
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.session
            .cancel()
            .await
            .during("cancel an upload to", &self.client.name)
    }
}
