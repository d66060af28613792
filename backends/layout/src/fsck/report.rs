//! What a check finds.

use std::fmt;

use serde::Serialize;
use tranship::{Descriptor, Digest};

use crate::gc::Amount;

/// What a check found.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FsckReport {
    /// Whether nothing that was found is an [error](Severity::Error).
    pub sound: bool,
    /// What was hashed.
    pub checked: Amount,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// What was damaged or missing and is whole now.
    pub repaired: Vec<Repaired>,
}

impl FsckReport {
    /// How many findings are of `severity`.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let findings = self.findings.iter();
        findings.filter(|found| found.severity == severity).count()
    }
}

/// How bad something is.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Something that the layout promises to hold is missing or damaged.
    Error,
    /// It may be as it should be, but other tools may see it in another way.
    Warning,
    /// Nothing is wrong.
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// What is wrong.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FindingKind {
    /// `oci-layout` is missing, or cannot be read.
    InvalidLayout,
    /// `index.json` is missing, or cannot be read. Then nothing is known to be referred to.
    InvalidIndex,
    /// Content that is referred to is not there. An error, except where that is legitimate: a
    /// manifest below an index that is not in `index.json` itself (a warning: a layout may be
    /// sparse), a layer that is not to be distributed, and the subject of a referrer (both for
    /// information only).
    Missing,
    /// Content is shorter than whoever refers to it says.
    Truncated,
    /// Content does not hash to its digest.
    Altered,
    /// Content hashes to its digest, and whoever refers to it says another size.
    WrongSize,
    /// Content cannot be read, for want of permission or because the disk fails.
    Unreadable,
    /// A manifest is not what its media type says.
    Undecodable,
    /// A manifest has another media type, by its own `mediaType` or else by its fields, than the manifest or
    /// the entry that refers to it says.
    WrongMediaType,
    /// Several entries of `index.json` have the same tag. The last one counts here; other tools may
    /// take the first. A warning.
    DuplicateTag,
    /// An entry of `index.json` has a digest of an unknown algorithm. A warning.
    UnknownAlgorithm,
    /// Something under `blobs/` is no blob. A warning.
    Stray,
    /// Nothing refers to a blob, which garbage collection would remove. For information only.
    Unreferenced,
    /// A file in `.tranship` that a dead process left behind. For information only.
    Leftover,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidLayout => "invalid layout",
            Self::InvalidIndex => "invalid index",
            Self::Missing => "missing",
            Self::Truncated => "truncated",
            Self::Altered => "altered",
            Self::WrongSize => "wrong size",
            Self::Unreadable => "unreadable",
            Self::Undecodable => "undecodable",
            Self::WrongMediaType => "wrong media type",
            Self::DuplicateTag => "duplicate tag",
            Self::UnknownAlgorithm => "unknown algorithm",
            Self::Stray => "stray",
            Self::Unreferenced => "unreferenced",
            Self::Leftover => "leftover",
        })
    }
}

/// Something that a check found.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub kind: FindingKind,
    /// What it is about: a digest, a tag, or a path within the layout.
    pub subject: String,
    /// More about it, as one line.
    pub message: String,
    /// The content, as whoever refers to it describes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<Descriptor>,
    /// The manifest that refers to the content; `None` if `index.json` does, or nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referred_by: Option<Digest>,
    /// Why it was not repaired, if that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_repaired: Option<String>,
}

impl Finding {
    pub(super) fn new(
        severity: Severity,
        kind: FindingKind,
        subject: impl fmt::Display,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            kind,
            subject: subject.to_string(),
            message: message.into(),
            descriptor: None,
            referred_by: None,
            not_repaired: None,
        }
    }

    pub(super) fn about(mut self, descriptor: &Descriptor, referred_by: Option<Digest>) -> Self {
        self.descriptor = Some(descriptor.plain());
        self.referred_by = referred_by;
        self
    }
}

/// Something that was damaged or missing and is whole now.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Repaired {
    /// What was wrong.
    pub kind: FindingKind,
    /// The digest or tag that was repaired.
    pub subject: String,
}
