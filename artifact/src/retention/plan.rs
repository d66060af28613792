//! What there is to delete.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{
    Descriptor, Digest, Error, Repository, Result, ResultExt as _, Tag, TagOrDigest, referrers,
};

use super::graph::{CONCURRENCY, Graph, Search};
use super::selection::Selection;
use crate::tags::{created, is_digest_tag};

/// The tags and manifests to delete, from the state of the repository at the time of [`plan`].
#[derive(Debug)]
pub struct Plan {
    pub(super) tags: Vec<PlannedTag>,
    pub(super) manifests: Vec<Descriptor>,
    /// How these belong together.
    pub(super) graph: Graph,
    kept: usize,
    unknown: Vec<Tag>,
}

/// A tag that goes.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct PlannedTag {
    /// The tag.
    pub tag: Tag,
    /// What it names.
    pub manifest: Descriptor,
    /// When that was created, if it says so and it was read.
    pub created: Option<SystemTime>,
    /// Whether the manifest stays, because something that stays leads to it, and only the tag is removed.
    pub manifest_stays: bool,
}

impl Plan {
    /// Returns the tags that go, in ASCII order.
    #[must_use]
    pub fn tags(&self) -> &[PlannedTag] {
        &self.tags
    }

    /// Returns the manifests that are deleted: those of the tags, then those that only these lead to or that refer to
    /// them.
    #[must_use]
    pub fn manifests(&self) -> &[Descriptor] {
        &self.manifests
    }

    /// Returns whether `other`, a later plan for the same selection, deletes the same and keeps the same number of tags.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let tags = |plan: &Self| -> Vec<(Tag, Digest)> {
            let tags = plan.tags.iter();
            tags.map(|planned| (planned.tag.clone(), *planned.manifest.digest()))
                .collect()
        };
        let manifests = |plan: &Self| -> HashSet<Digest> {
            plan.manifests
                .iter()
                .map(|manifest| *manifest.digest())
                .collect()
        };
        self.kept == other.kept && tags(self) == tags(other) && manifests(self) == manifests(other)
    }

    /// Returns how many tags stay.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Returns the tags that stay because it is not known when they were created.
    #[must_use]
    pub fn of_unknown_age(&self) -> &[Tag] {
        &self.unknown
    }
}

/// A tag of the repository.
struct Known {
    tag: Tag,
    manifest: Descriptor,
    created: Option<SystemTime>,
    goes: bool,
}

/// Finds out what `selection` deletes. Nothing is changed.
///
/// Reads the list of tags and resolves each, reads the manifest of each, and, if the age decides, the config of each
/// image that the filter chooses. Dropping the future has no effect.
///
/// # Errors
/// - Any error of listing or reading, so that nothing is deleted on the ground of a part of the repository. That includes
///   a tag that stays and whose manifest is missing. A manifest that is missing below another one is not an error.
/// - [`Unsupported`](tranship::ErrorKind::Unsupported) if a tag that stays names content of an unknown type, as it is not
///   known what has to stay with it.
/// - [`SizeExceedsLimit`](tranship::ErrorKind::SizeExceedsLimit) for a repository of more than a million manifests.
pub async fn plan(repository: &dyn Repository, selection: &Selection) -> Result<Plan> {
    let listed = tranship::tags(repository).await?;
    let mut known = resolve_all(repository, listed).await?;
    known.sort_by(|a, b| a.tag.cmp(&b.tag));
    let (digest_tags, mut tags): (Vec<_>, Vec<_>) = known
        .into_iter()
        .partition(|known| attached_to(&known.tag).is_some());
    let unknown = choose(repository, selection, &mut tags).await?;

    let mut keep = staying(repository, &tags).await?;
    keep.extend(kept_manifests(repository, selection).await?);
    let mut going = lost(repository, &tags, &keep).await?;

    // What is attached by a digest tag goes with what it is attached to, and stays with it.
    let names: HashSet<String> = going
        .order
        .iter()
        .map(|manifest| digest_tag(manifest.digest()))
        .collect();
    let mut attached = digest_tags;
    for known in &mut attached {
        known.goes = attached_to(&known.tag).is_some_and(|name| names.contains(name));
    }
    keep.extend(staying(repository, &attached).await?);
    going.extend(lost(repository, &attached, &keep).await?);
    tags.extend(attached);

    let stays = stays(&keep, &going, &tags, selection.kept_referrers);
    let mut seen = HashSet::new();
    going
        .order
        .retain(|manifest| !stays.contains(manifest.digest()) && seen.insert(*manifest.digest()));
    let kept = tags.iter().filter(|known| !known.goes).count();
    let mut planned: Vec<PlannedTag> = tags
        .into_iter()
        .filter(|known| known.goes)
        .map(|known| PlannedTag {
            manifest_stays: stays.contains(known.manifest.digest()),
            tag: known.tag,
            manifest: known.manifest,
            created: known.created,
        })
        .collect();
    planned.sort_by(|a, b| a.tag.cmp(&b.tag));
    Ok(Plan {
        tags: planned,
        manifests: going.order,
        graph: going.graph,
        kept,
        unknown,
    })
}

/// Everything that the tags which stay lead to.
async fn staying(repository: &dyn Repository, tags: &[Known]) -> Result<Graph> {
    let roots = tags.iter().filter(|known| !known.goes);
    let roots = roots.map(|known| known.manifest.clone()).collect();
    Graph::read(repository, roots, Search::Staying).await
}

/// Everything that the manifests lead to which stay whatever the tags are.
async fn kept_manifests(repository: &dyn Repository, selection: &Selection) -> Result<Graph> {
    let mut roots = Vec::with_capacity(selection.kept_manifests.len());
    for digest in &selection.kept_manifests {
        match repository.resolve(&(*digest).into()).await {
            Ok(manifest) => roots.push(manifest),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error).during("resolve", digest),
        }
    }
    Graph::read(repository, roots, Search::Staying).await
}

