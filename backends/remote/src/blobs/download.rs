//! Downloads of blobs, which resume at their offset after an interruption.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::{IF_RANGE, RANGE};
use http::{HeaderValue, Method, StatusCode};
use tranship::{Body, ByteStream, Descriptor, Digest, Error, ErrorKind, Result};

use super::lookup::describe;
use crate::repository_client::RepositoryClient;
use crate::transport::{Request, RequestKind, Response, Retries, failure};

/// The remaining bytes `position..end` of a blob.
pub(crate) struct Download {
    client: RepositoryClient,
    target: Descriptor,
    position: u64,
    end: u64,
    /// The `ETag` of the first response. Later responses must have the same.
    validator: Option<HeaderValue>,
    /// Whether the registry has returned the requested part.
    is_partial: bool,
    /// The `Content-Encoding` of the response. The digest may show that the content is not encoded.
    coding: Option<String>,
    body: Option<ByteStream>,
    retries: Retries,
}

impl Download {
    /// Opens the whole blob.
    pub(crate) async fn whole(client: &RepositoryClient, target: &Descriptor) -> Result<Self> {
        Self::part(client, target, 0..target.size()).await
    }

    /// Opens a part of a blob.
    pub(crate) async fn part(
        client: &RepositoryClient,
        target: &Descriptor,
        range: Range<u64>,
    ) -> Result<Self> {
        let mut download = Self {
            client: client.clone(),
            target: target.clone(),
            position: range.start,
            end: range.end,
            validator: None,
            is_partial: false,
            coding: None,
            body: None,
            retries: client.transport().retries(),
        };
        // HTTP does not have empty ranges. An empty blob is requested anyway, because it may be missing.
        if !range.is_empty() || target.size() == 0 {
            let response = download.request().await?;
            download.accept(response).await?;
        }
        Ok(download)
    }

    /// Opens a whole blob whose size is not known.
    pub(crate) async fn unsized_whole(
        client: &RepositoryClient,
        digest: Digest,
    ) -> Result<(Descriptor, Self)> {
        let mut download = Self {
            client: client.clone(),
            target: Descriptor::new(tranship::MediaType::OCTET_STREAM, digest, 0),
            position: 0,
            end: 0,
            validator: None,
            is_partial: false,
            coding: None,
            body: None,
            retries: client.transport().retries(),
        };
        let response = download.request().await?.expect(StatusCode::OK).await?;
        download.target = describe(response.content_length()?, digest)?;
        download.end = download.target.size();
        download.accept(response).await?;
        Ok((download.target.clone(), download))
    }

    /// Returns whether the registry supports ranges of blobs.
    pub(crate) fn is_partial(&self) -> bool {
        self.is_partial
    }

    pub(crate) fn into_body(self) -> Body {
        Body::from_stream(stream::try_unfold(self, |mut download| async move {
            let piece = download.next().await?;
            Ok(piece.map(|piece| (piece, download)))
        }))
    }

    fn is_whole(&self) -> bool {
        self.position == 0 && self.end == self.target.size()
    }

    async fn request(&mut self) -> Result<Response> {
        let url = self.client.blob_url(self.target.digest())?;
        let scopes = self.client.pull_scope();
        let mut request = Request::new(RequestKind::BlobGet, Method::GET, url, scopes).download();
        if !self.is_whole() {
            let range = format!("bytes={}-{}", self.position, self.end - 1);
            let range = HeaderValue::try_from(range)
                .map_err(|_| failure::protocol("the range is no header"))?;
            request = request.header(RANGE, range);
            if let Some(validator) = &self.validator {
                request = request.header(IF_RANGE, validator.clone());
            }
        }
        self.client.transport().send(request).await
    }

