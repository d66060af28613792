//! `bundle apply` and `restore`.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use indicatif::BinaryBytes;
use serde::Serialize;
use tranship::{
    CopyHooks, CopyOptions, Digest, Error, ErrorKind, Registry, RepositoryName, Result, Tag,
};
use tranship_mirror::bundle::{ApplyOptions, ApplyReport, Bundle, BundleName, Lock};
use tranship_mirror::jobs::{Image, Place, Report};
use tranship_mirror::rules::{Destination, NameTemplate};
use tranship_mirror::select::{End, Opener as _, Target};

use super::spooled::Spooled;
use super::written::expect_distinct;
use super::{LockOrBundle, open_options, write_lock};
use crate::args::{BundleApply, LocationOptions};
use crate::command::many::{self, Choices, Images, Locations, PruneChoices, Pruned};
use crate::command_error::{CommandError, Outcome};
use crate::output::Output;
use crate::progress::CopyProgress;
use crate::state;
use crate::table::Table;

/// From this size on, in bytes, a blob is continued where an interrupted run stopped.
const LARGE: u64 = 4 * 1024 * 1024;

pub(in crate::command) async fn run(
    args: BundleApply,
    location_options: &LocationOptions,
    output: Output,
) -> Outcome {
    let Some((destination, files)) = args.files_and_destination.split_last() else {
        return Ok(());
    };
    let to = To::open(destination, location_options).await?;
    let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    if let Some(lock) = &args.lock {
        expect_distinct(lock, "--lock", &files, "a file that is applied")?;
    }
    let spooled = Spooled::of(&files).await?;
    match LockOrBundle::open(&spooled.files).await? {
        LockOrBundle::Bundle(bundle) => apply(&bundle, &to, &args, output).await,
        LockOrBundle::Lock(lock) => set_tags(&lock, &to, &args, output).await,
    }
}

/// Where a bundle is applied.
struct To {
    registry: Arc<dyn Registry>,
    location: String,
    names: NameTemplate,
}

impl To {
    async fn open(text: &str, location_options: &LocationOptions) -> Outcome<Self> {
        let destination: Destination = text.parse()?;
        let Some(names) = destination.repository.filter(|_| destination.tag.is_none()) else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a bundle has repositories, and this is not a registry",
            )
            .with_subject(text)
            .with_hint("write HOST, HOST/PREFIX or layouts:DIR after the files")
            .into());
        };
        let opener = Locations::new(&open_options(location_options)?);
        let registry = opener.registry(&destination.registry, End::Destination);
        Ok(Self {
            registry: registry.await?,
            location: destination.registry,
            names,
        })
    }

    fn name(&self, name: &BundleName) -> Result<RepositoryName> {
        rename(&self.names, name)
    }

    async fn place(&self, name: &BundleName) -> Result<Place> {
        let name = self.name(name)?;
        let repository = self.registry.repository(&name).await?;
        Ok(Place::new(self.shown(&name), repository))
    }

    /// Returns what users call a repository.
    fn shown(&self, name: &RepositoryName) -> String {
        match self.location.starts_with("layouts:") {
            true => format!("{}//{name}", self.location),
            false => format!("{}/{name}", self.location),
        }
    }
}

fn rename(names: &NameTemplate, name: &BundleName) -> Result<RepositoryName> {
    let registry = name.registry();
    let registry = registry.as_ref().map_or("", |registry| registry.as_str());
    names.apply(registry, name.repository())
}

/// What happened to each image of a bundle.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Applied {
    dry_run: bool,
    applied: Vec<AppliedLine>,
    pending: Vec<PendingLine>,
    copied_bytes: u64,
    mounted_bytes: u64,
    pruned: Pruned,
}

#[derive(Debug, Serialize)]
struct AppliedLine {
    source: String,
    destination: String,
    tags: Vec<Tag>,
    digest: Digest,
    changed: bool,
    /// Whether it is not a referrer.
    #[serde(skip)]
    is_image: bool,
}

#[derive(Debug, Serialize)]
struct PendingLine {
    source: String,
    tags: Vec<Tag>,
    digest: Digest,
    /// The volumes that it waits for.
    volumes: Vec<u32>,
    /// Whether it is not a referrer.
    #[serde(skip)]
    is_image: bool,
}

