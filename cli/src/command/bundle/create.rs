//! `bundle create` and `backup`.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use indicatif::BinaryBytes;
use serde::Serialize;
use tranship::{Digest, Error, RegistryName, Result, TagOrDigest};
use tranship_backends::{OpenOptions, RegistryLocation};
use tranship_mirror::bundle::{BundleName, BundlePlanner, PlanOptions, PlannerOptions};
use tranship_mirror::file;
use tranship_mirror::jobs::{self, Image, Place, Report};
use tranship_mirror::rules::{Platforms, Referrers, Rule};
use tranship_mirror::select::{self, Chosen};

use super::written::{Volume, expect_distinct, outputs, write_plan};
use super::{base, open_options, write_lock};
use crate::args::{self, Backup, BundleCreate, BundleOutput, BundleWrite, LocationOptions};
use crate::command::many::{self, Choices, FailureLine, Images, Locations, failure_lines};
use crate::command_error::{CommandError, Outcome};
use crate::exit::Status;
use crate::input;
use crate::output::Output;

/// The result of writing a bundle.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    dry_run: bool,
    set: Digest,
    repositories: u64,
    images: u64,
    manifests: u64,
    blobs: u64,
    bytes: u64,
    left_out: u64,
    left_out_bytes: u64,
    volume_count: u32,
    volumes: Vec<Volume>,
    #[serde(flatten)]
    problems: Problems,
}

/// What was asked for, and is missing from the bundle.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Problems {
    failed: Images,
    /// Repositories and patterns that could not be listed.
    not_listed: Vec<FailureLine>,
    /// Repositories and patterns in which nothing is chosen.
    empty: Vec<String>,
}

pub(super) async fn run(
    args: BundleCreate,
    location_options: &LocationOptions,
    output: Output,
) -> Outcome {
    let mut options = location_options.clone();
    let mut rules = args.sources.clone();
    for rule in &mut rules {
        rule.images.platforms = match args.platforms.selection() {
            args::Platforms::All => Platforms::All,
            args::Platforms::One(platform) => Platforms::One(platform),
            args::Platforms::Subset(subset) => Platforms::Subset(subset),
        };
        rule.images.referrers = (!args.no_referrers).then(all_referrers);
    }
    let mut concurrency = None;
    if let Some(path) = &args.rules {
        let content = input::read_text(path, file::MAX_FILE_SIZE as u64).await?;
        let format = args.file_format.map(Into::into);
        let read = file::read(&content, &path.display().to_string(), format, None)?;
        for note in &read.notes {
            output.note(format_args!("note: {note}"));
        }
        options.registries.add_settings(&read.registries);
        concurrency = read.concurrency;
        rules.extend(read.rules);
    }
    if let Some(lock) = &args.write.lock {
        expect_distinct(lock, "--lock", &outputs(&args.write, 1), "--output")?;
        expect_distinct(lock, "--lock", &args.write.base, "--base")?;
        expect_distinct(lock, "--lock", args.rules.as_slice(), "--rules")?;
    }
    if let BundleOutput::File(output) = &args.write.output {
        expect_distinct(output, "--output", args.rules.as_slice(), "--rules")?;
    }
    let options = open_options(&options)?;
    let choices = Choices {
        concurrency,
        ..Choices::default()
    };
    let images = choose(&rules, &options, output).await?;
    write(images, &args.write, &choices, &options, output).await
}

pub(in crate::command) async fn backup(
    args: Backup,
    location_options: &LocationOptions,
    output: Output,
) -> Outcome {
    let options = open_options(location_options)?;
    let mut rule = Rule::new(args.source.clone());
    rule.images.referrers = Some(all_referrers());
    rule.images.include_non_distributable = true;
    let mut images = choose(&[rule], &options, output).await?;
    if args.untagged {
        images.chosen.extend(untagged(&args, &options).await?);
    }
    write(images, &args.write, &Choices::default(), &options, output).await
}

