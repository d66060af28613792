//! What is written, and what comes out of it again.

use serde_json::{Value, json};
use tranship::{Fetcher as _, MediaType, Repository as _, Tagger as _, Untagger as _};

use super::{
    Image, Packing, Place, config_name, copy_tagged, digest, layer_name, members, names, tags,
    unpack,
};
use crate::support::{noise, tag};

#[tokio::test]
async fn an_image_comes_out_with_its_config_and_its_layers_decompressed() {
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let place = Place::new();
        let large = noise(1_500_000);
        let image = Image::new(&[b"a layer", &large], packing);
        place.copy(&image, "d.tar:v1").await.expect("copied");

        let archive = place.open("d.tar").await.expect("sound");
        let (_, manifest, contents) = unpack(&archive, "v1").await.expect("there");
        assert_eq!(contents[0], image.config, "{packing:?}");
        assert_eq!(contents[1..], image.contents, "{packing:?}");
        for (layer, content) in manifest.layers.iter().zip(&image.contents) {
            assert_eq!(*layer.media_type(), MediaType::IMAGE_LAYER);
            assert_eq!(layer.digest().to_string(), digest(content));
        }
    }
}

#[tokio::test]
async fn its_manifest_has_another_digest_which_is_always_the_same() {
    let place = Place::new();
    let image = Image::new(&[b"a layer"], Packing::Gzip);
    place.copy(&image, "one.tar:v1").await.expect("copied");
    place.copy(&image, "two.tar:v1").await.expect("copied");
    let one = place.open("one.tar").await.expect("sound");
    let two = place.open("two.tar").await.expect("sound");
    let root = unpack(&one, "v1").await.expect("there").0;
    assert_ne!(root.digest(), image.root.0.digest());
    assert_eq!(unpack(&two, "v1").await.expect("there").0, root);
    let by_digest = (*root.digest()).into();
    let resolved = tranship::Resolver::resolve(&one, &by_digest).await;
    assert_eq!(resolved.expect("there").digest(), root.digest());
}

#[tokio::test]
async fn the_same_content_makes_the_same_bytes_however_it_was_compressed() {
    let place = Place::new();
    let contents: [&[u8]; 2] = [&noise(700_000), b"a layer"];
    let archive = |file: &'static str, packing| {
        let image = Image::new(&contents, packing);
        let place = &place;
        async move {
            let location = format!("{file}:app:v1");
            place.copy(&image, &location).await.expect("copied");
            place.bytes(file)
        }
    };
    let expected = archive("one.tar", Packing::Gzip).await;
    assert!(archive("two.tar", Packing::Gzip).await == expected);
    assert!(archive("three.tar", Packing::Zstd).await == expected);
    assert!(archive("four.tar", Packing::Plain).await == expected);

    let source = place.open("one.tar:app:v1").await.expect("sound");
    let copy = place.create("five.tar:app:v1").await;
    let options = tranship::CopyOptions::default();
    tranship::copy(&source, &tag("v1").into(), &copy, &[tag("v1")], &options)
        .await
        .expect("copied");
    assert!(place.bytes("five.tar") == expected, "from an archive");
}

#[tokio::test]
async fn docker_finds_what_it_looks_for() {
    let place = Place::new();
    let (base, top) = (b"the base".as_slice(), b"what is on it".as_slice());
    let image = Image::new(&[base, top], Packing::Gzip);
    let location = "d.tar:example.com:5000/team/app:v1";
    place.copy(&image, location).await.expect("copied");

    let written = members(&place.path("d.tar"));
    let content = |name: &str| {
        let (_, content) = written.iter().find(|(known, _)| known == name).expect(name);
        content.clone()
    };
    let parsed = |name| serde_json::from_slice::<Value>(&content(name)).expect("json");
    let name = "example.com:5000/team/app:v1";
    assert_eq!(
        parsed("manifest.json"),
        json!([image.listed(&json!([name]))])
    );
    let last = tranship::Digest::of(top).hex();
    let repositories = json!({"example.com:5000/team/app": {"v1": last}});
    assert_eq!(parsed("repositories"), repositories);
    assert_eq!(content(&config_name(&image.config)), image.config);
    assert_eq!(content(&layer_name(base)), base);
    assert_eq!(content(&layer_name(top)), top);
    assert_eq!(written.len(), 5, "{:?}", names(&place.path("d.tar")));
}

