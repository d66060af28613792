//! Deleting is offered where the registry allows it.

use std::sync::Arc;

use serde_json::json;
use tranship::Registry;
use tranship::layers::{CacheOptions, ImmutableTags, NoDeletes, ReadOnly};
use tranship_memory::MemoryRegistry;
use tranship_page::PageOptions;
use tranship_server::{Mirror, Mirrors, ServerOptions, router};

use crate::support::{Site, push_image};

/// Serves `wrapped`, which is around `registry`, with an image that has the tags `v1` and `latest` in `registry`.
async fn site(
    registry: Arc<MemoryRegistry>,
    wrapped: impl Registry + 'static,
    name: &str,
) -> (Site, String) {
    let service = router(Arc::new(wrapped), ServerOptions::default());
    let site = Site::around(service, registry, PageOptions::default()).await;
    let repository = site.repository(name).await;
    let image = push_image(&*repository, &[("a", "1")], json!({}), &["v1", "latest"]).await;
    (site, image.digest().to_string())
}

/// Checks that the manifest that `reference` names is shown without a way to delete it or its tag.
async fn expect_no_offer(site: &Site, name: &str, reference: &str) {
    let page = format!("/ui/repositories/{name}/-/manifests/{reference}");
    let shown = site.get(&page).await;
    assert_eq!(shown.status, 200, "{page}");
    assert!(!shown.body.contains("Delete"), "{page}");
    assert!(!shown.body.contains("Remove tag"), "{page}");
}

/// Checks that a question is not asked, and returns the page that says why.
async fn expect_no_question(site: &Site, path: &str) -> String {
    let reply = site.get(path).await;
    assert_eq!(reply.status, 422, "{path}: {}", reply.body);
    assert!(!reply.body.contains("method=\"post\""), "{}", reply.body);
    reply.body
}

#[tokio::test]
async fn deleting_is_not_offered_without_deletes() {
    let registry = Arc::new(MemoryRegistry::new());
    let (site, digest) = site(registry.clone(), NoDeletes::new(registry), "app").await;
    for reference in ["v1", &digest] {
        expect_no_offer(&site, "app", reference).await;
    }
    let delete = format!("/ui/repositories/app/-/manifests/{digest}/delete");
    for path in [&delete, "/ui/repositories/app/-/tags/v1/untag"] {
        let page = expect_no_question(&site, path).await;
        assert!(page.contains("it does not delete anything"), "{page}");
    }
}

#[tokio::test]
async fn deleting_is_not_offered_on_a_read_only_server() {
    let registry = Arc::new(MemoryRegistry::new());
    let (site, _) = site(registry.clone(), ReadOnly::new(registry), "app").await;
    expect_no_offer(&site, "app", "v1").await;
}

#[tokio::test]
async fn deleting_is_not_offered_for_immutable_tags() {
    let registry = Arc::new(MemoryRegistry::new());
    let wrapped = ImmutableTags::new(registry.clone(), ["v*"]);
    let (site, digest) = site(registry, wrapped, "app").await;
    expect_no_offer(&site, "app", "v1").await;
    let delete = format!("/ui/repositories/app/-/manifests/{digest}/delete");
    for path in [&delete, "/ui/repositories/app/-/tags/v1/untag"] {
        let page = expect_no_question(&site, path).await;
        assert!(page.contains("immutable"), "{page}");
    }
    let latest = "/ui/repositories/app/-/manifests/latest";
    assert!(site.get(latest).await.body.contains("Remove tag"));
    // The registry refuses it, whatever a page offers.
    let question = "/ui/repositories/app/-/tags/latest/untag";
    let form = format!("token={}", site.get(question).await.token());
    assert_eq!(site.submit("", &delete, &form).await.status, 403);
    assert_eq!(site.submit("", question, &form).await.status, 303);
}

#[tokio::test]
async fn deleting_is_not_offered_for_mirrors() {
    let hub = Arc::new(MemoryRegistry::new());
    let local = Arc::new(MemoryRegistry::new());
    let mirror = Mirror::new("hub.example", hub.clone()).expect("a mirror");
    let mirrors = Mirrors::new(local, vec![mirror], CacheOptions::default());
    let (site, digest) = site(hub, mirrors.expect("mirrors"), "app").await;
    let name = "hub.example/app";
    for reference in ["v1", &digest] {
        expect_no_offer(&site, name, reference).await;
    }
    let delete = format!("/ui/repositories/{name}/-/manifests/{digest}/delete");
    let page = expect_no_question(&site, &delete).await;
    assert!(page.contains("it is read-only"), "{page}");
}
