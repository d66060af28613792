//! Files of images and artifacts.

use serde_json::json;
use tranship_page::PageOptions;
use tranship_server::ServerOptions;

use crate::support::{Site, attach, push_image};

#[tokio::test]
async fn directories_and_layers_are_listed() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let files = [("etc/conf", "x"), ("etc/more/deep", "y"), (".wh.gone", "")];
    push_image(&*repository, &files, json!({}), &["v1"]).await;
    let page = "/ui/repositories/app/-/manifests/v1";
    let root = site.get(&format!("{page}/files")).await;
    assert!(root.body.contains("path=/etc\""), "{}", root.body);
    let etc = site.get(&format!("{page}/files?path=/etc")).await;
    assert!(etc.body.contains(">conf<") && etc.body.contains(">more/<"));
    assert_eq!(
        site.get(&format!("{page}/files?path=/no")).await.status,
        404
    );
    let image = site.get(page).await.body;
    let layer = image.split('"').find(|it| it.contains("/layers/sha256:"));
    let layer = site.get(layer.expect("a link to the layer")).await;
    assert!(layer.body.contains("/etc/more/deep") && layer.body.contains("removed"));
}

#[tokio::test]
async fn a_file_is_saved_and_never_shown_by_the_browser() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let content = "<script>alert(1)</script>";
    let image = push_image(&*repository, &[("a.html", content)], json!({}), &["v1"]).await;
    let attached = attach(&*repository, &image, "text/html", content).await;
    let page = format!("/ui/repositories/app/-/manifests/{}", attached.digest());
    let body = site.get(&page).await.body;
    let blob = body.split('"').find(|it| it.ends_with("/content"));
    for path in [
        "/ui/repositories/app/-/manifests/v1/files/content?path=/a.html",
        blob.expect("a link to the file"),
    ] {
        let reply = site.get(path).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, content));
        assert_eq!(reply.header("content-type"), "application/octet-stream");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert!(
            reply
                .header("content-security-policy")
                .starts_with("sandbox")
        );
        assert!(
            reply
                .header("content-disposition")
                .starts_with("attachment; filename*=")
        );
    }
    let raw = "/ui/repositories/app/-/manifests/v1/raw";
    let reply = site.get(raw).await;
    assert!(reply.header("content-disposition").contains("v1%2Ejson"));
}

#[tokio::test]
async fn only_blobs_of_the_manifest_are_sent() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    let other =
        tranship::push_bytes(&*repository, tranship::MediaType::OCTET_STREAM, "other").await;
    let digest = *other.expect("pushed").digest();
    let page = "/ui/repositories/app/-/manifests/v1";
    for path in ["", "/content"] {
        let path = format!("{page}/blobs/{digest}{path}");
        assert_eq!(site.get(&path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn large_layers_and_documents_are_not_read() {
    let options = PageOptions::default()
        .with_max_layers_size(10)
        .with_max_document_size(10);
    let site = Site::with(ServerOptions::default(), options).await;
    let repository = site.repository("app").await;
    let image = push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    let page = "/ui/repositories/app/-/manifests/v1";
    let reply = site.get(&format!("{page}/files")).await;
    assert_eq!(reply.status, 422);
    assert!(reply.body.contains("tranship fs ls"));
    let attached = attach(&*repository, &image, "text/plain", "more than ten bytes").await;
    let page = format!("/ui/repositories/app/-/manifests/{}", attached.digest());
    let body = site.get(&page).await.body;
    let blob = body
        .split('"')
        .find(|it| it.contains("/blobs/") && !it.ends_with("content"));
    let reply = site.get(blob.expect("a link to the file")).await;
    assert_eq!(reply.status, 200);
    assert!(reply.body.contains("not shown here") && !reply.body.contains("more than ten bytes"));
}

#[tokio::test]
async fn artifacts_do_not_have_a_file_system() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let image = push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    let attached = attach(&*repository, &image, "text/plain", "x").await;
    let page = format!(
        "/ui/repositories/app/-/manifests/{}/files",
        attached.digest()
    );
    assert_eq!(site.get(&page).await.status, 422);
}
