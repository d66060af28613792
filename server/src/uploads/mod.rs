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
use crate::failure::{Code, Failure};
use crate::query::Query;
use crate::request_body::RequestBody;
use crate::response::{Answer, DOCKER_UPLOAD_UUID, OCI_CHUNK_MIN_LENGTH, created, empty, value};
use crate::response_body::ResponseBody;
use crate::state::ServerState;
use crate::upload_sessions::{Owner, Token, UploadSession};
use content_range::ContentRange;
pub(crate) use expiry::{expire, sweep};
use receive::receive;

/// POST: a mount, a whole blob, or the start of an upload.
pub(crate) async fn start(
    state: &ServerState,
    name: &RepositoryName,
    request: &Parts,
    body: &mut RequestBody,
    caller: &Caller<'_>,
) -> Answer {
    let query = Query::of(&request.uri);
    if let Some(algorithm) = query.first("digest-algorithm") {
        algorithm
            .parse::<Algorithm>()
            .map_err(|error| Failure::bad_request(Code::DigestInvalid, error.to_string()))?;
    }
    let repository = state.repository(name).await?;
    let owner = Owner::of(caller, request);
    if let Some(digest) = query.digest("mount")? {
        if mount::mount(state, &*repository, &digest, query, caller).await? {
            return Ok(blob_created(name, &digest));
        }
    } else if let Some(digest) = query.digest("digest")? {
        let mut session = open(state, &*repository, owner).await?;
        return match receive(state, &mut session, body, None).await {
            Ok(()) => commit(name, session, digest).await,
            Err(failure) => {
                // Its id was never told, so nobody could go on.
                if let Err(error) = session.cancel().await {
                    tracing::warn!(?error, "an upload that broke off was not cancelled");
                }
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
) -> Result<UploadSession, Failure> {
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
) -> Answer {
    let range = ContentRange::of(request)?;
    let owner = Owner::of(caller, request);
    let mut session = take(state, name, id, owner).await?;
    let written = write(state, name, &mut session, body, range).await;
    session.pause().await;
    written?;
    Ok(located(StatusCode::ACCEPTED, name, &mut session))
}

/// PUT: perhaps a last chunk, and then the end.
pub(crate) async fn finish(
    state: &ServerState,
    name: &RepositoryName,
    id: &str,
    request: &Parts,
    body: &mut RequestBody,
    caller: &Caller<'_>,
) -> Answer {
    let range = ContentRange::of(request)?;
    let owner = Owner::of(caller, request);
    let digest = Query::of(&request.uri).digest("digest")?.ok_or_else(|| {
        Failure::bad_request(Code::DigestInvalid, "the parameter digest is missing")
    })?;
    let mut session = take(state, name, id, owner).await?;
    let written = write(state, name, &mut session, body, range).await;
    if written.is_err() {
        session.pause().await;
    }
    written?;
    commit(name, session, digest).await
}

/// How often, and how far apart, it is looked whether an upload is still being written to.
const LOOKS: u32 = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// GET: how far an upload is.
pub(crate) async fn status(
    state: &ServerState,
    name: &RepositoryName,
    id: &str,
    request: &Parts,
    caller: &Caller<'_>,
) -> Answer {
    let token = Token::parse(id)?;
    // Who asks is mostly one whose request broke, and what had arrived of that may still be on its way
    // to the store: the answer would be out of date at once. A request that goes on is not waited for.
    for _ in 0..LOOKS {
        if !state.sessions.is_in_use(name, &token) {
            break;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    if let Some(offset) = state.sessions.offset(name, &token) {
        let mut response = empty(StatusCode::NO_CONTENT);
        locate(&mut response, name, &token, offset);
        return Ok(response);
    }
    let mut session = take(state, name, id, Owner::of(caller, request)).await?;
    session.pause().await;
    Ok(located(StatusCode::NO_CONTENT, name, &mut session))
}

/// DELETE: the end of an upload that will not be finished.
pub(crate) async fn cancel(
    state: &ServerState,
    name: &RepositoryName,
    id: &str,
    request: &Parts,
    caller: &Caller<'_>,
) -> Answer {
    let session = take(state, name, id, Owner::of(caller, request)).await?;
    session.cancel().await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

async fn take(
    state: &ServerState,
    name: &RepositoryName,
    id: &str,
    owner: Owner,
) -> Result<UploadSession, Failure> {
    let token = Token::parse(id)?;
    let repository = state.repository(name).await?;
    UploadSession::acquire(&state.sessions, &*repository, token, owner).await
}

/// Writes a chunk that must begin where the upload is.
async fn write(
    state: &ServerState,
    name: &RepositoryName,
    session: &mut UploadSession,
    body: &mut RequestBody,
    range: Option<ContentRange>,
) -> Result<(), Failure> {
    if let Some(range) = range
        && range.first != session.offset()
    {
        let offset = session.offset();
        let failure = Failure::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            Code::BlobUploadInvalid,
            format!("the next byte is number {offset}, not {}", range.first),
        );
        return Err(failure
            .with_header(LOCATION, value(location(name, session.token_for_client())))
            .with_header(RANGE, value(arrived(offset))));
    }
    receive(state, session, body, range).await
}

async fn commit(name: &RepositoryName, session: UploadSession, digest: Digest) -> Answer {
    let blob = Descriptor::new(MediaType::OCTET_STREAM, digest, session.offset());
    session.commit(&blob).await?;
    Ok(blob_created(name, &digest))
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
    headers.insert(RANGE, value(arrived(offset)));
    headers.insert(DOCKER_UPLOAD_UUID, value(token.as_str()));
}

fn location(name: &RepositoryName, token: &Token) -> String {
    format!("/v2/{name}/blobs/uploads/{}", token.as_str())
}

/// The bytes that have arrived, as the spec writes them: the last one included, so that none and one
/// look the same.
fn arrived(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}
