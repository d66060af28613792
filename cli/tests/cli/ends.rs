//! Options for one end of a copy.

use crate::registries::{PASSWORD, TestRegistry, USER};
use crate::support::{INDEX, Workplace};

#[test]
fn each_end_has_its_own_credentials() {
    let here = Workplace::new();
    let (closed, open) = (TestRegistry::closed(&here), TestRegistry::open());
    let inside = format!("{}/app:v1", closed.host());
    let outside = format!("{}/app:v1", open.host());
    let to = [
        "cp",
        "oci:hello:v1",
        &inside,
        "--to-username",
        USER,
        "--to-password-stdin",
    ];
    assert_eq!(here.run_with(&to, PASSWORD.as_bytes()).stdout.trim(), INDEX);
    here.fails(5, &["cp", &inside, &outside]);
    let from = [
        "cp",
        &inside,
        &outside,
        "--from-username",
        USER,
        "--from-password-stdin",
    ];
    assert_eq!(
        here.run_with(&from, PASSWORD.as_bytes()).stdout.trim(),
        INDEX
    );
    here.fails(5, &["resolve", &inside]);
}

#[test]
fn each_end_has_its_own_file_of_credentials() {
    let here = Workplace::new();
    let closed = TestRegistry::closed(&here);
    let host = closed.host();
    let login = [
        "login",
        &host,
        "-u",
        USER,
        "--password-stdin",
        "--registry-config",
        "own.json",
    ];
    here.run_with(&login, PASSWORD.as_bytes());
    let inside = format!("{host}/app:v1");
    here.ok(&[
        "cp",
        "oci:hello:v1",
        &inside,
        "--to-registry-config",
        "own.json",
    ]);
    here.fails(5, &["cp", &inside, "oci:copy"]);
    here.fails(5, &["cp", &inside, "oci:copy", "--to-store-option", "a=b"]);
    here.ok(&[
        "cp",
        &inside,
        "oci:copy",
        "--from-registry-config",
        "own.json",
    ]);
}

#[test]
fn options_of_an_end_are_refused_where_they_cannot_hold() {
    let here = Workplace::new();
    let error = here.fails(2, &["cp", "oci:hello:v1", "oci:copy", "--from-insecure"]);
    assert!(error.contains("--from-"), "{error}");
    let twice = [
        "cp",
        "a.example/app:v1",
        "b.example/app",
        "--from-username",
        "a",
        "--from-password-stdin",
        "--to-username",
        "b",
        "--to-password-stdin",
    ];
    let error = here.fails(2, &twice);
    assert!(error.contains("standard input"), "{error}");
    let alone = here.run(&["cp", "a.example/app:v1", "oci:x", "--from-username", "a"]);
    assert_eq!(alone.code, Some(2), "{alone:?}");
    let missing = [
        "cp",
        "a.example/app:v1",
        "oci:x",
        "--from-ca-file",
        "missing.pem",
    ];
    assert!(here.fails(3, &missing).contains("missing.pem"));
}

#[test]
fn the_short_help_leaves_out_options_for_ends() {
    let here = Workplace::new();
    assert!(!here.ok(&["cp", "-h"]).contains("--from-username"));
    assert!(here.ok(&["cp", "--help"]).contains("--from-username"));
}
