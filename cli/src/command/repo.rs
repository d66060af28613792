//! `repo tags` and `repo ls`.

use std::fmt;

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use tranship::{Descriptor, Error, ListOptions, Listing, Repository};
use tranship_backends::Location;
use tranship_backends::OpenOptions;
use tranship_backends::layout::IndexEntry;

use super::source::{open_entries, tell_of_untagged, untagged};
use super::{open_existing, open_registry};
use crate::args::{PageArgs, RepoLs, RepoTags};
use crate::command_error::{At as _, Outcome};
use crate::location::no_reference;
use crate::output::{self, Output};
use crate::plain_text::plain;

/// So many lines are written at a time, if they are there.
const BATCH: usize = 1000;

#[derive(Debug, Serialize)]
struct Tags {
    repository: String,
    tags: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Untagged {
    repository: String,
    untagged: Vec<Descriptor>,
}

#[derive(Debug, Serialize)]
struct Repositories {
    registry: String,
    repositories: Vec<String>,
}

pub(super) async fn tags(
    args: RepoTags,
    location_options: &OpenOptions,
    output: Output,
) -> Outcome {
    let location = args.location;
    no_reference(&location)?;
    if let Some((layout, entries)) = open_entries(&location, location_options).await? {
        let rest = untagged(entries);
        if args.untagged {
            return print_untagged(&location, rest, output).await;
        }
        list_tags(&layout, &args.page, &location, output).await?;
        if !output.is_json() {
            tell_of_untagged(&location, &rest, output);
        }
        return Ok(());
    }
    if args.untagged {
        return Err(
            Error::unsupported("registries do not list manifests without a tag")
                .with_subject(&location)
                .into(),
        );
    }
    let repository = open_existing(&location, location_options).await?;
    list_tags(&*repository, &args.page, &location, output).await
}

async fn list_tags(
    repository: &dyn Repository,
    page: &PageArgs,
    location: &Location,
    output: Output,
) -> Outcome {
    let tags = repository.tags(options(page));
    if !output.is_json() {
        return print_lines(tags, page, location).await;
    }
    let tags = collect(tags, page, location).await?;
    let repository = location.to_string();
    output.print_json(&Tags { repository, tags }).await
}

/// Prints a digest a line, with the name that the entry has if that is not a tag.
async fn print_untagged(location: &Location, entries: Vec<IndexEntry>, output: Output) -> Outcome {
    if output.is_json() {
        let untagged = entries.into_iter().map(|entry| entry.descriptor).collect();
        let repository = location.to_string();
        return output
            .print_json(&Untagged {
                repository,
                untagged,
            })
            .await;
    }
    let mut lines = String::new();
    for entry in entries {
        let digest = entry.descriptor.digest();
        match entry.name() {
            Some(name) => lines.push_str(&format!("{digest} {}\n", plain(name))),
            None => lines.push_str(&format!("{digest}\n")),
        }
    }
    output::write(lines.as_bytes()).await
}

pub(super) async fn ls(args: RepoLs, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.location;
    let registry = open_registry(&location, location_options).await?;
    let names = registry.repositories(options(&args.page));
    if !output.is_json() {
        return print_lines(names, &args.page, &location).await;
    }
    let repositories = collect(names, &args.page, &location).await?;
    let registry = location.to_string();
    output
        .print_json(&Repositories {
            registry,
            repositories,
        })
        .await
}

fn options(page: &PageArgs) -> ListOptions {
    let mut options = ListOptions::default();
    if let Some(last) = &page.last {
        options = options.with_last(last);
    }
    // A registry need not be asked for more than is shown.
    match page.limit {
        Some(limit @ 1..BATCH) => options.with_page_size(limit),
        _ => options,
    }
}

/// Prints names as they come.
async fn print_lines<T: fmt::Display>(
    names: Listing<'_, T>,
    page: &PageArgs,
    location: impl fmt::Display,
) -> Outcome {
    let mut batches = names
        .take(page.limit.unwrap_or(usize::MAX))
        .ready_chunks(BATCH);
    while let Some(batch) = batches.next().await {
        let mut lines = String::new();
        let mut failed = None;
        for name in batch {
            match name.at(&location) {
                Ok(name) => lines.push_str(&format!("{name}\n")),
                Err(failure) => failed = Some(failure),
            }
        }
        output::write(lines.as_bytes()).await?;
        if let Some(failure) = failed {
            return Err(failure);
        }
    }
    Ok(())
}

async fn collect<T: fmt::Display>(
    names: Listing<'_, T>,
    page: &PageArgs,
    location: impl fmt::Display,
) -> Outcome<Vec<String>> {
    names
        .take(page.limit.unwrap_or(usize::MAX))
        .map_ok(|name| name.to_string())
        .try_collect()
        .await
        .at(location)
}
