//! Downloads of a large blob in several ranges at a time, which are returned in order.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{Body, Descriptor, Result};

use super::download::Download;
use crate::repository_client::RepositoryClient;

/// The size of one range in bytes. Ranges that arrive out of order are held in memory.
const RANGE: u64 = 4 * 1024 * 1024;

/// Opens the whole blob, in ranges if it is large enough, the options ask for them and the registry supports them.
pub(super) async fn whole(client: &RepositoryClient, target: &Descriptor) -> Result<Body> {
    let options = client.transport().options();
    let at_a_time = options.parallel_ranges;
    let is_worth_it = at_a_time > 1
        && target.size() >= options.parallel_threshold
        && target.size() > RANGE
        && !client.learned().range.is_no();
    if !is_worth_it {
        return Ok(Download::whole(client, target).await?.into_body());
    }
    let first = Download::part(client, target, 0..RANGE).await?;
    if !first.is_partial() {
        // The registry does not support ranges, so each request would return the whole blob.
        drop(first);
        return Ok(Download::whole(client, target).await?.into_body());
    }
    let size = target.size();
    let starts = (1..)
        .map(|number| number * RANGE)
        .take_while(move |start| *start < size);
    let (client, target) = (client.clone(), target.clone());
    let rest = stream::iter(starts)
        .map(move |start| {
            let (client, target) = (client.clone(), target.clone());
            async move {
                let range = start..(start + RANGE).min(size);
                let part = Download::part(&client, &target, range).await?;
                let pieces: Vec<_> = part.into_body().into_stream().try_collect().await?;
                Ok::<_, tranship::Error>(stream::iter(pieces.into_iter().map(Ok)))
            }
        })
        .buffered(at_a_time)
        .try_flatten();
    Ok(Body::from_stream(
        first.into_body().into_stream().chain(rest),
    ))
}
