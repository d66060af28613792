//! Builds a lock from content that is known by digest, and numbers it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tranship::{Descriptor, Digest, MediaType, Result, Tag};

use super::lock::Lock;
use super::name::BundleName;
use super::node::{ContentNode, RepositoryContents, invalid, too_many_contents};

/// Content by its digest, and whether it is a manifest.
pub(super) type Key = (Digest, bool);

/// Returns the key of the content that a manifest refers to by `descriptor`.
pub(super) fn key_of(descriptor: &Descriptor) -> Key {
    (*descriptor.digest(), descriptor.media_type().is_manifest())
}

/// A piece of content that has no number yet.
#[derive(Debug, Clone)]
pub(super) struct UnnumberedNode {
    pub(super) size: u64,
    pub(super) media_type: Option<MediaType>,
    /// The content that it refers to, in the order of the manifest. Content that is not among the nodes is left out.
    pub(super) children: Vec<Key>,
}

/// The tags and manifests of a repository, by digest.
#[derive(Debug, Clone, Default)]
pub(super) struct UnnumberedRepository {
    pub(super) tags: BTreeMap<Tag, Digest>,
    pub(super) manifests: BTreeSet<Digest>,
    pub(super) is_incomplete: bool,
}

/// Numbers everything that the manifests of the repositories need: by repository, tag and the order in the manifests,
/// and each piece of content after those that it refers to. The same content gets the same numbers.
pub(super) fn number(
    nodes: &HashMap<Key, UnnumberedNode>,
    repositories: &BTreeMap<BundleName, UnnumberedRepository>,
) -> Result<Lock> {
    let mut numbering = Numbering {
        nodes,
        numbers: HashMap::new(),
        numbered: Vec::new(),
    };
    let mut done = BTreeMap::new();
    for (name, repository) in repositories {
        let mut contents = RepositoryContents {
            is_incomplete: repository.is_incomplete,
            ..RepositoryContents::default()
        };
        for (tag, digest) in &repository.tags {
            let number = numbering.visit((*digest, true))?;
            contents.tags.insert(tag.clone(), number);
        }
        for digest in &repository.manifests {
            contents.manifests.push(numbering.visit((*digest, true))?);
        }
        contents.manifests.extend(contents.tags.values());
        contents.manifests.sort_unstable();
        contents.manifests.dedup();
        done.insert(name.clone(), contents);
    }
    Lock::new(numbering.numbered, done)
}

struct Numbering<'a> {
    nodes: &'a HashMap<Key, UnnumberedNode>,
    numbers: HashMap<Key, u32>,
    numbered: Vec<ContentNode>,
}

impl Numbering<'_> {
    /// Numbers `root` and everything below it. A graph may be deeper than the stack of a thread.
    fn visit(&mut self, root: Key) -> Result<u32> {
        let mut path = vec![(root, 0)];
        let mut on_path = HashSet::from([root]);
        while let Some((key, next)) = path.last_mut() {
            let key = *key;
            let Some(node) = self.nodes.get(&key) else {
                return Err(invalid(format!("the manifest {} is not known", key.0)));
            };
            if self.numbers.contains_key(&key) {
                path.pop();
                continue;
            }
            if let Some(child) = node.children.get(*next).copied() {
                *next += 1;
                let is_left_out = !self.nodes.contains_key(&child);
                if is_left_out || self.numbers.contains_key(&child) {
                    continue;
                }
                if !on_path.insert(child) {
                    return Err(invalid(format!("{} refers to itself", child.0)));
                }
                path.push((child, 0));
                continue;
            }
            self.add(key, node)?;
            on_path.remove(&key);
            path.pop();
        }
        let number = self.numbers.get(&root).copied();
        number.ok_or_else(|| invalid(format!("the manifest {} is not known", root.0)))
    }

    fn add(&mut self, key: Key, node: &UnnumberedNode) -> Result<()> {
        if self.numbered.len() >= Lock::MAX_CONTENTS {
            return Err(too_many_contents());
        }
        let mut seen = HashSet::new();
        let children = node.children.iter();
        let children = children.filter_map(|child| self.numbers.get(child).copied());
        let children = children.filter(|child| seen.insert(*child)).collect();
        let number = u32::try_from(self.numbered.len()).map_err(|_| too_many_contents())?;
        self.numbered.push(ContentNode {
            digest: key.0,
            size: node.size,
            media_type: node.media_type.clone(),
            children,
        });
        self.numbers.insert(key, number);
        Ok(())
    }
}
