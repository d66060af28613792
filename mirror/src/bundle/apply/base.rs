//! Looks for the content that a bundle expects at the destination, before anything is written.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{ContentKind, Error, ErrorKind, Repository, RepositoryName, Result, ResultExt as _};

use super::super::name::BundleName;
use super::super::node::RepositoryContents;
use super::source::Shared;

/// So much content is looked for at the same time.
const CONCURRENCY: usize = 16;

/// Checks that the destination has the content of the base that each repository needs: manifests in the same repository,
/// and blobs there or in another one. A manifest that is found is taken to be complete.
///
/// # Errors
/// `NotFound`, with what is missing.
pub(super) async fn check(
    shared: &Shared<'_>,
    repositories: &BTreeMap<&BundleName, RepositoryName>,
) -> Result<()> {
    let mut opened: BTreeMap<&RepositoryName, Arc<dyn Repository>> = BTreeMap::new();
    let mut manifests: Vec<(&RepositoryName, u32)> = Vec::new();
    let mut blobs: BTreeMap<u32, BTreeSet<RepositoryName>> = BTreeMap::new();
    for (name, repository) in repositories {
        let Some(contents) = shared.contents.lock.repositories().get(*name) else {
            continue;
        };
        let needed = needed(shared, contents);
        manifests.extend(needed.0.into_iter().map(|number| (repository, number)));
        for number in needed.1 {
            blobs.entry(number).or_default().insert(repository.clone());
        }
        opened.insert(repository, shared.destination.repository(repository).await?);
    }
    for (number, places) in &mut blobs {
        places.extend(shared.holders(*number)?);
    }
    let opened = &opened;
    let absent_manifests = stream::iter(manifests).map(|(repository, number)| async move {
        let found = has_manifest(shared, opened.get(repository), number).await?;
        Ok((!found).then_some(number))
    });
    let absent_manifests = absent_manifests.buffer_unordered(CONCURRENCY);
    let absent_blobs = stream::iter(blobs).map(|(number, places)| async move {
        let found = has_blob(shared, &places, number).await?;
        Ok((!found).then_some(number))
    });
    let absent_blobs = absent_blobs.buffer_unordered(CONCURRENCY);
    let absent: Vec<Option<u32>> = absent_manifests.chain(absent_blobs).try_collect().await?;
    let mut missing: Vec<u32> = absent.into_iter().flatten().collect();
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

async fn has_manifest(
    shared: &Shared<'_>,
    repository: Option<&Arc<dyn Repository>>,
    number: u32,
) -> Result<bool> {
    let Some(repository) = repository else {
        return Ok(false);
    };
    let descriptor = shared.contents.node(number)?.descriptor();
    let found = repository.exists(&descriptor).await;
    found.during("look for", descriptor.digest())
}

/// Returns whether one of the repositories has a blob.
async fn has_blob(
    shared: &Shared<'_>,
    places: &BTreeSet<RepositoryName>,
    number: u32,
) -> Result<bool> {
    let descriptor = shared.contents.node(number)?.descriptor();
    for place in places {
        let repository = shared.destination.repository(place).await?;
        let found = repository.blobs().exists(&descriptor).await;
        if found.during("look for", descriptor.digest())? {
            return Ok(true);
        }
    }
    Ok(false)
}
