//! The quotas of repositories: what the server knows of their size, from one start to the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tranship::layers::{RepositoryQuota, RepositoryQuotas};
use tranship::{RepositoryName, Result};
use tranship_backends::layout::LayoutRegistry;
use tranship_backends::{OpenOptions, open_layout_registry};

use super::registry::is_mirrored;
use super::state::StateDirectory;
use crate::args::Settings;

/// The file with the size of each repository.
const FILE: &str = "stored-bytes.jsonl";

/// The time between two writes of the file.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// The time to another attempt if a count has failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// Counts the repositories for quotas at intervals, and saves the result.
#[derive(Debug)]
pub(super) struct QuotaKeeper {
    pub(super) quotas: RepositoryQuotas,
    state: Option<StateDirectory>,
    settings: watch::Receiver<Settings>,
    open_options: OpenOptions,
    /// What the file has.
    saved: Option<Vec<Line>>,
    /// Whether all repositories are counted.
    is_exact: bool,
    /// When the repositories are counted next; `None` if that need not be.
    due: Option<Instant>,
}

/// A line of the file. The last one says that the server has ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Repository { repository: String, bytes: u64 },
    End { complete: bool },
}

/// Returns the quotas of the settings. What mirrors store does not count.
fn quotas_of(settings: &Settings) -> Vec<RepositoryQuota> {
    let settings = Arc::new(settings.clone());
    let entries = settings.repositories.iter().enumerate();
    let quotas = entries.filter_map(|(position, entry)| {
        let limit = entry.quota?.0;
        let settings = Arc::clone(&settings);
        let matches = move |name: &RepositoryName| {
            let entry = &settings.repositories[position];
            let applying = settings.entry_of(name);
            applying.is_some_and(|applying| std::ptr::eq(applying, entry))
                && !is_mirrored(&settings, name)
        };
        Some(RepositoryQuota::new(
            entry.names.0.to_string(),
            limit,
            matches,
        ))
    });
    quotas.collect()
}

/// Returns the quotas of the settings, with what earlier processes have counted, and whether that is exact.
pub(super) async fn open(
    settings: &Settings,
    state: Option<&StateDirectory>,
) -> (RepositoryQuotas, bool) {
    let quotas = RepositoryQuotas::new(quotas_of(settings));
    // A registry in memory has nothing stored.
    let mut is_exact = settings.root.is_none();
    let lines = match state.filter(|_| settings.has_quotas()) {
        Some(state) => state.lines(FILE).await,
        None => Vec::new(),
    };
    for line in lines {
        match line {
            Line::Repository { repository, bytes } => {
                if let Ok(name) = repository.parse() {
                    quotas.set_stored(&name, bytes);
                }
            }
            Line::End { complete } => is_exact = complete,
        }
    }
    (quotas, is_exact)
}

/// Applies changed settings to `quotas`.
pub(super) fn configure(quotas: &RepositoryQuotas, settings: &Settings) {
    quotas.replace(quotas_of(settings));
}

/// Counts the repository `name` again, for example since content was removed from it. Returns whether that was possible,
/// or need not be.
pub(super) async fn count(
    quotas: &RepositoryQuotas,
    layouts: &LayoutRegistry,
    name: &RepositoryName,
) -> bool {
    if !quotas.apply_to(name) {
        return true;
    }
    let counted = quotas.count(name, async || {
        layouts.layout(name).await?.stored_bytes().await
    });
    match counted.await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(repository = %name, %error, "its size is not counted");
            false
        }
    }
}

impl QuotaKeeper {
    pub(super) fn new(
        (quotas, is_exact): (RepositoryQuotas, bool),
        state: Option<StateDirectory>,
        settings: watch::Receiver<Settings>,
        open_options: OpenOptions,
    ) -> Self {
        Self {
            quotas,
            state,
            settings,
            open_options,
            saved: None,
            is_exact,
            due: (!is_exact).then(Instant::now),
        }
    }

