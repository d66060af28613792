//! Pushing a blob: by a mount, in one request, in chunks; whichever gets there.

use std::time::Duration;

use http::StatusCode;
use tranship::{
    Descriptor, Error, ErrorKind, Presence, PushOptions, PushOutcome, RepositoryName, Result,
    Source,
};

use super::lookup::presence;
use super::record::Record;
use super::session::{MountFrom, Sent, Session, Started};
use crate::handle::Handle;
use crate::options::UploadMode;
use crate::transport::retry::is_transient;
use crate::transport::{Payload, Response};

/// How often an upload may be continued that does not get ahead.
const MAX_STUCK: u32 = 3;

/// Chunks are not made smaller than that because a registry refuses larger ones, in bytes.
pub(super) const SMALLEST_CHUNK: u64 = 1024 * 1024;

/// What helps against a limit that no chunk keeps.
const IF_TOO_LARGE: &str =
    "a proxy before the registry may limit the size of requests, nginx by client_max_body_size";

pub(super) async fn push(
    handle: &Handle,
    expected: &Descriptor,
    source: &Source<'_>,
    options: &PushOptions<'_>,
) -> Result<PushOutcome> {
    let found = match options.found {
        Some(found) => found,
        None => presence(handle, expected).await?,
    };
    if found == Presence::Whole {
        if options.resumable
            && let Some((record, _)) = Record::find(handle, expected).await
        {
            record.forget().await;
        }
        return Ok(PushOutcome::Present);
    }
    let may_continue = options.resumable
        && source.is_reopenable()
        && handle.transport().options().upload != UploadMode::Monolithic;
    if may_continue && let Some(session) = continued(handle, expected).await? {
        tracing::debug!(
            offset = session.offset(),
            "an upload of another process is continued"
        );
        match upload(handle, expected, source, session).await {
            // The bytes that arrived are not the beginning of this content, or the registry has forgotten them.
            Err(error) if !error.is_retryable() => {
                tracing::debug!(%error, "an upload is begun anew");
            }
            outcome => return outcome,
        }
    }
    let started = match found {
        // A mount would bring the same content of the wrong size.
        Presence::OtherSize => {
            let algorithm = Some(expected.digest().algorithm());
            Session::start(handle, algorithm, None).await?
        }
        _ => begin(handle, expected).await?,
    };
    match started {
        Started::Mounted => Ok(PushOutcome::Mounted),
        Started::Session(mut session) => {
            if may_continue && let Some(record) = Record::begin(handle, expected).await {
                session.record_in(record).await;
            }
            upload(handle, expected, source, session).await
        }
    }
}

/// The upload that an earlier push has left, if the registry still knows it.
async fn continued(handle: &Handle, expected: &Descriptor) -> Result<Option<Session>> {
    let Some((record, url)) = Record::find(handle, expected).await else {
        return Ok(None);
    };
    match Session::resume(handle, url).await {
        Ok(mut session) if session.offset() <= expected.size() => {
            session.record_in(record).await;
            Ok(Some(session))
        }
        Ok(session) => {
            // It is of no use, whether the registry can forget it or not.
            let _ = session.cancel().await;
            Ok(None)
        }
        // The next push finds it again.
        Err(error) if error.is_retryable() => Err(error),
        Err(error) => {
            tracing::debug!(%error, "an upload of another process cannot be continued");
            Ok(None)
        }
    }
}

/// Whether an error says that the content is not what it should be.
fn is_wrong(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DigestMismatch | ErrorKind::SizeMismatch
    )
}

/// Begins an upload. On the way the registry is asked whether it has the blob elsewhere, which
/// costs no request of its own.
async fn begin(handle: &Handle, expected: &Descriptor) -> Result<Started> {
    let algorithm = Some(expected.digest().algorithm());
    let anonymous = &handle.learned().anonymous_mount;
    if !anonymous.is_no() {
        let mount = Some((expected.digest(), MountFrom::Anywhere));
        match Session::start(handle, algorithm, mount).await {
            Ok(started) => return Ok(started),
            Err(error) if is_refusal(&error) => anonymous.learn(false),
            Err(error) => return Err(error),
        }
    }
    Session::start(handle, algorithm, None).await
}

