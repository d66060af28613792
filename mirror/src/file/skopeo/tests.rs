use tranship::Digest;

use super::super::tests::{assert_errors, chosen, rules};
use super::super::{FileFormat, read};
use crate::rules::Rules;

/// The example of skopeo-sync(1).
const MANUAL: &str = include_str!("../../../tests/files/skopeo-sync.yaml");

fn skopeo(content: &str) -> Rules {
    rules(FileFormat::SkopeoSync, content)
}

#[test]
fn the_example_of_the_manual_is_read() {
    assert_eq!(
        FileFormat::detect("sync.yml", MANUAL),
        FileFormat::SkopeoSync
    );
    let file = skopeo(MANUAL);
    let listed = "1.0 1.13.1-alpine-perl 1.13.3-alpine-perl 2.0 3.11.9 3.12.0 latest v4.0.1";
    let found: Vec<(String, String)> = file
        .rules
        .iter()
        .map(|rule| (rule.source.to_string(), chosen(rule, listed)))
        .collect();
    let expected = [
        ("registry.example.com/busybox", listed),
        ("registry.example.com/redis", "1.0 2.0"),
        ("registry.example.com/nginx", "1.13.1-alpine-perl"),
        ("registry.example.com/alpine", "3.12.0 v4.0.1"),
        ("quay.io/coreos/etcd", "latest"),
    ];
    let expected = expected.map(|(source, tags)| (source.to_owned(), tags.to_owned()));
    assert_eq!(found, expected);
    let digest: Digest = "sha256:0000000000000000000000000000000011111111111111111111111111111111"
        .parse()
        .expect("a digest");
    assert_eq!(file.rules[1].tags.digests, [digest]);
    let insecure: Vec<_> = file
        .registries
        .iter()
        .map(|(name, settings)| (name.as_str(), settings.insecure))
        .collect();
    assert_eq!(
        insecure,
        [
            ("registry.example.com", Some(false)),
            ("quay.io", Some(true))
        ]
    );
}

#[test]
fn credentials_and_certificates_are_noted_and_not_shown() {
    let notes = skopeo(MANUAL).notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes[0].starts_with("f.yaml:12:5: \"credentials\" is not used"),
        "{notes:?}"
    );
    assert!(
        notes[1].starts_with("f.yaml:16:5: \"cert-dir\" is not used"),
        "{notes:?}"
    );
    assert!(!notes.concat().contains("this is a secret"));
}

#[test]
fn unknown_fields_are_refused() {
    let content = "quay.io:\n  imagez: {}\n";
    assert_eq!(
        FileFormat::detect("f.yaml", content),
        FileFormat::SkopeoSync
    );
    let error = read(content, "f.yaml", None, None).expect_err("a typo");
    let text = error.to_string();
    assert!(
        text.starts_with("f.yaml:2:3: unknown field \"imagez\", expected one of images"),
        "{text}"
    );
}

#[test]
fn the_lists_of_a_repository_are_united() {
    let content = "
docker.io:
  images: {alpine: [edge]}
  images-by-tag-regex: {alpine: '^3\\.1'}
  images-by-semver: {alpine: '>=3.20'}
";
    let rules = skopeo(content).rules;
    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0].source.to_string(), "docker.io/library/alpine");
    assert_eq!(chosen(&rules[0], "3.10 3.20 3.9 latest"), "3.10 3.20 edge");
}

#[test]
fn a_regular_expression_is_not_anchored() {
    let rules = skopeo("quay.io: {images-by-tag-regex: {a: '1.0|^x$'}}").rules;
    assert_eq!(chosen(&rules[0], "v1.0.1 x xx"), "v1.0.1 x");
}

#[test]
fn an_empty_list_is_every_tag() {
    for list in ["[]", ""] {
        let rules = skopeo(&format!("quay.io: {{images: {{a: {list}}}}}")).rules;
        assert_eq!(chosen(&rules[0], "v1 v2"), "v1 v2", "{list}");
    }
}

#[test]
fn booleans_of_yaml_1_1_are_read() {
    for (text, insecure) in [
        ("yes", false),
        ("off", true),
        ("True", false),
        ("false", true),
    ] {
        let file = skopeo(&format!(
            "quay.io: {{tls-verify: {text}, images: {{a: [b]}}}}"
        ));
        assert_eq!(file.registries[0].1.insecure, Some(insecure), "{text}");
    }
}

#[test]
fn errors_have_a_line_and_a_column() {
    assert_errors(
        FileFormat::SkopeoSync,
        &[
            ("", "f.yaml:1:1: expected a mapping, found nothing"),
            (
                "quay.io:\n  - a",
                "f.yaml:2:3: expected a mapping, found a list",
            ),
            ("a b:\n  images: {}", "f.yaml:1:1: "),
            ("quay.io:\n  images: {Team: []}", "f.yaml:2:12: "),
            ("quay.io:\n  images: {'a:v1': []}", "f.yaml:2:12: "),
            (
                "quay.io:\n  images: {a*: []}",
                "f.yaml:2:12: skopeo does not know patterns of names",
            ),
            (
                "quay.io:\n  images: {a: v1}",
                "f.yaml:2:15: expected a list of tags and digests",
            ),
            ("quay.io:\n  images: {a: ['b c']}", "f.yaml:2:16: \"b c\": "),
            (
                "quay.io:\n  images-by-tag-regex: {a: '('}",
                "f.yaml:2:28: \"(\": not a regular expression: ",
            ),
            (
                "quay.io:\n  images-by-tag-regex: {a: 'x)|(y'}",
                "f.yaml:2:28: \"x)|(y\": not a regular expression: ",
            ),
            (
                "quay.io:\n  images-by-tag-regex: {a: [b]}",
                "f.yaml:2:28: expected text, found a list",
            ),
            (
                "quay.io:\n  images-by-semver: {a: latest}",
                "f.yaml:2:25: \"latest\": not a range of versions: ",
            ),
            (
                "quay.io:\n  images-by-semver: {a: '!=1'}",
                "f.yaml:2:25: \"!=1\": \"!=\" is not supported in a range",
            ),
            (
                "quay.io:\n  tls-verify: maybe\n",
                "f.yaml:2:15: expected true or false, found text",
            ),
        ],
    );
}
