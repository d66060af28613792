//! What a registry has, or will have: repositories, their tags and manifests, and what these refer to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use tranship::{ContentKind, Descriptor, Digest, Error, ErrorKind, MediaType, Result, Tag};

use super::name::BundleName;
use super::node::{
    ContentNode, MAX_CONTENTS, RepositoryContents, check_node, invalid, too_many_contents,
};

/// An image of a [`Lock`]: what a tag names, or a manifest without a tag.
#[non_exhaustive]
#[derive(Debug, Clone, Copy)]
pub struct LockedImage<'a> {
    /// The repository.
    pub name: &'a BundleName,
    /// The tag; `None` for a manifest without one.
    pub tag: Option<&'a Tag>,
    /// The number of the manifest.
    pub number: u32,
}

/// What a registry has after a bundle was applied: for each repository its tags and manifests, and the graph of their
/// content. A bundle that is made with a lock as its base leaves all of that out.
///
/// As text it is JSON, at about 80 bytes for each piece of content: [`encode`](Self::encode) and
/// [`decode`](Self::decode).
///
/// ```
/// use tranship_mirror::bundle::Lock;
///
/// let empty = Lock::default();
/// assert_eq!(Lock::decode(&empty.encode())?, empty);
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Lock {
    nodes: Vec<ContentNode>,
    repositories: BTreeMap<BundleName, RepositoryContents>,
    numbers: HashMap<(Digest, bool), u32>,
}

impl PartialEq for Lock {
    fn eq(&self, other: &Self) -> bool {
        self.nodes == other.nodes && self.repositories == other.repositories
    }
}

impl Eq for Lock {}

impl fmt::Debug for Lock {
    /// Shows how much there is: all of it can be a million lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("contents", &self.nodes.len())
            .field("repositories", &self.repositories.len())
            .finish_non_exhaustive()
    }
}

impl Lock {
    /// The most pieces of content.
    pub const MAX_CONTENTS: usize = MAX_CONTENTS;

    /// Checks and indexes the parts of a lock.
    ///
    /// # Errors
    /// `Corrupt` if a number or a size is wrong.
    pub(super) fn new(
        nodes: Vec<ContentNode>,
        repositories: BTreeMap<BundleName, RepositoryContents>,
    ) -> Result<Self> {
        if nodes.len() > Self::MAX_CONTENTS {
            return Err(too_many_contents());
        }
        let mut numbers = HashMap::with_capacity(nodes.len());
        let mut total = 0_u64;
        for (number, node) in nodes.iter().enumerate() {
            let number = u32::try_from(number).map_err(|_| too_many_contents())?;
            check_node(number, node, &nodes)?;
            total = total
                .checked_add(node.size)
                .filter(|total| *total <= Descriptor::MAX_SIZE)
                .ok_or_else(|| invalid("the sizes add up to more than 63 bits"))?;
            if let Some(twin) = numbers.get(&(node.digest, !node.is_manifest()))
                && size_of(&nodes, *twin) != Some(node.size)
            {
                return Err(invalid(format!("{} has two sizes", node.digest)));
            }
            if numbers
                .insert((node.digest, node.is_manifest()), number)
                .is_some()
            {
                return Err(invalid(format!("{} is listed twice", node.digest)));
            }
        }
        let lock = Self {
            nodes,
            repositories,
            numbers,
        };
        lock.check_repositories()?;
        Ok(lock)
    }

    fn check_repositories(&self) -> Result<()> {
        let is_manifest = |number: u32| self.get(number).is_some_and(ContentNode::is_manifest);
        for (name, repository) in &self.repositories {
            if !repository.manifests.is_sorted_by(|one, next| one < next) {
                return Err(invalid(format!(
                    "the manifests of {name} are not in ascending order"
                )));
            }
            if !repository
                .manifests
                .iter()
                .all(|number| is_manifest(*number))
            {
                return Err(invalid(format!("{name} has a manifest that is not one")));
            }
            if !repository
                .tags
                .values()
                .all(|number| repository.has(*number))
            {
                return Err(invalid(format!(
                    "a tag of {name} names a manifest that {name} does not have"
                )));
            }
        }
        Ok(())
    }

    /// Returns all contents; their positions are their numbers.
    #[must_use]
    pub fn contents(&self) -> &[ContentNode] {
        &self.nodes
    }

