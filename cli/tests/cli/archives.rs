use std::fs;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::{AMD64, EMPTY, HELLO, INDEX, NOTHING, Workplace};

const NOW: [&str; 2] = ["--grace", "0s"];

/// A workplace with an archive of docker.
fn with_image(location: &str) -> Workplace {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1-amd64", location]);
    here
}

#[test]
fn everything_goes_into_an_archive_and_comes_out_again() {
    let here = Workplace::new();
    let ran = here.run(&["cp", "-r", "oci:hello:v1", "oci-archive:a.tar:v2"]);
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("{INDEX}\n")));
    let place = format!("oci-archive:a.tar@{INDEX} as v2");
    assert!(ran.stderr.contains(&place), "{}", ran.stderr);
    assert_eq!(here.tags("oci-archive:a.tar"), ["v2"]);
    here.ok(&["cp", "-r", "oci-archive:a.tar:v2", "oci:copy:v1"]);
    let names = |layout: &str| {
        let blobs = fs::read_dir(here.path(layout).join("blobs/sha256")).expect("listed");
        let mut names: Vec<_> = blobs
            .map(|blob| blob.expect("a blob").file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("copy"), names("hello"));
    assert_eq!(here.files(), ["a.tar", "copy", "hello"]);
}

#[test]
fn the_same_copy_writes_the_same_archive() {
    let here = Workplace::new();
    for archive in ["oci-archive:a.tar:v1", "oci-archive:b.tar:v1"] {
        here.ok(&["cp", "oci:hello:v1", archive]);
    }
    assert!(here.read("a.tar") == here.read("b.tar"));
    for archive in ["docker-archive:c.tar:app:v1", "docker-archive:d.tar:app:v1"] {
        here.ok(&["cp", "oci:hello:v1-amd64", archive]);
    }
    assert!(here.read("c.tar") == here.read("d.tar"));
}

#[test]
fn tags_of_archives_are_set_and_removed() {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1-amd64", "oci-archive:a.tar:v1"]);
    here.ok(&["cp", "oci:hello:v1-amd64", "docker-archive:d.tar:v1"]);
    for archive in ["oci-archive:a.tar", "docker-archive:d.tar"] {
        here.ok(&["tag", &format!("{archive}:v1"), "v2", "v3"]);
        assert_eq!(here.tags(archive), ["v1", "v2", "v3"]);
        here.ok(&["untag", &format!("{archive}:v1"), &format!("{archive}:v3")]);
        assert_eq!(here.tags(archive), ["v2"]);
        let error = here.fails(3, &["resolve", &format!("{archive}:v1")]);
        let hint = format!("tranship repo tags {archive}");
        assert!(error.contains(&hint), "{error}");
    }
    assert_eq!(here.ok(&["resolve", "oci-archive:a.tar:v2"]), AMD64);
}

#[test]
fn a_blob_is_pushed_to_an_archive_and_fetched_from_it() {
    let here = Workplace::new();
    here.write("file", "hello");
    here.ok(&["blob", "push", "oci-archive:a.tar", "file"]);
    let blob = format!("oci-archive:a.tar@{HELLO}");
    assert_eq!(here.ok(&["blob", "fetch", &blob]), "hello");
    let error = here.fails(6, &["blob", "push", "docker-archive:d.tar", "file"]);
    assert!(error.contains("whole images"), "{error}");
    assert_eq!(here.files(), ["a.tar", "file", "hello"]);
}

#[test]
fn a_copy_into_an_archive_of_docker_says_where_it_can_be_found() {
    let here = Workplace::new();
    let copy = ["cp", "oci:hello:v1-amd64"];
    for (destination, tag, found) in [
        (
            "docker-archive:d.tar:example.com/app:v1",
            "v1",
            "docker-archive:d.tar:example.com/app:v1",
        ),
        ("docker-archive:e.tar:v1", "v1", "docker-archive:e.tar:v1"),
        (
            "docker-archive:f.tar",
            "v1-amd64",
            "docker-archive:f.tar:v1-amd64",
        ),
    ] {
        let ran = here.run(&[&copy[..], &[destination]].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.ends_with(&format!(": {found}\n")), "{ran:?}");
        let json = here.json(&[&copy[..], &[destination]].concat());
        assert_eq!(json["destination"], found);
        assert_eq!(json["tags"], serde_json::json!([tag]));
        here.ok(&["resolve", found]);
    }
}

