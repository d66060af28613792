//! Changes of the lists that we keep where a registry has no referrers API. Those that come at the
//! same time are made together, and where the registry lets us, on the condition that nobody else
//! was faster.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tranship::{Descriptor, Digest, Error, ErrorKind, Index, RepositoryName, Result};

use super::fallback;
use crate::handle::Handle;
use crate::transport::Retries;

/// How often in a row others may be faster.
const MAX_LOST: u32 = 20;

#[derive(Debug, Clone)]
pub(super) enum Change {
    Add(Descriptor),
    Remove(Descriptor),
}

/// The changes that wait, by the list that they are about.
#[derive(Debug, Default)]
pub(crate) struct Updates(Mutex<HashMap<(RepositoryName, Digest), Weak<Queue>>>);

#[derive(Debug, Default)]
struct Queue {
    /// Who has it makes all changes that wait.
    turn: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<Waiting>>,
}

#[derive(Debug, Clone)]
struct Waiting {
    change: Change,
    /// Held by who waits for it as well, and so gone when they no longer do.
    made: Arc<Mutex<bool>>,
}

impl Updates {
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
}

/// Makes a change, together with all others of the same list that wait.
pub(super) async fn change(handle: &Handle, subject: &Digest, change: Change) -> Result<()> {
    let queue = handle.shared.updates.queue(&handle.name, subject);
    let made = Arc::new(Mutex::new(false));
    lock(&queue.waiting).push(Waiting {
        change,
        made: Arc::clone(&made),
    });
    let _turn = queue.turn.lock().await;
    if *lock(&made) {
        return Ok(());
    }
    // They leave the queue when they are made. If this fails or is dropped, whoever is next makes
    // those of the others, but no longer the one that nobody waits for.
    let taken: Vec<Waiting> = {
        let mut waiting = lock(&queue.waiting);
        waiting.retain(|each| Arc::strong_count(&each.made) > 1);
        waiting.clone()
    };
    let changes: Vec<Change> = taken.iter().map(|each| each.change.clone()).collect();
    let outcome = make(handle, subject, &changes).await;
    lock(&queue.waiting).retain(|each| match &outcome {
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

async fn make(handle: &Handle, subject: &Digest, changes: &[Change]) -> Result<()> {
    let policy = handle.transport().options().retry;
    let mut retries = Retries::new(policy.with_max_retries(MAX_LOST));
    loop {
        let before = fallback::read(handle, subject).await?;
        let list = before
            .as_ref()
            .map_or(&[][..], |list| &list.index.manifests);
        let Some(after) = applied(list, changes) else {
            return Ok(());
        };
        let index = match &before {
            Some(list) => {
                let mut index = list.index.clone();
                index.manifests = after;
                index
            }
            None => Index::new(after),
        };
        if fallback::write(handle, subject, &index, before.as_ref()).await? {
            return Ok(());
        }
        if !retries.pause(None).await {
            return Err(Error::new(
                ErrorKind::Conflict,
                "others keep changing the list of referrers",
            )
            .with_subject(subject)
            .with_retryable(true));
        }
    }
}

/// The list after the changes; `None` if it is as good as it was.
fn applied(before: &[Descriptor], changes: &[Change]) -> Option<Vec<Descriptor>> {
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
            Change::Add(referrer) if known.insert(*referrer.digest()) => {
                after.push(referrer.clone());
            }
            Change::Remove(referrer) if known.remove(referrer.digest()) => {
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
                ("+", number) => Change::Add(referrer(number)),
                (_, number) => Change::Remove(referrer(number)),
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
