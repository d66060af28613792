//! The tag that stands in for the referrers API, and the index behind it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderValue, Method, StatusCode};
use tranship::{Digest, Error, ErrorKind, Index, MediaType, Result, Tag, TagOrDigest, encode_json};

use crate::handle::Handle;
use crate::manifests;
use crate::transport::{Payload, Request, RequestKind};

/// The list behind a tag, and what a change of it can be made conditional on.
pub(super) struct List {
    pub(super) index: Index,
    pub(super) etag: Option<HeaderValue>,
}

/// The tag for a subject: algorithm and digest, cut to 32 and 64 characters, and whatever a tag may
/// not hold replaced.
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

/// Reads the list of a subject; `None` if there is no tag for it.
///
/// GitLab resolves the tag `sha256-HEX` to the digest `sha256:HEX` if the tag does not exist, so the manifest
/// that is returned may be the subject itself. It counts as an empty list, which a change replaces.
///
/// # Errors
/// [`ErrorKind::InvalidManifest`] if the tag names something else than an index.
pub(super) async fn read(handle: &Handle, subject: &Digest) -> Result<Option<List>> {
    let tag = tag_of(subject)?;
    let fetched = match manifests::fetch(handle, &TagOrDigest::Tag(tag.clone()), None).await {
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
    let index = match *fetched.descriptor.media_type() == MediaType::IMAGE_INDEX {
        true => serde_json::from_slice::<Index>(&fetched.content).ok(),
        false => None,
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
        .with_hint("somebody uses the tag for something else; it is left alone")
    })?;
    Ok(Some(List {
        index,
        etag: fetched.etag,
    }))
}

/// Replaces the list of a subject; `false` if somebody else was faster, as far as the registry
/// notices.
pub(super) async fn write(
    handle: &Handle,
    subject: &Digest,
    index: &Index,
    before: Option<&List>,
) -> Result<bool> {
    let content: Bytes = encode_json(index)?;
    let url = handle.manifest_url(tag_of(subject)?)?;
    let mut request = Request::new(
        RequestKind::ManifestPut,
        Method::PUT,
        url,
        handle.push_scope(),
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
    let response = handle.transport().send(request).await?;
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
