use tranship::*;
use tranship_memory::MemoryRepository;

use crate::artifacts::{assert_same_graph, everything_below, push_image, push_two_platforms};
use crate::recorder::{Call, Recorder};
use crate::{copy_v1, reference, tags};

#[tokio::test]
async fn each_node_is_asked_for_and_pushed_once() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let destination = Recorder::new(MemoryRepository::new());

    let report = copy_graph(
        &source,
        &artifact.index,
        &destination,
        &CopyOptions::default(),
    )
    .await
    .expect("copy");

    let nodes = everything_below(&source, &artifact.index).await.len();
    assert_eq!(report.count(CopyAction::Copied), nodes);
    assert_eq!(
        destination.count(|call| matches!(call, Call::Exists(_))),
        nodes
    );
    assert_eq!(
        destination.count(|call| matches!(call, Call::Push(_))),
        nodes
    );
    assert_eq!(destination.count(|call| matches!(call, Call::Fetch(_))), 0);
    assert_same_graph(&source, &destination, &artifact.index).await;
}

#[tokio::test]
async fn what_is_copied_is_read_from_the_source_once() {
    let source = Recorder::new(MemoryRepository::new());
    let artifact = push_two_platforms(&source).await;
    let nodes = everything_below(&source, &artifact.index).await.len();
    let before = source.calls().len();

    copy_v1(&source, &MemoryRepository::new(), &CopyOptions::default())
        .await
        .expect("copy");

    let calls = source.calls().split_off(before);
    assert_eq!(calls.len(), nodes, "{calls:?}");
    assert!(calls.iter().all(|call| matches!(call, Call::Fetch(_))));
}

#[tokio::test]
async fn children_come_before_parents_and_the_root_with_its_tags_last() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    for concurrency in 1..=8 {
        let destination = Recorder::new(MemoryRepository::new());
        copy(
            &source,
            &reference("v1"),
            &destination,
            &tags(&["v1", "latest"]),
            &CopyOptions::default().with_concurrency(concurrency),
        )
        .await
        .expect("copy");

        let order = destination.pushes();
        let position = |digest: &Digest| {
            order
                .iter()
                .position(|pushed| pushed == digest)
                .expect("pushed")
        };
        for node in everything_below(&source, &artifact.index).await {
            for child in successors(&source, &node, MAX_MANIFEST_SIZE)
                .await
                .expect("successors")
            {
                assert!(position(child.digest()) < position(node.digest()));
            }
        }
        assert_eq!(
            destination.calls().last(),
            Some(&Call::PushReference(
                *artifact.index.digest(),
                tags(&["v1", "latest"])
            ))
        );
    }
}

#[tokio::test]
async fn any_concurrency_copies_a_wide_root() {
    let source = MemoryRepository::new();
    let image = push_image(&source, "amd64", &["1", "2", "3", "4", "5"]).await;
    for concurrency in 0..=6 {
        let destination = MemoryRepository::new();
        let options = CopyOptions::default().with_concurrency(concurrency);
        copy_graph(&source, &image, &destination, &options)
            .await
            .expect("copy");
        assert_same_graph(&source, &destination, &image).await;
    }
}

#[tokio::test]
async fn the_same_bytes_can_be_a_manifest_and_a_blob() {
    let source = MemoryRepository::new();
    let image = push_image(&source, "amd64", &["layer"]).await;
    let content = source
        .fetch(&image)
        .await
        .expect("fetch")
        .bytes(MAX_MANIFEST_SIZE)
        .await
        .expect("intact");
    let as_layer = push_bytes(&source, MediaType::OCTET_STREAM, content)
        .await
        .expect("push");
    let config = push_bytes(&source, MediaType::EMPTY_JSON, "{}")
        .await
        .expect("push");
    let mut referring = Manifest::new(config, vec![as_layer.clone()]);
    referring.subject = Some(image.clone());
    let root = crate::artifacts::push_manifest(&source, &referring).await;

    let destination = MemoryRepository::new();
    copy_graph(&source, &root, &destination, &CopyOptions::default())
        .await
        .expect("copy");

    assert!(destination.exists(&image).await.expect("exists"));
    assert!(destination.exists(&as_layer).await.expect("exists"));
}

#[tokio::test]
async fn a_blob_alone_can_be_copied() {
    let source = MemoryRepository::new();
    let blob = crate::artifacts::push_text(&source, "alone").await;
    let destination = MemoryRepository::new();
    let report = copy_graph(&source, &blob, &destination, &CopyOptions::default())
        .await
        .expect("copy");
    assert_eq!(report.bytes(CopyAction::Copied), blob.size());
    assert!(destination.exists(&blob).await.expect("exists"));
}

#[tokio::test]
async fn layers_that_must_not_be_distributed_are_left_out_unless_asked_for() {
    let source = MemoryRepository::new();
    let foreign = Descriptor::of(
        MediaType::from_static("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        b"base layer",
    );
    source
        .push(&foreign, b"base layer"[..].into())
        .await
        .expect("push");
    let config = crate::artifacts::push_text(&source, "config").await;
    let image = Manifest::new(config, vec![foreign.clone()]);
    let image = crate::artifacts::push_manifest(&source, &image).await;

    for (options, copied) in [
        (CopyOptions::default(), false),
        (CopyOptions::default().with_non_distributable(true), true),
    ] {
        let destination = MemoryRepository::new();
        copy_graph(&source, &image, &destination, &options)
            .await
            .expect("copy");
        assert_eq!(destination.exists(&foreign).await.expect("exists"), copied);
    }
}
