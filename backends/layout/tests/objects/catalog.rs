//! The catalog of a registry in a store: what it costs, and that no repository with content is missing in it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde_json::Value;
use tokio::task::JoinSet;
use tranship::prelude::*;
use tranship::{Descriptor, ErrorKind, ListOptions};
use tranship_layout::{GcOptions, Layout, LayoutOptions, LayoutRegistry};

use crate::faulty::{Faulty, Op, answer};
use crate::support::{described, image_of, push_image, tag};

const CATALOG: &str = "all/.tranship/catalog.json";
const HOUR: Duration = Duration::from_secs(3600);

/// Another server of the store.
async fn server(store: &Arc<Faulty>) -> LayoutRegistry {
    let store: Arc<Faulty> = Arc::clone(store);
    let registry = LayoutRegistry::create_in(store, "all", LayoutOptions::default()).await;
    registry.expect("a registry")
}

async fn layout(registry: &LayoutRegistry, name: &str) -> Layout {
    let layout = registry.layout(&name.parse().expect("a name")).await;
    layout.expect("a layout")
}

async fn push(registry: &LayoutRegistry, name: &str) -> Descriptor {
    let pushed = push_image(&layout(registry, name).await, "v1").await;
    pushed.expect("pushed")
}

async fn push_blob(registry: &LayoutRegistry, name: &str) -> Descriptor {
    let blob = described(b"a blob");
    let pushed = layout(registry, name).await;
    let pushed = pushed.push(&blob, (&b"a blob"[..]).into()).await;
    pushed.expect("pushed");
    blob
}

async fn delete(registry: &LayoutRegistry, name: &str, image: &Descriptor) {
    let deleted = layout(registry, name).await.delete(image).await;
    deleted.expect("deleted");
}

async fn collect(registry: &LayoutRegistry, name: &str) {
    let options = GcOptions::default().with_grace(HOUR / 2);
    let collected = layout(registry, name).await.collect_garbage(&options).await;
    collected.expect("collected");
}

/// The names, from the catalog alone.
async fn listed(store: &Arc<Faulty>) -> Vec<String> {
    let registry = server(store).await;
    let before = store.requests();
    let names = tranship::repositories(&registry).await.expect("listed");
    assert_eq!(store.requests() - before, 1, "the catalog is complete");
    names.iter().map(ToString::to_string).collect()
}

/// The names, from a walk.
async fn walked(store: &Arc<Faulty>) -> Vec<String> {
    let registry = server(store).await;
    let before = store.requests();
    let names = tranship::repositories(&registry).await.expect("listed");
    assert!(store.requests() - before > 1, "the catalog is not used");
    names.iter().map(ToString::to_string).collect()
}

async fn put(store: &Faulty, key: &str, content: &str) {
    let (key, content) = (Path::from(key), content.to_owned());
    let put = store.inner.put(&key, content.into()).await;
    put.expect("written");
}

/// Stores a layout as another program does.
async fn copy_in(store: &Faulty, name: &str) {
    let content = r#"{"manifests":[{"digest":"blake3:00","size":1}]}"#;
    put(store, &format!("all/{name}/index.json"), content).await;
}

/// A registry with the repositories `a` and `b`.
async fn two_repositories() -> (Arc<Faulty>, LayoutRegistry) {
    let store = Arc::new(Faulty::new());
    let registry = server(&store).await;
    push(&registry, "a").await;
    push(&registry, "b").await;
    (store, registry)
}

/// A registry with the repositories `a`, and `b`, whose image was deleted an hour ago, so that only garbage is left.
async fn with_garbage() -> (Arc<Faulty>, LayoutRegistry) {
    let (store, registry) = two_repositories().await;
    let image = push(&registry, "b").await;
    delete(&registry, "b", &image).await;
    store.age(HOUR);
    assert_eq!(listed(&store).await, ["a", "b"]);
    (store, registry)
}

