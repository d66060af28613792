//! The repositories of a registry that are in use, and those that were used last.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use tranship::RepositoryName;

use crate::store::Store;

/// How many of the repositories that were used last are kept. Each has its index in memory and one open file.
const MAX_RECENT: usize = 32;

/// How many further ones are kept whose index is large: to read one of 100,000 entries again takes 0.2 s of CPU time.
const MAX_LARGE: usize = 8;

/// From so many entries on, an index is large.
const LARGE: usize = 5_000;

/// The repositories in use. All users of a repository share its index in memory and its batches of changes.
#[derive(Debug, Default)]
pub(crate) struct RecentStores {
    known: HashMap<RepositoryName, Weak<Store>>,
    /// Those that were used last, the last one at the end, so that one request after the other need not read the
    /// index anew.
    recent: VecDeque<Arc<Store>>,
    /// Large ones that were used before those.
    large: VecDeque<Arc<Store>>,
}

impl RecentStores {
    pub(crate) fn get(&mut self, name: &RepositoryName) -> Option<Arc<Store>> {
        let store = self.known.get(name)?.upgrade()?;
        self.touch(&store);
        Some(store)
    }

    /// Adds a repository, or returns the store that it already has.
    pub(crate) fn insert(&mut self, name: &RepositoryName, store: Store) -> Arc<Store> {
        if let Some(store) = self.get(name) {
            return store;
        }
        let store = Arc::new(store);
        if self.known.len() >= 4 * MAX_RECENT {
            self.known.retain(|_, store| store.strong_count() > 0);
        }
        self.known.insert(name.clone(), Arc::downgrade(&store));
        self.touch(&store);
        store
    }

    fn touch(&mut self, store: &Arc<Store>) {
        for stores in [&mut self.recent, &mut self.large] {
            stores.retain(|other| !Arc::ptr_eq(other, store));
        }
        self.recent.push_back(Arc::clone(store));
        if self.recent.len() > MAX_RECENT
            && let Some(oldest) = self.recent.pop_front()
            && oldest.known_entries() >= LARGE
        {
            self.large.push_back(oldest);
            if self.large.len() > MAX_LARGE {
                self.large.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayoutRegistry;

    /// Writes a layout whose index has `entries` entries with tags.
    fn write_layout(directory: &std::path::Path, entries: usize) {
        let descriptor = format!(
            r#""mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{:064}","size":2"#,
            0
        );
        let entries: Vec<_> = (0..entries)
            .map(|number| {
                format!(
                    r#"{{{descriptor},"annotations":{{"org.opencontainers.image.ref.name":"v{number}"}}}}"#
                )
            })
            .collect();
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            entries.join(",")
        );
        std::fs::create_dir_all(directory).expect("a directory");
        std::fs::write(
            directory.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .expect("a layout");
        std::fs::write(directory.join("index.json"), index).expect("an index");
    }

    async fn look_at(registry: &LayoutRegistry, name: &str) {
        let layout = registry.layout(&name.parse().expect("a name")).await;
        let tags = tranship::tags(&layout.expect("opened")).await;
        assert!(!tags.expect("readable").is_empty());
    }

    #[tokio::test]
    async fn a_large_index_stays_in_memory_while_many_small_repositories_are_used() {
        let root = tempfile::tempdir().expect("a directory");
        let registry = LayoutRegistry::open(root.path()).await.expect("opened");
        let small: Vec<_> = (0..2 * MAX_RECENT).map(|n| format!("small{n}")).collect();
        let large: Vec<_> = (0..=MAX_LARGE).map(|n| format!("large{n}")).collect();
        let all = || small.iter().chain(&large);
        for name in all() {
            let entries = if large.contains(name) { LARGE } else { 1 };
            write_layout(&root.path().join(name), entries);
        }
        for name in large.iter().chain(&small) {
            look_at(&registry, name).await;
        }
        let stores = registry.open_stores();
        let mut kept: Vec<_> = all()
            .filter(|name| stores.is_kept(&name.parse().expect("a name")))
            .collect();
        kept.sort_unstable();
        let mut expected: Vec<_> = small[MAX_RECENT..].iter().chain(&large[1..]).collect();
        expected.sort_unstable();
        assert_eq!(kept, expected);
    }

    impl RecentStores {
        fn is_kept(&self, name: &RepositoryName) -> bool {
            self.known
                .get(name)
                .is_some_and(|store| store.strong_count() > 0)
        }
    }
}
