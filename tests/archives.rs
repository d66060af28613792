//! The same content makes the same archive, wherever it comes from.

use std::path::Path;

use tempfile::TempDir;
use tranship::*;
use tranship_layout::{Layout, LayoutOptions};
use tranship_memory::MemoryRepository;

fn fixture_path() -> String {
    format!("{}/fixtures/hello", env!("CARGO_MANIFEST_DIR"))
}

fn tag() -> Tag {
    "v1".parse().expect("a tag")
}

/// Copies the index of several platforms, and what refers to it, into a new archive.
async fn archived(source: &dyn Repository, directory: &TempDir, name: &str) -> Vec<u8> {
    let path = directory.path().join(name);
    let archive = Layout::create_archive(&path, LayoutOptions::default())
        .await
        .expect("an archive");
    copy_into(source, &archive).await;
    std::fs::read(path).expect("written")
}

async fn copy_into(source: &dyn Repository, destination: &dyn Repository) {
    let options = ExtendedCopyOptions::default();
    extended_copy(source, &tag().into(), destination, &[tag()], &options)
        .await
        .expect("copied");
}

/// The fixture, with the entries of its index in another order.
fn reordered(to: &Path) {
    let from = fixture_path();
    std::fs::create_dir_all(to.join("blobs/sha256")).expect("a directory");
    for entry in std::fs::read_dir(format!("{from}/blobs/sha256")).expect("readable") {
        let entry = entry.expect("an entry");
        let copy = to.join("blobs/sha256").join(entry.file_name());
        std::fs::copy(entry.path(), copy).expect("copied");
    }
    std::fs::copy(format!("{from}/oci-layout"), to.join("oci-layout")).expect("copied");
    let index = std::fs::read(format!("{from}/index.json")).expect("an index");
    let mut index: serde_json::Value = serde_json::from_slice(&index).expect("json");
    let entries = index["manifests"].as_array_mut().expect("a list");
    assert!(entries.len() > 1);
    entries.reverse();
    std::fs::write(to.join("index.json"), index.to_string()).expect("written");
}

#[tokio::test]
async fn the_same_content_makes_the_same_bytes_whatever_the_source() {
    let directory = tempfile::tempdir().expect("a directory");
    let fixture = Layout::open(fixture_path()).await.expect("the fixture");
    let expected = archived(&fixture, &directory, "one.tar").await;
    assert!(expected.len() > 10_000);
    let again = archived(&fixture, &directory, "two.tar").await;
    assert!(again == expected, "a second copy");

    let memory = MemoryRepository::new();
    copy_into(&fixture, &memory).await;
    let from_memory = archived(&memory, &directory, "memory.tar").await;
    assert!(from_memory == expected, "from memory");

    let one = directory.path().join("one.tar");
    let archive = Layout::open_archive(one, LayoutOptions::default()).await;
    let archive = archive.expect("sound");
    let from_archive = archived(&archive, &directory, "archive.tar").await;
    assert!(from_archive == expected, "from another archive");

    let other = directory.path().join("reordered");
    reordered(&other);
    let other = Layout::open(other).await.expect("a layout");
    let from_other = archived(&other, &directory, "other.tar").await;
    assert!(from_other == expected, "from an index in another order");
}