    /// Returns the repositories by name.
    #[must_use]
    pub fn repositories(&self) -> &BTreeMap<BundleName, RepositoryContents> {
        &self.repositories
    }

    /// Returns the number of a piece of content.
    #[must_use]
    pub fn number(&self, kind: ContentKind, digest: &Digest) -> Option<u32> {
        let is_manifest = kind == ContentKind::Manifest;
        self.numbers.get(&(*digest, is_manifest)).copied()
    }

    /// Returns a piece of content by its number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&ContentNode> {
        self.nodes.get(usize::try_from(number).ok()?)
    }

    /// Returns the numbers of the blobs that the manifests of a repository refer to, in ascending order.
    #[must_use]
    pub fn blobs_of(&self, repository: &RepositoryContents) -> Vec<u32> {
        let manifests = repository
            .manifests
            .iter()
            .filter_map(|number| self.get(*number));
        let mut found = HashSet::new();
        for child in manifests.flat_map(|manifest| manifest.children.iter()) {
            if self.get(*child).is_some_and(|node| !node.is_manifest()) {
                found.insert(*child);
            }
        }
        let mut blobs: Vec<u32> = found.into_iter().collect();
        blobs.sort_unstable();
        blobs
    }

    /// Returns whether the repository `name` has the manifest `target`.
    pub(super) fn has_manifest(&self, name: &BundleName, target: &Descriptor) -> bool {
        let number = self.number(ContentKind::Manifest, target.digest());
        let (Some(number), Some(repository)) = (number, self.repositories.get(name)) else {
            return false;
        };
        let node = self.get(number);
        repository.has(number) && node.is_some_and(|node| node.size == target.size())
    }

    /// Returns the images: each tag with its manifest, and the manifests without a tag that are neither an entry of an
    /// index of the repository nor refer to another manifest as their subject.
    pub fn images(&self) -> impl Iterator<Item = LockedImage<'_>> {
        self.repositories.iter().flat_map(|(name, repository)| {
            let image = |tag, number| LockedImage { name, tag, number };
            let tagged = repository.tags.iter();
            let tagged = tagged.map(move |(tag, number)| image(Some(tag), *number));
            let roots = self.untagged_roots(repository).into_iter();
            tagged.chain(roots.map(move |number| image(None, number)))
        })
    }

    fn untagged_roots(&self, repository: &RepositoryContents) -> Vec<u32> {
        let manifest = |number: u32| self.get(number).filter(|node| node.is_manifest());
        let is_index =
            |node: &ContentNode| node.media_type.as_ref().is_some_and(MediaType::is_index);
        let mut is_inner: HashSet<u32> = repository.tags.values().copied().collect();
        for number in &repository.manifests {
            let Some(node) = manifest(*number) else {
                continue;
            };
            if is_index(node) {
                is_inner.extend(node.children.iter());
            } else if node.children.iter().any(|child| manifest(*child).is_some()) {
                is_inner.insert(*number);
            }
        }
        let all = repository.manifests.iter().copied();
        all.filter(|number| !is_inner.contains(number)).collect()
    }

    /// Returns what is below `root` and part of `repository`, and `root` itself: the manifests of the repository that
    /// are reached through its manifests, and their blobs. `followed` counts the references that were followed.
    ///
    /// # Errors
    /// `SizeExceedsLimit` after 100 million references, which only a file that was made for it has.
    pub(super) fn closure(
        &self,
        repository: &RepositoryContents,
        root: u32,
        followed: &mut u64,
    ) -> Result<Vec<u32>> {
        const MAX_FOLLOWED: u64 = 100_000_000;
        let mut seen = HashSet::from([root]);
        let mut found = vec![root];
        let mut next = 0;
        while let Some(number) = found.get(next).copied() {
            next += 1;
            let Some(node) = self.get(number) else {
                continue;
            };
            *followed += node.children.len() as u64;
            if *followed > MAX_FOLLOWED {
                let message = "the images share too much content to look at each of them";
                return Err(Error::new(ErrorKind::SizeExceedsLimit, message));
            }
            for child in &node.children {
                let Some(below) = self.get(*child) else {
                    continue;
                };
                if (!below.is_manifest() || repository.has(*child)) && seen.insert(*child) {
                    found.push(*child);
                }
            }
        }
        Ok(found)
    }
}

fn size_of(nodes: &[ContentNode], number: u32) -> Option<u64> {
    Some(nodes.get(usize::try_from(number).ok()?)?.size)
}
