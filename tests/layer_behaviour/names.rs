//! Layers that change names: prefixes, and several registries as one.

use std::sync::Arc;

use tranship::layers::{Prefix, Unify};
use tranship::prelude::*;
use tranship::*;
use tranship_memory::MemoryRegistry;

use crate::{name, push};

async fn catalog(registry: &dyn Registry, options: ListOptions) -> Vec<String> {
    use futures_util::TryStreamExt as _;
    let names = registry
        .repositories(options)
        .map_ok(|name| name.to_string());
    names.try_collect().await.expect("listed")
}

async fn filled(names: &[&str]) -> MemoryRegistry {
    let registry = MemoryRegistry::new();
    for repository in names {
        push(&registry.open(&name(repository)), "x", "v1").await;
    }
    registry
}

#[tokio::test]
async fn a_prefix_shows_what_is_below_it() {
    let registry = filled(&["team", "team-b/x", "team/a", "team/b/c", "teams/d"]).await;
    let team = Prefix::new(registry, name("team"));
    let all = catalog(&team, ListOptions::default()).await;
    assert_eq!(all, ["a", "b/c"]);
    let rest = catalog(&team, ListOptions::default().with_last("a")).await;
    assert_eq!(rest, ["b/c"]);
}

#[tokio::test]
async fn a_repository_below_a_prefix_mounts_from_its_neighbours() {
    let registry = MemoryRegistry::new();
    let blob = push_bytes(
        &registry.open(&name("team/a")),
        MediaType::OCTET_STREAM,
        "x",
    )
    .await;
    let team = Prefix::new(registry, name("team"));
    let other = team.repository(&name("b")).await.expect("opened");
    let mounted = other.mount(&blob.expect("pushed"), &name("a"), None).await;
    assert_eq!(mounted.expect("mounted"), PushOutcome::Mounted);
}

async fn two() -> (Unify, MemoryRegistry, MemoryRegistry) {
    let (hub, ghcr) = (filled(&["a", "b"]).await, filled(&["c"]).await);
    let all = Unify::new([
        (name("ghcr.io"), Arc::new(ghcr.clone()) as Arc<dyn Registry>),
        (name("docker.io"), Arc::new(hub.clone())),
    ]);
    (all.expect("different names"), hub, ghcr)
}

#[tokio::test]
async fn several_registries_have_one_catalog() {
    let (all, ..) = two().await;
    let names = catalog(&all, ListOptions::default()).await;
    assert_eq!(names, ["docker.io/a", "docker.io/b", "ghcr.io/c"]);
    let rest = catalog(&all, ListOptions::default().with_last("docker.io/a")).await;
    assert_eq!(rest, ["docker.io/b", "ghcr.io/c"]);
    let rest = catalog(&all, ListOptions::default().with_last("docker.io/x")).await;
    assert_eq!(rest, ["ghcr.io/c"]);
}

#[tokio::test]
async fn content_is_pushed_from_one_registry_to_the_other() {
    let (all, hub, ghcr) = two().await;
    let blob = push_bytes(&hub.open(&name("a")), MediaType::OCTET_STREAM, "x").await;
    let blob = blob.expect("pushed");
    let from = all.repository(&name("docker.io/a")).await.expect("opened");
    let to = all.repository(&name("ghcr.io/c")).await.expect("opened");
    let options = CopyOptions::default();
    let copied = copy_graph(&*from, &blob, &*to, &options).await;
    assert_eq!(copied.expect("copied").count(CopyAction::Copied), 1);
    assert!(ghcr.open(&name("c")).exists(&blob).await.expect("looked"));
    let near = all.repository(&name("docker.io/b")).await.expect("opened");
    let copied = copy_graph(&*from, &blob, &*near, &options).await;
    assert_eq!(copied.expect("copied").count(CopyAction::Mounted), 1);
}

#[tokio::test]
async fn an_unknown_registry_is_named() {
    let (all, ..) = two().await;
    let error = all.repository(&name("quay.io/x")).await.expect_err("none");
    assert!(error.is_not_found());
    assert!(error.hint().is_some_and(|hint| hint.contains("docker.io")));
}

#[test]
fn overlapping_names_are_refused() {
    let registry = || Arc::new(MemoryRegistry::new()) as Arc<dyn Registry>;
    for (one, other) in [("a", "a"), ("a", "a/b"), ("a/b", "a")] {
        let unified = Unify::new([(name(one), registry()), (name(other), registry())]);
        let error = unified.expect_err("they overlap");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{one} {other}");
    }
    let unified = Unify::new([(name("a"), registry()), (name("a-b"), registry())]);
    assert!(unified.is_ok());
}
