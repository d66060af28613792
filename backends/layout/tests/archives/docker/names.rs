//! The names of images, in front of their tags.

use serde_json::{Value, json};
use tranship::{ErrorKind, Resolver as _, Untagger as _};

use super::{Image, Packing, Place, tags, unpack};
use crate::archive::{MARKER, member, name_of};
use crate::support::{REF_NAME, tag};

fn image(content: &str) -> Image {
    Image::new(&[content.as_bytes()], Packing::Plain)
}

#[tokio::test]
async fn a_name_is_written_as_it_was_given() {
    for (location, written) in [
        ("d.tar:alpine:3", "alpine:3"),
        (
            "d.tar:docker.io/library/alpine:3",
            "docker.io/library/alpine:3",
        ),
        ("d.tar:localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("d.tar:ghcr.io/team/app:v1", "ghcr.io/team/app:v1"),
    ] {
        let place = Place::new();
        let image = image("one");
        place.copy(&image, location).await.expect("copied");
        let listed = json!([image.listed(&json!([written]))]);
        assert_eq!(place.manifest_json("d.tar"), listed);
    }
}

#[tokio::test]
async fn a_bare_tag_gets_the_name_of_the_file() {
    for (file, written) in [("app.tar", "app:v1"), ("My App-1.2.tar", "my-app-1-2:v1")] {
        let place = Place::new();
        let image = image("one");
        place
            .copy(&image, &format!("{file}:v1"))
            .await
            .expect("copied");
        let listed = json!([image.listed(&json!([written]))]);
        assert_eq!(place.manifest_json(file), listed);
    }
}

#[tokio::test]
async fn names_that_docker_takes_for_the_same_are_the_same() {
    let all = [
        "alpine",
        "library/alpine",
        "docker.io/library/alpine",
        "docker.io/alpine",
    ];
    for written in all {
        let place = Place::new();
        place
            .copy(&image("one"), &format!("d.tar:{written}:3"))
            .await
            .expect("copied");
        for asked in all {
            let archive = place
                .open(&format!("d.tar:{asked}:3"))
                .await
                .expect("sound");
            let found = unpack(&archive, "3").await;
            assert!(found.is_ok(), "{asked} in an archive with {written}");
            assert_eq!(tags(&archive).await, ["3"]);
        }
        let other = place
            .open("d.tar:localhost:5000/alpine:3")
            .await
            .expect("sound");
        let error = other
            .resolve(&tag("3").into())
            .await
            .expect_err("another name");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_name_shows_its_own_tags_and_keeps_those_of_others() {
    let place = Place::new();
    let (one, two) = (image("one"), image("two"));
    place
        .copy(&one, "d.tar:localhost:5000/app:v1")
        .await
        .expect("copied");
    place.copy(&two, "d.tar:app:v1").await.expect("copied");
    place.copy(&two, "d.tar:app:v2").await.expect("copied");
    let listed = json!([
        one.listed(&json!(["localhost:5000/app:v1"])),
        two.listed(&json!(["app:v1", "app:v2"])),
    ]);
    assert_eq!(place.manifest_json("d.tar"), listed);

    let first = place
        .open("d.tar:localhost:5000/app:v1")
        .await
        .expect("sound");
    assert_eq!(tags(&first).await, ["v1"]);
    assert_eq!(
        unpack(&first, "v1").await.expect("there").2[1..],
        one.contents
    );
    let second = place.open("d.tar:app:v1").await.expect("sound");
    assert_eq!(tags(&second).await, ["v1", "v2"]);
    assert_eq!(
        unpack(&second, "v1").await.expect("there").2[1..],
        two.contents
    );

    second.untag(&tag("v1")).await.expect("untagged");
    assert_eq!(tags(&first).await, ["v1"]);
    let listed = json!([
        one.listed(&json!(["localhost:5000/app:v1"])),
        two.listed(&json!(["app:v2"])),
    ]);
    assert_eq!(place.manifest_json("d.tar"), listed);
}

#[tokio::test]
async fn without_a_name_a_tag_is_found_where_only_one_image_has_it() {
    let place = Place::new();
    let (one, two) = (image("one"), image("two"));
    place.copy(&one, "d.tar:one:v1").await.expect("copied");
    place.copy(&two, "d.tar:two:v1").await.expect("copied");
    place.copy(&two, "d.tar:two:v2").await.expect("copied");
    let archive = place.open("d.tar").await.expect("sound");
    assert_eq!(
        unpack(&archive, "v2").await.expect("there").2[1..],
        two.contents
    );
    let error = archive.resolve(&tag("v1").into()).await;
    assert_eq!(error.expect_err("two images").kind(), ErrorKind::NotFound);
    assert_eq!(tags(&archive).await, ["v2"]);
}

#[tokio::test]
async fn without_a_name_a_tag_of_several_means_the_image_named_like_the_file() {
    let place = Place::new();
    let (one, two) = (image("one"), image("two"));
    for (image, location) in [(&two, "app.tar:app:v1"), (&one, "app.tar:other:v1")] {
        place.copy(image, location).await.expect("copied");
    }
    let archive = place.open("app.tar").await.expect("sound");
    let (_, _, contents) = unpack(&archive, "v1").await.expect("there");
    assert_eq!(contents[1..], two.contents);
}

#[tokio::test]
async fn names_count_in_an_archive_that_is_a_layout_too() {
    let place = Place::new();
    let (one, two) = (image("one"), image("two"));
    let listed = [
        ("docker.io/library/one:v1", &one),
        ("example.com/two:v1", &two),
    ];
    // As docker writes it: the tag alone, and the name beside it.
    let entries = listed.map(|(name, image)| {
        let entry = image.root.0.clone();
        entry
            .with_annotation(REF_NAME, "v1")
            .with_annotation("io.containerd.image.name", name)
    });
    let mut builder = tar::Builder::new(Vec::new());
    let index = json!({"schemaVersion": 2, "manifests": entries}).to_string();
    member(&mut builder, "index.json", index.as_bytes());
    member(&mut builder, "oci-layout", MARKER);
    for image in [&one, &two] {
        for (_, content) in image.blobs.iter().chain([&image.root]) {
            member(&mut builder, &name_of(content), content);
        }
    }
    let bytes = builder.into_inner().expect("in memory");
    for file in ["d.tar", "two.tar", "one.tar"] {
        std::fs::write(place.path(file), &bytes).expect("written");
    }

    for (location, image) in [
        ("d.tar:one:v1", &one),
        ("d.tar:docker.io/library/one:v1", &one),
        ("d.tar:example.com/two:v1", &two),
        ("one.tar", &one),
    ] {
        let archive = place.open(location).await.expect("sound");
        let (root, _, contents) = unpack(&archive, "v1").await.expect("there");
        assert_eq!(root.digest(), image.root.0.digest(), "{location}");
        assert_eq!(contents[1..], image.contents);
    }
    for location in ["d.tar", "d.tar:two:v1", "d.tar:example.com/one:v1"] {
        let archive = place.open(location).await.expect("sound");
        assert!(tags(&archive).await.is_empty(), "{location}");
    }
}

#[tokio::test]
async fn without_a_name_a_tag_that_is_there_moves_with_the_name_that_it_has() {
    let place = Place::new();
    let (one, two) = (image("one"), image("two"));
    place.copy(&one, "app.tar:other:v1").await.expect("copied");
    place.copy(&two, "app.tar:v1").await.expect("copied");
    let listed = json!([one.listed(&Value::Null), two.listed(&json!(["other:v1"])),]);
    assert_eq!(place.manifest_json("app.tar"), listed);
}
