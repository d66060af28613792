//! Adds up sizes: each digest counts once.

use std::collections::{HashMap, HashSet};

use tranship::{Descriptor, Digest};

use super::model::ManifestSummary;

/// Returns the sum of the sizes of `parts`, in bytes.
pub(super) fn sum<'a>(parts: impl Iterator<Item = &'a Descriptor>) -> u64 {
    let mut seen = HashSet::new();
    parts
        .filter(|part| seen.insert(*part.digest()))
        .fold(0, |sum, part| sum.saturating_add(part.size()))
}

/// What a manifest consists of: itself, its config and its layers.
pub(super) fn parts(manifest: &ManifestSummary) -> impl Iterator<Item = &Descriptor> {
    let layers = manifest.layers.iter().map(|layer| &layer.descriptor);
    let own = (!manifest.missing).then_some(&manifest.descriptor);
    own.into_iter()
        .chain(&manifest.config_descriptor)
        .chain(layers)
}

/// Returns how many bytes more than one of `manifests` use.
pub(super) fn shared(manifests: &[ManifestSummary]) -> u64 {
    let mut users: HashMap<Digest, (usize, u64)> = HashMap::new();
    for manifest in manifests {
        let mut own = HashSet::new();
        for part in parts(manifest).filter(|part| own.insert(*part.digest())) {
            let entry = users.entry(*part.digest()).or_insert((0, part.size()));
            entry.0 += 1;
        }
    }
    let shared = users.values().filter(|(users, _)| *users > 1);
    shared.fold(0, |sum, (_, size)| sum.saturating_add(*size))
}
