//! The decorator around a registry: right, but for one defect.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use tranship::{
    Capabilities, Error, ListOptions, Listing, Registry, RegistryIdentity, Repository,
    RepositoryName, Result, Support,
};

use crate::defect::Defect;
use crate::repository::{Faulty, Inner, State, changed, lock};

const NOT_HERE: Support = Support::No("not here");

/// Pushes, reads and sets tags, and nothing else.
pub(crate) fn pushes_only() -> Capabilities {
    Capabilities::all()
        .with_mount(NOT_HERE)
        .with_uploads(NOT_HERE)
        .with_delete_blobs(NOT_HERE)
        .with_delete_manifests(NOT_HERE)
        .with_untag(NOT_HERE)
        .with_catalog(NOT_HERE)
        .with_sha384(NOT_HERE)
        .with_sha512(NOT_HERE)
}

/// Reads, and nothing else.
pub(crate) fn read_only() -> Capabilities {
    pushes_only().with_push(NOT_HERE)
}

/// A registry of [`Faulty`] repositories.
pub(crate) struct FaultyRegistry {
    inner: Arc<dyn Registry>,
    defect: Defect,
    claimed: Capabilities,
    able: Capabilities,
    states: Mutex<HashMap<RepositoryName, Arc<State>>>,
    opened: Mutex<HashSet<RepositoryName>>,
    locked: AtomicBool,
}

impl FaultyRegistry {
    pub(crate) fn new(inner: Arc<dyn Registry>, defect: Defect) -> Self {
        let everything = inner.capabilities();
        let (claimed, able) = match defect {
            Defect::DoesWhatItDisclaims => (pushes_only(), everything),
            Defect::WritesAlthoughReadOnly => (read_only(), everything),
            Defect::RefusesWhatItClaims => (everything, pushes_only()),
            _ => (everything, everything),
        };
        Self {
            inner,
            defect,
            claimed,
            able,
            states: Mutex::default(),
            opened: Mutex::default(),
            locked: AtomicBool::new(false),
        }
    }

    /// Answers `claimed` when it is asked what it can do.
    pub(crate) fn claiming(mut self, claimed: Capabilities) -> Self {
        self.claimed = claimed;
        self
    }

    /// Refuses what is not in `able`.
    pub(crate) fn able_to(mut self, able: Capabilities) -> Self {
        self.able = able;
        self
    }
}

impl fmt::Debug for FaultyRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultyRegistry").field(&self.defect).finish()
    }
}

#[async_trait]
impl Registry for FaultyRegistry {
    fn identity(&self) -> &RegistryIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.claimed
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        if let Support::No(reason) = self.able.catalog {
            return stream::iter([Err(Error::unsupported(reason))]).boxed();
        }
        let all = self.inner.repositories(options.clone());
        match self.defect {
            Defect::ListingsHoldALock => {
                if self.locked.swap(true, Ordering::SeqCst) {
                    return stream::pending().boxed();
                }
                let unlock = stream::once(async {
                    self.locked.store(false, Ordering::SeqCst);
                });
                let unlock = unlock.filter_map(|()| std::future::ready(None));
                all.chain(unlock).boxed()
            }
            Defect::CatalogUnsorted => changed(all, |mut names| {
                names.reverse();
                names
            }),
            Defect::CatalogSortedByComponents => changed(all, |mut names| {
                names.sort_by_key(|name| name.as_str().replace('/', "\0"));
                names
            }),
            Defect::CatalogListsParents => changed(all, |names| {
                let parents = names.iter().filter_map(|name| {
                    let (parent, _) = name.as_str().rsplit_once('/')?;
                    parent.parse().ok()
                });
                let mut names: Vec<RepositoryName> = parents.chain(names.clone()).collect();
                names.sort();
                names.dedup();
                names
            }),
            Defect::CatalogListsTheEmpty => changed(all, move |mut names| {
                let opened = lock(&self.opened);
                let last = options.last.unwrap_or_default();
                let behind = opened.iter().filter(|name| name.as_str() > last.as_str());
                names.extend(behind.cloned());
                names.sort();
                names.dedup();
                names
            }),
            _ => all,
        }
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        lock(&self.opened).insert(name.clone());
        let opened: RepositoryName = match self.defect {
            Defect::OneRepositoryForAll => "one".parse()?,
            Defect::FlattensNames => name.as_str().replace(['/', '.'], "-").parse()?,
            _ => name.clone(),
        };
        let repository = self.inner.repository(&opened).await?;
        let state = Arc::clone(lock(&self.states).entry(opened).or_default());
        Ok(Arc::new(Faulty::new(Inner {
            repository,
            defect: self.defect,
            claimed: self.claimed,
            able: self.able,
            state,
        })))
    }
}
