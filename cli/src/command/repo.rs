//! `repo tags` and `repo ls`.

use std::fmt;

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use tranship::{ListOptions, Listing};
use tranship_backends::OpenOptions;

use super::{open_existing, open_registry};
use crate::args::{PageArgs, RepoLs, RepoTags};
use crate::failure::{At as _, Outcome};
use crate::location::no_reference;
use crate::output::{self, Output};

/// So many lines are written at a time, if they are there.
const BATCH: usize = 1000;

#[derive(Debug, Serialize)]
struct Tags {
    repository: String,
    tags: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Repositories {
    registry: String,
    repositories: Vec<String>,
}

pub(super) async fn tags(args: RepoTags, places: &OpenOptions, output: Output) -> Outcome {
    let location = args.location;
    no_reference(&location)?;
    let repository = open_existing(&location, places).await?;
    let tags = repository.tags(options(&args.page));
    if !output.is_json() {
        return print_lines(tags, &args.page, &location).await;
    }
    let tags = collect(tags, &args.page, &location).await?;
    let repository = location.to_string();
    output.print_json(&Tags { repository, tags }).await
}

pub(super) async fn ls(args: RepoLs, places: &OpenOptions, output: Output) -> Outcome {
    let location = args.location;
    let registry = open_registry(&location, places).await?;
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
