//! Checks that the images that a power cut leaves are sound, and hold all that was promised.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use tranship::{Descriptor, Fetcher, ReadOnlyStorage, Repository, Resolver, Result, Tag};

use super::image::{Image, images, write};
use super::recorder::Moment;
use crate::{FsckOptions, FsckReport, Layout, LayoutOptions, Severity};

/// The outcome of a check, with the reason if it fails.
type Outcome = std::result::Result<(), String>;

/// Something that a finished call has promised.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Fact {
    /// A tag names a manifest.
    Tagged(Tag, Descriptor),
    /// A tag does not exist.
    Untagged(Tag),
    /// A blob or a manifest can be read.
    Holds(Descriptor),
    /// A blob or a manifest does not exist.
    Lacks(Descriptor),
}

/// How the place under test is found and opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Layout,
    #[cfg(feature = "archive")]
    Archive,
    #[cfg(feature = "archive")]
    DockerArchive,
}

impl Kind {
    pub(super) async fn open(self, path: &Path) -> Result<Layout> {
        let options = LayoutOptions::default();
        match self {
            Self::Layout => Layout::open_with(path, options).await,
            #[cfg(feature = "archive")]
            Self::Archive => Layout::open_archive(path, options).await,
            #[cfg(feature = "archive")]
            Self::DockerArchive => Layout::open_docker_archive(path, None, options).await,
        }
    }

    async fn fsck(self, path: &Path) -> Result<FsckReport> {
        let layout = match self {
            Self::Layout => Layout::open_unchecked(path, LayoutOptions::default()).await?,
            #[cfg(feature = "archive")]
            Self::Archive | Self::DockerArchive => self.open(path).await?,
        };
        layout.fsck(&FsckOptions::default()).await
    }
}

/// Checks what power cuts leave, each image once.
#[derive(Debug)]
pub(super) struct Checker {
    kind: Kind,
    /// Where the layout is in the directory that is watched.
    name: &'static str,
    seen: HashSet<(Image, Arc<Vec<Fact>>)>,
}

impl Checker {
    pub(super) fn new(kind: Kind, name: &'static str) -> Self {
        Self {
            kind,
            name,
            seen: HashSet::new(),
        }
    }

    /// Cuts the power at each of `moments`, and checks whatever is left: that it is sound, if that is asked
    /// for, and holds what was promised.
    ///
    /// # Panics
    /// If it is not so.
    pub(super) async fn check(&mut self, moments: &[Moment], soundness: Soundness) {
        for (number, moment) in moments.iter().enumerate() {
            for image in images(moment) {
                let key = (image, Arc::clone(&moment.facts));
                if self.seen.contains(&key) {
                    continue;
                }
                if let Err(why) = self.check_image(&key.0, &key.1, soundness).await {
                    let (count, list) = (moments.len(), list(&key.0));
                    panic!("a power cut at moment {number} of {count}: {why}; there was:\n{list}");
                }
                self.seen.insert(key);
            }
        }
    }

    async fn check_image(&self, image: &Image, facts: &[Fact], soundness: Soundness) -> Outcome {
        let directory = scratch();
        write(image, directory.path());
        let path = directory.path().join(self.name);
        if soundness == Soundness::Checked {
            check_soundness(&path, facts, self.kind).await?;
        }
        check_promises(&path, facts, self.kind).await
    }
}

/// Whether the rest may be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Soundness {
    Checked,
    Unknown,
}

/// Returns a temporary directory, in memory if possible.
fn scratch() -> tempfile::TempDir {
    let created = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    created.expect("a directory")
}

async fn check_soundness(path: &Path, facts: &[Fact], kind: Kind) -> Outcome {
    match kind.fsck(path).await {
        Ok(report) => is_sound(&report),
        Err(error) if error.is_not_found() && facts.is_empty() => Ok(()),
        Err(error) => Err(format!("fsck fails: {error}")),
    }
}

async fn check_promises(path: &Path, facts: &[Fact], kind: Kind) -> Outcome {
    if facts.is_empty() {
        return Ok(());
    }
    let layout = kind.open(path).await;
    let layout = layout.map_err(|error| format!("cannot be opened: {error}"))?;
    for fact in facts {
        let holds = is_so(&layout, fact).await;
        if !holds.map_err(|error| format!("{fact:?}: {error}"))? {
            return Err(format!("it is not so that {fact:?}"));
        }
    }
    Ok(())
}

fn is_sound(report: &FsckReport) -> Outcome {
    let mut findings = report.findings.iter();
    match findings.find(|finding| finding.severity == Severity::Error) {
        None => Ok(()),
        Some(finding) => Err(format!(
            "{} {}: {}",
            finding.kind, finding.subject, finding.message
        )),
    }
}

async fn is_so(layout: &Layout, fact: &Fact) -> Result<bool> {
    Ok(match fact {
        Fact::Tagged(tag, target) => layout.resolve(&tag.clone().into()).await? == *target,
        Fact::Untagged(tag) => match layout.resolve(&tag.clone().into()).await {
            Err(error) => error.is_not_found(),
            Ok(_) => false,
        },
        Fact::Holds(target) => {
            let content = layout.fetch(target).await?;
            content.bytes(target.size()).await?.len() as u64 == target.size()
        }
        Fact::Lacks(target) if target.media_type().is_manifest() => !layout.exists(target).await?,
        Fact::Lacks(target) => !layout.blobs().exists(target).await?,
    })
}

/// Returns the files of an image, for people.
fn list(image: &Image) -> String {
    let lines = image.iter().map(|(path, content)| match content {
        None => format!("  {}/\n", path.display()),
        Some(content) => format!("  {} of {} bytes\n", path.display(), content.len()),
    });
    lines.collect()
}
