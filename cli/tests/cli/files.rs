//! `push`, `pull` and `attach`.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Ran, Workplace};

/// A workplace with the files `a.txt` and `data/b.txt`.
fn workplace() -> Workplace {
    let workplace = Workplace::new();
    workplace.write("a.txt", "alpha");
    fs::create_dir(workplace.path("data")).expect("made");
    workplace.write("data/b.txt", "beta");
    workplace
}

/// Runs the program with the time of its artifacts fixed.
fn run(workplace: &Workplace, args: &[&str], input: &[u8]) -> Ran {
    let mut command = workplace.command(args);
    command.env("SOURCE_DATE_EPOCH", "1767225600");
    Ran::of(command, input)
}

fn ok(workplace: &Workplace, args: &[&str]) -> String {
    let ran = run(workplace, args, b"");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout
}

fn ok_json(workplace: &Workplace, args: &[&str]) -> Value {
    let mut args = args.to_vec();
    args.extend(["--format", "json"]);
    serde_json::from_str(&ok(workplace, &args)).expect("JSON")
}

/// Runs the program, which fails with `code`, and returns what it says.
fn fails(workplace: &Workplace, args: &[&str], code: i32) -> String {
    let ran = run(workplace, args, b"");
    assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.stderr);
    assert_eq!(ran.stdout, "");
    ran.stderr
}

#[test]
fn files_go_into_every_kind_of_location_and_come_back() {
    for location in [
        "oci:layout:v1",
        "oci-archive:a.tar:v1",
        "layouts:root//app:v1",
    ] {
        let workplace = workplace();
        let digest = ok(&workplace, &["push", location, "a.txt", "data"]);
        assert!(
            digest.starts_with("sha256:") && digest.len() == 72,
            "{digest}"
        );
        let written = ok(&workplace, &["pull", location, "-o", "out"]);
        assert_eq!(written, "out/a.txt\nout/data\n");
        assert_eq!(workplace.read("out/data/b.txt"), b"beta");
        let again = run(&workplace, &["pull", location, "-o", "out"], b"");
        assert_eq!((again.code, again.stdout.as_str()), (Some(0), ""));
        assert_eq!(again.stderr, "2 files unchanged\n");
    }
}

#[test]
fn a_push_with_a_fixed_time_has_the_same_digest_each_time() {
    let workplace = workplace();
    let first = ok(&workplace, &["push", "oci:one", "a.txt", "data"]);
    let second = ok(&workplace, &["push", "oci:two", "a.txt", "data"]);
    assert_eq!(first, second);
    let mut command = workplace.command(&["push", "oci:one", "a.txt"]);
    command.env("SOURCE_DATE_EPOCH", "yesterday");
    let ran = Ran::of(command, b"");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("SOURCE_DATE_EPOCH"), "{}", ran.stderr);
}

#[test]
fn standard_input_is_a_file_with_a_title() {
    let workplace = workplace();
    let push = ["push", "oci:layout:v1", "-", "--title", "in.txt:text/plain"];
    let ran = run(&workplace, &push, b"from a pipe");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let pulled = ok_json(&workplace, &["pull", "oci:layout:v1"]);
    assert_eq!(pulled["files"][0]["descriptor"]["mediaType"], "text/plain");
    assert_eq!(workplace.read("in.txt"), b"from a pipe");
    for args in [
        &["push", "oci:layout", "-"][..],
        &["push", "oci:layout", "a.txt", "--title", "x"],
        &["push", "oci:layout", "-", "-", "--title", "x"],
    ] {
        fails(&workplace, args, 2);
    }
}