/// The manifests that stay: those that a tag which stays leads to, and what refers to one of them without being named by a
/// tag that goes. Such a referrer may be an entry of an index that goes.
fn stays(keep: &Graph, going: &Going, tags: &[Known], with_referrers: bool) -> HashSet<Digest> {
    let mut stays: HashSet<Digest> = keep.nodes.keys().copied().collect();
    let named: HashSet<Digest> = tags
        .iter()
        .filter(|known| known.goes && !with_referrers)
        .map(|known| *known.manifest.digest())
        .collect();
    loop {
        let referrer = going.order.iter().map(Descriptor::digest).find(|digest| {
            let subject = going.graph.subjects.get(*digest);
            !stays.contains(*digest)
                && !named.contains(*digest)
                && subject.is_some_and(|subject| stays.contains(subject))
        });
        let Some(referrer) = referrer else {
            return stays;
        };
        going.graph.collect_below(*referrer, &mut stays);
    }
}

async fn resolve_all(repository: &dyn Repository, tags: Vec<Tag>) -> Result<Vec<Known>> {
    let resolved = stream::iter(tags)
        .map(|tag| async move {
            match repository.resolve(&TagOrDigest::Tag(tag.clone())).await {
                Ok(manifest) => Ok(Some(Known {
                    tag,
                    manifest,
                    created: None,
                    goes: false,
                })),
                // Removed since it was listed.
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error).during("resolve", &tag),
            }
        })
        .buffer_unordered(CONCURRENCY);
    resolved
        .try_filter_map(|known| async { Ok(known) })
        .try_collect()
        .await
}

/// Marks the tags that go, and returns those of which the age is not known.
async fn choose(
    repository: &dyn Repository,
    selection: &Selection,
    tags: &mut [Known],
) -> Result<Vec<Tag>> {
    let candidates: Vec<usize> = (0..tags.len())
        .filter(|at| selection.may_go(&tags[*at].tag))
        .collect();
    if selection.asks_for_age() {
        let manifests: HashMap<Digest, Descriptor> = candidates
            .iter()
            .map(|at| (*tags[*at].manifest.digest(), tags[*at].manifest.clone()))
            .collect();
        let times: HashMap<Digest, Option<SystemTime>> = stream::iter(manifests.into_values())
            .map(|manifest| async move {
                let time = created(repository, &manifest).await;
                Ok((*manifest.digest(), time.during("fetch", manifest.digest())?))
            })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        for at in &candidates {
            let known = &mut tags[*at];
            known.created = times.get(known.manifest.digest()).copied().flatten();
        }
    }
    let ages: Vec<_> = candidates
        .iter()
        .map(|at| (tags[*at].tag.clone(), tags[*at].created))
        .collect();
    let goes = selection.decide(&ages, SystemTime::now());
    for (at, goes) in candidates.iter().zip(goes) {
        tags[*at].goes = goes;
    }
    let ages = ages
        .into_iter()
        .filter(|(_, created)| selection.asks_for_age() && created.is_none());
    Ok(ages.map(|(tag, _)| tag).collect())
}

/// What goes, and how it belongs together.
#[derive(Default)]
struct Going {
    /// First the manifests of tags, then their entries, then their referrers.
    order: Vec<Descriptor>,
    graph: Graph,
}

impl Going {
    fn extend(&mut self, other: Self) {
        self.order.extend(other.order);
        self.graph.extend(other.graph);
    }
}

/// The manifests of the tags that go, the entries of indexes among them, and their referrers, except for what is in `keep`.
async fn lost(repository: &dyn Repository, tags: &[Known], keep: &Graph) -> Result<Going> {
    let mut going = Going::default();
    let mut seen: HashSet<Digest> = HashSet::new();
    let roots = tags.iter().filter(|known| known.goes);
    let mut next: Vec<Descriptor> = roots.map(|known| known.manifest.plain()).collect();
    while !next.is_empty() {
        let is_new = |seen: &mut HashSet<Digest>, manifest: &Descriptor| {
            !keep.nodes.contains_key(manifest.digest()) && seen.insert(*manifest.digest())
        };
        next.retain(|manifest| is_new(&mut seen, manifest));
        let graph = Graph::read(repository, next.clone(), Search::Going).await?;
        let mut below: Vec<Descriptor> = graph
            .nodes
            .values()
            .filter(|manifest| manifest.media_type().is_manifest() && is_new(&mut seen, manifest))
            .cloned()
            .collect();
        below.sort_by_key(|manifest| manifest.digest().to_string());
        going.graph.extend(graph);
        next.append(&mut below);
        going.order.extend(next.iter().cloned());
        let refer = stream::iter(std::mem::take(&mut next))
            .map(|manifest| async move {
                let found = match referrers(repository, &manifest, None).await {
                    Err(error) if error.is_not_found() => Vec::new(),
                    found => found.during("list referrers", manifest.digest())?,
                };
                Ok::<_, Error>((*manifest.digest(), found))
            })
            .buffered(CONCURRENCY);
        let refer: Vec<_> = refer.try_collect().await?;
        for (subject, referrers) in refer {
            for referrer in referrers {
                going.graph.add_referrer(subject, *referrer.digest());
                next.push(referrer.plain());
            }
        }
    }
    Ok(going)
}

/// How tags begin that attach something to `digest`, with or without a suffix.
fn digest_tag(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm(), digest.hex())
}

/// What a digest tag is attached to, as its tag begins.
fn attached_to(tag: &Tag) -> Option<&str> {
    let name = tag.as_str();
    is_digest_tag(name).then(|| name.split_once('.').map_or(name, |(name, _)| name))
}
