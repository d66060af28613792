//! The member `index.json`, which makes a bundle an image layout for other tools.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use tranship::{Descriptor, Digest, Index, MediaType, Result, encode_json};

use super::lock::Lock;

/// Has the tag or the full name of an image (image-spec, "Pre-Defined Annotation Keys").
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Has the full name where containerd or buildkit has written the entry.
pub(super) const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// What a manifest says that the graph does not.
#[derive(Debug, Clone, Default)]
pub(super) struct ManifestFacts {
    pub(super) subject: Option<Digest>,
    pub(super) artifact_type: Option<MediaType>,
}

/// Returns the content of `index.json`: an entry with its full name for each tag, and an entry for each other manifest
/// that no manifest leads to, such as a referrer, so that other tools keep it. Manifests that are not in the bundle have
/// none.
pub(super) fn encode(
    lock: &Lock,
    in_base: &HashSet<u32>,
    facts: &HashMap<Digest, ManifestFacts>,
) -> Result<Bytes> {
    let describe = |number: u32| {
        let node = lock.get(number).filter(|_| !in_base.contains(&number))?;
        let facts = facts.get(&node.digest);
        let artifact_type = facts.and_then(|facts| facts.artifact_type.clone());
        Some(node.descriptor().with_artifact_type(artifact_type))
    };
    let mut entries: Vec<Descriptor> = Vec::new();
    let mut named = HashSet::new();
    for (name, repository) in lock.repositories() {
        for (tag, number) in &repository.tags {
            let Some(descriptor) = describe(*number) else {
                continue;
            };
            let name = name.with_tag(tag);
            let entry = descriptor.with_annotation(REF_NAME, name.clone());
            entries.push(entry.with_annotation(CONTAINERD_NAME, name));
            named.insert(*number);
        }
    }
    let mut below: HashSet<u32> = HashSet::new();
    for node in lock.contents() {
        let subject = facts.get(&node.digest).and_then(|facts| facts.subject);
        let children = node.children.iter().filter(|child| {
            let child = lock.get(**child);
            // An index may list its own subject, too.
            child.is_some_and(|child| Some(child.digest) != subject)
        });
        below.extend(children);
    }
    for (number, node) in (0_u32..).zip(lock.contents()) {
        if node.is_manifest() && !named.contains(&number) && !below.contains(&number) {
            entries.extend(describe(number));
        }
    }
    encode_json(&Index::new(entries))
}
