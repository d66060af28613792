//! `repo tags` and `tags`.

use std::time::SystemTime;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use tranship::{
    Descriptor, Digest, Error, Repository, ResultExt as _, Tag, TagOrDigest,
    escape_controls as plain,
};
use tranship_artifact::tags::{TagVersion, created};
use tranship_backends::Location;
use tranship_backends::OpenOptions;
use tranship_backends::layout::IndexEntry;

use super::listing::{collect, options, print_lines};
use super::open_existing;
use super::source::{open_entries, tell_of_untagged, untagged};
use crate::args::{PageArgs, RepoTags, TagChoice, TagOrder};
use crate::command_error::{At as _, Outcome};
use crate::location::no_reference;
use crate::output::{self, Output};

/// So many tags are looked at at a time.
const CONCURRENCY: usize = 8;

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

pub(super) async fn run(args: RepoTags, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = &args.location;
    no_reference(location)?;
    if let Some((layout, entries)) = open_entries(location, location_options).await? {
        let rest = untagged(entries);
        if args.untagged {
            return print_untagged(location, rest, output).await;
        }
        list(&layout, &args, output).await?;
        if !output.is_json() && args.choice.is_all() {
            tell_of_untagged(location, &rest, output);
        }
        return Ok(());
    }
    if args.untagged {
        return Err(
            Error::unsupported("registries do not list manifests without a tag")
                .with_subject(location)
                .into(),
        );
    }
    let repository = open_existing(location, location_options).await?;
    list(&*repository, &args, output).await
}

async fn list(repository: &dyn Repository, args: &RepoTags, output: Output) -> Outcome {
    let RepoTags {
        location,
        choice,
        page,
        ..
    } = args;
    let tags = if choice.is_all() {
        let tags = repository.tags(options(page));
        if !output.is_json() {
            let any = print_lines(tags, page, location).await?;
            if !any && page.last.is_none() && page.limit != Some(0) {
                // A registry need not tell a repository without tags from one that does not exist.
                output.note(format_args!(
                    "{location} has no tags; if it should have some, look at the spelling of its name"
                ));
            }
            return Ok(());
        }
        collect(tags, page, location).await?
    } else {
        let chosen = choose(repository, choice, page, location).await?;
        let chosen = stream::iter(chosen.into_iter().map(Ok));
        if !output.is_json() {
            return print_lines(chosen, page, location).await.map(drop);
        }
        collect(chosen, page, location).await?
    };
    let repository = location.to_string();
    output.print_json(&Tags { repository, tags }).await
}

/// Returns the tags that `choice` chooses, in its order.
async fn choose(
    repository: &dyn Repository,
    choice: &TagChoice,
    page: &PageArgs,
    location: &Location,
) -> Outcome<Vec<Tag>> {
    let mut filter = choice.filter.filter()?;
    if choice.exclude_digest_tags {
        filter = filter.without_digest_tags();
    }
    // The limit counts what is chosen, so the pages are as large as the registry makes them.
    let all = PageArgs {
        last: page.last.clone(),
        limit: None,
    };
    let listed = repository.tags(options(&all));
    let mut tags: Vec<Tag> = listed
        .try_filter(|tag| std::future::ready(filter.matches(tag)))
        .try_collect()
        .await
        .within(location)?;
    if let Some(named) = &choice.digest {
        tags = naming(repository, tags, named).await.within(location)?;
    }
    match choice.sort {
        TagOrder::Name => tags.sort(),
        TagOrder::Version => tags.sort_by(TagVersion::compare),
        TagOrder::Time => tags = by_time(repository, tags).await.within(location)?,
    }
    if choice.reverse {
        tags.reverse();
    }
    Ok(tags)
}

/// Returns the tags of the manifest `digest`, in ASCII order. Resolves every tag of the repository.
pub(super) async fn of_manifest(
    repository: &dyn Repository,
    digest: Digest,
) -> Result<Vec<Tag>, Error> {
    let mut tags = tranship::tags(repository).await?;
    tags.sort();
    naming(repository, tags, &digest.into()).await
}

/// Keeps the tags that name what `named` names.
async fn naming(
    repository: &dyn Repository,
    tags: Vec<Tag>,
    named: &TagOrDigest,
) -> Result<Vec<Tag>, Error> {
    let wanted = match named {
        TagOrDigest::Digest(digest) => *digest,
        TagOrDigest::Tag(_) => *repository
            .resolve(named)
            .await
            .during("resolve", named)?
            .digest(),
    };
    let resolved = resolve(repository, tags);
    resolved
        .try_filter_map(|(tag, found)| {
            let is_it = *found.digest() == wanted;
            std::future::ready(Ok(is_it.then_some(tag)))
        })
        .try_collect()
        .await
}

/// Sorts by the time of creation. Tags that do not tell it come first, and ties are in the order of versions.
async fn by_time(repository: &dyn Repository, tags: Vec<Tag>) -> Result<Vec<Tag>, Error> {
    let mut timed: Vec<(Option<SystemTime>, Tag)> = resolve(repository, tags)
        .map_ok(|(tag, manifest)| async move {
            let time = created(repository, &manifest).await;
            Ok((time.during("fetch", &tag)?, tag))
        })
        .try_buffered(CONCURRENCY)
        .try_collect()
        .await?;
    timed
        .sort_by(|(a, tag_a), (b, tag_b)| a.cmp(b).then_with(|| TagVersion::compare(tag_a, tag_b)));
    Ok(timed.into_iter().map(|(_, tag)| tag).collect())
}

/// What each tag names, without those that were removed since they were listed.
fn resolve(
    repository: &dyn Repository,
    tags: Vec<Tag>,
) -> impl futures_util::Stream<Item = Result<(Tag, Descriptor), Error>> {
    stream::iter(tags)
        .map(move |tag| async move {
            match repository.resolve(&tag.clone().into()).await {
                Ok(manifest) => Ok(Some((tag, manifest))),
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error).during("resolve", &tag),
            }
        })
        .buffered(CONCURRENCY)
        .try_filter_map(|found| std::future::ready(Ok(found)))
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