async fn apply(bundle: &Bundle, to: &To, args: &BundleApply, output: Output) -> Outcome {
    let progress = Arc::new(CopyProgress::new(output));
    let copy = CopyOptions::default()
        .with_concurrency(args.concurrency.into())
        .with_resumable_from(LARGE)
        .with_dry_run(args.dry_run)
        .with_hooks(Arc::clone(&progress) as Arc<dyn CopyHooks>);
    let names = to.names.clone();
    let mut options = ApplyOptions::default()
        .with_copy(copy)
        .with_names(move |name| rename(&names, name));
    if let Some(directory) = args.parts.clone().or_else(state::bundle_parts) {
        options = options.with_parts(directory);
    }
    let report = bundle.apply(&*to.registry, &options).await;
    progress.finish();
    let report = report?;
    let is_whole = report.pending.is_empty();
    let mut applied = Applied::new(report, bundle.contents().lock(), to, args.dry_run);
    if !output.is_json() {
        output.print(&applied).await?;
        output.note(applied.summary());
    }
    if !is_whole && args.prune {
        output.note("nothing is deleted, because some images wait for other volumes");
    } else if args.prune {
        let targets = targets(bundle.contents().lock(), to).await?;
        applied.pruned = prune(&targets, &Report::default(), args, output).await?;
    }
    if output.is_json() {
        output.print_json(&applied).await?;
    }
    if let Some(path) = args.lock.as_deref().filter(|_| !args.dry_run) {
        if is_whole {
            write_lock(bundle.contents().lock(), path).await?;
        } else {
            output.note("no lock is written, because some images wait for other volumes");
        }
    }
    applied.pruned.outcome()
}

/// Sets the tags of a lock to manifests that the destination has.
async fn set_tags(lock: &Lock, to: &To, args: &BundleApply, output: Output) -> Outcome {
    let mut images = Vec::new();
    for image in lock.images() {
        let (Some(tag), Some(node)) = (image.tag, lock.get(image.number)) else {
            continue;
        };
        let place = to.place(image.name).await?;
        let image = Image::new(place.clone(), *node.digest(), place);
        images.push(image.with_tag(tag.clone()));
    }
    let choices = Choices {
        dry_run: args.dry_run,
        all_or_nothing: true,
        ..Choices::default()
    };
    let report = many::copy(images, &choices, output).await;
    let report = report.map_err(suggest_bundle)?;
    let images = Images::new(&report, args.dry_run);
    if !output.is_json() {
        output.print(&images).await?;
        output.note(images.summary());
    }
    many::outcome(&report, &[], 0)?;
    let mut pruned = Pruned::default();
    if args.prune {
        pruned = prune(&targets(lock, to).await?, &report, args, output).await?;
    }
    if output.is_json() {
        output
            .print_json(&TagsSet {
                images,
                pruned: &pruned,
            })
            .await?;
    }
    if let Some(path) = args.lock.as_deref().filter(|_| !args.dry_run) {
        write_lock(lock, path).await?;
    }
    pruned.outcome()
}

/// Says where content comes from that a lock does not have.
fn suggest_bundle(failure: CommandError) -> CommandError {
    match failure {
        CommandError::Error(error, place) if error.is_not_found() => {
            let hint = "apply the bundle, which has the content; a lock only names it";
            CommandError::Error(error.with_hint(hint), place)
        }
        other => other,
    }
}

#[derive(Debug, Serialize)]
struct TagsSet<'a> {
    images: Images,
    pruned: &'a Pruned,
}

async fn prune(
    targets: &[Target],
    report: &Report,
    args: &BundleApply,
    output: Output,
) -> Outcome<Pruned> {
    let choices = PruneChoices {
        dry_run: args.dry_run,
        yes: args.yes,
    };
    let pruned = many::prune(targets, report, choices, output).await?;
    if !output.is_json() {
        output.print(&pruned).await?;
    }
    Ok(pruned)
}

/// Returns the repositories of a lock at the destination, with their tags.
async fn targets(lock: &Lock, to: &To) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for (name, repository) in lock.repositories() {
        let mut target = Target::new(to.place(name).await?, &to.location);
        target.tags = repository.tags().keys().cloned().collect();
        let manifests = repository.manifests().iter();
        let digests = manifests.filter_map(|number| Some(*lock.get(*number)?.digest()));
        target.digests = digests.collect();
        target.is_complete = !repository.is_incomplete();
        targets.push(target);
    }
    Ok(targets)
}

