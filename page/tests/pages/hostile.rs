//! Content that tries to break out of a page.

use serde_json::json;
use tranship::MediaType;

use crate::support::{Site, attach, push_image, push_index, push_manifest};

/// Text that would run, if it were not escaped, and that turns the direction of what follows.
const BAD: &str = "\"'><script>alert(1)</script>\u{202e}\u{7}";

fn is_harmless(body: &str) {
    assert!(!body.contains("<script>"), "markup");
    assert!(!body.contains("'><"), "the end of an attribute");
    assert!(
        !body.contains('\u{202e}') && !body.contains('\u{7}'),
        "control characters"
    );
    assert!(!body.contains("href=\"javascript:"), "a link that runs");
}

#[tokio::test]
async fn texts_of_images_are_escaped() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let config = json!({
        "created": BAD, "os": BAD, "architecture": BAD,
        "config": {
            "Env": [format!("{BAD}={BAD}")], "Labels": {BAD: BAD, "url": "javascript:alert(1)"},
            "Cmd": [BAD], "User": BAD, "WorkingDir": BAD,
        },
        "history": [{"created_by": BAD, "created": BAD}],
    });
    let name = "a<script>b'><";
    let image = push_image(&*repository, &[(name, "x")], config, &["v1"]).await;
    let mut index = tranship::Index::new(vec![image.plain()]);
    index.annotations.insert(BAD.into(), BAD.into());
    let index = tranship::encode_json(&index).expect("json");
    let kind = MediaType::IMAGE_INDEX;
    let pushed = push_manifest(&*repository, kind, index, &["v2"]).await;
    pushed.expect("pushed");
    for path in [
        "/ui/".to_owned(),
        "/ui/repositories/app".to_owned(),
        "/ui/repositories/app/-/manifests/v1".to_owned(),
        "/ui/repositories/app/-/manifests/v2".to_owned(),
        "/ui/repositories/app/-/manifests/v1/files".to_owned(),
        "/ui/repositories/app/-/compare?from=v1&to=v2".to_owned(),
    ] {
        let reply = site.get(&path).await;
        assert_eq!(reply.status, 200, "{path}");
        is_harmless(&reply.body);
    }
}

#[tokio::test]
async fn texts_of_documents_are_escaped() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let image = push_image(&*repository, &[("a", "x")], json!({}), &["v1"]).await;
    for document in [
        json!({"spdxVersion": BAD, "name": BAD, "packages": [{"name": BAD, "versionInfo": BAD, "licenseDeclared": BAD}]}),
        json!({"_type": BAD, "predicateType": BAD, "subject": [{"name": BAD, "digest": {BAD: BAD}}], "predicate": {BAD: BAD}}),
        json!({"critical": {"image": {"docker-manifest-digest": BAD}, "type": BAD}, "optional": {BAD: BAD}}),
        json!({BAD: BAD}),
    ] {
        let attached = attach(
            &*repository,
            &image,
            "application/json",
            document.to_string(),
        )
        .await;
        let page = format!("/ui/repositories/app/-/manifests/{}", attached.digest());
        is_harmless(&site.get(&page).await.body);
    }
}

#[tokio::test]
async fn texts_of_requests_are_escaped() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let image = push_image(&*repository, &[("a", "x")], json!({}), &["v1"]).await;
    push_index(&*repository, vec![image], &["v2"]).await;
    let bad = "%22%27%3E%3Cscript%3Ealert(1)%3C/script%3E%E2%80%AE%07";
    for path in [
        format!("/ui/?q={bad}"),
        format!("/ui/?last={bad}"),
        format!("/ui/{bad}"),
        format!("/ui/repositories/app?q={bad}&sort={bad}&page={bad}"),
        format!("/ui/repositories/app/-/compare?from={bad}&to=v1"),
        format!("/ui/repositories/app/-/manifests/v1/files?path={bad}"),
    ] {
        is_harmless(&site.get(&path).await.body);
    }
    let host = [("host", "evil\"><script>")];
    is_harmless(
        &site
            .send("GET", "/ui/repositories/app", &host, "")
            .await
            .body,
    );
}

#[tokio::test]
async fn documents_of_great_depth_do_not_end_the_server() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let image = push_image(&*repository, &[("a", "x")], json!({}), &["v1"]).await;
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!(r#"{{"bomFormat":"CycloneDX","components":{nested}}}"#);
    let attached = attach(&*repository, &image, "application/json", nested).await;
    let page = format!("/ui/repositories/app/-/manifests/{}", attached.digest());
    assert_eq!(site.get(&page).await.status, 200);
    assert_eq!(site.get("/ui/").await.status, 200);
}
