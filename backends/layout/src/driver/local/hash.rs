//! Hashes a blob where it lies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tranship::{Digest, Digester, Error, ErrorKind, Result};

use super::file::{open_regular, read_pieces};
use super::link::StopOnDrop;
use super::place::Place;
use crate::blocking::blocking;
use crate::driver::{Hashed, Observer};

/// Reads the blob `digest` on one blocking thread, to its end or until nobody waits any more.
pub(super) async fn hash(
    place: &Arc<Place>,
    digest: &Digest,
    observe: Observer,
) -> Result<Option<Hashed>> {
    let (place, digest) = (Arc::clone(place), *digest);
    let stop = StopOnDrop::default();
    let stopped = stop.flag();
    blocking(move || hash_now(&place, &digest, &observe, &stopped)).await
}

fn hash_now(
    place: &Place,
    digest: &Digest,
    observe: &Observer,
    stopped: &AtomicBool,
) -> Result<Option<Hashed>> {
    let found = place.find_blob(digest, |path| {
        Ok(open_regular(&path)?.map(|(file, metadata)| (file, metadata, path)))
    })?;
    let Some((file, metadata, path)) = found else {
        return Ok(None);
    };
    let mut digester = Digester::new(digest.algorithm());
    let mut size = 0;
    read_pieces(&file, &path, metadata.len(), |bytes| {
        if stopped.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Aborted, "the check was dropped"));
        }
        digester.update(bytes);
        size += bytes.len() as u64;
        observe(bytes.len() as u64);
        Ok(())
    })?;
    let is_intact = digester.finish() == *digest;
    Ok(Some(Hashed { size, is_intact }))
}
