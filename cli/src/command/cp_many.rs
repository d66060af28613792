//! `cp` of several tags of a repository, or of several repositories.

use std::num::NonZeroUsize;

use serde::Serialize;
use tranship::{Error, ErrorKind, Result};
use tranship_backends::{Location, OpenOptions, RegistryLocation};
use tranship_mirror::Mirrored;
use tranship_mirror::rules::{
    Destination, ImageOptions, NamePattern, NameTemplate, Platforms, Referrers, Rule, SourcePattern,
};
use tranship_mirror::select::Failure;

use super::many::{self, Choices, FailureLine, Images, Locations, failure_lines};
use crate::args::{self, CopySource, Cp, LocationOptions};
use crate::command_error::{CommandError, Outcome};
use crate::location::{is_stream, no_reference};
use crate::output::Output;
use crate::registries::End;

/// From this size on, in bytes, a blob is continued where an interrupted copy stopped.
const LARGE: u64 = 4 * 1024 * 1024;

/// What happened to each artifact.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Copied {
    dry_run: bool,
    images: Images,
    /// Repositories and patterns that could not be listed.
    not_listed: Vec<FailureLine>,
}

pub(super) async fn run(args: Cp, location_options: &LocationOptions, output: Output) -> Outcome {
    let rule = rule(&args)?;
    let options = open_options(&args, location_options)?;
    let opener = Locations::of_ends(&options.0, &options.1);
    let rules = [rule];
    let count = |count: u16| usize::from(count).try_into().ok();
    let is_archive = matches!(
        args.destination.location(),
        Some(Location::OciArchive(_) | Location::DockerArchive(_))
    );
    let choices = Choices {
        // An archive is written anew for each artifact.
        concurrency: is_archive.then_some(NonZeroUsize::MIN),
        content_concurrency: count(args.how.concurrency),
        dry_run: args.how.dry_run,
        repair: args.how.repair,
        resumable_from: (!args.how.no_resume).then_some(LARGE),
        ..Choices::default()
    };
    let mirrored = many::mirror(&rules, &opener, &choices, output).await?;
    let Mirrored {
        report, failures, ..
    } = mirrored;
    if report.images.is_empty() {
        return Err(nothing_copied(&rules[0], failures));
    }
    let copied = Copied {
        dry_run: args.how.dry_run,
        images: Images::new(&report, args.how.dry_run),
        not_listed: failure_lines(
            failures
                .iter()
                .map(|failure| (failure.name.as_str(), &failure.error)),
        ),
    };
    if output.is_json() {
        output.print_json(&copied).await?;
    } else {
        output.print(&copied.images).await?;
        output.note(copied.images.summary());
        for failure in &copied.not_listed {
            output.note(failure.line());
        }
    }
    many::outcome(&report, &failures, 0)
}

/// Returns why nothing was copied.
fn nothing_copied(rule: &Rule, failures: Vec<Failure>) -> CommandError {
    match failures.into_iter().next() {
        Some(failure) => CommandError::Error(failure.error, Some(failure.name)),
        None => Error::new(ErrorKind::NotFound, "no tag is chosen")
            .with_subject(&rule.source)
            .with_hint("`tranship tags REPOSITORY` lists the tags of a repository, and `tranship ls REGISTRY` its repositories")
            .into(),
    }
}

/// Returns the rule that the arguments express.
fn rule(args: &Cp) -> Result<Rule> {
    let (source, destination) = match &args.source {
        CopySource::Pattern(pattern) => (pattern.clone(), args.destination.prefix()?),
        CopySource::One(location) => {
            no_reference(location)?;
            let destination = match args.destination.location() {
                Some(destination) => exact(destination),
                None => args.destination.prefix()?,
            };
            (of_location(location), destination)
        }
    };
    if let Some(location) = args.destination.location() {
        no_reference(location)?;
        if is_stream(location) {
            return Err(
                Error::unsupported("only one artifact is copied to standard output").with_hint(
                    "`tranship bundle create -o - SRC` writes an archive of many images",
                ),
            );
        }
    }
    let refused = |what: &'static str| Err(Error::new(ErrorKind::InvalidInput, what));
    if !args.how.tags.is_empty() {
        return refused("--tag is for one artifact; several keep their tags");
    }
    let mut images = ImageOptions::default();
    images.platforms = match args.how.platforms.selection() {
        args::Platforms::All => Platforms::All,
        args::Platforms::One(platform) => Platforms::One(platform),
        args::Platforms::Subset(subset) => Platforms::Subset(subset),
    };
    images.include_non_distributable = args.how.include_non_distributable;
    if args.how.recursive {
        let mut referrers = Referrers::default();
        referrers.artifact_types.clone_from(&args.how.artifact_type);
        let annotations = args.how.annotation.iter();
        referrers.annotations = annotations
            .map(|filter| (filter.key.clone(), filter.value.clone()))
            .collect();
        referrers.digest_tags = !args.how.no_digest_tags;
        referrers.depth = args.how.depth.map(|depth| depth as usize);
        images.referrers = Some(referrers);
    }
    Ok(Rule::new(source)
        .with_tags(args.many.rule())
        .with_images(images)
        .with_destination(destination))
}

fn of_location(location: &Location) -> SourcePattern {
    let (registry, name) = split(location);
    match name {
        Some(name) => SourcePattern::new(registry, NamePattern::of_name(name)),
        None => SourcePattern::single(registry),
    }
}

fn exact(location: &Location) -> Destination {
    let (registry, name) = split(location);
    match name {
        Some(name) => Destination::new(registry, NameTemplate::of_name(&name)),
        None => Destination::single(registry),
    }
}

/// Returns the location of the registry, and the name of the repository, if the location has both.
fn split(location: &Location) -> (String, Option<tranship::RepositoryName>) {
    match location {
        Location::Remote(reference) => (
            RegistryLocation::Remote(reference.registry().clone()).to_string(),
            Some(reference.repository().clone()),
        ),
        Location::LayoutRegistry(layout) => (
            format!("layouts:{}", layout.root().display()),
            Some(layout.repository().clone()),
        ),
        Location::ObjectLayoutRegistry(layout) => (
            format!("layouts:{}", layout.root()),
            Some(layout.repository().clone()),
        ),
        single => (single.to_string(), None),
    }
}

/// Returns how the source and the destination are opened. Options for one end need a registry there.
fn open_options(
    args: &Cp,
    location_options: &LocationOptions,
) -> Result<(OpenOptions, OpenOptions)> {
    let (from, to) = (
        End::from(args.how.from.clone()),
        End::from(args.how.to.clone()),
    );
    if from.is_empty() && to.is_empty() {
        // Both ends use the same clients.
        let both = location_options.clone().open_options()?;
        return Ok((both.clone(), both));
    }
    if from.reads_stdin() || to.reads_stdin() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "credentials from standard input are for the copy of one artifact",
        )
        .with_hint("use `tranship login`"));
    }
    let from = match &args.source {
        CopySource::One(location) => location_options.for_end(&from, location, None)?,
        CopySource::Pattern(pattern) => location_options.for_registry(&from, &pattern.registry)?,
    };
    let to = match args.destination.location() {
        Some(location) => location_options.for_end(&to, location, None)?,
        None => location_options.for_registry(&to, &args.destination.prefix()?.registry)?,
    };
    Ok((from, to))
}
