//! The tag that replaces the referrers API, and its index.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderValue, Method, StatusCode};
use tranship::{Digest, Error, ErrorKind, Index, MediaType, Result, Tag, TagOrDigest, encode_json};

use crate::manifests;
use crate::repository_client::RepositoryClient;
use crate::transport::{Payload, Request, RequestKind};

/// The list of a tag, and its `ETag` for conditional changes.
pub(super) struct List {
    pub(super) index: Index,
    pub(super) etag: Option<HeaderValue>,
}

/// Returns the tag for a subject: the algorithm and the digest, cut to 32 and 64 characters, without characters that a tag
/// may not contain.
pub(super) fn tag_of(subject: &Digest) -> Result<Tag> {
    let cut = |text: &str, length: usize| -> String {
        text.chars()
            .take(length)
            .map(|one| {
                if one.is_ascii_alphanumeric() || "._-".contains(one) {
                    one
                } else {
                    '-'
                }
            })
            .collect()
    };
    let algorithm = cut(subject.algorithm().as_str(), 32);
    format!("{algorithm}-{}", cut(&subject.hex(), 64)).parse()
}

/// Reads the list of a subject. Returns `None` if there is no tag for it.
///
/// GitLab resolves the tag `sha256-HEX` to the digest `sha256:HEX` if the tag does not exist, so the manifest
/// that is returned may be the subject itself. It counts as an empty list, which a change replaces.
///
/// # Errors
/// [`ErrorKind::InvalidManifest`] if the tag names something else than an index.
pub(super) async fn read(client: &RepositoryClient, subject: &Digest) -> Result<Option<List>> {
    let tag = tag_of(subject)?;
    let fetched = match manifests::fetch(client, &TagOrDigest::Tag(tag.clone()), None).await {
        Ok(fetched) => fetched,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.with_subject(tag)),
    };
    if subject.matches(&fetched.content) {
        return Ok(Some(List {
            index: Index::new(Vec::new()),
            etag: fetched.etag,
        }));
    }
    let index = if *fetched.descriptor.media_type() == MediaType::IMAGE_INDEX {
        serde_json::from_slice::<Index>(&fetched.content).ok()
    } else {
        None
    };
    let index = index.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidManifest,
            format!(
                "the tag of referrers names something else than an image index: {}",
                fetched.descriptor.media_type()
            ),
        )
        .with_subject(tag)
        .with_hint("the tag is used for something else and is not changed")
    })?;
    Ok(Some(List {
        index,
        etag: fetched.etag,
    }))
}

/// Replaces the list of a subject. Returns `false` if the registry reports that another client has changed it.
pub(super) async fn write(
    client: &RepositoryClient,
    subject: &Digest,
    index: &Index,
    before: Option<&List>,
) -> Result<bool> {
    let content: Bytes = encode_json(index)?;
    let url = client.manifest_url(tag_of(subject)?)?;
    let mut request = Request::new(
        RequestKind::ManifestPut,
        Method::PUT,
        url,
        client.push_scope(),
    )
    .header(
        CONTENT_TYPE,
        HeaderValue::from_static("application/vnd.oci.image.index.v1+json"),
    )
    .payload(Payload::Bytes(content));
    match before {
        Some(List {
            etag: Some(etag), ..
        }) => request = request.header(IF_MATCH, etag.clone()),
        Some(List { etag: None, .. }) => {}
        None => request = request.header(IF_NONE_MATCH, HeaderValue::from_static("*")),
    }
    let response = client.transport().send(request).await?;
    match response.status() {
        StatusCode::PRECONDITION_FAILED => Ok(false),
        status if status.is_success() => Ok(true),
        _ => Err(response.into_error().await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_a_subject_is_cut_as_the_spec_says() {
        for algorithm in tranship::Algorithm::ALL {
            let digest = algorithm.digest(b"hello");
            let tag = tag_of(&digest).expect("a tag");
            assert_eq!(
                tag.as_str(),
                format!("{}-{}", algorithm.as_str(), &digest.hex()[..64])
            );
        }
    }
}
