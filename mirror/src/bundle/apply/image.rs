//! Copies one image of a bundle.

use std::collections::BTreeSet;
use std::sync::Arc;

use tranship::{
    ContentKind, CopyAction, CopyReport, Descriptor, Error, ErrorKind, Result, ResultExt as _, Tag,
    TagOrDigest, blocking, copy, copy_graph,
};

use super::options::{AppliedImage, ApplyReport, PendingImage};
use super::repository::RepositoryCopy;
use super::saved;

/// An image that is copied: a manifest, and the tags that it gets.
pub(super) struct ImageCopy<'a> {
    pub(super) of: &'a RepositoryCopy<'a>,
    pub(super) number: u32,
    pub(super) tags: Vec<Tag>,
}

impl ImageCopy<'_> {
    /// Copies the image if all of it is there, or else what there is of it, and returns the report about it.
    pub(super) async fn run(self) -> Result<ApplyReport> {
        let (of, name) = (self.of, self.name());
        match self.copy_content().await {
            Ok(report) => Ok(report),
            Err(error) => Err(of_image(error, of, name).await),
        }
    }

    /// Returns the name in the bundle, for messages.
    fn name(&self) -> String {
        match self.tags.first() {
            Some(tag) => format!("{}:{tag}", self.of.name),
            None => self.of.name.to_string(),
        }
    }

    async fn copy_content(self) -> Result<ApplyReport> {
        let mut report = ApplyReport::default();
        let of = self.of;
        let digest = of.bundle.contents.node(self.number)?.digest;
        let needed = of.needed(self.number)?;
        let volumes = self.missing_volumes(&needed).await?;
        if !volumes.is_empty() {
            self.copy_blobs(&needed, &mut report).await?;
            report.pending.push(PendingImage {
                name: of.name.clone(),
                tags: self.tags,
                digest,
                volumes: volumes.into_iter().collect(),
            });
            return Ok(report);
        }
        let changed = self.copy(&needed, &mut report).await?;
        report.applied.push(AppliedImage {
            name: of.name.clone(),
            repository: of.repository.clone(),
            tags: self.tags,
            digest,
            changed,
        });
        Ok(report)
    }

    fn root(&self) -> Result<Descriptor> {
        Ok(self.of.bundle.contents.node(self.number)?.descriptor())
    }

    /// Returns the volumes that have content of the image which neither the open ones nor the destination have.
    async fn missing_volumes(&self, needed: &[u32]) -> Result<BTreeSet<u32>> {
        let bundle = self.of.bundle;
        let mut missing = BTreeSet::new();
        let absent = |number: &&u32| !bundle.has(**number) && !bundle.contents.is_in_base(**number);
        let absent: Vec<u32> = needed.iter().filter(absent).copied().collect();
        if absent.is_empty() {
            return Ok(missing);
        }
        let root = self.root()?;
        let is_stored = self.of.to.exists(&root).await;
        if is_stored.during("look for", root.digest())? {
            return Ok(missing);
        }
        for number in absent {
            if !self.of.is_stored(number).await? {
                missing.extend(bundle.missing_volumes(number));
            }
        }
        Ok(missing)
    }

    /// Copies the image and sets its tags; returns whether that changed anything.
    async fn copy(&self, needed: &[u32], report: &mut ApplyReport) -> Result<bool> {
        let of = self.of;
        let root = self.root()?;
        let hooks = of.hooks();
        if of.bundle.contents.is_in_base(self.number) {
            let changed = self.tag(&root).await?;
            of.note_stored(&hooks, needed);
            return Ok(changed);
        }
        let mut changed = false;
        for tag in &self.tags {
            changed |= !self.names(tag, &root).await?;
        }
        let reference = TagOrDigest::Digest(*root.digest());
        let options = of.copy_options(&hooks);
        let copied = copy(&of.from, &reference, &*of.to, &self.tags, &options).await?;
        of.note_stored(&hooks, needed);
        changed |= count(&copied, report);
        Ok(changed)
    }

    /// Points the tags at a manifest that the destination has.
    async fn tag(&self, root: &Descriptor) -> Result<bool> {
        let mut changed = false;
        for tag in &self.tags {
            if self.names(tag, root).await? {
                continue;
            }
            changed = true;
            if !self.of.shared.options.copy.dry_run {
                self.of.to.tag(root, tag).await.during("tag", tag)?;
            }
        }
        Ok(changed)
    }

    async fn names(&self, tag: &Tag, root: &Descriptor) -> Result<bool> {
        match self.of.to.resolve(&tag.clone().into()).await {
            Ok(found) => Ok(found.same_content(root)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::SizeMismatch) => {
                Ok(false)
            }
            Err(error) => Err(error).during("resolve", tag),
        }
    }

    /// Copies the blobs that are in the open volumes, and saves parts of others.
    async fn copy_blobs(&self, needed: &[u32], report: &mut ApplyReport) -> Result<()> {
        let of = self.of;
        for number in needed {
            let node = of.bundle.contents.node(*number)?;
            let is_here = !node.is_manifest() && !of.bundle.contents.is_in_base(*number);
            if !is_here || !of.claim_for_pending(*number) {
                continue;
            }
            if of.bundle.has(*number) {
                let hooks = of.hooks();
                let options = of.copy_options(&hooks);
                let copied = copy_graph(&of.from, &node.descriptor(), &*of.to, &options).await?;
                count(&copied, report);
                of.note_stored(&hooks, &[*number]);
            } else if let Some(directory) = &of.shared.options.parts
                && !of.shared.options.copy.dry_run
            {
                let (directory, bundle, number) =
                    (directory.clone(), Arc::clone(of.bundle), *number);
                blocking::run(move || saved::save(&directory, &bundle, number)).await?;
            }
        }
        Ok(())
    }
}

