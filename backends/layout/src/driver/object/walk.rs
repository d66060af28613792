//! Finds the layouts below a prefix, in the order of their repositories' names.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore as _};
use tranship::{RepositoryName, Result};

use super::bucket::Bucket;
use super::errors::failed;
use super::keys::child;
use crate::driver::repository_path::component_of;
use crate::driver::{BLOBS, INDEX};
use crate::index::{MAX_EMPTY_INDEX, lists_nothing};

/// How many prefixes are listed at the same time.
const AHEAD: usize = 16;

/// A walk that can be continued after any name. It lists a prefix when it reaches it.
#[derive(Debug)]
pub(super) struct Walk {
    bucket: Arc<Bucket>,
    last: Option<String>,
    /// By name in descending order. In this order, `a-b` is between `a` and `a/b`.
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    name: String,
    prefix: Path,
    listed: Option<Listed>,
}

#[derive(Debug)]
struct Listed {
    is_layout: bool,
    below: Vec<(String, Path)>,
}

impl Walk {
    /// Starts a walk of `prefix` for names after `last`.
    pub(super) async fn new(
        bucket: &Arc<Bucket>,
        prefix: &Path,
        last: Option<String>,
    ) -> Result<Self> {
        let mut walk = Self {
            bucket: Arc::clone(bucket),
            last,
            steps: Vec::new(),
        };
        let root = list(bucket, "", prefix).await?;
        walk.add(root.below);
        Ok(walk)
    }

    /// Returns the next names: `count`, or fewer at the end.
    pub(super) async fn next(&mut self, count: usize) -> Result<Vec<RepositoryName>> {
        let mut names = Vec::new();
        while names.len() < count && !self.steps.is_empty() {
            self.prefetch().await?;
            let Some(step) = self.steps.pop() else {
                break;
            };
            let Some(listed) = step.listed else {
                continue;
            };
            let is_after = self.last.as_ref().is_none_or(|last| *last < step.name);
            if listed.is_layout
                && is_after
                && let Ok(name) = step.name.parse()
            {
                names.push(name);
            }
            self.add(listed.below);
        }
        Ok(names)
    }

    /// Lists the next prefixes, if the very next one has not been listed.
    async fn prefetch(&mut self) -> Result<()> {
        if self.steps.last().is_none_or(|step| step.listed.is_some()) {
            return Ok(());
        }
        let next = self.steps.split_off(self.steps.len().saturating_sub(AHEAD));
        let bucket = &self.bucket;
        let listed: Vec<Step> = stream::iter(next)
            .map(|step| async move {
                if step.listed.is_some() {
                    return Ok(step);
                }
                let below = format!("{}/", step.name);
                let listed = list(bucket, &below, &step.prefix).await?;
                Ok(Step {
                    listed: Some(listed),
                    ..step
                })
            })
            .buffered(AHEAD)
            .try_collect()
            .await?;
        self.steps.extend(listed);
        Ok(())
    }

    fn add(&mut self, found: Vec<(String, Path)>) {
        if found.is_empty() {
            return;
        }
        let last = self.last.as_deref();
        let steps = found
            .into_iter()
            .filter(|(name, _)| last.is_none_or(|last| may_lead_after(name, last)))
            .map(|(name, prefix)| Step {
                name,
                prefix,
                listed: None,
            });
        self.steps.extend(steps);
        self.steps.sort_by(|one, other| other.name.cmp(&one.name));
    }
}

/// Returns whether `name`, or a name below it, may be after `last`.
fn may_lead_after(name: &str, last: &str) -> bool {
    let below = format!("{name}/");
    name > last || below.as_str() > last || last.starts_with(&below)
}

async fn list(bucket: &Bucket, names: &str, prefix: &Path) -> Result<Listed> {
    let found = bucket
        .store()
        .list_with_delimiter(Some(prefix))
        .await
        .map_err(|error| failed(bucket.url(), "listed", prefix, error))?;
    let is_index = |location: &Path| location.filename() == Some(INDEX);
    let below = found.common_prefixes.into_iter().filter_map(|prefix| {
        let component = prefix.filename().and_then(component_of)?;
        let name = format!("{names}{component}");
        Some((name, prefix))
    });
    let index = found
        .objects
        .iter()
        .find(|object| is_index(&object.location));
    Ok(Listed {
        is_layout: match index {
            Some(index) => has_content(bucket, prefix, index).await?,
            None => false,
        },
        below: below.collect(),
    })
}

/// Returns whether the layout at `prefix` lists a manifest or has a blob. Deletes and garbage collection leave layouts
/// without either.
async fn has_content(bucket: &Bucket, prefix: &Path, index: &ObjectMeta) -> Result<bool> {
    if index.size > MAX_EMPTY_INDEX {
        return Ok(true);
    }
    match inspect(bucket, &index.location).await? {
        IndexListing::Absent => Ok(false),
        IndexListing::Something => Ok(true),
        IndexListing::Nothing { .. } => has_blobs(bucket, prefix).await,
    }
}

