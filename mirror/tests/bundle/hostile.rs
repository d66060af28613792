//! Files that are damaged, or that were made to do harm.

use std::path::{Path, PathBuf};

use tar::{EntryType, Header};
use tranship::*;
use tranship_mirror::bundle::*;

use crate::images::*;

struct Made {
    directory: tempfile::TempDir,
    bytes: Vec<u8>,
}

impl Made {
    async fn new(volume_size: Option<u64>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let plan = planned(&some_images().await, None, volume_size).await;
        let files = written(&plan, &directory.path().join("b.tar")).await;
        let bytes = std::fs::read(&files[0]).expect("readable");
        Self { directory, bytes }
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join("changed.tar");
        std::fs::write(&path, bytes).expect("written");
        path
    }

    /// Returns the members: the name and where the content is.
    fn members(&self) -> Vec<(String, std::ops::Range<usize>)> {
        let mut tar = tar::Archive::new(&self.bytes[..]);
        let entries = tar.entries().expect("an archive").map(|entry| {
            let entry = entry.expect("an entry");
            let start = entry.raw_file_position() as usize;
            let name = String::from_utf8(entry.path_bytes().into_owned()).expect("text");
            (name, start..start + entry.size() as usize)
        });
        entries.collect()
    }

    /// Returns the bundle with another member before its end.
    fn with_member(&self, name: &str, kind: EntryType, content: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes[..self.bytes.len() - 1024].to_vec();
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if kind.is_symlink() || kind.is_hard_link() {
            header.as_old_mut().linkname[..10].copy_from_slice(b"/etc/shado");
        }
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512) + 1024, 0);
        bytes
    }
}

async fn error_of(path: &Path) -> Error {
    let opened = Bundle::open([path]).await;
    opened.expect_err("refused")
}

#[tokio::test]
async fn a_bundle_that_was_cut_at_any_block_is_refused() {
    let made = Made::new(None).await;
    for length in (0..made.bytes.len() - 512).step_by(512) {
        for length in [length, length + 100] {
            let error = error_of(&made.file(&made.bytes[..length])).await;
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{length}: {error}");
        }
    }
    let near_the_end = made.bytes.len() - 3000;
    let error = error_of(&made.file(&made.bytes[..near_the_end])).await;
    let text = error.to_string();
    assert!(
        text.contains("pieces of content, such as sha256:") && text.contains("localhost:5000/"),
        "{text}"
    );
}

#[tokio::test]
async fn a_flipped_byte_in_any_member_is_found() {
    for volume_size in [None, Some(40_960)] {
        let made = Made::new(volume_size).await;
        for (name, range) in made.members() {
            if range.is_empty() {
                continue;
            }
            for place in [range.start, range.start + range.len() / 2, range.end - 1] {
                let mut bytes = made.bytes.clone();
                bytes[place] ^= 1;
                let Ok(bundle) = Bundle::open([made.file(&bytes)]).await else {
                    assert_eq!(name, "bundle.json");
                    continue;
                };
                let report = bundle
                    .verify(&VerifyOptions::default())
                    .await
                    .expect("read");
                let damaged: Vec<&str> = report
                    .damaged
                    .iter()
                    .map(|damaged| &*damaged.member)
                    .collect();
                // A digest that was changed does not fit its part.
                let part = name.replace("sums/", "parts/");
                assert!(
                    damaged == [&*name] || damaged == [&*part],
                    "{name} at {place}: {damaged:?}"
                );
                let needs_image = name.starts_with("blobs") || name.starts_with("parts");
                assert_eq!(
                    report.damaged[0].image.is_some(),
                    needs_image || name.starts_with("sums")
                );
            }
        }
    }
}

