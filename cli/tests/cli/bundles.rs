//! Bundles and backups.

use crate::registries::TestRegistry;
use crate::support::Workplace;

/// A place with artifacts in `layouts:from`.
fn artifacts() -> Workplace {
    let here = Workplace::new();
    for (name, tag) in [("team/app", "v1"), ("team/web", "v1"), ("other", "v2")] {
        here.write("shared", "the same everywhere ".repeat(1000));
        here.write("own", format!("{name} {tag} ").repeat(3000));
        let location = format!("layouts:from//{name}:{tag}");
        here.ok(&["push", &location, "shared", "own"]);
    }
    here
}

#[test]
fn a_bundle_has_the_same_bytes_each_time() {
    let here = artifacts();
    for file in ["one.tar", "two.tar"] {
        let written = here.ok(&["bundle", "create", "-o", file, "layouts:from"]);
        assert_eq!(written, file);
    }
    assert_eq!(here.read("one.tar"), here.read("two.tar"));
    let streamed = here.run(&["bundle", "create", "-o", "-", "layouts:from"]);
    assert_eq!(streamed.code, Some(0));
    assert_eq!(streamed.stdout.len(), here.read("one.tar").len());
    let listed = here.json(&["bundle", "list", "one.tar"]);
    let names = listed["images"].as_array().expect("images").iter();
    let names: Vec<_> = names
        .map(|image| image["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["other", "team/app", "team/web"]);
}

#[test]
fn an_increment_needs_its_base() {
    let here = artifacts();
    let registry = TestRegistry::open();
    here.ok(&[
        "bundle",
        "create",
        "-o",
        "base.tar",
        "--lock",
        "base.lock",
        "layouts:from",
    ]);
    here.write("new", "new content ".repeat(500));
    here.ok(&["push", "layouts:from//team/app:v2", "shared", "new"]);
    for (file, base) in [("by_lock.tar", "base.lock"), ("by_file.tar", "base.tar")] {
        here.ok(&[
            "bundle",
            "create",
            "-o",
            file,
            "--base",
            base,
            "layouts:from",
        ]);
    }
    assert_eq!(here.read("by_lock.tar"), here.read("by_file.tar"));
    assert!(here.read("by_lock.tar").len() < here.read("base.tar").len());
    let message = here.fails(3, &["bundle", "apply", "by_lock.tar", &registry.host()]);
    assert!(message.contains("the destination lacks"), "{message}");
    assert_eq!(here.ok(&["repo", "ls", &registry.host()]), "");
    here.ok(&["bundle", "apply", "base.tar", &registry.host()]);
    here.ok(&["bundle", "apply", "by_lock.tar", &registry.host()]);
    assert_eq!(
        here.tags(&format!("{}/team/app", registry.host())),
        ["v1", "v2"]
    );
    let message = here.fails(
        2,
        &[
            "bundle",
            "create",
            "-o",
            "base.tar",
            "--base",
            "base.tar",
            "layouts:from",
        ],
    );
    assert!(message.contains("base"), "{message}");
}

#[test]
fn volumes_are_applied_in_any_order_from_different_processes() {
    let here = artifacts();
    here.write("large", "0123456789".repeat(30_000));
    here.ok(&["push", "layouts:from//models/large:v1", "large"]);
    let written = here.ok(&[
        "bundle",
        "create",
        "-o",
        "all.tar",
        "--volume-size",
        "100KB",
        "layouts:from",
    ]);
    let volumes: Vec<&str> = written.lines().collect();
    assert!(volumes.len() >= 4, "{volumes:?}");
    for volume in &volumes {
        assert!(here.read(volume).len() <= 100_000, "{volume}");
        here.ok(&["bundle", "verify", "--partial", volume]);
    }
    let alone = here.ends(4, &["bundle", "verify", volumes[0]]);
    assert!(alone.stdout.contains("missing  volume 2"), "{alone:?}");
    for (at, volume) in volumes.iter().rev().enumerate() {
        let applied = here.json(&["bundle", "apply", volume, "layouts:to", "--parts", "parts"]);
        let pending = applied["pending"].as_array().expect("pending");
        assert_eq!(pending.is_empty(), at + 1 == volumes.len(), "{applied}");
    }
    for name in ["models/large", "other", "team/app", "team/web"] {
        let digest = |root: &str| here.json(&["repo", "tags", &format!("layouts:{root}//{name}")]);
        assert_eq!(digest("from")["tags"], digest("to")["tags"]);
    }
    here.ok(&["fsck", "layouts:to"]);
    assert_eq!(
        std::fs::read_dir(here.path("parts"))
            .expect("listed")
            .count(),
        0
    );
}

#[test]
fn a_damaged_volume_is_named_with_the_image() {
    let here = artifacts();
    here.ok(&["bundle", "create", "-o", "all.tar", "layouts:from"]);
    let mut bytes = here.read("all.tar");
    let needle = b"other v2 other v2";
    let at = bytes
        .windows(needle.len())
        .position(|window| window == needle);
    bytes[at.expect("the content")] ^= 1;
    here.write("all.tar", bytes);
    let found = here.run(&["bundle", "verify", "all.tar"]);
    assert_eq!(found.code, Some(4));
    assert!(
        found.stdout.contains("damaged  volume 1 (all.tar)"),
        "{found:?}"
    );
    assert!(found.stdout.contains("other:v2"), "{found:?}");
    here.fails(4, &["bundle", "apply", "all.tar", "layouts:to"]);
    // The layout exists if another blob was stored before the damaged one was read.
    let tags = here.run(&["repo", "tags", "layouts:to//other"]);
    assert!(matches!(tags.code, Some(0 | 3)), "{tags:?}");
    assert_eq!(tags.stdout, "");
}

#[test]
fn an_image_that_is_missing_leaves_no_bundle_unless_told_so() {
    let here = artifacts();
    let sources = ["layouts:from//team/app:v1", "layouts:from//team/app:v9"];
    let create = [&["bundle", "create", "-o", "some.tar"], &sources[..]].concat();
    let ran = here.ends(9, &create);
    assert!(ran.stderr.contains("team/app:v9"), "{ran:?}");
    assert!(!here.path("some.tar").exists());
    here.ends(9, &[&create[..], &["--keep-going"]].concat());
    here.ok(&["bundle", "verify", "some.tar"]);
}

#[test]
fn nothing_is_deleted_where_a_bundle_lacks_what_was_asked_for() {
    let here = artifacts();
    let (app, web) = ("layouts:from//team/app:v1", "layouts:from//team/web:v1");
    for old in ["team/app:v9", "team/web:v9"] {
        here.ok(&["cp", app, &format!("layouts:to//{old}")]);
    }
    let missing = "layouts:from//team/app:v9";
    let create = ["bundle", "create", "-o", "some.tar", "--keep-going"];
    here.ends(9, &[&create[..], &[app, web, missing]].concat());
    let apply = ["bundle", "apply", "some.tar", "layouts:to"];
    let ran = here.run(&[&apply[..], &["--prune", "--yes"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr
            .contains("nothing is deleted of layouts:to//team/app"),
        "{ran:?}"
    );
    let tags = |repository| here.ok(&["repo", "tags", &format!("layouts:to//team/{repository}")]);
    assert_eq!(tags("app"), "v1\nv9");
    assert_eq!(tags("web"), "v1");
}

#[test]
fn a_backup_brings_back_every_tag_and_digest() {
    let here = artifacts();
    let registry = TestRegistry::open();
    here.ok(&["tag", "layouts:from//other:v2", "latest"]);
    here.ok(&["push", "layouts:from//other:gone", "own"]);
    let untagged = here.ok(&["resolve", "layouts:from//other:gone"]);
    here.ok(&["untag", "layouts:from//other:gone"]);
    here.ok(&["backup", "layouts:from", "--untagged", "-o", "backup.tar"]);
    here.ok(&["restore", "backup.tar", &registry.host()]);
    for reference in ["other:v2", "other:latest", "team/app:v1", "team/web:v1"] {
        let before = here.ok(&["resolve", &format!("layouts:from//{reference}")]);
        let after = here.ok(&["resolve", &format!("{}/{reference}", registry.host())]);
        assert_eq!(before, after, "{reference}");
    }
    let by_digest = format!("{}/other@{}", registry.host(), untagged.trim());
    assert_eq!(here.ok(&["resolve", &by_digest]), untagged);
    let message = here.fails(
        6,
        &["backup", &registry.host(), "--untagged", "-o", "again.tar"],
    );
    assert!(message.contains("without a tag"), "{message}");
}

#[test]
fn a_lock_brings_back_tags_and_prunes() {
    let here = artifacts();
    here.ok(&[
        "bundle",
        "create",
        "-o",
        "all.tar",
        "--lock",
        "all.lock",
        "layouts:from",
    ]);
    here.ok(&["bundle", "apply", "all.tar", "layouts:to"]);
    let before = here.ok(&["resolve", "layouts:to//other:v2"]);
    here.ok(&["push", "layouts:to//other:v3", "own"]);
    here.ok(&["tag", "layouts:to//other:v3", "v2"]);
    here.ok(&[
        "bundle",
        "apply",
        "all.lock",
        "layouts:to",
        "--prune",
        "--yes",
    ]);
    assert_eq!(here.ok(&["resolve", "layouts:to//other:v2"]), before);
    assert_eq!(here.tags("layouts:to//other"), ["v2"]);
    here.ends(3, &["bundle", "apply", "all.lock", "layouts:empty"]);
}

#[cfg(unix)]
#[test]
fn a_device_is_written_to_and_not_replaced() {
    let here = artifacts();
    here.ok(&["bundle", "create", "-o", "/dev/null", "layouts:from"]);
    assert!(
        !std::fs::metadata("/dev/null")
            .expect("still there")
            .is_file()
    );
    std::fs::create_dir(here.path("directory")).expect("created");
    here.fails(2, &["bundle", "create", "-o", "directory", "layouts:from"]);
}

#[test]
fn other_files_are_refused() {
    let here = Workplace::new();
    here.write("text", "not an archive");
    here.write("brace", "{}");
    for file in ["text", "brace"] {
        here.fails(4, &["bundle", "list", file]);
    }
    here.fails(3, &["bundle", "list", "missing"]);
    here.fails(2, &["bundle", "apply", "text", "oci:one"]);
    here.fails(
        2,
        &[
            "bundle",
            "create",
            "-o",
            "x.tar",
            "--volume-size",
            "lots",
            "oci:x",
        ],
    );
}

#[test]
fn a_file_is_not_written_over_one_that_is_read() {
    let here = artifacts();
    here.ok(&["bundle", "create", "-o", "a.001.tar", "layouts:from"]);
    let volumes = ["--volume-size", "1MB", "--base", "a.001.tar"];
    for options in [
        ["-o", "b.tar", "--lock", "b.tar"].as_slice(),
        &["-o", "b.tar", "--base", "a.001.tar", "--lock", "a.001.tar"],
        &[&["-o", "a.tar"], &volumes[..]].concat(),
    ] {
        let create = [&["bundle", "create", "layouts:from"], options].concat();
        here.fails(2, &create);
    }
    here.ok(&["bundle", "verify", "a.001.tar"]);
    here.fails(
        2,
        &[
            "bundle",
            "apply",
            "a.001.tar",
            "layouts:to",
            "--lock",
            "a.001.tar",
        ],
    );
    here.ok(&["bundle", "verify", "a.001.tar"]);
}

#[test]
fn platforms_of_an_index_are_added_by_later_bundles() {
    let here = artifacts();
    let hello = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/hello");
    here.ok(&["cp", &format!("oci:{hello}:v1"), "layouts:from//hello:v1"]);
    for (file, platform) in [("amd.tar", "linux/amd64"), ("arm.tar", "linux/arm64")] {
        let create = ["bundle", "create", "-o", file, "layouts:from//hello:v1"];
        here.ok(&[&create[..], &["--sparse", "--platform", platform]].concat());
        here.ok(&["bundle", "apply", file, "layouts:to"]);
        let resolve = ["inspect", "--platform", platform, "layouts:to//hello:v1"];
        here.ok(&resolve);
        here.ok(&["fs", "ls", "--platform", platform, "layouts:to//hello:v1"]);
    }
}
