//! An upload at a registry: a URL that changes with every answer, and how far it has come.

use std::ops::Range;

use http::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tranship::{Algorithm, Digest, Result};
use url::Url;

use super::record::Record;
use crate::handle::Handle;
use crate::policy::same_origin;
use crate::transport::{Payload, Repeat, Request, RequestKind, Response, failure};

const OCI_CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Chunks of more than that are not sent because a registry wants them, in bytes.
const LARGEST_CHUNK_ASKED_FOR: u64 = 1024 * 1024 * 1024;

/// An open upload. Dropping it cancels it, unless it is [left](Self::leave) or
/// [noted](Self::record_in).
#[derive(Debug)]
pub(super) struct Session {
    handle: Handle,
    url: Url,
    /// The other origin that the registry names for the upload, if it does.
    named: Option<String>,
    offset: u64,
    /// The least that a chunk may hold unless it is the last one, in bytes.
    min_chunk: u64,
    is_wanted: bool,
    /// Where it is noted, if another process may continue it.
    record: Option<Box<Record>>,
}

/// What became of the attempt to begin an upload.
pub(super) enum Started {
    /// The registry had the blob elsewhere, and it is here now.
    Mounted,
    Session(Session),
}

/// What a blob may be mounted from.
pub(super) enum MountFrom<'a> {
    Repository(&'a tranship::RepositoryName),
    /// Whatever the registry finds and the credentials allow to read.
    Anywhere,
}

