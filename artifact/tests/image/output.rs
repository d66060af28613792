//! Archives and files that are written from an image, and the differences of two images.

use std::fs;
use std::io::{self, Read as _, Write};

use tar::EntryType;
use tranship::{Digest, ErrorKind};
use tranship_artifact::image::{ChangeKind, Changed, CopyOutOptions, FilesystemOptions, diff};

use crate::support::{Image, Layer, gzip, header};

fn layer() -> Layer {
    Layer::new()
}

fn layers() -> [Layer; 2] {
    let mut device = header(EntryType::Char, 0);
    device.set_device_major(1).expect("a number");
    device.set_device_minor(3).expect("a number");
    let mut program = header(EntryType::Regular, 2);
    program.set_mode(0o4755);
    let long = "n".repeat(150);
    [
        layer()
            .dir("d")
            .file("d/old", "1")
            .file("d/gone", "1")
            .raw(device, b"null", b""),
        layer()
            .raw(program, b"d/sudo", b"su")
            .hard("a", "d/sudo")
            .link("l", &"t".repeat(100))
            .pax(&[
                ("path", long.as_bytes()),
                ("SCHILY.xattr.user.x", b"a\nb"),
                ("mtime", b"-1.5"),
                ("uid", b"5000000"),
            ])
            .file("long", "long")
            .file("d/.wh.gone", "")
            .entry(EntryType::Fifo, "pipe", "", b""),
    ]
}

async fn exported(image: &Image) -> Vec<u8> {
    image
        .open()
        .await
        .export(Vec::new())
        .await
        .expect("exported")
}

#[tokio::test]
async fn an_archive_has_what_the_image_has() {
    let image = Image::of(&layers()).await;
    let tar = exported(&image).await;
    assert_eq!(tar, exported(&image).await, "the same each time");
    // The archive as a layer is the same image.
    let again = Image::of_blobs(vec![(gzip(&tar), tar.clone())]).await;
    let (mut before, mut after) = (image.open().await, again.open().await);
    assert_eq!(
        diff(&mut before, &mut after)
            .await
            .expect("compared")
            .changes,
        []
    );
    let of = |entries: Vec<tranship_artifact::image::Entry>| {
        let entries = entries.into_iter();
        entries
            .map(|entry| (entry.path.clone(), entry.mtime))
            .collect::<Vec<_>>()
    };
    let first = of(before.list("/", true).await.expect("listed"));
    assert_eq!(first, of(after.list("/", true).await.expect("listed")));
}

#[tokio::test]
async fn an_archive_is_read_by_another_program_in_a_safe_order() {
    let image = Image::of(&layers()).await;
    let tar = exported(&image).await;
    let mut archive = tar::Archive::new(&tar[..]);
    let mut found = Vec::new();
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let mut content = String::new();
        entry.read_to_string(&mut content).expect("read");
        let path = entry.path().expect("a path").display().to_string();
        let kind = entry.header().entry_type();
        found.push(format!("{} {path} {content}", char::from(kind.as_byte())));
    }
    let long = "n".repeat(150);
    let expected = [
        "5 d/ ",
        "0 d/old 1",
        "0 a su",
        "1 d/sudo ",
        &format!("0 {long} long"),
        "2 l ",
        "3 null ",
        "6 pipe ",
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_writer_that_fails_ends_the_export() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let image = Image::of(&layers()).await;
    let error = image.open().await.export(Full).await.err().expect("full");
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_copied_with_their_permissions() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    let image = Image::of(&layers()).await;
    let target = tempfile::tempdir().expect("a directory");
    let target = target.path().join("new");
    let mut files = image.open().await;
    let report = files
        .copy_out("/d", &target, CopyOutOptions::default())
        .await;
    let report = report.expect("copied");
    assert_eq!(report.written, [target.join("d")]);
    assert_eq!((report.files, report.bytes), (2, 3));
    let metadata = fs::metadata(target.join("d/sudo")).expect("copied");
    assert_eq!(metadata.permissions().mode() & 0o7700, 0o700);
    assert_eq!(metadata.mtime(), 1);
    assert_eq!(fs::read(target.join("d/old")).expect("copied"), b"1");
    let all = tempfile::tempdir().expect("a directory");
    let options = CopyOutOptions::default().with_special_bits(true);
    let report = files
        .copy_out("/", all.path(), options)
        .await
        .expect("copied");
    assert_eq!(report.skipped, ["/null", "/pipe"]);
    let (a, sudo) = (
        fs::metadata(all.path().join("a")),
        fs::metadata(all.path().join("d/sudo")),
    );
    let (a, sudo) = (a.expect("copied"), sudo.expect("copied"));
    assert_eq!(a.ino(), sudo.ino());
    assert_eq!(a.permissions().mode() & 0o7000, 0o4000);
    let names: Vec<_> = fs::read_dir(all.path()).expect("listed").collect();
    assert_eq!(names.len(), 4, "{names:?}");
}

