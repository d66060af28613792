//! What a cache remembers of lists, for when its upstream is down.

use tranship::prelude::*;
use tranship::*;

use crate::cache::{MINUTE, Stage, stage};
use crate::{push, resolve, tag};

fn artifact_type(text: &str) -> MediaType {
    text.parse().expect("a media type")
}

/// Pushes a referrer of `subject`.
async fn attach(repository: &dyn Repository, subject: &Descriptor) -> Descriptor {
    let options = PackOptions::new(artifact_type("application/vnd.example.sbom"))
        .with_subject(subject.clone());
    let packed = pack_and_tag(repository, &options, &[]).await;
    packed.expect("packed").plain()
}

impl Stage {
    async fn referrers(&self, subject: &Descriptor) -> Result<Vec<Digest>> {
        let found = referrers(&self.cache, subject, None).await?;
        Ok(found.iter().map(|found| *found.digest()).collect())
    }

    fn is_stale(&self, subject: &Descriptor) -> bool {
        let name = self.cache.name();
        self.cache.has_stale_referrers(name, subject.digest(), None)
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_of_referrers_is_remembered() {
    let stage = stage(MINUTE);
    let image = push(&stage.upstream, "image", "v1").await;
    for _ in 0..2 {
        assert_eq!(stage.referrers(&image).await.expect("listed"), []);
        assert_eq!(stage.asked.referrer_lists(), 1);
        assert!(!stage.is_stale(&image));
    }
    stage.asked.goes_down();
    tokio::time::advance(MINUTE).await;
    for _ in 0..2 {
        assert_eq!(stage.referrers(&image).await.expect("remembered"), []);
        // The upstream is not asked again at once.
        assert_eq!(stage.asked.referrer_lists(), 2);
        assert!(stage.is_stale(&image));
    }
    stage.asked.comes_back();
    tokio::time::advance(MINUTE).await;
    let referrer = attach(&stage.upstream, &image).await;
    let found = stage.referrers(&image).await.expect("listed");
    assert_eq!(found, [*referrer.digest()]);
    assert!(!stage.is_stale(&image));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_was_not_empty_is_not_known_to_be() {
    let stage = stage(MINUTE);
    let image = push(&stage.upstream, "image", "v1").await;
    stage.referrers(&image).await.expect("empty");
    attach(&stage.upstream, &image).await;
    tokio::time::advance(MINUTE).await;
    stage.referrers(&image).await.expect("not empty");
    stage.asked.goes_down();
    // The referrer is not stored.
    let error = stage.referrers(&image).await.expect_err("not known");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_part_of_an_empty_list_is_empty() {
    let stage = stage(MINUTE);
    let image = push(&stage.upstream, "image", "v1").await;
    let other = push(&stage.upstream, "other", "v2").await;
    let wanted = artifact_type("application/vnd.example.sbom");
    stage.referrers(&image).await.expect("empty");
    let part = referrers(&stage.cache, &other, Some(&wanted)).await;
    assert!(part.expect("listed").is_empty());
    stage.asked.goes_down();
    let part = referrers(&stage.cache, &image, Some(&wanted)).await;
    assert!(part.expect("remembered").is_empty());
    stage
        .referrers(&other)
        .await
        .expect_err("only a part is known");
}

#[tokio::test]
async fn a_referrer_that_is_pushed_through_the_cache_is_listed() {
    let stage = stage(MINUTE);
    let image = push(&stage.upstream, "image", "v1").await;
    stage.referrers(&image).await.expect("empty");
    let referrer = attach(&stage.cache, &image).await;
    let found = stage.referrers(&image).await.expect("listed");
    assert_eq!(found, [*referrer.digest()]);
}

#[tokio::test(start_paused = true)]
async fn a_digest_tag_that_does_not_exist_is_remembered() {
    let stage = stage(MINUTE);
    let name = stage.cache.name().clone();
    let image = push(&stage.upstream, "image", "v1").await;
    let fallback = format!("sha256-{}", image.digest().hex());
    let tags = [fallback.clone(), format!("{fallback}.sig")];
    for text in tags.iter().map(String::as_str).chain(["v9"]) {
        assert_eq!(resolve(&stage.cache, text).await, None);
    }
    stage.asked.goes_down();
    tokio::time::advance(MINUTE).await;
    for text in &tags {
        let missing = stage.cache.resolve(&tag(text).into()).await;
        assert!(missing.expect_err("remembered").is_not_found());
        assert!(stage.cache.is_stale(&name, &tag(text)));
    }
    // Another tag may exist by now.
    let error = stage.cache.resolve(&tag("v9").into()).await;
    assert_eq!(error.expect_err("down").kind(), ErrorKind::Unavailable);
    stage.asked.comes_back();
    tokio::time::advance(MINUTE).await;
    let list = push(&stage.upstream, "list", &fallback).await;
    assert_eq!(resolve(&stage.cache, &fallback).await, Some(list));
    assert!(!stage.cache.is_stale(&name, &tag(&fallback)));
}

#[tokio::test(start_paused = true)]
async fn the_tag_of_an_empty_list_is_found_if_it_exists() {
    let stage = stage(MINUTE);
    let image = push(&stage.upstream, "image", "v1").await;
    stage.referrers(&image).await.expect("empty");
    // Some registries do not list the referrers that were there before they had such lists.
    let fallback = format!("sha256-{}", image.digest().hex());
    let list = push(&stage.upstream, "list", &fallback).await;
    assert_eq!(resolve(&stage.cache, &fallback).await, Some(list));
}

#[tokio::test(start_paused = true)]
async fn stored_lists_are_stale_until_the_upstream_responds() {
    let stage = stage(MINUTE);
    let name = stage.cache.name().clone();
    let image = push(&stage.upstream, "image", "v1").await;
    let referrer = attach(&stage.upstream, &image).await;
    resolve(&stage.cache, "v1").await.expect("stored");
    let read = stage.cache.fetch(&referrer).await.expect("opened");
    read.read().await.expect("stored");
    for is_down in [false, true, false] {
        match is_down {
            true => stage.asked.goes_down(),
            false => stage.asked.comes_back(),
        }
        assert_eq!(tags(&stage.cache).await.expect("listed"), [tag("v1")]);
        let found = stage.referrers(&image).await.expect("listed");
        assert_eq!(found, [*referrer.digest()]);
        assert_eq!(stage.cache.has_stale_tags(&name), is_down);
        assert_eq!(stage.is_stale(&image), is_down);
    }
}
