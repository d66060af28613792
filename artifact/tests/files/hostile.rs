//! Artifacts that try to write where they must not, or too much.

use std::fs;

use tar::EntryType;
use tranship::{Digest, ErrorKind};
use tranship_artifact::files::PullOptions;

use crate::support::{Case, TAR_DIGEST, Tar, archive, list, overwrite, titled};

/// Pulls, and checks that the pull is refused and that nothing has changed.
async fn refused(case: &Case, options: &PullOptions) -> ErrorKind {
    let before = list(case.directory.path());
    let error = case.pull(options).await.expect_err("refused");
    assert_eq!(list(case.directory.path()), before, "{error}");
    error.kind()
}

#[tokio::test]
async fn titles_do_not_lead_out() {
    for title in [
        "..",
        "../x",
        "/abs",
        "a/../../b",
        "a/..",
        "a/../b",
        "x\ny",
        "\u{1b}[2J",
        ".tranship-1-0/tree/x",
        ".",
    ] {
        let case = Case::new();
        case.store(vec![titled("good", "1"), titled(title, "2")])
            .await;
        assert_eq!(
            refused(&case, &overwrite()).await,
            ErrorKind::Unsupported,
            "{title}"
        );
    }
}

#[tokio::test]
async fn titles_do_not_collide() {
    for (one, other) in [("a", "a"), ("a", "./a"), ("a", "a/b"), ("a/b", "a")] {
        let case = Case::new();
        case.store(vec![titled(one, "1"), titled(other, "2")]).await;
        assert_eq!(
            refused(&case, &overwrite()).await,
            ErrorKind::Unsupported,
            "{one} {other}"
        );
    }
}

#[tokio::test]
async fn a_file_does_not_collide_with_one_in_an_archive() {
    let case = Case::new();
    let tar = Tar::new().file("d/x", "1").bytes();
    case.store(vec![archive("d", &tar), titled("d/x", "2")])
        .await;
    assert_eq!(refused(&case, &overwrite()).await, ErrorKind::Unsupported);
}

#[cfg(unix)]
#[tokio::test]
async fn links_in_the_output_directory_are_not_followed() {
    use std::os::unix::fs::symlink;

    let case = Case::new();
    case.write("elsewhere/f", "untouched");
    fs::create_dir(case.path("out")).expect("made");
    symlink("../elsewhere", case.path("out/l")).expect("linked");
    let tar = Tar::new().file("l/f", "1").bytes();
    for layer in [titled("l/f", "1"), titled("l/new", "1"), archive("l", &tar)] {
        case.store(vec![layer]).await;
        assert_eq!(refused(&case, &overwrite()).await, ErrorKind::Io);
    }
    // A link at the place of the file itself is replaced, not written through.
    symlink("../elsewhere/f", case.path("out/f")).expect("linked");
    case.store(vec![titled("f", "new")]).await;
    assert_eq!(refused(&case, &PullOptions::default()).await, ErrorKind::Io);
    case.pull(&overwrite()).await.expect("replaced");
    assert_eq!(case.read("out/f"), "new");
    assert_eq!(case.read("elsewhere/f"), "untouched");
}

#[tokio::test]
async fn entries_stay_in_their_directory() {
    for name in [
        "d/../x",
        "../x",
        "/d/x",
        "x",
        "dx/y",
        "d/a/../../../x",
        "d/..",
        "e/f",
    ] {
        let case = Case::new();
        case.store_archive(Tar::new().file("d/good", "1").file(name, "2").bytes())
            .await;
        assert_eq!(
            refused(&case, &overwrite()).await,
            ErrorKind::Unsupported,
            "{name}"
        );
    }
}

#[tokio::test]
async fn links_in_an_archive_stay_in_their_directory() {
    for (name, target) in [
        ("d/l", "/etc/passwd"),
        ("d/l", ".."),
        ("d/l", "../x"),
        ("d/a/l", "../../x"),
        ("d/l", "a/../../x"),
        ("d/l", "a/.."),
        ("d/l", ""),
    ] {
        let case = Case::new();
        case.store_archive(Tar::new().directory("d/a").link(name, target).bytes())
            .await;
        assert_eq!(
            refused(&case, &overwrite()).await,
            ErrorKind::Unsupported,
            "{name} {target}"
        );
    }
}

#[tokio::test]
async fn nothing_is_written_through_a_link_of_the_archive() {
    for tar in [
        Tar::new()
            .directory("d/a")
            .link("d/l", "a")
            .file("d/l/x", "1"),
        Tar::new()
            .directory("d/a")
            .link("d/l", "a")
            .directory("d/l/x"),
        Tar::new()
            .file("d/a", "1")
            .link("d/l", "a")
            .file("d/l", "2"),
        // A chain of links that leads out if each is followed.
        Tar::new()
            .directory("d/a/b")
            .link("d/a/b/up", "../..")
            .link("d/out", "a/b/up/..")
            .file("d/out/x", "1"),
        Tar::new().link("d", ".").file("d/x", "1"),
        Tar::new().link("d", "..").file("d/x", "1"),
    ] {
        let case = Case::new();
        case.store_archive(tar.bytes()).await;
        assert_eq!(refused(&case, &overwrite()).await, ErrorKind::Unsupported);
    }
}

