use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tranship::prelude::*;
use tranship::{Descriptor, ErrorKind, ListOptions, MediaType, Source};
use tranship_memory::{MemoryOptions, MemoryRepository};

use crate::{blob, index_of, kind, read, tag};

/// A manifest that says nothing of its own type.
fn untyped() -> (Descriptor, Bytes) {
    let config = Descriptor::empty_json();
    let content = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"{}","digest":"{}","size":2}},"layers":[]}}"#,
        config.media_type(),
        config.digest(),
    );
    let content = Bytes::from(content);
    (Descriptor::of(MediaType::IMAGE_MANIFEST, &content), content)
}

#[tokio::test]
async fn the_media_type_of_the_last_push_counts() {
    let repository = MemoryRepository::new();
    let (oci, content) = untyped();
    let docker = oci.clone().with_media_type(MediaType::DOCKER_MANIFEST);
    repository
        .push_reference(&oci, content.clone().into(), &[tag("v1")])
        .await
        .expect("push");
    let unread = Source::from(Bytes::new());
    repository.push(&docker, unread).await.expect("push");
    for reference in [tag("v1").into(), (*oci.digest()).into()] {
        assert_eq!(repository.resolve(&reference).await.expect("there"), docker);
    }
    assert_eq!(read(&repository, &oci).await.expect("there"), content);
    let config = Descriptor::empty_json();
    let parents = repository.predecessors(&config).await.expect("a look");
    assert_eq!(parents.len(), 1);
    assert_eq!(parents[0].media_type(), docker.media_type());
}

#[tokio::test]
async fn a_media_type_that_the_manifest_contradicts_changes_nothing() {
    let repository = MemoryRepository::new();
    let (index, content) = index_of(vec![]);
    repository
        .push(&index, content.clone().into())
        .await
        .expect("push");
    let docker = index
        .clone()
        .with_media_type(MediaType::DOCKER_MANIFEST_LIST);
    let result = repository
        .push_reference(&docker, content.into(), &[tag("v1")])
        .await;
    assert_eq!(kind(result), ErrorKind::InvalidManifest);
    let by_digest = repository.resolve(&(*index.digest()).into()).await;
    assert_eq!(by_digest.expect("there"), index);
    let by_tag = repository.resolve(&tag("v1").into()).await;
    assert_eq!(kind(by_tag), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_no_manifest_by_its_type_is_not_stored_as_one() {
    let repository = MemoryRepository::new();
    let (descriptor, content) = blob(b"{}");
    let manifests = repository.manifests();
    let result = manifests.push(&descriptor, content.into()).await;
    assert_eq!(kind(result), ErrorKind::Unsupported);
    assert!(!manifests.exists(&descriptor).await.expect("a look"));
}

#[tokio::test]
async fn the_limit_on_manifests_can_be_chosen() {
    let (index, content) = index_of(vec![]);
    let options = |limit| MemoryOptions::default().with_max_manifest_size(limit);
    let strict = MemoryRepository::with_options(options(index.size() - 1));
    let result = strict.push(&index, content.clone().into()).await;
    assert_eq!(kind(result), ErrorKind::SizeExceedsLimit);
    let exact = MemoryRepository::with_options(options(index.size()));
    exact.push(&index, content.into()).await.expect("push");
}

#[tokio::test]
async fn a_manifest_of_several_megabytes_is_decoded() {
    let children: Vec<_> = (0..20_000_u32).map(|n| blob(&n.to_le_bytes()).0).collect();
    let last = children[19_999].clone();
    let (index, content) = index_of(children);
    assert!(content.len() > 2 << 20);
    let repository = MemoryRepository::new();
    let chunks: Vec<_> = content
        .chunks(70_000)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    let body = tranship::Body::from_stream(futures_util::stream::iter(chunks));
    repository
        .push(&index, Source::once(body))
        .await
        .expect("push");
    assert_eq!(read(&repository, &index).await.expect("there"), content);
    let parents = repository.predecessors(&last).await.expect("a look");
    assert_eq!(parents, [index]);
}

#[tokio::test]
async fn tags_are_listed_a_page_at_a_time_while_they_change() {
    let repository = MemoryRepository::new();
    let (index, content) = index_of(vec![]);
    let all: Vec<_> = (0..10).map(|n| tag(&format!("v{n}"))).collect();
    repository
        .push_reference(&index, content.into(), &all)
        .await
        .expect("push");
    let mut listing = repository.tags(ListOptions::default().with_page_size(2));
    assert_eq!(listing.next().await.expect("v0").expect("v0"), all[0]);
    repository.untag(&all[1]).await.expect("was there");
    repository.untag(&all[2]).await.expect("was there");
    repository.tag(&index, &tag("v3.1")).await.expect("tag");
    let rest: Vec<_> = listing.try_collect().await.expect("a listing");
    let expected = ["v1", "v3", "v3.1", "v4", "v5", "v6", "v7", "v8", "v9"].map(tag);
    assert_eq!(rest, expected, "v1 was on the page that was taken before");
}
