//! Several processes that write to one layout in a real S3 server. The test starts its own binary
//! again, which then is one of the writers.

mod s3_server;

use std::process::{Command, Stdio};

use bytes::Bytes;
use tranship::{
    Descriptor, Fetcher, MAX_MANIFEST_SIZE, Manifest, MediaType, Pusher, ReferencePusher, Resolver,
    Result, Tag,
};
use tranship_backends::layout::{Layout, LayoutOptions};

use s3_server::{bucket, own_prefix};

const PREFIX: &str = "TRANSHIP_TEST_PREFIX";
const WRITER: &str = "TRANSHIP_TEST_WRITER";
const WRITERS: usize = 4;
const IMAGES: usize = 25;

async fn open(prefix: &str) -> Layout {
    let layout = Layout::create_in(bucket(), prefix, LayoutOptions::default()).await;
    layout.expect("a layout")
}

/// An image with a layer of its own and one that all writers push.
fn image(writer: usize, number: usize) -> (Manifest, [Bytes; 3]) {
    let config = Bytes::from_static(b"{}");
    let own = Bytes::from(format!("layer {number} of {writer}").repeat(1000));
    let shared = Bytes::from(vec![number as u8; 300_000]);
    let layers = [&own, &shared].map(|layer| Descriptor::of(MediaType::IMAGE_LAYER, layer));
    let config_descriptor = Descriptor::of(MediaType::EMPTY_JSON, &config);
    let manifest = Manifest::new(config_descriptor, layers.to_vec());
    (manifest, [config, own, shared])
}

fn tag(writer: usize, number: usize) -> Tag {
    format!("w{writer}-{number}").parse().expect("a tag")
}

async fn push(layout: &Layout, writer: usize, number: usize) -> Result<()> {
    let (manifest, blobs) = image(writer, number);
    let described = std::iter::once(&manifest.config).chain(&manifest.layers);
    for (descriptor, content) in described.zip(blobs) {
        layout.push(descriptor, content.into()).await?;
    }
    let content = tranship::encode_json(&manifest)?;
    let root = Descriptor::of(MediaType::IMAGE_MANIFEST, &content);
    let tags = [tag(writer, number), "latest".parse()?];
    layout.push_reference(&root, content.into(), &tags).await?;
    Ok(())
}

#[tokio::test]
async fn four_processes_that_push_and_tag_at_the_same_time_lose_nothing() {
    if let Ok(prefix) = std::env::var(PREFIX) {
        let writer = std::env::var(WRITER).expect("a number");
        let writer = writer.parse().expect("a number");
        let layout = open(&prefix).await;
        for number in 0..IMAGES {
            push(&layout, writer, number).await.expect("pushed");
        }
        return;
    }
    let prefix = own_prefix("writers");
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            Command::new(std::env::current_exe().expect("a path"))
                .args(["--exact", "--nocapture"])
                .arg("four_processes_that_push_and_tag_at_the_same_time_lose_nothing")
                .env(PREFIX, &prefix)
                .env(WRITER, writer.to_string())
                .stdout(Stdio::null())
                .spawn()
                .expect("started")
        })
        .collect();
    for mut writer in writers {
        assert!(writer.wait().expect("ended").success());
    }
    let layout = Layout::open_in(bucket(), prefix.as_str(), LayoutOptions::default()).await;
    let layout = layout.expect("a layout");
    let tags = tranship::tags(&layout).await.expect("tags");
    assert_eq!(tags.len(), WRITERS * IMAGES + 1);
    for (writer, number) in (0..WRITERS).flat_map(|writer| (0..IMAGES).map(move |n| (writer, n))) {
        let found = layout
            .resolve(&tag(writer, number).into())
            .await
            .expect("tagged");
        let content = layout.fetch(&found).await.expect("stored");
        let content = content.bytes(MAX_MANIFEST_SIZE).await.expect("intact");
        let (manifest, _) = image(writer, number);
        assert_eq!(content, tranship::encode_json(&manifest).expect("JSON"));
        for layer in &manifest.layers {
            let content = layout.fetch(layer).await.expect("stored");
            content.bytes(1 << 20).await.expect("intact");
        }
    }
}
