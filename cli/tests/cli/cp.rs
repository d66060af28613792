use crate::support::{AMD64, ATTESTATION, INDEX, NOTHING, SBOM, SIGNATURE, Workplace};

#[test]
fn a_copy_prints_the_digest_and_says_the_rest_on_standard_error() {
    let here = Workplace::new();
    let ran = here.run(&["cp", "oci:hello:v1", "oci:copy:v2"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout, format!("{INDEX}\n"));
    assert!(ran.stderr.starts_with("copied "), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    assert_eq!(here.ok(&["resolve", "oci:copy:v2"]), INDEX);
    assert_eq!(here.tags("oci:copy"), ["v2"]);
}

#[test]
fn quiet_leaves_only_the_digest() {
    let here = Workplace::new();
    let ran = here.run(&["-q", "cp", "oci:hello:v1", "oci:copy"]);
    assert_eq!(ran.stdout, format!("{INDEX}\n"));
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_destination_without_a_tag_gets_that_of_the_source() {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1", "oci:copy"]);
    assert_eq!(here.tags("oci:copy"), ["v1"]);
}

#[test]
fn a_copy_by_digest_has_no_tag() {
    let here = Workplace::new();
    here.ok(&["cp", &format!("oci:hello@{INDEX}"), "oci:copy"]);
    assert!(here.tags("oci:copy").is_empty());
    assert_eq!(here.ok(&["resolve", &format!("oci:copy@{INDEX}")]), INDEX);
}

#[test]
fn several_tags_are_set_at_once() {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1", "oci:copy:a", "-t", "b", "--tag", "c"]);
    assert_eq!(here.tags("oci:copy"), ["a", "b", "c"]);
}

#[test]
fn tags_that_are_given_replace_that_of_the_source() {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1", "oci:copy", "--tag", "b"]);
    assert_eq!(here.tags("oci:copy"), ["b"]);
}

#[test]
fn a_copy_between_layouts_of_one_directory_works() {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1", "layouts:root//team/app"]);
    here.ok(&[
        "cp",
        "layouts:root//team/app:v1",
        "layouts:root//team/other",
    ]);
    assert_eq!(here.ok(&["resolve", "layouts:root//team/other:v1"]), INDEX);
}

#[test]
fn one_platform_is_copied_alone() {
    let here = Workplace::new();
    let digest = here.ok(&[
        "cp",
        "--platform",
        "linux/amd64",
        "oci:hello:v1",
        "oci:copy",
    ]);
    assert_eq!(digest, AMD64);
    assert!(here.blob("copy", AMD64).exists());
    assert!(!here.blob("copy", INDEX).exists());
}

#[test]
fn a_platform_that_is_not_there_is_not_found() {
    let here = Workplace::new();
    let stderr = here.fails(
        3,
        &["cp", "oci:hello:v1", "oci:copy", "--platform", "plan9/mips"],
    );
    assert!(stderr.contains("plan9/mips"), "{stderr}");
    assert!(stderr.contains("linux/amd64"), "{stderr}");
    assert_eq!(here.files(), ["hello"]);
}

#[test]
fn referrers_are_copied_only_where_asked_for() {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1", "oci:plain"]);
    assert!(!here.blob("plain", SBOM).exists());
    here.ok(&["cp", "-r", "oci:hello:v1", "oci:all"]);
    for referrer in [SBOM, SIGNATURE, ATTESTATION] {
        assert!(here.blob("all", referrer).exists(), "{referrer}");
    }
    assert_eq!(here.tags("oci:all"), ["v1"]);
}

#[test]
fn referrers_are_copied_to_the_depth_that_is_given() {
    let here = Workplace::new();
    here.ok(&["cp", "-r", "--depth", "2", "oci:hello:v1", "oci:copy"]);
    assert!(here.blob("copy", SIGNATURE).exists());
    assert!(!here.blob("copy", ATTESTATION).exists());
}

#[test]
fn referrers_are_chosen_by_their_artifact_type() {
    let here = Workplace::new();
    let spdx = "application/spdx+json";
    here.ok(&[
        "cp",
        "-r",
        "--artifact-type",
        spdx,
        "oci:hello:v1",
        "oci:copy",
    ]);
    assert!(here.blob("copy", SBOM).exists());
    assert!(!here.blob("copy", SIGNATURE).exists());
}

#[test]
fn filters_need_recursive() {
    let here = Workplace::new();
    let ran = here.run(&["cp", "--depth", "1", "oci:hello:v1", "oci:copy"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--recursive"), "{ran:?}");
}

#[test]
fn a_dry_run_prints_the_plan_and_does_nothing() {
    let here = Workplace::new();
    let plan = here.ok(&["cp", "--dry-run", "oci:hello:v1", "oci:copy"]);
    assert_eq!(here.files(), ["hello"]);
    assert!(
        plan.lines().all(|line| line.starts_with("copy sha256:")),
        "{plan}"
    );
    let root = plan.lines().last().expect("the root");
    assert_eq!(
        root,
        format!("copy {INDEX} 1217 application/vnd.oci.image.index.v1+json")
    );
}

#[test]
fn what_is_there_is_not_copied_again() {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1", "oci:copy"]);
    let json = here.json(&["cp", "oci:hello:v1", "oci:copy"]);
    assert_eq!(json["copied"]["count"], 0);
    assert_eq!(json["skipped"]["count"], 1);
}

#[test]
fn repair_finds_what_is_missing_below_a_manifest() {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1", "oci:copy"]);
    std::fs::remove_file(here.blob("copy", AMD64)).expect("there");
    here.ok(&["cp", "oci:hello:v1", "oci:copy"]);
    assert!(!here.blob("copy", AMD64).exists());
    here.ok(&["cp", "--repair", "oci:hello:v1", "oci:copy"]);
    assert!(here.blob("copy", AMD64).exists());
}

#[test]
fn as_json_a_copy_tells_each_step() {
    let here = Workplace::new();
    let json = here.json(&["cp", "oci:hello:v1", "oci:copy", "-t", "x"]);
    assert_eq!(json["source"], "oci:hello:v1");
    assert_eq!(json["destination"], format!("oci:copy@{INDEX}"));
    assert_eq!(json["tags"], serde_json::json!(["x"]));
    assert_eq!(json["descriptor"]["digest"], INDEX);
    assert_eq!(json["dryRun"], false);
    let steps = json["steps"].as_array().expect("steps");
    assert_eq!(json["copied"]["count"], steps.len());
    let last = steps.last().expect("the root");
    assert_eq!(last["action"], "copy");
    assert_eq!(last["descriptor"]["digest"], INDEX);
}

#[test]
fn a_missing_layout_is_not_found_and_nothing_is_created() {
    let here = Workplace::new();
    let stderr = here.fails(3, &["cp", "oci:missing:v1", "oci:copy"]);
    assert!(stderr.contains("oci:missing"), "{stderr}");
    assert_eq!(here.files(), ["hello"]);
}

#[test]
fn a_missing_tag_is_not_found_and_nothing_is_created() {
    let here = Workplace::new();
    let stderr = here.fails(3, &["cp", "oci:hello:v9", "oci:copy"]);
    assert!(stderr.contains("oci:hello:v9"), "{stderr}");
    assert!(stderr.contains("tranship repo tags oci:hello"), "{stderr}");
    assert_eq!(here.files(), ["hello"]);
}

#[test]
fn a_source_without_a_tag_is_told_how_to_list_them() {
    let here = Workplace::new();
    let stderr = here.fails(2, &["cp", "oci:hello", "oci:copy"]);
    assert!(stderr.contains("tranship repo tags oci:hello"), "{stderr}");
}

#[test]
fn an_altered_manifest_is_wrong_content_and_nothing_is_tagged() {
    let here = Workplace::new();
    let mut manifest = std::fs::read(here.blob("hello", AMD64)).expect("there");
    manifest[1] = b' ';
    here.damage("hello", AMD64, &manifest);
    let stderr = here.fails(4, &["cp", "oci:hello:v1", "oci:copy"]);
    assert!(stderr.contains(AMD64), "{stderr}");
    assert_eq!(here.run(&["resolve", "oci:copy:v1"]).code, Some(3));
}

#[test]
fn an_altered_layer_is_wrong_content_and_does_not_arrive() {
    let here = Workplace::new();
    let manifest = std::fs::read(here.blob("hello", AMD64)).expect("there");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    let layer = manifest["layers"][0]["digest"].as_str().expect("a layer");
    let mut content = std::fs::read(here.blob("hello", layer)).expect("there");
    content[0] ^= 1;
    here.damage("hello", layer, &content);
    let stderr = here.fails(4, &["cp", "oci:hello:v1-amd64", "oci:copy"]);
    assert!(stderr.contains(layer), "{stderr}");
    assert!(!here.blob("copy", layer).exists());
    assert_eq!(here.run(&["resolve", "oci:copy:v1-amd64"]).code, Some(3));
}

#[test]
fn a_missing_blob_is_not_found() {
    let here = Workplace::new();
    std::fs::remove_file(here.blob("hello", AMD64)).expect("there");
    let stderr = here.fails(3, &["cp", "oci:hello:v1", "oci:copy"]);
    assert!(stderr.contains(AMD64), "{stderr}");
}

#[test]
fn a_destination_by_digest_must_be_what_is_copied() {
    let here = Workplace::new();
    here.fails(4, &["cp", "oci:hello:v1", &format!("oci:copy@{NOTHING}")]);
    assert_eq!(here.files(), ["hello"]);
    here.ok(&["cp", "oci:hello:v1", &format!("oci:copy@{INDEX}")]);
    assert!(here.tags("oci:copy").is_empty());
}

#[test]
fn malformed_locations_are_wrong_usage_with_a_hint() {
    let here = Workplace::new();
    for (source, destination, hint) in [
        ("alpine", "oci:copy", "docker.io/library/alpine"),
        ("./hello:v1", "oci:copy", "oci:PATH"),
        ("oci:hello:v1", "oci:copy:a,b", "--tag"),
        ("oci:hello:v1", "copy", "docker.io/library/copy"),
    ] {
        let stderr = here.fails(2, &["cp", source, destination]);
        assert!(stderr.contains(hint), "{stderr}");
    }
    assert_eq!(here.files(), ["hello"]);
}

#[test]
fn a_bad_platform_is_wrong_usage() {
    let here = Workplace::new();
    let stderr = here.fails(
        2,
        &["cp", "--platform", "linux", "oci:hello:v1", "oci:copy"],
    );
    assert!(stderr.contains("linux/amd64"), "{stderr}");
}

#[test]
fn what_tags_attach_is_copied_with_its_tags() {
    let here = Workplace::new();
    let tag = |suffix: &str| format!("{}.{suffix}", INDEX.replace(':', "-"));
    for suffix in ["sig", "att", "sbom"] {
        here.ok(&["tag", &format!("oci:hello@{AMD64}"), &tag(suffix)]);
    }
    let expected = [tag("att"), tag("sbom"), tag("sig"), "v1".to_owned()];

    let plan = here.ok(&["cp", "-r", "--dry-run", "oci:hello:v1", "oci:back"]);
    assert!(plan.contains(&format!("\ntag {}", tag("sig"))), "{plan}");
    let json = here.json(&["cp", "-r", "oci:hello:v1", "oci:back"]);
    assert_eq!(json["digestTags"].as_array().map(Vec::len), Some(3));
    assert_eq!(here.tags("oci:back"), expected);
    // Once more, with all of it there.
    here.ok(&["cp", "-r", "oci:hello:v1", "oci:back"]);
    assert_eq!(here.tags("oci:back"), expected);

    for arguments in [
        &["cp", "oci:hello:v1", "oci:without"][..],
        &[
            "cp",
            "-r",
            "--no-digest-tags",
            "oci:hello:v1",
            "oci:without",
        ],
    ] {
        here.ok(arguments);
        assert_eq!(here.tags("oci:without"), ["v1"]);
    }
}

#[test]
fn the_only_manifest_is_taken_without_a_tag_and_several_are_named() {
    let here = Workplace::new();
    let digest = here.ok(&["cp", "oci:hello:v1-amd64", "oci:one"]);
    here.ok(&["untag", "oci:one:v1-amd64"]);
    assert_eq!(here.ok(&["resolve", "oci:one"]), digest);
    assert_eq!(here.ok(&["repo", "tags", "oci:one"]), "");
    assert_eq!(here.ok(&["repo", "tags", "oci:one", "--untagged"]), digest);
    assert_eq!(here.ok(&["cp", "oci:one", "oci:copy:v2"]), digest);
    let error = here.fails(2, &["resolve", "oci:hello"]);
    assert!(
        error.contains(":latest") && error.contains(":v1"),
        "{error}"
    );
}

#[test]
fn several_manifests_with_one_tag_and_odd_names_are_told() {
    let here = Workplace::new();
    let amd64 = here.ok(&["resolve", "oci:hello:v1-amd64"]);
    let index = here.ok(&["resolve", "oci:hello:v1"]);
    here.ok(&["cp", "oci:hello:v1", "oci:two"]);
    let mut listed: serde_json::Value =
        serde_json::from_slice(&here.read("two/index.json")).expect("json");
    let entry = |digest: &str, name: &str| {
        let descriptor = here.ok(&[
            "manifest",
            "fetch",
            "--descriptor",
            &format!("oci:two@{digest}"),
        ]);
        let mut entry: serde_json::Value = serde_json::from_str(&descriptor).expect("json");
        entry["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": name});
        entry
    };
    listed["manifests"] = serde_json::json!([
        entry(&index, "v1"),
        entry(&amd64, "v1"),
        entry(&index, "a:1,b:2"),
    ]);
    here.write("two/index.json", listed.to_string());
    let ran = here.run(&["resolve", "oci:two:v1"]);
    assert_eq!(ran.stdout.trim(), amd64);
    assert!(
        ran.stderr.contains("warning") && ran.stderr.contains(&index),
        "{}",
        ran.stderr
    );
    assert!(
        here.run(&["repo", "tags", "oci:two"])
            .stderr
            .contains("--untagged")
    );
    let untagged = here.ok(&["repo", "tags", "oci:two", "--untagged"]);
    assert!(untagged.contains(&index), "{untagged}");
    here.fails(3, &["resolve", "oci:two:2"]);
}

#[test]
fn a_missing_platform_is_met_with_the_platforms_that_are_there() {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1", "oci:sparse"]);
    let amd64 = here.ok(&["resolve", "oci:sparse:v1", "--platform", "linux/amd64"]);
    let index = here.ok(&["manifest", "fetch", "oci:sparse:v1"]);
    let index: serde_json::Value = serde_json::from_str(&index).expect("json");
    for child in index["manifests"].as_array().expect("manifests") {
        let digest = child["digest"].as_str().expect("a digest");
        if digest != amd64 {
            std::fs::remove_file(here.blob("sparse", digest)).expect("removed");
        }
    }
    let error = here.fails(3, &["cp", "oci:sparse:v1", "oci:out"]);
    assert!(error.contains("--platform linux/amd64"), "{error}");
    here.ok(&[
        "cp",
        "--platform",
        "linux/amd64",
        "oci:sparse:v1",
        "oci:out",
    ]);
}

#[test]
fn a_platform_that_is_listed_and_not_there_is_named() {
    let here = Workplace::new();
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(here.blob("hello", INDEX)).expect("read"))
            .expect("JSON");
    let mut index = index;
    let mut absent = index["manifests"][0].clone();
    absent["digest"] = NOTHING.into();
    absent["platform"] = serde_json::json!({"os": "linux", "architecture": "s390x"});
    index["manifests"]
        .as_array_mut()
        .expect("a list")
        .push(absent);
    here.write("index", index.to_string());
    here.ok(&["manifest", "push", "oci:hello:sparse", "index"]);
    let stderr = here.fails(
        3,
        &[
            "cp",
            "--platform",
            "linux/s390x",
            "oci:hello:sparse",
            "oci:new",
        ],
    );
    assert!(stderr.contains("not there, for linux/s390x"), "{stderr}");
    assert!(
        stderr.contains("--platform") && stderr.contains("linux/amd64"),
        "{stderr}"
    );
}
