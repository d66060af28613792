//! Pushes, garbage collections and rebuilds at the same time, and those that were dropped.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tranship::ErrorKind;
use tranship::prelude::*;
use tranship_layout::LayoutRegistry;

use super::support::*;
use crate::faulty::{Faulty, Op, answer};
use crate::support::{described, image_of, push_image, tag};

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
