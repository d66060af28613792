use tranship::{ErrorKind, PlatformSubset, Result, SubsetForm, Tag};

use super::super::tests::{assert_errors, chosen, destination, rules};
use super::super::{FileFormat, read};
use crate::rules::{Platforms, Referrers, Rule, Rules};

const LISTED: &str = "edge latest v1.9 v1.20 v1.24.1 v1.25 v1.26-rc1 v2.0";

fn native(content: &str) -> Rules {
    rules(FileFormat::Native, content)
}

fn all_referrers() -> Referrers {
    Referrers {
        digest_tags: true,
        ..Referrers::default()
    }
}

/// Reads a file with one entry, in the flow style.
fn entry(fields: &str) -> Rule {
    let rules = native(&format!("images: [{{from: alpine, {fields}}}]")).rules;
    rules.into_iter().next().expect("a rule")
}

#[test]
fn every_field_is_read() -> Result<()> {
    let file = native(include_str!("../../../tests/files/mirror.yaml"));
    assert_eq!(file.concurrency.map(Into::into), Some(4_usize));
    let (name, hub) = &file.registries[0];
    assert_eq!(name.as_str(), "docker.io");
    assert_eq!(hub.concurrency.map(Into::into), Some(4_usize));
    assert_eq!(hub.requests_per_second, Some(5));
    assert_eq!(hub.rate_limit_reserve, Some(10));
    assert_eq!((hub.plain_http, hub.insecure), (None, None));
    let (name, local) = &file.registries[1];
    assert_eq!(name.as_str(), "localhost:5000");
    assert_eq!(
        (local.plain_http, local.insecure),
        (Some(true), Some(false))
    );
    assert_eq!(file.notes, [""; 0]);

    let [full, short, pattern, layout] = file.rules.as_slice() else {
        panic!("{} rules", file.rules.len());
    };
    assert_eq!(full.source.to_string(), "docker.io/library/alpine");
    assert_eq!(destination(full), "registry.internal/base/{name}");
    assert_eq!(chosen(full, LISTED), "3.19 3.20 v1.24.1 v1.25");
    assert_eq!(full.tags.digests.len(), 1);
    let mut subset = PlatformSubset::new(["linux/amd64".parse()?]);
    subset.form = SubsetForm::Sparse;
    subset.allow_missing = true;
    assert_eq!(full.images.platforms, Platforms::Subset(subset));
    assert!(full.images.include_non_distributable);
    let expected = Referrers {
        artifact_types: vec!["application/spdx+json".parse()?],
        annotations: vec![
            ("org.example.signed".into(), None),
            ("org.example.team".into(), Some("a".into())),
        ],
        depth: Some(2),
        digest_tags: false,
        only_of_changed: true,
    };
    assert_eq!(full.images.referrers, Some(expected));

    assert_eq!(short.tags.names, ["v1.8.2".parse::<Tag>()?]);
    assert_eq!(destination(short), "registry.internal/mirror/{repository}");
    assert_eq!(short.images.referrers, Some(all_referrers()));
    let subset = PlatformSubset::new(["linux/amd64".parse()?, "linux/arm64".parse()?]);
    assert_eq!(short.images.platforms, Platforms::Subset(subset));

    assert!(pattern.source.matches(&"team/app".parse()?));
    assert!(!pattern.source.matches(&"team/secret-app".parse()?));
    assert_eq!(pattern.images.platforms, Platforms::All);
    assert_eq!(pattern.images.referrers, None);
    assert_eq!(chosen(pattern, LISTED), "v1.25 v2.0");

    assert_eq!(layout.source.registry, "oci:./app");
    assert_eq!(destination(layout), "registry.internal/app:{tag}");
    assert_eq!(
        layout.images.platforms,
        Platforms::One("linux/arm64".parse()?)
    );
    Ok(())
}

#[test]
fn tags_are_the_union_of_what_the_fields_choose() {
    for (fields, expected) in [
        ("tags: latest", "latest"),
        ("tags: [3.20, on, 1_0]", "1_0 3.20 on"),
        ("match: v1.2*", "v1.20 v1.24.1 v1.25 v1.26-rc1"),
        ("match: ['v1.*', '!*-rc*']", "v1.20 v1.24.1 v1.25 v1.9"),
        ("match: '!v*'", "edge latest"),
        ("regex: 'v\\d+\\.\\d'", "v1.9 v2.0"),
        ("regex: [edge, 'v2.*']", "edge v2.0"),
        ("semver: '>=1.24 <2'", "v1.24.1 v1.25"),
        (
            "semver: '>=1.24 <2', preReleases: true",
            "v1.24.1 v1.25 v1.26-rc1",
        ),
        ("semver: '>=1.24 <2', latest: 1", "v1.25"),
        ("latest: 2", "v1.25 v2.0"),
        ("latest: 2, match: '!*-*'", "v1.25 v2.0"),
        ("tags: edge, latest: 1", "edge v2.0"),
        ("to: reg.example", LISTED),
    ] {
        let expected: Vec<&str> = expected.split(' ').collect();
        let chosen = chosen(&entry(fields), LISTED);
        let mut chosen: Vec<&str> = chosen.split(' ').collect();
        let mut expected = expected;
        chosen.sort_unstable();
        expected.sort_unstable();
        assert_eq!(chosen, expected, "{fields}");
    }
}

