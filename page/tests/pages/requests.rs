//! Requests for pages are limited and counted like those of the API.

use std::sync::Arc;

use serde_json::json;
use tranship::RepositoryName;
use tranship_page::PageOptions;
use tranship_server::{AuditOptions, Permission, ServerOptions};

use crate::changes::Recorded;
use crate::support::{Site, push_image, users};

#[tokio::test]
async fn pages_and_the_api_share_a_rate_limit() {
    let options = ServerOptions::default().with_request_rate("3/h".parse().expect("a rate"));
    let site = Site::with(options, PageOptions::default()).await;
    let repository = site.repository("app").await;
    push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    let page = "/ui/repositories/app/-/manifests/v1";
    for path in ["/ui/", "/v2/app/tags/list", page] {
        assert_eq!(site.get(path).await.status, 200, "{path}");
    }
    let refused = site.get(page).await;
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=1200).contains(&wait), "{wait}");
    assert!(refused.body.contains("Too many requests"));
    assert_eq!(site.get("/v2/").await.status, 429);
    // The page that says so has its style.
    let style = refused.body.split('"').find(|it| it.ends_with(".css"));
    assert_eq!(site.get(style.expect("a style sheet")).await.status, 200);
}

#[tokio::test]
async fn each_user_of_pages_has_a_limit() {
    let (_directory, access) = users().await;
    let grant = |user| (user, "**".parse().expect("a pattern"));
    let access = [grant("ann"), grant("bob")]
        .into_iter()
        .fold(access, |access, (user, names)| {
            access.with_grant(user, names, Permission::Read)
        });
    let options = ServerOptions::default()
        .with_access(access)
        .with_request_rate("2/h".parse().expect("a rate"));
    let site = Site::with(options, PageOptions::default()).await;
    let ann = site.log_in("ann", "nna").await;
    let bob = site.log_in("bob", "bob").await;
    assert_eq!(site.get("/ui/login").await.status, 429, "by address");
    for status in [200, 200, 429] {
        assert_eq!(site.get_as(&ann, "/ui/").await.status, status);
    }
    assert_eq!(site.get_as(&bob, "/ui/").await.status, 200);
}

#[tokio::test]
async fn refused_pages_are_in_the_audit_log() {
    let (_directory, access) = users().await;
    let access = access.with_grant("bob", "**".parse().expect("a pattern"), Permission::Read);
    let recorded = Arc::new(Recorded::default());
    let options = ServerOptions::default()
        .with_access(access)
        .with_audit(AuditOptions::new(recorded.clone()))
        .with_request_rate("2/h".parse().expect("a rate"));
    let site = Site::with(options, PageOptions::default()).await;
    let repository = site.repository("app").await;
    push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    let bob = site.log_in("bob", "bob").await;
    let page = "/ui/repositories/app";
    let untag = "/ui/repositories/app/-/tags/v1/untag";
    assert_eq!(site.get_as(&bob, page).await.status, 200);
    assert_eq!(site.get_as(&bob, untag).await.status, 403);
    assert_eq!(site.get_as(&bob, page).await.status, 429);
    assert_eq!(site.get_as(&bob, "/ui/missing").await.status, 404);
    let records = recorded.0.lock().expect("not poisoned");
    let seen: Vec<_> = records
        .iter()
        .map(|record| {
            let repository = record.repository.as_ref().map(RepositoryName::as_str);
            (
                record.operation.as_str(),
                record.user.as_deref(),
                repository,
                record.status,
            )
        })
        .collect();
    let (bob, app) = (Some("bob"), Some("app"));
    assert_eq!(
        seen,
        [
            ("login", bob, None, Some(200)),
            ("other", bob, app, Some(403)),
            ("other", bob, app, Some(429)),
        ]
    );
}

#[tokio::test]
async fn requests_of_pages_are_counted() {
    let site = Site::start().await;
    for path in ["/ui/", "/ui", "/ui/missing"] {
        site.get(path).await;
    }
    let metrics = site.get("/metrics").await.body;
    for (status, count) in [("2xx", 1), ("3xx", 1), ("4xx", 1)] {
        let line = format!(
            "tranship_requests_total{{endpoint=\"page\",method=\"GET\",status=\"{status}\"}} {count}"
        );
        assert!(metrics.contains(&line), "{line} in\n{metrics}");
    }
}
