use crate::support::{AMD64, INDEX, NOTHING, Workplace};

#[test]
fn a_manifest_is_printed_byte_for_byte() {
    let here = Workplace::new();
    let ran = here.run(&["manifest", "fetch", "oci:hello:v1"]);
    let stored = std::fs::read(here.blob("hello", INDEX)).expect("there");
    assert_eq!(ran.stdout.as_bytes(), stored);
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_manifest_is_indented_where_asked_for() {
    let here = Workplace::new();
    let reference = format!("oci:hello@{AMD64}");
    let plain = here.ok(&["manifest", "fetch", &reference]);
    let pretty = here.ok(&["manifest", "fetch", "--pretty", &reference]);
    assert!(pretty.lines().count() > plain.lines().count());
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!(value(&plain), value(&pretty));
}

#[test]
fn a_descriptor_is_printed_instead() {
    let here = Workplace::new();
    let text = here.ok(&["manifest", "fetch", "--descriptor", "oci:hello:v1"]);
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["digest"], INDEX);
    assert_eq!(json["mediaType"], "application/vnd.oci.image.index.v1+json");
}

#[test]
fn as_json_a_manifest_stands_beside_its_descriptor() {
    let here = Workplace::new();
    let json = here.json(&[
        "manifest",
        "fetch",
        "--platform",
        "linux/amd64",
        "oci:hello:v1",
    ]);
    assert_eq!(json["reference"], format!("oci:hello@{AMD64}"));
    assert_eq!(json["descriptor"]["digest"], AMD64);
    assert_eq!(json["content"]["schemaVersion"], 2);
}

#[test]
fn a_manifest_is_written_to_a_file() {
    let here = Workplace::new();
    let stdout = here.ok(&["manifest", "fetch", "oci:hello:v1", "-o", "file"]);
    assert_eq!(stdout, "");
    let stored = std::fs::read(here.blob("hello", INDEX)).expect("there");
    assert_eq!(here.read("file"), stored);
    assert_eq!(here.files(), ["file", "hello"]);
}

#[test]
fn a_file_is_left_alone_when_there_is_nothing_to_write() {
    let here = Workplace::new();
    here.write("file", "old");
    here.fails(3, &["manifest", "fetch", "oci:hello:v9", "-o", "file"]);
    assert_eq!(here.read("file"), b"old");
    here.fails(2, &["manifest", "fetch", "oci:hello:v1", "-o", "hello"]);
    here.fails(
        3,
        &["manifest", "fetch", "oci:hello:v1", "-o", "missing/file"],
    );
    assert_eq!(here.files(), ["file", "hello"]);
}

#[test]
fn an_altered_manifest_is_not_printed() {
    let here = Workplace::new();
    let mut manifest = std::fs::read(here.blob("hello", INDEX)).expect("there");
    manifest[1] = b'\t';
    here.damage("hello", INDEX, &manifest);
    here.fails(4, &["manifest", "fetch", "oci:hello:v1"]);
}

#[test]
fn a_manifest_is_pushed_from_a_file_with_its_tags() {
    let here = Workplace::new();
    here.ok(&["manifest", "fetch", "oci:hello:v1", "-o", "file"]);
    let digest = here.ok(&["manifest", "push", "oci:hello:new", "file", "-t", "newer"]);
    assert_eq!(digest, INDEX);
    assert_eq!(here.ok(&["resolve", "oci:hello:newer"]), INDEX);
}

#[test]
fn a_manifest_is_pushed_from_standard_input() {
    let here = Workplace::new();
    let index = br#"{"schemaVersion":2,"manifests":[]}"#;
    let arguments = ["manifest", "push", "oci:new:v1", "-", "--format", "json"];
    let ran = here.run_with(&arguments, index);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let media_type = "application/vnd.oci.image.index.v1+json";
    assert_eq!(json["descriptor"]["mediaType"], media_type);
    assert_eq!(json["tags"], serde_json::json!(["v1"]));
    assert_eq!(
        here.ok(&["manifest", "fetch", "oci:new:v1"]).as_bytes(),
        index
    );
}

#[test]
fn a_manifest_must_have_the_digest_of_its_location() {
    let here = Workplace::new();
    here.write("file", r#"{"schemaVersion":2,"manifests":[]}"#);
    let location = format!("oci:new@{NOTHING}");
    here.fails(4, &["manifest", "push", &location, "file"]);
    assert_eq!(here.files(), ["file", "hello"]);
}

#[test]
fn what_is_no_manifest_is_not_pushed_as_one() {
    let here = Workplace::new();
    here.write("text", "hello");
    here.write("index", r#"{"schemaVersion":2,"manifests":[]}"#);
    let stderr = here.fails(4, &["manifest", "push", "oci:new:v1", "text"]);
    assert!(stderr.contains("--media-type"), "{stderr}");
    let image = "application/vnd.oci.image.manifest.v1+json";
    here.fails(
        4,
        &[
            "manifest",
            "push",
            "oci:new:v1",
            "index",
            "--media-type",
            image,
        ],
    );
    here.fails(
        2,
        &[
            "manifest",
            "push",
            "oci:new:v1",
            "index",
            "--media-type",
            "text/plain",
        ],
    );
    here.fails(3, &["manifest", "push", "oci:new:v1", "missing"]);
    here.fails(2, &["manifest", "push", "oci:new:v1", "hello"]);
    assert_eq!(here.files(), ["hello", "index", "text"]);
}

#[test]
fn deleting_needs_a_yes() {
    let here = Workplace::new();
    let stderr = here.fails(2, &["manifest", "delete", "oci:hello:v1"]);
    assert!(stderr.contains("--yes"), "{stderr}");
    assert_eq!(here.ok(&["resolve", "oci:hello:v1"]), INDEX);
}

#[test]
fn deleting_a_manifest_removes_its_tags() {
    let here = Workplace::new();
    let stdout = here.ok(&["manifest", "delete", "-y", "oci:hello:v1"]);
    assert_eq!(stdout, "");
    assert_eq!(here.tags("oci:hello"), ["v1-amd64"]);
    here.fails(
        3,
        &["manifest", "delete", "-y", &format!("oci:hello@{INDEX}")],
    );
}

#[test]
fn as_json_deleting_names_what_was_deleted() {
    let here = Workplace::new();
    let json = here.json(&["manifest", "delete", "-y", "oci:hello:v1"]);
    let deleted = &json["deleted"][0];
    assert_eq!(deleted["reference"], format!("oci:hello@{INDEX}"));
    assert_eq!(deleted["descriptor"]["digest"], INDEX);
}

#[test]
fn a_dry_run_of_deleting_tells_every_tag_that_goes() {
    let here = Workplace::new();
    let planned = here.ok(&["rm", "--dry-run", "oci:hello:v1"]);
    assert_eq!(planned, format!("{INDEX} latest v1"));
    assert_eq!(here.tags("oci:hello"), ["latest", "v1", "v1-amd64"]);
}
