//! One large blob in several ranges at a time, handed on in order.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{Body, Descriptor, Result};

use super::download::Download;
use crate::handle::Handle;

/// How much one range holds, in bytes. What has arrived waits in memory for its turn.
const RANGE: u64 = 4 * 1024 * 1024;

/// The whole blob, in ranges if it is large enough, the options ask for it and the registry does not
/// refuse.
pub(super) async fn whole(handle: &Handle, target: &Descriptor) -> Result<Body> {
    let options = handle.transport().options();
    let at_a_time = options.parallel_ranges;
    let is_worth_it = at_a_time > 1
        && target.size() >= options.parallel_threshold
        && target.size() > RANGE
        && !handle.learned().range.is_no();
    if !is_worth_it {
        return Ok(Download::whole(handle, target).await?.into_body());
    }
    let first = Download::part(handle, target, 0..RANGE).await?;
    if !first.is_partial() {
        // It knows no ranges, so it would send everything as often as it is asked.
        drop(first);
        return Ok(Download::whole(handle, target).await?.into_body());
    }
    let size = target.size();
    let starts = (1..)
        .map(|number| number * RANGE)
        .take_while(move |start| *start < size);
    let (handle, target) = (handle.clone(), target.clone());
    let rest = stream::iter(starts)
        .map(move |start| {
            let (handle, target) = (handle.clone(), target.clone());
            async move {
                let range = start..(start + RANGE).min(size);
                let part = Download::part(&handle, &target, range).await?;
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
