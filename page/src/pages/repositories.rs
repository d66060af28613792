//! The list of repositories.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{Response, StatusCode};
use maud::{Markup, html};
use tokio::time::{Instant, timeout_at};
use tranship::{ListOptions, Listing, RepositoryName, Tag, TagOrDigest};
use tranship_artifact::tags::{TagFilter, TagVersion};
use tranship_server::Permission;

use super::mirrors;
use crate::body::PageBody;
use crate::context::Context;
use crate::details::{self, Details, NoDetails};
use crate::failure::Failure;
use crate::html::frame::frame;
use crate::html::parts;
use crate::html::text::Text;
use crate::html::time;
use crate::links;
use crate::response;

/// How many repositories are on a page.
const PAGE: usize = 25;

/// How many names are compared with a search, or with what the viewer may read.
const MAX_SCANNED: usize = 50_000;

/// How many repositories are described at the same time.
const CONCURRENCY: usize = 4;

/// How many tags of a repository are counted.
const MAX_COUNTED: usize = 1_000;

/// The names on a page.
struct Found {
    names: Vec<RepositoryName>,
    /// Whether further names follow.
    more: bool,
    /// Whether the search ended before the last name.
    cut: bool,
}

/// A line of the list.
struct Row {
    tags: usize,
    /// The tag `latest`, or that of the highest version.
    newest: Option<Tag>,
    details: Result<Arc<Details>, NoDetails>,
}

pub(super) async fn show(context: &Context<'_>) -> Result<Response<PageBody>, Failure> {
    if let Ok(name) = context.parameter("open").trim().parse::<RepositoryName>() {
        return Ok(response::see_other(&links::repository(&name)));
    }
    let query = context.parameter("q").trim().to_ascii_lowercase();
    let last = context.parameter("last");
    let found = match find(context, &query, &last).await {
        Ok(found) => found,
        Err(error) if error.is_unsupported() => {
            return Ok(response::html(StatusCode::OK, without_catalog(context)));
        }
        Err(error) => return Err(error.into()),
    };
    let is_first = last.is_empty();
    if found.names.is_empty() && query.is_empty() && is_first && context.viewer.could_log_in() {
        return Ok(response::see_other(links::LOGIN));
    }
    let deadline = details::deadline(context);
    let rows: Vec<Option<Row>> = stream::iter(found.names.clone())
        .map(|name| async move {
            let row = timeout_at(deadline, describe(context, &name, deadline)).await;
            row.ok().and_then(Result::ok)
        })
        .buffered(CONCURRENCY)
        .collect()
        .await;
    let page = page(context, &query, is_first, &found, &rows);
    Ok(response::html(StatusCode::OK, page))
}

/// Finds the names on the page after `last` that contain `query` and that the viewer may read.
async fn find(context: &Context<'_>, query: &str, last: &str) -> tranship::Result<Found> {
    let mut listing = listing(context, query, last).await?;
    let deadline = details::deadline(context);
    let mut found = Found {
        names: Vec::new(),
        more: false,
        cut: false,
    };
    for _ in 0..MAX_SCANNED {
        let name = match timeout_at(deadline, listing.try_next()).await {
            Ok(name) => name?,
            Err(_) => break,
        };
        let Some(name) = name else { return Ok(found) };
        if !name.as_str().contains(query) || !context.viewer.may(&name, Permission::Read) {
            continue;
        }
        if found.names.len() == PAGE {
            found.more = true;
            return Ok(found);
        }
        found.names.push(name);
    }
    found.cut = true;
    Ok(found)
}

/// Returns the names after `last`, which need not contain `query`.
async fn listing<'a>(
    context: &'a Context<'_>,
    query: &str,
    last: &str,
) -> tranship::Result<Listing<'a, RepositoryName>> {
    let registry = &*context.registry;
    let mut options = ListOptions::default();
    if !last.is_empty() {
        options = options.with_last(last);
    }
    if query.is_empty() {
        return Ok(registry.repositories(options.with_page_size(PAGE + 1)));
    }
    let deadline = details::deadline(context);
    let Some(names) = context.state.names.get(registry, deadline).await? else {
        return Ok(registry.repositories(options));
    };
    let first = names.partition_point(|name| name.as_str() <= last);
    let names = (first..names.len()).map(move |at| Ok(names[at].clone()));
    Ok(stream::iter(names).boxed())
}

