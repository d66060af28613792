//! The result of commands that name or store something: its digest.

use std::fmt;

use serde::Serialize;
use tranship::{Descriptor, Tag};
use tranship_backends::Location;

/// As text the digest; as JSON also where it is, what it is and which tags point at it now.
#[derive(Debug, Serialize)]
pub(super) struct Named {
    reference: String,
    descriptor: Descriptor,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    #[serde(skip)]
    full: bool,
}

impl Named {
    pub(super) fn new(location: Location, descriptor: Descriptor) -> Self {
        Self {
            reference: location.with_reference(*descriptor.digest()).to_string(),
            descriptor,
            tags: None,
            full: false,
        }
    }

    pub(super) fn with_tags(mut self, tags: &[Tag]) -> Self {
        self.tags = Some(tags.iter().map(ToString::to_string).collect());
        self
    }

    /// As text the whole location, not the digest alone.
    pub(super) fn with_full(mut self, full: bool) -> Self {
        self.full = full;
        self
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.full {
            f.write_str(&self.reference)
        } else {
            self.descriptor.digest().fmt(f)
        }
    }
}
