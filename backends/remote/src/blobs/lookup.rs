//! Looks up blobs, by `HEAD`, or by a request for the first byte where the registry does not allow `HEAD`.

use http::header::RANGE;
use http::{HeaderValue, Method, StatusCode};
use tranship::{Descriptor, Digest, MediaType, Presence, Result};

use crate::auth::Scopes;
use crate::repository_client::RepositoryClient;
use crate::transport::{Request, RequestKind, Response, failure};

/// A blob that a registry has.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredBlob {
    /// The number of bytes that a response has, if the registry states it.
    pub(super) size: Option<u64>,
    /// Whether the response is labelled as encoded, so that the blob may have another size.
    is_encoded: bool,
}

impl StoredBlob {
    /// Returns whether the blob may have `size` bytes, as far as the registry states.
    pub(super) fn may_have(self, size: u64) -> bool {
        self.is_encoded || self.size.is_none_or(|found| found == size)
    }
}

/// Looks up a blob. Returns `None` if the registry does not have it.
///
/// # Errors
/// - `DigestMismatch` if the registry names another digest.
/// - Other errors of the registry.
pub(super) async fn look_up(
    client: &RepositoryClient,
    digest: &Digest,
    scopes: Scopes,
) -> Result<Option<StoredBlob>> {
    let capability = &client.learned().blob_head;
    if !capability.is_no() {
        let url = client.blob_url(digest)?;
        let request = Request::new(RequestKind::BlobHead, Method::HEAD, url, scopes.clone());
        let response = client.transport().send(request).await?;
        if !is_refused(client, &response) {
            capability.learn(true);
            return stored_blob(response, digest).await;
        }
        tracing::debug!(status = %response.status(), "HEAD of blobs is not allowed");
        capability.learn(false);
    }
    let url = client.blob_url(digest)?;
    let request = Request::new(RequestKind::BlobGet, Method::GET, url, scopes)
        .header(RANGE, HeaderValue::from_static("bytes=0-0"))
        .download();
    let response = client.transport().send(request).await?;
    stored_blob(response, digest).await
}

/// Looks up a blob with the rights that a push of it needs.
pub(super) async fn presence(client: &RepositoryClient, target: &Descriptor) -> Result<Presence> {
    match look_up(client, target.digest(), client.push_scope()).await {
        Ok(Some(stored)) if stored.may_have(target.size()) => Ok(Presence::Whole),
        Ok(Some(_)) => Ok(Presence::OtherSize),
        Ok(None) => Ok(Presence::Absent),
        // Some registries return 403 for a blob that does not exist. The push shows whether it is allowed.
        Err(error) if error.http_status() == Some(403) => Ok(Presence::Absent),
        Err(error) => Err(error),
    }
}

/// Returns the descriptor of a blob whose `size` in bytes the registry may have stated.
///
/// # Errors
/// `Unavailable` if the registry has not stated it.
pub(super) fn describe(size: Option<u64>, digest: Digest) -> Result<Descriptor> {
    let size =
        size.ok_or_else(|| failure::protocol("the registry does not say how large the blob is"))?;
    Ok(Descriptor::new(MediaType::OCTET_STREAM, digest, size))
}

/// Returns whether the registry refuses the method `HEAD`. A URL of storage that a registry redirects to may be signed
/// for `GET` only.
fn is_refused(client: &RepositoryClient, response: &Response) -> bool {
    match response.status() {
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => true,
        StatusCode::FORBIDDEN => !client.transport().locations().is_own(&response.url),
        _ => false,
    }
}

async fn stored_blob(response: Response, digest: &Digest) -> Result<Option<StoredBlob>> {
    let size = match response.status() {
        StatusCode::OK => response.content_length()?,
        StatusCode::PARTIAL_CONTENT => response.content_range()?.2,
        // An empty blob has no first byte.
        StatusCode::RANGE_NOT_SATISFIABLE => None,
        StatusCode::NOT_FOUND => return Ok(None),
        _ => return Err(response.into_error().await),
    };
    response.check_digest(digest)?;
    Ok(Some(StoredBlob {
        size,
        is_encoded: response.coding().is_some(),
    }))
}
