//! Pushes blobs: by a mount, in one request, or in chunks.

use std::time::Duration;

use http::StatusCode;
use tranship::{
    Descriptor, Error, ErrorKind, Presence, PushOptions, PushOutcome, RepositoryName, Result,
    Source,
};

use super::lookup::presence;
use super::record::UploadRecord;
use super::session::{ChunkOutcome, MountFrom, StartedUpload, UploadSession};
use crate::options::UploadMode;
use crate::repository_client::RepositoryClient;
use crate::transport::retry::is_transient;
use crate::transport::{Payload, Response};

/// How many times an upload is continued without progress.
const MAX_STUCK: u32 = 3;

/// The smallest size in bytes to which chunks are reduced if the registry refuses larger ones.
pub(super) const SMALLEST_CHUNK: u64 = 1024 * 1024;

/// The hint for a limit that even the smallest chunk exceeds.
const IF_TOO_LARGE: &str =
    "a proxy before the registry may limit the size of requests, nginx by client_max_body_size";

pub(super) async fn push(
    client: &RepositoryClient,
    expected: &Descriptor,
    source: &Source<'_>,
    options: &PushOptions<'_>,
) -> Result<PushOutcome> {
    let found = match options.found {
        Some(found) => found,
        None => presence(client, expected).await?,
    };
    if found == Presence::Whole {
        if options.resumable
            && let Some((record, _)) = UploadRecord::find(client, expected).await
        {
            record.forget().await;
        }
        return Ok(PushOutcome::Present);
    }
    let may_continue = options.resumable
        && source.is_reopenable()
        && client.transport().options().upload != UploadMode::Monolithic;
    if may_continue && let Some(session) = continued(client, expected).await? {
        tracing::debug!(
            offset = session.offset(),
            "an upload of another process is continued"
        );
        match upload(client, expected, source, session).await {
            // The received bytes are not the start of this content, or the registry has discarded them.
            Err(error) if !error.is_retryable() => {
                tracing::debug!(%error, "an upload is started again");
            }
            outcome => return outcome,
        }
    }
    let started = match found {
        // A mount would give the same content with the wrong size.
        Presence::OtherSize => {
            let algorithm = Some(expected.digest().algorithm());
            UploadSession::start(client, algorithm, None).await?
        }
        _ => begin(client, expected).await?,
    };
    match started {
        StartedUpload::Mounted => Ok(PushOutcome::Mounted),
        StartedUpload::Session(mut session) => {
            if may_continue && let Some(record) = UploadRecord::begin(client, expected).await {
                session.record_in(record).await;
            }
            upload(client, expected, source, session).await
        }
    }
}

/// Returns the upload of an earlier push, if the registry still has it.
async fn continued(
    client: &RepositoryClient,
    expected: &Descriptor,
) -> Result<Option<UploadSession>> {
    let Some((record, url)) = UploadRecord::find(client, expected).await else {
        return Ok(None);
    };
    match UploadSession::resume(client, url).await {
        Ok(mut session) if session.offset() <= expected.size() => {
            session.record_in(record).await;
            Ok(Some(session))
        }
        Ok(session) => {
            // Whether cancelling succeeds does not matter, because the upload cannot be used.
            let _ = session.cancel().await;
            Ok(None)
        }
        // The record stays for the next push.
        Err(error) if error.is_retryable() => Err(error),
        Err(error) => {
            tracing::debug!(%error, "an upload of another process cannot be continued");
            Ok(None)
        }
    }
}

/// Returns whether an error means that the content does not match its descriptor.
fn is_wrong(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DigestMismatch | ErrorKind::SizeMismatch
    )
}

/// Starts an upload. The same request asks the registry to mount the blob from any repository that has it.
async fn begin(client: &RepositoryClient, expected: &Descriptor) -> Result<StartedUpload> {
    let algorithm = Some(expected.digest().algorithm());
    let anonymous = &client.learned().anonymous_mount;
    if !anonymous.is_no() {
        let mount = Some((expected.digest(), MountFrom::Anywhere));
        match UploadSession::start(client, algorithm, mount).await {
            Ok(started) => return Ok(started),
            Err(error) if is_refusal(&error) => anonymous.learn(false),
            Err(error) => return Err(error),
        }
    }
    UploadSession::start(client, algorithm, None).await
}

/// Returns whether the registry understood and refused the request, so that another method may succeed.
fn is_refusal(error: &Error) -> bool {
    !error.is_retryable()
        && matches!(
            error.kind(),
            ErrorKind::NotFound
                | ErrorKind::Unsupported
                | ErrorKind::Denied
                | ErrorKind::Unauthorized
                | ErrorKind::InvalidInput
                | ErrorKind::InvalidReference
                | ErrorKind::DigestMismatch
                | ErrorKind::Conflict
        )
}