impl Applied {
    fn new(report: ApplyReport, lock: &Lock, to: &To, dry_run: bool) -> Self {
        // Referrers belong to their images.
        let images = lock.images().filter_map(|image| {
            let node = lock.get(image.number)?;
            Some((image.name.as_str(), *node.digest()))
        });
        let images: HashSet<(&str, Digest)> = images.collect();
        let is_image = |name: &BundleName, digest| images.contains(&(name.as_str(), digest));
        let applied = report.applied.into_iter().map(|image| AppliedLine {
            is_image: is_image(&image.name, image.digest),
            source: image.name.to_string(),
            destination: to.shown(&image.repository),
            tags: image.tags,
            digest: image.digest,
            changed: image.changed,
        });
        let pending = report.pending.into_iter().map(|image| PendingLine {
            is_image: is_image(&image.name, image.digest),
            source: image.name.to_string(),
            tags: image.tags,
            digest: image.digest,
            volumes: image.volumes,
        });
        Self {
            dry_run,
            applied: applied.collect(),
            pending: pending.collect(),
            copied_bytes: report.copied_bytes,
            mounted_bytes: report.mounted_bytes,
            pruned: Pruned::default(),
        }
    }

    fn summary(&self) -> String {
        let tags = |changed: bool| -> usize {
            let images = self.applied.iter().filter(|image| image.is_image);
            let images = images.filter(|image| image.changed == changed);
            images.map(|image| image.tags.len().max(1)).sum()
        };
        let verb = if self.dry_run { "to copy" } else { "copied" };
        let mut text = format!(
            "{verb}: {} ({})",
            many::plural(tags(true), "image"),
            BinaryBytes(self.copied_bytes)
        );
        if self.mounted_bytes > 0 {
            let verb = if self.dry_run { "to mount" } else { "mounted" };
            text += &format!(", {verb}: {}", BinaryBytes(self.mounted_bytes));
        }
        text += &format!(", up to date: {}", tags(false));
        if !self.pending.is_empty() {
            let volumes = self.pending.iter().flat_map(|image| &image.volumes);
            let volumes: BTreeSet<u32> = volumes.copied().collect();
            let waiting = self.pending.iter().filter(|image| image.is_image);
            let waiting: usize = waiting.map(|image| image.tags.len().max(1)).sum();
            text += &format!(
                "; {} {} for {}",
                many::plural(waiting, "image"),
                if waiting == 1 { "waits" } else { "wait" },
                volumes_named(volumes)
            );
        }
        text
    }
}

impl fmt::Display for Applied {
    /// Writes the images that changed or wait, one in a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::default();
        let status = if self.dry_run { "copy" } else { "copied" };
        let is_shown = |image: &&AppliedLine| image.changed && image.is_image;
        for image in self.applied.iter().filter(is_shown) {
            let source = with_tags(&image.source, &image.tags, &image.digest);
            let destination = with_tags(&image.destination, &image.tags, &image.digest);
            table.push([status, &source, &destination]);
        }
        for image in self.pending.iter().filter(|image| image.is_image) {
            let source = with_tags(&image.source, &image.tags, &image.digest);
            let volumes = volumes_named(image.volumes.iter().copied());
            let volumes = format!("waits for {volumes}");
            table.push(["pending", &source, &volumes]);
        }
        f.write_str(&table.lines(""))
    }
}

/// Returns the numbers of volumes in words.
pub(super) fn volumes_named(numbers: impl IntoIterator<Item = u32>) -> String {
    let numbers: Vec<String> = numbers
        .into_iter()
        .map(|number| number.to_string())
        .collect();
    match numbers.as_slice() {
        [one] => format!("volume {one}"),
        several => format!("volumes {}", several.join(", ")),
    }
}

fn with_tags(name: &str, tags: &[Tag], digest: &Digest) -> String {
    match tags {
        [] => format!("{name}@{digest}"),
        tags => {
            let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
            format!("{name}:{}", tags.join(","))
        }
    }
}
