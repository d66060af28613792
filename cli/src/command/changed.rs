//! The result of commands that change a manifest: the digest of the new one.

use std::fmt;

use serde::Serialize;
use tranship::{Descriptor, Repository};
use tranship_artifact::index::ManifestChange;
use tranship_backends::Location;

use super::referring;
use crate::output::Output;

/// As text the new digest; as JSON also what it was before.
#[derive(Debug, Serialize)]
pub(super) struct Changed {
    reference: String,
    descriptor: Descriptor,
    tags: Vec<String>,
    previous: Descriptor,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    added: Vec<Descriptor>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removed: Vec<Descriptor>,
}

impl Changed {
    pub(super) fn new(location: Location, change: ManifestChange) -> Self {
        Self {
            reference: location.with_reference(*change.new.digest()).to_string(),
            descriptor: change.new,
            tags: change.tags.iter().map(ToString::to_string).collect(),
            previous: change.old,
            added: change.added,
            removed: change.removed,
        }
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.descriptor.digest().fmt(f)
    }
}

/// Says which manifest took the place of which, and warns if something refers to the old one.
pub(super) async fn tell(
    repository: &dyn Repository,
    location: &Location,
    change: &ManifestChange,
    output: Output,
) {
    let (old, new) = (change.old.digest(), change.new.digest());
    if old == new {
        output.note(format_args!(
            "nothing to change in {location}: it stays {old}"
        ));
        return;
    }
    output.note(format_args!("{old} becomes {new}"));
    if change.tags.is_empty() {
        output.note("no tag is moved, and an index that lists the old digest still lists it");
    }
    referring::warn(repository, location, &change.old, output).await;
}