fn all_referrers() -> Referrers {
    let mut referrers = Referrers::default();
    referrers.digest_tags = true;
    referrers
}

/// The images that are written, and what could not be listed.
struct ChosenImages {
    chosen: Vec<(BundleName, Chosen)>,
    failures: Vec<select::Failure>,
    /// Repositories and patterns in which nothing is chosen.
    empty: Vec<String>,
}

async fn choose(rules: &[Rule], options: &OpenOptions, output: Output) -> Outcome<ChosenImages> {
    let opener = Locations::new(options);
    let choice = select::choose(rules, &opener).await?;
    many::tell_choice(&choice, output);
    let chosen = choice.images.into_iter().map(|chosen| {
        let registry = host(&rules[chosen.rule].source.registry);
        let repository = match &chosen.repository {
            Some(name) => name,
            None => chosen.source.repository.name(),
        };
        let name = BundleName::new(registry.as_ref(), repository)?;
        Ok((name, chosen))
    });
    Ok(ChosenImages {
        chosen: chosen.collect::<Result<_>>()?,
        failures: choice.failures,
        empty: choice.empty.into_iter().map(|empty| empty.name).collect(),
    })
}

/// Returns the host of a registry at `location`, if it has one.
fn host(location: &str) -> Option<RegistryName> {
    match location.parse() {
        Ok(RegistryLocation::Remote(registry)) => Some(registry),
        _ => None,
    }
}

/// Returns the manifests without a tag of a directory of layouts.
async fn untagged(args: &Backup, options: &OpenOptions) -> Outcome<Vec<(BundleName, Chosen)>> {
    let location: RegistryLocation = args.source.registry.parse()?;
    if let RegistryLocation::Remote(_) = location {
        return Err(
            Error::unsupported("registries do not list manifests without a tag")
                .with_subject(&location)
                .with_hint("back up the layouts that the registry serves, as layouts:DIR")
                .into(),
        );
    }
    let registry = tranship_backends::open_layout_registry(&location, options).await?;
    let names = tranship::repositories(&registry).await?;
    let mut found = Vec::new();
    for name in names.into_iter().filter(|name| args.source.matches(name)) {
        let layout = registry.layout(&name).await?;
        let entries = layout.entries().await?;
        let source = Place::new(format!("{location}//{name}"), Arc::new(layout));
        for entry in super::super::source::untagged(entries) {
            let digest = TagOrDigest::Digest(*entry.descriptor.digest());
            let chosen = Chosen::new(source.clone(), digest);
            found.push((BundleName::new(None, &name)?, chosen));
        }
    }
    Ok(found)
}

