//! Which URLs layers pass on.

use std::time::Duration;

use async_trait::async_trait;
use tranship::layers::{Cache, CacheOptions, Inject, InjectOptions, NoDeletes, ReadOnly, Tiers};
use tranship::prelude::*;
use tranship::{
    Backend, ContentKind, Descriptor, DirectUrl, MediaType, PushOptions, PushOutcome, Result,
    Source, push_bytes,
};
use tranship_memory::MemoryRepository;

/// A repository that has one URL for all of its blobs.
#[derive(Debug)]
struct WithUrl(MemoryRepository, &'static str);

#[async_trait]
impl Backend for WithUrl {
    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        self.0.write(kind, expected, source, options).await
    }

    async fn direct_url(
        &self,
        _: ContentKind,
        _: &Descriptor,
        _: Duration,
    ) -> Result<Option<DirectUrl>> {
        Ok(Some(DirectUrl::new(self.1)))
    }

    tranship::forward_backend!(self, self.0; info read stat);
}

fn repository(url: &'static str) -> WithUrl {
    WithUrl(MemoryRepository::new(), url)
}

async fn push(repository: &dyn Backend, content: &'static str) -> Descriptor {
    let blob = push_bytes(&repository, MediaType::OCTET_STREAM, content).await;
    blob.expect("pushed")
}

async fn url(backend: &dyn Backend, blob: &Descriptor) -> Option<String> {
    let valid_for = Duration::from_secs(60);
    let url = backend.direct_url(ContentKind::Blob, blob, valid_for).await;
    url.expect("asked").map(|url| url.as_str().to_owned())
}

#[tokio::test]
async fn a_layer_that_does_not_change_reads_passes_urls_on() {
    let inner = repository("https://inner");
    let blob = push(&inner, "blob").await;
    let layers: [&dyn Backend; 4] = [
        &inner,
        &ReadOnly::new(&inner),
        &NoDeletes::new(&inner),
        &Inject::new(&inner, InjectOptions::default()),
    ];
    for layer in layers {
        let found = url(layer, &blob).await;
        assert_eq!(found.as_deref(), Some("https://inner"), "{layer:?}");
    }
    assert_eq!(url(&MemoryRepository::new(), &blob).await, None);
}

#[tokio::test]
async fn the_url_is_that_of_the_tier_that_has_the_blob() {
    let (upper, lower) = (repository("https://upper"), repository("https://lower"));
    let above = push(&upper, "above").await;
    let below = push(&lower, "below").await;
    let tiers = Tiers::new(upper, lower);
    assert_eq!(url(&tiers, &above).await.as_deref(), Some("https://upper"));
    assert_eq!(url(&tiers, &below).await.as_deref(), Some("https://lower"));
}

#[tokio::test]
async fn a_cache_has_urls_of_what_is_stored_only() {
    let upstream = repository("https://upstream");
    let blob = push(&upstream, "blob").await;
    let cache = Cache::new(
        upstream,
        repository("https://store"),
        CacheOptions::default(),
    );
    // A client that went to the upstream would not fill the cache.
    assert_eq!(url(&cache, &blob).await, None);
    let content = cache.fetch(&blob).await.expect("fetched");
    content.read().await.expect("read");
    assert_eq!(url(&cache, &blob).await.as_deref(), Some("https://store"));
}