async fn describe(
    context: &Context<'_>,
    name: &RepositoryName,
    deadline: Instant,
) -> tranship::Result<Row> {
    let repository = context.registry.repository(name).await?;
    let options = ListOptions::default().with_page_size(MAX_COUNTED);
    let tags = repository.tags(options).take(MAX_COUNTED);
    let tags: Vec<Tag> = tags.try_collect().await?;
    let filter = TagFilter::default().without_digest_tags();
    let named = tags.iter().filter(|tag| filter.matches(tag));
    let newest = named.max_by(|one, other| {
        let is_latest = |tag: &Tag| tag.as_str() == "latest";
        let by_name = is_latest(one).cmp(&is_latest(other));
        by_name.then_with(|| TagVersion::compare(one, other))
    });
    let details = match newest {
        None => Err(NoDetails::Failed),
        Some(tag) => {
            let references = [TagOrDigest::Tag(tag.clone())];
            let described = details::describe_all(context, &*repository, &references, deadline);
            let first = described.await.into_iter().next();
            first.unwrap_or(Err(NoDetails::Late))
        }
    };
    Ok(Row {
        tags: tags.len(),
        newest: newest.cloned(),
        details,
    })
}

fn page(
    context: &Context<'_>,
    query: &str,
    is_first: bool,
    found: &Found,
    rows: &[Option<Row>],
) -> Markup {
    let search = links::with_query(links::ROOT, &[("q", query)]);
    let next = found
        .names
        .last()
        .filter(|_| found.more)
        .map(|last| links::with_query(links::ROOT, &[("q", query), ("last", last.as_str())]));
    let content = html! {
        div.head {
            h1 { "Repositories" }
            @if mirrors::may_see(context) {
                div.actions { a.button href=(links::MIRRORS) { "Mirrors" } }
            }
            form.search role="search" method="get" action=(links::ROOT) data-live {
                label.hidden for="q" { "Search repositories" }
                input #q name="q" type="search" value=(Text(query)) placeholder="Search repositories"
                    autocomplete="off" spellcheck="false";
                button type="submit" { "Search" }
            }
        }
        div #results aria-live="polite" {
            @if found.names.is_empty() {
                (empty(query, is_first))
            } @else {
                (table(&found.names, rows))
            }
            @if found.cut {
                p.note { "The search was ended after a while. Type more of the name to find others." }
            }
            (parts::pager((!is_first).then_some(search.as_str()), None, next.as_deref()))
        }
    };
    frame(context, "Repositories", &[], content)
}

fn empty(query: &str, is_first: bool) -> Markup {
    html! {
        div.empty {
            @if !query.is_empty() {
                p { "No repository has “" (Text(query)) "” in its name." }
            } @else if is_first {
                p { "There are no repositories yet. Push an image, and it is listed here." }
            } @else {
                p { "There are no further repositories." }
            }
        }
    }
}

fn table(names: &[RepositoryName], rows: &[Option<Row>]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Repositories" { table {
            caption.hidden { "Repositories" }
            thead { tr {
                th scope="col" { "Repository" }
                th.number scope="col" { "Tags" }
                th scope="col" { "Newest" }
                th scope="col" { "Created" }
                th.number scope="col" { "Size" }
            } }
            tbody {
                @for (name, row) in names.iter().zip(rows) {
                    tr {
                        th scope="row" { a href=(links::repository(name)) { (name) } }
                        @match row {
                            None => { td.number { (parts::no_details(NoDetails::Late)) } td {} td {} td {} }
                            Some(row) => (cells(name, row)),
                        }
                    }
                }
            }
        } }
    }
}

fn cells(name: &RepositoryName, row: &Row) -> Markup {
    let Some(newest) = &row.newest else {
        return html! { td.number { (row.tags) } td { span.quiet { "–" } } td {} td {} };
    };
    html! {
        td.number { (row.tags) @if row.tags == MAX_COUNTED { "+" } }
        td { a.tag href=(links::manifest(name, newest)) { (newest) } }
        @match &row.details {
            Ok(details) => {
                td { (time::age(details.created.as_deref())) }
                td.number { (parts::size(details.size)) }
            }
            Err(reason) => { td { (parts::no_details(*reason)) } td {} }
        }
    }
}

/// The page of a registry that does not list its repositories.
fn without_catalog(context: &Context<'_>) -> Markup {
    let content = html! {
        h1 { "Repositories" }
        p.lead { "This registry does not list its repositories. Open one by its name." }
        form.search method="get" action=(links::ROOT) {
            label.hidden for="open" { "Name of the repository" }
            input #open name="open" placeholder="library/alpine" autocomplete="off" spellcheck="false" required;
            button type="submit" { "Open" }
        }
    };
    frame(context, "Repositories", &[], content)
}
