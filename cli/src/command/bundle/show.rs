//! `bundle list`, `bundle verify`, `bundle diff` and `bundle lock`.

use std::fmt;

use indicatif::BinaryBytes;
use serde::Serialize;
use tranship::{Descriptor, Digest, Error, ErrorKind, Result, Tag, blocking};
use tranship_mirror::bundle::{Bundle, ImageChange, Lock, LockDiff, VerifyOptions, VerifyReport};

use super::apply::volumes_named;
use super::spooled::Spooled;
use super::{LockOrBundle, base};
use crate::args::{BundleDiff, BundleList, BundleLock, BundleVerify};
use crate::command::many;
use crate::command_error::{CommandError, Outcome};
use crate::exit::Status;
use crate::output::{self, Output};
use crate::table::Table;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volumes: Option<u32>,
    missing_volumes: Vec<u32>,
    images: Vec<ListedImage>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedImage {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<Tag>,
    digest: Digest,
    /// How many bytes it has.
    size: u64,
    /// How many of them the destination is expected to have.
    base_bytes: u64,
    missing_volumes: Vec<u32>,
}

pub(super) async fn list(args: BundleList, output: Output) -> Outcome {
    let spooled = Spooled::of(&args.files).await?;
    let listing = match LockOrBundle::open(&spooled.files).await? {
        LockOrBundle::Bundle(bundle) => blocking::run(move || of_bundle(&bundle)).await?,
        LockOrBundle::Lock(lock) => Listing {
            set: None,
            volumes: None,
            missing_volumes: Vec::new(),
            images: blocking::run(move || of_lock(&lock)).await?,
        },
    };
    output.print(&listing).await?;
    if !output.is_json() {
        output.note(many::plural(listing.images.len(), "image"));
        if !listing.missing_volumes.is_empty() {
            let total = listing.volumes.unwrap_or_default();
            let missing = numbers(&listing.missing_volumes);
            output.note(format_args!("not given: volumes {missing} of {total}"));
        }
    }
    Ok(())
}

fn of_bundle(bundle: &Bundle) -> Result<Listing> {
    let contents = bundle.contents();
    let images = bundle.images()?.into_iter().map(|image| ListedImage {
        name: image.name.to_string(),
        tag: image.tag,
        digest: image.digest,
        size: image.size,
        base_bytes: image.bytes_in_base,
        missing_volumes: image.missing_volumes,
    });
    Ok(Listing {
        set: Some(*contents.set()),
        volumes: Some(contents.volumes()),
        missing_volumes: bundle.missing_volumes(),
        images: images.collect(),
    })
}

fn of_lock(lock: &Lock) -> Result<Vec<ListedImage>> {
    // Compared with nothing, every image is new.
    let images = Lock::default().diff(lock)?.added.into_iter();
    let listed = images.filter_map(|image| {
        Some(ListedImage {
            name: image.name.to_string(),
            tag: image.tag,
            digest: image.new?,
            size: image.bytes,
            base_bytes: 0,
            missing_volumes: Vec::new(),
        })
    });
    Ok(listed.collect())
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::with_numbers_in(&[2]);
        for image in &self.images {
            let mut remark = String::new();
            if image.base_bytes > 0 {
                remark = format!("{} in the base", BinaryBytes(image.base_bytes));
            }
            if !image.missing_volumes.is_empty() {
                let volumes = volumes_named(image.missing_volumes.iter().copied());
                remark = format!("needs {volumes}");
            }
            let name = named(&image.name, image.tag.as_ref(), &image.digest);
            let digest = match image.tag {
                Some(_) => image.digest.to_string(),
                None => String::new(),
            };
            table.push([name, digest, BinaryBytes(image.size).to_string(), remark]);
        }
        f.write_str(&table.lines(""))
    }
}

fn named(name: &str, tag: Option<&Tag>, digest: &Digest) -> String {
    match tag {
        Some(tag) => format!("{name}:{tag}"),
        None => format!("{name}@{digest}"),
    }
}

fn numbers(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    numbers.join(", ")
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    sound: bool,
    /// Whether volumes may be missing.
    #[serde(skip)]
    is_partial: bool,
    /// Whether the base was compared.
    #[serde(skip)]
    has_base: bool,
    bytes: u64,
    damaged: Vec<Damaged>,
    missing_volumes: Vec<u32>,
    incomplete: Vec<Incomplete>,
    base: Vec<Descriptor>,
    missing_base: Vec<Descriptor>,
}

#[derive(Debug, Serialize)]
struct Damaged {
    file: String,
    volume: u32,
    member: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    problem: String,
}

#[derive(Debug, Serialize)]
struct Incomplete {
    manifest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    content: Descriptor,
}

pub(super) async fn verify(args: BundleVerify, output: Output) -> Outcome {
    let spooled = Spooled::of(&args.files).await?;
    let bundle = match LockOrBundle::open(&spooled.files).await? {
        LockOrBundle::Bundle(bundle) => bundle,
        LockOrBundle::Lock(_) => {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a lock has no content that could be verified",
            )
            .with_hint("name the volumes of the bundle, and the lock with --base")
            .into());
        }
    };
    let has_base = !args.base.is_empty();
    let mut options = VerifyOptions::default();
    if let Some(base) = base(&args.base).await? {
        options = options.with_base(base);
    }
    let report = bundle.verify(&options).await?;
    let mut verified = Verified::new(report, args.partial);
    verified.has_base = has_base;
    output.print(&verified).await?;
    if verified.sound {
        if !output.is_json() {
            output.note(verified.summary());
        }
        return Ok(());
    }
    let message = "the bundle is damaged or incomplete".to_owned();
    Err(CommandError::Incomplete(message, Status::BadContent))
}

