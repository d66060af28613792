//! The manifest that an image has at the destination, where not all platforms are copied.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tranship::{
    Descriptor, Digest, ErrorKind, MAX_MANIFEST_SIZE, Platform, Repository, ResolveOptions, Result,
    SubsetForm,
};

use crate::rules::Platforms;

/// So many indexes are remembered, some 30 MB.
const MAX_KNOWN: usize = 100_000;

type Known = HashMap<(Digest, Platforms), Option<Descriptor>>;

/// Remembers which manifest a choice of platforms makes of an index, so that an index is read once.
#[derive(Debug, Default)]
pub struct Roots {
    known: Mutex<Known>,
}

impl Roots {
    /// Returns the manifest that is copied if `found` is what the source has; `None` if it has no platforms, such as an
    /// artifact that is not an image. Then all of it is copied.
    pub(super) async fn root(
        &self,
        source: &dyn Repository,
        found: &Descriptor,
        platforms: &Platforms,
    ) -> Result<Option<Descriptor>> {
        let is_whole = match platforms {
            Platforms::All => true,
            Platforms::One(_) => false,
            Platforms::Subset(subset) => {
                subset.form == SubsetForm::Sparse && found.media_type().is_index()
            }
        };
        if is_whole {
            return Ok(Some(found.plain()));
        }
        let key = (*found.digest(), platforms.clone());
        if let Some(known) = self.lock().get(&key) {
            return Ok(known.clone());
        }
        let root = match read(source, found, platforms).await {
            Ok(root) => Some(root.plain()),
            Err(error) if error.kind() == ErrorKind::Unsupported => None,
            Err(error) => return Err(error),
        };
        let mut known = self.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(key, root.clone());
        Ok(root)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(
    source: &dyn Repository,
    found: &Descriptor,
    platforms: &Platforms,
) -> Result<Descriptor> {
    match platforms {
        Platforms::All => Ok(found.clone()),
        Platforms::One(platform) => of_platform(source, found, platform).await,
        Platforms::Subset(subset) if found.media_type().is_index() => {
            let content = source.fetch(found).await?.bytes(MAX_MANIFEST_SIZE).await?;
            Ok(subset.select(found, &content)?.index)
        }
        // Whether the platform of a single image is among them, the copy finds out.
        Platforms::Subset(subset) => match subset.platforms.first() {
            Some(any) => match of_platform(source, found, any).await {
                Err(error) if error.is_not_found() => Ok(found.clone()),
                found => found,
            },
            None => Ok(found.clone()),
        },
    }
}

async fn of_platform(
    source: &dyn Repository,
    found: &Descriptor,
    platform: &Platform,
) -> Result<Descriptor> {
    let options = ResolveOptions::default().with_platform(platform.clone());
    tranship::resolve(source, &(*found.digest()).into(), &options).await
}
