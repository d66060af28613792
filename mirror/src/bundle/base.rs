//! What of a base a bundle needs, and leaves out.

use std::collections::{BTreeMap, HashMap, HashSet};

use tranship::{ContentKind, Result};

use super::graph::{self, Key, UnnumberedNode, UnnumberedRepository};
use super::lock::Lock;
use super::name::BundleName;
use super::node::{ContentNode, RepositoryContents};
use super::planner::State;

/// Numbers everything that was copied, and what of the base it needs.
pub(super) fn number(state: &State, base: &Lock) -> Result<Lock> {
    let mut nodes: HashMap<Key, UnnumberedNode> = HashMap::new();
    let mut wanted: Vec<Key> = Vec::new();
    for (digest, manifest) in &state.manifests {
        let children = manifest.successors.iter().map(|(key, _)| *key);
        let node = UnnumberedNode {
            size: manifest.descriptor.size(),
            media_type: Some(manifest.descriptor.media_type().clone()),
            children: children.collect(),
        };
        nodes.insert((*digest, true), node);
        for (key, size) in &manifest.successors {
            if is_in(base, *key, *size) {
                wanted.push(*key);
            }
        }
    }
    for (digest, blob) in &state.blobs {
        let node = UnnumberedNode {
            size: blob.size,
            media_type: None,
            children: Vec::new(),
        };
        nodes.insert((*digest, false), node);
    }
    for repository in state.repositories.values() {
        wanted.extend(repository.in_base.iter().map(|digest| (*digest, true)));
    }
    while let Some(key) = wanted.pop() {
        if nodes.contains_key(&key) {
            continue;
        }
        let Some(node) = node_in(base, key) else {
            continue;
        };
        let children = node.children.iter().filter_map(|child| {
            let child = base.get(*child)?;
            Some((child.digest, child.is_manifest()))
        });
        let children: Vec<Key> = children.collect();
        wanted.extend(&children);
        let node = UnnumberedNode {
            size: node.size,
            media_type: node.media_type.clone(),
            children,
        };
        nodes.insert(key, node);
    }
    let mut repositories = BTreeMap::new();
    let mut followed = 0;
    for (name, planned) in &state.repositories {
        if planned.manifests.is_empty() && planned.in_base.is_empty() {
            continue;
        }
        let mut repository = UnnumberedRepository {
            tags: planned.tags.clone(),
            manifests: planned.manifests.clone(),
            is_incomplete: planned.is_incomplete,
        };
        let none = RepositoryContents::default();
        let before = base.repositories().get(name).unwrap_or(&none);
        for digest in &planned.in_base {
            let Some(root) = base.number(ContentKind::Manifest, digest) else {
                continue;
            };
            let below = base.closure(before, root, &mut followed)?;
            let below = below.into_iter().filter_map(|number| base.get(number));
            let manifests = below
                .filter(|node| node.is_manifest())
                .map(|node| node.digest);
            repository.manifests.extend(manifests);
        }
        repositories.insert(name.clone(), repository);
    }
    graph::number(&nodes, &repositories)
}

fn node_in(base: &Lock, (digest, is_manifest): Key) -> Option<&ContentNode> {
    let kind = match is_manifest {
        true => ContentKind::Manifest,
        false => ContentKind::Blob,
    };
    base.get(base.number(kind, &digest)?)
}

/// Returns whether the base has this content.
pub(super) fn is_in(base: &Lock, key: Key, size: u64) -> bool {
    node_in(base, key).is_some_and(|node| node.size == size)
}

/// Returns which repositories of the base have the content that is left out: those that need it in the bundle, too, and two
/// others.
pub(super) fn holders(
    lock: &Lock,
    base: &Lock,
    in_base: &HashSet<u32>,
) -> BTreeMap<BundleName, Vec<u32>> {
    const OTHERS: usize = 2;
    let mut holders: BTreeMap<BundleName, Vec<u32>> = BTreeMap::new();
    let mut others: HashMap<u32, usize> = HashMap::new();
    for (name, before) in base.repositories() {
        let needed: HashSet<u32> = match lock.repositories().get(name) {
            Some(repository) => {
                let blobs = lock.blobs_of(repository);
                blobs
                    .into_iter()
                    .chain(repository.manifests.iter().copied())
                    .collect()
            }
            None => HashSet::new(),
        };
        let mut has = base.blobs_of(before);
        has.extend(&before.manifests);
        for number in has {
            let Some(node) = base.get(number) else {
                continue;
            };
            let Some(number) = lock.number(node.kind(), &node.digest) else {
                continue;
            };
            if !in_base.contains(&number) {
                continue;
            }
            let others = others.entry(number).or_default();
            if needed.contains(&number) || *others < OTHERS {
                *others += usize::from(!needed.contains(&number));
                holders.entry(name.clone()).or_default().push(number);
            }
        }
    }
    for numbers in holders.values_mut() {
        numbers.sort_unstable();
        numbers.dedup();
    }
    holders
}