/// Returns whether the layout at `prefix` has no blob, and an index that lists nothing and was written before `time`, by
/// the clock of the store. A layout without an index is empty, too.
pub(super) async fn is_empty_since(
    bucket: &Bucket,
    prefix: &Path,
    time: SystemTime,
) -> Result<bool> {
    match inspect(bucket, &child(prefix, INDEX)).await? {
        IndexListing::Absent => Ok(true),
        IndexListing::Nothing { written } if written < time => {
            Ok(!has_blobs(bucket, prefix).await?)
        }
        IndexListing::Nothing { .. } | IndexListing::Something => Ok(false),
    }
}

/// What an index lists.
enum IndexListing {
    /// The index does not exist.
    Absent,
    /// Nothing, since it was written.
    Nothing {
        written: SystemTime,
    },
    Something,
}

async fn inspect(bucket: &Bucket, key: &Path) -> Result<IndexListing> {
    let Some(found) = bucket.get(key, GetOptions::default()).await? else {
        return Ok(IndexListing::Absent);
    };
    let written = found.meta.last_modified.into();
    let content = bucket.content(key, found, MAX_EMPTY_INDEX).await;
    Ok(if content.is_ok_and(|content| lists_nothing(&content)) {
        IndexListing::Nothing { written }
    } else {
        IndexListing::Something
    })
}

/// Returns whether there is anything below the `blobs/` of the layout at `prefix`.
pub(super) async fn has_blobs(bucket: &Bucket, prefix: &Path) -> Result<bool> {
    let blobs = prefix.clone().join(BLOBS);
    let mut blobs = bucket.store().list(Some(&blobs));
    let first = blobs.try_next().await;
    let first = first.map_err(|error| failed(bucket.url(), "listed", prefix, error))?;
    Ok(first.is_some())
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt as _;
    use object_store::memory::InMemory;

    use super::*;
    use crate::options::LayoutOptions;

    const LISTS_ONE: &str = r#"{"manifests":[{"digest":"blake3:00","size":1}]}"#;

    async fn layouts(names: &[&str]) -> Arc<Bucket> {
        let store = InMemory::new();
        for name in names {
            let key = Path::from(format!("root/{name}/{INDEX}"));
            store.put(&key, LISTS_ONE.into()).await.expect("stored");
        }
        let bucket = Bucket::new(Arc::new(store), &LayoutOptions::default());
        Arc::new(bucket)
    }

    async fn names(bucket: &Arc<Bucket>, last: Option<&str>, page: usize) -> Vec<String> {
        let root = Path::from("root");
        let walk = Walk::new(bucket, &root, last.map(Into::into)).await;
        let mut walk = walk.expect("a walk");
        let mut all = Vec::new();
        loop {
            let names = walk.next(page).await.expect("readable");
            let is_last = names.len() < page;
            all.extend(names.iter().map(|name| name.as_str().to_owned()));
            if is_last {
                return all;
            }
        }
    }

    const SORTED: [&str; 8] = ["a", "a-b", "a-b/c", "a.b", "a/b", "a/b/c", "a0", "b/c/d"];

    #[tokio::test]
    async fn names_are_in_their_own_order_not_in_that_of_keys() {
        let bucket = layouts(&SORTED).await;
        assert_eq!(names(&bucket, None, 100).await, SORTED);
        assert_eq!(names(&bucket, None, 1).await, SORTED);
    }

    #[tokio::test]
    async fn a_walk_continues_after_any_name_that_exists_or_not() {
        let bucket = layouts(&SORTED).await;
        let candidates = SORTED
            .into_iter()
            .chain(["", "a-", "a/", "a/a", "a/b/", "a00", "z"]);
        for last in candidates {
            let after: Vec<_> = SORTED.into_iter().filter(|name| *name > last).collect();
            assert_eq!(names(&bucket, Some(last), 100).await, after, "{last}");
        }
    }

    #[tokio::test]
    async fn a_layout_without_manifests_and_blobs_is_skipped() {
        let bucket = layouts(&["a", "b", "c", "d"]).await;
        for (key, content) in [
            ("root/b/index.json", r#"{"manifests":[]}"#),
            ("root/c/index.json", r#"{"manifests":[]}"#),
            ("root/c/blobs/sha256/00", ""),
            ("root/d/index.json", "torn"),
        ] {
            let key = Path::from(key);
            let stored = bucket.store().put(&key, content.into()).await;
            stored.expect("stored");
        }
        assert_eq!(names(&bucket, None, 100).await, ["a", "c", "d"]);
    }

    #[tokio::test]
    async fn prefixes_without_an_index_and_foreign_ones_are_skipped() {
        let bucket = layouts(&["a", "a/blobs", "B", ".c", "_d", "_blobs"]).await;
        let loose = Path::from("root/empty/blobs/x");
        bucket.store().put(&loose, "".into()).await.expect("stored");
        assert_eq!(names(&bucket, None, 100).await, ["a", "blobs"]);
    }
}
