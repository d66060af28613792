//! Platforms: the one of this machine, and copies of several.

use serde_json::Value;

use crate::support::{EMPTY, Workplace};

#[test]
fn local_is_the_platform_of_this_machine() {
    let here = Workplace::new();
    let local = tranship::Platform::local().to_string();
    let arguments = ["resolve", "oci:hello:v1", "--platform"];
    let named = here.run(&[&arguments[..], &[&local]].concat());
    let by_word = here.run(&[&arguments[..], &["local"]].concat());
    assert_eq!(by_word.code, named.code);
    assert_eq!(by_word.stdout, named.stdout);

    let error = here.fails(2, &[&arguments[..], &["lokal"]].concat());
    assert!(error.contains("or local for this machine"), "{error}");
}

#[test]
fn two_platforms_are_copied_with_an_index_of_these() {
    let here = Workplace::new();
    for platforms in [
        &["--platform", "linux/amd64", "--platform", "linux/arm64"][..],
        &["--platform", "linux/arm64,linux/amd64"],
    ] {
        let arguments = [&["cp", "oci:three:v1", "oci:two"][..], platforms].concat();
        three_platforms(&here);
        let ran = here.run(&arguments);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.contains("kept 2 of 3 entries"), "{ran:?}");
        let index: Value =
            serde_json::from_str(&here.ok(&["manifest", "fetch", "oci:two:v1"])).expect("JSON");
        assert_eq!(index["manifests"].as_array().map(Vec::len), Some(2));
        let stdout = ran.stdout.trim_end();
        assert_eq!(here.ok(&["resolve", "oci:two:v1"]), stdout);
        here.ok(&["fsck", "oci:two"]);
    }
}

#[test]
fn all_platforms_are_copied_with_the_original_index() {
    let here = Workplace::new();
    let index = here.ok(&["resolve", "oci:hello:v1"]);
    for platforms in ["all", "linux/amd64,all"] {
        let copied = here.ok(&["cp", "oci:hello:v1", "oci:all", "--platform", platforms]);
        assert_eq!(copied, index);
    }
}

#[test]
fn a_sparse_copy_keeps_the_digest_of_the_index() {
    let here = Workplace::new();
    three_platforms(&here);
    let index = here.ok(&["resolve", "oci:three:v1"]);
    let arguments = ["cp", "oci:three:v1", "oci:sparse", "--sparse", "--platform"];
    let ran = here.run(&[&arguments[..], &["linux/amd64"]].concat());
    assert_eq!(ran.stdout.trim_end(), index);
    assert!(ran.stderr.contains("kept 1 of 3 entries"), "{ran:?}");
    here.ok(&[
        "cp",
        "oci:sparse:v1",
        "oci:one",
        "--platform",
        "linux/amd64",
    ]);
    let without = here.run(&["cp", "oci:three:v1", "oci:sparse", "--sparse"]);
    assert_eq!(without.code, Some(2), "{without:?}");
}

#[test]
fn a_platform_that_is_missing_is_an_error_unless_allowed() {
    let here = Workplace::new();
    three_platforms(&here);
    let arguments = [
        "cp",
        "oci:three:v1",
        "oci:out",
        "--platform",
        "linux/amd64,windows/amd64,linux/arm64",
    ];
    let error = here.fails(3, &arguments);
    assert!(error.contains("platform windows/amd64"), "{error}");
    assert!(error.contains("linux/s390x"), "{error}");
    let json = here.json(&[&arguments[..], &["--allow-missing-platforms"]].concat());
    assert_eq!(json["platforms"]["missing"][0], "windows/amd64");
    assert_eq!(json["platforms"]["kept"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        json["platforms"]["removed"].as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn several_platforms_do_not_go_into_an_archive_of_docker() {
    let here = Workplace::new();
    three_platforms(&here);
    let platforms = ["--platform", "linux/amd64,linux/arm64"];
    let arguments = ["cp", "oci:three:v1", "docker-archive:d.tar:v1"];
    let error = here.fails(6, &[&arguments[..], &platforms].concat());
    assert!(error.contains("--platform"), "{error}");
}

#[test]
fn a_warning_tells_that_signatures_do_not_cover_the_new_index() {
    let here = Workplace::new();
    three_platforms(&here);
    let index: Value = here.json(&["resolve", "oci:three:v1"]);
    let subject = &index["descriptor"];
    let signature = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"a/signature","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{EMPTY}","size":2}},"layers":[],"subject":{subject}}}"#
    );
    here.write("signature.json", signature);
    here.write("empty", "{}");
    here.ok(&["blob", "push", "oci:three", "empty"]);
    let platforms = ["--platform", "linux/amd64,linux/arm64"];
    let arguments = [&["cp", "oci:three:v1", "oci:two"][..], &platforms].concat();
    assert!(!here.run(&arguments).stderr.contains("warning"));
    here.ok(&["manifest", "push", "oci:three", "signature.json"]);
    let warned = here.run(&arguments).stderr;
    assert!(warned.contains("warning: signatures"), "{warned}");
}

/// Makes the layout `three`, with an index `v1` of three platforms: those of the fixture and one more.
pub(crate) fn three_platforms(here: &Workplace) {
    here.ok(&["cp", "oci:hello:v1", "oci:three"]);
    let json = here.ok(&["manifest", "fetch", "oci:three:v1"]);
    let mut index: Value = serde_json::from_str(&json).expect("JSON");
    let manifests = index["manifests"].as_array_mut().expect("a list");
    manifests.truncate(2);
    let mut third = manifests[0].clone();
    third["platform"]["architecture"] = "s390x".into();
    manifests.push(third);
    here.write("three.json", index.to_string());
    here.ok(&["manifest", "push", "oci:three:v1", "three.json"]);
}