#[tokio::test]
async fn a_file_that_exists_is_replaced_only_if_asked() {
    let image = Image::of(&layers()).await;
    let target = tempfile::tempdir().expect("a directory");
    let path = target.path().join("old");
    fs::write(&path, "mine").expect("written");
    let mut files = image.open().await;
    let options = CopyOutOptions::default();
    let error = files.copy_out("/d/old", target.path(), options).await;
    assert_eq!(error.expect_err("exists").kind(), ErrorKind::Io);
    assert_eq!(fs::read(&path).expect("read"), b"mine");
    let options = options.with_overwrite(true);
    files
        .copy_out("/d/old", target.path(), options)
        .await
        .expect("replaced");
    assert_eq!(fs::read(&path).expect("read"), b"1");
    fs::create_dir(target.path().join("d")).expect("made");
    let error = files.copy_out("/d", target.path(), options).await;
    assert_eq!(error.expect_err("a directory").kind(), ErrorKind::Io);
    assert_eq!(fs::read_dir(target.path()).expect("listed").count(), 2);
}

#[tokio::test]
async fn a_layer_that_is_damaged_leaves_nothing() {
    let tar = layer().dir("d").file("d/a", "1").tar();
    let image = Image::of(&[]).await;
    image
        .push("v1", vec![gzip(&tar)], vec![Digest::of(b"other")])
        .await;
    let target = tempfile::tempdir().expect("a directory");
    let new = target.path().join("new");
    for path in ["/", "/d", "/d/a"] {
        let options = FilesystemOptions::default();
        let mut files = image.open_with(options).await.expect("opened");
        let outcome = files.copy_out(path, &new, CopyOutOptions::default()).await;
        outcome.expect_err("damaged");
        assert!(!new.exists(), "{path}");
    }
}

#[tokio::test]
async fn differences_are_listed_in_the_order_of_the_paths() {
    let mut mode = header(EntryType::Regular, 1);
    mode.set_mode(0o600);
    mode.set_uid(7);
    let before = layer()
        .dir("d")
        .file("d/same", "1")
        .file("d/x", "1")
        .file("gone", "1")
        .link("l", "a")
        .file("m", "1");
    let after = layer()
        .file("new", "1")
        .dir("d")
        .file("d/x", "2")
        .file("d/same", "1")
        .link("l", "b")
        .raw(mode, b"m", b"1")
        .dir("t");
    let before = before.file("t", "1");
    let (first, second) = (Image::of(&[before]).await, Image::of(&[after]).await);
    let found = diff(&mut first.open().await, &mut second.open().await).await;
    let found: Vec<_> = found
        .expect("compared")
        .changes
        .into_iter()
        .map(|change| {
            let entry = change.after.or(change.before).expect("a file");
            (change.kind, entry.path_text(), change.fields)
        })
        .collect();
    let changed =
        |path: &str, fields: &[Changed]| (ChangeKind::Changed, path.to_owned(), fields.to_vec());
    let expected = [
        changed("/d/x", &[Changed::Content]),
        (ChangeKind::Removed, "/gone".to_owned(), vec![]),
        changed("/l", &[Changed::Target]),
        changed("/m", &[Changed::Mode, Changed::Owner]),
        (ChangeKind::Added, "/new".to_owned(), vec![]),
        changed("/t", &[Changed::Type]),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn an_export_fetches_each_layer_once() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    let image = Image::of(&layers()).await;
    let fetched = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&fetched);
    let mut files = image.open().await.with_progress(move |bytes| {
        counter.fetch_add(bytes, Ordering::Relaxed);
    });
    files.export(Vec::new()).await.expect("exported");
    let sizes: u64 = files.layers().map(tranship::Descriptor::size).sum();
    assert_eq!(fetched.load(Ordering::Relaxed), sizes);
}
