//! Pushes a manifest with its tags.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tranship::{
    Algorithm, Descriptor, Digest, Error, ErrorKind, ManifestDocument, PushOutcome, Result, Tag,
    TagOrDigest,
};

use crate::repository_client::RepositoryClient;
use crate::transport::{Payload, Request, RequestKind, Response};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// How many tags one request sets. Registries need not accept more.
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
    client: &RepositoryClient,
    expected: &Descriptor,
    content: &Bytes,
    tags: &[Tag],
) -> Result<Option<(Digest, Descriptor)>> {
    // A registry may accept a manifest that other clients cannot decode, so we decode it first.
    let document = ManifestDocument::decode(expected.media_type(), content)?;
    let takes_subject = match tags {
        [] => {
            put_digest(client, expected, content, &[])
                .await?
                .knows_subject
        }
        [tag] if is_default(expected) => put(client, expected, content, tag).await?.knows_subject,
        tags => put_tags(client, expected, content, tags).await?,
    };
    let Some(document) = document else {
        return Ok(None);
    };
    let Some(subject) = document.subject() else {
        return Ok(None);
    };
    let referrers = &client.learned().referrers;
    if takes_subject {
        referrers.learn(true);
    }
    if referrers.is_yes() {
        return Ok(None);
    }
    let referrer = tranship::describe_referrer(expected, &document);
    Ok(Some((*subject.digest(), referrer)))
}

/// Returns whether the manifest has the digest that registries choose when it is pushed by a tag.
fn is_default(manifest: &Descriptor) -> bool {
    manifest.digest().algorithm() == Algorithm::Sha256
}

/// Points a tag at a stored manifest.
pub(super) async fn put_tag(
    client: &RepositoryClient,
    target: &Descriptor,
    content: &Bytes,
    tag: &Tag,
) -> Result<()> {
    if is_default(target) {
        return put(client, target, content, tag).await.map(drop);
    }
    put_tags(client, target, content, std::slice::from_ref(tag))
        .await
        .map(drop)
}

/// Sets several tags: with one request where the registry supports that, and otherwise with one request for each. Returns
/// whether the registry maintains the list of the subject.
async fn put_tags(
    client: &RepositoryClient,
    expected: &Descriptor,
    content: &Bytes,
    tags: &[Tag],
) -> Result<bool> {
    let capability = &client.learned().tag_parameters;
    let mut knows_subject = false;
    let mut missing: Vec<&Tag> = tags.iter().collect();
    for tags in tags.chunks(TAGS_AT_ONCE) {
        if capability.is_no() && is_default(expected) {
            break;
        }
        let put = put_digest(client, expected, content, tags).await?;
        knows_subject |= put.knows_subject;
        missing.retain(|tag| !put.tags.iter().any(|set| set == tag.as_str()));
        capability.learn(tags.iter().all(|tag| !missing.contains(&tag)));
    }
    for tag in missing {
        knows_subject |= put(client, expected, content, tag).await?.knows_subject;
    }
    Ok(knows_subject)
}

struct Put {
    knows_subject: bool,
    /// The tags that the registry has set.
    tags: Vec<String>,
}

async fn put_digest(
    client: &RepositoryClient,
    expected: &Descriptor,
    content: &Bytes,
    tags: &[Tag],
) -> Result<Put> {
    let mut url = client.manifest_url(expected.digest())?;
    if !tags.is_empty() {
        let tags = tags.iter().map(|tag| ("tag", tag.as_str()));
        url.query_pairs_mut().extend_pairs(tags);
    }
    send(client, url, expected, content).await
}

async fn put(
    client: &RepositoryClient,
    expected: &Descriptor,
    content: &Bytes,
    tag: &Tag,
) -> Result<Put> {
    let url = client.manifest_url(TagOrDigest::Tag(tag.clone()))?;
    send(client, url, expected, content).await
}

async fn send(
    client: &RepositoryClient,
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
        client.push_scope(),
    )
    .header(CONTENT_TYPE, media_type)
    .payload(Payload::Bytes(content.clone()));
    let response = client.transport().send(request).await?;
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

/// Checks that the registry does not name the manifest by a digest of another algorithm.
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

/// Replaces the error for content that the manifest refers to and the registry does not have.
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
