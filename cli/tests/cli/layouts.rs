use std::fs;

use crate::support::{EMPTY, HELLO, INDEX, SBOM, Workplace};

const NOW: [&str; 2] = ["--grace", "0s"];

fn with_garbage() -> Workplace {
    let here = Workplace::new();
    here.write("file", "hello");
    here.ok(&["blob", "push", "oci:hello", "file"]);
    here
}

#[test]
fn garbage_is_removed_and_printed() {
    let here = with_garbage();
    let dry = here.run(&[&["gc", "oci:hello", "--dry-run"][..], &NOW].concat());
    assert_eq!(dry.stdout, format!("{HELLO} 5\n"));
    assert!(dry.stderr.contains("would be removed"), "{}", dry.stderr);
    assert!(here.blob("hello", HELLO).exists());

    let ran = here.run(&[&["gc", "oci:hello"][..], &NOW].concat());
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("{HELLO} 5\n")));
    assert!(ran.stderr.contains("1 blobs"), "{}", ran.stderr);
    assert!(!here.blob("hello", HELLO).exists());
    here.ok(&["resolve", "oci:hello:v1"]);
}

#[test]
fn young_garbage_stays_for_an_hour_unless_told_otherwise() {
    let here = with_garbage();
    assert_eq!(here.ok(&["gc", "oci:hello"]), "");
    assert_eq!(here.ok(&["gc", "oci:hello", "--grace", "1d"]), "");
    assert!(here.blob("hello", HELLO).exists());
}

#[test]
fn as_json_a_collection_is_a_report_for_each_layout() {
    let here = with_garbage();
    fs::create_dir(here.path("root")).expect("created");
    fs::rename(here.path("hello"), here.path("root/hello")).expect("moved");
    here.ok(&["cp", "layouts:root//hello:v1", "layouts:root//other:v1"]);
    let json = here.json(&[&["gc", "layouts:root"][..], &NOW].concat());
    let layouts = json["layouts"].as_array().expect("a list");
    assert_eq!(layouts.len(), 2);
    assert_eq!(layouts[0]["location"], "layouts:root//hello");
    assert_eq!(layouts[0]["removed"][0]["digest"], HELLO);
    assert_eq!(layouts[1]["location"], "layouts:root//other");
    assert_eq!(layouts[1]["removed"].as_array().expect("a list").len(), 0);
    assert_eq!(json["freed"], 5);
}

#[test]
fn untagged_manifests_go_when_asked() {
    let here = Workplace::new();
    here.ok(&["cp", "-r", "oci:hello:v1", "oci:copy:v1"]);
    here.ok(&["untag", "oci:copy:v1"]);
    let age = ["--untagged-older-than", "0s"];
    let json = here.json(&[&["gc", "oci:copy"][..], &NOW, &age].concat());
    let untagged = json["layouts"][0]["untagged"].as_array().expect("a list");
    let untagged: Vec<_> = untagged
        .iter()
        .map(|entry| entry["digest"].as_str())
        .collect();
    assert!(untagged.contains(&Some(INDEX)), "{untagged:?}");
    assert!(untagged.contains(&Some(SBOM)), "{untagged:?}");
    let left = fs::read_dir(here.path("copy/blobs/sha256")).expect("listed");
    assert_eq!(left.count(), 0);
}