impl Session {
    /// Begins an upload, or mounts the blob.
    pub(super) async fn start(
        handle: &Handle,
        algorithm: Option<Algorithm>,
        mount: Option<(&Digest, MountFrom<'_>)>,
    ) -> Result<Started> {
        let mut url = handle.url("blobs/uploads/")?;
        let mut kind = RequestKind::UploadStart;
        let mut scopes = handle.push_scope();
        if let Some((digest, from)) = &mount {
            url.query_pairs_mut()
                .append_pair("mount", &digest.to_string());
            if let MountFrom::Repository(from) = from {
                kind = RequestKind::Mount;
                url.query_pairs_mut().append_pair("from", from.as_str());
                scopes = scopes.union(&crate::auth::Scope::pull(from).into());
            }
        }
        // The registry hashes on the way, and should know by what; sha256 it takes for granted.
        if let Some(algorithm) = algorithm.filter(|algorithm| *algorithm != Algorithm::Sha256) {
            url.query_pairs_mut()
                .append_pair("digest-algorithm", algorithm.as_str());
        }
        let request = Request::new(kind, Method::POST, url, scopes);
        let response = handle.transport().send(request).await?;
        // Without a mount there is nothing that could have been created.
        if let (StatusCode::CREATED, Some((digest, _))) = (response.status(), mount) {
            response.check_digest(digest)?;
            return Ok(Started::Mounted);
        }
        let response = response.expect(StatusCode::ACCEPTED).await?;
        let (url, named) = location(handle, &response)?;
        let mut session = Self {
            handle: handle.clone(),
            url,
            named,
            offset: 0,
            min_chunk: 0,
            is_wanted: false,
            record: None,
        };
        session.note_min_chunk(&response)?;
        Ok(Started::Session(session))
    }

    /// An upload that was begun before, at `url`.
    pub(super) async fn resume(handle: &Handle, url: Url) -> Result<Self> {
        let url = handle.transport().locations().resumed_upload(&url)?;
        let mut session = Self {
            handle: handle.clone(),
            url,
            named: None,
            offset: 0,
            min_chunk: 0,
            is_wanted: true,
            record: None,
        };
        session.refresh().await?;
        Ok(session)
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// How many bytes have arrived, as far as is known here.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn min_chunk(&self) -> u64 {
        self.min_chunk
    }

    /// Leaves it open when it is dropped.
    pub(super) fn leave(&mut self) {
        self.is_wanted = true;
    }

    /// Treats it as one that is over: there is nothing to cancel, and nothing to continue.
    pub(super) async fn end(&mut self) {
        self.leave();
        if let Some(record) = self.record.take() {
            record.forget().await;
        }
    }

    /// Notes the upload in `record` from now on. Dropping it leaves it open.
    pub(super) async fn record_in(&mut self, record: Record) {
        record.note(&self.url).await;
        self.record = Some(Box::new(record));
        self.is_wanted = true;
    }

    /// Whether another process may continue it.
    pub(super) fn is_recorded(&self) -> bool {
        self.record.is_some()
    }

    /// Where the upload is noted, for another one of the same blob. Dropping this one cancels it then.
    pub(super) fn take_record(&mut self) -> Option<Record> {
        let record = self.record.take()?;
        self.is_wanted = false;
        Some(*record)
    }

    /// Asks how many bytes have arrived.
    pub(super) async fn refresh(&mut self) -> Result<()> {
        let request = self.request(RequestKind::UploadStatus, Method::GET, self.url.clone());
        let response = self.handle.transport().send(request).await?;
        match response.status() {
            StatusCode::NO_CONTENT | StatusCode::OK | StatusCode::ACCEPTED => {
                self.offset = match arrived(&response) {
                    // `0-0` is what some say for nothing, and all for one byte.
                    Some(0) if self.offset == 1 => 1,
                    arrived => arrived.unwrap_or(0),
                };
                self.note_min_chunk(&response)?;
                self.moved_to(&response).await
            }
            _ => Err(response.into_error().await),
        }
    }

    /// Sends the bytes `range` of the content, which must begin where the upload is.
    pub(super) async fn send_chunk(
        &mut self,
        range: Range<u64>,
        payload: Payload<'_>,
    ) -> Result<Sent> {
        let value = content_range(&range)?;
        let request = self
            .request(RequestKind::UploadChunk, Method::PATCH, self.url.clone())
            .header(CONTENT_TYPE, OCTET_STREAM)
            .header(CONTENT_RANGE, value)
            .payload(payload)
            .repeat(Repeat::IfUnsent);
        let response = self.handle.transport().send(request).await?;
        match response.status() {
            // ECR answers 201.
            StatusCode::ACCEPTED | StatusCode::CREATED | StatusCode::NO_CONTENT => {
                self.offset = match arrived(&response) {
                    Some(arrived) if arrived > range.end => {
                        return Err(failure::protocol(format!(
                            "the registry has {arrived} bytes of an upload of which {} were sent",
                            range.end
                        )));
                    }
                    // `0-0` is what some say for nothing, and all for one byte.
                    Some(0) if range.end == 1 => 1,
                    Some(arrived) => arrived,
                    None => range.end,
                };
                self.moved_to(&response).await?;
                Ok(Sent::Accepted)
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                match arrived(&response) {
                    Some(0) if self.offset == 0 => self.offset = 1,
                    Some(arrived) => self.offset = arrived,
                    None => self.refresh().await?,
                }
                self.moved_to(&response).await?;
                Ok(Sent::Elsewhere)
            }
            _ => Ok(Sent::Refused(Box::new(self.refused(response)))),
        }
    }

    /// Ends the upload with the last of its bytes; none, if all have been sent.
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
        let response = self.handle.transport().send(request).await?;
        match response.status() {
            StatusCode::CREATED | StatusCode::OK | StatusCode::NO_CONTENT => {
                response.check_digest(digest)?;
                self.end().await;
                Ok(None)
            }
            _ => Ok(Some(self.refused(response))),
        }
    }

    /// An answer that refuses what was sent, perhaps because it belongs elsewhere.
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
    /// What the registry refuses it with; a registry that knows no cancelling is no error, since its
    /// uploads expire.
    pub(super) async fn cancel(mut self) -> Result<()> {
        self.end().await;
        cancel(&self.handle, self.url.clone()).await
    }

    fn request<'a>(&self, kind: RequestKind, method: Method, url: Url) -> Request<'a> {
        Request::new(kind, method, url, self.handle.push_scope())
    }

    async fn moved_to(&mut self, response: &Response) -> Result<()> {
        if response.location()?.is_some() {
            (self.url, self.named) = location(&self.handle, response)?;
            if let Some(record) = &self.record {
                record.note(&self.url).await;
            }
        }
        Ok(())
    }

