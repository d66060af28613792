//! Looks for the content that a bundle expects at the destination, before anything is written.

use std::collections::{BTreeMap, HashMap, HashSet};

use tranship::{ContentKind, Error, ErrorKind, Repository, RepositoryName, Result, ResultExt as _};

use super::super::name::BundleName;
use super::super::node::RepositoryContents;
use super::source::Shared;

/// Checks that the destination has the content of the base that each repository needs: manifests in the same repository,
/// and blobs there or in another one. A manifest that is found is taken to be complete.
///
/// # Errors
/// `NotFound`, with what is missing.
pub(super) async fn check(
    shared: &Shared<'_>,
    repositories: &BTreeMap<&BundleName, RepositoryName>,
) -> Result<()> {
    let mut missing: Vec<u32> = Vec::new();
    let mut found_blobs: HashSet<u32> = HashSet::new();
    let mut opened = HashMap::new();
    for (name, repository) in repositories {
        let Some(contents) = shared.contents.lock.repositories().get(*name) else {
            continue;
        };
        let (manifests, blobs) = needed(shared, contents);
        if manifests.is_empty() && blobs.is_empty() {
            continue;
        }
        let to = shared.destination.repository(repository).await?;
        for number in manifests {
            let descriptor = shared.contents.node(number)?.descriptor();
            if !to
                .exists(&descriptor)
                .await
                .during("look for", descriptor.digest())?
            {
                missing.push(number);
            }
        }
        for number in blobs {
            if found_blobs.contains(&number) {
                continue;
            }
            if has_blob(shared, &*to, number, &mut opened).await? {
                found_blobs.insert(number);
            } else {
                missing.push(number);
            }
        }
    }
    missing.sort_unstable();
    missing.dedup();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    let what = shared.contents.describe(*first);
    let message = match missing.len() {
        1 => format!("the destination lacks {what}, which the bundle expects there"),
        count => format!(
            "the destination lacks {count} pieces of content that the bundle expects there, such as {what}"
        ),
    };
    Err(Error::new(ErrorKind::NotFound, message).with_hint(
        "first apply the bundle that was the base of this one, or make a bundle without a base",
    ))
}

/// Returns the manifests and blobs of the base that a repository needs, apart from what other manifests of the base lead
/// to.
fn needed(shared: &Shared<'_>, repository: &RepositoryContents) -> (Vec<u32>, Vec<u32>) {
    let contents = &shared.contents;
    let mut below_base: HashSet<u32> = HashSet::new();
    let mut wanted: HashSet<u32> = HashSet::new();
    for number in &repository.manifests {
        let Some(node) = contents.lock.get(*number) else {
            continue;
        };
        if contents.is_in_base(*number) {
            below_base.extend(node.children.iter());
            wanted.insert(*number);
        } else {
            let children = node.children.iter().copied();
            wanted.extend(children.filter(|child| contents.is_in_base(*child)));
        }
    }
    let mut wanted: Vec<u32> = wanted
        .into_iter()
        .filter(|number| !below_base.contains(number))
        .collect();
    wanted.sort_unstable();
    wanted.into_iter().partition(|number| {
        let node = contents.lock.get(*number);
        node.is_some_and(|node| node.kind() == ContentKind::Manifest)
    })
}

async fn has_blob(
    shared: &Shared<'_>,
    to: &dyn Repository,
    number: u32,
    opened: &mut HashMap<RepositoryName, std::sync::Arc<dyn Repository>>,
) -> Result<bool> {
    let descriptor = shared.contents.node(number)?.descriptor();
    if to
        .blobs()
        .exists(&descriptor)
        .await
        .during("look for", descriptor.digest())?
    {
        return Ok(true);
    }
    for holder in shared.holders(number)? {
        let repository = match opened.get(&holder) {
            Some(repository) => std::sync::Arc::clone(repository),
            None => {
                let repository = shared.destination.repository(&holder).await?;
                opened.insert(holder.clone(), std::sync::Arc::clone(&repository));
                repository
            }
        };
        let found = repository.blobs().exists(&descriptor).await;
        if found.during("look for", descriptor.digest())? {
            return Ok(true);
        }
    }
    Ok(false)
}
