//! The referrers of a manifest, and their own referrers, as a tree.

use std::collections::HashSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{
    Descriptor, Digest, MAX_MANIFEST_SIZE, MediaType, ReferrerBounds, Repository, Result,
    ResultExt as _, Tag, describe_referrer, digest_tagged, fetch_document,
};

/// How many lists of referrers are fetched at the same time.
const CONCURRENCY: usize = 6;

/// Which referrers [`tree`] finds.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct TreeOptions {
    /// Finds only referrers of this type. By default all.
    pub artifact_type: Option<MediaType>,
    /// Whether manifests count that only a tag such as `sha256-….sig` attaches. By default they do.
    pub digest_tags: bool,
    /// How many levels below the root are searched. By default all, within the bounds of [`ReferrerBounds`].
    pub depth: u32,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self {
            artifact_type: None,
            digest_tags: true,
            depth: u32::MAX,
        }
    }
}

impl TreeOptions {
    /// Sets [`artifact_type`](Self::artifact_type).
    #[must_use]
    pub fn with_artifact_type(mut self, artifact_type: Option<MediaType>) -> Self {
        self.artifact_type = artifact_type;
        self
    }

    /// Sets [`digest_tags`](Self::digest_tags).
    #[must_use]
    pub fn with_digest_tags(mut self, count: bool) -> Self {
        self.digest_tags = count;
        self
    }

    /// Sets [`depth`](Self::depth).
    #[must_use]
    pub fn with_depth(mut self, levels: u32) -> Self {
        self.depth = levels;
        self
    }
}

/// A manifest that refers to another one.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// The manifest, with its artifact type and its annotations.
    pub descriptor: Descriptor,
    /// The tag that attaches it, if one does.
    pub tag: Option<Tag>,
}

/// A referrer in the order of the tree: after its subject, and before the next referrer of that subject.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch<'a> {
    /// The referrer.
    pub referrer: &'a Referrer,
    /// The manifest that it refers to.
    pub subject: &'a Descriptor,
    /// For each of its ancestors below the root, and then for itself, whether it is the last referrer of its subject. The
    /// length is its depth, at least 1.
    pub lasts: Vec<bool>,
    /// Whether nothing refers to it.
    pub is_leaf: bool,
}

/// The direct and indirect referrers of a manifest.
#[derive(Debug, Clone)]
pub struct ReferrerTree {
    /// The root first. Children follow their parent.
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
struct Node {
    referrer: Referrer,
    children: Vec<usize>,
}

/// Finds the referrers of `root`, level by level. Each manifest is looked up once, however often it is listed, so that a
/// registry whose lists contradict its manifests cannot make this endless.
///
/// Dropping the future ends the requests.
///
/// # Errors
/// - [`SizeExceedsLimit`](tranship::ErrorKind::SizeExceedsLimit) if there are more than [`ReferrerBounds`] admits.
/// - What the repository fails with.
pub async fn tree(
    repository: &dyn Repository,
    root: Descriptor,
    options: &TreeOptions,
) -> Result<ReferrerTree> {
    let mut seen: HashSet<Digest> = HashSet::from([*root.digest()]);
    let mut tree = ReferrerTree { nodes: Vec::new() };
    let mut level = vec![tree.add(Referrer {
        descriptor: root,
        tag: None,
    })];
    let mut bounds = ReferrerBounds::default();
    for step in 1..=options.depth {
        let subjects = level
            .iter()
            .filter_map(|&at| Some((at, tree.nodes.get(at)?.referrer.descriptor.clone())));
        let mut listed = stream::iter(subjects.collect::<Vec<_>>())
            .map(|(at, subject)| async move {
                let found = list(repository, &subject, options).await?;
                Ok::<_, tranship::Error>((at, found))
            })
            .buffered(CONCURRENCY);
        level.clear();
        while let Some((parent, found)) = listed.try_next().await? {
            bounds.admit(step as usize, found.iter().map(|found| &found.descriptor))?;
            for found in found {
                let is_new = seen.insert(*found.descriptor.digest());
                let child = tree.add(found);
                if let Some(parent) = tree.nodes.get_mut(parent) {
                    parent.children.push(child);
                }
                if is_new {
                    level.push(child);
                }
            }
        }
        if level.is_empty() {
            break;
        }
    }
    Ok(tree)
}

/// Lists the artifacts that refer to `subject`: its referrers, then those that only a tag attaches.
async fn list(
    repository: &dyn Repository,
    subject: &Descriptor,
    options: &TreeOptions,
) -> Result<Vec<Referrer>> {
    let wanted = options.artifact_type.as_ref();
    let referrers = tranship::referrers(repository, subject, wanted).await?;
    let mut found: Vec<_> = referrers
        .into_iter()
        .map(|descriptor| Referrer {
            descriptor,
            tag: None,
        })
        .collect();
    if !options.digest_tags {
        return Ok(found);
    }
    for (tag, descriptor) in digest_tagged(repository, subject.digest()).await? {
        let mut known = found.iter_mut();
        if let Some(known) = known.find(|known| known.descriptor.same_content(&descriptor)) {
            known.tag = Some(tag);
            continue;
        }
        let document = fetch_document(repository, &descriptor, MAX_MANIFEST_SIZE).await;
        let descriptor = match document.during("fetch", &tag)? {
            Some(document) => describe_referrer(&descriptor, &document),
            None => descriptor,
        };
        if wanted.is_none() || descriptor.artifact_type() == wanted {
            found.push(Referrer {
                descriptor,
                tag: Some(tag),
            });
        }
    }
    Ok(found)
}

impl ReferrerTree {
    fn add(&mut self, referrer: Referrer) -> usize {
        self.nodes.push(Node {
            referrer,
            children: Vec::new(),
        });
        self.nodes.len() - 1
    }

    /// Returns how many referrers were found. One that refers to several manifests counts for each of them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len().saturating_sub(1)
    }

    /// Returns whether nothing refers to the root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns every referrer in the order of the tree.
    #[must_use]
    pub fn branches(&self) -> Vec<Branch<'_>> {
        let mut branches = Vec::new();
        // A stack in place of recursion, as the registry decides how deep the tree is.
        let mut stack: Vec<(&Node, Branch<'_>)> = Vec::new();
        if let Some(root) = self.nodes.first() {
            self.push_children(&mut stack, root, &[]);
        }
        while let Some((node, branch)) = stack.pop() {
            self.push_children(&mut stack, node, &branch.lasts);
            branches.push(branch);
        }
        branches
    }

    fn push_children<'a>(
        &'a self,
        stack: &mut Vec<(&'a Node, Branch<'a>)>,
        parent: &'a Node,
        lasts: &[bool],
    ) {
        for (index, &child) in parent.children.iter().enumerate().rev() {
            let Some(node) = self.nodes.get(child) else {
                continue;
            };
            let mut lasts = lasts.to_vec();
            lasts.push(index + 1 == parent.children.len());
            let branch = Branch {
                referrer: &node.referrer,
                subject: &parent.referrer.descriptor,
                lasts,
                is_leaf: node.children.is_empty(),
            };
            stack.push((node, branch));
        }
    }
}