    /// Counts the repositories when that is due, saves their sizes every minute, and never ends.
    pub(super) async fn run(&mut self) {
        let mut settings = self.settings.borrow_and_update().clone();
        self.schedule(&settings);
        let mut next_save = Instant::now();
        loop {
            let due = self.due.filter(|_| settings.has_quotas());
            tokio::select! {
                changed = self.settings.changed() => {
                    if changed.is_err() {
                        return std::future::pending().await;
                    }
                    let new = self.settings.borrow_and_update().clone();
                    if quota_settings(&new) != quota_settings(&settings) {
                        self.is_exact = new.root.is_none();
                        self.due = new.root.as_ref().map(|_| Instant::now());
                    } else if new.quota_recount() != settings.quota_recount() {
                        self.due = None;
                        self.schedule(&new);
                    }
                    settings = new;
                }
                () = sleep_until(due.unwrap_or(next_save)), if due.is_some() => {
                    self.due = None;
                    match self.count_all(&settings).await {
                        Ok(is_exact) => {
                            self.is_exact = is_exact;
                            self.schedule(&settings);
                        }
                        Err(error) => {
                            tracing::warn!(%error, "the size of the repositories is not known; it is counted again in a minute");
                            self.due = Some(Instant::now() + RETRY_INTERVAL);
                        }
                    }
                }
                () = sleep_until(next_save) => {
                    self.save(false).await;
                    next_save = Instant::now() + SAVE_INTERVAL;
                }
            }
        }
    }

    /// Sets when the repositories are counted next, unless that is known.
    fn schedule(&mut self, settings: &Settings) {
        if self.due.is_none() && settings.root.is_some() {
            self.due = Instant::now().checked_add(settings.quota_recount());
        }
    }

    /// Counts all repositories to which a quota applies, those of before that no longer exist included. Returns whether
    /// all could be counted.
    async fn count_all(&self, settings: &Settings) -> Result<bool> {
        let Some(root) = &settings.root else {
            return Ok(true);
        };
        let known = self.quotas.stored().into_iter().map(|(name, _)| name);
        let mut names: BTreeSet<_> = known.collect();
        let layouts = match open_layout_registry(&root.0, &self.open_options).await {
            Ok(layouts) => Some(layouts),
            // Nothing has been pushed yet.
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let mut are_counted = true;
        if let Some(layouts) = layouts {
            names.extend(tranship::repositories(&layouts).await?);
            for name in &names {
                are_counted &= count(&self.quotas, &layouts, name).await;
            }
        }
        for usage in self.quotas.usage() {
            let (used, limit) = (usage.used, usage.limit);
            tracing::info!(repositories = %usage.name, used, limit, "the size of repositories was counted");
        }
        Ok(are_counted)
    }

    /// Saves the sizes for the next start. `is_last` says that they do not change after this.
    pub(super) async fn save(&mut self, is_last: bool) {
        let has_quotas = self.settings.borrow().has_quotas();
        let Some(state) = self.state.as_ref().filter(|_| has_quotas) else {
            return;
        };
        let mut lines: Vec<Line> = self
            .quotas
            .stored()
            .into_iter()
            .map(|(name, bytes)| Line::Repository {
                repository: name.to_string(),
                bytes,
            })
            .collect();
        lines.sort_unstable();
        lines.push(Line::End {
            complete: is_last && self.is_exact,
        });
        if self.saved.as_ref() == Some(&lines) {
            return;
        }
        let saved = async {
            state.create().await?;
            state.save_lines(FILE, lines.clone()).await
        };
        match saved.await {
            Ok(()) => self.saved = Some(lines),
            Err(error) => tracing::warn!(%error, "the size of the repositories is not saved"),
        }
    }
}

/// Returns the parts of the settings on which quotas depend.
fn quota_settings(settings: &Settings) -> Vec<(String, Option<u64>)> {
    let entries = settings.repositories.iter();
    entries
        .map(|entry| (entry.names.0.to_string(), entry.quota.map(|size| size.0)))
        .collect()
}
