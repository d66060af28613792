//! The tags of a repository.

use http::{Response, StatusCode};
use maud::{Markup, html};
use tranship::{Repository, may_have_repository};

use super::tag_list::{self, Order, PAGE, TagPage, TagRow, Wanted};
use crate::body::PageBody;
use crate::context::Context;
use crate::failure::Failure;
use crate::html::commands;
use crate::html::frame::{Crumb, frame};
use crate::html::parts;
use crate::html::text::Text;
use crate::html::time;
use crate::links;
use crate::response;

/// How many platforms a line names.
const MAX_PLATFORMS: usize = 4;

pub(super) async fn show(
    context: &Context<'_>,
    repository: &dyn Repository,
) -> Result<Response<PageBody>, Failure> {
    let wanted = Wanted {
        order: Order::parse(&context.parameter("sort")),
        query: context.parameter("q").trim().to_ascii_lowercase(),
        page: context.parameter("page").parse().unwrap_or(0),
        digest_tags: context.parameter("all") == "1",
    };
    let tags = tag_list::read(context, repository, &wanted).await?;
    let is_empty = tags.total == 0 && tags.hidden == 0 && wanted.query.is_empty();
    if is_empty && !may_have_repository(&*context.registry, repository.name()).await? {
        return Err(Failure::not_found());
    }
    let page = page(context, repository, &wanted, &tags);
    Ok(response::html(StatusCode::OK, page))
}

fn page(
    context: &Context<'_>,
    repository: &dyn Repository,
    wanted: &Wanted,
    tags: &TagPage,
) -> Markup {
    let name = repository.name();
    let here = links::repository(name);
    let all = if wanted.digest_tags { "1" } else { "" };
    let address = |page: usize| {
        let page = match page {
            0 => String::new(),
            page => page.to_string(),
        };
        let order = wanted.order.as_str();
        links::with_query(
            &here,
            &[
                ("q", &wanted.query),
                ("sort", order),
                ("all", all),
                ("page", &page),
            ],
        )
    };
    let has_next = (wanted.page.saturating_add(1)).saturating_mul(PAGE) < tags.total;
    let next = has_next.then(|| address(wanted.page + 1));
    let previous = wanted.page.checked_sub(1).map(address);
    let content = html! {
        div.head {
            h1 { (name) }
            form.search role="search" method="get" action=(here) data-live data-auto {
                label.hidden for="q" { "Search tags" }
                input #q name="q" type="search" value=(Text(&wanted.query)) placeholder="Search tags"
                    autocomplete="off" spellcheck="false";
                label.hidden for="sort" { "Sort by" }
                select #sort name="sort" {
                    @for order in Order::ALL {
                        option value=(order.as_str()) selected[order == wanted.order] { (order.label()) }
                    }
                }
                @if wanted.digest_tags { input type="hidden" name="all" value="1"; }
                button type="submit" { "Show" }
            }
        }
        div #results aria-live="polite" {
            (notes(wanted, tags))
            @if tags.rows.is_empty() {
                div.empty { p {
                    @if wanted.query.is_empty() { "There are no tags on this page." }
                    @else { "No tag has “" (Text(&wanted.query)) "” in its name." }
                } }
            } @else {
                p.quiet { (parts::counted(tags.total, "tag")) @if tags.cut { ", and more" } }
                (table(repository, &tags.rows))
            }
            (parts::pager(None, previous.as_deref(), next.as_deref()))
            @if tags.hidden > 0 {
                p.quiet {
                    (parts::counted(tags.hidden, "tag")) " of signatures and the like not shown. "
                    a href=(links::with_query(&here, &[("all", "1")])) { "Show all tags" }
                }
            }
        }
        @if let Some(first) = tags.rows.first() {
            section aria-labelledby="pull" {
                h2 #pull { "Pull" }
                (commands::list(&commands::for_image(&format!("{}/{name}:{}", context.host(), first.tag))))
            }
            (compare_form(repository, &tags.rows))
        }
    };
    frame(
        context,
        name.as_str(),
        &[Crumb::new("Repositories", links::ROOT)],
        content,
    )
}

fn notes(wanted: &Wanted, tags: &TagPage) -> Markup {
    html! {
        @if tags.cut {
            p.note { "There are too many tags to read all of them, so the first ones by name are shown. Search for others." }
        } @else if tags.order != wanted.order {
            p.note { "There are too many tags to sort them by time. They are sorted by version. Search to see fewer." }
        }
    }
}

fn table(repository: &dyn Repository, rows: &[TagRow]) -> Markup {
    let name = repository.name();
    html! {
        div.scroll tabindex="0" role="region" aria-label="Tags" { table {
            caption.hidden { "Tags" }
            thead { tr {
                th scope="col" { "Tag" }
                th scope="col" { "Platforms" }
                th scope="col" { "Created" }
                th.number scope="col" { "Size" }
                th scope="col" { "Digest" }
            } }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" { a href=(links::manifest(name, &row.tag)) { (row.tag) } }
                        @match &row.details {
                            Ok(details) => {
                                td { (platforms(&details.platforms, &details.kind)) }
                                td { (time::age(details.created.as_deref())) }
                                td.number { (parts::size(details.size)) }
                                td { (parts::digest_link(&details.digest, &links::manifest(name, details.digest))) }
                            }
                            Err(reason) => { td { (parts::no_details(*reason)) } td {} td {} td {} }
                        }
                    }
                }
            }
        } }
    }
}

/// Shows the first platforms, or what it is if it does not have any.
fn platforms(platforms: &[String], kind: &str) -> Markup {
    html! {
        @if platforms.is_empty() {
            span.quiet { (Text(kind)) }
        }
        @for platform in platforms.iter().take(MAX_PLATFORMS) {
            span.label { (Text(platform)) } " "
        }
        @if platforms.len() > MAX_PLATFORMS {
            span.quiet title=(Text(&platforms.join(", "))) { "+" (platforms.len() - MAX_PLATFORMS) }
        }
    }
}

fn compare_form(repository: &dyn Repository, rows: &[TagRow]) -> Markup {
    html! {
        section aria-labelledby="compare" {
            h2 #compare { "Compare two tags" }
            form.row method="get" action=(links::compare(repository.name())) {
                label for="from" { "From" }
                input #from name="from" list="tags" value=[rows.get(1).map(|row| row.tag.as_str())] required
                    autocomplete="off" spellcheck="false";
                label for="to" { "To" }
                input #to name="to" list="tags" value=[rows.first().map(|row| row.tag.as_str())] required
                    autocomplete="off" spellcheck="false";
                datalist #tags { @for row in rows { option value=(row.tag) {} } }
                button type="submit" { "Compare" }
            }
        }
    }
}