#[test]
fn one_damaged_layout_does_not_keep_others_from_being_collected() {
    let here = with_garbage();
    fs::create_dir(here.path("root")).expect("created");
    fs::rename(here.path("hello"), here.path("root/sound")).expect("moved");
    here.ok(&["cp", "layouts:root//sound:v1", "layouts:root//broken:v1"]);
    here.damage("root/broken", INDEX, b"{}");
    let ran = here.run(&[&["gc", "layouts:root"][..], &NOW].concat());
    assert_eq!((ran.code, ran.stdout), (Some(4), format!("{HELLO} 5\n")));
    assert!(
        ran.stderr.contains("layouts:root//broken"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_layout_that_is_half_made_does_not_count_among_others() {
    let here = with_garbage();
    fs::create_dir_all(here.path("root/half")).expect("created");
    fs::rename(here.path("hello"), here.path("root/whole")).expect("moved");
    here.write("root/half/index.json", r#"{"schemaVersion":2}"#);
    let removed = here.ok(&[&["gc", "layouts:root"][..], &NOW].concat());
    assert_eq!(removed, format!("{HELLO} 5"));
    assert_eq!(here.ok(&["fsck", "layouts:root"]), "");
    here.fails(3, &["gc", "layouts:root//half"]);
}

#[test]
fn what_is_no_layout_has_no_garbage() {
    let here = Workplace::new();
    for command in ["gc", "fsck"] {
        let error = here.fails(6, &[command, "registry.example/app"]);
        assert!(error.contains("image layout"), "{error}");
        here.fails(3, &[command, "oci:absent"]);
        here.fails(3, &[command, "layouts:absent"]);
        here.fails(2, &[command, "oci:hello:v1"]);
    }
    let error = here.fails(2, &["gc", "oci:hello", "--grace", "5"]);
    assert!(error.contains("write for example 90s"), "{error}");
}

#[test]
fn a_sound_layout_passes_the_check_in_silence() {
    let here = Workplace::new();
    assert_eq!(here.ok(&["fsck", "--quiet", "oci:hello"]), "");
    let json = here.json(&["fsck", "--quiet", "oci:hello"]);
    assert_eq!(json["sound"], true);
    assert_eq!(
        json["layouts"][0]["findings"].as_array().map(Vec::len),
        Some(0)
    );
}

#[test]
fn damage_is_printed_and_is_exit_code_4() {
    let here = Workplace::new();
    here.damage("hello", EMPTY, b"[]");
    let ran = here.run(&["fsck", "--quiet", "oci:hello"]);
    assert_eq!(ran.code, Some(4));
    let line = format!("error: altered {EMPTY}: the 2 bytes");
    assert!(ran.stdout.starts_with(&line), "{}", ran.stdout);
    assert_eq!(ran.stdout.lines().count(), 1);
    assert!(ran.stderr.contains("--repair-from"), "{}", ran.stderr);
    let ran = here.run(&["fsck", "--format", "json", "oci:hello"]);
    assert_eq!(ran.code, Some(4));
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect("a document");
    assert_eq!(json["sound"], false);
    assert_eq!(json["layouts"][0]["findings"][0]["kind"], "altered");
}

#[test]
fn damage_is_repaired_from_elsewhere() {
    let here = Workplace::new();
    here.ok(&["cp", "-r", "oci:hello:v1", "oci:good:v1"]);
    here.damage("hello", EMPTY, b"[]");
    fs::remove_file(here.blob("hello", SBOM)).expect("removed");
    let stdout = here.ok(&["fsck", "oci:hello", "--repair-from", "oci:good"]);
    let repaired = [
        format!("repaired: altered {EMPTY}"),
        format!("repaired: missing {SBOM}"),
    ];
    let mut lines: Vec<_> = stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, repaired);
    assert_eq!(here.ok(&["fsck", "--quiet", "oci:hello"]), "");
    assert_eq!(
        here.ok(&["blob", "fetch", &format!("oci:hello@{EMPTY}")]),
        "{}"
    );
}

#[test]
fn a_layout_with_an_invalid_marker_is_checked_all_the_same() {
    let here = Workplace::new();
    here.write("hello/oci-layout", "");
    let ran = here.run(&["fsck", "--quiet", "oci:hello"]);
    assert_eq!(ran.code, Some(4));
    assert!(
        ran.stdout.starts_with("error: invalid layout oci-layout"),
        "{}",
        ran.stdout
    );
}

#[test]
fn an_invalid_marker_is_repaired() {
    let here = Workplace::new();
    here.ok(&["cp", "-r", "oci:hello:v1", "oci:good:v1"]);
    here.write("hello/oci-layout", "");
    let stdout = here.ok(&["fsck", "oci:hello", "--repair-from", "oci:good"]);
    assert_eq!(stdout, "repaired: invalid layout oci-layout");
    assert_eq!(here.ok(&["fsck", "--quiet", "oci:hello"]), "");
}

#[test]
fn an_index_that_was_cut_short_is_not_met_with_a_repair() {
    let here = Workplace::new();
    let index = here.read("hello/index.json");
    here.write("hello/index.json", &index[..index.len() / 2]);
    let ran = here.run(&["fsck", "oci:hello"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("does not help"), "{ran:?}");
}