    /// Takes the body of a response, after checking that it continues the content that has been read.
    async fn accept(&mut self, response: Response) -> Result<()> {
        let size = self.target.size();
        match response.status() {
            StatusCode::OK => {
                self.coding = response.coding().map(str::to_owned);
                response.check_digest(self.target.digest())?;
                if let Some(length) = response.content_length()?.filter(|length| *length != size) {
                    return Err(self.wrong_size(&format!("the registry has {length}")));
                }
                if !self.is_whole() {
                    self.client.learned().range.learn(false);
                }
                self.validate(&response)?;
                let skip = self.position;
                self.body = Some(skipping(response.into_stream(), skip));
                Ok(())
            }
            StatusCode::PARTIAL_CONTENT => {
                self.coding = response.coding().map(str::to_owned);
                response.check_digest(self.target.digest())?;
                let (start, end, total) = response.content_range()?;
                if let Some(total) = total.filter(|total| *total != size) {
                    return Err(self.wrong_size(&format!("the registry has {total}")));
                }
                if start != self.position || end > self.end {
                    return Err(failure::protocol(format!(
                        "the registry returns the bytes {start}..{end} instead of {}..{}",
                        self.position, self.end
                    )));
                }
                self.client.learned().range.learn(true);
                self.is_partial = true;
                self.validate(&response)?;
                self.body = Some(response.into_stream());
                Ok(())
            }
            StatusCode::RANGE_NOT_SATISFIABLE => Err(self.wrong_size("the registry has fewer")),
            _ => Err(response.into_error().await),
        }
    }

    /// Checks that the content is still the same as in the first response.
    fn validate(&mut self, response: &Response) -> Result<()> {
        let Some(now) = response.strong_etag() else {
            return Ok(());
        };
        match &self.validator {
            Some(before) if *before != now => Err(Error::new(
                ErrorKind::Conflict,
                "the content changed while it was read",
            )),
            _ => {
                self.validator = Some(now);
                Ok(())
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Some(body) = &mut self.body else {
                if self.position == self.end {
                    return Ok(None);
                }
                let response = self.request().await?;
                self.accept(response).await?;
                continue;
            };
            if self.position == self.end {
                let more = if self.end == self.target.size() {
                    body.next().await
                } else {
                    None
                };
                self.body = None;
                return match more {
                    Some(Ok(more)) if !more.is_empty() => {
                        Err(self.wrong_size("the registry sends more"))
                    }
                    _ => Ok(None),
                };
            }
            let broke = match body.next().await {
                Some(Ok(piece)) if piece.is_empty() => continue,
                Some(Ok(mut piece)) => {
                    let left = self.end - self.position;
                    if piece.len() as u64 > left {
                        if self.end == self.target.size() {
                            return Err(self.wrong_size("the registry sends more"));
                        }
                        piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    }
                    self.position += piece.len() as u64;
                    self.retries.reset();
                    return Ok(Some(piece));
                }
                Some(Err(error)) if !error.is_retryable() => return Err(error),
                Some(Err(error)) => error,
                None => self.wrong_size("the registry ends early"),
            };
            self.body = None;
            tracing::debug!(position = self.position, error = %broke, "a download is continued");
            if !self.retries.pause(None).await {
                return Err(broke);
            }
        }
    }

    fn wrong_size(&self, what: &str) -> Error {
        let mut message = format!(
            "the content should have {} bytes, and {what}",
            self.target.size()
        );
        if let Some(coding) = &self.coding {
            message = format!("{message}; {}", failure::encoded(coding));
        }
        Error::new(ErrorKind::SizeMismatch, message)
            .with_operation("fetch")
            .with_subject(self.target.digest())
    }
}

/// Returns a body without its first `skip` bytes.
fn skipping(body: ByteStream, skip: u64) -> ByteStream {
    if skip == 0 {
        return body;
    }
    Box::pin(stream::try_unfold(
        (body, skip),
        |(mut body, mut skip)| async move {
            while let Some(mut piece) = body.next().await.transpose()? {
                let dropped = skip.min(piece.len() as u64);
                skip -= dropped;
                let kept = piece.split_off(usize::try_from(dropped).unwrap_or(usize::MAX));
                if !kept.is_empty() {
                    return Ok(Some((kept, (body, skip))));
                }
            }
            Ok(None)
        },
    ))
}
