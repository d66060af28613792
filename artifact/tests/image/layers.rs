//! What images of several layers contain (image-spec, "Image Layer Filesystem Changeset").

use tar::EntryType;
use tranship::{Digest, ErrorKind};
use tranship_artifact::image::LayerChange;

use crate::support::{Image, Layer, gzip, text, zstd};

async fn expect(layers: &[Layer], expected: &[&str]) {
    let image = Image::of(layers).await;
    let listed = image.list().await.expect("sound layers");
    assert_eq!(listed, expected);
}

fn layer() -> Layer {
    Layer::new()
}

#[tokio::test]
async fn a_directory_over_a_directory_keeps_its_files() {
    let layers = [
        layer().dir("a").file("a/x", "1"),
        layer().dir("a/").file("a/y", "2"),
    ];
    expect(&layers, &["/a/", "/a/x=1", "/a/y=2"]).await;
}

#[tokio::test]
async fn a_file_replaces_a_directory_and_the_reverse() {
    let layers = [
        layer().dir("a").file("a/x", "1").file("b", "2"),
        layer().file("a", "3").dir("b").file("b/y", "4"),
    ];
    expect(&layers, &["/a=3", "/b/", "/b/y=4"]).await;
}

#[tokio::test]
async fn a_whiteout_removes_from_lower_layers_only() {
    for newer in [
        layer().file(".wh.x", "").file("x", "new"),
        layer().file("x", "new").file(".wh.x", ""),
    ] {
        let layers = [layer().file("x", "old").file("y", "1"), newer];
        expect(&layers, &["/x=new", "/y=1"]).await;
    }
}

#[tokio::test]
async fn a_whiteout_of_a_directory_removes_all_of_it() {
    let layers = [
        layer().dir("d").file("d/x", "1"),
        layer().file("d/y", "2").file(".wh.d", ""),
    ];
    expect(&layers, &["/d/", "/d/y=2"]).await;
}

#[tokio::test]
async fn an_opaque_whiteout_hides_lower_layers_wherever_it_is() {
    for newer in [
        layer()
            .dir("d")
            .file("d/.wh..wh..opq", "")
            .file("d/new", "2"),
        layer()
            .dir("d")
            .file("d/new", "2")
            .file("d/.wh..wh..opq", ""),
    ] {
        let layers = [layer().dir("d").file("d/old", "1").file("e", "3"), newer];
        expect(&layers, &["/d/", "/d/new=2", "/e=3"]).await;
    }
}

#[tokio::test]
async fn whiteouts_of_a_single_layer_do_not_show() {
    let layers = [layer()
        .file(".wh.x", "")
        .dir("d")
        .file("d/.wh..wh..opq", "")];
    expect(&layers, &["/d/"]).await;
}

#[tokio::test]
async fn a_whiteout_is_told_by_its_name_whatever_its_type() {
    let layers = [
        layer().file("x", "1").file("y", "2"),
        layer()
            .entry(EntryType::Char, ".wh.x", "", b"")
            .hard(".wh.y", ".wh.x"),
    ];
    expect(&layers, &[]).await;
}

#[tokio::test]
async fn a_whiteout_in_a_layer_with_dots_in_its_names_counts() {
    let layers = [
        layer().file("./a", "1").file("/b", "2"),
        layer().file("./.wh.a", ""),
    ];
    expect(&layers, &["/b=2"]).await;
}

#[tokio::test]
async fn a_whiteout_of_a_symbolic_link_keeps_its_target() {
    let layers = [
        layer().file("t", "1").link("l", "t"),
        layer().file(".wh.l", ""),
    ];
    expect(&layers, &["/t=1"]).await;
}

#[tokio::test]
async fn an_opaque_directory_in_place_of_a_link_keeps_the_target() {
    let layers = [
        layer().dir("t").file("t/x", "1").link("d", "t"),
        layer().dir("d").file("d/.wh..wh..opq", "").file("d/y", "2"),
    ];
    expect(&layers, &["/d/", "/d/y=2", "/t/", "/t/x=1"]).await;
}

#[tokio::test]
async fn names_lead_through_links_of_lower_layers() {
    let layers = [
        layer().dir("usr").dir("usr/bin").link("bin", "usr/bin"),
        layer().file("bin/sh", "1"),
    ];
    expect(
        &layers,
        &["/bin>usr/bin", "/usr/", "/usr/bin/", "/usr/bin/sh=1"],
    )
    .await;
}

#[tokio::test]
async fn a_directory_replaces_a_link_to_a_directory() {
    let layers = [
        layer().dir("usr").file("usr/x", "1").link("lib", "usr"),
        layer().dir("lib").file("lib/y", "2"),
    ];
    expect(&layers, &["/lib/", "/lib/y=2", "/usr/", "/usr/x=1"]).await;
}

#[tokio::test]
async fn links_stay_inside_the_image() {
    let layers = [
        layer()
            .dir("etc")
            .file("etc/x", "1")
            .link("up", "../../../etc")
            .link("abs", "/etc"),
        layer().file("up/y", "2").file("abs/z", "3"),
    ];
    let expected = [
        "/abs>/etc",
        "/etc/",
        "/etc/x=1",
        "/etc/y=2",
        "/etc/z=3",
        "/up>../../../etc",
    ];
    expect(&layers, &expected).await;
}

