//! The result of a copy.

use std::fmt;

use indicatif::BinaryBytes;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use tranship::{
    CopyAction, CopyReport, CopyStep, Descriptor, Digest, SubsetReport, Tag,
    escape_controls as plain,
};
use tranship_backends::Location;

use crate::args::OneCopy;
use crate::output::Output;

/// What was copied: as text its digest or, where nothing was done, what there is to do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Copied {
    source: String,
    destination: String,
    #[serde(skip)]
    names: String,
    tags: Vec<String>,
    digest_tags: Vec<String>,
    descriptor: Descriptor,
    dry_run: bool,
    /// How the platforms were chosen, if several were.
    #[serde(skip_serializing_if = "Option::is_none")]
    platforms: Option<Subset>,
    copied: Tally,
    mounted: Tally,
    skipped: Tally,
    steps: Vec<Step>,
}

/// The platforms of an index that were copied.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Subset {
    original: Descriptor,
    kept: Vec<Descriptor>,
    removed: Vec<Descriptor>,
    missing: Vec<String>,
}

impl Subset {
    fn new(report: SubsetReport) -> Self {
        Self {
            original: report.original,
            kept: report.kept,
            removed: report.removed,
            missing: report.missing.iter().map(ToString::to_string).collect(),
        }
    }

    /// Says which index was made from which, and what is missing.
    fn tell(&self, root: &Descriptor, output: Output) {
        if !self.missing.is_empty() {
            output.note(format_args!(
                "warning: missing platforms: {}",
                self.missing.join(", ")
            ));
        }
        let total = self.kept.len() + self.removed.len();
        if self.removed.is_empty() {
            return;
        }
        let kept = self.kept.len();
        let original = self.original.digest();
        if self.original.digest() == root.digest() {
            output.note(format_args!(
                "kept {kept} of {total} entries of the index {original}, which stays as it is; copy all of it later with --repair"
            ));
        } else {
            output.note(format_args!(
                "kept {kept} of {total} entries of the index {original}; the new index is {}",
                root.digest()
            ));
        }
    }
}

/// How many pieces of content, and how many bytes those have.
#[derive(Debug, Serialize)]
struct Tally {
    count: usize,
    bytes: u64,
}

/// As large as what it is made of, so that very many are made in place.
#[derive(Debug)]
struct Step(CopyStep);

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut step = serializer.serialize_struct("Step", 2)?;
        step.serialize_field("action", verb(self.0.action))?;
        step.serialize_field("descriptor", &self.0.descriptor)?;
        step.end()
    }
}

impl Copied {
    pub(super) fn new(args: &OneCopy, tags: &[Tag], report: CopyReport) -> Self {
        let tally = |action| Tally {
            count: report.count(action),
            bytes: report.bytes(action),
        };
        let (destination, names) = reached(&args.destination, tags, report.root.digest());
        Self {
            source: args.source.to_string(),
            destination: destination.to_string(),
            names,
            tags: tags.iter().map(ToString::to_string).collect(),
            dry_run: args.how.dry_run,
            copied: tally(CopyAction::Copied),
            mounted: tally(CopyAction::Mounted),
            skipped: tally(CopyAction::Skipped),
            digest_tags: report.digest_tags.iter().map(Tag::to_string).collect(),
            descriptor: report.root,
            platforms: report.subset.map(Subset::new),
            steps: report.steps.into_iter().map(Step).collect(),
        }
    }

    /// Says which platforms were copied, if not all. Returns the index of which these are, if a new one replaces it.
    pub(super) fn tell_of_platforms(&self, output: Output) -> Option<&Descriptor> {
        let subset = self.platforms.as_ref()?;
        subset.tell(&self.descriptor, output);
        let original = &subset.original;
        (original.digest() != self.descriptor.digest()).then_some(original)
    }

    pub(super) fn summary(&self) -> String {
        let count = |name: &str, tally: &Tally| match tally.count {
            0 => String::new(),
            count => format!(", {name} {count} ({})", BinaryBytes(tally.bytes)),
        };
        format!(
            "{} {} ({}){}{}: {}",
            if self.dry_run { "to copy" } else { "copied" },
            self.copied.count,
            BinaryBytes(self.copied.bytes),
            count("mounted", &self.mounted),
            count("there already", &self.skipped),
            self.names,
        )
    }
}

/// Where the copy is, and all its names for people. In an archive of docker it is reached by tag only:
/// the manifest that such an archive makes for an image has another digest.
fn reached(destination: &Location, tags: &[Tag], root: &Digest) -> (Location, String) {
    let named = |tag: &Tag| destination.clone().with_reference(tag.clone());
    if let Location::DockerArchive(_) = destination {
        let first = tags.first().map_or_else(|| destination.clone(), named);
        let names: Vec<_> = tags.iter().map(|tag| named(tag).to_string()).collect();
        let names = match names.as_slice() {
            [] => first.to_string(),
            names => names.join(", "),
        };
        return (first, names);
    }
    let destination = destination.clone().with_reference(*root);
    let tags: Vec<_> = tags.iter().map(Tag::as_str).collect();
    let names = match tags.as_slice() {
        [] => destination.to_string(),
        tags => format!("{destination} as {}", tags.join(", ")),
    };
    (destination, names)
}

impl fmt::Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.dry_run {
            return self.descriptor.digest().fmt(f);
        }
        for Step(CopyStep {
            action, descriptor, ..
        }) in &self.steps
        {
            let action = verb(*action);
            let (digest, size) = (descriptor.digest(), descriptor.size());
            let media_type = plain(descriptor.media_type().as_str());
            writeln!(f, "{action} {digest} {size} {media_type}")?;
        }
        for tag in &self.digest_tags {
            writeln!(f, "tag {tag}")?;
        }
        Ok(())
    }
}

const fn verb(action: CopyAction) -> &'static str {
    match action {
        CopyAction::Copied => "copy",
        CopyAction::Mounted => "mount",
        CopyAction::Skipped => "skip",
        CopyAction::LeftOut => "leave out",
        _ => "other",
    }
}
