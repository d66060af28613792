//! Pushes blobs: by a mount, in one request, or in chunks.

use tranship::{
    Descriptor, Error, ErrorKind, Presence, PushOptions, PushOutcome, RepositoryName, Result,
    Source,
};

use super::lookup::presence;
use super::record::UploadRecord;
use super::session::{MountFrom, StartedUpload, UploadSession};
use super::start::{begin, is_refusal};
use super::transfer::upload;
use crate::options::UploadMode;
use crate::repository_client::RepositoryClient;

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
