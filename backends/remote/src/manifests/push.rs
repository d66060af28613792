//! Pushes a manifest with its tags.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tranship::{
    Algorithm, Descriptor, Digest, Error, ErrorKind, ManifestDocument, PushOutcome, Result, Tag,
    TagOrDigest,
};

use crate::handle::Handle;
use crate::transport::{Payload, Request, RequestKind, Response};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// How many tags one request sets. Registries need not take more.
const TAGS_AT_ONCE: usize = 10;

const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

/// A manifest that has been pushed.
pub(crate) struct PushedManifest {
    pub(crate) outcome: PushOutcome,
    /// The subject whose list of referrers the registry does not maintain, and the descriptor to add to that list.
    pub(crate) unlisted: Option<(Digest, Descriptor)>,
}

/// Pushes `content` and sets its tags. Returns the subject and the descriptor for its list of referrers if the registry
/// does not maintain that list.
///
/// # Errors
/// `InvalidManifest` if the content is not a manifest of the expected type, and those of the requests.
pub(super) async fn push(
    handle: &Handle,
    expected: &Descriptor,
    content: &Bytes,
    tags: &[Tag],
) -> Result<Option<(Digest, Descriptor)>> {
    // A registry may accept a manifest that other clients cannot decode, so we decode it first.
    let document = ManifestDocument::decode(expected.media_type(), content)?;
    let takes_subject = match tags {
        [] => {
            put_digest(handle, expected, content, &[])
                .await?
                .knows_subject
        }
        [tag] if is_default(expected) => put(handle, expected, content, tag).await?.knows_subject,
        tags => put_tags(handle, expected, content, tags).await?,
    };
    let Some(document) = document else {
        return Ok(None);
    };
    let Some(subject) = document.subject() else {
        return Ok(None);
    };
    let referrers = &handle.learned().referrers;
    if takes_subject {
        referrers.learn(true);
    }
    if referrers.is_yes() {
        return Ok(None);
    }
    let referrer = tranship::describe_referrer(expected, &document);
    Ok(Some((*subject.digest(), referrer)))
}

/// Whether registries choose the digest by which the manifest is named when it is pushed by a tag.
fn is_default(manifest: &Descriptor) -> bool {
    manifest.digest().algorithm() == Algorithm::Sha256
}

/// Points a tag at a manifest that is there.
pub(super) async fn put_tag(
    handle: &Handle,
    target: &Descriptor,
    content: &Bytes,
    tag: &Tag,
) -> Result<()> {
    if is_default(target) {
        return put(handle, target, content, tag).await.map(drop);
    }
    put_tags(handle, target, content, std::slice::from_ref(tag))
        .await
        .map(drop)
}

/// Sets several tags: with one request where the registry knows how, and otherwise with one each.
/// Answers whether the registry takes care of the subject.
async fn put_tags(
    handle: &Handle,
    expected: &Descriptor,
    content: &Bytes,
    tags: &[Tag],
) -> Result<bool> {
    let capability = &handle.learned().tag_parameters;
    let mut knows_subject = false;
    let mut missing: Vec<&Tag> = tags.iter().collect();
    for tags in tags.chunks(TAGS_AT_ONCE) {
        if capability.is_no() && is_default(expected) {
            break;
        }
        let put = put_digest(handle, expected, content, tags).await?;
        knows_subject |= put.knows_subject;
        missing.retain(|tag| !put.tags.iter().any(|set| set == tag.as_str()));
        capability.learn(tags.iter().all(|tag| !missing.contains(&tag)));
    }
    for tag in missing {
        knows_subject |= put(handle, expected, content, tag).await?.knows_subject;
    }
    Ok(knows_subject)
}

struct Put {
    knows_subject: bool,
    /// The tags that the registry has set.
    tags: Vec<String>,
}

async fn put_digest(
    handle: &Handle,
    expected: &Descriptor,
    content: &Bytes,
    tags: &[Tag],
) -> Result<Put> {
    let mut url = handle.manifest_url(expected.digest())?;
    if !tags.is_empty() {
        let tags = tags.iter().map(|tag| ("tag", tag.as_str()));
        url.query_pairs_mut().extend_pairs(tags);
    }
    send(handle, url, expected, content).await
}

async fn put(handle: &Handle, expected: &Descriptor, content: &Bytes, tag: &Tag) -> Result<Put> {
    let url = handle.manifest_url(TagOrDigest::Tag(tag.clone()))?;
    send(handle, url, expected, content).await
}

async fn send(
    handle: &Handle,
    url: url::Url,
    expected: &Descriptor,
    content: &Bytes,
) -> Result<Put> {
    let media_type = HeaderValue::try_from(expected.media_type().as_str())
        .map_err(|_| Error::new(ErrorKind::InvalidMediaType, "the media type cannot be sent"))?;
    let request = Request::new(
        RequestKind::ManifestPut,
        Method::PUT,
        url,
        handle.push_scope(),
    )
    .header(CONTENT_TYPE, media_type)
    .payload(Payload::Bytes(content.clone()));
    let response = handle.transport().send(request).await?;
    match response.status() {
        StatusCode::CREATED | StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => {}
        status => {
            let error = response.into_error().await;
            return Err(missing_content(status, error));
        }
    }
    check_name(&response, expected)?;
    let tags = response.headers().get_all(OCI_TAG).iter();
    let tags = tags.filter_map(|value| value.to_str().ok());
    let tags = tags
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().to_owned());
    Ok(Put {
        knows_subject: response
            .headers()
            .get(OCI_SUBJECT)
            .is_some_and(|value| !value.is_empty()),
        tags: tags.collect(),
    })
}

/// That the registry has not named the manifest by another algorithm, under which nobody looks.
fn check_name(response: &Response, expected: &Descriptor) -> Result<()> {
    let Some(named) = response.digest()? else {
        return Ok(());
    };
    let algorithm = expected.digest().algorithm();
    if named.algorithm() != algorithm {
        return Err(Error::unsupported(format!(
            "the registry does not name manifests by {algorithm}"
        )));
    }
    response.check_digest(expected.digest())
}

/// A refusal because of something that the manifest refers to has a kind of its own.
fn missing_content(status: StatusCode, error: Error) -> Error {
    let names_content = error
        .registry_errors()
        .iter()
        .any(|entry| matches!(entry.code.as_str(), "BLOB_UNKNOWN" | "MANIFEST_UNKNOWN"));
    if !names_content || !status.is_client_error() {
        return error;
    }
    Error::new(
        ErrorKind::ManifestBlobUnknown,
        "something that the manifest refers to is missing",
    )
    .with_http_exchange_of(&error)
    .with_source(error)
}
