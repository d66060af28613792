//! When manifests were pulled last, for retention.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::time::MissedTickBehavior;
use tranship::layers::{Operation, OperationName};
use tranship::{ContentKind, Digest, RepositoryName, Tag, TagOrDigest};

use super::state::StateDirectory;
use crate::args::{RepositorySettings, Settings};

/// The file with the pulls.
const FILE: &str = "pulls.jsonl";

/// The time between two writes of the file.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// More pulls are not remembered, about 300 bytes each.
const MAX_PULLS: usize = 200_000;

/// The last pull of each tag and digest, in the repositories whose retention depends on it. Pushes count, too.
///
/// If a pull is not known, the time from which on all are known counts. It is moved forward when the settings change
/// which repositories are recorded, and when old pulls are dropped because there are too many.
#[derive(Debug)]
pub(super) struct PullLog {
    state: Option<StateDirectory>,
    known: Mutex<KnownPulls>,
}

#[derive(Debug, Default)]
struct KnownPulls {
    /// The patterns of the settings, with a sign that says whether its repositories are recorded.
    patterns: Vec<String>,
    /// From when on all pulls are known, in seconds since 1970.
    since: u64,
    /// The times in seconds since 1970.
    pulls: HashMap<(RepositoryName, TagOrDigest), u64>,
    is_saved: bool,
}

/// A line of the file. The first one is the header.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Header {
        since: u64,
        patterns: Vec<String>,
    },
    Pull {
        repository: String,
        reference: String,
        at: u64,
    },
}

impl PullLog {
    /// Reads the pulls that were saved in `state`, if the settings need them.
    pub(super) async fn open(settings: &Settings, state: Option<StateDirectory>) -> Self {
        let mut known = KnownPulls::default();
        if let Some(state) = &state
            && is_recording(settings)
        {
            for line in state.lines(FILE).await {
                known.add(line);
            }
        }
        let log = Self {
            state,
            known: Mutex::new(known),
        };
        log.configure(settings);
        log
    }

    /// Follows the settings. If they record other repositories than before, pulls were missed until now.
    pub(super) fn configure(&self, settings: &Settings) {
        let entries = settings.repositories.iter();
        let patterns: Vec<String> = entries
            .map(|entry| {
                let sign = if records(entry) { '+' } else { '-' };
                format!("{sign}{}", entry.names.0)
            })
            .collect();
        let mut known = self.known();
        if known.patterns != patterns {
            known.patterns = patterns;
            known.since = now();
            known.is_saved = false;
        }
    }

    /// Notes a call that reads a manifest, or that pushes or tags one.
    pub(super) fn record(&self, operation: &Operation) {
        let is_use = matches!(
            operation.name,
            OperationName::Read
                | OperationName::ReadReference
                | OperationName::Stat
                | OperationName::Write
                | OperationName::SetTag
        );
        let Some(repository) = &operation.repository else {
            return;
        };
        if !is_use || operation.kind != Some(ContentKind::Manifest) {
            return;
        }
        let tag = operation.tag.clone().map(TagOrDigest::Tag);
        let digest = operation.digest.map(TagOrDigest::Digest);
        let at = now();
        let mut known = self.known();
        for reference in [tag, digest].into_iter().flatten() {
            known.pulls.insert((repository.clone(), reference), at);
        }
        known.is_saved = false;
        known.drop_oldest();
    }

    /// Returns when the tag, or the manifest that it names, was pulled last, or could have been without being noticed.
    pub(super) fn last(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
    ) -> SystemTime {
        let known = self.known();
        let references = [TagOrDigest::Tag(tag.clone()), TagOrDigest::Digest(*digest)];
        let pulls = references.into_iter().filter_map(|reference| {
            let pulled = known.pulls.get(&(repository.clone(), reference));
            pulled.copied()
        });
        let last = pulls.fold(known.since, u64::max);
        UNIX_EPOCH + Duration::from_secs(last)
    }

    /// Saves the pulls every minute, if there were any, and never ends.
    pub(super) async fn run(&self) {
        let mut ticks = tokio::time::interval(SAVE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.save(false).await;
        }
    }

    /// Saves the pulls, unless they are saved; the last time in any case, since an earlier call may have been dropped.
    /// Without repositories to record, the file says so, and later pulls are not missed without notice.
    pub(super) async fn save(&self, is_last: bool) {
        let Some(state) = &self.state else { return };
        let lines = {
            let mut known = self.known();
            if known.is_saved && !is_last || !known.is_recording() && !state.has(FILE) {
                return;
            }
            known.is_saved = true;
            known.lines()
        };
        let saved = async {
            state.create().await?;
            state.save_lines(FILE, lines).await
        };
        if let Err(error) = saved.await {
            self.known().is_saved = false;
            tracing::warn!(%error, "the times of the last pulls are not saved");
        }
    }

