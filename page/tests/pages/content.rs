//! Images, indexes and artifacts.

use serde_json::json;
use tranship::{Descriptor, MediaType, push_bytes};

use crate::support::{Site, attach, push_image, push_index, push_manifest};

#[tokio::test]
async fn an_image_shows_its_history_and_configuration() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let config = json!({
        "config": {"Env": ["MODE=test"], "Labels": {"team": "a", "site": "https://example.com/"}},
        "history": [{"created_by": "COPY a /"}, {"created_by": "CMD x", "empty_layer": true}],
    });
    push_image(&*repository, &[("a", "1")], config, &["v1"]).await;
    let reply = site.get("/ui/repositories/app/-/manifests/v1").await;
    assert_eq!(reply.status, 200);
    for expected in [
        "COPY a /",
        "CMD x",
        "linux/amd64",
        "MODE",
        "href=\"https://example.com/\" rel=\"noopener noreferrer\"",
        &format!("docker pull {}/app:v1", site.host()),
        "&quot;schemaVersion&quot;: 2",
    ] {
        assert!(reply.body.contains(expected), "{expected}");
    }
}

#[tokio::test]
async fn an_index_lists_what_is_stored_and_what_is_not() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let image = push_image(&*repository, &[("a", "1")], json!({}), &[]).await;
    let absent = Descriptor::of(MediaType::IMAGE_MANIFEST, b"absent")
        .with_platform("linux/arm64".parse().expect("a platform"));
    push_index(&*repository, vec![image.clone(), absent], &["v1"]).await;
    let reply = site.get("/ui/repositories/app/-/manifests/v1").await;
    assert!(reply.body.contains("linux/arm64") && reply.body.contains("not stored here"));
    let address = format!("/ui/repositories/app/-/manifests/{}/files", image.digest());
    assert!(reply.body.contains(&address), "the files of the image");
}

#[tokio::test]
async fn an_index_without_manifests_or_platforms_is_shown() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    push_index(&*repository, Vec::new(), &["empty"]).await;
    let image = push_image(&*repository, &[("a", "1")], json!({}), &[]).await;
    push_index(&*repository, vec![image.plain()], &["plain"]).await;
    let empty = site.get("/ui/repositories/app/-/manifests/empty").await;
    assert_eq!(empty.status, 200);
    assert!(empty.body.contains("does not list any manifests"));
    let plain = site.get("/ui/repositories/app/-/manifests/plain").await;
    assert_eq!(plain.status, 200);
    assert_eq!(site.get("/ui/repositories/app").await.status, 200);
    let compared = "/ui/repositories/app/-/compare?from=empty&to=plain";
    assert_eq!(site.get(compared).await.status, 422);
}

#[tokio::test]
async fn an_image_that_cannot_be_read_shows_its_manifest() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let config = push_bytes(&*repository, MediaType::IMAGE_CONFIG, "<none>").await;
    let config = config.expect("pushed").with_annotation("bad", "<b>");
    let manifest = tranship::Manifest::new(config, Vec::new());
    let manifest = tranship::encode_json(&manifest).expect("json");
    let kind = MediaType::IMAGE_MANIFEST;
    let pushed = push_manifest(&*repository, kind, manifest, &["v1"]).await;
    pushed.expect("pushed");
    let reply = site.get("/ui/repositories/app/-/manifests/v1").await;
    assert_eq!(reply.status, 422);
    assert!(reply.body.contains("cannot be read") && reply.body.contains("&lt;b&gt;"));
    let list = site.get("/ui/repositories/app").await;
    assert_eq!(list.status, 200);
    assert!(list.body.contains("unreadable"));
}

#[tokio::test]
async fn an_image_whose_config_is_missing_still_shows_its_layers() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let layer = push_bytes(&*repository, MediaType::IMAGE_LAYER, "x").await;
    let config = Descriptor::of(MediaType::IMAGE_CONFIG, b"absent");
    let manifest = tranship::Manifest::new(config, vec![layer.expect("pushed")]);
    let manifest = tranship::encode_json(&manifest).expect("json");
    let kind = MediaType::IMAGE_MANIFEST;
    let pushed = push_manifest(&*repository, kind, manifest, &["v1"]).await;
    pushed.expect("pushed");
    let reply = site.get("/ui/repositories/app/-/manifests/v1").await;
    assert_eq!(reply.status, 200);
    assert!(reply.body.contains("/layers/sha256:"));
}

#[tokio::test]
async fn sboms_are_read_in_place_and_found_from_their_subject() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let image = push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    let sbom = json!({"spdxVersion": "SPDX-2.3", "packages": [
        {"name": "zlib", "versionInfo": "1.3", "licenseConcluded": "Zlib"}, {"name": "musl"}]});
    let sbom = attach(
        &*repository,
        &image,
        "application/spdx+json",
        sbom.to_string(),
    )
    .await;
    let signature = attach(&*repository, &sbom, "application/vnd.example.sig", "raw").await;
    let tree = site
        .get("/ui/repositories/app/-/manifests/v1/referrers")
        .await;
    for digest in [sbom.digest(), signature.digest()] {
        assert!(tree.body.contains(&format!("manifests/{digest}")));
    }
    assert!(tree.body.contains("level-2"));
    let page = format!("/ui/repositories/app/-/manifests/{}", sbom.digest());
    let body = site.get(&page).await.body;
    for expected in ["zlib", "1.3", "Zlib", "2 packages"] {
        assert!(body.contains(expected), "{expected}");
    }
    let body = site.get(&format!("{page}?package=mus")).await.body;
    assert!(body.contains("musl") && !body.contains(">zlib<"));
}

#[tokio::test]
async fn two_tags_are_compared() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    for (tag, version) in [("v1", "1.0"), ("v2", "2.0")] {
        let config =
            json!({"config": {"Env": [format!("VERSION={version}"), "SAME=1".to_owned()]}});
        let image = push_image(&*repository, &[("a", tag)], config, &[tag]).await;
        let sbom = json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [
            {"type": "library", "name": "lib", "version": version}, {"type": "library", "name": "fixed"}]});
        let kind = "application/vnd.cyclonedx+json";
        attach(&*repository, &image, kind, sbom.to_string()).await;
    }
    let reply = site
        .get("/ui/repositories/app/-/compare?from=v1&to=v2")
        .await;
    assert_eq!(reply.status, 200);
    for expected in ["Environment VERSION", "lib (library)", "removed", "added"] {
        assert!(reply.body.contains(expected), "{expected}");
    }
    for unchanged in ["Environment SAME", "fixed"] {
        assert!(!reply.body.contains(unchanged), "{unchanged}");
    }
    let same = site
        .get("/ui/repositories/app/-/compare?from=v1&to=v1")
        .await;
    assert!(same.body.contains("the same image"));
    let invalid = site.get("/ui/repositories/app/-/compare?from=&to=v1").await;
    assert_eq!(invalid.status, 400);
}
