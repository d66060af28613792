//! A bundle as a registry.

use futures_util::StreamExt as _;
use tranship::*;
use tranship_mirror::bundle::*;

use crate::images::*;

async fn opened(volume_size: Option<u64>) -> (tempfile::TempDir, Bundle) {
    let directory = tempfile::tempdir().expect("a directory");
    let plan = planned(&some_images().await, None, volume_size).await;
    let files = written(&plan, &directory.path().join("b.tar")).await;
    let bundle = Bundle::open(&files).await.expect("opened");
    (directory, bundle)
}

#[tokio::test]
async fn repositories_have_names_without_colons_and_lists_of_tags() {
    let (_directory, bundle) = opened(None).await;
    let names = repositories(&bundle).await.expect("listed");
    let names: Vec<&str> = names.iter().map(RepositoryName::as_str).collect();
    assert_eq!(
        names,
        ["localhost-5000/library/alpine", "localhost-5000/team/app"]
    );
    let last = ListOptions::default().with_last(names[0]);
    assert_eq!(bundle.repositories(last).count().await, 1);
    let alpine = bundle
        .repository(&names[0].parse().expect("a name"))
        .await
        .expect("opened");
    assert_eq!(
        tags(&*alpine).await.expect("listed"),
        [as_tag("3.19"), as_tag("latest")]
    );
    let unknown = bundle
        .repository(&"unknown".parse().expect("a name"))
        .await
        .expect("opened");
    assert!(tags(&*unknown).await.expect("listed").is_empty());
    let error = bundle
        .open_repository(&name("unknown"))
        .expect_err("unknown");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn whole_blobs_are_parts_of_a_file_and_split_ones_streams() {
    for volume_size in [None, Some(32_768)] {
        let (_directory, bundle) = opened(volume_size).await;
        let repository = bundle
            .open_repository(&name("localhost:5000/library/alpine"))
            .expect("there");
        let content = noise(3, 50_000);
        let blob = Descriptor::of(MediaType::OCTET_STREAM, &content);
        let blobs = repository.blobs();
        let body = blobs.fetch(&blob).await.expect("there").into_body();
        assert_eq!(body.local_file().is_some(), volume_size.is_none());
        let read = blobs
            .fetch(&blob)
            .await
            .expect("there")
            .bytes(u64::MAX)
            .await;
        assert!(read.expect("verified") == content);
        for (start, end) in [
            (0, 1),
            (100, 40_000),
            (27_000, 50_000),
            (49_999, 50_000),
            (50_000, 50_000),
        ] {
            let range = (start as u64..end as u64).into();
            let part = blobs
                .fetch_range(&blob, range)
                .await
                .expect("there")
                .bytes(u64::MAX)
                .await;
            assert!(
                part.expect("complete") == content[start..end],
                "{start}..{end}"
            );
        }
    }
}

#[tokio::test]
async fn a_repository_has_only_its_own_content_and_is_read_only() {
    let (_directory, bundle) = opened(None).await;
    let app = bundle
        .open_repository(&name("localhost:5000/team/app"))
        .expect("there");
    let foreign = Descriptor::of(MediaType::OCTET_STREAM, &noise(3, 50_000));
    assert!(!app.blobs().exists(&foreign).await.expect("looked"));
    assert!(app.blobs().fetch(&foreign).await.is_err());
    let own = Descriptor::of(MediaType::OCTET_STREAM, &noise(4, 20_000));
    assert!(app.blobs().exists(&own).await.expect("looked"));
    let wrong_size = Descriptor::new(MediaType::OCTET_STREAM, *own.digest(), 7);
    let error = app
        .blobs()
        .fetch(&wrong_size)
        .await
        .expect_err("another size");
    assert_eq!(error.kind(), ErrorKind::SizeMismatch);
    let error = app
        .push(&own, noise(4, 20_000).into())
        .await
        .expect_err("read-only");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let parents = app.predecessors(&own).await.expect("found");
    assert_eq!(
        parents,
        [app.resolve(&as_tag("v1").into()).await.expect("tagged")]
    );
}

#[tokio::test]
async fn images_are_listed_with_their_sizes() {
    let (_directory, bundle) = opened(None).await;
    let images = bundle.images().expect("listed");
    let shown: Vec<String> = images
        .iter()
        .map(|image| {
            format!(
                "{}:{}",
                image.name,
                image.tag.as_ref().map_or("", Tag::as_str)
            )
        })
        .collect();
    let expected = [
        "library/alpine:3.19",
        "library/alpine:latest",
        "team/app:v1",
    ];
    assert_eq!(shown, expected.map(|name| format!("{PREFIX}{name}")));
    assert!(
        images
            .iter()
            .all(|image| image.is_complete() && !image.needs_base())
    );
    assert!(images[0].size > 87_000 && images[2].size < 52_000);
}
