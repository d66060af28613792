//! What a copy says while it goes on, and when it is over.

use super::platforms::SubsetReport;
use crate::descriptor::Descriptor;
use crate::reference::Tag;

/// What became, or in a dry run would become, of one piece of content.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CopyAction {
    /// Its bytes are moved.
    Copied,
    /// It is mounted from another repository of the same registry: no bytes are moved.
    Mounted,
    /// The destination has it, and with a manifest all that it refers to.
    Skipped,
    /// It is not copied because [`CopyHooks::pre_copy`](super::CopyHooks::pre_copy) said so.
    LeftOut,
}

/// A step of a copy, for progress bars. The first transfer of content is
/// [`Started`](Self::Started) and, if only a part of it is missing, then
/// [`Continued`](Self::Continued).
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyEvent<'a> {
    /// The content was found to be part of what is copied.
    Found(&'a Descriptor),
    /// Its transfer starts; after a broken transfer, once more.
    Started(&'a Descriptor),
    /// Its transfer starts after this many bytes, where an earlier copy stopped. They are not read again.
    Continued(&'a Descriptor, u64),
    /// This many more bytes of it have been read. Content that is mounted is not read, and has no such
    /// event.
    Bytes(&'a Descriptor, u64),
    /// It is done.
    Done(&'a Descriptor, CopyAction),
}

/// One piece of content, and what became of it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyStep {
    /// The content. Of a manifest below the root only what names it: what else an index says of it,
    /// such as its platform, stands in that index.
    pub descriptor: Descriptor,
    /// What became of it.
    pub action: CopyAction,
}

/// What a copy did or, in a dry run, would do.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyReport {
    /// The root: what was asked for, after root mapping and platform selection.
    pub root: Descriptor,
    /// Every piece of content that was looked at, in the order in which it was done: what a manifest
    /// refers to stands before it.
    pub steps: Vec<CopyStep>,
    /// The [digest tags](crate::digest_tags) of what was found by them, in ASCII order: the destination has
    /// them, too.
    pub digest_tags: Vec<Tag>,
    /// Which entries of an index were copied, if [some platforms](super::CopyOptions::platforms) were chosen.
    pub subset: Option<SubsetReport>,
}

impl CopyReport {
    /// How many pieces of content `action` was done to.
    #[must_use]
    pub fn count(&self, action: CopyAction) -> usize {
        self.of(action).count()
    }

    /// How many bytes the content has that `action` was done to. For skipped manifests, what they
    /// refer to is not counted, as it was not looked at.
    #[must_use]
    pub fn bytes(&self, action: CopyAction) -> u64 {
        self.of(action)
            .fold(0, |sum, step| sum.saturating_add(step.descriptor.size()))
    }

    fn of(&self, action: CopyAction) -> impl Iterator<Item = &CopyStep> {
        self.steps.iter().filter(move |step| step.action == action)
    }
}
