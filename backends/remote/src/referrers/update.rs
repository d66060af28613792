//! Updates of the lists of referrers that clients maintain where a registry has no referrers API. An update is conditional
//! where the registry supports that, so that it does not overwrite the update of another client.

use tranship::{Descriptor, Digest, Error, ErrorKind, Index, Result};

use super::tag_scheme;
use crate::referrer_changes::{ReferrerChange, applied};
use crate::repository_client::RepositoryClient;
use crate::transport::Retries;

/// How many times in a row another client may update the list first.
const MAX_CONFLICTS: u32 = 20;

/// Adds a manifest to the list of its subject's referrers.
///
/// # Errors
/// `Conflict` if other clients keep changing the list, and those of the requests.
pub(crate) async fn add(
    client: &RepositoryClient,
    subject: &Digest,
    referrer: &Descriptor,
) -> Result<()> {
    submit(client, subject, ReferrerChange::Add(referrer.clone())).await
}

/// Removes a manifest from the list of its subject's referrers, if there is one.
///
/// # Errors
/// As [`add`].
pub(crate) async fn remove(
    client: &RepositoryClient,
    subject: &Digest,
    referrer: &Descriptor,
) -> Result<()> {
    submit(client, subject, ReferrerChange::Remove(referrer.plain())).await
}

async fn submit(client: &RepositoryClient, subject: &Digest, change: ReferrerChange) -> Result<()> {
    let queues = &client.shared.referrer_queues;
    let apply = async |changes: Vec<ReferrerChange>| update(client, subject, &changes).await;
    queues.submit(&client.name, subject, change, apply).await
}

/// Applies `changes` to the list, and repeats that if another client updates it first.
async fn update(
    client: &RepositoryClient,
    subject: &Digest,
    changes: &[ReferrerChange],
) -> Result<()> {
    let policy = client.transport().options().retry;
    let mut retries = Retries::new(policy.with_max_retries(MAX_CONFLICTS));
    loop {
        let before = tag_scheme::read(client, subject).await?;
        let list = before
            .as_ref()
            .map_or(&[][..], |list| &list.index.manifests);
        let Some(after) = applied(list, changes) else {
            return Ok(());
        };
        let index = match &before {
            Some(list) => {
                let mut index = list.index.clone();
                index.manifests = after;
                index
            }
            None => Index::new(after),
        };
        if tag_scheme::write(client, subject, &index, before.as_ref()).await? {
            return Ok(());
        }
        if !retries.pause(None).await {
            return Err(Error::new(
                ErrorKind::Conflict,
                "other clients keep changing the list of referrers",
            )
            .with_subject(subject)
            .with_retryable(true));
        }
    }
}
