//! Quotas of repositories.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::account::Account;
use super::layer::Metered;
use super::meter::Meter;
use crate::{Digest, Error, ErrorKind, HumanSize, Repository, RepositoryName, Result};

/// How often a repository is counted if something is pushed to it each time.
const MAX_COUNTS: u32 = 3;

/// Bounds how many bytes repositories store.
///
/// A quota is for all repositories together that it matches, and the first quota that matches a repository applies.
/// What counts is the content of each repository: manifests and blobs, whether or not a tag leads to them. A blob that
/// is in several repositories counts in each of them, also if the storage keeps it once, and so does one that is
/// mounted. An upload counts with the bytes that have arrived, or that are [announced](crate::Upload::reserve), while
/// it is open here.
///
/// The repositories that [`around`](Self::around) returns count what passes through them. Content that is stored or
/// removed otherwise is found by [`count`](Self::count). Pushes over the limit fail with
/// [`Denied`](ErrorKind::Denied). Content that the repository already has can always be pushed.
///
/// Clones share everything.
///
/// ```
/// use std::sync::Arc;
///
/// use tranship::layers::{RepositoryQuota, RepositoryQuotas};
/// use tranship::prelude::*;
/// use tranship::{ErrorKind, MediaType, push_bytes};
/// # use tranship_memory::MemoryRegistry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let team = RepositoryQuota::new("team", 5, |name| name.as_str().starts_with("team/"));
/// let quotas = RepositoryQuotas::new(vec![team]);
/// let registry = MemoryRegistry::new();
/// let app = quotas.around(registry.repository(&"team/app".parse()?).await?);
///
/// push_bytes(&*app, MediaType::OCTET_STREAM, "hello").await?;
/// assert_eq!(quotas.usage()[0].used, 5);
/// let refused = push_bytes(&*app, MediaType::OCTET_STREAM, "world").await;
/// assert_eq!(refused.unwrap_err().kind(), ErrorKind::Denied);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct RepositoryQuotas(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    quotas: Vec<RepositoryQuota>,
    /// What the repositories of each quota use.
    used: Vec<u64>,
    accounts: HashMap<RepositoryName, Account>,
}

/// How many bytes the repositories of a group may store together.
#[derive(Clone)]
pub struct RepositoryQuota {
    name: Arc<str>,
    limit: u64,
    matches: Arc<dyn Fn(&RepositoryName) -> bool + Send + Sync>,
}

/// What the repositories of a quota use.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaUsage {
    /// The name of the quota.
    pub name: Arc<str>,
    /// How many bytes may be stored.
    pub limit: u64,
    /// How many bytes are stored, those of pushes in progress included.
    pub used: u64,
}

impl RepositoryQuota {
    /// Returns a quota of `limit` bytes for the repositories that `matches` accepts. The name is for messages and
    /// metrics.
    pub fn new(
        name: impl Into<Arc<str>>,
        limit: u64,
        matches: impl Fn(&RepositoryName) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            limit,
            matches: Arc::new(matches),
        }
    }
}

