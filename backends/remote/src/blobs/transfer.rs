//! Sends the content of a blob to an upload, in one request or in chunks, until the upload is complete.

use std::time::Duration;

use http::StatusCode;
use tranship::{Descriptor, Error, ErrorKind, Presence, PushOutcome, Result, Source};

use super::lookup::presence;
use super::session::{ChunkOutcome, StartedUpload, UploadSession};
use super::start::begin;
use crate::options::UploadMode;
use crate::repository_client::RepositoryClient;
use crate::transport::retry::is_transient;
use crate::transport::{Payload, Response, failure};

/// How many times an upload is continued without progress.
const MAX_STUCK: u32 = 3;

/// The smallest size in bytes to which chunks are reduced if the registry refuses larger ones.
pub(super) const SMALLEST_CHUNK: u64 = 1024 * 1024;

/// The hint for a limit that even the smallest chunk exceeds.
const IF_TOO_LARGE: &str =
    "a proxy before the registry may limit the size of requests, nginx by client_max_body_size";

/// Returns whether an error means that the content does not match its descriptor.
fn is_wrong(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DigestMismatch | ErrorKind::SizeMismatch
    )
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
        if error.is_retryable() {
            Self::Interrupted(error, None)
        } else {
            Self::Failed(error)
        }
    }
}

pub(super) async fn upload(
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
        let outcome = if in_chunks {
            send_chunks(client, &mut current, expected, source).await
        } else {
            send_whole(&mut current, expected, source).await
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
                let smaller = if in_chunks {
                    (length / 2).max(least)
                } else {
                    client.transport().options().chunk_size
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
        let length = if source.is_reopenable() {
            wanted.max(session.min_chunk()).min(total - start)
        } else {
            // The source can be opened only once, so all of it is one chunk.
            total - start
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
                return Err(Stopped::Failed(failure::protocol(format!(
                    "the registry does not take the bytes of the upload from {start} on"
                ))));
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
