//! Archives in which a layout and `manifest.json` tell of the same images, not always the same.

use bytes::Bytes;
use serde_json::json;
use tar::Builder;
use tranship::{Descriptor, ErrorKind, Manifest, MediaType, encode_json};

use super::{Image, Packing, Place, unpack};
use crate::archive::{MARKER, member, name_of};

const REF_NAME: &str = "org.opencontainers.image.ref.name";

fn image(packing: Packing) -> Image {
    Image::new(&[b"the base", b"the top"], packing)
}

/// What `docker save` writes: a layout whose image has the layers `oci`, and a `manifest.json` that lists the layers
/// `docker`. Both are positions in the image.
fn saved(image: &Image, oci: &[usize], docker: &[usize]) -> (Descriptor, Vec<u8>) {
    let layers = oci.iter().map(|at| image.blobs[*at].0.clone()).collect();
    let config = Descriptor::of(MediaType::IMAGE_CONFIG, &image.config);
    let manifest = encode_json(&Manifest::new(config, layers)).expect("json");
    let root = Descriptor::of(MediaType::IMAGE_MANIFEST, &manifest);
    let listed = root.clone().with_annotation(REF_NAME, "v1");
    let index = json!({"schemaVersion": 2, "manifests": [listed]}).to_string();
    let layers: Vec<_> = docker
        .iter()
        .map(|at| name_of(&image.blobs[*at].1))
        .collect();
    let item = json!([{"Config": name_of(&image.config), "RepoTags": ["d:v1"], "Layers": layers}]);
    let mut builder = Builder::new(Vec::new());
    let blobs = image.blobs.iter().map(|(_, content)| content);
    for content in blobs.chain([&manifest]) {
        member(&mut builder, &name_of(content), content);
    }
    member(&mut builder, "index.json", index.as_bytes());
    member(&mut builder, "manifest.json", item.to_string().as_bytes());
    member(&mut builder, "oci-layout", MARKER);
    (root, builder.into_inner().expect("in memory"))
}

async fn layers(place: &Place, bytes: &[u8]) -> tranship::Result<(Descriptor, Vec<Bytes>)> {
    std::fs::write(place.path("d.tar"), bytes).expect("written");
    let archive = place.open("d.tar").await?;
    let (root, _, mut contents) = unpack(&archive, "v1").await?;
    Ok((root, contents.split_off(1)))
}

#[tokio::test]
async fn layers_are_those_of_the_config_when_the_layout_is_wrong() {
    for packing in [Packing::Plain, Packing::Gzip] {
        let image = image(packing);
        let expected: Vec<_> = image.blobs[..2]
            .iter()
            .map(|(_, blob)| blob.clone())
            .collect();
        for oci in [&[1, 0][..], &[], &[0], &[0, 0]] {
            let (wrong, bytes) = saved(&image, oci, &[0, 1]);
            let place = Place::new();
            let (root, read) = layers(&place, &bytes).await.expect("the config decides");
            assert_eq!(read, expected, "{oci:?}");
            assert_ne!(root.digest(), wrong.digest());
        }
    }
}

#[tokio::test]
async fn a_layout_is_read_as_it_is_when_its_config_agrees() {
    for (packing, docker) in [
        (Packing::Plain, &[0, 1][..]),
        (Packing::Gzip, &[0, 1]),
        // The config says who is wrong, without a look into compressed layers.
        (Packing::Plain, &[1, 0]),
        (Packing::Plain, &[]),
    ] {
        let image = image(packing);
        let (root, bytes) = saved(&image, &[0, 1], docker);
        let place = Place::new();
        let (found, _) = layers(&place, &bytes).await.expect("sound");
        assert_eq!(found.digest(), root.digest());
    }
}

#[tokio::test]
async fn an_image_that_is_wrong_both_ways_is_refused() {
    for packing in [Packing::Plain, Packing::Gzip] {
        let image = image(packing);
        let (_, bytes) = saved(&image, &[1, 0], &[]);
        let place = Place::new();
        let error = layers(&place, &bytes).await.expect_err("wrong");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
    // Which of them is right shows when they are decompressed.
    let image = image(Packing::Gzip);
    let (_, bytes) = saved(&image, &[0, 1], &[1, 0]);
    let error = layers(&Place::new(), &bytes).await.expect_err("wrong");
    assert!(error.to_string().contains("decompresses to"), "{error}");
}

#[tokio::test]
async fn a_wrong_image_of_docker_is_not_read_as_a_layout() {
    let image = image(Packing::Plain);
    for oci in [&[1, 0][..], &[]] {
        let (_, bytes) = saved(&image, oci, &[0, 1]);
        let place = Place::new();
        std::fs::write(place.path("d.tar"), &bytes).expect("written");
        let path = place.path("d.tar");
        let error = tranship_layout::Layout::open_archive(path, crate::archive::options()).await;
        let error = error.expect_err("wrong");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("docker-archive:"))
        );
    }
}
