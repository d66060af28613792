//! Reading, storing and deleting manifests and tags.

mod store;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, IF_NONE_MATCH, WARNING};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use tranship::{
    Algorithm, Descriptor, Digest, ManifestDocument, MediaType, Repository, RepositoryName, Tag,
    TagOrDigest, blocking,
};

use crate::conditions::{self, not_modified};
use crate::events::{self, Event, EventAction};
use crate::query::{Query, parse_digest};
use crate::request_body::RequestBody;
use crate::response::{HandlerResult, OCI_SUBJECT, OCI_TAG, created, describe, empty, value};
use crate::response_body::ResponseBody;
use crate::response_error::{ErrorCode, Resource, ResponseError};
use crate::state::ServerState;
use store::store;

/// The most tags that one request may set.
const MAX_TAGS: usize = 100;

/// GET and HEAD of a manifest. `Accept` is ignored: the stored manifest is the only representation, and any other one
/// would have another digest.
pub(crate) async fn read(
    state: &ServerState,
    name: &RepositoryName,
    reference: &str,
    request: &Parts,
) -> HandlerResult {
    let reference = parse_reference(reference)?;
    let failed = |error: tranship::Error| {
        let failure = ResponseError::from_backend(&error, Resource::Manifest);
        match stale_warning(state, name, &reference) {
            Some(warning) if error.is_not_found() => failure.with_header(WARNING, warning),
            _ => failure,
        }
    };
    let repository = state.repository(name).await?;
    let manifests = repository.manifests();
    let is_head = request.method == Method::HEAD;
    if is_head || request.headers.contains_key(IF_NONE_MATCH) {
        let manifest = manifests.resolve(&reference).await.map_err(failed)?;
        if let Some(response) = not_modified(&request.headers, manifest.digest()) {
            return Ok(response);
        }
        if is_head {
            return Ok(described(
                state,
                ResponseBody::empty(),
                name,
                &reference,
                &manifest,
            ));
        }
    }
    let content = manifests
        .fetch_reference(&reference)
        .await
        .map_err(failed)?;
    let manifest = content.descriptor().clone();
    let limit = state.options.max_manifest_size;
    let body = if manifest.size() > limit {
        // Stored when the limit was larger. It is not read into memory, so the client has to check it.
        ResponseBody::content(content, request)
    } else {
        ResponseBody::whole(content.bytes(limit).await.map_err(failed)?)
    };
    let mut response = described(state, body, name, &reference, &manifest);
    events::attach(state, &mut response, || {
        let pull = Event::new(EventAction::Pull, name.clone()).with_content(&manifest);
        vec![pull.with_tag(reference.tag())]
    });
    Ok(response)
}

fn described(
    state: &ServerState,
    body: ResponseBody,
    name: &RepositoryName,
    reference: &TagOrDigest,
    manifest: &Descriptor,
) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    describe(&mut response, manifest);
    if let Some(warning) = stale_warning(state, name, reference) {
        response.headers_mut().append(WARNING, warning);
    }
    response
}

/// Returns the warning that what a tag names may be out of date, if it may.
fn stale_warning(
    state: &ServerState,
    name: &RepositoryName,
    reference: &TagOrDigest,
) -> Option<HeaderValue> {
    let tag = reference.tag()?;
    state.stale_warning(|mirrors| mirrors.is_stale(name, tag))
}

/// PUT of a manifest by a tag, or by its digest. In the latter case the parameters may name tags.
pub(crate) async fn put(
    state: &ServerState,
    name: &RepositoryName,
    reference: &str,
    request: &Parts,
    body: &mut RequestBody,
) -> HandlerResult {
    let query = Query::of(&request.uri);
    let reference = parse_reference(reference)?;
    let tags = match &reference {
        TagOrDigest::Tag(tag) => vec![tag.clone()],
        TagOrDigest::Digest(_) => parse_tags(query)?,
    };
    let declared = declared_type(request)?;
    let limit = state.options.max_manifest_size;
    let content = body.collect("manifest", limit).await?;
    let media_type = match declared {
        Some(media_type) => media_type,
        None => ManifestDocument::sniff(&content).ok_or_else(|| {
            ResponseError::bad_request(
                ErrorCode::ManifestInvalid,
                "the Content-Type is missing, and the content does not show the media type",
            )
        })?,
    };
    let digest = match &reference {
        TagOrDigest::Digest(digest) => *digest,
        TagOrDigest::Tag(_) => match query.digest("digest")? {
            Some(digest) => digest,
            None => hash(query, &content).await?,
        },
    };
    let manifest = Descriptor::new(media_type, digest, content.len() as u64);
    let document = decode(&manifest, &content).await?;
    let repository = state.repository(name).await?;
    let changing = state.tag_locks.lock(name, &tags).await;
    check_conditions(&*repository, &reference, request).await?;
    let before = named_by(state, &*repository, &tags).await;
    store(state, &*repository, &manifest, content, &tags, &document).await?;
    drop(changing);

    let mut response = created(format!("/v2/{name}/manifests/{digest}"), &digest);
    if let Some(subject) = document.subject()
        && repository.capabilities().referrers.is_possible()
    {
        let subject = subject.digest().to_string();
        response.headers_mut().insert(OCI_SUBJECT, value(subject));
    }
    if reference.digest().is_some() && !tags.is_empty() {
        let list: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        response
            .headers_mut()
            .insert(OCI_TAG, value(list.join(", ")));
    }
    events::attach(state, &mut response, || {
        let is_by_tag = reference.digest().is_none();
        events::pushed(name, &manifest, &document, &tags, &before, is_by_tag)
    });
    Ok(response)
}

