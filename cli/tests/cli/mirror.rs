//! Mirrors, and copies of several tags and repositories.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::registries::TestRegistry;
use crate::support::Workplace;

/// A place with artifacts in `layouts:from`: two tags of `team/app`, two of `team/web`, and one of `other`.
fn artifacts() -> Workplace {
    let here = Workplace::new();
    for (name, tags) in [
        ("team/app", ["v1.0.0", "v1.1.0"].as_slice()),
        ("team/web", &["v1.0.0", "latest"]),
        ("other", &["v1.0.0"]),
    ] {
        for tag in tags {
            here.write("shared", "the same everywhere");
            here.write("own", format!("{name} {tag}"));
            let location = format!("layouts:from//{name}:{tag}");
            here.ok(&["push", &location, "shared", "own"]);
        }
    }
    here
}

#[test]
fn a_file_is_mirrored_and_the_second_run_copies_nothing() {
    let here = artifacts();
    let registry = TestRegistry::open();
    here.write(
        "mirror.yaml",
        format!(
            "version: 1\nimages:\n  - from: layouts:from//team/*\n    to: {}/copy/{{repository}}\n    match: v*\n",
            registry.host()
        ),
    );
    let report = here.json(&["mirror", "mirror.yaml"]);
    let images = report["images"].as_array().expect("images");
    assert_eq!(images.len(), 3);
    assert!(images.iter().all(|image| image["status"] == "copied"));
    let app = format!("{}/copy/team/app", registry.host());
    assert_eq!(here.tags(&app), ["v1.0.0", "v1.1.0"]);
    let again = here.run(&["mirror", "mirror.yaml"]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), ""));
    assert!(again.stderr.contains("up to date: 3"), "{again:?}");
}

#[test]
fn a_dry_run_copies_and_deletes_nothing() {
    let here = artifacts();
    here.write("list", "layouts:from//team/app:v1.0.0\n");
    here.ok(&["push", "layouts:to//team/app:stale", "own"]);
    let printed = here.ok(&[
        "mirror",
        "list",
        "--to",
        "layouts:to",
        "--dry-run",
        "--prune",
    ]);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 2, "{printed}");
    assert!(
        lines[0].starts_with("copy  layouts:from//team/app:v1.0.0  layouts:to//team/app:v1.0.0")
    );
    assert_eq!(lines[1], "delete layouts:to//team/app:stale");
    assert_eq!(here.tags("layouts:to//team/app"), ["stale"]);
}

#[test]
fn pruning_asks_first_and_stays_within_the_rules() {
    let here = artifacts();
    here.write("list", "layouts:from//team/app:v1.0.0\n");
    here.ok(&["push", "layouts:to//team/app:stale", "own"]);
    here.ok(&["push", "layouts:to//unrelated:v1", "own"]);
    let prune = ["mirror", "list", "--to", "layouts:to", "--prune"];
    let asked = here.ends(2, &prune);
    assert!(asked.stderr.contains("confirmation"), "{asked:?}");
    assert_eq!(here.tags("layouts:to//team/app"), ["stale"]);
    here.ok(&[&prune[..], &["--yes"]].concat());
    assert_eq!(here.tags("layouts:to//team/app"), ["v1.0.0"]);
    assert_eq!(here.tags("layouts:to//unrelated"), ["v1"]);
}

#[test]
fn what_fails_is_reported_and_the_rest_is_copied() {
    let here = artifacts();
    here.write(
        "list",
        "layouts:from//team/app:v1.0.0\nlayouts:from//team/app:v9\n",
    );
    let ran = here.ends(9, &["mirror", "list", "--to", "layouts:to"]);
    assert!(ran.stderr.contains("layouts:from//team/app:v9"), "{ran:?}");
    assert!(ran.stderr.contains("failed: 1 of 2 images"), "{ran:?}");
    assert_eq!(here.tags("layouts:to//team/app"), ["v1.0.0"]);
    // If nothing at all could be done, the code is that of the failure.
    here.write("list", "layouts:from//team/app:v9\n");
    here.ends(3, &["mirror", "list", "--to", "layouts:to"]);
}

#[test]
fn a_mistake_in_a_file_is_named_with_its_place() {
    let here = Workplace::new();
    here.write(
        "mirror.yaml",
        "images:\n  - from: docker.io/library/alpine\n    tagz: [v1]\n",
    );
    let message = here.fails(2, &["mirror", "mirror.yaml", "--to", "layouts:to"]);
    assert!(
        message.contains("mirror.yaml:3:5: unknown field \"tagz\""),
        "{message}"
    );
    here.write("list", "layouts:from//team/app:v1.0.0\n");
    let message = here.fails(2, &["mirror", "list"]);
    assert!(message.contains("no destination"), "{message}");
}

