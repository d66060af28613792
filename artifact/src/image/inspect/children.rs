//! Fetches and describes the manifests that a reference consists of.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{
    Descriptor, Digest, ManifestDocument, Repository, Result, ResultExt as _, fetch_document,
};

use super::InspectOptions;
use super::describe::{self, ImageFacts};
use super::model::ManifestSummary;
use crate::image::config::{fetch_config, is_image_config};
use crate::image::select::{MAX_INDEX_DEPTH, MAX_LISTED, too_many};

/// Describes the manifest `root`, or those that it lists.
pub(super) async fn describe_all(
    repository: &dyn Repository,
    root: &Descriptor,
    document: &ManifestDocument,
    options: &InspectOptions,
) -> Result<Vec<ManifestSummary>> {
    let ManifestDocument::Index(index) = document else {
        return Ok(vec![
            describe(repository, root, Some(document), options).await?,
        ]);
    };
    let mut entries = index.manifests.clone();
    // Those of nested indexes, one level after another, each in place of the index that lists it.
    let mut seen: HashSet<Digest> = HashSet::from([*root.digest()]);
    for depth in 0.. {
        if entries.len() > MAX_LISTED {
            return Err(too_many(format!(
                "the index lists more than {MAX_LISTED} manifests"
            )));
        }
        let nested: Vec<Descriptor> = entries
            .iter()
            .filter(|entry| entry.media_type().is_index() && seen.insert(*entry.digest()))
            .cloned()
            .collect();
        if nested.is_empty() {
            break;
        }
        if depth == MAX_INDEX_DEPTH {
            return Err(too_many(format!(
                "indexes are nested more than {MAX_INDEX_DEPTH} levels deep"
            )));
        }
        let mut listed: HashMap<Digest, Vec<Descriptor>> = stream::iter(nested)
            .map(|entry| async move {
                let document = fetch(repository, &entry, options).await?;
                Ok::<_, tranship::Error>(match document {
                    Some(ManifestDocument::Index(index)) => {
                        Some((*entry.digest(), index.manifests))
                    }
                    _ => None,
                })
            })
            .buffer_unordered(options.concurrency)
            .try_filter_map(|listed| async move { Ok(listed) })
            .try_collect()
            .await?;
        entries = entries
            .into_iter()
            .flat_map(|entry| match listed.remove(entry.digest()) {
                Some(children) => children,
                None => vec![entry],
            })
            .collect();
    }
    stream::iter(entries)
        .map(|entry| async move {
            let document = fetch(repository, &entry, options).await?;
            describe(repository, &entry, document.as_ref(), options).await
        })
        .buffered(options.concurrency)
        .try_collect()
        .await
}

/// Reads a manifest that an index lists; `None` if the repository does not have it, or if it is not a manifest.
async fn fetch(
    repository: &dyn Repository,
    entry: &Descriptor,
    options: &InspectOptions,
) -> Result<Option<ManifestDocument>> {
    match fetch_document(repository, entry, options.max_manifest_size).await {
        Err(error) if error.is_not_found() => Ok(None),
        outcome => outcome.during("fetch", entry.digest()),
    }
}

/// Describes a manifest, and reads its config if it is an image.
async fn describe(
    repository: &dyn Repository,
    entry: &Descriptor,
    document: Option<&ManifestDocument>,
    options: &InspectOptions,
) -> Result<ManifestSummary> {
    let mut facts = ImageFacts::default();
    if let Some(ManifestDocument::Manifest(manifest)) = document
        && is_image_config(manifest.config.media_type())
    {
        let config = fetch_config(repository, &manifest.config, options.max_manifest_size).await;
        match config {
            Ok(config) => facts = ImageFacts::of(config, manifest.layers.len()),
            // Sizes and layers are known without it.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(describe::manifest(entry, document, facts))
}
