//! Tags and repositories, a page at a time.

use serde_json::json;
use tranship_server::ServerOptions;

use crate::client::{Client, index};

async fn with_tags(options: ServerOptions, tags: &[&str]) -> Client {
    let client = Client::with(options).await;
    for tag in tags {
        client.push_manifest("app", tag, &index("x")).await.is(201);
    }
    client
}

fn next(link: Option<&str>) -> Option<String> {
    let (target, _) = link?.split_once('>')?;
    Some(target.trim_start_matches('<').to_owned())
}

#[tokio::test]
async fn the_root_identifies_a_registry() {
    let client = Client::new().await;
    for target in ["/v2/", "/v2"] {
        let reply = client.get(target).await;
        reply.is(200);
        assert_eq!(
            reply.header("docker-distribution-api-version"),
            Some("registry/2.0")
        );
    }
}

#[tokio::test]
async fn tags_are_listed_in_order() {
    let client = with_tags(ServerOptions::default(), &["b", "a", "B", "10", "9"]).await;
    let reply = client.get("/v2/app/tags/list").await;
    let expected = json!({"name": "app", "tags": ["10", "9", "B", "a", "b"]});
    assert_eq!(reply.is(200).json(), expected);
    assert_eq!(reply.header("link"), None);
}

#[tokio::test]
async fn pages_of_tags_are_linked() {
    let client = with_tags(ServerOptions::default(), &["a", "b", "c", "d", "e"]).await;
    let mut target = Some("/v2/app/tags/list?n=2".to_owned());
    let mut pages = Vec::new();
    while let Some(page) = target {
        let reply = client.get(&page).await;
        pages.push(reply.is(200).json()["tags"].clone());
        target = next(reply.header("link"));
    }
    assert_eq!(json!(pages), json!([["a", "b"], ["c", "d"], ["e"]]));
}

#[tokio::test]
async fn a_page_that_ends_with_the_last_tag_has_no_link() {
    let client = with_tags(ServerOptions::default(), &["a", "b"]).await;
    let reply = client.get("/v2/app/tags/list?n=2").await;
    assert_eq!(reply.header("link"), None);
}

#[tokio::test]
async fn a_page_begins_after_a_tag_that_need_not_exist() {
    let client = with_tags(ServerOptions::default(), &["a", "c", "e"]).await;
    let reply = client.get("/v2/app/tags/list?last=b").await;
    assert_eq!(reply.json()["tags"], json!(["c", "e"]));
    let reply = client.get("/v2/app/tags/list?last=e").await;
    assert_eq!(reply.is(200).json()["tags"], json!([]));
}

#[tokio::test]
async fn a_page_of_size_zero_is_empty() {
    let client = with_tags(ServerOptions::default(), &["a"]).await;
    let reply = client.get("/v2/app/tags/list?n=0").await;
    assert_eq!(reply.is(200).json()["tags"], json!([]));
    assert_eq!(reply.header("link"), None);
}

#[tokio::test]
async fn the_size_of_pages_is_bounded() {
    let options = ServerOptions::default().with_max_page_size(2);
    let client = with_tags(options, &["a", "b", "c"]).await;
    for target in [
        "/v2/app/tags/list",
        "/v2/app/tags/list?n=99999999999999999999999",
    ] {
        let reply = client.get(target).await;
        assert_eq!(reply.is(200).json()["tags"], json!(["a", "b"]));
        assert!(reply.header("link").is_some());
    }
    let reply = client.get("/v2/app/tags/list?n=-1").await;
    reply.fails(400, "UNSUPPORTED");
}

#[tokio::test]
async fn an_unknown_repository_is_not_one_without_tags() {
    let client = Client::new().await;
    client.push_blob("app", b"x").await;
    let reply = client.get("/v2/app/tags/list").await;
    assert_eq!(reply.is(200).json()["tags"], json!([]));
    for name in ["ap", "app2", "app/x", "a", "0", "z"] {
        let reply = client.get(&format!("/v2/{name}/tags/list")).await;
        reply.fails(404, "NAME_UNKNOWN");
    }
}

#[tokio::test]
async fn repositories_are_listed_in_pages() {
    let client = Client::new().await;
    for name in ["b/c", "a", "b", "c"] {
        client.push_blob(name, b"x").await;
    }
    let reply = client.get("/v2/_catalog").await;
    assert_eq!(
        reply.is(200).json(),
        json!({"repositories": ["a", "b", "b/c", "c"]})
    );
    let reply = client.get("/v2/_catalog?n=3").await;
    assert_eq!(reply.json()["repositories"], json!(["a", "b", "b/c"]));
    let target = next(reply.header("link")).expect("a link");
    let reply = client.get(&target).await;
    assert_eq!(reply.json()["repositories"], json!(["c"]));
    assert_eq!(reply.header("link"), None);
}