#[test]
fn json_describes_what_was_pushed_and_pulled() {
    let workplace = workplace();
    let push = [
        "push",
        "oci:layout:v1",
        "-t",
        "v2",
        "a.txt:text/plain",
        "--artifact-type",
        "text/x",
    ];
    let pushed = ok_json(&workplace, &push);
    let digest = pushed["descriptor"]["digest"].as_str().expect("a digest");
    let file = json!({
        "mediaType": "text/plain",
        "digest": "sha256:8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8",
        "size": 5,
        "annotations": {"org.opencontainers.image.title": "a.txt"},
    });
    assert_eq!(pushed["reference"], format!("oci:layout@{digest}"));
    assert_eq!(pushed["tags"], json!(["v1", "v2"]));
    assert_eq!(pushed["files"], json!([file]));
    assert_eq!(pushed["descriptor"]["artifactType"], "text/x");
    let pulled = ok_json(&workplace, &["pull", "oci:layout:v2", "-o", "out"]);
    assert_eq!(pulled["reference"], format!("oci:layout@{digest}"));
    let expected =
        json!([{"path": "out/a.txt", "action": "written", "unpacked": false, "descriptor": file}]);
    assert_eq!(pulled["files"], expected);
    assert_eq!(pulled["skipped"], json!([]));
}

#[test]
fn an_attachment_refers_to_its_subject() {
    let workplace = workplace();
    let subject = ok(&workplace, &["push", "oci:layout:v1", "a.txt"]);
    let attach = [
        "attach",
        "oci:layout:v1",
        "data/b.txt",
        "--artifact-type",
        "text/x-sbom",
    ];
    let attached = ok_json(&workplace, &attach);
    assert_eq!(attached["subject"]["digest"], subject.trim());
    let tree = ok(&workplace, &["discover", "oci:layout:v1"]);
    assert!(tree.contains("text/x-sbom"), "{tree}");
    let written = ok(&workplace, &["pull", "oci:layout:v1", "-r", "-o", "out"]);
    assert_eq!(written, "out/a.txt\nout/data/b.txt\n");
    fails(&workplace, &["attach", "oci:layout:v1", "a.txt"], 2);
    fails(
        &workplace,
        &["attach", "oci:layout:v1", "--artifact-type", "a/b"],
        2,
    );
    fails(
        &workplace,
        &["attach", "oci:layout:v9", "a.txt", "--artifact-type", "a/b"],
        3,
    );
}

#[test]
fn an_attachment_to_a_platform_has_a_plain_subject() {
    let workplace = workplace();
    let attach = [
        "attach",
        "oci:hello:v1",
        "a.txt",
        "--artifact-type",
        "a/b",
        "--platform",
        "linux/amd64",
    ];
    let subject = &ok_json(&workplace, &attach)["subject"];
    assert_eq!(subject["digest"], crate::support::AMD64);
    assert_eq!(
        subject.as_object().map(serde_json::Map::len),
        Some(3),
        "{subject}"
    );
}

#[test]
fn annotations_come_from_options_or_from_a_file() {
    let workplace = workplace();
    ok(
        &workplace,
        &[
            "push",
            "oci:layout:v1",
            "a.txt",
            "-a",
            "k=v=w",
            "--export-manifest",
            "m.json",
        ],
    );
    let manifest: Value = serde_json::from_slice(&workplace.read("m.json")).expect("JSON");
    assert_eq!(manifest["annotations"]["k"], "v=w");
    let stored = ok(&workplace, &["manifest", "fetch", "oci:layout:v1"]);
    assert_eq!(workplace.read("m.json"), stored.as_bytes());
    workplace.write(
        "notes.json",
        r#"{"$manifest": {"m": "1"}, "./a.txt": {"f": "2"}}"#,
    );
    let push = [
        "push",
        "oci:layout:v2",
        "./a.txt",
        "--annotation-file",
        "notes.json",
    ];
    let pushed = ok_json(&workplace, &push);
    assert_eq!(pushed["descriptor"]["annotations"]["m"], "1");
    assert_eq!(pushed["files"][0]["annotations"]["f"], "2");
    assert_eq!(
        pushed["files"][0]["annotations"]["org.opencontainers.image.title"],
        "a.txt"
    );
    for args in [
        &["push", "oci:layout", "a.txt", "-a", "k"][..],
        &["push", "oci:layout", "a.txt", "-a", "k=1", "-a", "k=2"],
        &[
            "push",
            "oci:layout",
            "a.txt",
            "-a",
            "k=1",
            "--annotation-file",
            "notes.json",
        ],
        &[
            "push",
            "oci:layout",
            "a.txt",
            "--annotation-file",
            "notes.json",
        ],
        &["push", "oci:layout", "a.txt", "--annotation-file", "a.txt"],
    ] {
        fails(&workplace, args, 2);
    }
}

