//! What each layer does beyond what the conformance suite tests.

mod cache;
mod cache_fills;
mod cache_lists;
mod cache_lookups;
mod circuit_breaker;
mod direct_urls;
mod immutable_tags;
mod inject;
mod limit;
mod monitor;
mod names;
mod notify;
#[cfg(feature = "observe")]
mod observe;
mod quotas;
mod spy;
mod tiers;

use bytes::Bytes;
use tranship::{Descriptor, Index, MediaType, Repository, RepositoryName, Tag, encode_json};

fn name(text: &str) -> RepositoryName {
    text.parse().expect("a name")
}

fn tag(text: &str) -> Tag {
    text.parse().expect("a tag")
}

/// A blob and its descriptor.
fn blob(content: &'static str) -> (Descriptor, Bytes) {
    let descriptor = Descriptor::of(MediaType::OCTET_STREAM, content.as_bytes());
    (descriptor, Bytes::from_static(content.as_bytes()))
}

fn index(annotation: &str) -> (Descriptor, Bytes) {
    let mut index = Index::new(Vec::new());
    index.annotations.insert("is".into(), annotation.into());
    let content = encode_json(&index).expect("an index");
    (Descriptor::of(MediaType::IMAGE_INDEX, &content), content)
}

/// Pushes an index that differs from others by `annotation`, and points `to` at it.
async fn push(repository: &dyn Repository, annotation: &str, to: &str) -> Descriptor {
    let (descriptor, content) = index(annotation);
    repository
        .push_reference(&descriptor, content.into(), &[tag(to)])
        .await
        .expect("pushed");
    descriptor
}

async fn resolve(repository: &dyn Repository, name: &str) -> Option<Descriptor> {
    repository.resolve(&tag(name).into()).await.ok()
}
