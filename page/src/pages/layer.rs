//! What one layer of an image changes.

use http::{Response, StatusCode};
use maud::{Markup, html};
use tranship::{Digest, HumanSize, Repository, TagOrDigest};
use tranship_artifact::image::{EntryKind, LayerChange};

use super::files::{MAX_TARGET, PAGE, open, unreadable};
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

pub(super) async fn show(
    context: &Context<'_>,
    repository: &dyn Repository,
    reference: &TagOrDigest,
    layer: &Digest,
) -> Result<Response<PageBody>, Failure> {
    let reader = context.layer_reader().await?;
    let mut files = open(context, repository, reference).await?;
    let changes = files.list_layer(layer).await.map_err(unreadable)?;
    drop(reader);
    let query = context.parameter("q").trim().to_lowercase();
    let found = changes
        .iter()
        .filter(|change| query.is_empty() || path(change).to_lowercase().contains(&query));
    let found: Vec<&LayerChange> = found.collect();
    let page: usize = context.parameter("page").parse().unwrap_or(0);
    let here = links::below_manifest(repository.name(), reference, &format!("layers/{layer}"));
    let address =
        |page: usize| links::with_query(&here, &[("q", &query), ("page", &page.to_string())]);
    let shown = found.iter().skip(page.saturating_mul(PAGE)).take(PAGE);
    let next =
        ((page.saturating_add(1)).saturating_mul(PAGE) < found.len()).then(|| address(page + 1));
    let previous = page.checked_sub(1).map(address);
    let added: u64 = changes.iter().map(size).fold(0, u64::saturating_add);
    let content = html! {
        div.head {
            h1 { "Layer " (parts::short_digest(layer)) }
            form.search role="search" method="get" action=(here) data-live {
                label.hidden for="q" { "Search paths" }
                input #q name="q" type="search" value=(Text(&query)) placeholder="Search paths" autocomplete="off"
                    spellcheck="false";
                button type="submit" { "Search" }
            }
        }
        p.lead { (parts::counted(changes.len(), "entry").replace("entrys", "entries")) ", " (HumanSize(added)) " unpacked" }
        div #results aria-live="polite" {
            @if found.is_empty() {
                p.quiet { "Nothing is found." }
            } @else {
                (table(shown.copied()))
            }
            (parts::pager(None, previous.as_deref(), next.as_deref()))
        }
    };
    let [repositories, tags] = crumbs(repository);
    let above = Crumb::new(
        title(reference),
        links::manifest(repository.name(), reference),
    );
    let page = frame(context, "Layer", &[repositories, tags, above], content);
    Ok(response::html(StatusCode::OK, page))
}

fn path(change: &LayerChange) -> String {
    String::from_utf8_lossy(change.path()).into_owned()
}

fn size(change: &LayerChange) -> u64 {
    match change {
        LayerChange::Adds(entry) => match entry.kind {
            EntryKind::File { size } => size,
            _ => 0,
        },
        _ => 0,
    }
}

fn table<'a>(changes: impl Iterator<Item = &'a LayerChange>) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Changes of the layer" { table.files {
            caption.hidden { "Changes of the layer" }
            thead { tr {
                th scope="col" { "Path" }
                th.number scope="col" { "Size" }
                th scope="col" { "Mode" }
                th scope="col" { "Changed" }
            } }
            tbody { @for change in changes { (row(change)) } }
        } }
    }
}

fn row(change: &LayerChange) -> Markup {
    let path = path(change);
    html! {
        @match change {
            LayerChange::Adds(entry) => tr {
                th scope="row" {
                    (Text(&path))
                    @match &entry.kind {
                        EntryKind::Directory => "/",
                        EntryKind::Symlink { target } => span.quiet {
                            " → " (Text(&shortened(&String::from_utf8_lossy(target), MAX_TARGET)))
                        },
                        _ => "",
                    }
                }
                td.number { @if let EntryKind::File { size } = entry.kind { (parts::size(size)) } }
                td { code { (entry.permissions()) } }
                td { (time::date(entry.mtime)) }
            },
            LayerChange::Links { target, .. } => tr {
                th scope="row" { (Text(&path)) span.quiet { " = " (Text(&String::from_utf8_lossy(target))) } }
                td {} td { "hard link" } td {}
            },
            LayerChange::Removes { .. } => tr.removed {
                th scope="row" { (Text(&path)) } td {} td { "removed" } td {}
            },
            _ => tr.removed {
                th scope="row" { (Text(&path)) "/" } td {} td { "emptied" } td {}
            },
        }
    }
}
