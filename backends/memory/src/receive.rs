//! Receives content: it is hashed while it is read and stored.

use std::sync::Arc;

use futures_util::StreamExt as _;
use tranship::HashingSink;
use tranship::{Descriptor, Result, Source, Verifier};

use crate::store::{Blob, Store};

/// Reads `source` and keeps it in `store`, if it is what `expected` says.
///
/// Content that another repository holds is checked all the same, since to have it here somebody
/// has to have it; but it takes no more room.
pub(crate) async fn receive(
    store: &Arc<Store>,
    expected: &Descriptor,
    source: &Source<'_>,
) -> Result<Arc<Blob>> {
    let known = store.get(expected.digest());
    if known.is_none() {
        store.quota().check(expected.size())?;
    }
    let mut body = source.open(0).await?.into_stream();
    // Hashing lags behind what is kept; the length must not.
    let mut length = Verifier::for_length(expected, expected.size());
    let mut hashing = HashingSink::new(Verifier::new(expected));
    let mut buffer = store.buffer();
    while let Some(chunk) = body.next().await.transpose()? {
        length.update(&chunk)?;
        if known.is_none() {
            buffer.push(chunk.clone())?;
        }
        hashing.update(chunk).await?;
    }
    hashing.finish().await?.finish()?;
    Ok(known.unwrap_or_else(|| store.insert(*expected.digest(), buffer.finish())))
}
