//! `repo ls` and `ls`.

use futures_util::TryStreamExt as _;
use serde::Serialize;
use tranship_backends::OpenOptions;

use super::listing::{collect, options, print_lines};
use super::{open_registry, tags};
use crate::args::{Ls, RepoLs, RepoTags, TagChoice};
use crate::command_error::Outcome;
use crate::location::Listed;
use crate::output::Output;

#[derive(Debug, Serialize)]
struct Repositories {
    registry: String,
    repositories: Vec<String>,
}

pub(super) async fn ls(args: RepoLs, location_options: &OpenOptions, output: Output) -> Outcome {
    let RepoLs { location, page } = args;
    let registry = open_registry(&location.registry, location_options).await?;
    let names = registry.repositories(options(&page));
    let names = Box::pin(names.try_filter(|name| std::future::ready(location.has(name))));
    if !output.is_json() {
        return print_lines(names, &page, &location).await.map(drop);
    }
    let repositories = collect(names, &page, &location).await?;
    let registry = location.to_string();
    output
        .print_json(&Repositories {
            registry,
            repositories,
        })
        .await
}

/// Lists repositories or tags, whichever the location has.
pub(super) async fn ls_either(args: Ls, location_options: &OpenOptions, output: Output) -> Outcome {
    let page = args.page;
    match args.location {
        Listed::Repositories(location) => {
            ls(RepoLs { location, page }, location_options, output).await
        }
        Listed::Tags(location) => {
            let args = RepoTags {
                location,
                choice: TagChoice::default(),
                untagged: false,
                page,
            };
            tags::run(args, location_options, output).await
        }
    }
}
