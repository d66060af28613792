//! Layers that were made to do harm.

use tar::EntryType;
use tranship::{ErrorKind, Manifest, MediaType};
use tranship_artifact::image::{CopyOutOptions, FilesystemOptions};

use crate::support::{Image, Layer, gzip, header, zstd};

fn layer() -> Layer {
    Layer::new()
}

#[tokio::test]
async fn names_that_programs_disagree_about_are_refused() {
    for (what, layer) in [
        ("traversal", layer().file("../x", "1")),
        ("traversal inside", layer().file("a/../../x", "1")),
        (
            "a link to the outside",
            layer().hard("a", "../../etc/passwd"),
        ),
        ("a root that is a link", layer().link("./", "/etc")),
        ("a root that is a file", layer().file("/.", "1")),
        ("a whiteout of nothing", layer().file(".wh.", "")),
        ("a whiteout of the directory", layer().file("a/.wh..", "")),
        ("a whiteout of the parent", layer().file("a/.wh...", "")),
        ("a name below a whiteout", layer().file(".wh.a/b", "")),
        ("a NUL", layer().pax(&[("path", b"a\0b")]).file("a", "")),
        (
            "a long path",
            layer().pax(&[("path", &[b'a'; 5000])]).file("a", ""),
        ),
        (
            "a NUL in a link",
            layer().pax(&[("linkpath", b"a\0b")]).link("a", "b"),
        ),
    ] {
        let error = Image::of(&[layer]).await.list().await.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
    }
}

#[tokio::test]
async fn headers_that_programs_disagree_about_are_refused() {
    let device = || header(EntryType::Symlink, 512);
    for (what, kind, layer) in [
        (
            "content of a link",
            ErrorKind::Corrupt,
            layer().raw(device(), b"a", &[0; 512]),
        ),
        (
            "an unknown type",
            ErrorKind::Unsupported,
            layer().entry(EntryType::new(b'Z'), "a", "", b""),
        ),
        (
            "a sparse file",
            ErrorKind::Unsupported,
            layer().entry(EntryType::GNUSparse, "a", "", b""),
        ),
        (
            "a sparse file in pax",
            ErrorKind::Unsupported,
            layer().pax(&[("GNU.sparse.major", b"1")]).file("a", ""),
        ),
        (
            "a negative size",
            ErrorKind::Corrupt,
            layer().pax(&[("size", b"-1")]).file("a", ""),
        ),
        (
            "a size beyond the end",
            ErrorKind::Corrupt,
            layer().pax(&[("size", b"99999999999")]).file("a", "1"),
        ),
        (
            "an impossible size",
            ErrorKind::Corrupt,
            layer()
                .pax(&[("size", b"18446744073709551615")])
                .file("a", "1"),
        ),
        ("an invalid record", ErrorKind::Corrupt, {
            layer()
                .raw(header(EntryType::XHeader, 3), b"pax", b"9 a")
                .file("a", "")
        }),
        (
            "records of nothing",
            ErrorKind::Corrupt,
            layer().pax(&[("path", b"a")]),
        ),
        ("many records", ErrorKind::SizeExceedsLimit, {
            (0..3000)
                .fold(layer(), |layer, _| layer.pax(&[("comment", b"a")]))
                .file("a", "")
        }),
        ("a huge record", ErrorKind::SizeExceedsLimit, {
            layer()
                .pax(&[("comment", &[b'a'; 2_000_000])])
                .file("a", "")
        }),
    ] {
        let error = Image::of(&[layer]).await.list().await.expect_err(what);
        assert_eq!(error.kind(), kind, "{what}: {error}");
    }
}

