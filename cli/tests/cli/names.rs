//! `resolve`, `tag` and `untag`.

use crate::support::{AMD64, INDEX, NOTHING, Workplace};

#[test]
fn a_tag_resolves_to_its_digest() {
    let here = Workplace::new();
    assert_eq!(here.ok(&["resolve", "oci:hello:v1"]), INDEX);
    assert_eq!(
        here.ok(&["resolve", "--full", "oci:hello:v1"]),
        format!("oci:hello@{INDEX}")
    );
}

#[test]
fn a_tag_resolves_to_the_manifest_of_a_platform() {
    let here = Workplace::new();
    let digest = here.ok(&["resolve", "oci:hello:v1", "--platform", "linux/amd64"]);
    assert_eq!(digest, AMD64);
}

#[test]
fn as_json_a_resolved_tag_is_a_descriptor() {
    let here = Workplace::new();
    let json = here.json(&["resolve", "oci:hello:v1"]);
    assert_eq!(json["reference"], format!("oci:hello@{INDEX}"));
    assert_eq!(json["descriptor"]["digest"], INDEX);
    assert_eq!(json["descriptor"]["size"], 1217);
}

#[test]
fn what_is_not_there_does_not_resolve() {
    let here = Workplace::new();
    here.fails(3, &["resolve", "oci:hello:v9"]);
    here.fails(3, &["resolve", &format!("oci:hello@{NOTHING}")]);
    here.fails(3, &["resolve", "oci:missing:v1"]);
    here.fails(3, &["resolve", "layouts:missing//app:v1"]);
    here.fails(2, &["resolve", "oci:hello@sha256:12"]);
    here.fails(2, &["resolve", "oci:hello"]);
    assert_eq!(here.files(), ["hello"]);
}

#[test]
fn a_torn_index_is_wrong_content() {
    let here = Workplace::new();
    here.write("hello/index.json", "{\"schemaVersion\":2,\"mani");
    let stderr = here.fails(4, &["resolve", "oci:hello:v1"]);
    assert!(stderr.contains("index.json"), "{stderr}");
}

#[test]
fn a_directory_that_is_no_layout_is_told_apart() {
    let here = Workplace::new();
    std::fs::create_dir(here.path("photos")).expect("created");
    here.write("photos/cat.jpg", "meow");
    here.fails(3, &["resolve", "oci:photos:v1"]);
    here.fails(3, &["cp", "oci:photos:v1", "oci:copy"]);
    assert_eq!(here.files(), ["hello", "photos"]);
}

#[test]
fn tags_are_added_and_moved() {
    let here = Workplace::new();
    let digest = here.ok(&["tag", "oci:hello:v1", "stable", "v1-amd64"]);
    assert_eq!(digest, INDEX);
    assert_eq!(here.ok(&["resolve", "oci:hello:stable"]), INDEX);
    assert_eq!(here.ok(&["resolve", "oci:hello:v1-amd64"]), INDEX);
}

#[test]
fn as_json_tagging_names_the_tags() {
    let here = Workplace::new();
    let json = here.json(&["tag", &format!("oci:hello@{AMD64}"), "a", "b"]);
    assert_eq!(json["tags"], serde_json::json!(["a", "b"]));
    assert_eq!(json["descriptor"]["digest"], AMD64);
}

#[test]
fn a_bad_tag_is_wrong_usage_and_changes_nothing() {
    let here = Workplace::new();
    here.fails(2, &["tag", "oci:hello:v1", "good", "not a tag"]);
    here.fails(3, &["tag", "oci:hello:v9", "good"]);
    assert_eq!(here.tags("oci:hello"), ["latest", "v1", "v1-amd64"]);
}

#[test]
fn tags_are_removed_and_manifests_stay() {
    let here = Workplace::new();
    let stdout = here.ok(&["untag", "oci:hello:v1", "oci:hello:latest"]);
    assert_eq!(stdout, "");
    assert_eq!(here.tags("oci:hello"), ["v1-amd64"]);
    assert_eq!(here.ok(&["resolve", &format!("oci:hello@{INDEX}")]), INDEX);
}

#[test]
fn no_tag_is_removed_unless_all_of_them_exist() {
    let here = Workplace::new();
    here.fails(3, &["untag", "oci:hello:v1", "oci:hello:v9"]);
    here.fails(2, &["untag", "oci:hello:v1", &format!("oci:hello@{INDEX}")]);
    assert_eq!(here.tags("oci:hello"), ["latest", "v1", "v1-amd64"]);
}

#[test]
fn as_json_untagging_names_what_was_removed() {
    let here = Workplace::new();
    let json = here.json(&["untag", "oci:hello:v1", "oci:hello:v1"]);
    assert_eq!(json, serde_json::json!({"untagged": ["oci:hello:v1"]}));
}
