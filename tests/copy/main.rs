//! What copying promises, on repositories that count what they are asked.

mod artifacts;
mod digest_tags;
mod events;
mod existing;
mod failures;
mod graphs;
mod hooks;
mod mounts;
mod order;
mod platforms;
mod quirks;
mod recorder;
mod referrers;
mod resume;
mod sides;
mod subsets;

use std::sync::Arc;

use tranship::{
    CopyOptions, CopyReport, ExtendedCopyOptions, Registry, Repository, Result, Tag, TagOrDigest,
    copy, extended_copy,
};
use tranship_memory::MemoryRegistry;

pub(crate) fn reference(text: &str) -> TagOrDigest {
    text.parse().expect("a tag or a digest")
}

pub(crate) fn tags(texts: &[&str]) -> Vec<Tag> {
    texts
        .iter()
        .map(|text| text.parse().expect("a tag"))
        .collect()
}

pub(crate) async fn open(registry: &MemoryRegistry, name: &str) -> Arc<dyn Repository> {
    let name = name.parse().expect("a name");
    registry.repository(&name).await.expect("a repository")
}

/// Copies what `v1` names, and names it so.
pub(crate) async fn copy_v1(
    source: &dyn Repository,
    destination: &dyn Repository,
    options: &CopyOptions,
) -> Result<CopyReport> {
    copy(
        source,
        &reference("v1"),
        destination,
        &tags(&["v1"]),
        options,
    )
    .await
}

/// The same with what refers to it.
pub(crate) async fn extended_copy_v1(
    source: &dyn Repository,
    destination: &dyn Repository,
    options: &ExtendedCopyOptions,
) -> Result<CopyReport> {
    extended_copy(
        source,
        &reference("v1"),
        destination,
        &tags(&["v1"]),
        options,
    )
    .await
}
