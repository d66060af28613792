//! Pushing blobs: sessions, chunks, whole blobs and mounts.

mod content_range;
mod expiry;
mod mount;
mod receive;

use std::time::Duration;

use http::header::{LOCATION, RANGE};
use http::request::Parts;
use http::{Response, StatusCode};
use tranship::{Algorithm, Descriptor, Digest, MediaType, Repository, RepositoryName};

use crate::access::Caller;
use crate::events::{self, Event, EventAction};
use crate::query::Query;
use crate::request_body::RequestBody;
use crate::response::{
    DOCKER_UPLOAD_UUID, HandlerResult, OCI_CHUNK_MIN_LENGTH, created, empty, value,
};
use crate::response_body::ResponseBody;
use crate::response_error::{ErrorCode, ResponseError};
use crate::state::ServerState;
use crate::upload_sessions::{Owner, Token, UploadSession};
use content_range::ContentRange;
pub(crate) use expiry::{expire, sweep};
use mount::Mount;
use receive::receive;

/// POST: a mount, a whole blob, or the start of an upload.
pub(crate) async fn start(
    state: &ServerState,
    name: &RepositoryName,
    request: &Parts,
    body: &mut RequestBody,
    caller: &Caller<'_>,
) -> HandlerResult {
    let query = Query::of(&request.uri);
    if let Some(algorithm) = query.first("digest-algorithm") {
        algorithm.parse::<Algorithm>().map_err(|error| {
            ResponseError::bad_request(ErrorCode::DigestInvalid, error.to_string())
        })?;
    }
    let repository = state.repository(name).await?;
    let owner = Owner::of(caller, request);
    if let Some(digest) = query.digest("mount")? {
        match mount::mount(state, &*repository, &digest, query, caller).await? {
            Mount::Absent => {}
            Mount::Present => return Ok(blob_created(name, &digest)),
            Mount::Mounted { from, blob } => {
                let mut response = blob_created(name, &digest);
                events::attach(state, &mut response, || {
                    let mount = Event::new(EventAction::Mount, name.clone());
                    vec![mount.with_content(&blob).with_from(from)]
                });
                return Ok(response);
            }
        }
    } else if let Some(digest) = query.digest("digest")? {
        let mut session = open(state, &*repository, owner).await?;
        return match receive(state, &mut session, body, None).await {
            Ok(()) => commit(state, name, session, digest).await,
            Err(failure) => {
                // The client does not have its id, so no request could continue it.
                cancel_incomplete(session).await;
                Err(failure)
            }
        };
    }
    let mut session = open(state, &*repository, owner).await?;
    session.pause().await;
    let mut response = located(StatusCode::ACCEPTED, name, &mut session);
    if let Some(size) = state.options.min_chunk_size {
        response
            .headers_mut()
            .insert(OCI_CHUNK_MIN_LENGTH, size.into());
    }
    Ok(response)
}

async fn open(
    state: &ServerState,
    repository: &dyn Repository,
    owner: Owner,
) -> Result<UploadSession, ResponseError> {
    expire(state).await;
    UploadSession::start(&state.sessions, repository, owner).await
}

/// PATCH: the next chunk.
pub(crate) async fn append(
    state: &ServerState,
    name: &RepositoryName,
    id: &str,
    request: &Parts,
    body: &mut RequestBody,
    caller: &Caller<'_>,
) -> HandlerResult {
    let range = ContentRange::of(request)?;
    let owner = Owner::of(caller, request);
    let mut session = acquire(state, name, id, owner).await?;
    let written = write(state, name, &mut session, body, range).await;
    if let Err(failure) = written {
        return Err(release(session, failure).await);
    }
    session.pause().await;
    Ok(located(StatusCode::ACCEPTED, name, &mut session))
}

/// PUT: an optional last chunk, and the commit.
pub(crate) async fn finish(
    state: &ServerState,
    name: &RepositoryName,
    id: &str,
    request: &Parts,
    body: &mut RequestBody,
    caller: &Caller<'_>,
) -> HandlerResult {
    let range = ContentRange::of(request)?;
    let owner = Owner::of(caller, request);
    let digest = Query::of(&request.uri).digest("digest")?.ok_or_else(|| {
        ResponseError::bad_request(ErrorCode::DigestInvalid, "the parameter digest is missing")
    })?;
    let mut session = acquire(state, name, id, owner).await?;
    let written = write(state, name, &mut session, body, range).await;
    if let Err(failure) = written {
        return Err(release(session, failure).await);
    }
    commit(state, name, session, digest).await
}

