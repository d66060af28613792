//! Layers that are damaged, or made to take long.

use std::time::Duration;

use serde_json::json;
use tranship::Digest;
use tranship_page::PageOptions;
use tranship_server::ServerOptions;

use crate::support::{Reply, Site, gzip, layer, push_layered};

/// Returns the pages that read the layer of an image with the layer `content`.
async fn pages(options: PageOptions, content: (Vec<u8>, Digest)) -> Vec<Reply> {
    let site = Site::with(ServerOptions::default(), options).await;
    let repository = site.repository("app").await;
    let digest = Digest::of(&content.0);
    push_layered(&*repository, content, json!({}), &["v1"]).await;
    let image = "/ui/repositories/app/-/manifests/v1";
    let mut replies = Vec::new();
    for page in [
        "files".to_owned(),
        "files/content?path=/a".to_owned(),
        format!("layers/{digest}"),
    ] {
        replies.push(site.get(&format!("{image}/{page}")).await);
    }
    replies
}

async fn expect_refusal(options: PageOptions, content: (Vec<u8>, Digest), reason: &str) {
    for reply in pages(options, content).await {
        assert_eq!(reply.status, 422, "{}", reply.body);
        assert!(reply.body.contains(reason), "{reason} in {}", reply.body);
    }
}

#[tokio::test]
async fn a_damaged_layer_is_reported_as_such() {
    let (sound, diff_id) = layer(&[("a", "content")]);
    let cut_off = sound[..sound.len() - 20].to_vec();
    let mut altered = sound.clone();
    altered[20] ^= 0xff;
    let no_archive = gzip(&[b'x'; 2048]);
    let other = Digest::of(b"other");
    for (content, diff_id, reason) in [
        (cut_off, diff_id, "the layer is cut off"),
        (altered, diff_id, "the layer "),
        (no_archive, diff_id, "is not a tar archive"),
        (sound, other, "the layer decompresses to"),
    ] {
        expect_refusal(PageOptions::default(), (content, diff_id), reason).await;
    }
}

#[tokio::test]
async fn a_layer_that_decompresses_to_too_much_is_not_read() {
    let options = PageOptions::default().with_max_unpacked_size(1024 * 1024);
    let large = "x".repeat(2 * 1024 * 1024);
    let reason = "decompress to more than the limit";
    expect_refusal(options, layer(&[("a", &large)]), reason).await;
}

#[tokio::test]
async fn a_layer_that_takes_too_long_is_not_read() {
    let options = PageOptions::default().with_max_layers_time(Duration::ZERO);
    let reason = "take longer to decompress than the limit";
    expect_refusal(options, layer(&[("a", "content")]), reason).await;
}
