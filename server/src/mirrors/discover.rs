//! Searches a registry for content that mirrors have stored.

use std::collections::HashSet;

use futures_util::TryStreamExt as _;
use tranship::layers::CachedContent;
use tranship::{
    ContentKind, Descriptor, Digest, ListOptions, MAX_MANIFEST_SIZE, Registry, Repository,
    RepositoryName, Result, successors,
};

use super::Mirror;

/// Passes to `found` all content that can be reached from a tag of a mirrored repository. Content without a tag is found
/// when it is read.
pub(super) async fn discover(
    local: &dyn Registry,
    mirrors: &[Mirror],
    found: impl Fn(CachedContent) + Send,
) -> Result<()> {
    for mirror in mirrors {
        // The names follow their prefix in the order of the list.
        let options = ListOptions::default().with_last(mirror.prefix.as_str());
        let mut names = local.repositories(options);
        while let Some(name) = names.try_next().await? {
            if mirror.image(&name).is_none() {
                // Names such as `docker.io-other/app` are between.
                if name.as_str() > format!("{}0", mirror.prefix).as_str() {
                    break;
                }
                continue;
            }
            let repository = local.repository(&name).await?;
            discover_in(&*repository, &name, &found).await?;
        }
    }
    Ok(())
}

async fn discover_in(
    repository: &dyn Repository,
    name: &RepositoryName,
    found: &(impl Fn(CachedContent) + Send),
) -> Result<()> {
    let mut seen: HashSet<Digest> = HashSet::new();
    let mut tags = repository.list_tags(ListOptions::default());
    while let Some(tag) = tags.try_next().await? {
        let Some(manifest) = present(repository.resolve(&tag.into()).await)? else {
            continue;
        };
        let mut nodes: Vec<Descriptor> = vec![manifest];
        while let Some(node) = nodes.pop() {
            if !seen.insert(*node.digest()) || !repository.exists(&node).await? {
                continue;
            }
            let kind = match node.media_type().is_manifest() {
                true => ContentKind::Manifest,
                false => ContentKind::Blob,
            };
            let referred = successors(repository, &node, MAX_MANIFEST_SIZE).await;
            nodes.extend(present(referred)?.unwrap_or_default());
            found(CachedContent::new(name.clone(), kind, node.plain()));
        }
    }
    Ok(())
}

/// Returns `None` for content that another process has deleted.
fn present<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
