//! Looking for one path, from the newest layer down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tranship::{Descriptor, ErrorKind};

use crate::support::{Image, Layer, text};

fn layer() -> Layer {
    Layer::new()
}

/// Reads `path`, and returns its content with the number of layers that were read.
async fn read(layers: &[Layer], path: &str) -> Result<(String, usize), ErrorKind> {
    let image = Image::of(layers).await;
    let bytes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&bytes);
    let files = image.open().await;
    let sizes: Vec<u64> = files.layers().map(Descriptor::size).collect();
    let mut files = files.with_progress(move |read| {
        counted.fetch_add(read, Ordering::Relaxed);
    });
    let found = files.read(path).await;
    let (_, content) = found.map_err(|error| error.kind())?;
    // From the newest on, each once.
    let read = bytes.load(Ordering::Relaxed);
    let mut sum = 0;
    let layers = sizes.iter().rev().take_while(|size| {
        sum += **size;
        sum <= read
    });
    Ok((text(content).await, layers.count()))
}

#[tokio::test]
async fn only_the_layers_above_the_file_are_read() {
    let layers = [
        layer().dir("etc").file("etc/a", "1").file("etc/b", "1"),
        layer().dir("etc").file("etc/b", "2"),
        layer().dir("etc").file("etc/c", "3").hard("etc/d", "etc/c"),
        layer().link("l", "etc/c").link("m", "/etc/../etc/c"),
    ];
    for (path, expected) in [
        ("/etc/c", ("3", 2)),
        ("etc/d", ("3", 2)),
        ("/etc/b", ("2", 3)),
        ("/etc/a", ("1", 4)),
        ("/l", ("3", 2)),
        ("//./l", ("3", 2)),
    ] {
        let (content, read) = read(&layers, path).await.expect(path);
        // A hard link is read again for its content.
        let read = if path == "etc/d" { 2 } else { read };
        assert_eq!((&*content, read), expected, "{path}");
    }
    assert_eq!(read(&layers, "/m").await.expect("a link").0, "3");
    assert_eq!(read(&layers, "/etc/../l").await.expect("a link").0, "3");
}

#[tokio::test]
async fn a_name_without_described_parents_is_found_in_its_layer() {
    let layers = [
        layer().dir("a").file("a/x", "1"),
        layer().file("app/config", "2"),
    ];
    let found = read(&layers, "/app/config").await;
    assert_eq!(found, Ok(("2".to_owned(), 1)));
}

#[tokio::test]
async fn what_is_removed_or_hidden_is_not_found() {
    let layers = [
        layer()
            .dir("d")
            .file("d/x", "1")
            .file("y", "1")
            .dir("e")
            .file("e/z", "1"),
        layer()
            .file(".wh.y", "")
            .dir("d")
            .file("d/.wh..wh..opq", "")
            .file("e", "2"),
    ];
    for path in ["/y", "/d/x", "/e/z", "/none", "/d/x/y", "/e/"] {
        assert_eq!(
            read(&layers, path).await,
            Err(ErrorKind::NotFound),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_directory_is_not_read() {
    let layers = [layer().dir("d").file("d/x", "1").link("l", "d")];
    for path in ["/", "/d", "/d/", "/l", "/d/.."] {
        assert_eq!(
            read(&layers, path).await,
            Err(ErrorKind::InvalidInput),
            "{path}"
        );
    }
}

#[tokio::test]
async fn links_in_a_circle_are_an_error() {
    let layers = [layer().link("a", "b").link("b", "a").link("c", "c/c")];
    for path in ["/a", "/b/x", "/c"] {
        assert_eq!(read(&layers, path).await, Err(ErrorKind::Corrupt), "{path}");
    }
}