/// Plans a bundle of the images, and writes it.
async fn write(
    images: ChosenImages,
    args: &BundleWrite,
    choices: &Choices,
    options: &OpenOptions,
    output: Output,
) -> Outcome {
    let mut planner = PlannerOptions::default();
    if let Some(base) = base(&args.base).await? {
        planner = planner.with_base(base);
    }
    let planner = BundlePlanner::new(planner);
    let mut places: HashMap<(BundleName, String), Place> = HashMap::new();
    let copied = images.chosen.into_iter().map(|(name, chosen)| {
        let key = (name, chosen.source.name.clone());
        let place = places.entry(key).or_insert_with_key(|(name, _)| {
            let source = Arc::clone(&chosen.source.repository);
            Place::new(name.to_string(), planner.repository_from(name, source))
        });
        let mut image = Image::new(chosen.source, chosen.reference, place.clone());
        image.tag = chosen.tag;
        image.with_options(chosen.options)
    });
    let copied: Vec<Image> = copied.collect();
    let is_empty = copied.is_empty();
    let report = many::copy(copied, choices, output).await?;
    let incomplete = outcome(&report, &images.failures, &images.empty);
    let failures = images.failures.iter();
    let problems = Problems {
        failed: Images::of_failures(&report),
        not_listed: failure_lines(failures.map(|failure| (failure.name.as_str(), &failure.error))),
        empty: images.empty,
    };
    if incomplete.is_err() && (is_empty || !args.keep_going) {
        if output.is_json() {
            output.print_json(&problems).await?;
        } else {
            output.failure("nothing was written; --keep-going writes the rest");
        }
        return incomplete;
    }
    let mut layout = PlanOptions::default();
    if let Some(size) = args.volume_size {
        layout = layout.with_volume_size(size.0);
    }
    mark_incomplete(&planner, &places, &report, !images.failures.is_empty());
    let plan = planner.plan(&layout).await?;
    let volumes = if args.dry_run {
        Vec::new()
    } else {
        write_plan(&plan, args, options, output).await?
    };
    if let Some(path) = args.lock.as_deref().filter(|_| !args.dry_run) {
        write_lock(plan.contents().lock(), path).await?;
    }
    let totals = plan.totals();
    let created = Created {
        dry_run: args.dry_run,
        set: *plan.contents().set(),
        repositories: totals.repositories,
        images: totals.images,
        manifests: totals.manifests,
        blobs: totals.blobs,
        bytes: totals.bytes,
        left_out: totals.in_base,
        left_out_bytes: totals.bytes_in_base,
        volume_count: totals.volumes,
        volumes,
        problems,
    };
    if !matches!(args.output, BundleOutput::Stdout) || args.dry_run {
        output.print(&created).await?;
    }
    if !output.is_json() {
        output.note(created.summary());
    }
    incomplete
}

/// Marks the repositories of which something is missing, so that nothing is deleted in them when the bundle is applied.
fn mark_incomplete(
    planner: &BundlePlanner,
    places: &HashMap<(BundleName, String), Place>,
    report: &Report,
    is_unlisted: bool,
) {
    if is_unlisted {
        // Which repositories a list that failed would have named is not known.
        planner.mark_incomplete(None);
    }
    let failed = report.images.iter();
    let failed = failed.filter(|image| matches!(image.outcome, jobs::Outcome::Failed(_)));
    let failed: HashSet<&str> = failed
        .map(|image| image.image.destination.name.as_str())
        .collect();
    for ((name, _), place) in places {
        if failed.contains(place.name.as_str()) {
            planner.mark_incomplete(Some(name));
        }
    }
}

/// Fails if something that was asked for is not in the bundle.
fn outcome(report: &Report, not_listed: &[select::Failure], empty: &[String]) -> Outcome {
    many::outcome(report, not_listed, 0)?;
    let [first, others @ ..] = empty else {
        return Ok(());
    };
    let mut message = format!("nothing is chosen in {first}");
    if !others.is_empty() {
        message += &format!(" and {} others", others.len());
    }
    let status = match report.images.is_empty() {
        true => Status::NotFound,
        false => Status::Incomplete,
    };
    Err(CommandError::Incomplete(message, status))
}

impl Created {
    fn summary(&self) -> String {
        let verb = if self.dry_run { "to write" } else { "wrote" };
        let mut text = format!(
            "{verb} {} of {}: {} and {} ({})",
            plural(self.images, "image", "images"),
            plural(self.repositories, "repository", "repositories"),
            plural(self.manifests, "manifest", "manifests"),
            plural(self.blobs, "blob", "blobs"),
            BinaryBytes(self.bytes)
        );
        if self.left_out > 0 {
            let bytes = BinaryBytes(self.left_out_bytes);
            text += &format!("; left out {} that the base has ({bytes})", self.left_out);
        }
        if self.volume_count > 1 {
            text += &format!("; on {} volumes", self.volume_count);
        }
        text
    }
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

impl fmt::Display for Created {
    /// Writes the name of each file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for volume in &self.volumes {
            writeln!(f, "{}", volume.name)?;
        }
        Ok(())
    }
}
