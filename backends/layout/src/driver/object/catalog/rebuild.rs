//! Writes the catalog anew, from the stored layouts.

use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStore as _;
use tranship::{RepositoryName, Result};

use super::super::errors::failed;
use super::super::keys::{child, layout_prefix};
use super::super::lease::random_holder;
use super::super::walk::{Walk, is_empty_since};
use super::Catalog;
use crate::driver::PRIVATE;

/// The time for which an index must have listed nothing before a name is removed. It is longer than
/// [`ASSUMED`](super::membership::ASSUMED).
pub(super) const LEAST_EMPTY: Duration = Duration::from_secs(5 * 60);

/// How many names are found, or layouts inspected, at the same time.
const PAGE: usize = 256;
const REQUESTS: usize = 16;

/// A rebuild that has begun.
pub(super) struct Rebuild {
    id: String,
    /// The names in the catalog when it began.
    before: Vec<String>,
    /// When it began, by the clock of the store.
    began: SystemTime,
}

impl Catalog {
    /// Writes the catalog anew. Afterwards it is complete, unless another rebuild has begun since.
    ///
    /// # Errors
    /// `Unsupported` if the store has no conditional PUT and needs it, and errors of the store.
    pub(in super::super) async fn rebuild(&self) -> Result<()> {
        if !self.is_writable().await? {
            return Ok(());
        }
        let rebuild = self.begin_rebuild().await?;
        let names = self.find_names(&rebuild).await?;
        self.finish_rebuild(&rebuild, &names).await
    }

    /// Creates the catalog of a registry that has nothing else. The first call that succeeds decides.
    pub(super) async fn create_if_first(&self) -> Result<()> {
        let create = async || {
            if self.is_writable().await?
                && self.read().await?.is_none()
                && self.is_nothing_stored().await?
            {
                self.rebuild().await?;
            }
            Ok(())
        };
        self.is_sought.get_or_try_init(create).await.map(drop)
    }

    async fn is_nothing_stored(&self) -> Result<bool> {
        let own = child(&self.prefix, PRIVATE);
        let mut listed = self.bucket.store().list(Some(&self.prefix));
        loop {
            let found = listed.try_next().await;
            let found =
                found.map_err(|error| failed(self.bucket.url(), "listed", &self.prefix, error))?;
            match found {
                Some(found) if found.location.prefix_matches(&own) => {}
                found => return Ok(found.is_none()),
            }
        }
    }

    /// From now on, writers add the names of repositories that get content to the rebuild.
    pub(super) async fn begin_rebuild(&self) -> Result<Rebuild> {
        let id = random_holder()?;
        let mut before = Vec::new();
        self.change(|document| {
            let mut document = document.cloned().unwrap_or_default();
            document.begin_rebuild(&id);
            before = document.repositories().to_vec();
            Some(document)
        })
        .await?;
        let found = self.bucket.head(&self.key).await?;
        let began = found.map_or_else(SystemTime::now, |found| found.last_modified.into());
        Ok(Rebuild { id, before, began })
    }

    /// Returns the names of all repositories with content, and those that have got empty too recently to be removed.
    pub(super) async fn find_names(&self, rebuild: &Rebuild) -> Result<Vec<String>> {
        let mut walk = Walk::new(&self.bucket, &self.prefix, None).await?;
        let mut names: Vec<String> = Vec::new();
        loop {
            let found = walk.next(PAGE).await?;
            let is_last = found.len() < PAGE;
            names.extend(found.iter().map(|name| name.as_str().to_owned()));
            if is_last {
                break;
            }
        }
        let is_found = |name: &String| names.binary_search(name).is_ok();
        let others: Vec<RepositoryName> = rebuild
            .before
            .iter()
            .filter(|name| !is_found(name))
            .filter_map(|name| name.parse().ok())
            .collect();
        let time = rebuild.began - LEAST_EMPTY;
        let kept = stream::iter(others)
            .map(|name| async move {
                let prefix = layout_prefix(&self.prefix, &name);
                let is_empty = is_empty_since(&self.bucket, &prefix, time).await?;
                Ok((!is_empty).then(|| name.as_str().to_owned()))
            })
            .buffer_unordered(REQUESTS)
            .try_filter_map(|name| async move { Ok(name) });
        let kept: Vec<String> = kept.try_collect().await?;
        names.extend(kept);
        Ok(names)
    }

    pub(super) async fn finish_rebuild(&self, rebuild: &Rebuild, names: &[String]) -> Result<()> {
        self.change(|document| {
            let mut document = document?.clone();
            document
                .finish_rebuild(&rebuild.id, names)
                .then_some(document)
        })
        .await
    }
}