    fn note_min_chunk(&mut self, response: &Response) -> Result<()> {
        let Some(value) = response.headers().get(OCI_CHUNK_MIN_LENGTH) else {
            return Ok(());
        };
        let least = value
            .to_str()
            .ok()
            .and_then(|text| text.trim().parse().ok());
        match least {
            Some(least) if least <= LARGEST_CHUNK_ASKED_FOR => {
                self.min_chunk = least;
                Ok(())
            }
            _ => Err(failure::protocol(
                "the registry's OCI-Chunk-Min-Length is no sensible number of bytes",
            )),
        }
    }
}

/// What became of a chunk.
pub(super) enum Sent {
    Accepted,
    /// The upload is elsewhere than was thought; its offset says where.
    Elsewhere,
    Refused(Box<Response>),
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is_wanted {
            return;
        }
        // The registry would keep what has arrived until the upload expires, which takes days.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (handle, url) = (self.handle.clone(), self.url.clone());
            runtime.spawn(async move {
                if let Err(error) = cancel(&handle, url).await {
                    tracing::debug!(%error, "an upload could not be cancelled");
                }
            });
        }
    }
}

async fn cancel(handle: &Handle, url: Url) -> Result<()> {
    // Some registries want the right to delete for it.
    let scopes = handle.push_scope().union(&handle.delete_scope());
    let request = Request::new(RequestKind::UploadCancel, Method::DELETE, url, scopes);
    let response = handle.transport().send(request).await?;
    match response.status() {
        status if status.is_success() => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
            Ok(())
        }
        _ => Err(response.into_error().await),
    }
}

/// Which bytes of the content a request brings, of which there is one at least.
fn content_range(range: &Range<u64>) -> Result<HeaderValue> {
    HeaderValue::try_from(format!("{}-{}", range.start, range.end - 1))
        .map_err(|_| failure::protocol("the range is no header"))
}

/// Where the upload continues, and the origin that the registry names instead, if it does.
fn location(handle: &Handle, response: &Response) -> Result<(Url, Option<String>)> {
    let named = response
        .location()?
        .ok_or_else(|| failure::protocol("the registry does not say where the upload continues"))?;
    let url = handle.transport().locations().upload(&named)?;
    let other = (!same_origin(&named, &url)).then(|| named.origin().ascii_serialization());
    Ok((url, other))
}

/// How many bytes the answer says have arrived.
fn arrived(response: &Response) -> Option<u64> {
    let text = response.headers().get(RANGE)?.to_str().ok()?;
    parse_arrived(text)
}

fn parse_arrived(text: &str) -> Option<u64> {
    let text = text.trim();
    let text = text.strip_prefix("bytes=").unwrap_or(text);
    match text.strip_prefix("0-")? {
        // Nothing, to olareg and to distribution.
        "-1" | "0" => Some(0),
        last => last.parse::<u64>().ok()?.checked_add(1),
    }
}

/// The URL with the digest behind its query, of which nothing is encoded anew: it may be signed.
fn with_digest(url: &Url, digest: &Digest) -> Url {
    let digest = digest.to_string().replace(':', "%3A");
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&digest={digest}"),
        _ => format!("digest={digest}"),
    };
    let mut url = url.clone();
    url.set_query(Some(&query));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_arrived_is_told_in_several_ways() {
        for (text, arrived) in [
            ("0-1023", Some(1024)),
            ("bytes=0-1023", Some(1024)),
            (" 0-4 ", Some(5)),
            ("0-0", Some(0)),
            ("0--1", Some(0)),
            ("5-9", None),
            ("0-", None),
            ("0-x", None),
            ("0-18446744073709551615", None),
            ("", None),
        ] {
            assert_eq!(parse_arrived(text), arrived, "{text}");
        }
    }

    #[test]
    fn the_query_of_a_location_stays_as_it_is() {
        let digest = Digest::of(b"");
        let hex = digest.hex();
        for (url, expected) in [
            (
                "https://a/u/1",
                format!("https://a/u/1?digest=sha256%3A{hex}"),
            ),
            ("https://a/u?", format!("https://a/u?digest=sha256%3A{hex}")),
            (
                "https://a/u?_state=a%2Fb+c&x",
                format!("https://a/u?_state=a%2Fb+c&x&digest=sha256%3A{hex}"),
            ),
        ] {
            let url: Url = url.parse().expect("a URL");
            assert_eq!(with_digest(&url, &digest).as_str(), expected);
        }
    }
}