#[tokio::test]
async fn a_layer_that_is_there_twice_is_one_member() {
    let place = Place::new();
    let image = Image::new(&[b"same", b"other", b"same"], Packing::Gzip);
    place.copy(&image, "d.tar:app:v1").await.expect("copied");
    let listed = json!([image.listed(&json!(["app:v1"]))]);
    assert_eq!(place.manifest_json("d.tar"), listed);
    assert_eq!(names(&place.path("d.tar")).len(), 5);
    let archive = place.open("d.tar").await.expect("sound");
    let (_, _, contents) = unpack(&archive, "v1").await.expect("there");
    assert_eq!(contents[1..], image.contents);
}

#[tokio::test]
async fn a_second_image_shares_the_layers_of_the_first() {
    for packing in [Packing::Plain, Packing::Gzip] {
        let place = Place::new();
        let one = Image::new(&[b"the base", b"one"], packing);
        let two = Image::new(&[b"the base", b"two"], packing);
        place.copy(&one, "d.tar:app:one").await.expect("copied");
        place.copy(&two, "d.tar:app:two").await.expect("copied");

        let expected = json!([
            one.listed(&json!(["app:one"])),
            two.listed(&json!(["app:two"])),
        ]);
        assert_eq!(place.manifest_json("d.tar"), expected);
        assert_eq!(names(&place.path("d.tar")).len(), 7);
        let archive = place.open("d.tar").await.expect("sound");
        for (name, image) in [("one", &one), ("two", &two)] {
            let (_, _, contents) = unpack(&archive, name).await.expect("there");
            assert_eq!(contents[1..], image.contents);
        }
    }
}

#[tokio::test]
async fn an_image_that_is_there_gets_a_second_name() {
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let place = Place::new();
        let image = Image::new(&[b"the base", b"one"], packing);
        place.copy(&image, "d.tar:one:v1").await.expect("copied");
        place.copy(&image, "d.tar:two:v2").await.expect("copied");
        let expected = json!([image.listed(&json!(["one:v1", "two:v2"]))]);
        assert_eq!(place.manifest_json("d.tar"), expected, "{packing:?}");
        assert_eq!(names(&place.path("d.tar")).len(), 5);
        for location in ["d.tar:one:v1", "d.tar:two:v2"] {
            let archive = place.open(location).await.expect("sound");
            let name = location.rsplit(':').next().expect("a tag");
            let (_, _, contents) = unpack(&archive, name).await.expect("there");
            assert_eq!(contents[1..], image.contents);
        }
    }
}

#[tokio::test]
async fn two_images_with_the_same_layers_and_another_config_are_two() {
    let place = Place::new();
    let one = Image::new(&[b"the base"], Packing::Plain);
    let two = Image::with_author(
        "somebody",
        &[b"the base"],
        &[Packing::Plain.pack(b"the base")],
    );
    place.copy(&one, "d.tar:app:one").await.expect("copied");
    place.copy(&two, "d.tar:app:two").await.expect("copied");
    let expected = json!([
        one.listed(&json!(["app:one"])),
        two.listed(&json!(["app:two"])),
    ]);
    assert_eq!(place.manifest_json("d.tar"), expected);
    assert_eq!(names(&place.path("d.tar")).len(), 5);
}

#[tokio::test]
async fn a_copy_that_is_made_again_changes_nothing() {
    let place = Place::new();
    let image = Image::new(&[b"the base", b"one"], Packing::Gzip);
    place.copy(&image, "d.tar:app:v1").await.expect("copied");
    let before = place.bytes("d.tar");
    place.copy(&image, "d.tar:app:v1").await.expect("copied");
    assert!(place.bytes("d.tar") == before);
}

