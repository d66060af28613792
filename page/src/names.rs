//! The names that searches for repositories look at.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tranship::{ListOptions, Registry, RepositoryName, Result};

/// How old the names may be. Someone who types causes a search with each letter.
const LONGEST_AGE: Duration = Duration::from_secs(5);

/// How many names are kept.
const MAX_KEPT: usize = 50_000;

/// All names of a registry, kept for a short time, since a registry on a disk opens every directory to list them.
#[derive(Debug, Default)]
pub(crate) struct NameCache(Mutex<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    since: Instant,
    names: Option<Arc<[RepositoryName]>>,
}

impl NameCache {
    /// Returns the names of all repositories, in their order, from a listing that is at most 5 seconds old; `None` if
    /// there are too many to keep, or listing them did not end before `deadline`. Requests at the same time share one listing.
    ///
    /// # Errors
    /// Those of [`Registry::repositories`].
    pub(crate) async fn get(
        &self,
        registry: &dyn Registry,
        deadline: Instant,
    ) -> Result<Option<Arc<[RepositoryName]>>> {
        let Ok(mut kept) = timeout_at(deadline, self.0.lock()).await else {
            return Ok(None);
        };
        if let Some(kept) = &*kept
            && kept.since.elapsed() < LONGEST_AGE
        {
            return Ok(kept.names.clone());
        }
        let since = Instant::now();
        let listing = registry.repositories(ListOptions::default());
        let listed = listing.take(MAX_KEPT + 1).try_collect::<Vec<_>>();
        let names = match timeout_at(deadline, listed).await {
            Ok(names) => Some(names?).filter(|names| names.len() <= MAX_KEPT),
            Err(_) => None,
        };
        let names: Option<Arc<[RepositoryName]>> = names.map(Arc::from);
        *kept = Some(Kept {
            since,
            names: names.clone(),
        });
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use tranship::{MediaType, push_bytes};
    use tranship_memory::MemoryRegistry;

    use super::*;

    async fn add(registry: &MemoryRegistry, name: &str) {
        let name = name.parse().expect("a name");
        let repository = registry.repository(&name).await.expect("opened");
        let content = b"content".as_slice();
        push_bytes(&*repository, MediaType::OCTET_STREAM, content)
            .await
            .expect("pushed");
    }

    async fn names(cache: &NameCache, registry: &MemoryRegistry) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(2);
        let names = cache.get(registry, deadline).await.expect("listed");
        let names = names.expect("few enough");
        names.iter().map(ToString::to_string).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_listed_again_when_they_are_five_seconds_old() {
        let (cache, registry) = (NameCache::default(), MemoryRegistry::new());
        add(&registry, "b").await;
        assert_eq!(names(&cache, &registry).await, ["b"]);
        add(&registry, "a").await;
        tokio::time::advance(Duration::from_millis(4_999)).await;
        assert_eq!(names(&cache, &registry).await, ["b"], "kept");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(names(&cache, &registry).await, ["a", "b"]);
    }
}
