//! The state of a file, as its metadata shows it.

use std::fs::Metadata;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::file::{changed, identity};

/// Two changes in a shorter time than this may leave the same time stamp.
const TIMESTAMP_STEP: Duration = Duration::from_millis(20);

/// What tells one state of a file from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    identity: Option<(u64, u64)>,
    length: u64,
    modified: Option<SystemTime>,
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            identity: identity(metadata),
            length: metadata.len(),
            modified: metadata.modified().ok(),
            changed: changed(metadata),
        }
    }

    /// Returns whether the file was written so recently that another change might leave the same stamp.
    pub(crate) fn is_fresh(&self) -> bool {
        self.modified
            .and_then(|modified| SystemTime::now().duration_since(modified).ok())
            .is_none_or(|age| age < TIMESTAMP_STEP)
    }

    /// Returns the state as text; empty if too little is known of it.
    pub(crate) fn note(&self) -> String {
        let modified = self
            .modified
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let Some(modified) = modified else {
            return String::new();
        };
        let (device, inode) = self.identity.unwrap_or_default();
        format!(
            "index.json {device} {inode} {} {} {}.{:09} is durable\n",
            self.length,
            modified.as_nanos(),
            self.changed.0,
            self.changed.1
        )
    }
}
