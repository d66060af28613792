//! What happened to many images, as a table and as JSON.

use std::fmt;

use indicatif::{BinaryBytes, HumanCount};
use serde::Serialize;
use tranship::Digest;
use tranship_mirror::jobs::{ImageReport, Outcome, Report};

use crate::report::Report as ErrorReport;
use crate::table::Table;

/// What happened to each image.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(in crate::command) struct Images {
    images: Vec<ImageLine>,
    #[serde(skip)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageLine {
    source: String,
    destination: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<Digest>,
    copied: Tally,
    mounted: Tally,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorReport>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Status {
    UpToDate,
    Copied,
    Failed,
}

/// How many pieces of content, and how many bytes those have.
#[derive(Debug, Default, Serialize)]
struct Tally {
    count: usize,
    bytes: u64,
}

impl Images {
    pub(in crate::command) fn new(report: &Report, dry_run: bool) -> Self {
        let images = report.images.iter().map(line).collect();
        Self { images, dry_run }
    }

    /// Returns only the images that failed.
    pub(in crate::command) fn of_failures(report: &Report) -> Self {
        let failed = |image: &&ImageReport| matches!(image.outcome, Outcome::Failed(_));
        let images = report.images.iter().filter(failed).map(line).collect();
        Self {
            images,
            dry_run: false,
        }
    }

    fn count(&self, status: Status) -> usize {
        let with_it = self.images.iter().filter(|image| image.status == status);
        with_it.count()
    }

    /// Returns a line about all of them.
    pub(in crate::command) fn summary(&self) -> String {
        let sum = |tally: fn(&ImageLine) -> &Tally| {
            let tallies = self.images.iter().map(tally);
            tallies.fold(0_u64, |sum, tally| sum.saturating_add(tally.bytes))
        };
        let copied = self.count(Status::Copied);
        let verb = if self.dry_run { "to copy" } else { "copied" };
        let mut text = format!(
            "{verb}: {} {}",
            HumanCount(copied as u64),
            if copied == 1 { "image" } else { "images" },
        );
        let pieces: usize = self.images.iter().map(|image| image.copied.count).sum();
        if pieces > 0 {
            let bytes = BinaryBytes(sum(|image| &image.copied));
            let pieces = HumanCount(pieces as u64);
            text += &format!(" ({pieces} blobs and manifests, {bytes})");
        }
        let mounted = sum(|image| &image.mounted);
        if mounted > 0 {
            let verb = if self.dry_run { "to mount" } else { "mounted" };
            text += &format!(", {verb}: {}", BinaryBytes(mounted));
        }
        text += &format!(
            ", up to date: {}",
            HumanCount(self.count(Status::UpToDate) as u64)
        );
        let failed = self.count(Status::Failed);
        if failed > 0 {
            text += &format!(", failed: {}", HumanCount(failed as u64));
        }
        text
    }
}

fn line(report: &ImageReport) -> ImageLine {
    let image = &report.image;
    ImageLine {
        source: image.source_name(),
        destination: image.destination_name(),
        status: match &report.outcome {
            Outcome::UpToDate => Status::UpToDate,
            Outcome::Failed(_) => Status::Failed,
            _ => Status::Copied,
        },
        digest: report.root.as_ref().map(|root| *root.digest()),
        replaced: report.replaced,
        copied: Tally {
            count: report.copied,
            bytes: report.copied_bytes,
        },
        mounted: Tally {
            count: report.mounted,
            bytes: report.mounted_bytes,
        },
        error: match &report.outcome {
            Outcome::Failed(error) => Some(ErrorReport::new(error)),
            _ => None,
        },
    }
}

impl fmt::Display for Images {
    /// Writes the images that were copied or failed, one in a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::with_numbers_in(&[3]);
        for image in &self.images {
            let status = match image.status {
                Status::UpToDate => continue,
                Status::Failed => "failed",
                Status::Copied if self.dry_run => "copy",
                Status::Copied => "copied",
            };
            let size = match image.status {
                Status::Copied if image.copied.bytes > 0 => {
                    BinaryBytes(image.copied.bytes).to_string()
                }
                _ => String::new(),
            };
            table.push([
                status,
                image.source.as_str(),
                image.destination.as_str(),
                size.as_str(),
            ]);
        }
        f.write_str(&table.lines(""))
    }
}

/// What could not be listed or deleted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::command) struct FailureLine {
    name: String,
    error: ErrorReport,
}

/// Returns the failures for a report.
pub(in crate::command) fn failure_lines<'e>(
    failures: impl IntoIterator<Item = (&'e str, &'e tranship::Error)>,
) -> Vec<FailureLine> {
    let lines = failures.into_iter().map(|(name, error)| FailureLine {
        name: name.to_owned(),
        error: ErrorReport::new(error).at(Some(name)),
    });
    lines.collect()
}

impl FailureLine {
    pub(in crate::command) fn line(&self) -> String {
        self.error.line()
    }
}
