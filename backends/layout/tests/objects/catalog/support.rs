//! Registries that have a catalog, and what is done to them.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use tranship::Descriptor;
use tranship::prelude::*;
use tranship_layout::{GcOptions, Layout, LayoutOptions, LayoutRegistry};

use crate::faulty::Faulty;
use crate::support::{described, push_image};

pub(super) const CATALOG: &str = "all/.tranship/catalog.json";
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// Another server of the store.
pub(super) async fn server(store: &Arc<Faulty>) -> LayoutRegistry {
    let store: Arc<Faulty> = Arc::clone(store);
    let registry = LayoutRegistry::create_in(store, "all", LayoutOptions::default()).await;
    registry.expect("a registry")
}

pub(super) async fn layout(registry: &LayoutRegistry, name: &str) -> Layout {
    let layout = registry.layout(&name.parse().expect("a name")).await;
    layout.expect("a layout")
}

pub(super) async fn push(registry: &LayoutRegistry, name: &str) -> Descriptor {
    let pushed = push_image(&layout(registry, name).await, "v1").await;
    pushed.expect("pushed")
}

pub(super) async fn push_blob(registry: &LayoutRegistry, name: &str) -> Descriptor {
    let blob = described(b"a blob");
    let pushed = layout(registry, name).await;
    let pushed = pushed.push(&blob, (&b"a blob"[..]).into()).await;
    pushed.expect("pushed");
    blob
}

pub(super) async fn delete(registry: &LayoutRegistry, name: &str, image: &Descriptor) {
    let deleted = layout(registry, name).await.delete(image).await;
    deleted.expect("deleted");
}

pub(super) async fn collect(registry: &LayoutRegistry, name: &str) {
    let options = GcOptions::default().with_grace(HOUR / 2);
    let collected = layout(registry, name).await.collect_garbage(&options).await;
    collected.expect("collected");
}

/// The names, from the catalog alone.
pub(super) async fn listed(store: &Arc<Faulty>) -> Vec<String> {
    let registry = server(store).await;
    let before = store.requests();
    let names = tranship::repositories(&registry).await.expect("listed");
    assert_eq!(store.requests() - before, 1, "the catalog is complete");
    names.iter().map(ToString::to_string).collect()
}

/// The names, from a walk.
pub(super) async fn walked(store: &Arc<Faulty>) -> Vec<String> {
    let registry = server(store).await;
    let before = store.requests();
    let names = tranship::repositories(&registry).await.expect("listed");
    assert!(store.requests() - before > 1, "the catalog is not used");
    names.iter().map(ToString::to_string).collect()
}

pub(super) async fn put(store: &Faulty, key: &str, content: &str) {
    let (key, content) = (Path::from(key), content.to_owned());
    let put = store.inner.put(&key, content.into()).await;
    put.expect("written");
}

/// Stores a layout as another program does.
pub(super) async fn copy_in(store: &Faulty, name: &str) {
    let content = r#"{"manifests":[{"digest":"blake3:00","size":1}]}"#;
    put(store, &format!("all/{name}/index.json"), content).await;
}

/// A registry with the repositories `a` and `b`.
pub(super) async fn two_repositories() -> (Arc<Faulty>, LayoutRegistry) {
    let store = Arc::new(Faulty::new());
    let registry = server(&store).await;
    push(&registry, "a").await;
    push(&registry, "b").await;
    (store, registry)
}

/// A registry with the repositories `a`, and `b`, whose image was deleted an hour ago, so that only garbage is left.
pub(super) async fn with_garbage() -> (Arc<Faulty>, LayoutRegistry) {
    let (store, registry) = two_repositories().await;
    let image = push(&registry, "b").await;
    delete(&registry, "b", &image).await;
    store.age(HOUR);
    assert_eq!(listed(&store).await, ["a", "b"]);
    (store, registry)
}