impl Verified {
    /// With `is_partial`, volumes may be missing.
    fn new(report: VerifyReport, is_partial: bool) -> Self {
        let is_sound = report.is_sound() || is_partial && is_sound_so_far(&report);
        let damaged = report.damaged.iter().map(|damaged| Damaged {
            file: damaged.path.display().to_string(),
            volume: damaged.volume,
            member: damaged.member.clone(),
            image: damaged.image.clone(),
            problem: damaged.problem.clone(),
        });
        let incomplete = report.incomplete.iter().map(|missing| Incomplete {
            manifest: missing.manifest,
            image: missing.image.clone(),
            content: missing.content.clone(),
        });
        Self {
            sound: is_sound,
            is_partial,
            has_base: false,
            bytes: report.bytes,
            damaged: damaged.collect(),
            incomplete: incomplete.collect(),
            missing_volumes: report.missing_volumes,
            base: report.base,
            missing_base: report.missing_base,
        }
    }

    fn summary(&self) -> String {
        let mut text = format!("{} verified, no errors", BinaryBytes(self.bytes));
        if !self.base.is_empty() {
            let bytes = self.base.iter().map(Descriptor::size).sum();
            let (count, bytes) = (self.base.len(), BinaryBytes(bytes));
            text += &if self.has_base {
                format!("; the base has the {count} others ({bytes})")
            } else {
                format!("; the destination must have {count} others ({bytes})")
            };
        }
        text
    }
}

/// Whether nothing is wrong with the volumes that were given.
fn is_sound_so_far(report: &VerifyReport) -> bool {
    report.damaged.is_empty() && report.incomplete.is_empty() && report.missing_base.is_empty()
}

impl fmt::Display for Verified {
    /// Writes a line about each thing that is wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for damaged in &self.damaged {
            write!(
                f,
                "damaged  volume {} ({}): {}: {}",
                damaged.volume, damaged.file, damaged.member, damaged.problem
            )?;
            match &damaged.image {
                Some(image) => writeln!(f, ", needed by {image}")?,
                None => writeln!(f)?,
            }
        }
        if !self.is_partial {
            for volume in &self.missing_volumes {
                writeln!(f, "missing  volume {volume}")?;
            }
        }
        for missing in &self.incomplete {
            let image = missing.image.as_deref().unwrap_or("no image");
            writeln!(
                f,
                "missing  {}, which {} of {image} refers to",
                missing.content.digest(),
                missing.manifest
            )?;
        }
        for missing in &self.missing_base {
            writeln!(f, "missing in the base  {}", missing.digest())?;
        }
        Ok(())
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Difference {
    added: Vec<Change>,
    removed: Vec<Change>,
    moved: Vec<Change>,
    added_bytes: u64,
    removed_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Change {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Digest>,
    bytes: u64,
}

pub(super) async fn diff(args: BundleDiff, output: Output) -> Outcome {
    let old = LockOrBundle::open(std::slice::from_ref(&args.old)).await?;
    let new = LockOrBundle::open(std::slice::from_ref(&args.new)).await?;
    let compared = blocking::run(move || old.lock().diff(new.lock())).await?;
    let difference = Difference::new(compared);
    output.print(&difference).await?;
    if !output.is_json() {
        output.note(difference.summary());
    }
    Ok(())
}

impl Difference {
    fn new(diff: LockDiff) -> Self {
        let changes = |changes: Vec<ImageChange>| changes.into_iter().map(Change::new).collect();
        Self {
            added: changes(diff.added),
            removed: changes(diff.removed),
            moved: changes(diff.moved),
            added_bytes: diff.added_bytes,
            removed_bytes: diff.removed_bytes,
        }
    }

    fn summary(&self) -> String {
        format!(
            "added: {}, removed: {}, moved: {}; {} of content are new",
            self.added.len(),
            self.removed.len(),
            self.moved.len(),
            BinaryBytes(self.added_bytes)
        )
    }
}

impl Change {
    fn new(change: ImageChange) -> Self {
        Self {
            name: change.name.to_string(),
            tag: change.tag,
            old: change.old,
            new: change.new,
            bytes: change.bytes,
        }
    }

    fn name(&self) -> String {
        match (&self.tag, self.new.or(self.old)) {
            (Some(tag), _) => format!("{}:{tag}", self.name),
            (None, Some(digest)) => format!("{}@{digest}", self.name),
            (None, None) => self.name.clone(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::with_numbers_in(&[2]);
        for (verb, changes) in [
            ("added", &self.added),
            ("moved", &self.moved),
            ("removed", &self.removed),
        ] {
            for change in changes {
                let bytes = BinaryBytes(change.bytes).to_string();
                table.push([verb.to_owned(), change.name(), bytes]);
            }
        }
        f.write_str(&table.lines(""))
    }
}

pub(super) async fn lock(args: BundleLock) -> Outcome {
    let opened = LockOrBundle::open(std::slice::from_ref(&args.file)).await?;
    output::write(&opened.lock().encode()).await
}