/// Leaves an upload to later requests after a `failure`, which is returned. An upload that exceeds a quota ends: it would
/// use up the quota until it expires.
async fn release(mut session: UploadSession, failure: ResponseError) -> ResponseError {
    if failure.status() == StatusCode::FORBIDDEN {
        cancel_incomplete(session).await;
    } else {
        session.pause().await;
    }
    failure
}

async fn cancel_incomplete(session: UploadSession) {
    if let Err(error) = session.cancel().await {
        tracing::warn!(?error, "an incomplete upload was not cancelled");
    }
}

/// How often, and at which interval, the status request checks whether an upload is in use.
const STATUS_CHECKS: u32 = 100;
const STATUS_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// GET: the offset of an upload.
pub(crate) async fn status(
    state: &ServerState,
    name: &RepositoryName,
    id: &str,
    request: &Parts,
    caller: &Caller<'_>,
) -> HandlerResult {
    let token = Token::parse(id)?;
    // Mostly a client asks whose last request broke, and received bytes of that request may still be written, so the
    // response would be out of date at once. A request that continues for longer is not waited for.
    for _ in 0..STATUS_CHECKS {
        if !state.sessions.is_in_use(name, &token) {
            break;
        }
        tokio::time::sleep(STATUS_CHECK_INTERVAL).await;
    }
    if let Some(offset) = state.sessions.offset(name, &token) {
        let mut response = empty(StatusCode::NO_CONTENT);
        locate(&mut response, name, &token, offset);
        return Ok(response);
    }
    let mut session = acquire(state, name, id, Owner::of(caller, request)).await?;
    session.pause().await;
    Ok(located(StatusCode::NO_CONTENT, name, &mut session))
}

/// DELETE: cancels an upload.
pub(crate) async fn cancel(
    state: &ServerState,
    name: &RepositoryName,
    id: &str,
    request: &Parts,
    caller: &Caller<'_>,
) -> HandlerResult {
    let session = acquire(state, name, id, Owner::of(caller, request)).await?;
    session.cancel().await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

async fn acquire(
    state: &ServerState,
    name: &RepositoryName,
    id: &str,
    owner: Owner,
) -> Result<UploadSession, ResponseError> {
    let token = Token::parse(id)?;
    let repository = state.repository(name).await?;
    UploadSession::acquire(&state.sessions, &*repository, token, owner).await
}

/// Writes a chunk, which must begin at the offset of the upload.
async fn write(
    state: &ServerState,
    name: &RepositoryName,
    session: &mut UploadSession,
    body: &mut RequestBody,
    range: Option<ContentRange>,
) -> Result<(), ResponseError> {
    if let Some(range) = range
        && range.first != session.offset()
    {
        let offset = session.offset();
        let failure = ResponseError::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            ErrorCode::BlobUploadInvalid,
            format!("the next byte has the offset {offset}, not {}", range.first),
        );
        return Err(failure
            .with_header(LOCATION, value(location(name, session.token_for_client())))
            .with_header(RANGE, value(received_range(offset))));
    }
    receive(state, session, body, range).await
}

async fn commit(
    state: &ServerState,
    name: &RepositoryName,
    session: UploadSession,
    digest: Digest,
) -> HandlerResult {
    let blob = Descriptor::new(MediaType::OCTET_STREAM, digest, session.offset());
    session.commit(&blob).await?;
    let mut response = blob_created(name, &digest);
    events::attach(state, &mut response, || {
        vec![Event::new(EventAction::Push, name.clone()).with_content(&blob)]
    });
    Ok(response)
}

fn blob_created(name: &RepositoryName, digest: &Digest) -> Response<ResponseBody> {
    created(format!("/v2/{name}/blobs/{digest}"), digest)
}

fn located(
    status: StatusCode,
    name: &RepositoryName,
    session: &mut UploadSession,
) -> Response<ResponseBody> {
    let mut response = empty(status);
    let offset = session.offset();
    locate(&mut response, name, session.token_for_client(), offset);
    response
}

fn locate(
    response: &mut Response<ResponseBody>,
    name: &RepositoryName,
    token: &Token,
    offset: u64,
) {
    let headers = response.headers_mut();
    headers.insert(LOCATION, value(location(name, token)));
    headers.insert(RANGE, value(received_range(offset)));
    headers.insert(DOCKER_UPLOAD_UUID, value(token.as_str()));
}

fn location(name: &RepositoryName, token: &Token) -> String {
    format!("/v2/{name}/blobs/uploads/{}", token.as_str())
}

/// Formats the range of received bytes as the spec requires: inclusive of the last one, so that no bytes and one byte
/// look the same.
fn received_range(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}