pub(super) async fn mount(
    client: &RepositoryClient,
    target: &Descriptor,
    from: &RepositoryName,
    fallback: Option<&Source<'_>>,
) -> Result<PushOutcome> {
    let capability = &client.learned().mount;
    if !capability.is_no() || fallback.is_none() {
        let algorithm = Some(target.digest().algorithm());
        let mount = Some((target.digest(), MountFrom::Repository(from)));
        let started = UploadSession::start(client, algorithm, mount).await;
        if started.as_ref().is_err_and(Error::is_unsupported) {
            capability.learn(false);
        }
        match (started, fallback) {
            (Ok(StartedUpload::Mounted), _) => {
                capability.learn(true);
                return Ok(PushOutcome::Mounted);
            }
            // The registry declines. It may still have the blob in this repository.
            (Ok(StartedUpload::Session(session)), Some(source)) => {
                if presence(client, target).await? == Presence::Whole {
                    // Whether cancelling succeeds does not matter, because the blob is stored.
                    let _ = session.cancel().await;
                    return Ok(PushOutcome::Present);
                }
                return upload(client, target, source, session).await;
            }
            (Ok(StartedUpload::Session(session)), None) => {
                // Whether cancelling succeeds does not matter, because the blob is not mounted.
                let _ = session.cancel().await;
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!("the registry does not mount the blob from {from}"),
                ));
            }
            (Err(error), Some(_)) if is_refusal(&error) => {}
            (Err(error), _) => return Err(error),
        }
    }
    let source = fallback.ok_or_else(|| Error::unsupported("the registry does not mount"))?;
    push(client, target, source, &PushOptions::default()).await
}

/// Why an upload has stopped.
enum Stopped {
    /// It cannot be continued.
    Failed(Error),
    /// It can be continued from its offset, after the given pause.
    Interrupted(Error, Option<Duration>),
    /// The registry refuses this method of upload.
    Refused(Error),
    /// The registry, or a proxy before it, refuses a body of this many bytes.
    TooLarge(Error, u64),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        match error.is_retryable() {
            true => Self::Interrupted(error, None),
            false => Self::Failed(error),
        }
    }
}

async fn upload(
    client: &RepositoryClient,
    expected: &Descriptor,
    source: &Source<'_>,
    session: UploadSession,
) -> Result<PushOutcome> {
    let mode = client.transport().options().upload;
    let limit = &client.learned().body_limit;
    let mut in_chunks = session.offset() > 0
        || expected.size() > 0
            && match mode {
                UploadMode::Chunked => true,
                UploadMode::Auto => expected.size() > limit.get() && source.is_reopenable(),
                UploadMode::Monolithic => false,
            };
    let mut retries = client.transport().retries();
    let mut furthest = 0;
    let mut stuck = 0;
    let mut restarts = 0;
    let mut session = Some(session);
    let mut record = None;
    loop {
        let mut current = match session.take() {
            Some(session) => session,
            None => {
                (furthest, stuck) = (0, 0);
                restarts += 1;
                match begin(client, expected).await? {
                    StartedUpload::Mounted => return Ok(PushOutcome::Mounted),
                    StartedUpload::Session(mut session) => {
                        if let Some(record) = Option::take(&mut record) {
                            session.record_in(record).await;
                        }
                        session
                    }
                }
            }
        };
        let outcome = match in_chunks {
            true => send_chunks(client, &mut current, expected, source).await,
            false => send_whole(&mut current, expected, source).await,
        };
        let (error, asked) = match outcome {
            Ok(()) => return Ok(PushOutcome::Pushed),
            Err(Stopped::Failed(error)) => {
                // Whether cancelling succeeds does not matter, because the upload cannot be continued.
                if is_wrong(&error) && current.is_recorded() {
                    let _ = current.cancel().await;
                }
                return Err(error);
            }
            Err(Stopped::Refused(error)) => {
                if in_chunks
                    || mode != UploadMode::Auto
                    || expected.size() == 0
                    || !source.is_reopenable()
                {
                    return Err(error);
                }
                tracing::debug!(%error, "a blob is pushed in chunks instead of at once");
                in_chunks = true;
                record = current.take_record();
                continue;
            }
            Err(Stopped::TooLarge(error, length)) => {
                let least = SMALLEST_CHUNK.max(current.min_chunk());
                let is_least = in_chunks && length <= least;
                if is_least || mode == UploadMode::Monolithic || !source.is_reopenable() {
                    return Err(error.with_hint(IF_TOO_LARGE));
                }
                let smaller = match in_chunks {
                    true => (length / 2).max(least),
                    false => client.transport().options().chunk_size,
                };
                // The registry may accept a chunk of the size that it refused as one request.
                if smaller < length {
                    limit.lower_to(smaller);
                }
                tracing::debug!(%error, limit = limit.get(), "a blob is pushed in smaller pieces");
                in_chunks = true;
                // If a proxy has refused the request, the registry still has the upload.
                if is_open(&mut current, expected).await {
                    session = Some(current);
                } else {
                    record = current.take_record();
                }
                continue;
            }
            Err(Stopped::Interrupted(error, asked)) => (error, asked),
        };
        // Only the response may have been lost.
        let presence = presence(client, expected).await;
        if presence.is_ok_and(|presence| presence == Presence::Whole) {
            current.end().await;
            return Ok(PushOutcome::Pushed);
        }
        let is_hopeless = restarts > client.transport().options().retry.max_retries;
        if is_hopeless || !source.is_reopenable() || !retries.pause(asked).await {
            return Err(error);
        }
        tracing::debug!(%error, "an upload is continued");
        // A registry that asks to wait is not stuck.
        if asked.is_none() {
            stuck += 1;
        }
        // If the registry does not know the upload, or still waits for a request that is dead, we start a new upload. Such a
        // registry refuses other requests, but may close the connection before we have read the response.
        if mode != UploadMode::Monolithic
            && stuck < MAX_STUCK
            && is_open(&mut current, expected).await
        {
            if current.offset() > furthest {
                (furthest, stuck) = (current.offset(), 0);
                retries.reset();
            }
            in_chunks |= current.offset() > 0;
            session = Some(current);
        } else {
            record = current.take_record();
        }
    }
}

