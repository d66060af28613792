//! What is particular to the memory backend; what all backends share is tested by
//! `tranship-conformance`.

mod concurrency;
mod manifests;
mod quota;
mod sharing;
mod uploads;

use bytes::Bytes;
use tranship::{
    Descriptor, Digest, ErrorKind, Fetcher, Index, ManifestDocument, MediaType, RepositoryName,
    Result, Tag, encode_json,
};

fn blob(content: &[u8]) -> (Descriptor, Bytes) {
    let descriptor = Descriptor::of(MediaType::OCTET_STREAM, content);
    (descriptor, Bytes::copy_from_slice(content))
}

fn index_of(children: Vec<Descriptor>) -> (Descriptor, Bytes) {
    let content = encode_json(&Index::new(children)).expect("an index");
    let descriptor = Descriptor::of(MediaType::IMAGE_INDEX, &content);
    assert!(ManifestDocument::decode(descriptor.media_type(), &content).is_ok());
    (descriptor, content)
}

fn name(text: &str) -> RepositoryName {
    text.parse().expect("a name")
}

fn tag(text: &str) -> Tag {
    text.parse().expect("a tag")
}

fn absent(size: u64) -> Descriptor {
    Descriptor::new(MediaType::OCTET_STREAM, Digest::of(b"absent"), size)
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("must fail").kind()
}

async fn read(store: &dyn Fetcher, target: &Descriptor) -> Result<Bytes> {
    store.fetch(target).await?.bytes(u64::MAX).await
}
