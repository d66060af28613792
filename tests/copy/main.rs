//! What copying promises, on repositories that count what they are asked.

mod artifacts;
mod events;
mod existing;
mod failures;
mod hooks;
mod mounts;
mod order;
mod platforms;
mod recorder;
mod referrers;

use tranship::{Tag, TagOrDigest};

pub(crate) fn reference(text: &str) -> TagOrDigest {
    text.parse().expect("a tag or a digest")
}

pub(crate) fn tags(texts: &[&str]) -> Vec<Tag> {
    texts
        .iter()
        .map(|text| text.parse().expect("a tag"))
        .collect()
}
