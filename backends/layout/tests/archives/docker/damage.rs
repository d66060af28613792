//! Archives that are damaged, or of odd forms.

use bytes::Bytes;
use serde_json::{Value, json};
use tar::{Builder, EntryType};
use tranship::{ErrorKind, MediaType, Result};
use tranship_layout::Layout;

use super::{Image, Packing, Place, layer_name, unpack};
use crate::archive::{header, member};
use crate::reading::{gzip, zstd};

const CONFIG: &str = "config.json";

fn image() -> Image {
    Image::new(&[b"the base", b"the top"], Packing::Plain)
}

/// An archive of the image by hand. `items` is its `manifest.json`.
fn archive(image: &Image, items: &Value, change: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    member(&mut builder, "manifest.json", items.to_string().as_bytes());
    member(&mut builder, CONFIG, &image.config);
    change(&mut builder);
    builder.into_inner().expect("in memory")
}

fn items(layers: &[&str]) -> Value {
    json!([{"Config": CONFIG, "RepoTags": ["app:v1"], "Layers": layers}])
}

fn sound(image: &Image) -> Vec<u8> {
    archive(image, &items(&["a/layer.tar", "b/layer.tar"]), |builder| {
        member(builder, "a/layer.tar", &image.contents[0]);
        member(builder, "b/layer.tar", &image.contents[1]);
    })
}

async fn open(place: &Place, bytes: &[u8]) -> Result<Layout> {
    std::fs::write(place.path("d.tar"), bytes).expect("written");
    place.open("d.tar").await
}

async fn contents(bytes: &[u8]) -> Result<(Vec<MediaType>, Vec<Bytes>)> {
    let place = Place::new();
    let archive = open(&place, bytes).await?;
    let (_, manifest, mut contents) = unpack(&archive, "v1").await?;
    let types = manifest
        .layers
        .iter()
        .map(|layer| layer.media_type().clone());
    Ok((types.collect(), contents.split_off(1)))
}

async fn refused(bytes: &[u8], words: &[&str]) {
    let place = Place::new();
    let error = open(&place, bytes).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    for word in words.iter().chain(&["d.tar"]) {
        assert!(error.to_string().contains(word), "no {word} in: {error}");
    }
}

#[tokio::test]
async fn an_archive_by_hand_is_read() {
    let image = image();
    let (types, read) = contents(&sound(&image)).await.expect("sound");
    assert_eq!(types, [MediaType::IMAGE_LAYER, MediaType::IMAGE_LAYER]);
    assert_eq!(read, image.contents);
}

#[tokio::test]
async fn a_compressed_archive_is_read() {
    let image = image();
    for compressed in [gzip(&sound(&image)), zstd(&sound(&image))] {
        let (_, read) = contents(&compressed).await.expect("sound");
        assert_eq!(read, image.contents);
    }
}

#[tokio::test]
async fn compressed_layers_are_what_they_are_whatever_their_names() {
    let image = image();
    let packed = [gzip(&image.contents[0]), zstd(&image.contents[1])];
    let bytes = archive(&image, &items(&["a.tar", "b.tar.gz"]), |builder| {
        member(builder, "a.tar", &packed[0]);
        member(builder, "b.tar.gz", &packed[1]);
    });
    let (types, read) = contents(&bytes).await.expect("sound");
    assert_eq!(
        types,
        [Packing::Gzip.pack(b"").0, Packing::Zstd.pack(b"").0]
    );
    assert_eq!(read, packed);
}

#[tokio::test]
async fn links_to_layers_are_followed_inside_the_archive() {
    let image = image();
    let bytes = archive(&image, &items(&["a/layer.tar", "b.tar"]), |builder| {
        let target = layer_name(&image.contents[0]);
        let mut link = header(EntryType::Symlink, 0);
        let linked = builder.append_link(&mut link, "a/layer.tar", format!("../{target}"));
        linked.expect("in memory");
        member(builder, &target, &image.contents[0]);
        member(builder, "top.tar", &image.contents[1]);
        let mut link = header(EntryType::Link, 0);
        builder
            .append_link(&mut link, "b.tar", "top.tar")
            .expect("in memory");
    });
    let (_, read) = contents(&bytes).await.expect("sound");
    assert_eq!(read, image.contents);
}

