//! Copies between all pairs of backends, through trait objects, are byte-identical.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use tempfile::TempDir;
use tranship::*;
use tranship_layout::{Layout, LayoutOptions, LayoutRegistry};
use tranship_memory::{MemoryRegistry, MemoryRepository};

const BACKENDS: [&str; 5] = [
    "memory repository",
    "memory registry",
    "layout",
    "directory of layouts",
    "archive",
];

/// An empty repository of the backend, and the directory that it may live in.
async fn empty(backend: &str) -> (Arc<dyn Repository>, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let name: RepositoryName = "library/hello".parse().expect("a name");
    let repository: Arc<dyn Repository> = match backend {
        "memory repository" => Arc::new(MemoryRepository::new()),
        "memory registry" => MemoryRegistry::new()
            .repository(&name)
            .await
            .expect("a repository"),
        "layout" => Arc::new(
            Layout::create(directory.path().join("layout"))
                .await
                .expect("a layout"),
        ),
        "directory of layouts" => LayoutRegistry::create(directory.path())
            .await
            .expect("a registry")
            .repository(&name)
            .await
            .expect("a repository"),
        "archive" => {
            let path = directory.path().join("layout.tar");
            let options = LayoutOptions::default();
            Arc::new(
                Layout::create_archive(path, options)
                    .await
                    .expect("an archive"),
            )
        }
        other => panic!("no backend {other}"),
    };
    (repository, directory)
}

async fn fixture(name: &str) -> Layout {
    let path = format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    Layout::open(path).await.expect("the fixture")
}

/// Everything that a repository lets one see of what hangs on `root`: bytes, in a fixed order.
async fn picture(repository: &dyn Repository, root: &Descriptor) -> Vec<(String, Vec<u8>)> {
    let mut nodes = vec![root.plain()];
    let mut next = 0;
    while let Some(node) = nodes.get(next).cloned() {
        next += 1;
        let below = successors(repository, &node, MAX_MANIFEST_SIZE)
            .await
            .expect("successors");
        let referring: Vec<Descriptor> = repository
            .referrers(&node, None)
            .try_collect()
            .await
            .expect("referrers");
        for found in below.into_iter().chain(referring) {
            if !nodes.iter().any(|known| known.same_content(&found)) {
                nodes.push(found.plain());
            }
        }
    }
    let mut picture = Vec::new();
    for node in nodes {
        let content = repository.fetch(&node).await.expect("fetch");
        let bytes = content.bytes(u64::MAX).await.expect("intact");
        picture.push((node.to_string(), bytes.to_vec()));
        let mut described: Vec<Descriptor> = repository
            .referrers(&node, None)
            .try_collect()
            .await
            .expect("referrers");
        described.sort();
        for referrer in described {
            let described = serde_json::to_vec(&referrer).expect("json");
            picture.push((format!("referrer of {node}"), described));
        }
    }
    picture.sort();
    picture
}

/// Copies what `reference` names in the fixture through every pair of backends.
async fn copy_through_all_pairs(name: &str, reference: &str, nodes: usize) {
    let fixture = fixture(name).await;
    let reference: TagOrDigest = reference.parse().expect("a reference");
    let tag: Tag = "copied".parse().expect("a tag");
    let options = ExtendedCopyOptions::default();
    let root = fixture
        .resolve(&reference)
        .await
        .expect("the fixture's tag");
    let expected = picture(&fixture, &root).await;
    assert_eq!(
        expected
            .iter()
            .filter(|(what, _)| !what.starts_with("referrer"))
            .count(),
        nodes
    );

    for from in BACKENDS {
        let (source, _from) = empty(from).await;
        let tags = [tag.clone()];
        extended_copy(&fixture, &reference, &*source, &tags, &options)
            .await
            .expect("fill the source");
        for to in BACKENDS {
            let (destination, _to) = empty(to).await;
            let copied = TagOrDigest::Tag(tag.clone());
            let report = extended_copy(&*source, &copied, &*destination, &tags, &options)
                .await
                .unwrap_or_else(|error| panic!("{from} to {to}: {error:?}"));
            assert!(report.root.same_content(&root), "{from} to {to}");
            let resolved = destination.resolve(&copied).await.expect("the tag");
            assert_eq!(resolved.plain(), root.plain(), "{from} to {to}");
            let actual = picture(&*destination, &root).await;
            assert!(actual == expected, "{from} to {to}");
        }
    }
}

#[tokio::test]
async fn an_index_with_platforms_and_three_levels_of_referrers() {
    copy_through_all_pairs("hello", "v1", 20).await;
}

#[tokio::test]
async fn docker_media_types() {
    copy_through_all_pairs("docker", "v1", 11).await;
}

#[tokio::test]
async fn one_image_of_an_index() {
    copy_through_all_pairs("hello", "v1-amd64", 7).await;
}
