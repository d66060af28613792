//! Fetches manifests, with a limit on their size, and verifies them.

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, Method, StatusCode};
use tranship::{
    Algorithm, Descriptor, Error, ErrorKind, ManifestDocument, MediaType, Result, TagOrDigest,
};

use crate::repository_client::RepositoryClient;
use crate::transport::{Request, RequestKind, failure};

/// Returns the value of `Accept` that lists every type of manifest.
pub(super) fn every_type() -> HeaderValue {
    let types = MediaType::MANIFESTS.map(|kind| kind.as_str().to_owned());
    // They are ASCII.
    HeaderValue::try_from(types.join(", ")).unwrap_or(HeaderValue::from_static("*/*"))
}

/// A manifest, and what the registry states about it.
pub(crate) struct Fetched {
    pub(crate) descriptor: Descriptor,
    pub(crate) content: Bytes,
    /// The `ETag`, for conditional changes of the tag.
    pub(crate) etag: Option<HeaderValue>,
}

/// Fetches the manifest that `reference` names. `expected` is its descriptor, if it is known.
pub(crate) async fn fetch(
    client: &RepositoryClient,
    reference: &TagOrDigest,
    expected: Option<&Descriptor>,
) -> Result<Fetched> {
    let limit = client.max_manifest_size();
    let accept =
        expected.and_then(|target| HeaderValue::try_from(target.media_type().as_str()).ok());
    let url = client.manifest_url(reference)?;
    let request = Request::new(
        RequestKind::ManifestGet,
        Method::GET,
        url,
        client.pull_scope(),
    )
    .header(ACCEPT, accept.unwrap_or_else(every_type));
    let response = client.look_up(request).await?;
    let response = response.expect(StatusCode::OK).await?;
    let told_digest = response.digest()?;
    let told_type = response.media_type();
    let etag = response.strong_etag();
    let coding = response.coding().map(str::to_owned);
    let content = response.bytes(limit).await?;
    let digest = match (reference, told_digest) {
        // A digest of another algorithm than requested cannot be compared.
        (TagOrDigest::Digest(digest), Some(told))
            if told.algorithm() == digest.algorithm() && told != *digest =>
        {
            return Err(mismatch(format!("the registry returns {told}")));
        }
        (TagOrDigest::Digest(digest), _) => *digest,
        (TagOrDigest::Tag(_), Some(told)) => told,
        (TagOrDigest::Tag(_), None) => Algorithm::Sha256.digest(&content),
    };
    if !digest.matches(&content) {
        let mut message = format!("the registry sends something else than {digest}");
        if let Some(coding) = coding {
            message = format!("{message}; {}", failure::encoded(&coding));
        }
        return Err(mismatch(message));
    }
    let media_type = match expected {
        Some(expected) => expected.media_type().clone(),
        None => media_type(told_type, &content)?,
    };
    Ok(Fetched {
        descriptor: Descriptor::new(media_type, digest, content.len() as u64),
        content,
        etag,
    })
}

/// Returns the media type that the registry states, or else the one of the content.
fn media_type(told: Result<Option<MediaType>>, content: &[u8]) -> Result<MediaType> {
    match told {
        Ok(Some(told)) if told.is_manifest() => Ok(told),
        told => match (ManifestDocument::sniff(content), told) {
            (Some(shown), _) => Ok(shown),
            // This is not even a manifest of an unknown type, but the page of a web server, for example.
            (None, Ok(Some(told))) if !content.trim_ascii_start().starts_with(b"{") => {
                Err(failure::protocol(format!(
                    "the registry sends content of the type {told}, which is not a manifest"
                ))
                .with_hint("look at the name of the registry, which may be that of another server"))
            }
            (None, Ok(Some(told))) => Ok(told),
            (None, Err(error)) => Err(error),
            (None, Ok(None)) => Err(failure::protocol(
                "the registry does not say what type the manifest has, and it does not show",
            )),
        },
    }
}

fn mismatch(message: String) -> Error {
    Error::new(ErrorKind::DigestMismatch, message)
}