#[test]
fn a_tag_in_from_counts_as_one_of_the_tags() {
    let rules = native("images: [{from: 'alpine:3.19', tags: edge}]").rules;
    assert_eq!(chosen(&rules[0], ""), "3.19 edge");
}

#[test]
fn an_entry_replaces_what_the_defaults_say() -> Result<()> {
    let with = |defaults: &str, fields: &str| {
        let content = format!("defaults: {{{defaults}}}\nimages: [{{from: alpine, {fields}}}]");
        native(&content).rules[0].images.clone()
    };
    let one = Platforms::One("linux/arm64".parse()?);
    assert_eq!(
        with("platforms: linux/amd64", "platform: linux/arm64").platforms,
        one
    );
    assert_eq!(
        with("platform: linux/arm64", "platforms: all").platforms,
        Platforms::All
    );
    assert_eq!(with("platform: linux/arm64", "tags: x").platforms, one);
    let mut sparse = PlatformSubset::new(["linux/arm64".parse()?]);
    sparse.form = SubsetForm::Sparse;
    let images = with("sparse: true", "platforms: linux/arm64");
    assert_eq!(images.platforms, Platforms::Subset(sparse));
    assert_eq!(with("referrers: true", "referrers: false").referrers, None);
    assert_eq!(
        with("referrers: {}", "tags: x").referrers,
        Some(all_referrers())
    );
    assert!(with("nonDistributable: true", "tags: x").include_non_distributable);
    Ok(())
}

#[test]
fn json_is_read_too() {
    let content =
        "{\n\t\"version\": 1,\n\t\"images\": [{\"from\": \"alpine\", \"tags\": [\"3.20\"]}]\n}\n";
    assert_eq!(chosen(&native(content).rules[0], ""), "3.20");
    assert_eq!(FileFormat::detect("-", content), FileFormat::Native);
}

