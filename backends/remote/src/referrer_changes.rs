//! Changes of the lists of referrers that clients maintain where a registry has no referrers API.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tranship::{Descriptor, Digest, RepositoryName, Result};

/// A change of the list of referrers of one manifest.
#[derive(Debug, Clone)]
pub(crate) enum ReferrerChange {
    Add(Descriptor),
    Remove(Descriptor),
}

/// The pending changes of each list. Changes of one list that come at the same time are made together, with one read and
/// one write.
#[derive(Debug, Default)]
pub(crate) struct ReferrerQueues(Mutex<HashMap<(RepositoryName, Digest), Weak<Queue>>>);

#[derive(Debug, Default)]
struct Queue {
    /// The task that holds this makes all pending changes.
    turn: tokio::sync::Mutex<()>,
    pending: Mutex<Vec<PendingChange>>,
}

#[derive(Debug, Clone)]
struct PendingChange {
    change: ReferrerChange,
    /// Set when the change is made. The waiting task holds a second reference until it is dropped.
    made: Arc<Mutex<bool>>,
}

impl ReferrerQueues {
    fn queue(&self, repository: &RepositoryName, subject: &Digest) -> Arc<Queue> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = queues.entry((repository.clone(), *subject)).or_default();
        queue.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Queue::default());
            *queue = Arc::downgrade(&new);
            new
        })
    }

    /// Makes `change` of the list for `subject`, together with all other pending changes of it. `apply` reads the list,
    /// makes the changes that it is given, and writes the list.
    ///
    /// If the future is dropped, the change may or may not be made, and the changes of other tasks stay pending.
    ///
    /// # Errors
    /// Those of `apply`. The changes of other tasks stay pending.
    pub(crate) async fn submit<F: Future<Output = Result<()>>>(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        change: ReferrerChange,
        apply: impl FnOnce(Vec<ReferrerChange>) -> F,
    ) -> Result<()> {
        let queue = self.queue(repository, subject);
        let made = Arc::new(Mutex::new(false));
        lock(&queue.pending).push(PendingChange {
            change,
            made: Arc::clone(&made),
        });
        let _turn = queue.turn.lock().await;
        if *lock(&made) {
            return Ok(());
        }
        // Changes leave the queue when they are made. If this future fails or is dropped, the next task makes the changes
        // of the others, but not this one, because no task waits for it.
        let taken: Vec<PendingChange> = {
            let mut pending = lock(&queue.pending);
            pending.retain(|each| Arc::strong_count(&each.made) > 1);
            pending.clone()
        };
        let changes = taken.iter().map(|each| each.change.clone()).collect();
        let outcome = apply(changes).await;
        lock(&queue.pending).retain(|each| match &outcome {
            Ok(()) => !taken
                .iter()
                .any(|taken| Arc::ptr_eq(&taken.made, &each.made)),
            Err(_) => !Arc::ptr_eq(&made, &each.made),
        });
        if outcome.is_ok() {
            for each in &taken {
                *lock(&each.made) = true;
            }
        }
        outcome
    }
}

/// Returns the list after the changes, and `None` if they do not change it.
pub(crate) fn applied(
    before: &[Descriptor],
    changes: &[ReferrerChange],
) -> Option<Vec<Descriptor>> {
    let mut known = HashSet::new();
    let mut after: Vec<Descriptor> = Vec::new();
    for referrer in before {
        if known.insert(*referrer.digest()) {
            after.push(referrer.clone());
        }
    }
    let had_duplicates = after.len() != before.len();
    let old = known.clone();
    for change in changes {
        match change {
            ReferrerChange::Add(referrer) if known.insert(*referrer.digest()) => {
                after.push(referrer.clone());
            }
            ReferrerChange::Remove(referrer) if known.remove(referrer.digest()) => {
                after.retain(|each| each.digest() != referrer.digest());
            }
            _ => {}
        }
    }
    (had_duplicates || known != old).then_some(after)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tranship::MediaType;

    fn referrer(number: &str) -> Descriptor {
        Descriptor::of(MediaType::IMAGE_MANIFEST, number.as_bytes())
    }

    /// Numbers for descriptors, `+` and `-` for changes; `same` for no update.
    fn after(before: &str, changes: &str) -> String {
        let before: Vec<_> = before.split_whitespace().map(referrer).collect();
        let changes: Vec<_> = changes
            .split_whitespace()
            .map(|change| match change.split_at(1) {
                ("+", number) => ReferrerChange::Add(referrer(number)),
                (_, number) => ReferrerChange::Remove(referrer(number)),
            })
            .collect();
        let Some(after) = applied(&before, &changes) else {
            return "same".to_owned();
        };
        let number_of = |each: &Descriptor| {
            let numbers = (0..10).map(|number| number.to_string());
            let mut fitting = numbers.filter(|number| referrer(number) == *each);
            fitting.next().expect("one of them")
        };
        after.iter().map(number_of).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn changes_are_merged_in_their_order() {
        for (before, changes, expected) in [
            ("", "+0 +1 +2", "0 1 2"),
            ("0 1", "+2 +1 +1 +3 +2", "0 1 2 3"),
            ("0 1 2", "-2 -1 -3 -2 -4", "0"),
            ("0 1 2", "-2 -0 -1", ""),
            ("0 1 2", "+1 +3 +3 -3 +4", "0 1 2 4"),
            ("0 1 2", "+1 +3 -3 +3 +4", "0 1 2 3 4"),
            ("0 1 2", "-2 +3 +2", "0 1 3 2"),
            ("0 1 0 2 3 1", "+2 +2 -3", "0 1 2"),
            ("0 1 2", "+3 -2 +4 -4 +2 -3", "same"),
            ("0 1 2", "-2 -0 +0 +2", "same"),
            ("0 1 0 2 1", "-2 -0 +0 +2", "1 0 2"),
            ("", "-1", "same"),
        ] {
            assert_eq!(after(before, changes), expected, "{before} {changes}");
        }
    }
}
