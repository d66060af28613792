//! Searches a registry for content that mirrors have stored.

use std::collections::HashSet;
use std::future::ready;
use std::pin::pin;

use futures_util::{Stream, TryStreamExt as _};
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
        let mut names = pin!(stored_names(local, &mirror.prefix));
        while let Some(name) = names.try_next().await? {
            let repository = local.repository(&name).await?;
            discover_in(&*repository, &name, &found).await?;
        }
    }
    Ok(())
}

/// Lists the repositories of the mirror with this prefix in the local registry.
pub(super) fn stored_names<'a>(
    local: &'a dyn Registry,
    prefix: &RepositoryName,
) -> impl Stream<Item = Result<RepositoryName>> + Send + use<'a> {
    // The names follow their prefix in the order of the list, and names such as `docker.io-other/app` are between.
    let options = ListOptions::default().with_last(prefix.as_str());
    let (start, end) = (format!("{prefix}/"), format!("{prefix}0"));
    local
        .repositories(options)
        .try_take_while(move |name| ready(Ok(name.as_str() < end.as_str())))
        .try_filter(move |name| ready(name.as_str().starts_with(&start)))
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
