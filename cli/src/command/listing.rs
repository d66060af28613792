//! Lists that are printed as they come.

use std::fmt;

use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use tranship::{Error, ListOptions};

use crate::args::PageArgs;
use crate::command_error::{At as _, Outcome};
use crate::output;

/// So many lines are written at a time, if they are there.
const BATCH: usize = 1000;

/// How a list is asked for of which `page` is shown.
pub(super) fn options(page: &PageArgs) -> ListOptions {
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

/// Prints names as they come. Returns whether there were any.
pub(super) async fn print_lines<T: fmt::Display>(
    names: impl Stream<Item = Result<T, Error>> + Unpin,
    page: &PageArgs,
    location: impl fmt::Display,
) -> Outcome<bool> {
    let mut any = false;
    let mut batches = names
        .take(page.limit.unwrap_or(usize::MAX))
        .ready_chunks(BATCH);
    while let Some(batch) = batches.next().await {
        let mut lines = String::new();
        let mut failed = None;
        for name in batch {
            match name.at(&location) {
                Ok(name) => {
                    any = true;
                    lines.push_str(&format!("{name}\n"));
                }
                Err(failure) => failed = Some(failure),
            }
        }
        output::write(lines.as_bytes()).await?;
        if let Some(failure) = failed {
            return Err(failure);
        }
    }
    Ok(any)
}

/// Collects the names that are shown.
pub(super) async fn collect<T: fmt::Display>(
    names: impl Stream<Item = Result<T, Error>>,
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