/// Returns whether the registry still has an upload that can be completed to `expected`.
async fn is_open(session: &mut UploadSession, expected: &Descriptor) -> bool {
    session.refresh().await.is_ok() && session.offset() <= expected.size()
}

/// Sends the whole content with the request that ends the upload.
async fn send_whole(
    session: &mut UploadSession,
    expected: &Descriptor,
    source: &Source<'_>,
) -> Result<(), Stopped> {
    let total = expected.size();
    let payload = Payload::Source {
        source,
        range: 0..total,
        total,
    };
    finish(session, expected, payload).await
}

/// Sends the missing bytes in chunks, and ends the upload.
async fn send_chunks(
    client: &RepositoryClient,
    session: &mut UploadSession,
    expected: &Descriptor,
    source: &Source<'_>,
) -> Result<(), Stopped> {
    let total = expected.size();
    let limit = client.learned().body_limit.get();
    let wanted = client.transport().options().chunk_size.min(limit).max(1);
    let mut displaced = 0;
    while session.offset() < total {
        let start = session.offset();
        let length = match source.is_reopenable() {
            true => wanted.max(session.min_chunk()).min(total - start),
            // The source can be opened only once, so all of it is one chunk.
            false => total - start,
        };
        let range = start..start + length;
        let payload = Payload::Source {
            source,
            range: range.clone(),
            total,
        };
        match session.send_chunk(range, payload).await? {
            ChunkOutcome::Accepted if session.offset() > start => displaced = 0,
            ChunkOutcome::Accepted | ChunkOutcome::OffsetDiffers
                if displaced < 3 && session.offset() <= total =>
            {
                displaced += 1;
            }
            ChunkOutcome::Accepted | ChunkOutcome::OffsetDiffers => {
                return Err(Stopped::Failed(crate::transport::failure::protocol(
                    format!("the registry does not take the bytes of the upload from {start} on"),
                )));
            }
            ChunkOutcome::Refused(response) => return Err(stopped(*response, length).await),
        }
    }
    finish(session, expected, Payload::Empty).await
}

async fn finish(
    session: &mut UploadSession,
    expected: &Descriptor,
    payload: Payload<'_>,
) -> Result<(), Stopped> {
    let length = payload.len();
    match session.finish(expected.digest(), payload, None).await? {
        None => Ok(()),
        Some(response) => Err(stopped(response, length).await),
    }
}

/// Returns why an upload has stopped after the response to a request with a body of `length` bytes.
async fn stopped(response: Response, length: u64) -> Stopped {
    let status = response.status();
    let asked = response.retry_after();
    let error = response.into_error().await;
    match status {
        // The registry may still be handling the interrupted request.
        status if is_transient(status) || status == StatusCode::CONFLICT => {
            Stopped::Interrupted(error, asked)
        }
        StatusCode::PAYLOAD_TOO_LARGE => Stopped::TooLarge(error, length),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::LENGTH_REQUIRED => {
            Stopped::Refused(error)
        }
        _ => Stopped::Failed(error),
    }
}