#[tokio::test]
async fn a_tag_moves_to_another_image_and_the_first_stays_without_one() {
    let place = Place::new();
    let one = Image::new(&[b"one"], Packing::Plain);
    let two = Image::new(&[b"two"], Packing::Plain);
    place.copy(&one, "d.tar:app:v1").await.expect("copied");
    place.copy(&two, "d.tar:app:v1").await.expect("copied");
    let expected = json!([one.listed(&Value::Null), two.listed(&json!(["app:v1"])),]);
    assert_eq!(place.manifest_json("d.tar"), expected);
}

#[tokio::test]
async fn tags_are_set_and_removed() {
    let place = Place::new();
    let image = Image::new(&[b"one"], Packing::Gzip);
    place.copy(&image, "d.tar:app:v1").await.expect("copied");
    let archive = place.open("d.tar:app:v1").await.expect("sound");
    let root = unpack(&archive, "v1").await.expect("there").0;
    archive.tag(&root, &tag("v2")).await.expect("tagged");
    assert_eq!(tags(&archive).await, ["v1", "v2"]);
    let listed = json!([image.listed(&json!(["app:v1", "app:v2"]))]);
    assert_eq!(place.manifest_json("d.tar"), listed);

    archive.untag(&tag("v1")).await.expect("untagged");
    archive.untag(&tag("v2")).await.expect("untagged");
    assert!(tags(&archive).await.is_empty());
    let listed = json!([image.listed(&Value::Null)]);
    assert_eq!(place.manifest_json("d.tar"), listed);
    let again = place.open("d.tar").await.expect("sound");
    let fetched = again.fetch(&root).await.expect("there");
    fetched.bytes(u64::MAX).await.expect("intact");
}

#[tokio::test]
async fn an_image_that_is_deleted_takes_its_own_layers_along() {
    let place = Place::new();
    let one = Image::new(&[b"the base", b"one"], Packing::Gzip);
    let two = Image::new(&[b"the base", b"two"], Packing::Gzip);
    place.copy(&one, "d.tar:app:one").await.expect("copied");
    place.copy(&two, "d.tar:app:two").await.expect("copied");
    let archive = place.open("d.tar:app:one").await.expect("sound");
    let root = unpack(&archive, "one").await.expect("there").0;
    archive.manifests().delete(&root).await.expect("deleted");

    let listed = json!([two.listed(&json!(["app:two"]))]);
    assert_eq!(place.manifest_json("d.tar"), listed);
    assert_eq!(names(&place.path("d.tar")).len(), 5);
    let (_, _, contents) = unpack(&archive, "two").await.expect("there");
    assert_eq!(contents[1..], two.contents);

    // What remains is what would have been written without the first image.
    place.copy(&two, "alone.tar:app:two").await.expect("copied");
    let sorted = |file| {
        let mut members = members(&place.path(file));
        members.sort();
        members
    };
    assert!(sorted("d.tar") == sorted("alone.tar"));
}

#[tokio::test]
async fn images_come_into_one_archive_from_two_at_the_same_time() {
    let place = Place::new();
    let one = Image::new(&[b"the base", b"one"], Packing::Gzip);
    let two = Image::new(&[b"the base", b"two"], Packing::Gzip);
    let (from_one, from_two) = (place.source(&one).await, place.source(&two).await);
    let (to_one, to_two) = (
        place.create("d.tar:app:one").await,
        place.create("d.tar:app:two").await,
    );
    let (first, second) = tokio::join!(
        copy_tagged(&from_one, &to_one, "one"),
        copy_tagged(&from_two, &to_two, "two"),
    );
    first.expect("copied");
    second.expect("copied");
    let archive = place.open("d.tar:app:one").await.expect("sound");
    assert_eq!(tags(&archive).await, ["one", "two"]);
    for (name, image) in [("one", &one), ("two", &two)] {
        let (_, _, contents) = unpack(&archive, name).await.expect("there");
        assert_eq!(contents[1..], image.contents);
    }
    assert_eq!(place.files(), ["d.tar"]);
}