#[test]
fn errors_have_a_line_and_a_column() {
    assert_errors(
        FileFormat::Native,
        &[
            ("", "f.yaml:1:1: expected a mapping, found nothing"),
            ("[]", "f.yaml:1:1: expected a mapping, found a list"),
            ("version: 1", "f.yaml:1:1: the field \"images\" is missing"),
            (
                "version: 2\nimages: []",
                "f.yaml:1:10: only version 1 of the format is known",
            ),
            (
                "version: x\nimages: []",
                "f.yaml:1:10: expected a whole number, found text",
            ),
            (
                "image: []",
                "f.yaml:1:1: unknown field \"image\", expected one of version, concurrency, defaults, registries, images",
            ),
            ("images: {}", "f.yaml:1:9: expected a list, found a mapping"),
            (
                "images:\n  - from: alpine\n    tagz: [x]",
                "f.yaml:3:5: unknown field \"tagz\", expected one of from, exclude, tags, ",
            ),
            (
                "images:\n  - tags: [x]",
                "f.yaml:2:5: the field \"from\" is missing",
            ),
            (
                "images:\n  - [x]",
                "f.yaml:2:5: expected a mapping, found a list",
            ),
            ("images:\n  - Alpine:3", "f.yaml:2:5: "),
            (
                "images:\n  - quay.io",
                "f.yaml:2:5: \"quay.io\": the repository is missing",
            ),
            (
                "images:\n  - from: quay.io/Team/*",
                "f.yaml:2:11: \"Team/*\": the names of repositories are lower case",
            ),
            (
                "images:\n  - from: alpine\n    tags: [ok, 'not ok']",
                "f.yaml:3:16: \"not ok\": ",
            ),
            (
                "images:\n  - from: alpine\n    tags: []",
                "f.yaml:3:11: the list \"tags\" is empty",
            ),
            (
                "images:\n  - from: alpine\n    digests: []",
                "f.yaml:3:14: the list \"digests\" is empty",
            ),
            (
                "images:\n  - from: alpine\n    tags: {a: b}",
                "f.yaml:3:11: expected text or a list, found a mapping",
            ),
            (
                "images:\n  - from: alpine\n    tags: [[a]]",
                "f.yaml:3:12: expected text, found a list",
            ),
            (
                "images:\n  - from: alpine\n    match: [!*-rc*]",
                "f.yaml:3:",
            ),
            (
                "images:\n  - from: alpine\n    match: [*-rc]",
                "f.yaml:3:13: ",
            ),
            (
                "images:\n  - from: alpine\n    match: ['!']",
                "f.yaml:3:13: the pattern is empty",
            ),
            (
                "images:\n  - from: alpine\n    regex: [a, '(']",
                "f.yaml:3:16: \"(\": not a regular expression: ",
            ),
            (
                "images:\n  - from: alpine\n    semver: latest",
                "f.yaml:3:13: \"latest\": not a range of versions: ",
            ),
            (
                "images:\n  - from: alpine\n    preReleases: true",
                "f.yaml:3:18: \"preReleases\" needs \"semver\"",
            ),
            (
                "images:\n  - from: alpine\n    latest: 0",
                "f.yaml:3:13: the number must be at least 1",
            ),
            (
                "images:\n  - from: alpine\n    latest: -1",
                "f.yaml:3:13: \"-1\" is not a whole number in range",
            ),
            (
                "images:\n  - from: alpine\n    latest: 1.5",
                "f.yaml:3:13: \"1.5\" is not a whole number in range",
            ),
            (
                "images:\n  - from: alpine\n    latest: '5'",
                "f.yaml:3:13: expected a whole number, found text",
            ),
            (
                "images:\n  - from: alpine\n    digests: [sha256:1]",
                "f.yaml:3:15: ",
            ),
            (
                "images:\n  - from: team/*\n    digests: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "f.yaml:3:14: \"digests\" needs a single repository",
            ),
            (
                "images:\n  - from: alpine\n    exclude: [a]",
                "f.yaml:3:14: \"exclude\" needs a pattern",
            ),
            (
                "images:\n  - from: a/*\n    exclude: [B*]",
                "f.yaml:3:15: \"B*\": the names",
            ),
            (
                "images:\n  - from: alpine\n    platforms: []",
                "f.yaml:3:16: the list of platforms is empty",
            ),
            (
                "images:\n  - from: alpine\n    platforms: [linux]",
                "f.yaml:3:17: ",
            ),
            (
                "images:\n  - from: alpine\n    platform: all",
                "f.yaml:3:15: ",
            ),
            (
                "images:\n  - from: alpine\n    platforms: all\n    platform: a/b",
                "f.yaml:4:15: \"platform\" and \"platforms\" exclude each other",
            ),
            (
                "images:\n  - from: alpine\n    sparse: true",
                "f.yaml:3:13: \"sparse\" needs a list of \"platforms\"",
            ),
            (
                "images:\n  - from: alpine\n    sparse: yes",
                "f.yaml:3:13: expected true or false, found a boolean",
            ),
            (
                "images:\n  - from: alpine\n    referrers: all",
                "f.yaml:3:16: expected true, false or a mapping",
            ),
            (
                "images:\n  - from: alpine\n    referrers: {types: []}",
                "f.yaml:3:17: unknown field \"types\", expected one of artifactTypes, annotations, depth, digestTags, onlyOfChanged",
            ),
            (
                "images:\n  - from: alpine\n    referrers: {artifactTypes: x}",
                "f.yaml:3:32: ",
            ),
            (
                "images:\n  - from: alpine\n    to: mirror",
                "f.yaml:3:9: \"mirror\": the host is missing",
            ),
            (
                "images:\n  - from: alpine\n    to: reg.example/{repo}",
                "f.yaml:3:9: \"{repo}\": unknown part \"repo\"",
            ),
            (
                "images:\n  - from: alpine\n    to: reg.example/app:v1",
                "f.yaml:3:9: \"reg.example/app:v1\": a destination with a tag needs a rule",
            ),
            (
                "images:\n  - from: oci:dir\n    to: reg.example/m",
                "f.yaml:3:9: \"reg.example/m/{repository}\": the source is a single repository without a name",
            ),
            (
                "defaults: {tags: [x]}\nimages: []",
                "f.yaml:1:12: unknown field \"tags\", expected one of to, platforms, ",
            ),
            (
                "concurrency: 0\nimages: []",
                "f.yaml:1:14: the number must be at least 1",
            ),
            ("registries: {a b: {}}\nimages: []", "f.yaml:1:14: "),
            (
                "registries:\n  quay.io: {user: x}\nimages: []",
                "f.yaml:2:13: unknown field \"user\", expected one of concurrency, ",
            ),
            (
                "registries:\n  quay.io: {requestsPerSecond: 0}\nimages: []",
                "f.yaml:2:32: the number must be at least 1",
            ),
            (
                "registries:\n  quay.io: {requestsPerSecond: 99999999999}\nimages: []",
                "f.yaml:2:32: \"99999999999\" is not a whole number in range",
            ),
            ("images: []\nimages: []", "f.yaml:2:1: "),
            ("images: [", "f.yaml:1:"),
        ],
    );
}

#[test]
fn an_error_in_a_merged_mapping_is_at_its_place() {
    assert_errors(
        FileFormat::Native,
        &[(
            "images:\n  - &a\n    from: alpine\n    latest: 0\n  - {<<: *a, from: busybox}",
            "f.yaml:4:13: the number must be at least 1",
        )],
    );
}

#[test]
fn a_mistake_with_quotes_has_a_hint() {
    for list in ["[*-rc]", "[!*-rc*]", "[&x]"] {
        let content = format!("images: [{{from: alpine, match: {list}}}]");
        let error = read(&content, "f", None, None).expect_err(list);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains("in quotes"), "{list}: {error}: {hint}");
    }
}
