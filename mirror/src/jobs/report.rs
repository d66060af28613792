//! What happened to each image.

use std::sync::Arc;

use tranship::{CopyAction, CopyReport, Descriptor, Digest, Error};

use super::image::Image;

/// What happened, or in a dry run would happen, to each image of a plan.
#[non_exhaustive]
#[derive(Debug, Default)]
pub struct Report {
    /// The images, in the order of the plan.
    pub images: Vec<ImageReport>,
}

/// What happened to an image.
#[non_exhaustive]
#[derive(Debug)]
pub struct ImageReport {
    /// The image.
    pub image: Image,
    /// What happened.
    pub outcome: Outcome,
    /// The manifest at the destination, if it is known.
    pub root: Option<Descriptor>,
    /// What the tag named at the destination before, if that was something else.
    pub replaced: Option<Digest>,
    /// How many pieces of content were sent. Of several tags that name one manifest, only the first one counts what was
    /// copied for all of them.
    pub copied: usize,
    /// How many bytes were sent.
    pub copied_bytes: u64,
    /// How many blobs were mounted from another repository of the destination.
    pub mounted: usize,
    /// How many bytes these have.
    pub mounted_bytes: u64,
}

/// What happened to an image.
#[non_exhaustive]
#[derive(Debug)]
pub enum Outcome {
    /// The destination had it.
    UpToDate,
    /// It was copied, or a part of it was, such as a new signature; or its tag was set.
    Copied,
    /// It could not be copied. Images of one manifest share the error.
    Failed(Arc<Error>),
}

impl Report {
    /// Returns the images that failed, with the errors.
    pub fn failures(&self) -> impl Iterator<Item = (&Image, &Error)> {
        self.images.iter().filter_map(|image| match &image.outcome {
            Outcome::Failed(error) => Some((&image.image, &**error)),
            Outcome::UpToDate | Outcome::Copied => None,
        })
    }

    /// Returns how many bytes were sent for all images.
    #[must_use]
    pub fn copied_bytes(&self) -> u64 {
        self.images
            .iter()
            .fold(0, |sum, image| sum.saturating_add(image.copied_bytes))
    }
}

impl ImageReport {
    pub(super) fn new(image: Image, outcome: Outcome) -> Self {
        Self {
            image,
            outcome,
            root: None,
            replaced: None,
            copied: 0,
            copied_bytes: 0,
            mounted: 0,
            mounted_bytes: 0,
        }
    }

    pub(super) fn count(&mut self, report: &CopyReport) {
        self.copied = report.count(CopyAction::Copied);
        self.copied_bytes = report.bytes(CopyAction::Copied);
        self.mounted = report.count(CopyAction::Mounted);
        self.mounted_bytes = report.bytes(CopyAction::Mounted);
    }
}
