//! What listings and pushes cost, and what a catalog is made of.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::task::JoinSet;
use tranship::ListOptions;
use tranship::prelude::*;
use tranship_layout::{LayoutOptions, LayoutRegistry};

use super::support::*;
use crate::faulty::{Faulty, Op, answer};
use crate::support::push_image;

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
