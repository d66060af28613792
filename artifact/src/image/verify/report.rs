//! What a check finds.

use std::fmt;

use serde::Serialize;
use tranship::{Descriptor, Digest};

/// What [`verify`](super::verify) found. Its JSON has the fields by their names in camelCase.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyReport {
    /// Whether nothing that was found is an [error](Severity::Error).
    pub sound: bool,
    /// The content that was read.
    pub checked: Amount,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    #[serde(skip)]
    pub(super) total: Amount,
}

impl VerifyReport {
    /// Returns how many findings are of `severity`.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let findings = self.findings.iter();
        findings.filter(|found| found.severity == severity).count()
    }
}

/// How many manifests and blobs, and how large they are.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// The number of manifests and blobs.
    pub count: usize,
    /// Their size in bytes.
    pub bytes: u64,
}

/// How far a check has come. The totals grow while manifests are read.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyProgress {
    /// How many manifests and blobs have been checked.
    pub count: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// How many are known.
    pub total_count: usize,
    /// Their size in bytes.
    pub total_bytes: u64,
}

/// How bad something is.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Something that the reference leads to is missing or damaged.
    Error,
    /// It may be as it should be.
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Info => "info",
        })
    }
}

/// What is wrong.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FindingKind {
    /// Content that is referred to does not exist. For information only if it is a layer that is not to be
    /// distributed, or the subject of a referrer.
    Missing,
    /// Content has another size than its descriptor says.
    WrongSize,
    /// Content does not hash to its digest.
    Altered,
    /// The store cannot read the content.
    Unreadable,
    /// A manifest is not what its media type says.
    Undecodable,
    /// A manifest has another media type than its descriptor says.
    WrongMediaType,
    /// A layer does not decompress to what the config of the image says.
    WrongDiffId,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::WrongSize => "wrong size",
            Self::Altered => "altered",
            Self::Unreadable => "unreadable",
            Self::Undecodable => "undecodable",
            Self::WrongMediaType => "wrong media type",
            Self::WrongDiffId => "wrong diff id",
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
    /// What it is about: a digest or a tag.
    pub subject: String,
    /// More about it, as one line.
    pub message: String,
    /// The content, as the manifest that refers to it describes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<Descriptor>,
    /// The manifest that refers to the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referred_by: Option<Digest>,
}

impl Finding {
    pub(super) fn new(
        kind: FindingKind,
        subject: impl fmt::Display,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            kind,
            subject: subject.to_string(),
            message: message.into(),
            descriptor: None,
            referred_by: None,
        }
    }

    pub(super) fn for_information(mut self) -> Self {
        self.severity = Severity::Info;
        self
    }
}
