use tranship::layers::{ReadOnly, Tiers};
use tranship::prelude::*;
use tranship::*;
use tranship_memory::MemoryRepository;

use crate::{push, resolve, tag};

#[tokio::test]
async fn the_upper_tier_hides_tags_of_the_lower_one() {
    let (upper, lower) = (MemoryRepository::new(), MemoryRepository::new());
    let below = push(&lower, "below", "v1").await;
    push(&lower, "below", "only").await;
    let both = Tiers::new(upper.clone(), ReadOnly::new(lower));
    assert_eq!(resolve(&both, "v1").await, Some(below.clone()));
    let above = push(&both, "above", "v1").await;
    assert_eq!(resolve(&both, "v1").await, Some(above));
    assert_eq!(resolve(&both, "only").await, Some(below));
    assert_eq!(tags(&both).await.expect("listed"), [tag("only"), tag("v1")]);
    assert_eq!(tags(&upper).await.expect("listed"), [tag("v1")]);
}

#[tokio::test]
async fn a_blob_of_the_lower_tier_is_not_pushed_again() {
    let (upper, lower) = (MemoryRepository::new(), MemoryRepository::new());
    let blob = push_bytes(&lower, MediaType::OCTET_STREAM, "blob").await;
    let blob = blob.expect("pushed");
    let both = Tiers::new(upper.clone(), lower);
    let pushed = both.push(&blob, "blob".into()).await;
    assert_eq!(pushed.expect("present"), PushOutcome::Present);
    assert!(!upper.exists(&blob).await.expect("looked"));
}

#[tokio::test]
async fn a_manifest_of_the_lower_tier_can_be_tagged() {
    let (upper, lower) = (MemoryRepository::new(), MemoryRepository::new());
    let below = push(&lower, "below", "v1").await;
    let both = Tiers::new(upper.clone(), ReadOnly::new(lower));
    both.tag(&below, &tag("v2")).await.expect("tagged");
    assert_eq!(resolve(&both, "v2").await, Some(below.clone()));
    assert_eq!(resolve(&upper, "v2").await, Some(below));
}

#[tokio::test]
async fn referrers_of_both_tiers_are_listed_once() {
    let (upper, lower) = (MemoryRepository::new(), MemoryRepository::new());
    let subject = push(&lower, "subject", "v1").await;
    let options = |kind: &str| {
        PackOptions::new(kind.parse().expect("a type"))
            .with_subject(subject.clone())
            .with_annotation("org.opencontainers.image.created", "2026-01-01T00:00:00Z")
    };
    let shared = options("example/shared");
    for tier in [&upper, &lower] {
        pack_manifest(tier, &shared).await.expect("packed");
    }
    pack_manifest(&upper, &options("example/above"))
        .await
        .expect("packed");
    pack_manifest(&lower, &options("example/below"))
        .await
        .expect("packed");
    let both = Tiers::new(upper, lower);
    let found = referrers(&both, &subject, None).await.expect("listed");
    assert_eq!(found.len(), 3);
    assert_eq!(both.predecessors(&subject).await.expect("found").len(), 3);
}