/// Whether the registry understood and would not, so that another way may be open.
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
    handle: &Handle,
    target: &Descriptor,
    from: &RepositoryName,
    fallback: Option<&Source<'_>>,
) -> Result<PushOutcome> {
    let capability = &handle.learned().mount;
    if !capability.is_no() || fallback.is_none() {
        let algorithm = Some(target.digest().algorithm());
        let mount = Some((target.digest(), MountFrom::Repository(from)));
        let started = Session::start(handle, algorithm, mount).await;
        if started.as_ref().is_err_and(Error::is_unsupported) {
            capability.learn(false);
        }
        match (started, fallback) {
            (Ok(Started::Mounted), _) => {
                capability.learn(true);
                return Ok(PushOutcome::Mounted);
            }
            // The registry declines. It may have the blob in this repository all the same.
            (Ok(Started::Session(session)), Some(source)) => {
                if presence(handle, target).await? == Presence::Whole {
                    // Whether the registry can forget the upload or not, the blob is stored.
                    let _ = session.cancel().await;
                    return Ok(PushOutcome::Present);
                }
                return upload(handle, target, source, session).await;
            }
            (Ok(Started::Session(session)), None) => {
                // Whether the registry can forget the upload or not, it has not mounted.
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
    push(handle, target, source, &PushOptions::default()).await
}

/// Why an upload did not get to its end.
enum Stopped {
    /// It cannot.
    Failed(Error),
    /// It may, from where it is.
    Interrupted(Error, Option<Duration>),
    /// The registry does not take it in this way.
    Refused(Error),
    /// The registry, or a proxy before it, does not take bodies of so many bytes.
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
    handle: &Handle,
    expected: &Descriptor,
    source: &Source<'_>,
    session: Session,
) -> Result<PushOutcome> {
    let mode = handle.transport().options().upload;
    let limit = &handle.learned().body_limit;
    let mut in_chunks = session.offset() > 0
        || expected.size() > 0
            && match mode {
                UploadMode::Chunked => true,
                UploadMode::Auto => expected.size() > limit.get() && source.is_reopenable(),
                UploadMode::Monolithic => false,
            };
    let mut retries = handle.transport().retries();
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
                match begin(handle, expected).await? {
                    Started::Mounted => return Ok(PushOutcome::Mounted),
                    Started::Session(mut session) => {
                        if let Some(record) = Option::take(&mut record) {
                            session.record_in(record).await;
                        }
                        session
                    }
                }
            }
        };
        let outcome = match in_chunks {
            true => send_chunks(handle, &mut current, expected, source).await,
            false => send_whole(&mut current, expected, source).await,
        };
        let (error, asked) = match outcome {
            Ok(()) => return Ok(PushOutcome::Pushed),
            Err(Stopped::Failed(error)) => {
                // It cannot be continued, whether the registry can forget it or not.
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
                    false => handle.transport().options().chunk_size,
                };
                // The registry may accept a chunk of the size that it refused as one request.
                if smaller < length {
                    limit.lower_to(smaller);
                }
                tracing::debug!(%error, limit = limit.get(), "a blob is pushed in smaller pieces");
                in_chunks = true;
                // A proxy may have refused it; the registry still has the upload then.
                if is_open(&mut current, expected).await {
                    session = Some(current);
                } else {
                    record = current.take_record();
                }
                continue;
            }
            Err(Stopped::Interrupted(error, asked)) => (error, asked),
        };
        // Perhaps only the answer was lost.
        let presence = presence(handle, expected).await;
        if presence.is_ok_and(|presence| presence == Presence::Whole) {
            current.end().await;
            return Ok(PushOutcome::Pushed);
        }
        let is_hopeless = restarts > handle.transport().options().retry.max_retries;
        if is_hopeless || !source.is_reopenable() || !retries.pause(asked).await {
            return Err(error);
        }
        tracing::debug!(%error, "an upload is continued");
        // Of a registry that asks to wait it is known why.
        if asked.is_none() {
            stuck += 1;
        }
        // Where the registry does not know, or keeps waiting for a request that is dead, the upload is
        // begun anew. It refuses the others then, but may hang up before they have read that.
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

/// Whether the registry still knows an upload, and it may be completed to `expected`.
async fn is_open(session: &mut Session, expected: &Descriptor) -> bool {
    session.refresh().await.is_ok() && session.offset() <= expected.size()
}

/// Sends all that there is with the request that ends the upload.
async fn send_whole(
    session: &mut Session,
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

/// Sends what is still missing in chunks, and ends the upload.
async fn send_chunks(
    handle: &Handle,
    session: &mut Session,
    expected: &Descriptor,
    source: &Source<'_>,
) -> Result<(), Stopped> {
    let total = expected.size();
    let limit = handle.learned().body_limit.get();
    let wanted = handle.transport().options().chunk_size.min(limit).max(1);
    let mut displaced = 0;
    while session.offset() < total {
        let start = session.offset();
        let length = match source.is_reopenable() {
            true => wanted.max(session.min_chunk()).min(total - start),
            // It can be opened but once, so all of it is one chunk.
            false => total - start,
        };
        let range = start..start + length;
        let payload = Payload::Source {
            source,
            range: range.clone(),
            total,
        };
        match session.send_chunk(range, payload).await? {
            Sent::Accepted if session.offset() > start => displaced = 0,
            Sent::Accepted | Sent::Elsewhere if displaced < 3 && session.offset() <= total => {
                displaced += 1;
            }
            Sent::Accepted | Sent::Elsewhere => {
                return Err(Stopped::Failed(crate::transport::failure::protocol(
                    format!("the registry does not take the bytes of the upload from {start} on"),
                )));
            }
            Sent::Refused(response) => return Err(stopped(*response, length).await),
        }
    }
    finish(session, expected, Payload::Empty).await
}

async fn finish(
    session: &mut Session,
    expected: &Descriptor,
    payload: Payload<'_>,
) -> Result<(), Stopped> {
    let length = payload.len();
    match session.finish(expected.digest(), payload, None).await? {
        None => Ok(()),
        Some(response) => Err(stopped(response, length).await),
    }
}

/// What the answer to a request with a body of `length` bytes means.
async fn stopped(response: Response, length: u64) -> Stopped {
    let status = response.status();
    let asked = response.retry_after();
    let error = response.into_error().await;
    match status {
        // The request that broke may not have ended yet at the registry.
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