#[test]
fn every_name_in_an_archive_of_docker_is_told() {
    let here = Workplace::new();
    let ran = here.run(&[
        "cp",
        "oci:hello:v1-amd64",
        "docker-archive:d.tar:app:a",
        "-t",
        "b",
    ]);
    let names = ": docker-archive:d.tar:app:a, docker-archive:d.tar:app:b\n";
    assert!(ran.stderr.ends_with(names), "{ran:?}");
    here.ok(&["resolve", "docker-archive:d.tar:app:b"]);
}

#[test]
fn an_image_in_an_archive_of_docker_is_found_by_its_digest_there() {
    let here = with_image("docker-archive:d.tar:app:v1");
    let digest = here.ok(&["resolve", "docker-archive:d.tar:app:v1"]);
    assert_ne!(digest, AMD64);
    let by_digest = format!("docker-archive:d.tar@{digest}");
    assert_eq!(here.ok(&["resolve", &by_digest]), digest);
    here.fails(3, &["resolve", &format!("docker-archive:d.tar@{AMD64}")]);
    assert_eq!(here.ok(&["cp", &by_digest, "oci:copy:v1"]), digest);
}

#[test]
fn an_index_does_not_go_into_an_archive_of_docker() {
    let here = Workplace::new();
    for arguments in [&["cp"][..], &["cp", "--dry-run"]] {
        let places = ["oci:hello:v1", "docker-archive:d.tar:v1"];
        let error = here.fails(6, &[arguments, &places].concat());
        assert!(error.contains("--platform"), "{error}");
        assert_eq!(here.files(), ["hello"]);
    }
    let platform = ["--platform", "linux/amd64"];
    here.ok(&[
        &["cp", "oci:hello:v1", "docker-archive:d.tar:v1"][..],
        &platform,
    ]
    .concat());
    assert_eq!(here.tags("docker-archive:d.tar"), ["v1"]);
}

#[test]
fn a_destination_by_digest_in_an_archive_of_docker_is_refused() {
    let here = Workplace::new();
    let destination = format!("docker-archive:d.tar@{AMD64}");
    let error = here.fails(6, &["cp", "oci:hello:v1-amd64", &destination]);
    assert!(error.contains("another digest"), "{error}");
    assert_eq!(here.files(), ["hello"]);
}

#[test]
fn referrers_do_not_go_into_an_archive_of_docker() {
    let here = Workplace::new();
    let error = here.fails(
        6,
        &["cp", "-r", "oci:hello:v1-amd64", "docker-archive:d.tar:v1"],
    );
    assert!(error.contains("oci-archive:FILE"), "{error}");
    assert_eq!(here.files(), ["hello"]);
}

#[test]
fn a_missing_archive_is_not_found() {
    let here = Workplace::new();
    for location in ["oci-archive:none.tar", "docker-archive:none.tar"] {
        let tagged = format!("{location}:v1");
        for arguments in [
            &["cp", &tagged, "oci:copy"][..],
            &["resolve", &tagged],
            &["repo", "tags", location],
            &["tag", &tagged, "v2"],
            &["untag", &tagged],
            &["fsck", location],
            &["gc", location],
        ] {
            let error = here.fails(3, arguments);
            assert!(error.contains("none.tar"), "{error}");
        }
    }
    assert_eq!(here.files(), ["hello"]);
}

#[test]
fn a_directory_and_an_archive_are_told_apart() {
    let here = with_image("docker-archive:d.tar:v1");
    let error = here.fails(2, &["repo", "tags", "oci-archive:hello"]);
    assert!(error.contains("oci:DIR"), "{error}");
    let error = here.fails(4, &["repo", "tags", "oci-archive:d.tar"]);
    assert!(error.contains("docker-archive:FILE"), "{error}");
    here.ok(&["cp", "oci:hello:v1", "oci-archive:o.tar:v1"]);
    assert_eq!(here.tags("docker-archive:o.tar"), ["v1"]);
}

