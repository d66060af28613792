//! What there is to delete.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{
    Descriptor, Digest, Error, Repository, Result, ResultExt as _, Tag, TagOrDigest, referrers,
};

use super::graph::{CONCURRENCY, Graph, Search};
use super::selection::{Candidate, Selection};
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

    /// Returns the tags that stay because it is not known when they were created or pulled.
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
/// As [`plan_all`] with one selection and without known pulls, so that [`Selection::not_pulled_for`] keeps every tag.
///
/// # Errors
/// As [`plan_all`].
pub async fn plan(repository: &dyn Repository, selection: &Selection) -> Result<Plan> {
    plan_all(repository, std::slice::from_ref(selection), &|_, _| None).await
}

/// Finds out what `selections` delete. Nothing is changed.
///
/// About each tag the first selection decides whose [filter](Selection::tags) it matches; a tag that none matches stays.
/// The [manifests](Selection::kept_manifests) that one selection keeps stay for all of them. If one selection [keeps
/// referrers](Selection::kept_referrers), all of them do. `pulled` returns when a tag, or the manifest that it names, was pulled
/// last, if that is known.
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
pub async fn plan_all(
    repository: &dyn Repository,
    selections: &[Selection],
    pulled: &(dyn Fn(&Tag, &Digest) -> Option<SystemTime> + Sync),
) -> Result<Plan> {
    let listed = tranship::tags(repository).await?;
    let mut known = resolve_all(repository, listed).await?;
    known.sort_by(|a, b| a.tag.cmp(&b.tag));
    let (digest_tags, mut tags): (Vec<_>, Vec<_>) = known
        .into_iter()
        .partition(|known| attached_to(&known.tag).is_some());
    let unknown = choose(repository, selections, pulled, &mut tags).await?;

    let mut keep = staying(repository, &tags).await?;
    for selection in selections {
        keep.extend(kept_manifests(repository, selection).await?);
    }
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

    let with_referrers = selections.iter().any(|selection| selection.kept_referrers);
    let stays = stays(&keep, &going, &tags, with_referrers);
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

/// Marks the tags that go, and returns those of which the age or the last pull is not known.
async fn choose(
    repository: &dyn Repository,
    selections: &[Selection],
    pulled: &(dyn Fn(&Tag, &Digest) -> Option<SystemTime> + Sync),
    tags: &mut [Known],
) -> Result<Vec<Tag>> {
    let mut unknown = Vec::new();
    let mut chosen: Vec<Vec<usize>> = vec![Vec::new(); selections.len()];
    for (at, known) in tags.iter().enumerate() {
        let first = selections
            .iter()
            .position(|selection| selection.tags.matches(&known.tag));
        if let Some(first) = first {
            chosen[first].push(at);
        }
    }
    for (selection, candidates) in selections.iter().zip(chosen) {
        if selection.asks_for_age() {
            read_ages(repository, tags, &candidates).await?;
        }
        let described: Vec<Candidate<'_>> = candidates
            .iter()
            .map(|at| {
                let known = &tags[*at];
                Candidate {
                    tag: &known.tag,
                    created: known.created,
                    pulled: pulled(&known.tag, known.manifest.digest()),
                }
            })
            .collect();
        let is_unknown = |candidate: &&Candidate<'_>| {
            let has_no_age = selection.asks_for_age() && candidate.created.is_none();
            has_no_age || selection.not_pulled_for.is_some() && candidate.pulled.is_none()
        };
        let undecided = described.iter().filter(is_unknown);
        let undecided = undecided.filter(|candidate| !selection.kept_tags.contains(candidate.tag));
        unknown.extend(undecided.map(|candidate| candidate.tag.clone()));
        let goes = selection.decide(&described, SystemTime::now());
        for (at, goes) in candidates.iter().zip(goes) {
            tags[*at].goes = goes;
        }
    }
    unknown.sort();
    Ok(unknown)
}

/// Reads when the manifests of the tags at `positions` were created.
async fn read_ages(
    repository: &dyn Repository,
    tags: &mut [Known],
    positions: &[usize],
) -> Result<()> {
    let manifests: HashMap<Digest, Descriptor> = positions
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
    for at in positions {
        let known = &mut tags[*at];
        known.created = times.get(known.manifest.digest()).copied().flatten();
    }
    Ok(())
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
