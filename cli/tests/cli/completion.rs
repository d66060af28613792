//! Completion of locations, as the scripts for shells ask for it.

use std::process::Command;

use crate::support::{Ran, Workplace};

fn candidates(here: &Workplace, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let arguments = [&["complete-location", "--"], words.as_slice()].concat();
    here.ok(&arguments).lines().map(str::to_owned).collect()
}

#[test]
fn a_location_is_completed_as_far_as_it_is_known() {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1", "layouts:root//team/app"]);
    here.ok(&["cp", "oci:hello:v1", "oci-archive:app.tar"]);
    for (line, expected) in [
        ("tranship cp o", &["oci-archive:", "oci:"][..]),
        ("tranship cp oci:h", &["oci:hello:"]),
        (
            "tranship cp oci:hello:v",
            &["oci:hello:v1", "oci:hello:v1-amd64"],
        ),
        ("tranship cp oci:hello:v1 layouts:r", &["layouts:root/"]),
        (
            "tranship tags layouts:root//t",
            &["layouts:root//team/app:"],
        ),
        (
            "tranship resolve layouts:root//team/app:",
            &["layouts:root//team/app:v1"],
        ),
        ("tranship resolve oci-archive:a", &["oci-archive:app.tar:"]),
        (
            "tranship resolve oci-archive:app.tar:",
            &["oci-archive:app.tar:v1"],
        ),
        ("tranship resolve oci:missing:", &[]),
        ("tranship resolve oci:s3://bucket/", &[]),
        ("tranship manifest f", &[]),
        ("tranship login o", &[]),
        ("tranship", &[]),
    ] {
        assert_eq!(candidates(&here, line), expected, "{line}");
    }
}

/// What bash offers for a line, as it splits words at colons.
fn in_bash(here: &Workplace, line: &str) -> String {
    let script = r#"
        source <(tranship completion bash)
        COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=($1) COMPREPLY=()
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _tranship_or_location tranship "${COMP_WORDS[COMP_CWORD]}" 2>/dev/null
        echo "${COMPREPLY[@]}"
    "#;
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_tranship"));
    let programs = program.parent().expect("a directory").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut bash = Command::new("bash");
    bash.args(["-c", script, "bash", line])
        .env("PATH", format!("{programs}:{path}"))
        .current_dir(here.path("."));
    let ran = Ran::of(bash, b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout.trim().to_owned()
}

#[test]
fn bash_replaces_what_follows_the_last_colon() {
    let here = Workplace::new();
    assert_eq!(in_bash(&here, "tranship cp oci:hello:v"), "v1 v1-amd64");
    assert_eq!(in_bash(&here, "tranship cp oci:he"), "hello:");
    assert_eq!(in_bash(&here, "tranship manifest fe"), "fetch");
    assert_eq!(in_bash(&here, "tranship cp --rec"), "--recursive");
}
