//! Lists of repositories and of tags.

use serde_json::json;
use tranship::tag_n;

use crate::support::{Site, push_image, tags};

/// Returns the texts of the links in the first column.
fn names(body: &str) -> Vec<&str> {
    let rows = body.split("<th scope=\"row\">").skip(1);
    rows.filter_map(|row| row.split_once("\">")?.1.split('<').next())
        .collect()
}

#[tokio::test]
async fn an_empty_registry_says_how_to_fill_it() {
    let site = Site::start().await;
    let reply = site.get("/ui/").await;
    assert_eq!(reply.status, 200);
    assert!(reply.body.contains("There are no repositories yet"));
}

#[tokio::test]
async fn repositories_are_listed_in_pages_and_found_by_name() {
    let site = Site::start().await;
    for number in 0..30 {
        let repository = site.repository(&format!("team/app{number:02}")).await;
        push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    }
    let first = site.get("/ui/").await.body;
    assert_eq!(names(&first).len(), 25);
    assert_eq!(names(&first)[0], "team/app00");
    let second = "/ui/?last=team/app24";
    assert!(first.contains(second), "a link to the next page");
    let second = site.get(second).await.body;
    assert_eq!(names(&second).len(), 5);
    let found = site.get("/ui/?q=APP1").await.body;
    assert_eq!(names(&found).len(), 10);
    let first = site.get("/ui/?q=team").await.body;
    assert_eq!(names(&first).len(), 25);
    let second = "/ui/?q=team&amp;last=team/app24";
    assert!(first.contains(second), "a link to the next page");
    let second = site.get(&second.replace("&amp;", "&")).await.body;
    assert_eq!(names(&second)[0], "team/app25");
    assert_eq!(names(&second).len(), 5);
    let none = site.get("/ui/?q=other").await.body;
    assert!(names(&none).is_empty() && none.contains("No repository has"));
}

#[tokio::test]
async fn a_line_shows_the_newest_tag() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    push_image(
        &*repository,
        &[("a", "1")],
        json!({}),
        &["1.9", "1.10", "1.2"],
    )
    .await;
    let body = site.get("/ui/").await.body;
    assert!(body.contains("/ui/repositories/app/-/manifests/1.10\""));
    assert!(body.contains("2026-01-02T03:04:05Z"));
}

#[tokio::test]
async fn a_missing_repository_is_not_found() {
    let site = Site::start().await;
    for path in [
        "/ui/repositories/missing",
        "/ui/repositories/missing/-/manifests/v1",
        "/ui/repositories/missing/-/manifests/v1/files",
        "/ui/repositories/missing/-/manifests/v1/referrers",
        "/ui/repositories/missing/-/compare?from=a&to=b",
    ] {
        assert_eq!(site.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn tags_are_sorted_by_version_time_or_name() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    for (tag, created) in [
        ("1.10", "2026-01-01"),
        ("1.9", "2026-03-01"),
        ("edge", "2026-02-01"),
    ] {
        let config = json!({"created": format!("{created}T00:00:00Z")});
        push_image(&*repository, &[("a", tag)], config, &[tag]).await;
    }
    for (order, expected) in [
        ("version", ["1.10", "1.9", "edge"]),
        ("created", ["1.9", "edge", "1.10"]),
        ("name", ["1.10", "1.9", "edge"]),
    ] {
        let body = site
            .get(&format!("/ui/repositories/app?sort={order}"))
            .await
            .body;
        assert_eq!(names(&body), expected, "{order}");
    }
}

#[tokio::test]
async fn tags_have_pages_and_a_search() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    push_image(&*repository, &[("a", "1")], json!({}), &["v0"]).await;
    let more: Vec<String> = (1..60).map(|number| format!("v{number}")).collect();
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let tagged = tag_n(&*repository, &"v0".parse().expect("a tag"), &tags(&more)).await;
    tagged.expect("tagged");
    let last = site.get("/ui/repositories/app?page=2").await.body;
    assert_eq!(names(&last).len(), 10);
    assert!(last.contains("60 tags"));
    let found = site.get("/ui/repositories/app?q=V5").await.body;
    assert_eq!(names(&found).len(), 11);
}

#[tokio::test]
async fn tags_of_signatures_are_left_out_until_asked_for() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let image = push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    let attached = format!("sha256-{}.sig", image.digest().hex());
    let attached = tags(&[&attached]);
    let tagged = tag_n(&*repository, &"v1".parse().expect("a tag"), &attached).await;
    tagged.expect("tagged");
    let body = site.get("/ui/repositories/app").await.body;
    assert_eq!(names(&body), ["v1"]);
    let body = site.get("/ui/repositories/app?all=1").await.body;
    assert_eq!(names(&body).len(), 2);
}