#[test]
fn a_sound_archive_passes_the_check() {
    let here = with_image("docker-archive:d.tar:v1");
    here.ok(&["cp", "-r", "oci:hello:v1", "oci-archive:a.tar:v1"]);
    for (archive, count) in [("oci-archive:a.tar", 20), ("docker-archive:d.tar", 4)] {
        assert_eq!(here.ok(&["fsck", "--quiet", archive]), "");
        let json = here.json(&["fsck", archive]);
        assert_eq!(json["sound"], true);
        let checked = &json["layouts"][0]["checked"]["count"];
        assert!(
            checked.as_u64().is_some_and(|checked| checked >= count),
            "{checked}"
        );
    }
}

#[test]
fn a_damaged_archive_does_not_pass_the_check() {
    let here = Workplace::new();
    here.damage("hello", EMPTY, b"[]");
    let mut archive = tar::Builder::new(Vec::new());
    archive
        .append_dir_all(".", here.path("hello"))
        .expect("readable");
    here.write("a.tar", archive.into_inner().expect("in memory"));
    let ran = here.run(&["fsck", "--quiet", "oci-archive:a.tar"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let line = format!("error: altered {EMPTY}: the 2 bytes");
    assert!(ran.stdout.starts_with(&line), "{}", ran.stdout);
}

#[test]
fn an_archive_that_is_cut_off_is_damaged() {
    let here = with_image("docker-archive:d.tar:v1");
    here.ok(&["cp", "oci:hello:v1", "oci-archive:a.tar:v1"]);
    for (file, archive) in [
        ("a.tar", "oci-archive:a.tar"),
        ("d.tar", "docker-archive:d.tar"),
    ] {
        let bytes = here.read(file);
        here.write(file, &bytes[..bytes.len() / 2]);
        for command in [&["repo", "tags"][..], &["fsck"], &["gc"]] {
            let error = here.fails(4, &[command, &[archive]].concat());
            assert!(error.contains(file), "{error}");
        }
    }
}

#[test]
fn garbage_leaves_an_archive() {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1", "oci-archive:a.tar:v1"]);
    let clean = here.read("a.tar");
    here.write("file", "hello");
    here.ok(&["blob", "push", "oci-archive:a.tar", "file"]);
    let collect = ["gc", "oci-archive:a.tar"];
    assert_eq!(here.ok(&collect), "", "it is young");
    let removed = here.ok(&[&collect[..], &NOW].concat());
    assert_eq!(removed, format!("{HELLO} 5"));
    assert!(here.read("a.tar") == clean);
    assert_eq!(here.ok(&[&collect[..], &NOW].concat()), "");
}

#[test]
fn what_killed_processes_left_beside_an_archive_is_removed_and_what_is_written_is_not() {
    let here = with_image("docker-archive:d.tar:v1");
    here.ok(&["cp", "oci:hello:v1", "oci-archive:a.tar:v1"]);
    for (file, archive) in [
        ("a.tar", "oci-archive:a.tar"),
        ("d.tar", "docker-archive:d.tar"),
    ] {
        let (dead, alive) = (
            format!(".{file}.tranship-a.tmp"),
            format!(".{file}.tranship-b.tmp"),
        );
        here.write(&dead, "half an archive");
        here.write(&alive, "half an archive");
        let lock = fs::File::open(here.path(&alive)).expect("there");
        lock.lock().expect("locked");
        here.ok(&["gc", archive]);
        assert!(here.path(&dead).exists(), "it is young");
        let json = here.json(&[&["gc", archive][..], &NOW].concat());
        let leftovers = json["layouts"][0]["leftovers"].as_array();
        assert_eq!(leftovers.map(Vec::len), Some(1), "{json}");
        assert!(!here.path(&dead).exists());
        assert!(here.path(&alive).exists(), "somebody writes to it");
    }
}

#[test]
fn an_archive_of_docker_has_no_garbage() {
    let here = with_image("docker-archive:d.tar:v1");
    let before = here.read("d.tar");
    assert_eq!(
        here.ok(&[&["gc", "docker-archive:d.tar"][..], &NOW].concat()),
        ""
    );
    assert!(here.read("d.tar") == before);
}

#[test]
fn a_compressed_archive_is_only_read() {
    let here = with_image("docker-archive:d.tar:v1");
    here.ok(&["cp", "oci:hello:v1-amd64", "oci-archive:a.tar:v1"]);
    for (file, archive) in [
        ("a.tar.gz", "oci-archive:a.tar.gz"),
        ("d.tar.gz", "docker-archive:d.tar.gz"),
    ] {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&here.read(file.trim_end_matches(".gz")))
            .expect("in memory");
        here.write(file, gzip.finish().expect("in memory"));
        let before = here.read(file);
        let tagged = format!("{archive}:v1");
        here.ok(&["cp", &tagged, "oci:copy"]);
        for arguments in [
            &["cp", "oci:hello:v1-amd64", &format!("{archive}:v2")][..],
            &["tag", &tagged, "v2"],
            &["untag", &tagged],
        ] {
            let error = here.fails(6, arguments);
            assert!(error.contains("compressed"), "{error}");
        }
        assert!(here.read(file) == before);
    }
    here.fails(3, &["resolve", &format!("oci-archive:a.tar.gz@{NOTHING}")]);
}

#[test]
fn archives_are_streamed_and_no_file_is_named_like_a_stream() {
    let here = Workplace::new();
    let digest = here.ok(&["resolve", "oci:hello:v1-amd64"]);
    for scheme in ["oci-archive", "docker-archive"] {
        let location = format!("{scheme}:-");
        let written = here
            .command(&["cp", "oci:hello:v1-amd64", &location])
            .output()
            .expect("run");
        assert!(written.status.success(), "{written:?}");
        let copied = here.run_with(&["cp", &location, "oci:copy:v2"], &written.stdout);
        assert_eq!(copied.code, Some(0), "{}", copied.stderr);
        if scheme == "oci-archive" {
            assert_eq!(copied.stdout.trim(), digest);
        }
        for command in ["resolve", "repo tags"] {
            let mut arguments: Vec<&str> = command.split(' ').collect();
            arguments.push(&location);
            let error = here.fails(6, &arguments);
            assert!(error.contains("standard stream"), "{error}");
        }
    }
    assert_eq!(here.files(), ["copy", "hello"]);
}

#[test]
fn an_archive_on_standard_input_is_named_as_such() {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1", "oci-archive:a.tar"]);
    let tar = here.read("a.tar");
    let one = here.run_with(&["cp", "oci-archive:-", "oci:one"], &tar);
    assert_eq!(one.code, Some(0), "{one:?}");
    assert!(
        one.stderr.contains("the only manifest in oci-archive:-\n"),
        "{one:?}"
    );
    let missing = here.run_with(&["cp", "oci-archive:-:nope", "oci:two"], &tar);
    assert_eq!(missing.code, Some(3), "{missing:?}");
    assert!(!missing.stderr.contains("oci-archive:-`"), "{missing:?}");
    for input in [&tar[..0], &tar[..tar.len() / 2], b"no tar"] {
        let ran = here.run_with(&["cp", "oci-archive:-", "oci:three"], input);
        assert_ne!(ran.code, Some(0), "{ran:?}");
        assert!(!ran.stderr.contains("stdin.tar"), "{ran:?}");
    }
}

#[test]
fn the_only_tag_is_taken_beside_what_refers_to_it() {
    let here = Workplace::new();
    here.ok(&["cp", "-r", "oci:hello:v1", "oci-archive:app.tar"]);
    let ran = here.run(&["cp", "-r", "oci-archive:app.tar", "oci:restored"]);
    assert_eq!(ran.stdout.trim(), INDEX, "{ran:?}");
    assert!(ran.stderr.contains("taking v1, the only tag"), "{ran:?}");
    assert_eq!(here.tags("oci:restored"), ["v1"]);
    here.ok(&["cp", "oci:hello:v1-amd64", "oci:restored"]);
    here.fails(2, &["resolve", "oci:restored"]);
}
