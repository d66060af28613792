//! The manifests that manifests lead to.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{
    Descriptor, Digest, Error, ErrorKind, Fetcher, MAX_MANIFEST_SIZE, ManifestDocument, Result,
    ResultExt as _, fetch_document,
};

/// So many requests are under way at a time.
pub(super) const CONCURRENCY: usize = 8;

/// More manifests are not followed, so that memory stays bounded: about 500 bytes each.
const MAX_MANIFESTS: usize = 1_000_000;

/// Manifests, and how they lead to each other.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: HashMap<Digest, Descriptor>,
    /// The entries of an index, of whatever type, and referrers that were added.
    below: HashMap<Digest, Vec<Digest>>,
    /// What a manifest refers to.
    pub(super) subjects: HashMap<Digest, Digest>,
}

/// What a search follows, and how strict it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// Everything that must stay with the roots: the entries of indexes and the subjects. The roots must be readable.
    Staying,
    /// What may go with the roots: the entries of indexes.
    Going,
}

impl Graph {
    /// Reads the manifests `roots` and everything that they lead to.
    ///
    /// # Errors
    /// - [`Unsupported`](ErrorKind::Unsupported) if a root that stays is not a manifest of a known type, as it cannot be
    ///   told what it leads to.
    /// - [`SizeExceedsLimit`](ErrorKind::SizeExceedsLimit) if there are too many manifests.
    /// - Any error of reading, except that a manifest below a root is missing.
    pub(super) async fn read(
        repository: &dyn Fetcher,
        roots: Vec<Descriptor>,
        search: Search,
    ) -> Result<Self> {
        let mut graph = Self::default();
        let mut next = roots;
        let mut are_roots = true;
        while !next.is_empty() {
            let nodes = &mut graph.nodes;
            next.retain(|node| nodes.insert(*node.digest(), node.plain()).is_none());
            if graph.nodes.len() > MAX_MANIFESTS {
                return Err(Error::new(
                    ErrorKind::SizeExceedsLimit,
                    format!("the repository has more than {MAX_MANIFESTS} manifests"),
                ));
            }
            let must_exist = are_roots && search == Search::Staying;
            let documents = stream::iter(std::mem::take(&mut next))
                .map(|node| async move {
                    let document = document(repository, &node, must_exist).await?;
                    Ok::<_, Error>((*node.digest(), document))
                })
                .buffer_unordered(CONCURRENCY);
            let documents: Vec<_> = documents.try_collect().await?;
            for (digest, document) in documents {
                if let Some(document) = document {
                    next.extend(graph.add(digest, &document, search));
                }
            }
            are_roots = false;
        }
        Ok(graph)
    }

    /// Notes what a manifest leads to, and returns it.
    fn add(
        &mut self,
        digest: Digest,
        document: &ManifestDocument,
        search: Search,
    ) -> Vec<Descriptor> {
        let mut found: Vec<Descriptor> = match document {
            // Whatever their types: an entry of an unknown type belongs to the index, too.
            ManifestDocument::Index(index) => {
                index.manifests.iter().map(Descriptor::plain).collect()
            }
            _ => Vec::new(),
        };
        let entries = found.iter().map(|entry| *entry.digest());
        self.below.entry(digest).or_default().extend(entries);
        if let Some(subject) = document.subject() {
            self.subjects.insert(digest, *subject.digest());
            if search == Search::Staying {
                found.push(subject.plain());
            }
        }
        found
    }

    /// Notes that `referrer` goes with `subject`.
    pub(super) fn add_referrer(&mut self, subject: Digest, referrer: Digest) {
        self.below.entry(subject).or_default().push(referrer);
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.nodes.extend(other.nodes);
        self.subjects.extend(other.subjects);
        for (digest, below) in other.below {
            self.below.entry(digest).or_default().extend(below);
        }
    }

    /// Adds `root`, and everything that is known to be below it, to `found`.
    pub(super) fn collect_below(&self, root: Digest, found: &mut HashSet<Digest>) {
        let mut next = vec![root];
        while let Some(digest) = next.pop() {
            if found.insert(digest) {
                next.extend(self.below.get(&digest).into_iter().flatten());
            }
        }
    }
}

async fn document(
    repository: &dyn Fetcher,
    node: &Descriptor,
    must_exist: bool,
) -> Result<Option<ManifestDocument>> {
    let media_type = node.media_type();
    if must_exist && !media_type.is_manifest() && !media_type.is_schema_1() {
        return Err(Error::unsupported(
            "a tag that stays names content that is not a known type of manifest, so it is not known what else has to stay",
        )
        .with_subject(node.digest()));
    }
    match fetch_document(repository, node, MAX_MANIFEST_SIZE).await {
        Err(error) if error.is_not_found() && !must_exist => Ok(None),
        document => document.during("fetch", node.digest()),
    }
}
