//! Uploads in pieces, which another process can resume.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use tranship::{Descriptor, Error, ErrorKind, Presence, Result, ResultExt as _, Upload, UploadId};
use url::Url;

use super::lookup::presence;
use super::push::SMALLEST_CHUNK;
use super::session::{Sent, Session, Started};
use crate::handle::Handle;
use crate::transport::{Payload, Retries, failure};

pub(crate) async fn start(handle: &Handle) -> Result<Box<dyn Upload>> {
    match Session::start(handle, None, None).await? {
        Started::Session(session) => Ok(RemoteUpload::boxed(handle, session)),
        Started::Mounted => Err(failure::protocol(
            "the registry answers that an upload is done which was not begun",
        )),
    }
}

pub(crate) async fn resume(handle: &Handle, id: &UploadId) -> Result<Box<dyn Upload>> {
    let url = url_of(handle, id).ok_or_else(no_upload)?;
    let session = Session::resume(handle, url).await?;
    Ok(RemoteUpload::boxed(handle, session))
}

/// The name of the repository, a space, and the URL: a name has no space.
fn id_of(handle: &Handle, url: &Url) -> UploadId {
    UploadId::new(format!("{} {url}", handle.name))
}

fn url_of(handle: &Handle, id: &UploadId) -> Option<Url> {
    let (name, url) = id.as_str().split_once(' ')?;
    if name != handle.name.as_str() {
        return None;
    }
    url.parse().ok()
}

fn no_upload() -> Error {
    Error::new(ErrorKind::NotFound, "this repository has no such upload")
}

struct RemoteUpload {
    handle: Handle,
    session: Session,
    id: UploadId,
    /// What is too little for a chunk of its own.
    held: BytesMut,
}

impl RemoteUpload {
    fn boxed(handle: &Handle, mut session: Session) -> Box<dyn Upload> {
        session.leave();
        Box::new(Self {
            id: id_of(handle, session.url()),
            handle: handle.clone(),
            session,
            held: BytesMut::new(),
        })
    }

    /// Sends `chunk` from where the upload is, and goes on as long as the registry takes some of it.
    async fn send(&mut self, chunk: Bytes) -> Result<()> {
        let start = self.session.offset();
        let end = start + chunk.len() as u64;
        let mut retries = self.handle.transport().retries();
        while self.session.offset() < end {
            let at = self.session.offset();
            let Some(left) = at
                .checked_sub(start)
                .and_then(|sent| usize::try_from(sent).ok())
            else {
                return Err(moved(at));
            };
            let limit = &self.handle.learned().body_limit;
            let length = (end - at).min(limit.get());
            let piece = usize::try_from(length).unwrap_or(usize::MAX);
            let piece = chunk.slice(left..left.saturating_add(piece).min(chunk.len()));
            let range = at..at + piece.len() as u64;
            let sent = self.session.send_chunk(range, Payload::Bytes(piece)).await;
            self.id = id_of(&self.handle, self.session.url());
            match sent {
                Ok(Sent::Accepted) if self.session.offset() > at => {}
                Ok(Sent::Accepted) => self.go_on(&mut retries, moved(at)).await?,
                Ok(Sent::Elsewhere) => {
                    return Err(moved(self.session.offset()));
                }
                Ok(Sent::Refused(response))
                    if response.status() == StatusCode::PAYLOAD_TOO_LARGE
                        && length > SMALLEST_CHUNK.max(self.session.min_chunk()) =>
                {
                    let least = SMALLEST_CHUNK.max(self.session.min_chunk());
                    limit.lower_to((length / 2).max(least));
                }
                Ok(Sent::Refused(response)) => {
                    let error = response.into_error().await;
                    self.go_on(&mut retries, error).await?;
                }
                Err(error) => self.go_on(&mut retries, error).await?,
            }
        }
        Ok(())
    }

    /// Ends the upload, with what is held back as its last bytes, and tries again what may pass.
    async fn finish(&mut self, expected: &Descriptor) -> Result<()> {
        let held = self.held.split().freeze();
        let start = self.session.offset();
        let mut retries = self.handle.transport().retries();
        loop {
            let at = self.session.offset();
            let sent = at.checked_sub(start).filter(|_| at <= expected.size());
            let Some(sent) = sent.and_then(|sent| usize::try_from(sent).ok()) else {
                return Err(moved(at));
            };
            let (payload, range) = match held.slice(sent..) {
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
            // Perhaps only the answer was lost.
            let presence = presence(&self.handle, expected).await;
            if presence.is_ok_and(|presence| presence == Presence::Whole) {
                return Ok(());
            }
            self.go_on(&mut retries, error).await?;
        }
    }

    /// Waits and asks how far the upload is, if `error` may pass.
    async fn go_on(&mut self, retries: &mut Retries, error: Error) -> Result<()> {
        // A write that was dropped may not have ended yet at the registry.
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
    .with_hint("resume the upload and go on from its offset")
}

#[async_trait]
impl Upload for RemoteUpload {
    fn id(&self) -> &UploadId {
        &self.id
    }

    fn offset(&self) -> u64 {
        self.session.offset() + self.held.len() as u64
    }

    async fn write(&mut self, offset: u64, chunk: Bytes) -> Result<()> {
        if offset != self.offset() {
            return Err(Error::new(
                ErrorKind::RangeInvalid,
                format!("the upload is at byte {}, not at {offset}", self.offset()),
            ));
        }
        let least = self.session.min_chunk();
        if self.held.is_empty() && chunk.len() as u64 >= least {
            return match chunk.is_empty() {
                true => Ok(()),
                false => self
                    .send(chunk)
                    .await
                    .during("upload to", &self.handle.name),
            };
        }
        self.held.extend_from_slice(&chunk);
        if (self.held.len() as u64) < least {
            return Ok(());
        }
        let held = self.held.split().freeze();
        self.send(held).await.during("upload to", &self.handle.name)
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
            // What is wrong is the size, whether the registry can forget the upload or not.
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
            // It is over, whether the registry thinks so or not.
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
            .during("cancel an upload to", &self.handle.name)
    }
}