#[tokio::test]
async fn links_that_lead_nowhere_are_refused() {
    for (one, other) in [
        ("loop", "a/layer.tar"),
        ("a/layer.tar", "loop"),
        ("missing", "loop"),
        ("../../etc/passwd", "loop"),
        ("/etc/passwd", "loop"),
    ] {
        let image = image();
        let bytes = archive(&image, &items(&["a/layer.tar", "b.tar"]), |builder| {
            for (name, target) in [("a/layer.tar", one), ("a/loop", other)] {
                let mut link = header(EntryType::Symlink, 0);
                builder
                    .append_link(&mut link, name, target)
                    .expect("in memory");
            }
            member(builder, "b.tar", &image.contents[1]);
        });
        refused(&bytes, &["a/layer.tar"]).await;
    }
}

#[tokio::test]
async fn an_archive_that_is_cut_off_anywhere_is_an_error_or_complete() {
    let image = image();
    let whole = sound(&image);
    let place = Place::new();
    let mut complete = 0;
    for length in 0..whole.len() {
        match open(&place, &whole[..length]).await {
            Ok(archive) => {
                let (_, _, contents) = unpack(&archive, "v1").await.expect("complete");
                assert_eq!(contents[1..], image.contents, "{length} bytes");
                complete += 1;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{length}: {error}"),
        }
    }
    assert_eq!(complete, 512);
}

#[tokio::test]
async fn members_that_are_missing_are_named() {
    let image = image();
    let missing = archive(&image, &items(&["a.tar", "b.tar"]), |builder| {
        member(builder, "a.tar", &image.contents[0]);
    });
    refused(&missing, &["b.tar", "missing"]).await;
    let elsewhere = json!([{"Config": "other.json", "RepoTags": null, "Layers": []}]);
    refused(
        &archive(&image, &elsewhere, |_| {}),
        &["other.json", "missing"],
    )
    .await;
    let outside = json!([{"Config": "../config.json", "RepoTags": null, "Layers": []}]);
    refused(
        &archive(&image, &outside, |_| {}),
        &["../config.json", "outside"],
    )
    .await;
}

#[tokio::test]
async fn another_number_of_layers_than_the_config_names_is_refused() {
    let image = image();
    let bytes = archive(&image, &items(&["a.tar"]), |builder| {
        member(builder, "a.tar", &image.contents[0]);
    });
    refused(&bytes, &["1 layers", CONFIG, "has 2"]).await;
}

#[tokio::test]
async fn what_is_no_archive_of_docker_is_refused() {
    let mut builder = Builder::new(Vec::new());
    member(&mut builder, "a.tar", b"a file");
    let other = builder.into_inner().expect("in memory");
    refused(&other, &["manifest.json"]).await;
    let image = image();
    for manifest in [
        json!({}),
        json!("text"),
        json!([{"Config": 1}]),
        json!([{}]),
    ] {
        refused(&archive(&image, &manifest, |_| {}), &["manifest.json"]).await;
    }
}

#[tokio::test]
async fn a_config_that_is_none_is_refused() {
    let mut image = image();
    image.config = Bytes::from_static(b"{}");
    let place = Place::new();
    let error = open(&place, &sound(&image)).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(CONFIG), "{error}");
}

#[tokio::test]
async fn a_member_that_is_there_twice_with_other_content_is_refused() {
    let image = image();
    let bytes = archive(&image, &items(&["a.tar", "b.tar"]), |builder| {
        member(builder, "a.tar", &image.contents[0]);
        member(builder, "b.tar", &image.contents[1]);
        member(builder, "a.tar", b"other content");
    });
    refused(&bytes, &["a.tar", "twice"]).await;
}

#[tokio::test]
async fn a_layer_that_is_not_what_the_config_names_is_noticed_when_it_is_read() {
    let image = image();
    let bytes = archive(&image, &items(&["a.tar", "b.tar"]), |builder| {
        member(builder, "a.tar", b"the BASE");
        member(builder, "b.tar", &image.contents[1]);
    });
    let error = contents(&bytes).await.expect_err("altered");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");

    let place = Place::new();
    open(&place, &bytes).await.expect("its headers are sound");
    let archive = place.open("d.tar").await.expect("sound");
    let copy = crate::support::relaxed(&place.sources.path().join("copy")).await;
    let options = tranship::CopyOptions::default();
    let from = crate::support::tag("v1").into();
    let error = tranship::copy(&archive, &from, &copy, &[], &options).await;
    assert_eq!(
        error.expect_err("altered").kind(),
        ErrorKind::DigestMismatch
    );
}

#[tokio::test]
async fn an_image_without_layers_is_one() {
    let image = Image::new(&[], Packing::Plain);
    let items = json!([{"Config": CONFIG, "RepoTags": ["app:v1"], "Layers": null}]);
    let (types, read) = contents(&archive(&image, &items, |_| {}))
        .await
        .expect("sound");
    assert!(types.is_empty() && read.is_empty());
}
