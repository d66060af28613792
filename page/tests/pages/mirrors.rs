//! The page about mirrors.

use std::sync::Arc;

use serde_json::json;
use tranship::Registry;
use tranship::layers::{CacheOptions, Inject, InjectOptions};
use tranship::{ErrorKind, RepositoryName};
use tranship_memory::MemoryRegistry;
use tranship_page::PageOptions;
use tranship_server::{Access, Mirror, Mirrors, ServerOptions, router};

use crate::support::{Reply, Site, push_image, users};

const PAGE: &str = "/ui/mirrors";

/// A server with a mirror of a registry that has the image `app:v1`, and one of a registry that is down.
async fn site(access: Option<Access>) -> Site {
    let hub = MemoryRegistry::new();
    let name: RepositoryName = "app".parse().expect("a name");
    let repository = hub.repository(&name).await.expect("opened");
    push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    let options = InjectOptions::default().with_failure_rate(1.0, 1, ErrorKind::Unavailable);
    let down = Inject::new(MemoryRegistry::new(), options);
    let mirrors = vec![
        Mirror::new("hub.example", Arc::new(hub)).expect("a mirror"),
        Mirror::new("down.example", Arc::new(down)).expect("a mirror"),
    ];
    let local = Arc::new(MemoryRegistry::new());
    let options = CacheOptions::default()
        .with_max_size(1024 * 1024)
        .with_pinned(|name| name.as_str() == "hub.example/app");
    let mirrors = Mirrors::new(local.clone(), mirrors, options);
    let mirrors = Arc::new(mirrors.expect("mirrors"));
    let mut options = ServerOptions::default().with_mirrors(Arc::clone(&mirrors));
    if let Some(access) = access {
        options = options.with_access(access);
    }
    Site::around(router(mirrors, options), local, PageOptions::default()).await
}

/// Returns the value of a row, without markup, in the section of a mirror.
fn value(reply: &Reply, host: &str, row: &str) -> String {
    let (_, section) = reply
        .body
        .split_once(&format!("<h2>{host}</h2>"))
        .expect("a section");
    let (_, rest) = section
        .split_once(&format!("{row}</th><td>"))
        .expect("a row");
    let (value, _) = rest.split_once("</td>").expect("a value");
    let mut text = String::new();
    for part in value.split('<') {
        text.push_str(part.rsplit('>').next().unwrap_or_default());
    }
    text
}

#[tokio::test]
async fn the_use_of_each_mirror_is_shown() {
    let site = site(None).await;
    assert!(site.get("/ui/").await.body.contains(PAGE));
    let before = site.get(PAGE).await;
    assert_eq!(before.status, 200);
    assert_eq!(value(&before, "hub.example", "Last success"), "never");
    for _ in 0..2 {
        let manifest = site.get("/v2/hub.example/app/manifests/v1").await;
        assert_eq!(manifest.status, 200, "{}", manifest.body);
    }
    let failed = site.get("/v2/down.example/app/manifests/v1").await;
    assert!(failed.status >= 500, "{}", failed.status);
    let after = site.get(PAGE).await;
    for (host, row, expected) in [
        ("hub.example", "Reads that were stored (hits)", "2"),
        ("hub.example", "Reads that were fetched (misses)", "1"),
        ("hub.example", "Last success", "just now"),
        ("hub.example", "Last failure", "never"),
        ("hub.example", "Stored repositories", "1, of which 1 pinned"),
        ("down.example", "Reads that were stored (hits)", "0"),
        ("down.example", "Last success", "never"),
        ("down.example", "Last failure", "just now unavailable"),
        (
            "down.example",
            "Stored repositories",
            "0, of which 0 pinned",
        ),
    ] {
        assert_eq!(value(&after, host, row), expected, "{host}: {row}");
    }
    assert_ne!(value(&after, "hub.example", "Fetched from upstream"), "0 B");
}

#[tokio::test]
async fn users_see_mirrors_and_others_are_sent_to_the_login() {
    let (_directory, access) = users().await;
    let site = site(Some(access)).await;
    let refused = site.get(PAGE).await;
    assert_eq!(
        (refused.status, refused.header("location")),
        (303, "/ui/login")
    );
    let ann = site.log_in("ann", "nna").await;
    assert_eq!(site.get_as(&ann, PAGE).await.status, 200);
}

#[tokio::test]
async fn a_server_without_mirrors_does_not_have_the_page() {
    let site = Site::start().await;
    assert_eq!(site.get(PAGE).await.status, 404);
    assert!(!site.get("/ui/").await.body.contains(PAGE));
}
