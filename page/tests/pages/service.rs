//! Which requests are for the pages.

use crate::support::Site;

#[tokio::test]
async fn the_registry_is_served_beside_the_pages() {
    let site = Site::start().await;
    assert_eq!(site.get("/v2/").await.status, 200);
    assert_eq!(site.get("/other").await.status, 404);
    let root = site.get("/").await;
    assert_ne!(root.status, 303, "a program is not redirected");
}

#[tokio::test]
async fn a_browser_is_led_to_the_pages() {
    let site = Site::start().await;
    let accept = [("accept", "text/html,application/xhtml+xml")];
    for reply in [
        site.send("GET", "/", &accept, "").await,
        site.get("/ui").await,
    ] {
        assert_eq!((reply.status, reply.header("location")), (303, "/ui/"));
    }
}

#[tokio::test]
async fn every_page_has_the_headers_that_protect_it() {
    let site = Site::start().await;
    for path in ["/ui/", "/ui/missing", "/ui/repositories/missing"] {
        let reply = site.get(path).await;
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(reply.header(name), value, "{path}");
        }
        assert!(!reply.body.contains("style="), "nothing inline");
        assert!(!reply.body.contains("<script>"), "nothing inline");
    }
}

#[tokio::test]
async fn assets_are_cached_under_names_with_their_hashes() {
    let site = Site::start().await;
    let page = site.get("/ui/").await.body;
    let assets = page.split('"').filter(|it| it.starts_with("/ui/assets/"));
    let assets: Vec<&str> = assets.collect();
    assert_eq!(assets.len(), 4, "the icon is there twice: {assets:?}");
    for path in assets {
        let reply = site.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.header("cache-control").contains("immutable"));
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
    assert_eq!(site.get("/ui/assets/other.css").await.status, 404);
}

#[tokio::test]
async fn other_methods_are_refused() {
    let site = Site::start().await;
    for method in ["PUT", "DELETE", "PATCH"] {
        let reply = site.send(method, "/ui/", &[], "").await;
        assert_eq!(reply.status, 405, "{method}");
    }
    assert_eq!(site.send("HEAD", "/ui/", &[], "").await.status, 200);
    assert_eq!(site.get("/ui/logout").await.status, 405);
}
