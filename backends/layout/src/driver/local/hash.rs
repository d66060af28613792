//! Hashes a stored blob.

use std::sync::Arc;

use tranship::blocking::{self, CancelFlag, CancelOnDrop};
use tranship::{Digest, Digester, Result};

use super::directory::LocalDirectory;
use crate::driver::file::{open_regular, read_pieces};
use crate::driver::{Hashed, Observer};

/// Reads the blob `digest` on one blocking thread, to its end or until the future is dropped.
pub(super) async fn hash(
    directory: &Arc<LocalDirectory>,
    digest: &Digest,
    observe: Observer,
) -> Result<Option<Hashed>> {
    let (directory, digest) = (Arc::clone(directory), *digest);
    let waiting = CancelOnDrop::default();
    let cancelled = waiting.flag();
    blocking::run(move || hash_now(&directory, &digest, &observe, &cancelled)).await
}

fn hash_now(
    directory: &LocalDirectory,
    digest: &Digest,
    observe: &Observer,
    cancelled: &CancelFlag,
) -> Result<Option<Hashed>> {
    let found = directory.find_blob(digest, |path| {
        Ok(open_regular(&path)?.map(|(file, metadata)| (file, metadata, path)))
    })?;
    let Some((file, metadata, path)) = found else {
        return Ok(None);
    };
    let mut digester = Digester::new(digest.algorithm());
    let mut size = 0;
    read_pieces(&file, &path, metadata.len(), |bytes| {
        cancelled.check()?;
        digester.update(bytes);
        size += bytes.len() as u64;
        observe(bytes.len() as u64);
        Ok(())
    })?;
    let is_intact = digester.finish() == *digest;
    Ok(Some(Hashed { size, is_intact }))
}