    fn known(&self) -> MutexGuard<'_, KnownPulls> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownPulls {
    fn add(&mut self, line: Line) {
        match line {
            Line::Header { since, patterns } => {
                (self.since, self.patterns) = (since, patterns);
            }
            Line::Pull {
                repository,
                reference,
                at,
            } => {
                if let (Ok(repository), Ok(reference)) = (repository.parse(), reference.parse()) {
                    self.pulls.insert((repository, reference), at);
                }
            }
        }
    }

    fn lines(&self) -> Vec<Line> {
        let header = Line::Header {
            since: self.since,
            patterns: self.patterns.clone(),
        };
        let pulls = self
            .pulls
            .iter()
            .map(|((repository, reference), at)| Line::Pull {
                repository: repository.to_string(),
                reference: reference.to_string(),
                at: *at,
            });
        std::iter::once(header).chain(pulls).collect()
    }

    fn is_recording(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.starts_with('+'))
    }

    /// Drops the older half if there are too many. Whatever is not known then counts as pulled at the last time that was
    /// dropped.
    fn drop_oldest(&mut self) {
        if self.pulls.len() <= MAX_PULLS {
            return;
        }
        let mut times: Vec<u64> = self.pulls.values().copied().collect();
        let (_, middle, _) = times.select_nth_unstable(MAX_PULLS / 2);
        let limit = *middle;
        self.pulls.retain(|_, at| *at > limit);
        self.since = self.since.max(limit);
    }
}

/// Returns whether retention depends on pulls of the repositories of `entry`.
pub(super) fn records(entry: &RepositorySettings) -> bool {
    let mut rules = entry.retention.iter();
    rules.any(|rule| rule.not_pulled_for.is_some())
}

fn is_recording(settings: &Settings) -> bool {
    settings.repositories.iter().any(records)
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(patterns: &[&str]) -> Settings {
        let entries = patterns.iter().map(|pattern| {
            format!("- {{match: '{pattern}', retention: [{{tags: '*', not-pulled-for: 7d}}]}}\n")
        });
        let text = format!("repositories:\n{}", entries.collect::<String>());
        tranship_yaml::decode("test", &text, tranship_yaml::RepeatedKeys::Refuse).expect("settings")
    }

    fn seconds(log: &PullLog, repository: &str, tag: &str, digest: &Digest) -> u64 {
        let tag: Tag = tag.parse().expect("a tag");
        let last = log.last(&repository.parse().expect("a name"), &tag, digest);
        let last = last.duration_since(UNIX_EPOCH);
        last.expect("after 1970").as_secs()
    }

    #[test]
    fn a_pull_by_tag_or_digest_counts_and_otherwise_the_start() {
        let log = PullLog {
            state: None,
            known: Mutex::default(),
        };
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        for line in [
            Line::Header {
                since: 100,
                patterns: Vec::new(),
            },
            Line::Pull {
                repository: "app".to_owned(),
                reference: "v1".to_owned(),
                at: 200,
            },
            Line::Pull {
                repository: "app".to_owned(),
                reference: one.to_string(),
                at: 300,
            },
        ] {
            log.known().add(line);
        }
        assert_eq!(seconds(&log, "app", "v1", &other), 200);
        assert_eq!(seconds(&log, "app", "v1", &one), 300);
        assert_eq!(seconds(&log, "app", "v2", &other), 100);
        assert_eq!(seconds(&log, "other", "v1", &one), 100);
    }

    #[test]
    fn pulls_that_were_not_recorded_count_as_now() {
        let log = PullLog {
            state: None,
            known: Mutex::default(),
        };
        let digest = Digest::of(b"one");
        assert_eq!(seconds(&log, "app", "v1", &digest), 0);
        let begin = now();
        log.configure(&settings(&["app"]));
        assert!(seconds(&log, "app", "v1", &digest) >= begin);
        log.known().since = 7;
        log.configure(&settings(&["app"]));
        assert_eq!(seconds(&log, "app", "v1", &digest), 7);
        log.configure(&settings(&["other", "app"]));
        assert!(seconds(&log, "app", "v1", &digest) >= begin);
    }

    #[test]
    fn too_many_pulls_are_dropped_and_count_as_later_than_they_were() {
        let mut known = KnownPulls::default();
        for at in 0..=MAX_PULLS as u64 {
            let repository = "app".parse().expect("a name");
            let tag: Tag = format!("v{at}").parse().expect("a tag");
            known.pulls.insert((repository, TagOrDigest::Tag(tag)), at);
        }
        known.drop_oldest();
        assert_eq!(known.pulls.len(), MAX_PULLS / 2);
        assert_eq!(known.since, MAX_PULLS as u64 / 2);
    }
}
