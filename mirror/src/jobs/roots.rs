//! The manifest that an image has at the destination, where not all platforms are copied.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tranship::{
    Descriptor, Digest, MAX_MANIFEST_SIZE, Repository, ResolveOptions, Result, SubsetForm,
};

use crate::rules::Platforms;

/// So many indexes are remembered, some 30 MB.
const MAX_KNOWN: usize = 100_000;

/// Remembers which manifest a choice of platforms makes of an index, so that an index is read once.
#[derive(Debug, Default)]
pub struct Roots {
    known: Mutex<HashMap<(Digest, Platforms), Descriptor>>,
}

impl Roots {
    /// Returns the manifest that is copied if `found` is what the source has.
    pub(super) async fn root(
        &self,
        source: &dyn Repository,
        found: &Descriptor,
        platforms: &Platforms,
    ) -> Result<Descriptor> {
        let is_whole = match platforms {
            Platforms::All => true,
            Platforms::One(_) => false,
            Platforms::Subset(subset) => {
                subset.form == SubsetForm::Sparse || !found.media_type().is_index()
            }
        };
        if is_whole {
            return Ok(found.plain());
        }
        let key = (*found.digest(), platforms.clone());
        if let Some(known) = self.lock().get(&key) {
            return Ok(known.clone());
        }
        let root = read(source, found, platforms).await?.plain();
        let mut known = self.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(key, root.clone());
        Ok(root)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Digest, Platforms), Descriptor>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(
    source: &dyn Repository,
    found: &Descriptor,
    platforms: &Platforms,
) -> Result<Descriptor> {
    let digest = (*found.digest()).into();
    match platforms {
        Platforms::All => Ok(found.clone()),
        Platforms::One(platform) => {
            let options = ResolveOptions::default().with_platform(platform.clone());
            tranship::resolve(source, &digest, &options).await
        }
        Platforms::Subset(subset) => {
            let content = source.fetch(found).await?.bytes(MAX_MANIFEST_SIZE).await?;
            Ok(subset.select(found, &content)?.index)
        }
    }
}