#[tokio::test]
async fn members_that_a_bundle_does_not_have_are_refused() {
    let made = Made::new(None).await;
    let stranger = format!("blobs/sha256/{}", Digest::of(b"stranger").hex());
    for (name, kind, content) in [
        ("../index.json", EntryType::Regular, &b"x"[..]),
        ("a/../../b", EntryType::Regular, b"x"),
        ("/etc/passwd", EntryType::Regular, b"x"),
        ("C:\\x", EntryType::Regular, b"x"),
        ("index.json", EntryType::Regular, b"{}"),
        ("oci-layout", EntryType::Regular, b"{}"),
        ("bundle.json", EntryType::Regular, b"{}"),
        (&stranger, EntryType::Regular, b"stranger"),
        ("parts/sha256/x", EntryType::Regular, b"x"),
        ("sums/x", EntryType::Regular, b"x"),
        ("blobs/x", EntryType::Symlink, b""),
        ("index.json", EntryType::Link, b""),
        ("anything", EntryType::Symlink, b""),
        ("anything", EntryType::Fifo, b""),
    ] {
        let error = error_of(&made.file(&made.with_member(name, kind, content))).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
    }
    let harmless = [
        ("README", EntryType::Regular, &b"x"[..]),
        ("blobs/", EntryType::Directory, b""),
    ];
    for (name, kind, content) in harmless {
        Bundle::open([made.file(&made.with_member(name, kind, content))])
            .await
            .expect("harmless");
    }
}

#[tokio::test]
async fn a_member_twice_is_refused_only_if_it_differs() {
    let made = Made::new(None).await;
    let mut members = made.members().into_iter().rev();
    let (name, range) = members
        .find(|(_, range)| !range.is_empty())
        .expect("a member");
    let content = made.bytes[range].to_vec();
    let same = made.with_member(&name, EntryType::Regular, &content);
    Bundle::open([made.file(&same)]).await.expect("the same");
    let mut other = content;
    other[0] ^= 1;
    let error = error_of(&made.file(&made.with_member(&name, EntryType::Regular, &other))).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_description_that_contradicts_itself_is_refused() {
    let made = Made::new(None).await;
    let (_, range) = made.members().remove(0);
    let text = String::from_utf8(made.bytes[range].to_vec()).expect("text");
    let lock = Bundle::open([made.file(&made.bytes)])
        .await
        .expect("opened")
        .contents()
        .lock()
        .encode();
    let lock = String::from_utf8(lock).expect("text");
    Lock::decode(text.as_bytes()).expect("the lock in a bundle.json");
    for (from, to) in [
        ("\"schemaVersion\":1", "\"schemaVersion\":2"),
        ("\"contents\":[", "\"contents\":[[\"zz\",1],"),
        (",[0,", ",[4000000,"),
        (",[0,", ",[9,"),
        (",[0,", ",[0,0,"),
        (",30000]", ",-1]"),
        (",30000]", ",9223372036854775807]"),
        (",30000]", ",18446744073709551615]"),
        (",30000]", ",30000,7,[]]"),
        ("{\"3.19\":", "{\"-bad\":"),
        ("{\"3.19\":", "{\"latest\":1,\"3.19\":"),
        ("localhost:5000/team", "localhost:5000/TEAM"),
        ("localhost:5000/team/app", "localhost:5000/library/alpine"),
        ("\"manifests\":[", "\"manifests\":[0,"),
        ("\"manifests\":[", "\"other\":[],\"manifests\":["),
        ("application/vnd.oci.image.manifest.v1+json", "text/plain"),
    ] {
        let changed = lock.replacen(from, to, 1);
        assert_ne!(changed, lock, "{from}");
        let error = Lock::decode(changed.as_bytes()).expect_err(to);
        let kinds = [ErrorKind::Corrupt, ErrorKind::UnsupportedVersion];
        assert!(kinds.contains(&error.kind()), "{to}: {error}");
    }
    for (from, to) in [
        ("\"volume\":1", "\"volume\":2"),
        ("\"volumes\":1", "\"volumes\":2"),
        ("\"volumes\":1", "\"volumes\":4000000"),
    ] {
        let error = Lock::decode(text.replacen(from, to, 1).as_bytes()).expect_err(to);
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    for text in ["", "{", "[]", "{\"mediaType\":\"x\",\"schemaVersion\":1}"] {
        assert!(Lock::decode(text.as_bytes()).is_err());
    }
}

#[test]
fn a_lock_that_is_too_long_or_too_deep_is_refused() {
    let hex = |number: u32| Digest::of(&number.to_be_bytes()).hex();
    let lock = |count: u32| {
        let contents: Vec<String> = (0..count)
            .map(|number| format!("[\"{}\",1]", &hex(number)))
            .collect();
        format!(
            "{{\"mediaType\":\"application/vnd.tranship.bundle.lock.v1+json\",\"schemaVersion\":1,\"types\":[],\"contents\":[{}],\"repositories\":{{}}}}",
            contents.join(",")
        )
    };
    let padded = [lock(1).into_bytes(), vec![b' '; 64 * 1024 * 1024]].concat();
    let error = Lock::decode(&padded).expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit);
    assert_eq!(
        Lock::decode(lock(1000).as_bytes())
            .expect("a lock")
            .contents()
            .len(),
        1000
    );
    assert!(Lock::decode("[".repeat(1_000_000).as_bytes()).is_err());
}

#[tokio::test]
async fn a_claimed_size_takes_no_memory() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("huge.tar");
    for (name, size) in [
        ("bundle.json", 1_u64 << 40),
        ("index.json", 1 << 40),
        ("bundle.json", 1 << 27),
    ] {
        let mut header = Header::new_ustar();
        header.set_path(name).expect("a name");
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        let mut gnu = Header::new_gnu();
        gnu.set_path(name).expect("a name");
        gnu.set_entry_type(EntryType::Regular);
        gnu.set_size(size);
        gnu.set_cksum();
        std::fs::write(&path, gnu.as_bytes()).expect("written");
        let error = error_of(&path).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("opened");
        file.set_len(512 + size + 1024).expect("sparse");
        let error = error_of(&path).await;
        assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit);
    }
}