/// Says which image could not be copied, and of damaged content in which volume it is.
async fn of_image(error: Error, of: &RepositoryCopy<'_>, name: String) -> Error {
    let is_damage = matches!(
        error.kind(),
        ErrorKind::DigestMismatch | ErrorKind::SizeMismatch
    );
    let damaged = error.subject().filter(|_| is_damage);
    let digest = damaged.and_then(|subject| subject.parse().ok());
    let contents = &of.bundle.contents;
    let number = digest.and_then(|digest| contents.lock.number(ContentKind::Blob, &digest));
    let volume = number.and_then(|number| contents.parts_of(number).first());
    if let (Some(number), Some(directory)) = (number, &of.shared.options.parts) {
        // They may be what is damaged, and are saved again with their volumes.
        let (directory, contents) = (directory.clone(), Arc::clone(contents));
        let removed = blocking::run(move || saved::remove(&directory, &contents, number));
        // The first error counts.
        let _ = removed.await;
    }
    let explained = match volume {
        Some(part) => Error::new(
            error.kind(),
            format!(
                "volume {} of the bundle, or a saved part of it, is damaged",
                part.volume
            ),
        )
        .with_hint(
            "`tranship bundle verify` names everything that is damaged; apply the volumes again",
        ),
        None => {
            let explained = Error::new(error.kind(), "it cannot be copied");
            match error.hint() {
                Some(hint) => {
                    let hint = hint.to_owned();
                    explained.with_hint(hint)
                }
                None => explained,
            }
        }
    };
    explained
        .with_operation("apply")
        .with_subject(name)
        .with_retryable(error.is_retryable())
        .with_source(error)
}

/// Adds what a copy did to a report; returns whether it did anything.
fn count(copied: &CopyReport, report: &mut ApplyReport) -> bool {
    // A mount of a blob that was there looks like any other. With nothing copied, not even a manifest, it is one of these.
    if copied.count(CopyAction::Copied) == 0 {
        return false;
    }
    report.copied_bytes += copied.bytes(CopyAction::Copied);
    report.mounted_bytes += copied.bytes(CopyAction::Mounted);
    true
}