#[test]
fn two_images_of_one_destination_are_refused() {
    let here = artifacts();
    here.write(
        "list",
        "layouts:from//team/app:v1.0.0\nlayouts:from//team/web:v1.0.0\n",
    );
    let message = here.fails(2, &["mirror", "list", "--to", "layouts:to//all/same:{tag}"]);
    assert!(
        message.contains("two images would get this name"),
        "{message}"
    );
    assert!(!here.path("to").exists());
}

#[test]
fn the_schema_is_json() {
    let here = Workplace::new();
    let schema: serde_json::Value =
        serde_json::from_str(&here.ok(&["mirror", "--schema"])).expect("JSON");
    assert_eq!(schema["type"], "object");
}

/// Unix signals end it.
#[cfg(unix)]
#[test]
fn a_mirror_that_watches_repeats_and_ends_when_it_is_asked_to() {
    let here = artifacts();
    here.write("list", "layouts:from//team/app:v1.0.0\n");
    let command = ["mirror", "list", "--to", "layouts:to", "--watch", "10ms"];
    let mut command = here.command(&command);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let stderr = child.stderr.take().expect("piped");
    let mut lines = BufReader::new(stderr).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert!(next().contains("copied: 1 image"));
    assert!(next().contains("up to date: 1"));
    here.write("list", "layouts:from//team/app:v1.1.0\n");
    while !next().contains("copied: 1 image") {}
    let id = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-TERM", &id])
        .status();
    assert!(killed.expect("kill").success());
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert_eq!(here.tags("layouts:to//team/app"), ["v1.0.0", "v1.1.0"]);
}

#[test]
fn tags_are_copied_by_pattern_version_and_number() {
    let here = artifacts();
    for (options, expected) in [
        (["--all-tags"].as_slice(), ["latest", "v1.0.0"].as_slice()),
        (&["--tags", "v*,!*.1.*"], &["v1.0.0"]),
        (&["--semver", ">=1"], &["v1.0.0"]),
        (&["--latest", "1"], &["v1.0.0"]),
    ] {
        let copy = ["cp", "layouts:from//team/web", "oci:to"];
        here.ok(&[&copy[..], options].concat());
        assert_eq!(here.tags("oci:to"), expected, "{options:?}");
        std::fs::remove_dir_all(here.path("to")).expect("removed");
    }
    here.fails(
        3,
        &["cp", "layouts:from//team/web", "oci:to", "--tags", "x*"],
    );
    here.fails(
        2,
        &[
            "cp",
            "layouts:from//team/web:latest",
            "oci:to",
            "--all-tags",
        ],
    );
    here.fails(
        2,
        &["cp", "layouts:from//team/web", "oci:to:v1", "--all-tags"],
    );
    here.fails(
        2,
        &[
            "cp",
            "layouts:from//team/web",
            "oci:to",
            "--all-tags",
            "--tag",
            "v1",
        ],
    );
}

#[test]
fn repositories_are_copied_by_pattern() {
    let here = artifacts();
    here.ok(&["cp", "layouts:from//team/**", "layouts:to"]);
    assert_eq!(here.ok(&["repo", "ls", "layouts:to"]), "team/app\nteam/web");
    here.ok(&[
        "cp",
        "layouts:from//**",
        "layouts:renamed//all/{name}",
        "--latest",
        "1",
    ]);
    assert_eq!(
        here.ok(&["repo", "ls", "layouts:renamed"]),
        "all/app\nall/other\nall/web"
    );
    assert_eq!(here.tags("layouts:renamed//all/app"), ["v1.1.0"]);
    here.fails(3, &["cp", "layouts:from//nothing/**", "layouts:to"]);
    here.ok(&["fsck", "layouts:to"]);
}

#[test]
fn options_of_one_end_hold_for_many_artifacts() {
    let here = artifacts();
    let registry = TestRegistry::open();
    let to = format!("{}/copy", registry.host());
    here.ok(&["cp", "layouts:from//team/*", &to, "--to-plain-http"]);
    assert_eq!(here.tags(&format!("{to}/team/web")), ["latest", "v1.0.0"]);
    let message = here.fails(2, &["cp", "layouts:from//team/*", &to, "--from-plain-http"]);
    assert!(message.contains("--from-"), "{message}");
}
