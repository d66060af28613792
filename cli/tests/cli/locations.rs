//! What every command that takes a location understands, and how it is opened.

use crate::support::{INDEX, Workplace};

#[test]
fn the_help_lists_every_kind_of_location_and_the_options_for_them() {
    let here = Workplace::new();
    let help = here.ok(&["help", "options"]);
    for option in ["--durability", "--store-option", "--unconditional-put"] {
        assert!(help.contains(option), "{help}");
    }
    let help = here.ok(&["--help"]) + &here.ok(&["help", "locations"]);
    for location in [
        "oci-archive:FILE",
        "docker-archive:FILE",
        "oci:URL",
        "layouts:URL",
    ] {
        assert!(help.contains(location), "{help}");
    }
}

#[test]
fn a_malformed_location_is_wrong_usage() {
    let here = Workplace::new();
    for text in [
        "oci-archive:app.tar:alpine:3",
        "oci-archive:",
        "docker-archive:app.tar:docker.io/library/alpine",
        "docker-archive:app.tar:Alpine:3",
        "oci:s3://bucket/a//b:v1",
        "oci:s3://bucket:9000/a:v1",
        "oci-archive:s3://bucket/app.tar",
        "layouts:s3://bucket:v1",
    ] {
        here.fails(2, &["resolve", text]);
    }
    here.fails(2, &["repo", "ls", "oci-archive:app.tar"]);
    here.fails(2, &["repo", "ls", "oci:s3://bucket"]);
    here.fails(6, &["resolve", "oci:memory:///app:v1"]);
}

#[test]
fn a_secret_in_a_location_is_refused_and_not_repeated() {
    let here = Workplace::new();
    for text in [
        "oci:s3://key:hunter2@bucket/app:v1",
        "oci:https://host/app?sig=hunter2",
        "layouts:https://host/root?sig=hunter2//app",
    ] {
        for arguments in [&["resolve", text][..], &["--format=json", "resolve", text]] {
            let ran = here.run(arguments);
            assert_eq!(ran.code, Some(2), "{ran:?}");
            assert!(ran.stderr.contains("--store-option"), "{ran:?}");
            assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
        }
    }
}

#[test]
fn either_durability_leaves_the_same() {
    let here = Workplace::new();
    let copy = ["cp", "oci:hello:v1"];
    for (durability, place) in [("full", "oci:full"), ("relaxed", "oci:relaxed")] {
        let digest = here.ok(&[&copy[..], &[place, "--durability", durability]].concat());
        assert_eq!(digest, INDEX);
        assert_eq!(here.ok(&["resolve", &format!("{place}:v1")]), INDEX);
    }
    here.ok(&["--durability=relaxed", "tag", "oci:relaxed:v1", "v2"]);
    assert_eq!(here.ok(&["resolve", "oci:relaxed:v2"]), INDEX);
}

#[test]
fn an_unknown_durability_is_wrong_usage() {
    let here = Workplace::new();
    let ran = here.run(&["resolve", "oci:hello:v1", "--durability", "eternal"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("relaxed"), "{ran:?}");
}

#[test]
fn a_setting_of_a_store_without_a_name_is_wrong_usage_and_not_repeated() {
    let here = Workplace::new();
    for setting in ["hunter2", "=hunter2"] {
        let stderr = here.fails(2, &["resolve", "oci:hello:v1", "--store-option", setting]);
        assert!(stderr.contains("--store-option"), "{stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
    let ran = here.run(&[
        "resolve",
        "oci:hello:v1",
        "--store-option=hunter2",
        "--format=json",
    ]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
}

#[test]
fn what_does_not_apply_to_a_location_is_not_looked_at() {
    let here = Workplace::new();
    let settings = [
        "--store-option",
        "a=b",
        "--store-option",
        "c=",
        "--unconditional-put",
    ];
    let arguments = [&["resolve", "oci:hello:v1"][..], &settings].concat();
    assert_eq!(here.ok(&arguments), INDEX);
}
