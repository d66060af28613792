//! Looking for a blob: by `HEAD`, or by its first byte where the registry does not allow that.

use http::header::RANGE;
use http::{HeaderValue, Method, StatusCode};
use tranship::{Digest, Result};

use crate::auth::Scopes;
use crate::handle::Handle;
use crate::transport::{Answer, Request, RequestKind};

/// A blob that a registry has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// How many bytes are sent, if the registry says so.
    pub(super) size: Option<u64>,
    /// Whether they are labelled as encoded, so that the blob may have another size.
    is_encoded: bool,
}

impl Found {
    /// Whether it may have `size` bytes, as far as the registry says.
    pub(super) fn may_have(self, size: u64) -> bool {
        self.is_encoded || self.size.is_none_or(|found| found == size)
    }
}

/// Looks for a blob; `None` if the registry does not have it.
///
/// # Errors
/// - `DigestMismatch` if the registry names another digest.
/// - What else the registry refuses with.
pub(super) async fn look(
    handle: &Handle,
    digest: &Digest,
    scopes: Scopes,
) -> Result<Option<Found>> {
    let fact = &handle.learned().blob_head;
    if !fact.is_no() {
        let url = handle.blob_url(digest)?;
        let request = Request::new(RequestKind::BlobHead, Method::HEAD, url, scopes.clone());
        let answer = handle.transport().send(request).await?;
        if !is_refused(handle, &answer) {
            fact.learn(true);
            return found(answer, digest).await;
        }
        tracing::debug!(status = %answer.status(), "HEAD of blobs is not allowed");
        fact.learn(false);
    }
    let url = handle.blob_url(digest)?;
    let request = Request::new(RequestKind::BlobGet, Method::GET, url, scopes)
        .header(RANGE, HeaderValue::from_static("bytes=0-0"))
        .download();
    let answer = handle.transport().send(request).await?;
    found(answer, digest).await
}

/// Whether `HEAD` is what the registry does not like. A URL of storage that a registry redirects to may be
/// signed for `GET` alone.
fn is_refused(handle: &Handle, answer: &Answer) -> bool {
    match answer.status() {
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => true,
        StatusCode::FORBIDDEN => !handle.transport().is_own(&answer.url),
        _ => false,
    }
}

async fn found(answer: Answer, digest: &Digest) -> Result<Option<Found>> {
    let size = match answer.status() {
        StatusCode::OK => answer.content_length()?,
        StatusCode::PARTIAL_CONTENT => answer.content_range()?.2,
        // An empty blob has no first byte.
        StatusCode::RANGE_NOT_SATISFIABLE => None,
        StatusCode::NOT_FOUND => return Ok(None),
        _ => return Err(answer.into_error().await),
    };
    answer.check_digest(digest)?;
    Ok(Some(Found {
        size,
        is_encoded: answer.coding().is_some(),
    }))
}
