//! The catalog of a registry: one object with the names of all repositories that have content.
//!
//! A listing reads it with one request. It is correct as long as each writer keeps one rule: after content was stored
//! that may be the first of a repository, and before the call returns, the writer reads the catalog and adds the name if
//! it is missing. A process that removes a name does so before it looks whether the repository is empty. So of the two,
//! at least one sees what the other has done.

mod document;
mod membership;
mod rebuild;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use object_store::path::Path;
use object_store::{PutMode, UpdateVersion};
use tokio::sync::OnceCell;
use tranship::{Error, ErrorKind, RepositoryName, Result, blocking};

use super::backoff::Backoff;
use super::bucket::{Bucket, ConditionalGet, version_of};
use super::keys::{self, ObjectKeys};

use self::document::CatalogDocument;
pub(super) use self::membership::Membership;

/// How large the object may be, in bytes: some 400,000 names.
const MAX_SIZE: u64 = 16 * 1024 * 1024;

/// How many attempts to change the catalog may fail because another writer was faster.
const MAX_ATTEMPTS: u32 = 1000;

/// The catalog of the layouts below one prefix.
#[derive(Debug)]
pub(super) struct Catalog {
    bucket: Arc<Bucket>,
    prefix: Path,
    key: Path,
    known: Mutex<Option<Arc<CatalogState>>>,
    /// Names that tasks of this process want to add. The next task that writes adds all of them.
    pending: Mutex<BTreeSet<String>>,
    writer: tokio::sync::Mutex<()>,
    is_sought: OnceCell<()>,
}

/// One state of the object.
#[derive(Debug)]
struct CatalogState {
    at: UpdateVersion,
    /// `None` if the object is damaged or too large.
    document: Option<CatalogDocument>,
}

impl Catalog {
    pub(super) fn new(bucket: Arc<Bucket>, prefix: Path) -> Self {
        Self {
            key: keys::catalog(&prefix),
            bucket,
            prefix,
            known: Mutex::default(),
            pending: Mutex::default(),
            writer: tokio::sync::Mutex::default(),
            is_sought: OnceCell::new(),
        }
    }

    /// Returns the names of all repositories after `last`; `None` if they must be found without the catalog.
    pub(super) async fn names_after(&self, last: Option<&str>) -> Option<CatalogNames> {
        if !self.bucket.has_only_conditional_writers() {
            return None;
        }
        // Without it a listing is still possible, or has the same error.
        let state = self.read().await.ok().flatten()?;
        let document = state.document.as_ref()?;
        let at = document.position_after(last);
        document.is_complete().then_some(CatalogNames { state, at })
    }

    /// Adds the name of a repository that has content, if the catalog exists and does not have it.
    ///
    /// # Errors
    /// `Conflict` if other writers have prevented it too often, and errors of the store.
    async fn ensure(&self, name: &RepositoryName) -> Result<()> {
        let name = name.as_str();
        while !self.is_known_or_absent(name).await? {
            self.pending().insert(name.to_owned());
            let _turn = self.writer.lock().await;
            // Another task may have written it with its own.
            if self.pending().contains(name) {
                return self.add_pending().await;
            }
        }
        Ok(())
    }

    async fn is_known_or_absent(&self, name: &str) -> Result<bool> {
        let state = self.read().await?;
        let document = state.as_ref().and_then(|state| state.document.as_ref());
        Ok(document.is_none_or(|document| document.has(name)))
    }

    async fn add_pending(&self) -> Result<()> {
        let names = self.pending().clone();
        self.change(|document| {
            let mut document = document?.clone();
            let missing = names.iter().filter(|name| !document.has(name));
            let missing: Vec<_> = missing.collect();
            missing.iter().for_each(|name| document.add(name));
            (!missing.is_empty()).then_some(document)
        })
        .await?;
        self.pending().retain(|name| !names.contains(name));
        Ok(())
    }

    /// Removes a name; returns whether it was there.
    async fn remove(&self, name: &RepositoryName) -> Result<bool> {
        let mut is_removed = false;
        self.change(|document| {
            let mut document = document?.clone();
            is_removed = document.remove(name.as_str());
            is_removed.then_some(document)
        })
        .await?;
        Ok(is_removed)
    }

    /// Reads the object; `None` if it does not exist.
    async fn read(&self) -> Result<Option<Arc<CatalogState>>> {
        let known = self.known().clone();
        let e_tag = known.as_ref().and_then(|known| known.at.e_tag.clone());
        let found = match self.bucket.get_if_changed(&self.key, e_tag).await? {
            ConditionalGet::NotModified => return Ok(known),
            ConditionalGet::Absent => return Ok(None),
            ConditionalGet::Found(found) => found,
        };
        let at = version_of(&found.meta);
        let document = match self.bucket.content(&self.key, found, MAX_SIZE).await {
            Ok(content) => {
                let size = content.len();
                let decode = move || Ok(CatalogDocument::decode(&content));
                blocking::run_sized(size, decode).await?
            }
            Err(error) if error.kind() == ErrorKind::SizeExceedsLimit => None,
            Err(error) => return Err(error),
        };
        let state = Arc::new(CatalogState { at, document });
        *self.known() = Some(Arc::clone(&state));
        Ok(Some(state))
    }

    /// Changes the object. `edit` gets the current content, or `None` if it is absent or damaged, and is called again if
    /// another writer is faster. It returns the new content; `None` leaves the object unchanged.
    async fn change(
        &self,
        mut edit: impl FnMut(Option<&CatalogDocument>) -> Option<CatalogDocument> + Send,
    ) -> Result<()> {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(400));
        for _ in 0..MAX_ATTEMPTS {
            let state = self.read().await?;
            let Some(document) = edit(state.as_ref().and_then(|state| state.document.as_ref()))
            else {
                return Ok(());
            };
            let mut content = document.encode()?;
            if content.len() as u64 > MAX_SIZE {
                // It is not complete, so that listings do without it.
                content = CatalogDocument::default().encode()?;
            }
            let mode = match state {
                Some(state) => PutMode::Update(state.at.clone()),
                None => PutMode::Create,
            };
            if self
                .bucket
                .replace(&self.key, &content, mode)
                .await?
                .is_some()
            {
                return Ok(());
            }
            backoff.pause().await;
        }
        let why = "other writers replaced the catalog before every attempt to change it";
        Err(Error::new(ErrorKind::Conflict, why)
            .with_subject(self.bucket.url().of(&self.key))
            .with_retryable(true)
            .with_hint("too many processes create repositories at the same time; try again later"))
    }

    /// Returns whether the catalog can be changed so that no change is lost.
    ///
    /// # Errors
    /// `Unsupported` if the store has no conditional PUT and needs it.
    async fn is_writable(&self) -> Result<bool> {
        let probe = ObjectKeys::new(self.prefix.clone()).probe();
        self.bucket.requires_conditions(&probe).await
    }

    fn known(&self) -> MutexGuard<'_, Option<Arc<CatalogState>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rest of the names in a state of the catalog. Text that is not a name is left out.
pub(super) struct CatalogNames {
    state: Arc<CatalogState>,
    at: usize,
}

impl Iterator for CatalogNames {
    type Item = RepositoryName;

    fn next(&mut self) -> Option<RepositoryName> {
        let document = self.state.document.as_ref()?;
        let mut rest = document.repositories().iter().skip(self.at);
        rest.find_map(|name| {
            self.at += 1;
            name.parse().ok()
        })
    }
}