#[tokio::test]
async fn what_is_not_a_bundle_is_refused_with_a_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x.tar");
    for (bytes, kind) in [
        (&b""[..], ErrorKind::Corrupt),
        (b"not an archive", ErrorKind::Corrupt),
        (&[0; 1024], ErrorKind::Corrupt),
        (b"\x1f\x8b\x08\0\0\0\0\0", ErrorKind::Unsupported),
    ] {
        std::fs::write(&path, bytes).expect("written");
        assert_eq!(error_of(&path).await.kind(), kind);
    }
    assert_eq!(
        error_of(directory.path()).await.kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        error_of(&directory.path().join("none")).await.kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn whatever_is_changed_in_a_file_nothing_wrong_is_applied() {
    let made = Made::new(None).await;
    let expected = tranship_memory::MemoryRegistry::new();
    let bundle = Bundle::open([made.file(&made.bytes)])
        .await
        .expect("opened");
    let options = ApplyOptions::default();
    bundle.apply(&expected, &options).await.expect("applied");
    // Headers and descriptions are at the beginning, so most changes are made there.
    let random = noise(42, 4 * 200);
    for (number, four) in random.chunks(4).enumerate() {
        let wide = u32::from_be_bytes([0, four[0], four[1], four[2]]) as usize;
        let place = match number % 4 {
            0 => wide % made.bytes.len(),
            _ => wide % 20_000,
        };
        let mut bytes = made.bytes.clone();
        bytes[place] = four[3];
        let Ok(bundle) = Bundle::open([made.file(&bytes)]).await else {
            continue;
        };
        let verified = bundle.verify(&VerifyOptions::default()).await;
        bundle.images().expect("listed");
        let destination = tranship_memory::MemoryRegistry::new();
        let applied = bundle.apply(&destination, &options).await;
        if applied.is_ok() {
            assert_eq!(
                destination.stored_bytes(),
                expected.stored_bytes(),
                "{place}"
            );
        } else {
            assert!(!verified.expect("read").is_sound(), "{place}");
        }
    }
}