#[tokio::test]
async fn hard_links_name_files_of_the_archive_only() {
    for target in [
        "/etc/passwd",
        "../x",
        "d/missing",
        "e/f",
        "d/dir",
        "d",
        "d/link",
    ] {
        let case = Case::new();
        let tar = Tar::new()
            .directory("d/dir")
            .file("d/f", "1")
            .link("d/link", "f")
            .entry(EntryType::Link, "d/hard", target, 0o644, b"")
            .bytes();
        case.store_archive(tar).await;
        let kind = refused(&case, &overwrite()).await;
        assert!(
            [ErrorKind::Unsupported, ErrorKind::NotFound].contains(&kind),
            "{target}: {kind}"
        );
    }
}

#[tokio::test]
async fn special_files_are_refused() {
    for kind in [
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::GNUSparse,
        EntryType::new(b'Z'),
    ] {
        let case = Case::new();
        case.store_archive(Tar::new().entry(kind, "d/special", "", 0o644, b"").bytes())
            .await;
        let error = case.pull(&overwrite()).await.expect_err("refused");
        assert!(
            [ErrorKind::Unsupported, ErrorKind::Corrupt].contains(&error.kind()),
            "{kind:?}"
        );
        assert!(!case.path("out").exists());
    }
}

#[tokio::test]
async fn a_name_occurs_once_in_an_archive() {
    for tar in [
        Tar::new().file("d/a", "1").file("d/a", "2"),
        Tar::new().file("d/a", "1").file("d/./a", "2"),
        Tar::new().file("d/a", "1").directory("d/a"),
        Tar::new().file("d/a", "1").file("d/a/b", "2"),
        Tar::new().directory("d/a").file("d/a", "2"),
    ] {
        let case = Case::new();
        case.store_archive(tar.bytes()).await;
        assert_eq!(refused(&case, &overwrite()).await, ErrorKind::Unsupported);
    }
}

#[tokio::test]
async fn both_digests_of_an_archive_are_checked() {
    let case = Case::new();
    let tar = Tar::new().file("d/a", "1").bytes();
    let (descriptor, content) = archive("d", &tar);
    let other = Digest::of(b"other").to_string();
    case.store(vec![(
        descriptor.with_annotation(TAR_DIGEST, other),
        content,
    )])
    .await;
    assert_eq!(
        refused(&case, &overwrite()).await,
        ErrorKind::DigestMismatch
    );
}

#[tokio::test]
async fn the_entries_of_an_archive_are_bounded() {
    let case = Case::new();
    let tar = (0..11).fold(Tar::new(), |tar, n| tar.file(&format!("d/{n}"), ""));
    case.store_archive(tar.bytes()).await;
    let options = PullOptions::default().with_max_entries(10);
    assert_eq!(refused(&case, &options).await, ErrorKind::SizeExceedsLimit);
    case.pull(&PullOptions::default().with_max_entries(11))
        .await
        .expect("within");
}

#[tokio::test]
async fn the_size_of_an_archive_is_bounded() {
    let case = Case::new();
    let tar = Tar::new().file("d/zeros", &"\0".repeat(1 << 20)).bytes();
    let size = tar.len() as u64;
    case.store_archive(tar).await;
    let options = PullOptions::default().with_max_unpacked_size(size - 1);
    assert_eq!(refused(&case, &options).await, ErrorKind::SizeExceedsLimit);
    let options = PullOptions::default().with_max_unpacked_size(size + 1);
    case.pull(&options).await.expect("within");
}

#[tokio::test]
async fn the_name_of_an_entry_is_bounded() {
    let case = Case::new();
    let name = vec![b'n'; 2 << 20];
    let tar = Tar::new()
        .entry(EntryType::GNULongName, "././@LongLink", "", 0o644, &name)
        .file("d/x", "1")
        .bytes();
    case.store_archive(tar).await;
    assert_eq!(
        refused(&case, &overwrite()).await,
        ErrorKind::SizeExceedsLimit
    );
}

#[tokio::test]
async fn names_are_not_too_long_nor_too_deep() {
    let long = "n".repeat(256);
    let deep = "n/".repeat(101);
    for name in [&long, &deep] {
        let case = Case::new();
        let full = format!("d/{name}");
        let tar = Tar::new()
            .entry(
                EntryType::GNULongName,
                "././@LongLink",
                "",
                0o644,
                full.as_bytes(),
            )
            .file("d/x", "1")
            .bytes();
        case.store(vec![archive("d", &tar)]).await;
        assert_eq!(refused(&case, &overwrite()).await, ErrorKind::Unsupported);
        case.store(vec![titled(name, "1")]).await;
        assert_eq!(refused(&case, &overwrite()).await, ErrorKind::Unsupported);
    }
}

#[tokio::test]
async fn damaged_archives_are_corrupt() {
    let tar = Tar::new().file("d/a", &"1".repeat(5000)).bytes();
    for bytes in [
        &tar[..1000],
        b"\x1f\x8bnonsense",
        &[b'x'; 2000],
        &tar[..100],
    ] {
        let case = Case::new();
        let (descriptor, content) = archive("d", bytes);
        case.store(vec![(descriptor, content)]).await;
        assert_eq!(refused(&case, &overwrite()).await, ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn sparse_files_are_refused() {
    // As GNU tar writes one with --format=pax.
    let map = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n";
    let case = Case::new();
    let tar = Tar::new()
        .entry(EntryType::XHeader, "PaxHeader", "", 0o644, map)
        .file("d/GNUSparseFile.1/real", "1\n0\n1\nx")
        .bytes();
    case.store_archive(tar).await;
    assert_eq!(refused(&case, &overwrite()).await, ErrorKind::Unsupported);
}
