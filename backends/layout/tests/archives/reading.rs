//! What is read, in all the forms in which archives come.

use std::io::Write as _;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tar::EntryType;
use tranship::{ByteRange, Descriptor, ErrorKind, Fetcher, MediaType, Repository};
use tranship_layout::Layout;

use crate::archive::{Image, header, member, options, picture, raw_member};

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).expect("in memory");
    encoder.finish().expect("in memory")
}

pub(crate) fn zstd(content: &[u8]) -> Vec<u8> {
    compress_to_vec(content, CompressionLevel::Fastest)
}

#[tokio::test]
async fn an_archive_gives_what_its_layout_holds() {
    let image = Image::new();
    let picture = image.picture().await;
    assert_eq!(picture.tags["v1"], *image.root.digest());
    assert_eq!(picture.content.len(), 3);
    assert!(
        picture
            .content
            .values()
            .any(|content| *content == image.layer)
    );
}

#[tokio::test]
async fn the_order_of_members_does_not_matter() {
    let mut image = Image::new();
    let expected = image.picture().await;
    image.files.reverse();
    assert_eq!(image.picture().await, expected);
    image.files.sort();
    assert_eq!(image.picture().await, expected);
}

#[tokio::test]
async fn members_may_begin_with_a_dot_and_come_with_their_directories() {
    let image = Image::new();
    let expected = image.picture().await;
    let mut builder = tar::Builder::new(Vec::new());
    for directory in ["./", "./blobs/", "./blobs/sha256/"] {
        raw_member(
            &mut builder,
            directory.as_bytes(),
            EntryType::Directory,
            b"",
        );
    }
    for (name, content) in &image.files {
        // `tar` takes the dot away.
        let name = format!("./{name}");
        raw_member(&mut builder, name.as_bytes(), EntryType::Regular, content);
    }
    let archive = builder.into_inner().expect("in memory");
    assert!(archive.windows(12).any(|part| part == b"./index.json"));
    assert_eq!(image.read(&archive).await.expect("sound"), expected);
}

#[tokio::test]
async fn names_may_stand_in_records_before_the_member() {
    let image = Image::new();
    let expected = image.picture().await;
    let mut pax = tar::Builder::new(Vec::new());
    let mut gnu = tar::Builder::new(Vec::new());
    for (name, content) in &image.files {
        let records = [("path", name.as_bytes()), ("mtime", b"1.5".as_slice())];
        pax.append_pax_extensions(records).expect("in memory");
        raw_member(&mut pax, b"short", EntryType::Regular, content);
        let mut long = header(EntryType::GNULongName, name.len() as u64 + 1);
        long.set_path("././@LongLink").expect("short");
        long.set_cksum();
        let terminated = [name.as_bytes(), b"\0"].concat();
        gnu.append(&long, &terminated[..]).expect("in memory");
        raw_member(&mut gnu, b"short", EntryType::Regular, content);
    }
    for builder in [pax, gnu] {
        let archive = builder.into_inner().expect("in memory");
        assert_eq!(image.read(&archive).await.expect("sound"), expected);
    }
}

#[tokio::test]
async fn a_compressed_archive_is_known_by_its_content() {
    let image = Image::new();
    let expected = image.picture().await;
    let tar = image.tar(|_| {});
    let (one, other) = tar.split_at(1234);
    for archive in [
        gzip(&tar),
        [gzip(one), gzip(other)].concat(),
        zstd(&tar),
        [zstd(one), zstd(other)].concat(),
    ] {
        assert_eq!(image.read(&archive).await.expect("sound"), expected);
    }
}

#[tokio::test]
async fn what_follows_compressed_content_is_an_error() {
    let image = Image::new();
    for compressed in [gzip(&image.tar(|_| {})), zstd(&image.tar(|_| {}))] {
        let error = image
            .read(&[&compressed[..], b"garbage"].concat())
            .await
            .expect_err("garbage");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

#[tokio::test]
async fn ranges_of_a_blob_are_read_alone() {
    let image = Image::new();
    image.picture().await;
    let archive = Layout::open_archive(image.path(), options())
        .await
        .expect("sound");
    let layer = Descriptor::of(MediaType::IMAGE_LAYER, &image.layer);
    let range = ByteRange::from(4..11);
    let part = archive.blobs().fetch_range(&layer, range).await;
    let part = part.expect("there").bytes(100).await.expect("read");
    assert_eq!(part, image.layer.slice(4..11));
}

#[tokio::test]
async fn what_is_read_is_read_on_when_the_archive_is_replaced() {
    let image = Image::new();
    let expected = image.picture().await;
    let archive = Layout::open_archive(image.path(), options())
        .await
        .expect("sound");
    let layer = Descriptor::of(MediaType::IMAGE_LAYER, &image.layer);
    let content = archive.fetch(&layer).await.expect("there");

    let other = Image::new();
    let empty = other.tar(|builder| member(builder, "more", b"more"));
    let beside = image.directory.path().join("new");
    std::fs::write(&beside, empty).expect("written");
    std::fs::rename(&beside, image.path()).expect("replaced");

    assert_eq!(content.bytes(100).await.expect("read"), image.layer);
    assert_eq!(picture(&archive).await.expect("sound"), expected);
}

#[tokio::test]
async fn what_is_no_file_is_told_from_a_damaged_one() {
    let image = Image::new();
    let open = |path| Layout::open_archive(path, options());
    let error = open(image.path()).await.expect_err("nothing there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = open(image.directory.path().to_owned()).await;
    assert_eq!(
        error.expect_err("a directory").kind(),
        ErrorKind::InvalidInput
    );
    std::fs::write(image.path(), b"").expect("written");
    let error = open(image.path()).await.expect_err("empty");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_is_refused_and_not_waited_for() {
    let image = Image::new();
    let made = std::process::Command::new("mkfifo")
        .arg(image.path())
        .status();
    assert!(made.expect("mkfifo").success());
    let error = Layout::open_archive(image.path(), options()).await;
    assert_eq!(error.expect_err("a pipe").kind(), ErrorKind::InvalidInput);
}
