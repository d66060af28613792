//! The manifests that manifests lead to.

use std::collections::HashMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{
    Descriptor, Digest, Error, ErrorKind, Fetcher, MAX_MANIFEST_SIZE, ManifestDocument, Result,
    ResultExt as _, fetch_document,
};

/// So many requests are under way at a time.
pub(super) const CONCURRENCY: usize = 8;

/// More manifests are not followed, so that memory stays bounded: about 300 bytes each.
const MAX_MANIFESTS: usize = 1_000_000;

/// Returns the manifests `roots`, and everything that they lead to: the entries of indexes and, with `subjects`, what a
/// manifest refers to. A missing manifest leads nowhere.
pub(super) async fn reachable(
    repository: &dyn Fetcher,
    roots: Vec<Descriptor>,
    subjects: bool,
) -> Result<HashMap<Digest, Descriptor>> {
    let mut found: HashMap<Digest, Descriptor> = HashMap::new();
    let mut next = roots;
    while !next.is_empty() {
        next.retain(|node| found.insert(*node.digest(), node.plain()).is_none());
        if found.len() > MAX_MANIFESTS {
            return Err(Error::new(
                ErrorKind::SizeExceedsLimit,
                format!("the repository has more than {MAX_MANIFESTS} manifests"),
            ));
        }
        let documents = stream::iter(std::mem::take(&mut next))
            .map(|node| async move { document(repository, &node).await })
            .buffer_unordered(CONCURRENCY);
        next = documents
            .try_fold(Vec::new(), |mut below, document| async move {
                if let Some(document) = document {
                    below.extend(manifests_of(&document, subjects));
                }
                Ok(below)
            })
            .await?;
    }
    Ok(found)
}

async fn document(repository: &dyn Fetcher, node: &Descriptor) -> Result<Option<ManifestDocument>> {
    match fetch_document(repository, node, MAX_MANIFEST_SIZE).await {
        Err(error) if error.is_not_found() => Ok(None),
        document => document.during("fetch", node.digest()),
    }
}

fn manifests_of(document: &ManifestDocument, subjects: bool) -> Vec<Descriptor> {
    let entries = match document {
        ManifestDocument::Index(index) => index.manifests.as_slice(),
        _ => &[],
    };
    let subject = document.subject().filter(|_| subjects);
    let manifests = entries.iter().chain(subject);
    manifests
        .filter(|entry| entry.media_type().is_manifest())
        .map(Descriptor::plain)
        .collect()
}