#[tokio::test]
async fn a_layer_that_rewrites_one_name_keeps_the_other() {
    let layers = [
        layer().file("a", "1").hard("b", "a"),
        layer().file("a", "2"),
        layer().file(".wh.a", ""),
    ];
    expect(&layers[..2], &["/a=2", "/b=1"]).await;
    expect(&layers, &["/b=1"]).await;
}

#[tokio::test]
async fn a_hard_link_may_lead_to_a_lower_layer() {
    let layers = [layer().dir("d").file("d/a", "1"), layer().hard("b", "/d/a")];
    expect(&layers, &["/b=1", "/d/", "/d/a=1"]).await;
}

#[tokio::test]
async fn a_hard_link_to_nothing_is_an_error() {
    for layer in [layer().hard("b", "a"), layer().dir("a").hard("b", "a")] {
        let error = Image::of(&[layer]).await.list().await.expect_err("no file");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn parents_that_no_layer_describes_are_directories() {
    expect(&[layer().file("a/b/c", "1")], &["/a/", "/a/b/", "/a/b/c=1"]).await;
}

#[tokio::test]
async fn the_last_of_two_entries_with_one_path_counts() {
    expect(&[layer().file("a", "1").file("./a", "2")], &["/a=2"]).await;
}

#[tokio::test]
async fn what_aufs_kept_is_only_a_source_of_links() {
    let layers = [
        layer()
            .dir(".wh..wh.plnk")
            .file(".wh..wh.plnk/1", "x")
            .hard("a", ".wh..wh.plnk/1"),
        layer().file(".wh..wh.aufs", ""),
    ];
    expect(&layers, &["/a=x"]).await;
}

#[tokio::test]
async fn layers_of_all_formats_are_read_to_their_end() {
    let tar = layer().file("a", "1").file("b", "2").tar();
    let (start, rest) = tar.split_at(700);
    let skippable = b"\x50\x2a\x4d\x18\x02\0\0\0xx".to_vec();
    for blob in [
        tar.clone(),
        gzip(&tar),
        [gzip(start), gzip(rest), gzip(b"")].concat(),
        zstd(&tar),
        [skippable.clone(), zstd(start), zstd(rest), skippable].concat(),
    ] {
        let image = Image::of_blobs(vec![(blob, tar.clone())]).await;
        assert_eq!(image.list().await.expect("sound"), ["/a=1", "/b=2"]);
    }
    let empty = Image::of_blobs(vec![(Vec::new(), Vec::new())]).await;
    assert!(empty.list().await.expect("an empty layer").is_empty());
}

#[tokio::test]
async fn a_layer_must_be_what_the_config_says() {
    let (tar, other) = (layer().file("a", "1").tar(), layer().file("a", "2").tar());
    // What follows the end of the archive counts, too.
    for other in [other, [&tar[..], &[0; 512]].concat()] {
        let image = Image::of_blobs(vec![(gzip(&tar), other)]).await;
        let mut files = image.open().await;
        let error = files.read("a").await.expect_err("another digest");
        assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
    }
}

#[tokio::test]
async fn long_names_and_attributes_are_read() {
    let long = format!("{}/name", "d".repeat(200));
    let value = b"\x01\n\0\xff=\n";
    let layers = [layer()
        .pax(&[
            ("path", long.as_bytes()),
            ("SCHILY.xattr.security.capability", value),
            ("mtime", b"-1.25"),
            ("uid", b"3000000"),
        ])
        .file("short", "1")];
    let image = Image::of(&layers).await;
    let mut files = image.open().await;
    let entry = files.metadata(&long).await.expect("found");
    assert_eq!(entry.xattrs["security.capability"], value);
    assert_eq!((entry.uid, entry.mtime), (3_000_000, -2));
    let (_, content) = files.read(&long).await.expect("a file");
    assert_eq!(text(content).await, "1");
}

#[tokio::test]
async fn a_layer_alone_lists_what_it_changes() {
    let layers = [
        layer().file("x", "old").file("y", "1"),
        layer()
            .dir("d")
            .file("d/.wh..wh..opq", "")
            .file("d/new", "2")
            .hard("d/other", "d/new")
            .file(".wh.x", ""),
    ];
    let image = Image::of(&layers).await;
    let mut files = image.open().await;
    let digest = *files.layers().nth(1).expect("a layer").digest();
    let changes = files.list_layer(&digest).await.expect("a sound layer");
    let shown: Vec<String> = changes.iter().map(shown_change).collect();
    assert_eq!(
        shown,
        ["+/d", "0/d", "+/d/new", "=/d/other", "-/x"],
        "in the order of the layer"
    );
    let error = files.list_layer(&Digest::of(b"other")).await;
    let error = error.expect_err("not a layer of the image");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn shown_change(change: &LayerChange) -> String {
    let sign = match change {
        LayerChange::Adds(_) => '+',
        LayerChange::Links { .. } => '=',
        LayerChange::Removes { .. } => '-',
        _ => '0',
    };
    format!("{sign}{}", String::from_utf8_lossy(change.path()))
}