impl fmt::Debug for RepositoryQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryQuota")
            .field("name", &self.name)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl RepositoryQuotas {
    /// Returns the quotas, with nothing stored.
    #[must_use]
    pub fn new(quotas: Vec<RepositoryQuota>) -> Self {
        let all = Self::default();
        all.replace(quotas);
        all
    }

    /// Replaces the quotas. Stored content and pushes in progress count against the new ones.
    pub fn replace(&self, quotas: Vec<RepositoryQuota>) {
        let mut state = self.state();
        state.quotas = quotas;
        state.sum();
    }

    /// Returns whether a quota applies to the repository `name`.
    #[must_use]
    pub fn apply_to(&self, name: &RepositoryName) -> bool {
        self.state().quota(name).is_some()
    }

    /// Wraps `repository`, so that pushes to it and removals from it count.
    #[must_use]
    pub fn around(&self, repository: Arc<dyn Repository>) -> Arc<dyn Repository> {
        let meter = Arc::new(RepositoryMeter {
            quotas: self.clone(),
            name: repository.name().clone(),
        });
        Arc::new(Metered::of_repository(repository, meter))
    }

    /// Sets how many bytes the repository `name` stores, by the count of an earlier process.
    pub fn set_stored(&self, name: &RepositoryName, bytes: u64) {
        self.state().change(name, |account| account.stored = bytes);
    }

    /// Returns how many bytes each repository stores, without pushes in progress.
    #[must_use]
    pub fn stored(&self) -> Vec<(RepositoryName, u64)> {
        let state = self.state();
        let accounts = state.accounts.iter();
        accounts
            .map(|(name, account)| (name.clone(), account.stored))
            .collect()
    }

    /// Counts what the repository `name` stores, by a call of `count`. If something is pushed to it in the meantime, it
    /// is counted again, up to three times; after that, content pushed during the count may count twice until the next
    /// one. Dropping the future leaves the last count.
    ///
    /// # Errors
    /// The error of `count`.
    pub async fn count(
        &self,
        name: &RepositoryName,
        count: impl AsyncFn() -> Result<u64>,
    ) -> Result<()> {
        for _ in 0..MAX_COUNTS {
            let begun = self.state().change(name, Account::begin_count);
            let counted = count().await?;
            let end = |account: &mut Account| account.end_count(begun, counted);
            if self.state().change(name, end) {
                break;
            }
        }
        Ok(())
    }

    /// Returns what the repositories of each quota use, in the order of the quotas.
    #[must_use]
    pub fn usage(&self) -> Vec<QuotaUsage> {
        let state = self.state();
        let quotas = state.quotas.iter().zip(&state.used);
        quotas
            .map(|(quota, used)| QuotaUsage {
                name: Arc::clone(&quota.name),
                limit: quota.limit,
                used: *used,
            })
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the position of the quota that applies to the repository `name`.
    fn quota(&self, name: &RepositoryName) -> Option<usize> {
        self.quotas.iter().position(|quota| (quota.matches)(name))
    }

    fn sum(&mut self) {
        let mut used = vec![0_u64; self.quotas.len()];
        for (name, account) in &self.accounts {
            if let Some(sum) = self.quota(name).and_then(|quota| used.get_mut(quota)) {
                *sum = sum.saturating_add(account.used());
            }
        }
        self.used = used;
    }

    fn change<T>(&mut self, name: &RepositoryName, change: impl FnOnce(&mut Account) -> T) -> T {
        let quota = self.quota(name);
        let account = self.accounts.entry(name.clone()).or_default();
        let before = account.used();
        let changed = change(account);
        let after = account.used();
        if let Some(used) = quota.and_then(|quota| self.used.get_mut(quota)) {
            *used = used.saturating_sub(before).saturating_add(after);
        }
        changed
    }

    /// # Errors
    /// [`Denied`](ErrorKind::Denied) if `bytes` more than those that are used do not fit.
    fn check(&self, name: &RepositoryName, bytes: u64) -> Result<()> {
        let Some(quota) = self.quota(name) else {
            return Ok(());
        };
        let (RepositoryQuota { name, limit, .. }, used) = (&self.quotas[quota], self.used[quota]);
        if used.saturating_add(bytes) <= *limit {
            return Ok(());
        }
        let message = format!(
            "the quota of {name} is exceeded: {} of {} are used, and {} more do not fit; delete tags or images, whose \
             blobs are removed by garbage collection, or ask for a larger quota",
            HumanSize(used),
            HumanSize(*limit),
            HumanSize(bytes),
        );
        Err(Error::new(ErrorKind::Denied, message))
    }
}

/// Counts the bytes of one repository.
#[derive(Debug)]
struct RepositoryMeter {
    quotas: RepositoryQuotas,
    name: RepositoryName,
}

impl RepositoryMeter {
    fn change(&self, change: impl FnOnce(&mut Account)) {
        self.quotas.state().change(&self.name, change);
    }
}

impl Meter for RepositoryMeter {
    fn reserve(&self, bytes: u64) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let mut state = self.quotas.state();
        state.check(&self.name, bytes)?;
        state.change(&self.name, |account| {
            account.reserved = account.reserved.saturating_add(bytes);
        });
        Ok(())
    }

    fn reserve_stored(&self, bytes: u64) {
        self.change(|account| account.reserved = account.reserved.saturating_add(bytes));
    }

    fn release(&self, bytes: u64) {
        self.change(|account| account.reserved = account.reserved.saturating_sub(bytes));
    }

    fn store(&self, bytes: u64) {
        self.change(|account| account.store(bytes));
    }

    fn begin(&self, digest: &Digest) {
        self.change(|account| account.begin_push(digest));
    }

    fn end(&self, digest: &Digest, is_new: bool) -> bool {
        let end = |account: &mut Account| account.end_push(digest, is_new);
        self.quotas.state().change(&self.name, end)
    }

    fn remove(&self, bytes: u64) {
        self.change(|account| account.stored = account.stored.saturating_sub(bytes));
    }

    fn check_room(&self) -> Result<()> {
        self.quotas.state().check(&self.name, 1)
    }

    fn check_limit(&self) -> Result<()> {
        self.quotas.state().check(&self.name, 0)
    }

    fn counts_mounts(&self) -> bool {
        true
    }
}
