//! Choosing tags, and deleting those that are chosen.

use crate::support::Workplace;

/// Pushes an artifact that says when it was created.
pub(crate) fn artifact(here: &Workplace, location: &str, created: &str) {
    let (repository, _) = location.rsplit_once(':').expect("a tag");
    here.write("config", "{}");
    here.ok(&["blob", "push", repository, "config"]);
    let config = r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.example","config":{config},"layers":[],"annotations":{{"org.opencontainers.image.created":"{created}","name":"{location}"}}}}"#
    );
    here.write("manifest", manifest);
    here.ok(&["manifest", "push", location, "manifest"]);
}

fn releases() -> Workplace {
    let here = Workplace::new();
    for (tag, created) in [
        ("v1.9.0", "2021-01-01T00:00:00Z"),
        ("v1.10.0", "2022-01-01T00:00:00Z"),
        ("v2.0.0-rc1", "2023-01-01T00:00:00Z"),
        ("v2.0.0", "2024-01-01T00:00:00Z"),
        ("pr-1", "2020-01-01T00:00:00Z"),
        ("pr-2", "2999-01-01T00:00:00Z"),
        ("odd", "1970-01-01T00:00:00Z"),
    ] {
        artifact(&here, &format!("oci:app:{tag}"), created);
    }
    here
}

fn tags(here: &Workplace, options: &[&str]) -> Vec<String> {
    let command = [&["tags", "oci:app"], options].concat();
    here.ok(&command).lines().map(str::to_owned).collect()
}

#[test]
fn tags_are_chosen_by_pattern_and_by_version() {
    let here = releases();
    assert_eq!(tags(&here, &["--match", "pr-?"]), ["pr-1", "pr-2"]);
    assert_eq!(
        tags(
            &here,
            &["--match", "v*", "--match", "!*rc*", "--limit", "1"]
        ),
        ["v1.10.0"]
    );
    assert_eq!(tags(&here, &["--regex", "odd|pr-1"]), ["odd", "pr-1"]);
    assert_eq!(tags(&here, &["--semver", ">=1.10"]), ["v1.10.0", "v2.0.0"]);
    assert_eq!(
        tags(
            &here,
            &["--semver", ">=1.10", "--pre-releases", "--sort", "version"]
        ),
        ["v1.10.0", "v2.0.0-rc1", "v2.0.0"]
    );
    here.fails(2, &["tags", "oci:app", "--semver", "latest"]);
    here.fails(2, &["tags", "oci:app", "--regex", "("]);
    here.fails(2, &["tags", "oci:app", "--match", ""]);
}

#[test]
fn tags_are_sorted_by_version_and_by_time() {
    let here = releases();
    let newest = ["--sort", "version", "--reverse", "--limit", "2"];
    assert_eq!(tags(&here, &newest), ["v2.0.0", "v2.0.0-rc1"]);
    assert_eq!(
        tags(&here, &["--sort", "time"])[..3],
        ["odd", "pr-1", "v1.9.0"]
    );
    let newest = ["--sort", "time", "--reverse", "--limit", "1"];
    assert_eq!(tags(&here, &newest), ["pr-2"]);
}

#[test]
fn tags_that_name_the_same_are_found() {
    let here = releases();
    here.ok(&["tag", "oci:app:v2.0.0", "stable"]);
    assert_eq!(tags(&here, &["--digest", "stable"]), ["stable", "v2.0.0"]);
    let digest = here.ok(&["resolve", "oci:app:pr-1"]);
    assert_eq!(tags(&here, &["--digest", &digest]), ["pr-1"]);
    here.fails(3, &["tags", "oci:app", "--digest", "missing"]);
}

#[test]
fn digest_tags_are_left_out_if_told_so() {
    let here = releases();
    let digest = here.ok(&["resolve", "oci:app:v2.0.0"]);
    let attached = digest.replace(':', "-") + ".sig";
    here.ok(&["tag", "oci:app:odd", &attached]);
    let options = [
        "--exclude-digest-tags",
        "--match",
        "!pr-*",
        "--match",
        "!v*",
    ];
    assert_eq!(tags(&here, &options), ["odd"]);
    assert!(tags(&here, &[]).contains(&attached));
}

#[test]
fn repositories_of_one_team_are_listed() {
    let here = Workplace::new();
    for name in ["team/a", "team", "teams/b"] {
        here.ok(&["cp", "oci:hello:v1", &format!("layouts:root//{name}")]);
    }
    for location in ["layouts:root//team", "layouts:root//team/"] {
        assert_eq!(
            here.ok(&["repo", "ls", location]),
            "team\nteam/a",
            "{location}"
        );
    }
    assert_eq!(here.ok(&["ls", "layouts:root"]), "team\nteam/a\nteams/b");
    assert_eq!(here.ok(&["ls", "layouts:root//team/"]), "team\nteam/a");
    assert_eq!(here.ok(&["ls", "layouts:root//team"]), "v1");
}

#[test]
fn old_tags_are_deleted_and_a_dry_run_deletes_nothing() {
    let here = releases();
    let command = ["rm", "oci:app", "--match", "pr-*", "--older-than", "30d"];
    let planned = here.ok(&[&command[..], &["--dry-run"]].concat());
    assert!(planned.starts_with("pr-1 sha256:"), "{planned}");
    assert!(planned.ends_with(" 2020-01-01T00:00:00Z"), "{planned}");
    assert_eq!(tags(&here, &["--match", "pr-*"]), ["pr-1", "pr-2"]);
    let deleted = here.ok(&[&command[..], &["--yes"]].concat());
    assert_eq!(deleted, planned);
    assert_eq!(tags(&here, &["--match", "pr-*"]), ["pr-2"]);
}

#[test]
fn the_newest_tags_stay_and_those_of_unknown_age_too() {
    let here = releases();
    let ran = here.run(&["rm", "oci:app", "--keep", "2", "--yes"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("odd"), "{}", ran.stderr);
    assert_eq!(tags(&here, &[]), ["odd", "pr-2", "v2.0.0"]);
}

#[test]
fn deleting_chosen_tags_as_json_says_what_goes() {
    let here = releases();
    here.ok(&["tag", "oci:app:v2.0.0", "pr-3"]);
    let json = here.json(&["rm", "oci:app", "--match", "pr-*", "--yes"]);
    assert_eq!(json["tags"][2]["tag"], "pr-3");
    assert_eq!(json["tags"][2]["manifestStays"], true);
    assert_eq!(json["manifests"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["kept"], 5);
    assert_eq!(
        here.tags("oci:app"),
        ["odd", "v1.10.0", "v1.9.0", "v2.0.0", "v2.0.0-rc1"]
    );
}

#[test]
fn several_manifests_are_deleted_at_once() {
    let here = releases();
    here.ok(&[
        "manifest",
        "delete",
        "--yes",
        "oci:app:pr-1",
        "oci:app:pr-2",
    ]);
    assert_eq!(tags(&here, &["--match", "pr-*"]), [""; 0]);
    let error = here.fails(3, &["rm", "--yes", "oci:app:odd", "oci:app:missing"]);
    assert!(error.contains("missing"), "{error}");
    assert_eq!(tags(&here, &["--match", "odd"]), ["odd"]);
}

#[test]
fn tags_are_not_chosen_beside_a_tag_or_in_two_repositories() {
    let here = releases();
    here.fails(2, &["rm", "--yes", "oci:app:odd", "--keep", "1"]);
    here.fails(2, &["rm", "--yes", "oci:app", "oci:hello", "--keep", "1"]);
    here.fails(2, &["rm", "--yes", "oci:app"]);
}
