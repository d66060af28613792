//! `index`: indexes are made, changed and shown.

use crate::platforms::three_platforms;
use crate::support::{AMD64, INDEX, Workplace};

#[test]
fn an_index_is_made_of_images_from_several_places() {
    let here = Workplace::new();
    for platform in ["amd64", "arm64"] {
        let destination = format!("oci:{platform}:v1");
        let platform = format!("linux/{platform}");
        here.ok(&["cp", "oci:hello:v1", &destination, "--platform", &platform]);
    }
    let arguments = [
        "index",
        "create",
        "oci:joined:v1",
        "oci:amd64:v1",
        "oci:arm64:v1",
    ];
    let digest = here.ok(&arguments);
    assert_eq!(here.ok(&["resolve", "oci:joined:v1"]), digest);
    here.ok(&["fsck", "oci:joined"]);
    let amd64 = ["resolve", "oci:joined:v1", "--platform", "linux/amd64"];
    assert_eq!(here.ok(&amd64), AMD64);
    let same = [
        "index",
        "create",
        "oci:joined:v2",
        "--tag",
        "v3",
        AMD64,
        "v1",
    ];
    let json = here.json(&same);
    assert_eq!(json["tags"], serde_json::json!(["v2", "v3"]));
    let shown = here.json(&["index", "show", "oci:joined:v3"]);
    assert_eq!(shown["manifests"].as_array().map(Vec::len), Some(2));
    here.fails(3, &["index", "create", "oci:joined:v4", "missing"]);
    assert_eq!(here.tags("oci:joined"), ["v1", "v2", "v3"]);
}

#[test]
fn entries_are_shown_as_a_table() {
    let here = Workplace::new();
    let table = here.ok(&["index", "show", "oci:hello:v1"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("PLATFORM"), "{table}");
    assert!(lines[1].starts_with("linux/amd64"), "{table}");
    assert!(lines[1].contains(AMD64), "{table}");
    let error = here.fails(6, &["index", "show", "oci:hello:v1-amd64"]);
    assert!(error.contains("not an index"), "{error}");
}

#[test]
fn an_entry_is_removed_and_added_again() {
    let here = Workplace::new();
    three_platforms(&here);
    let before = here.ok(&["resolve", "oci:three:v1"]);
    let remove = [
        "index",
        "remove",
        "oci:three:v1",
        "--platform",
        "linux/arm64",
    ];
    let ran = here.run(&remove);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let after = ran.stdout.trim_end();
    assert!(
        ran.stderr.contains(&format!("{before} becomes {after}")),
        "{ran:?}"
    );
    assert_eq!(here.ok(&["resolve", "oci:three:v1"]), after);
    let error = here.fails(3, &remove);
    assert!(error.contains("linux/s390x"), "{error}");

    let add = [
        "index",
        "add",
        "oci:three:v1",
        "oci:hello:v1",
        "--platform",
        "linux/arm64",
    ];
    let json = here.json(&add);
    assert_eq!(json["previous"]["digest"], after);
    assert_eq!(json["added"][0]["platform"]["architecture"], "arm64");
    let again = here.run(&add);
    assert!(again.stderr.contains("nothing to change"), "{again:?}");
    let without = here.run(&["index", "remove", "oci:three:v1"]);
    assert_eq!(without.code, Some(2), "{without:?}");
}

#[test]
fn two_images_for_one_platform_are_told_of() {
    let here = Workplace::new();
    three_platforms(&here);
    here.write("config", r#"{"os":"linux","architecture":"arm64"}"#);
    let add = [
        "index",
        "add",
        "oci:three:v1",
        AMD64,
        "--entry-platform",
        "linux/arm64/v8",
    ];
    let ran = here.run(&add);
    assert!(
        ran.stderr.contains("2 manifests for linux/arm64/v8"),
        "{ran:?}"
    );
    here.ok(&["tag", &format!("oci:three@{INDEX}"), "v1"]);
    let ran = here.run(&[&add[..], &["--replace"]].concat());
    assert!(!ran.stderr.contains("2 manifests"), "{ran:?}");
}
