//! The session of an upload at a registry: its URL, which changes with every response, and its offset.

use std::ops::Range;

use http::header::{CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use tranship::{Algorithm, Digest, Result};
use url::Url;

use super::record::UploadRecord;
use super::upload_headers::{content_range, min_chunk, received, with_digest};
use crate::hosts::same_origin;
use crate::repository_client::RepositoryClient;
use crate::transport::{Payload, Repeat, Request, RequestKind, Response, failure};

const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// An open upload. Dropping it cancels the upload in a spawned task, unless it is [kept open](Self::keep_open) or
/// [recorded](Self::record_in).
#[derive(Debug)]
pub(super) struct UploadSession {
    client: RepositoryClient,
    url: Url,
    /// Another origin that the registry names for the upload, if any.
    named: Option<String>,
    offset: u64,
    /// The minimum size of every chunk but the last one, in bytes.
    min_chunk: u64,
    is_kept_open: bool,
    /// The record with which another process can continue the upload.
    record: Option<Box<UploadRecord>>,
}

/// The result of starting an upload.
pub(super) enum StartedUpload {
    /// The registry had the blob in another repository, and has mounted it.
    Mounted,
    Session(UploadSession),
}

/// The source of a mount.
pub(super) enum MountFrom<'a> {
    Repository(&'a tranship::RepositoryName),
    /// Any repository that the credentials allow to read.
    Anywhere,
}

impl UploadSession {
    /// Starts an upload, or mounts the blob.
    pub(super) async fn start(
        client: &RepositoryClient,
        algorithm: Option<Algorithm>,
        mount: Option<(&Digest, MountFrom<'_>)>,
    ) -> Result<StartedUpload> {
        let mut url = client.url("blobs/uploads/")?;
        let mut kind = RequestKind::UploadStart;
        let mut scopes = client.push_scope();
        if let Some((digest, from)) = &mount {
            url.query_pairs_mut()
                .append_pair("mount", &digest.to_string());
            if let MountFrom::Repository(from) = from {
                kind = RequestKind::Mount;
                url.query_pairs_mut().append_pair("from", from.as_str());
                scopes = scopes.union(&crate::auth::Scope::pull(from).into());
            }
        }
        // The registry hashes while it receives, and assumes sha256 unless it is told otherwise.
        if let Some(algorithm) = algorithm.filter(|algorithm| *algorithm != Algorithm::Sha256) {
            url.query_pairs_mut()
                .append_pair("digest-algorithm", algorithm.as_str());
        }
        let request = Request::new(kind, Method::POST, url, scopes);
        let response = client.transport().send(request).await?;
        // Only a mount can have created a blob.
        if let (StatusCode::CREATED, Some((digest, _))) = (response.status(), mount) {
            response.check_digest(digest)?;
            return Ok(StartedUpload::Mounted);
        }
        let response = response.expect(StatusCode::ACCEPTED).await?;
        let (url, named) = location(client, &response)?;
        let mut session = Self {
            client: client.clone(),
            url,
            named,
            offset: 0,
            min_chunk: 0,
            is_kept_open: false,
            record: None,
        };
        session.note_min_chunk(&response)?;
        Ok(StartedUpload::Session(session))
    }

    /// Continues an upload that was started before, at `url`.
    pub(super) async fn resume(client: &RepositoryClient, url: Url) -> Result<Self> {
        let url = client.transport().locations().resumed_upload(&url)?;
        let mut session = Self {
            client: client.clone(),
            url,
            named: None,
            offset: 0,
            min_chunk: 0,
            is_kept_open: true,
            record: None,
        };
        session.refresh().await?;
        Ok(session)
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the number of bytes that the registry has received, as far as is known.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn min_chunk(&self) -> u64 {
        self.min_chunk
    }

    /// Keeps the upload open when this is dropped.
    pub(super) fn keep_open(&mut self) {
        self.is_kept_open = true;
    }

    /// Marks the upload as ended: it is not cancelled, and its record is removed.
    pub(super) async fn end(&mut self) {
        self.keep_open();
        if let Some(record) = self.record.take() {
            record.forget().await;
        }
    }

    /// Keeps `record` up to date from now on. Dropping this keeps the upload open.
    pub(super) async fn record_in(&mut self, record: UploadRecord) {
        record.note(&self.url).await;
        self.record = Some(Box::new(record));
        self.is_kept_open = true;
    }

    /// Returns whether another process can continue the upload.
    pub(super) fn is_recorded(&self) -> bool {
        self.record.is_some()
    }

    /// Takes the record for another upload of the same blob. Dropping this then cancels the upload.
    pub(super) fn take_record(&mut self) -> Option<UploadRecord> {
        let record = self.record.take()?;
        self.is_kept_open = false;
        Some(*record)
    }

    /// Requests the number of bytes that the registry has received.
    pub(super) async fn refresh(&mut self) -> Result<()> {
        let request = self.request(RequestKind::UploadStatus, Method::GET, self.url.clone());
        let response = self.client.transport().send(request).await?;
        match response.status() {
            StatusCode::NO_CONTENT | StatusCode::OK | StatusCode::ACCEPTED => {
                self.offset = match received(&response) {
                    // Every registry sends `0-0` for one byte, and some for none.
                    Some(0) if self.offset == 1 => 1,
                    received => received.unwrap_or(0),
                };
                self.note_min_chunk(&response)?;
                self.moved_to(&response).await
            }
            _ => Err(response.into_error().await),
        }
    }

    /// Sends the bytes `range` of the content, which must start at the offset.
    pub(super) async fn send_chunk(
        &mut self,
        range: Range<u64>,
        payload: Payload<'_>,
    ) -> Result<ChunkOutcome> {
        let value = content_range(&range)?;
        let request = self
            .request(RequestKind::UploadChunk, Method::PATCH, self.url.clone())
            .header(CONTENT_TYPE, OCTET_STREAM)
            .header(CONTENT_RANGE, value)
            .payload(payload)
            .repeat(Repeat::IfUnsent);
        let response = self.client.transport().send(request).await?;
        match response.status() {
            // ECR responds with 201.
            StatusCode::ACCEPTED | StatusCode::CREATED | StatusCode::NO_CONTENT => {
                self.offset = match received(&response) {
                    Some(received) if received > range.end => {
                        return Err(failure::protocol(format!(
                            "the registry has {received} bytes of an upload of which {} were sent",
                            range.end
                        )));
                    }
                    // Every registry sends `0-0` for one byte, and some for none.
                    Some(0) if range.end == 1 => 1,
                    Some(received) => received,
                    None => range.end,
                };
                self.moved_to(&response).await?;
                Ok(ChunkOutcome::Accepted)
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                match received(&response) {
                    Some(0) if self.offset == 0 => self.offset = 1,
                    Some(received) => self.offset = received,
                    None => self.refresh().await?,
                }
                self.moved_to(&response).await?;
                Ok(ChunkOutcome::OffsetDiffers)
            }
            _ => Ok(ChunkOutcome::Refused(Box::new(self.refused(response)))),
        }
    }

    /// Ends the upload with its last bytes, if any. Returns the response if the registry refuses it.
    pub(super) async fn finish(
        &mut self,
        digest: &Digest,
        payload: Payload<'_>,
        range: Option<Range<u64>>,
    ) -> Result<Option<Response>> {
        let url = with_digest(&self.url, digest);
        let repeat = Repeat::IfUnsent;
        let mut request = self
            .request(RequestKind::UploadEnd, Method::PUT, url)
            .header(CONTENT_TYPE, OCTET_STREAM)
            .payload(payload)
            .repeat(repeat);
        if let Some(range) = range.filter(|range| !range.is_empty()) {
            request = request.header(CONTENT_RANGE, content_range(&range)?);
        }
        let response = self.client.transport().send(request).await?;
        match response.status() {
            StatusCode::CREATED | StatusCode::OK | StatusCode::NO_CONTENT => {
                response.check_digest(digest)?;
                self.end().await;
                Ok(None)
            }
            _ => Ok(Some(self.refused(response))),
        }
    }

    /// Adds a hint to the response to a refused request if the registry names another origin for the upload.
    fn refused(&self, mut response: Response) -> Response {
        if let Some(named) = &self.named {
            response.hint = Some(format!(
                "the registry names {named} for uploads; `--allow foreign-uploads` sends them there, \
                 without credentials"
            ));
        }
        response
    }

    /// Ends the upload without a blob.
    ///
    /// # Errors
    /// Those of the registry. A registry that does not support cancelling is not an error, because its uploads expire.
    pub(super) async fn cancel(mut self) -> Result<()> {
        self.end().await;
        cancel(&self.client, self.url.clone()).await
    }

    fn request<'a>(&self, kind: RequestKind, method: Method, url: Url) -> Request<'a> {
        Request::new(kind, method, url, self.client.push_scope())
    }

    async fn moved_to(&mut self, response: &Response) -> Result<()> {
        if response.location()?.is_some() {
            (self.url, self.named) = location(&self.client, response)?;
            if let Some(record) = &self.record {
                record.note(&self.url).await;
            }
        }
        Ok(())
    }

    fn note_min_chunk(&mut self, response: &Response) -> Result<()> {
        if let Some(least) = min_chunk(response)? {
            self.min_chunk = least;
        }
        Ok(())
    }
}

/// The result of sending a chunk.
pub(super) enum ChunkOutcome {
    Accepted,
    /// The registry expects another offset, which is the session's offset now.
    OffsetDiffers,
    Refused(Box<Response>),
}

impl Drop for UploadSession {
    fn drop(&mut self) {
        if self.is_kept_open {
            return;
        }
        // The registry would keep the received bytes until the upload expires, which takes days.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (client, url) = (self.client.clone(), self.url.clone());
            runtime.spawn(async move {
                if let Err(error) = cancel(&client, url).await {
                    tracing::debug!(%error, "an upload could not be cancelled");
                }
            });
        }
    }
}

async fn cancel(client: &RepositoryClient, url: Url) -> Result<()> {
    // Some registries require the right to delete.
    let scopes = client.push_scope().union(&client.delete_scope());
    let request = Request::new(RequestKind::UploadCancel, Method::DELETE, url, scopes);
    let response = client.transport().send(request).await?;
    match response.status() {
        status if status.is_success() => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
            Ok(())
        }
        _ => Err(response.into_error().await),
    }
}

/// Returns the URL at which the upload continues, and another origin that the registry names, if any.
fn location(client: &RepositoryClient, response: &Response) -> Result<(Url, Option<String>)> {
    let named = response
        .location()?
        .ok_or_else(|| failure::protocol("the registry does not say where the upload continues"))?;
    let url = client.transport().locations().upload(&named)?;
    let other = (!same_origin(&named, &url)).then(|| named.origin().ascii_serialization());
    Ok((url, other))
}
