//! `discover`: what refers to a manifest, and what refers to that.

use std::collections::HashSet;
use std::fmt::{self, Write as _};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use tranship::{
    Descriptor, Digest, MAX_MANIFEST_SIZE, MediaType, ReferrerBounds, Repository, Result,
    ResultExt as _, Tag, describe_referrer, digest_tagged, fetch_document,
};
use tranship_backends::Location;
use tranship_backends::OpenOptions;

use super::resolve;
use super::source::open_source;
use crate::args::Discover;
use crate::command_error::{At as _, Outcome};
use crate::output::Output;
use tranship::escape_controls as plain;

/// So many lists of referrers are asked for at the same time.
const CONCURRENCY: usize = 6;

pub(super) async fn run(args: Discover, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.reference;
    let (repository, reference) = open_source(&location, location_options, output).await?;
    let options = resolve::options(args.platform.platform);
    let root = tranship::resolve(&*repository, &reference, &options)
        .await
        .within(&location)?;
    let wanted = Wanted {
        repository: &*repository,
        artifact_type: args.artifact_type.as_ref(),
        digest_tags: !args.no_digest_tags,
    };
    let depth = args.depth.unwrap_or(u32::MAX);
    let tree = Tree::grow(&wanted, root, depth).await.within(&location)?;
    if tree.nodes.len() == 1 && !output.is_json() {
        output.note("nothing refers to it");
    }
    output
        .print(&Discovered::new(&location, &tree, args.annotations))
        .await
}

/// What is looked for.
struct Wanted<'a> {
    repository: &'a dyn Repository,
    artifact_type: Option<&'a MediaType>,
    /// Whether what is attached by tags counts.
    digest_tags: bool,
}

impl Wanted<'_> {
    /// Lists the artifacts that refer to `subject`: its referrers, then those that only a tag attaches.
    async fn list(&self, subject: &Descriptor) -> Result<Vec<Found>> {
        let referrers = tranship::referrers(self.repository, subject, self.artifact_type).await?;
        let mut found: Vec<_> = referrers
            .into_iter()
            .map(|descriptor| Found {
                descriptor,
                tag: None,
            })
            .collect();
        if !self.digest_tags {
            return Ok(found);
        }
        for (tag, descriptor) in digest_tagged(self.repository, subject.digest()).await? {
            let known = found.iter_mut();
            let mut known = known.filter(|known| known.descriptor.same_content(&descriptor));
            if let Some(known) = known.next() {
                known.tag = Some(tag);
                continue;
            }
            let document = fetch_document(self.repository, &descriptor, MAX_MANIFEST_SIZE).await;
            let descriptor = match document.during("fetch", &tag)? {
                Some(document) => describe_referrer(&descriptor, &document),
                None => descriptor,
            };
            let kind = descriptor.artifact_type();
            if self.artifact_type.is_none() || kind == self.artifact_type {
                found.push(Found {
                    descriptor,
                    tag: Some(tag),
                });
            }
        }
        Ok(found)
    }
}

/// Something that refers to a manifest.
struct Found {
    descriptor: Descriptor,
    /// The tag that attaches it, if one does.
    tag: Option<Tag>,
}

/// What was discovered, the root first. Children are named by their place in the list, and stand
/// behind their parent.
struct Tree {
    nodes: Vec<Node>,
}

struct Node {
    found: Found,
    children: Vec<usize>,
}

impl Tree {
    /// Asks level by level. Each manifest is asked about once, however often it is listed, so that a
    /// registry whose lists contradict its manifests cannot keep this going.
    async fn grow(wanted: &Wanted<'_>, root: Descriptor, depth: u32) -> Result<Self> {
        let mut seen: HashSet<Digest> = HashSet::from([*root.digest()]);
        let mut tree = Self { nodes: Vec::new() };
        let mut level = vec![tree.add(Found {
            descriptor: root,
            tag: None,
        })];
        let mut bounds = ReferrerBounds::default();
        for step in 1..=depth {
            let subjects = level
                .iter()
                .map(|&at| (at, tree.nodes[at].found.descriptor.clone()));
            let mut listed = stream::iter(subjects.collect::<Vec<_>>())
                .map(|(at, subject)| async move {
                    let found = wanted.list(&subject).await?;
                    Ok::<_, tranship::Error>((at, found))
                })
                .buffered(CONCURRENCY);
            level.clear();
            while let Some((parent, found)) = listed.try_next().await? {
                let referrers = found.iter().map(|found| &found.descriptor);
                let admitted = bounds.admit(step as usize, referrers);
                admitted.map_err(|error| error.with_hint("give --depth or --artifact-type"))?;
                for found in found {
                    let is_new = seen.insert(*found.descriptor.digest());
                    let child = tree.add(found);
                    tree.nodes[parent].children.push(child);
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

    fn add(&mut self, found: Found) -> usize {
        self.nodes.push(Node {
            found,
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
                subject: node.found.descriptor.digest(),
                node: &self.nodes[child],
                lasts,
            });
        }
    }
}

/// One referrer in the drawing.
struct Branch<'a> {
    at: usize,
    subject: &'a Digest,
    node: &'a Node,
    /// For this one and all above it, the root aside, whether it is the last of its siblings.
    lasts: Vec<bool>,
}

/// Returns the piece of a line that joins a branch to its siblings above and below.
fn margin(is_last: bool) -> &'static str {
    if is_last { "    " } else { "│   " }
}

impl Branch<'_> {
    fn draw(&self, with_annotations: bool) -> String {
        let Some((last, above)) = self.lasts.split_last() else {
            return String::new();
        };
        let Found { descriptor, tag } = &self.node.found;
        let mut drawn: String = above.iter().map(|last| margin(*last)).collect();
        let before = drawn.clone();
        drawn.push_str(if *last { "└── " } else { "├── " });
        let kind = descriptor.artifact_type();
        let kind = kind.map_or("unknown", MediaType::as_str);
        // Writing to text does not fail.
        let _ = write!(drawn, "{} {}", descriptor.digest(), plain(kind));
        if let Some(tag) = tag {
            let _ = write!(drawn, " (tag {tag})");
        }
        drawn.push('\n');
        if with_annotations {
            let below = margin(self.node.children.is_empty());
            for (key, value) in descriptor.annotations() {
                let (key, value) = (plain(key), plain(value));
                let _ = writeln!(drawn, "{before}{}{below}{key}: {value}", margin(*last));
            }
        }
        drawn
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
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    descriptor: Descriptor,
}

impl Discovered {
    fn new(location: &Location, tree: &Tree, with_annotations: bool) -> Self {
        let root = tree.nodes[0].found.descriptor.clone();
        let reference = location.clone().with_reference(*root.digest()).to_string();
        let mut drawing = format!("{reference}\n");
        let mut referrers = Vec::new();
        for branch in tree.walk() {
            drawing.push_str(&branch.draw(with_annotations));
            let found = &branch.node.found;
            referrers.push(Referrer {
                subject: *branch.subject,
                depth: branch.lasts.len(),
                tag: found.tag.as_ref().map(Tag::to_string),
                descriptor: found.descriptor.clone(),
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
