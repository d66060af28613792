//! What docker could not load is refused, and leaves nothing behind.

use bytes::Bytes;
use tranship::{
    CopyOptions, Descriptor, ErrorKind, Manifest, MediaType, Pusher as _, Repository as _, copy,
    copy_graph, encode_json,
};

use super::{Image, Packing, Place, copy_tagged, unpack};
use crate::reading::{gzip, zstd};
use crate::support::{blob, index, manifest, push, relaxed, tag};

/// A place with an archive of one image, which nothing is to change.
async fn with_an_image() -> (Place, Vec<u8>) {
    let place = Place::new();
    let image = Image::new(&[b"was here before"], Packing::Gzip);
    place.copy(&image, "old.tar:app:v1").await.expect("copied");
    let bytes = place.bytes("old.tar");
    (place, bytes)
}

/// Copies the image to a new archive and to one that exists, and expects both to fail.
async fn refuses(image: &Image, kind: ErrorKind, word: &str) {
    let (place, old) = with_an_image().await;
    for location in ["new.tar:app:v2", "old.tar:app:v2"] {
        let error = place.copy(image, location).await.expect_err("refused");
        assert_eq!(error.kind(), kind, "{error}");
        let text = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(text.contains(word), "no {word} in: {text}");
    }
    assert_eq!(place.files(), ["old.tar"]);
    assert!(place.bytes("old.tar") == old);
}

#[tokio::test]
async fn an_index_of_several_platforms() {
    let (place, old) = with_an_image().await;
    let one = Image::new(&[b"one"], Packing::Gzip);
    let source = place.source(&one).await;
    let several = index(&[&one.root.0]);
    push(&source, &several, &["source"]).await;
    for location in ["new.tar:app:v2", "old.tar:app:v2"] {
        let destination = place.create(location).await;
        let error = copy_tagged(&source, &destination, "v2").await;
        let error = error.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("--platform")));
    }
    assert_eq!(place.files(), ["old.tar"]);
    assert!(place.bytes("old.tar") == old);
}

#[tokio::test]
async fn an_artifact() {
    let layers = [(
        MediaType::from_static("text/plain"),
        Bytes::from_static(b"a note"),
    )];
    let artifact = Image::of(&[b"a note"], &layers);
    refuses(&artifact, ErrorKind::Unsupported, "text/plain").await;
}

#[tokio::test]
async fn an_artifact_with_an_empty_config() {
    let (place, old) = with_an_image().await;
    let source = relaxed(&place.sources.path().join("artifact")).await;
    let empty = Descriptor::empty_json().plain();
    source
        .push(&empty, Bytes::from_static(b"{}").into())
        .await
        .expect("pushed");
    push(&source, &manifest("an artifact"), &["source"]).await;
    for location in ["new.tar:v1", "old.tar:v1"] {
        let destination = place.create(location).await;
        let error = copy_tagged(&source, &destination, "v1").await;
        let error = error.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("oci-archive"))
        );
    }
    assert_eq!(place.files(), ["old.tar"]);
    assert!(place.bytes("old.tar") == old);
}

