//! What a user may see, and logging in.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tranship::Registry as _;
use tranship::layers::CacheOptions;
use tranship_memory::MemoryRegistry;
use tranship_page::PageOptions;
use tranship_server::{Access, Mirror, Mirrors, Permission, ServerOptions, router};

use crate::support::{Site, push_image, users};

/// A registry with the repositories `open/app`, which all may read, and `secret/app`, which only `ann` may read.
async fn site(options: PageOptions) -> (tempfile::TempDir, Site) {
    let (directory, access) = users().await;
    let access: Access = access
        .with_anonymous_read("open/**".parse().expect("a pattern"))
        .with_grant("ann", "**".parse().expect("a pattern"), Permission::Write)
        .with_grant(
            "bob",
            "open/**".parse().expect("a pattern"),
            Permission::Read,
        );
    let site = Site::with(ServerOptions::default().with_access(access), options).await;
    for name in ["open/app", "secret/app"] {
        let repository = site.repository(name).await;
        push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    }
    (directory, site)
}

const PAGES: [&str; 8] = [
    "",
    "/-/manifests/v1",
    "/-/manifests/v1/raw",
    "/-/manifests/v1/files",
    "/-/manifests/v1/files/content?path=/a",
    "/-/manifests/v1/referrers",
    "/-/manifests/v1/delete",
    "/-/compare?from=v1&to=v1",
];

#[tokio::test]
async fn what_a_user_may_not_read_looks_like_what_does_not_exist() {
    let (_directory, site) = site(PageOptions::default()).await;
    let bob = site.log_in("bob", "bob").await;
    for cookie in ["", &bob] {
        for page in PAGES {
            let secret = format!("/ui/repositories/secret/app{page}");
            let secret = site.get_as(cookie, &secret).await;
            let absent = format!("/ui/repositories/absent/ap{page}");
            let absent = site.get_as(cookie, &absent).await;
            assert_eq!((secret.status, absent.status), (404, 404), "{page}");
            assert_eq!(secret.body, absent.body, "{page}");
        }
        let list = site.get_as(cookie, "/ui/").await;
        assert!(list.body.contains("open/app") && !list.body.contains("secret"));
        let found = site.get_as(cookie, "/ui/?q=secret").await;
        assert!(!found.body.contains("secret/"));
    }
    let ann = site.log_in("ann", "nna").await;
    for page in PAGES {
        let path = format!("/ui/repositories/secret/app{page}");
        assert_eq!(site.get_as(&ann, &path).await.status, 200, "{page}");
    }
}

#[tokio::test]
async fn without_anything_to_read_a_visitor_is_asked_to_log_in() {
    let (_directory, access) = users().await;
    let options = ServerOptions::default().with_access(access);
    let site = Site::with(options, PageOptions::default()).await;
    let reply = site.get("/ui/").await;
    assert_eq!((reply.status, reply.header("location")), (303, "/ui/login"));
    assert_eq!(site.get("/ui/login").await.status, 200);
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_does_not_tell_users_apart() {
    let (_directory, site) = site(PageOptions::default()).await;
    for form in ["user=ann&password=wrong", "user=eve&password=nna", ""] {
        let reply = site.submit("", "/ui/login", form).await;
        assert_eq!(reply.status, 403, "{form}");
        assert!(reply.body.contains("The user or the password is wrong"));
        assert_eq!(reply.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn the_cookie_is_protected_and_counts_on_pages_only() {
    let (_directory, site) = site(PageOptions::default()).await;
    let reply = site.submit("", "/ui/login", "user=ann&password=nna").await;
    let header = reply.header("set-cookie");
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/ui/"] {
        assert!(header.contains(attribute), "{header}");
    }
    let (cookie, _) = header.split_once(';').expect("attributes");
    let tags = "/v2/secret/app/tags/list";
    assert_eq!(site.get_as(cookie, tags).await.status, 401);
}

#[tokio::test]
async fn credentials_in_a_header_do_not_count_on_pages() {
    let (_directory, site) = site(PageOptions::default()).await;
    // ann:nna
    let header = [("authorization", "Basic YW5uOm5uYQ==")];
    let page = "/ui/repositories/secret/app";
    assert_eq!(site.send("GET", page, &header, "").await.status, 404);
}

#[tokio::test]
async fn logging_out_ends_the_session() {
    let (_directory, site) = site(PageOptions::default()).await;
    let cookie = site.log_in("ann", "nna").await;
    let page = "/ui/repositories/secret/app";
    let token = site.get_as(&cookie, page).await.token();
    let reply = site.submit(&cookie, "/ui/logout", "token=other").await;
    assert_eq!(reply.status, 403);
    assert_eq!(site.get_as(&cookie, page).await.status, 200);
    let form = format!("token={token}");
    let reply = site.submit(&cookie, "/ui/logout", &form).await;
    assert_eq!(reply.status, 303);
    assert_eq!(site.get_as(&cookie, page).await.status, 404);
}

#[tokio::test]
async fn a_session_ends_when_its_time_is_over() {
    let options = PageOptions::default().with_session_lifetime(Duration::ZERO);
    let (_directory, site) = site(options).await;
    let cookie = site.log_in("ann", "nna").await;
    let page = "/ui/repositories/secret/app";
    assert_eq!(site.get_as(&cookie, page).await.status, 404);
}

#[tokio::test]
async fn a_site_that_resolves_to_this_machine_sees_nothing() {
    let options = PageOptions::default().with_local_hosts_only(true);
    let site = Site::with(ServerOptions::default(), options).await;
    site.repository("secret/app").await;
    let elsewhere = [("host", "rebound.example:5000")];
    let refused = site.send("GET", "/ui/", &elsewhere, "").await;
    assert_eq!(refused.status, 403);
    assert!(!refused.body.contains("Search repositories"));
    assert_eq!(site.send("GET", "/ui/", &[], "").await.status, 200);
}

#[tokio::test]
async fn the_short_name_of_an_image_has_the_rights_of_its_full_name() {
    let (_directory, access) = users().await;
    let access = access
        .with_grant(
            "ann",
            "docker.io/*".parse().expect("a pattern"),
            Permission::Read,
        )
        .with_grant(
            "bob",
            "docker.io/library/**".parse().expect("a pattern"),
            Permission::Read,
        );
    let (hub, local) = (MemoryRegistry::new(), Arc::new(MemoryRegistry::new()));
    let name = "library/alpine".parse().expect("a name");
    let alpine = hub.repository(&name).await.expect("opened");
    push_image(&*alpine, &[("a", "1")], json!({}), &["v1"]).await;
    let mirror = Mirror::new("docker.io", Arc::new(hub)).expect("a mirror");
    let mirrors = Mirrors::new(local.clone(), vec![mirror], CacheOptions::default());
    let mirrors = Arc::new(mirrors.expect("mirrors"));
    let options = ServerOptions::default()
        .with_access(access)
        .with_mirrors(Arc::clone(&mirrors));
    let site = Site::around(router(mirrors, options), local, PageOptions::default()).await;
    let page = "/ui/repositories/docker.io/alpine/-/manifests/v1";
    for (user, password, status) in [("ann", "nna", 404), ("bob", "bob", 200)] {
        let cookie = site.log_in(user, password).await;
        assert_eq!(site.get_as(&cookie, page).await.status, status, "{user}");
    }
}
