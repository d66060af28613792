//! `discover`: what refers to a manifest, and what refers to that.

use std::fmt::{self, Write as _};

use serde::Serialize;
use tranship::{Descriptor, Digest, Error, ErrorKind, MediaType, Tag, escape_controls as plain};
use tranship_artifact::referrers::{self, Branch, Referrer, ReferrerTree, TreeOptions};
use tranship_backends::Location;
use tranship_backends::OpenOptions;

use super::resolve;
use super::source::open_source;
use crate::args::Discover;
use crate::command_error::{At as _, Outcome};
use crate::output::Output;

pub(super) async fn run(args: Discover, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.reference;
    let (repository, reference) = open_source(&location, location_options, output).await?;
    let options = resolve::options(args.platform.platform);
    let root = tranship::resolve(&*repository, &reference, &options)
        .await
        .within(&location)?;
    let tree_options = TreeOptions::default()
        .with_artifact_type(args.artifact_type)
        .with_digest_tags(!args.no_digest_tags)
        .with_depth(args.depth.unwrap_or(u32::MAX));
    let tree = referrers::tree(&*repository, root.clone(), &tree_options).await;
    let tree = tree.map_err(with_narrower_search).within(&location)?;
    if tree.is_empty() && !output.is_json() {
        output.note("nothing refers to it");
    }
    output
        .print(&Discovered::new(&location, root, &tree, args.annotations))
        .await
}

/// Adds how to find fewer referrers if there are too many.
fn with_narrower_search(error: Error) -> Error {
    match error.kind() {
        ErrorKind::SizeExceedsLimit => error.with_hint("give --depth or --artifact-type"),
        _ => error,
    }
}

/// Returns the piece of a line that joins a branch to its siblings above and below.
fn margin(is_last: bool) -> &'static str {
    if is_last { "    " } else { "│   " }
}

fn draw(branch: &Branch<'_>, with_annotations: bool) -> String {
    let Some((last, above)) = branch.lasts.split_last() else {
        return String::new();
    };
    let Referrer {
        descriptor, tag, ..
    } = branch.referrer;
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
        let below = margin(branch.is_leaf);
        for (key, value) in descriptor.annotations() {
            let (key, value) = (plain(key), plain(value));
            let _ = writeln!(drawn, "{before}{}{below}{key}: {value}", margin(*last));
        }
    }
    drawn
}

#[derive(Serialize)]
struct Discovered {
    reference: String,
    descriptor: Descriptor,
    referrers: Vec<ReferrerRow>,
    #[serde(skip)]
    drawing: String,
}

#[derive(Serialize)]
struct ReferrerRow {
    subject: Digest,
    depth: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    descriptor: Descriptor,
}

impl Discovered {
    fn new(
        location: &Location,
        root: Descriptor,
        tree: &ReferrerTree,
        with_annotations: bool,
    ) -> Self {
        let reference = location.clone().with_reference(*root.digest()).to_string();
        let mut drawing = format!("{reference}\n");
        let mut referrers = Vec::new();
        for branch in tree.branches() {
            drawing.push_str(&draw(&branch, with_annotations));
            let found = branch.referrer;
            referrers.push(ReferrerRow {
                subject: *branch.subject.digest(),
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