#[tokio::test]
async fn damaged_layers_are_errors_and_do_not_panic() {
    let tar = layer().dir("d").file("d/a", &"1".repeat(2000)).tar();
    for length in [0, 1, 511, 513, 1000, 2000, 2600] {
        let image = Image::of_blobs(vec![(gzip(&tar[..length]), tar[..length].to_vec())]).await;
        let listed = image.list().await;
        assert_eq!(listed.is_ok(), length == 0, "{length}");
    }
    let mut turned = tar.clone();
    for at in 0..600 {
        turned[at] ^= 0x55;
        let image = Image::of_blobs(vec![(turned.clone(), turned.clone())]).await;
        // Bytes that a checksum does not see change nothing else than names.
        let _ = image.list().await;
        turned[at] ^= 0x55;
    }
    let compressed = gzip(&tar);
    let cut = compressed[..compressed.len() - 9].to_vec();
    let error = Image::of_blobs(vec![(cut, tar)]).await.list().await;
    assert_eq!(error.expect_err("cut off").kind(), ErrorKind::Corrupt);
    for (start, kind) in [
        (&b"\xfd7zXZ\0\0\0"[..], ErrorKind::Unsupported),
        (b"BZh91AY&SY", ErrorKind::Unsupported),
        (b"no archive", ErrorKind::Corrupt),
    ] {
        let blob = [start, &[7; 600]].concat();
        let error = Image::of_blobs(vec![(blob.clone(), blob)])
            .await
            .list()
            .await;
        assert_eq!(error.expect_err("no archive").kind(), kind);
    }
}

#[tokio::test]
async fn bombs_end_at_a_limit() {
    let bomb = vec![0; 20_000_000];
    let large = layer().entry(EntryType::Regular, "a", "", &bomb).tar();
    let many = (0..200)
        .fold(layer(), |layer, at| layer.file(&format!("{at}"), ""))
        .tar();
    let limits = FilesystemOptions::default();
    for (what, tar, options) in [
        (
            "bytes",
            &large,
            limits.clone().with_max_unpacked_size(1_000_000),
        ),
        ("entries", &many, limits.clone().with_max_entries(100)),
        ("names", &many, limits.with_max_metadata_size(100)),
    ] {
        for blob in [gzip(tar), zstd(tar)] {
            let image = Image::of_blobs(vec![(blob, tar.clone())]).await;
            let mut files = image.open_with(options.clone()).await.expect("opened");
            let error = files.list("/", true).await.expect_err(what);
            assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit, "{what}: {error}");
        }
    }
}

#[tokio::test]
async fn deep_paths_are_listed_and_copied() {
    let deep = "d/".repeat(1500) + "x";
    let layers = [layer().pax(&[("path", deep.as_bytes())]).file("a", "1")];
    let image = Image::of(&layers).await;
    assert_eq!(image.list().await.expect("listed").len(), 1501);
}

#[tokio::test]
async fn nothing_is_written_outside_the_target() {
    let outside = tempfile::tempdir().expect("a directory");
    let target = tempfile::tempdir().expect("a directory");
    let to = outside.path().to_str().expect("UTF-8");
    let layers = [
        layer().link("out", to).link("up", "../../.."),
        layer()
            .file("out/a", "1")
            .file("up/b", "2")
            .hard("c", "out/a"),
        layer().dir("d").link("d/out", to),
        layer().file("d/out", "3"),
    ];
    let image = Image::of(&layers).await;
    let options = CopyOutOptions::default();
    let mut files = image.open().await;
    files
        .copy_out("/", target.path(), options)
        .await
        .expect("copied");
    assert_eq!(
        std::fs::read_dir(outside.path()).expect("listed").count(),
        0
    );
    assert!(target.path().join("out").is_symlink());
    assert_eq!(std::fs::read(target.path().join("c")).expect("read"), b"1");
    // A link that exists in the target is not followed.
    let error = files.copy_out("/", target.path(), options).await;
    assert_eq!(error.expect_err("exists").kind(), ErrorKind::Io);
}

#[tokio::test]
async fn what_is_not_an_image_has_no_files() {
    let image = Image::of(&[]).await;
    let empty = image
        .put(MediaType::EMPTY_JSON, &serde_json::json!({}))
        .await;
    image
        .tagged("v1", &Manifest::new(empty.clone(), vec![empty.clone()]))
        .await;
    let error = image.open_with(FilesystemOptions::default()).await;
    assert_eq!(
        error.expect_err("an artifact").kind(),
        ErrorKind::Unsupported
    );
    // A config of an image does not make layers of something else.
    let config = serde_json::json!({ "os": "linux", "rootfs": { "diff_ids": [] } });
    let config = image.put(MediaType::IMAGE_CONFIG, &config).await;
    image
        .tagged("v1", &Manifest::new(config, vec![empty]))
        .await;
    let error = image.open_with(FilesystemOptions::default()).await;
    assert_eq!(error.expect_err("no layers").kind(), ErrorKind::Unsupported);
}
