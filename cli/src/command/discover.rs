//! `discover`: what refers to a manifest, and what refers to that.

use std::collections::HashSet;
use std::fmt;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use tranship::{Descriptor, Digest, Error, ErrorKind, Location, MediaType, Repository, Result};
use tranship_backends::OpenOptions;

use super::{open_existing, resolve};
use crate::args::Discover;
use crate::failure::{At as _, Outcome};
use crate::location::required_reference;
use crate::output::{Output, plain};

/// So many lists of referrers are asked for at the same time.
const CONCURRENCY: usize = 6;

pub(super) async fn run(args: Discover, places: &OpenOptions, output: Output) -> Outcome {
    let location = args.reference;
    let reference = required_reference(&location)?;
    let repository = open_existing(&location, places).await?;
    let options = resolve::options(args.platform.platform);
    let root = tranship::resolve(&*repository, reference, &options)
        .await
        .within(&location)?;
    let depth = args.depth.unwrap_or(u32::MAX);
    let tree = Tree::grow(&*repository, root, args.artifact_type.as_ref(), depth)
        .await
        .within(&location)?;
    if tree.nodes.len() == 1 && !output.is_json() {
        output.note("nothing refers to it");
    }
    output.print(&Discovered::new(&location, &tree)).await
}

/// How many levels are followed at most, and how many referrers: a registry can make them up without end.
const MAX_LEVELS: u32 = 100;
const MAX_REFERRERS: usize = 100_000;

/// How many bytes the annotations of all of them may have.
const MAX_ANNOTATIONS: usize = 64 * 1024 * 1024;

fn size_of_annotations(referrer: &Descriptor) -> usize {
    let annotations = referrer.annotations().iter();
    annotations
        .map(|(key, value)| key.len() + value.len())
        .sum()
}

fn too_much(what: &str) -> Error {
    Error::new(
        ErrorKind::SizeExceedsLimit,
        format!("there are more than {what}"),
    )
    .with_hint("give --depth or --artifact-type")
}

/// What was discovered, the root first. Children are named by their place in the list, and stand
/// behind their parent.
struct Tree {
    nodes: Vec<Node>,
}

struct Node {
    descriptor: Descriptor,
    children: Vec<usize>,
}

impl Tree {
    /// Asks level by level. Each manifest is asked about once, however often it is listed, so that a
    /// registry whose lists contradict its manifests cannot keep this going.
    async fn grow(
        repository: &dyn Repository,
        root: Descriptor,
        artifact_type: Option<&MediaType>,
        depth: u32,
    ) -> Result<Self> {
        let mut seen: HashSet<Digest> = HashSet::from([*root.digest()]);
        let mut tree = Self { nodes: Vec::new() };
        let mut level = vec![tree.add(root)];
        let mut annotations = 0;
        for step in 0..depth {
            let subjects = level
                .iter()
                .map(|&at| (at, tree.nodes[at].descriptor.clone()));
            let mut listed = stream::iter(subjects.collect::<Vec<_>>())
                .map(|(at, subject)| async move {
                    let found = tranship::referrers(repository, &subject, artifact_type).await?;
                    Ok::<_, tranship::Error>((at, found))
                })
                .buffered(CONCURRENCY);
            level.clear();
            while let Some((parent, referrers)) = listed.try_next().await? {
                if step >= MAX_LEVELS && !referrers.is_empty() {
                    return Err(too_much("100 levels of referrers"));
                }
                for referrer in referrers {
                    let is_new = seen.insert(*referrer.digest());
                    annotations += size_of_annotations(&referrer);
                    let child = tree.add(referrer);
                    tree.nodes[parent].children.push(child);
                    if is_new {
                        level.push(child);
                    }
                }
                if tree.nodes.len() > MAX_REFERRERS {
                    return Err(too_much("100000 referrers"));
                }
                if annotations > MAX_ANNOTATIONS {
                    return Err(too_much("64 MiB of annotations"));
                }
            }
            if level.is_empty() {
                break;
            }
        }
        Ok(tree)
    }

    fn add(&mut self, descriptor: Descriptor) -> usize {
        self.nodes.push(Node {
            descriptor,
            children: Vec::new(),
        });
        self.nodes.len() - 1
    }

    /// Every referrer in the order of the tree, each behind its subject, with what a line of the
    /// drawing needs. Not recursive, as others decide how deep it goes.
    fn walk(&self) -> Vec<Branch<'_>> {
        let mut branches = Vec::new();
        let mut stack: Vec<Branch<'_>> = Vec::new();
        self.push_children(&mut stack, 0, None);
        while let Some(branch) = stack.pop() {
            self.push_children(&mut stack, branch.at, Some(&branch));
            branches.push(branch);
        }
        branches
    }

    fn push_children<'a>(
        &'a self,
        stack: &mut Vec<Branch<'a>>,
        at: usize,
        parent: Option<&Branch<'a>>,
    ) {
        let Some(node) = self.nodes.get(at) else {
            return;
        };
        let lasts = parent.map_or_else(Vec::new, |parent| parent.lasts.clone());
        for (index, &child) in node.children.iter().enumerate().rev() {
            let mut lasts = lasts.clone();
            lasts.push(index + 1 == node.children.len());
            stack.push(Branch {
                at: child,
                subject: node.descriptor.digest(),
                descriptor: &self.nodes[child].descriptor,
                lasts,
            });
        }
    }
}

/// One referrer in the drawing.
struct Branch<'a> {
    at: usize,
    subject: &'a Digest,
    descriptor: &'a Descriptor,
    /// For this one and all above it, the root aside, whether it is the last of its siblings.
    lasts: Vec<bool>,
}

impl fmt::Display for Branch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((last, above)) = self.lasts.split_last() else {
            return Ok(());
        };
        for &last in above {
            f.write_str(if last { "    " } else { "│   " })?;
        }
        f.write_str(if *last { "└── " } else { "├── " })?;
        let kind = self.descriptor.artifact_type();
        let kind = kind.map_or("unknown", MediaType::as_str);
        write!(f, "{} {}", self.descriptor.digest(), plain(kind))
    }
}

#[derive(Serialize)]
struct Discovered {
    reference: String,
    descriptor: Descriptor,
    referrers: Vec<Referrer>,
    #[serde(skip)]
    drawing: String,
}

#[derive(Serialize)]
struct Referrer {
    subject: Digest,
    depth: usize,
    descriptor: Descriptor,
}

impl Discovered {
    fn new(location: &Location, tree: &Tree) -> Self {
        let root = tree.nodes[0].descriptor.clone();
        let reference = location.clone().with_reference(*root.digest()).to_string();
        let mut drawing = format!("{reference}\n");
        let mut referrers = Vec::new();
        for branch in tree.walk() {
            drawing.push_str(&format!("{branch}\n"));
            referrers.push(Referrer {
                subject: *branch.subject,
                depth: branch.lasts.len(),
                descriptor: branch.descriptor.clone(),
            });
        }
        Self {
            reference,
            descriptor: root,
            referrers,
            drawing,
        }
    }
}

impl fmt::Display for Discovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.drawing)
    }
}