#[tokio::test]
async fn a_listing_costs_one_request_for_2000_repositories() {
    let store = Arc::new(Faulty::new());
    for number in 0..2000 {
        copy_in(&store, &format!("r{number:04}")).await;
    }
    let registry = server(&store).await;
    registry.rebuild_catalog().await.expect("rebuilt");

    let registry = server(&store).await;
    for (options, count) in [
        (ListOptions::default(), 2000),
        (ListOptions::default().with_page_size(7), 2000),
        (ListOptions::default().with_last("r1499"), 500),
        (ListOptions::default().with_last("s"), 0),
    ] {
        let before = store.requests();
        let names: Vec<_> = registry
            .repositories(options)
            .try_collect()
            .await
            .expect("listed");
        assert_eq!((names.len(), store.requests() - before), (count, 1));
    }
    let (before, unchanged) = (store.requests(), store.unchanged());
    let page = ListOptions::default()
        .with_last("r0999")
        .with_page_size(100);
    let page: Vec<_> = registry.repositories(page).take(100).collect().await;
    let page = page.first().expect("a page").as_ref();
    assert_eq!(page.expect("a name").as_str(), "r1000");
    assert_eq!(
        (store.requests() - before, store.unchanged() - unchanged),
        (1, 1)
    );
}

#[tokio::test]
async fn a_new_registry_has_a_catalog_from_its_first_push() {
    let store = Arc::new(Faulty::new());
    let registry = server(&store).await;
    push(&registry, "team/b").await;
    assert_eq!(listed(&store).await, ["team/b"]);
    push_blob(&registry, "a").await;
    assert_eq!(listed(&store).await, ["a", "team/b"]);
    let unused = layout(&registry, "c").await;
    assert!(tranship::tags(&unused).await.expect("none").is_empty());
    assert_eq!(listed(&store).await, ["a", "team/b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_names_of_repositories_made_at_the_same_time_are_listed() {
    let store = Arc::new(Faulty::new());
    *store.delay.lock().expect("a lock") = Some(Duration::from_millis(1));
    let servers = [server(&store).await, server(&store).await];
    let mut tasks = JoinSet::new();
    for number in 0..40 {
        let registry = servers[number % 2].clone();
        tasks.spawn(async move {
            push(&registry, &format!("r{number:02}")).await;
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("pushed");
    }
    assert_eq!(listed(&store).await.len(), 40);
}

#[tokio::test]
async fn pushes_to_a_known_repository_do_not_read_the_catalog() {
    let (store, registry) = two_repositories().await;
    let before = store.asked(CATALOG).len();
    let app = layout(&registry, "a").await;
    for name in ["v2", "v3"] {
        push_image(&app, name).await.expect("pushed");
    }
    push_blob(&registry, "a").await;
    assert_eq!(store.asked(CATALOG).len(), before);
}

#[tokio::test]
async fn an_older_registry_gets_a_catalog_when_it_is_rebuilt() {
    let store = Arc::new(Faulty::new());
    copy_in(&store, "old").await;
    let registry = server(&store).await;
    push(&registry, "new").await;
    assert!(!store.keys().contains(&CATALOG.to_owned()));
    assert_eq!(walked(&store).await, ["new", "old"]);
    registry.rebuild_catalog().await.expect("rebuilt");
    assert_eq!(listed(&store).await, ["new", "old"]);
    push(&registry, "newer").await;
    assert_eq!(listed(&store).await, ["new", "newer", "old"]);
}

#[tokio::test]
async fn layouts_of_other_programs_are_listed_after_a_rebuild() {
    let (store, registry) = two_repositories().await;
    copy_in(&store, "copied").await;
    assert_eq!(listed(&store).await, ["a", "b"]);
    registry.rebuild_catalog().await.expect("rebuilt");
    assert_eq!(listed(&store).await, ["a", "b", "copied"]);
}

#[tokio::test]
async fn a_damaged_or_huge_catalog_is_not_used_and_rewritten() {
    let huge = " ".repeat(17 * 1024 * 1024);
    for damaged in ["torn", r#"{"complete":1}"#, "", &huge] {
        let (store, registry) = two_repositories().await;
        put(&store, CATALOG, damaged).await;
        assert_eq!(walked(&store).await, ["a", "b"]);
        push(&registry, "c").await;
        assert_eq!(walked(&store).await, ["a", "b", "c"]);
        registry.rebuild_catalog().await.expect("rebuilt");
        assert_eq!(listed(&store).await, ["a", "b", "c"]);
    }
}

#[tokio::test]
async fn a_catalog_that_cannot_be_read_is_done_without() {
    let (store, _) = two_repositories().await;
    store.fail(|op, key| {
        let refused = op == Op::Get && key == CATALOG;
        refused.then(|| answer("403 Forbidden", "AccessDenied"))
    });
    assert_eq!(walked(&store).await, ["a", "b"]);
}

#[tokio::test]
async fn a_store_without_conditions_has_no_catalog() {
    let store = Arc::new(Faulty::without_regard());
    let options = LayoutOptions::default().with_unconditional_put(true);
    let registry = LayoutRegistry::create_in(store.clone(), "all", options).await;
    let registry = registry.expect("a registry");
    push(&registry, "a").await;
    registry.rebuild_catalog().await.expect("nothing to do");
    assert!(!store.keys().contains(&CATALOG.to_owned()));
    // One that was copied from another store is not kept up to date.
    put(&store, CATALOG, r#"{"complete":true}"#).await;
    let names = tranship::repositories(&registry).await.expect("listed");
    assert_eq!(names.len(), 1);
}

#[tokio::test]
async fn a_repository_that_gc_has_emptied_is_not_listed() {
    let (store, registry) = with_garbage().await;
    collect(&registry, "b").await;
    assert_eq!(listed(&store).await, ["a"]);
    push_blob(&registry, "b").await;
    assert_eq!(listed(&store).await, ["a", "b"]);
}

#[tokio::test]
async fn a_repository_that_clients_have_emptied_goes_with_a_rebuild() {
    let (store, registry) = two_repositories().await;
    let blob = push_blob(&registry, "c").await;
    let emptied = layout(&registry, "c").await;
    emptied.blobs().delete(&blob).await.expect("deleted");
    registry.rebuild_catalog().await.expect("rebuilt");
    assert_eq!(listed(&store).await, ["a", "b", "c"], "for some minutes");
    store.age(HOUR);
    registry.rebuild_catalog().await.expect("rebuilt");
    assert_eq!(listed(&store).await, ["a", "b"]);
    push(&registry, "c").await;
    assert_eq!(listed(&store).await, ["a", "b", "c"]);
}

/// Rebuilds the catalog, and does something else after the walk and before the result is written.
async fn rebuild_with(store: &Faulty, registry: &LayoutRegistry, work: impl Future<Output = ()>) {
    let begin = store.hold(Op::Update, CATALOG);
    let (rebuilt, ()) = tokio::join!(registry.rebuild_catalog(), async {
        begin.passed().await;
        let end = store.hold(Op::Update, CATALOG);
        end.reached().await;
        work.await;
        end.resume();
    });
    rebuilt.expect("rebuilt");
}

#[tokio::test]
async fn a_first_push_after_the_walk_of_a_rebuild_is_listed() {
    let (store, registry) = with_garbage().await;
    collect(&registry, "b").await;
    let other = server(&store).await;
    let pushes = async {
        push(&other, "b").await;
        push_blob(&other, "c").await;
    };
    rebuild_with(&store, &registry, pushes).await;
    assert_eq!(listed(&store).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_push_to_a_listed_empty_repository_outlives_a_rebuild() {
    let (store, registry) = two_repositories().await;
    let blob = push_blob(&registry, "c").await;
    let emptied = layout(&registry, "c").await;
    emptied.blobs().delete(&blob).await.expect("deleted");
    store.age(HOUR);
    let other = server(&store).await;
    // The catalog still has the name, and the walk has found the repository empty.
    rebuild_with(&store, &registry, async {
        push_blob(&other, "c").await;
    })
    .await;
    assert_eq!(listed(&store).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_blob_pushed_while_gc_removes_the_name_is_listed() {
    let (store, registry) = with_garbage().await;
    let other = server(&store).await;
    let removal = store.hold(Op::Update, CATALOG);
    let ((), ()) = tokio::join!(collect(&registry, "b"), async {
        removal.reached().await;
        // The other server finds the name in the catalog.
        push_blob(&other, "b").await;
        removal.resume();
    });
    assert_eq!(listed(&store).await, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_manifest_pushed_while_gc_removes_the_name_is_listed() {
    let (store, registry) = with_garbage().await;
    let other = server(&store).await;
    let removal = store.hold(Op::Update, CATALOG);
    let (_, (), ()) = tokio::join!(
        async {
            removal.reached().await;
            push(&other, "b").await
        },
        collect(&registry, "b"),
        async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            removal.resume();
        }
    );
    assert_eq!(listed(&store).await, ["a", "b"]);
}

#[tokio::test]
async fn two_servers_that_make_the_first_repository_agree() {
    let store = Arc::new(Faulty::new());
    let (one, other) = (server(&store).await, server(&store).await);
    let creation = store.hold(Op::Create, CATALOG);
    let (_, ()) = tokio::join!(push(&one, "a"), async {
        creation.reached().await;
        // Both have found the registry empty.
        push(&other, "b").await;
        creation.resume();
    });
    assert_eq!(listed(&store).await, ["a", "b"]);
}

#[tokio::test]
async fn a_rebuild_that_was_dropped_changes_nothing() {
    let (store, registry) = two_repositories().await;
    let begun = store.hold(Op::List, "all");
    tokio::select! {
        _ = registry.rebuild_catalog() => panic!("it is held"),
        () = begun.reached() => {}
    }
    assert_eq!(listed(&store).await, ["a", "b"]);
    push(&registry, "c").await;
    assert_eq!(listed(&store).await, ["a", "b", "c"]);
    registry.rebuild_catalog().await.expect("rebuilt");
    let catalog: Value = serde_json::from_slice(&store.read(CATALOG).await).expect("JSON");
    assert_eq!(catalog.get("rebuild"), None);
    assert_eq!(listed(&store).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_rebuild_that_another_one_has_replaced_gives_up() {
    let (store, registry) = two_repositories().await;
    copy_in(&store, "copied").await;
    let walk = store.hold(Op::List, "all");
    let other = server(&store).await;
    let (rebuilt, ()) = tokio::join!(registry.rebuild_catalog(), async {
        walk.reached().await;
        other.rebuild_catalog().await.expect("rebuilt");
        push(&other, "c").await;
        walk.resume();
    });
    rebuilt.expect("rebuilt");
    assert_eq!(listed(&store).await, ["a", "b", "c", "copied"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_could_not_be_added_comes_with_the_next_push() {
    let (store, registry) = two_repositories().await;
    store.fail(|op, key| {
        let refused = op == Op::Update && key == CATALOG;
        refused.then(|| answer("403 Forbidden", "AccessDenied"))
    });
    let refused = push_image(&layout(&registry, "c").await, "v1").await;
    let error = refused.expect_err("the name cannot be added");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    store.fail(|_, _| None);
    assert_eq!(listed(&store).await, ["a", "b"]);
    let pushed = push_image(&layout(&registry, "c").await, "v2").await;
    pushed.expect("pushed");
    assert_eq!(listed(&store).await, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_first_push_that_was_dropped_is_listed_all_the_same() {
    let (store, registry) = two_repositories().await;
    push_blob(&registry, "c").await;
    let app = layout(&registry, "c").await;
    let (image, content) = image_of(&described(b"a blob"));
    let tags = [tag("v1")];
    let write = store.hold(Op::Update, "all/c/index.json");
    let named = async {
        write.reached().await;
        // It has lost its name since its manifest was stored.
        put(&store, CATALOG, r#"{"complete":true,"repositories":["a"]}"#).await;
        let named = store.hold(Op::Update, CATALOG);
        write.resume();
        named.reached().await;
        named
    };
    let named = tokio::select! {
        _ = app.push_reference(&image, content.into(), &tags) => panic!("it is held"),
        named = named => named,
    };
    named.resume();
    tokio::time::sleep(HOUR).await;
    assert_eq!(listed(&store).await, ["a", "c"]);
}