/// DELETE of a manifest by its digest, or of a tag.
pub(crate) async fn delete(
    state: &ServerState,
    name: &RepositoryName,
    reference: &str,
    request: &Parts,
) -> HandlerResult {
    let failed = |error| ResponseError::from_backend(&error, Resource::Manifest);
    let reference = parse_reference(reference)?;
    let repository = state.repository(name).await?;
    let event = match &reference {
        TagOrDigest::Tag(tag) => {
            let changing = state.tag_locks.lock(name, std::slice::from_ref(tag)).await;
            check_conditions(&*repository, &reference, request).await?;
            let before = named_by(state, &*repository, std::slice::from_ref(tag)).await;
            repository.untag(tag).await.map_err(failed)?;
            drop(changing);
            Event::new(EventAction::Untag, name.clone())
                .with_tag(Some(tag))
                .with_previous(before.first().copied().flatten())
        }
        TagOrDigest::Digest(_) => {
            let manifests = repository.manifests();
            let manifest = manifests.resolve(&reference).await.map_err(failed)?;
            manifests.delete(&manifest).await.map_err(failed)?;
            Event::new(EventAction::Delete, name.clone()).with_content(&manifest)
        }
    };
    let mut response = empty(StatusCode::ACCEPTED);
    events::attach(state, &mut response, || vec![event]);
    Ok(response)
}

/// Returns what each of `tags` names, for the audit log; nothing without one.
async fn named_by(
    state: &ServerState,
    repository: &dyn Repository,
    tags: &[Tag],
) -> Vec<Option<Digest>> {
    if state.options.audit.is_none() {
        return Vec::new();
    }
    let manifests = repository.manifests();
    let mut named = Vec::with_capacity(tags.len());
    for tag in tags {
        let found = manifests.resolve(&tag.clone().into()).await;
        named.push(found.ok().map(|manifest| *manifest.digest()));
    }
    named
}

/// Checks the conditions of the request against the manifest that `reference` names now.
async fn check_conditions(
    repository: &dyn Repository,
    reference: &TagOrDigest,
    request: &Parts,
) -> Result<(), ResponseError> {
    if !conditions::has_conditions(&request.headers) {
        return Ok(());
    }
    match repository.manifests().resolve(reference).await {
        Ok(current) => conditions::check(&request.headers, Some(current.digest())),
        Err(error) if error.is_not_found() => conditions::check(&request.headers, None),
        Err(error) => Err(ResponseError::from_backend(&error, Resource::Manifest)),
    }
}

fn parse_reference(text: &str) -> Result<TagOrDigest, ResponseError> {
    if text.contains(':') {
        return parse_digest(text).map(TagOrDigest::Digest);
    }
    parse_tag(text).map(TagOrDigest::Tag)
}

fn parse_tag(text: &str) -> Result<Tag, ResponseError> {
    text.parse().map_err(|error: tranship::Error| {
        ResponseError::bad_request(ErrorCode::ManifestInvalid, error.to_string())
    })
}

fn parse_tags(query: Query<'_>) -> Result<Vec<Tag>, ResponseError> {
    let mut tags = Vec::new();
    for text in query.all("tag") {
        if tags.len() == MAX_TAGS {
            return Err(ResponseError::new(
                StatusCode::URI_TOO_LONG,
                ErrorCode::Unsupported,
                format!("a request may set {MAX_TAGS} tags"),
            ));
        }
        let tag = parse_tag(&text)?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

/// Returns the media type in the request, without parameters.
fn declared_type(request: &Parts) -> Result<Option<MediaType>, ResponseError> {
    let invalid = || {
        ResponseError::bad_request(
            ErrorCode::ManifestInvalid,
            "the Content-Type is not a media type",
        )
    };
    let mut headers = request.headers.get_all(CONTENT_TYPE).iter();
    let Some(header) = headers.next() else {
        return Ok(None);
    };
    if headers.next().is_some() {
        return Err(invalid());
    }
    let text = header.to_str().map_err(|_| invalid())?;
    let text = text.split(';').next().unwrap_or_default().trim();
    // Upper and lower case are the same (RFC 9110, section 8.3.1).
    let media_type = MediaType::from_stored(&text.to_ascii_lowercase());
    if !media_type.is_manifest() {
        media_type.validate().map_err(|_| invalid())?;
        return Err(ResponseError::bad_request(
            ErrorCode::ManifestInvalid,
            format!("{media_type} is not the media type of a manifest"),
        ));
    }
    Ok(Some(media_type))
}

/// Returns the digest of a manifest that is pushed by tag, with the algorithm that the request names.
async fn hash(query: Query<'_>, content: &Bytes) -> Result<Digest, ResponseError> {
    let algorithm: Algorithm = match query.first("digest-algorithm") {
        Some(name) => name.parse().map_err(|error: tranship::Error| {
            ResponseError::bad_request(ErrorCode::DigestInvalid, error.to_string())
        })?,
        None => Algorithm::default(),
    };
    let content = content.clone();
    blocking::run_sized(content.len(), move || Ok(algorithm.digest(&content)))
        .await
        .map_err(|error| ResponseError::from_backend(&error, Resource::NewManifest))
}

/// Decodes a manifest.
async fn decode(manifest: &Descriptor, content: &Bytes) -> Result<ManifestDocument, ResponseError> {
    let (media_type, content) = (manifest.media_type().clone(), content.clone());
    let decode = move || ManifestDocument::decode(&media_type, &content);
    blocking::run_sized(manifest.size() as usize, decode)
        .await
        .map_err(|error| ResponseError::from_backend(&error, Resource::NewManifest))?
        .ok_or_else(|| {
            ResponseError::bad_request(ErrorCode::ManifestInvalid, "the content is not a manifest")
        })
}
