//! The referrers of a manifest, as a tree.

use http::{Response, StatusCode};
use maud::{Markup, html};
use tranship::{Repository, ResolveOptions, TagOrDigest, resolve};
use tranship_artifact::referrers::{Branch, TreeOptions, tree};

use super::manifest::{crumbs, title};
use crate::body::PageBody;
use crate::context::Context;
use crate::failure::Failure;
use crate::html::frame::{Crumb, frame};
use crate::html::parts;
use crate::html::text::{Text, shortened};
use crate::html::time;
use crate::links;
use crate::response;

/// How many levels are followed.
const MAX_DEPTH: u32 = 8;

/// How many referrers are shown.
const MAX_SHOWN: usize = 500;

/// How many annotations of each are shown.
const MAX_ANNOTATIONS: usize = 8;

pub(super) async fn show(
    context: &Context<'_>,
    repository: &dyn Repository,
    reference: &TagOrDigest,
) -> Result<Response<PageBody>, Failure> {
    let root = resolve(repository, reference, &ResolveOptions::default()).await?;
    let tree = tree(
        repository,
        root,
        &TreeOptions::default().with_depth(MAX_DEPTH),
    )
    .await?;
    let branches = tree.branches();
    let content = html! {
        h1 { "Referrers" }
        @if branches.is_empty() {
            p.lead { "Nothing refers to " (title(reference)) "." }
        } @else {
            p.lead { (parts::counted(tree.len(), "manifest")) " refer to it, directly or through others." }
            (table(repository, &branches))
            @if branches.len() > MAX_SHOWN {
                p.note { "The first " (MAX_SHOWN) " of " (branches.len()) " are shown. Use `tranship discover` for all." }
            }
        }
    };
    let [repositories, tags] = crumbs(repository);
    let above = Crumb::new(
        title(reference),
        links::manifest(repository.name(), reference),
    );
    let page = frame(context, "Referrers", &[repositories, tags, above], content);
    Ok(response::html(StatusCode::OK, page))
}

fn table(repository: &dyn Repository, branches: &[Branch<'_>]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Referrers, each after its subject" { table.tree {
            caption.hidden { "Referrers, each after its subject" }
            thead { tr {
                th scope="col" { "Artifact" }
                th scope="col" { "Created" }
                th.number scope="col" { "Manifest" }
                th scope="col" { "Digest" }
            } }
            tbody { @for branch in branches.iter().take(MAX_SHOWN) { (row(repository, branch)) } }
        } }
    }
}

fn row(repository: &dyn Repository, branch: &Branch<'_>) -> Markup {
    let descriptor = &branch.referrer.descriptor;
    let depth = branch.lasts.len();
    let kind = descriptor
        .artifact_type()
        .unwrap_or(descriptor.media_type());
    let address = links::manifest(repository.name(), descriptor.digest());
    let created = descriptor.annotation("org.opencontainers.image.created");
    let annotations = descriptor.annotations().iter();
    let annotations = annotations.filter(|(key, _)| *key != "org.opencontainers.image.created");
    html! {
        tr {
            th scope="row" class={ "level-" (depth) } {
                @if depth > 1 { span.hidden { "Level " (depth) ": " } }
                a href=(address) { (Text(kind.as_str())) }
                @if let Some(tag) = &branch.referrer.tag { " " span.label { "tag " (tag) } }
                @for (key, value) in annotations.take(MAX_ANNOTATIONS) {
                    div.quiet { (Text(key)) ": " (Text(&shortened(value, 120))) }
                }
            }
            td { @if created.is_some() { (time::age(created)) } }
            td.number { (parts::size(descriptor.size())) }
            td { (parts::digest_link(descriptor.digest(), &address)) }
        }
    }
}