#[test]
fn a_config_without_a_type_makes_a_manifest_of_1_0() {
    let workplace = workplace();
    let push = ["push", "oci:layout:v1", "--config", "a.txt:text/x-config"];
    ok(&workplace, &push);
    let manifest = ok(&workplace, &["manifest", "fetch", "oci:layout:v1"]);
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    assert_eq!(manifest["config"]["mediaType"], "text/x-config");
    assert_eq!(manifest["artifactType"], Value::Null);
    let stderr = fails(
        &workplace,
        &[&push[..], &["--image-spec", "v1.1"]].concat(),
        2,
    );
    assert!(stderr.contains("artifact type"), "{stderr}");
    ok(
        &workplace,
        &["pull", "oci:layout:v1", "--config", "config.json"],
    );
    assert_eq!(workplace.read("config.json"), b"alpha");
}

#[test]
fn a_file_that_exists_is_replaced_with_overwrite_only() {
    let workplace = workplace();
    ok(&workplace, &["push", "oci:layout:v1", "a.txt"]);
    workplace.write("a.txt", "mine");
    let stderr = fails(&workplace, &["pull", "oci:layout:v1"], 1);
    assert!(
        stderr.contains("a.txt") && stderr.contains("--overwrite"),
        "{stderr}"
    );
    assert_eq!(workplace.read("a.txt"), b"mine");
    assert_eq!(
        ok(&workplace, &["pull", "oci:layout:v1", "--overwrite"]),
        "./a.txt\n"
    );
    assert_eq!(workplace.read("a.txt"), b"alpha");
}

#[test]
fn paths_that_cannot_be_pulled_name_the_option_that_allows_them() {
    let workplace = workplace();
    let absolute = workplace.path("a.txt").display().to_string();
    let stderr = fails(&workplace, &["push", "oci:layout", &absolute], 2);
    assert!(stderr.contains("--disable-path-validation"), "{stderr}");
    ok(
        &workplace,
        &[
            "push",
            "oci:layout:v1",
            &absolute,
            "--disable-path-validation",
        ],
    );
    let stderr = fails(&workplace, &["pull", "oci:layout:v1", "-o", "out"], 6);
    assert!(stderr.contains("absolute path"), "{stderr}");
    assert!(!workplace.path("out").exists());
}

#[test]
fn an_image_is_not_pulled_and_the_hint_says_how_to_get_it() {
    let workplace = workplace();
    let stderr = fails(&workplace, &["pull", "oci:hello:v1", "-o", "out"], 6);
    assert!(
        stderr.contains("tranship cp oci:hello:v1 oci:DIR:TAG"),
        "{stderr}"
    );
}

#[test]
fn a_push_to_a_digest_or_a_stream_is_refused() {
    let workplace = workplace();
    let digest = format!("oci:layout@{}", crate::support::NOTHING);
    fails(&workplace, &["push", &digest, "a.txt"], 2);
    fails(&workplace, &["push", "oci-archive:-", "a.txt"], 6);
}

#[test]
fn an_archive_can_be_pulled_from_standard_input() {
    let workplace = workplace();
    ok(&workplace, &["push", "oci-archive:a.tar:v1", "a.txt"]);
    let ran = run(
        &workplace,
        &["pull", "oci-archive:-", "-o", "out"],
        &workplace.read("a.tar"),
    );
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "out/a.txt\n"),
        "{}",
        ran.stderr
    );
}
