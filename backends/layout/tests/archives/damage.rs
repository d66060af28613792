//! Archives that are damaged, or made to mislead.

use tar::EntryType;
use tranship::{Error, ErrorKind};

use crate::archive::{Image, header, member, name_of, raw_member};
use crate::reading::gzip;

fn line(error: &Error) -> String {
    error.to_string()
}

/// How reading an archive ends whose members were changed: the kind, and what the message says.
async fn refused(change: impl FnOnce(&Image, &mut tar::Builder<Vec<u8>>), words: &[&str]) {
    let image = Image::new();
    let archive = image.tar(|builder| change(&image, builder));
    let error = image.read(&archive).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    for word in words.iter().chain(&["image.tar"]) {
        assert!(line(&error).contains(word), "no {word} in: {error}");
    }
}

#[tokio::test]
async fn an_error_does_not_quote_a_file_that_is_not_an_archive() {
    let image = Image::new();
    let file = "root:secret:0:0:root\n".repeat(100);
    let error = image.read(file.as_bytes()).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        assert!(!error.to_string().contains("secret"), "{error}");
        cause = error.source();
    }
}

#[tokio::test]
async fn an_archive_that_is_cut_off_anywhere_is_an_error_or_complete() {
    let image = Image::new();
    let expected = image.picture().await;
    let archive = image.tar(|_| {});
    let mut complete = 0;
    for length in 0..archive.len() {
        match image.read(&archive[..length]).await {
            // One of the two blocks at the end says all.
            Ok(picture) => {
                assert_eq!(picture, expected, "{length} bytes");
                complete += 1;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{length} bytes: {error}"),
        }
    }
    assert_eq!(complete, 512);
}

#[tokio::test]
async fn an_altered_byte_anywhere_is_an_error_or_changes_nothing_that_is_read() {
    let image = Image::new();
    let expected = image.picture().await;
    let archive = image.tar(|_| {});
    let mut errors = 0;
    for position in 0..archive.len() {
        let mut altered = archive.clone();
        altered[position] ^= [0x01, 0x80, 0xff][position % 3];
        match image.read(&altered).await {
            // Where the name of the tag is altered, another leads to the same.
            Ok(picture) => {
                for digest in picture.tags.values() {
                    assert_eq!(digest, image.root.digest(), "byte {position}");
                }
                for (digest, content) in &picture.content {
                    let right = expected.content.get(digest);
                    assert_eq!(right, Some(content), "byte {position}");
                }
            }
            Err(_) => errors += 1,
        }
    }
    assert!(
        errors > archive.len() / 2,
        "only {errors} of them are noticed"
    );
}

#[tokio::test]
async fn an_altered_byte_of_a_compressed_archive_is_an_error_or_changes_nothing() {
    let image = Image::new();
    let expected = image.picture().await;
    let archive = gzip(&image.tar(|_| {}));
    for position in 0..archive.len() {
        let mut altered = archive.clone();
        altered[position] ^= 0x55;
        if let Ok(picture) = image.read(&altered).await {
            assert_eq!(picture, expected, "byte {position}");
        }
        let error = image.read(&archive[..position]).await.expect_err("cut off");
        assert_eq!(
            error.kind(),
            ErrorKind::Corrupt,
            "{position} bytes: {error}"
        );
    }
}

#[tokio::test]
async fn names_that_lead_to_files_of_the_layout_by_a_detour_are_refused() {
    for name in [
        "../index.json",
        "/oci-layout",
        "x/../index.json",
        "blobs\\..\\index.json",
        "blobs//../oci-layout",
    ] {
        let escaped = name.replace('\\', "\\\\");
        refused(
            |_, builder| raw_member(builder, name.as_bytes(), EntryType::Regular, b"{}"),
            &[&escaped, "detour"],
        )
        .await;
    }
    refused(
        |_, builder| {
            let records = [("path", b"index.json\0".as_slice())];
            builder.append_pax_extensions(records).expect("in memory");
            raw_member(builder, b"x", EntryType::Regular, b"{}");
        },
        &["index.json", "detour"],
    )
    .await;
}

#[tokio::test]
async fn hostile_names_that_are_nothing_of_a_layout_are_passed_over() {
    let image = Image::new();
    let expected = image.picture().await;
    let archive = image.tar(|builder| {
        for name in [
            "../../etc/passwd",
            "/etc/shadow",
            "..\\x",
            "blobs/sha256/../../../x",
        ] {
            raw_member(builder, name.as_bytes(), EntryType::Regular, b"evil");
        }
        let mut link = header(EntryType::Symlink, 0);
        builder
            .append_link(&mut link, "elsewhere", "/etc/passwd")
            .expect("in memory");
    });
    assert_eq!(image.read(&archive).await.expect("sound"), expected);
}

#[tokio::test]
async fn links_for_files_of_the_layout_are_refused() {
    for (kind, word) in [
        (EntryType::Symlink, "symbolic link"),
        (EntryType::Link, "hard link"),
    ] {
        refused(
            |image, builder| {
                let mut link = header(kind, 0);
                builder
                    .append_link(&mut link, name_of(b"other"), name_of(&image.layer))
                    .expect("in memory");
            },
            &[&name_of(b"other"), word],
        )
        .await;
    }
}

#[tokio::test]
async fn devices_and_directories_for_files_of_the_layout_are_refused() {
    for kind in [EntryType::Char, EntryType::Fifo, EntryType::Directory] {
        refused(
            |_, builder| raw_member(builder, name_of(b"x").as_bytes(), kind, b""),
            &[&name_of(b"x"), "not a regular file"],
        )
        .await;
    }
}

#[tokio::test]
async fn sparse_blobs_are_refused() {
    let name = name_of(b"sparse");
    refused(
        |_, builder| {
            let mut sparse = header(EntryType::GNUSparse, 0);
            sparse.set_path(&name).expect("short");
            sparse.as_gnu_mut().expect("a GNU header").realsize = *b"00000000000\0";
            sparse.set_cksum();
            builder.append(&sparse, &b""[..]).expect("in memory");
        },
        &[&name, "sparse"],
    )
    .await;
    refused(
        |_, builder| {
            let records: [(&str, &[u8]); 3] = [
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", name.as_bytes()),
            ];
            builder.append_pax_extensions(records).expect("in memory");
            raw_member(builder, b"GNUSparseFile.0/x", EntryType::Regular, b"0\n");
        },
        &[&name, "sparse"],
    )
    .await;
}

#[tokio::test]
async fn a_member_may_be_there_twice_only_with_the_same_content() {
    let image = Image::new();
    let expected = image.picture().await;
    let archive = image.tar(|builder| member(builder, &name_of(&image.layer), &image.layer));
    assert_eq!(image.read(&archive).await.expect("the same"), expected);
    for other in [
        &b"the content of a LAYER"[..],
        b"",
        b"longer than the layer itself",
    ] {
        refused(
            |image, builder| member(builder, &name_of(&image.layer), other),
            &[&name_of(&image.layer), "twice"],
        )
        .await;
    }
    refused(
        |_, builder| member(builder, "index.json", b"{}"),
        &["index.json", "twice"],
    )
    .await;
}

#[tokio::test]
async fn sizes_that_no_file_has_are_refused() {
    for field in [
        // 2^63 and 2^63 - 1, -1, and 2^64 + 5, of which the lower bits are 5.
        [0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0],
        [0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255],
        [0xff; 12],
        [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5],
    ] {
        refused(
            |_, builder| {
                let mut large = header(EntryType::Regular, 0);
                large.set_path(name_of(b"large")).expect("short");
                large.as_old_mut().size = field;
                large.set_cksum();
                builder.append(&large, &b""[..]).expect("in memory");
            },
            &[],
        )
        .await;
    }
}

#[tokio::test]
async fn a_size_beyond_the_end_of_the_file_is_refused() {
    refused(
        |_, builder| {
            let mut large = header(EntryType::Regular, 1 << 40);
            large.set_path(name_of(b"large")).expect("short");
            large.set_cksum();
            builder.append(&large, &b""[..]).expect("in memory");
        },
        &["cut off", &name_of(b"large")],
    )
    .await;
}

#[tokio::test]
async fn a_wrong_checksum_names_the_member_before_it() {
    refused(
        |_, builder| {
            let mut wrong = header(EntryType::Regular, 0);
            wrong.set_path("x").expect("short");
            wrong.as_old_mut().cksum = *b"000000\0 ";
            builder.append(&wrong, &b""[..]).expect("in memory");
        },
        &["damaged header", "blobs/sha256/"],
    )
    .await;
}

#[tokio::test]
async fn headers_are_not_read_without_a_limit() {
    refused(
        |_, builder| {
            let name = vec![b'x'; 3 << 20];
            let long = header(EntryType::GNULongName, name.len() as u64);
            builder.append(&long, &name[..]).expect("in memory");
            raw_member(builder, b"x", EntryType::Regular, b"");
        },
        &["damaged header"],
    )
    .await;
}

#[tokio::test]
async fn an_archive_without_the_files_of_a_layout_is_refused() {
    for missing in ["index.json", "oci-layout"] {
        let mut image = Image::new();
        image.files.retain(|(name, _)| name != missing);
        let error = image.read(&image.tar(|_| {})).await.expect_err("no layout");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(line(&error).contains(missing), "{error}");
    }
    let mut builder = tar::Builder::new(Vec::new());
    member(&mut builder, "manifest.json", b"[]");
    let archive = builder.into_inner().expect("in memory");
    let error = Image::new().read(&archive).await.expect_err("no layout");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("docker-archive"))
    );
}

#[tokio::test]
async fn what_is_no_tar_file_is_refused() {
    for content in [&b"x"[..], &[0x41; 4096], &[0; 100]] {
        let error = Image::new().read(content).await.expect_err("no archive");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

#[tokio::test]
async fn another_version_of_the_format_is_refused() {
    let mut image = Image::new();
    for (name, content) in &mut image.files {
        if name == "oci-layout" {
            *content = r#"{"imageLayoutVersion":"2.0.0"}"#.into();
        }
    }
    let error = image.read(&image.tar(|_| {})).await.expect_err("version 2");
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
}