#[tokio::test]
async fn a_manifest_of_an_unknown_kind() {
    let (place, old) = with_an_image().await;
    let source = relaxed(&place.sources.path().join("artifact")).await;
    let content = Bytes::from_static(br#"{"blobs":[]}"#);
    let media_type = MediaType::from_static("application/vnd.oci.artifact.manifest.v1+json");
    let artifact = (Descriptor::of(media_type, &content), content);
    push(&source, &artifact, &["source"]).await;
    let destination = place.create("old.tar:v1").await;
    let error = copy_tagged(&source, &destination, "v1")
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(place.bytes("old.tar") == old);
}

#[tokio::test]
async fn a_single_blob() {
    let (place, old) = with_an_image().await;
    let source = relaxed(&place.sources.path().join("blob")).await;
    let content = Bytes::from_static(b"a blob");
    let layer = Descriptor::of(MediaType::IMAGE_LAYER, &content);
    source
        .push(&layer, content.clone().into())
        .await
        .expect("pushed");
    for file in ["new.tar", "old.tar"] {
        let archive = place.create(file).await;
        let error = archive
            .push(&layer, content.clone().into())
            .await
            .expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let other = blob(&content);
        let options = CopyOptions::default();
        let error = copy_graph(&source, &other, &archive, &options)
            .await
            .expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    assert_eq!(place.files(), ["old.tar"]);
    assert!(place.bytes("old.tar") == old);
}

#[tokio::test]
async fn a_layer_that_cannot_be_decompressed() {
    let content = b"some content that is long enough".repeat(50);
    let whole = gzip(&content);
    let mut broken = whole.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 0xff;
    let cut = whole[..whole.len() - 5].to_vec();
    for layer in [broken, cut, [&whole[..], b"garbage"].concat()] {
        let layers = [(MediaType::IMAGE_LAYER_GZIP, Bytes::from(layer))];
        let image = Image::of(&[&content], &layers);
        refuses(&image, ErrorKind::Corrupt, "layer").await;
    }
    let whole = zstd(&content);
    for layer in [
        whole[..whole.len() - 5].to_vec(),
        [&whole[..], b"garbage"].concat(),
    ] {
        let layers = [(MediaType::IMAGE_LAYER_GZIP, Bytes::from(layer))];
        let image = Image::of(&[&content], &layers);
        refuses(&image, ErrorKind::Corrupt, "layer").await;
    }
}

#[tokio::test]
async fn a_layer_that_decompresses_to_other_content_than_the_config_says() {
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let image = Image::of(&[b"expected"], &[packing.pack(b"something else")]);
        refuses(&image, ErrorKind::Corrupt, "config").await;
    }
}

#[tokio::test]
async fn a_layer_that_is_not_to_be_distributed_unless_it_is_included() {
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let layer = (MediaType::from_static(foreign), gzip(b"foreign").into());
    let image = Image::of(&[b"foreign"], &[layer]);
    refuses(&image, ErrorKind::Unsupported, "include").await;

    let place = Place::new();
    let source = place.source(&image).await;
    let archive = place.create("d.tar:app:v1").await;
    let options = CopyOptions::default().with_non_distributable(true);
    copy(
        &source,
        &tag("source").into(),
        &archive,
        &[tag("v1")],
        &options,
    )
    .await
    .expect("copied");
    let (_, _, contents) = unpack(&archive, "v1").await.expect("there");
    assert_eq!(contents[1..], image.contents);
}

#[tokio::test]
async fn more_layers_than_the_config_names() {
    let layers = [Packing::Plain.pack(b"one"), Packing::Plain.pack(b"two")];
    let image = Image::of(&[b"one"], &layers);
    refuses(&image, ErrorKind::Corrupt, "config").await;
}

#[tokio::test]
async fn a_config_without_layers_that_is_none() {
    let (place, _) = with_an_image().await;
    let source = relaxed(&place.sources.path().join("other")).await;
    let config = Bytes::from_static(b"{}");
    let described = Descriptor::of(MediaType::IMAGE_CONFIG, &config);
    source
        .push(&described, config.into())
        .await
        .expect("pushed");
    let content = encode_json(&Manifest::new(described, Vec::new())).expect("json");
    let root = (Descriptor::of(MediaType::IMAGE_MANIFEST, &content), content);
    push(&source, &root, &["source"]).await;
    let destination = place.create("new.tar:v1").await;
    let error = copy_tagged(&source, &destination, "v1")
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(place.files(), ["old.tar"]);
}

#[tokio::test]
async fn anything_where_the_archive_is_compressed() {
    let (place, old) = with_an_image().await;
    for compressed in [gzip(&old), zstd(&old)] {
        std::fs::write(place.path("old.tar"), &compressed).expect("written");
        let image = Image::new(&[b"another"], Packing::Gzip);
        let error = place
            .copy(&image, "old.tar:app:v2")
            .await
            .expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("compressed"), "{error}");
        let archive = place.open("old.tar").await.expect("sound");
        assert!(!archive.capabilities().push.is_possible());
        let error = tranship::Untagger::untag(&archive, &tag("v1")).await;
        let error = error.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.hint().is_some_and(|hint| hint.contains("decompress")));
        assert!(place.bytes("old.tar") == compressed);
        assert_eq!(place.files(), ["old.tar"]);
    }
}

#[tokio::test]
async fn changes_of_an_archive_that_is_a_layout_too() {
    let place = Place::new();
    let (one, two) = (
        Image::new(&[b"one"], Packing::Gzip),
        Image::new(&[b"two"], Packing::Gzip),
    );
    // An image layout without manifest.json, as an OCI archive.
    let source = place.source(&one).await;
    let archive =
        tranship_layout::Layout::create_archive(place.path("both.tar"), crate::archive::options());
    let archive = archive.await.expect("an archive");
    copy(
        &source,
        &tag("source").into(),
        &archive,
        &[tag("v1")],
        &CopyOptions::default(),
    )
    .await
    .expect("copied");
    let before = place.bytes("both.tar");
    let error = place
        .copy(&two, "both.tar:app:v2")
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("oci-archive"))
    );
    assert!(place.bytes("both.tar") == before);
}
