//! Tests of all formats together, and what the tests of each format use.

use proptest::prelude::*;
use tranship::{ErrorKind, Tag};

use super::*;
use crate::rules::Rule;

/// Reads a file of a format that must be right.
pub(super) fn rules(format: FileFormat, content: &str) -> Rules {
    match read(content, "f.yaml", Some(format), None) {
        Ok(rules) => rules,
        Err(error) => panic!("{error} {:?}\n{content}", error.hint()),
    }
}

/// Checks the whole message of each error, with its place.
pub(super) fn assert_errors(format: FileFormat, table: &[(&str, &str)]) {
    for (content, expected) in table {
        let result = read(content, "f.yaml", Some(format), None);
        let error = result
            .err()
            .unwrap_or_else(|| panic!("no error: {content}"));
        let message = error.to_string();
        assert!(
            message.starts_with(expected),
            "{message}\n{expected}\n{content}"
        );
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{content}");
    }
}

/// Returns which of `listed`, which has spaces between the tags, a rule chooses.
pub(super) fn chosen(rule: &Rule, listed: &str) -> String {
    let listed: Vec<Tag> = listed
        .split_whitespace()
        .map(|tag| tag.parse().expect("a tag"))
        .collect();
    let chosen = rule.tags.choose(&listed);
    let chosen: Vec<&str> = chosen.iter().map(Tag::as_str).collect();
    chosen.join(" ")
}

pub(super) fn destination(rule: &Rule) -> String {
    let destination = rule.destination.as_ref().expect("a destination");
    destination.to_string()
}

/// Every format, for inputs that must not make any of them panic.
const FORMATS: [Option<FileFormat>; 5] = [
    None,
    Some(FileFormat::Native),
    Some(FileFormat::SkopeoSync),
    Some(FileFormat::Regsync),
    Some(FileFormat::List),
];

fn read_in_every_format(content: &str) {
    for format in FORMATS {
        if let Err(error) = read(content, "f.yaml", format, None) {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let content = "#".repeat(MAX_FILE_SIZE + 1);
    let error = read(&content, "f.yaml", None, None).expect_err("large");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit);
    assert_eq!(error.to_string(), "f.yaml: the file is larger than 4 MiB");
    assert!(read(&content[1..], "f.txt", None, None).is_ok());
}

#[test]
fn every_beginning_of_a_file_is_read_or_an_error() {
    for content in [
        include_str!("../../tests/files/mirror.yaml"),
        include_str!("../../tests/files/skopeo-sync.yaml"),
        include_str!("../../tests/files/regsync.yaml"),
    ] {
        for (end, _) in content.char_indices().step_by(7) {
            read_in_every_format(&content[..end]);
        }
    }
}

/// Pieces of files, for inputs that come further than random text.
fn piece() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "images",
        "from",
        "to",
        "tags",
        "match",
        "regex",
        "semver",
        "latest",
        "digests",
        "sync",
        "source",
        "target",
        "type",
        "image",
        "repository",
        "registry",
        "repos",
        "allow",
        "deny",
        "creds",
        "defaults",
        "ratelimit",
        "min",
        "platforms",
        "referrers",
        "referrerFilters",
        "images-by-semver",
        "images-by-tag-regex",
        "tls-verify",
        "docker.io",
        "alpine",
        "a/**",
        "layouts:x//y",
        "oci:x",
        ":",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "\"",
        "'",
        "*",
        "&a ",
        "*a",
        "<<",
        "!!int ",
        "|",
        ">",
        "@",
        "sha256:",
        "1",
        "-1",
        "3.20",
        "true",
        "null",
        "~",
        "{repository}",
        "{{",
        "(",
        "\u{feff}",
        "é",
        "#",
        "\t",
    ];
    prop_oneof![
        8 => proptest::sample::select(WORDS).prop_map(str::to_owned),
        1 => any::<char>().prop_map(|character| character.to_string()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_makes_a_reader_panic(content in any::<String>()) {
        read_in_every_format(&content);
    }

    #[test]
    fn no_pieces_make_a_reader_panic(pieces in proptest::collection::vec(piece(), 0..40)) {
        read_in_every_format(&pieces.concat());
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_in_every_format(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_text_makes_a_location_panic(text in any::<String>(), pieces in proptest::collection::vec(piece(), 0..6)) {
        for text in [text, pieces.concat()] {
            if let Ok(rule) = text.parse::<Rule>() {
                let shown = rule.source.to_string();
                prop_assert_eq!(shown.parse::<crate::rules::SourcePattern>().ok(), Some(rule.source));
            }
            if let Ok(destination) = text.parse::<Destination>() {
                let shown = destination.to_string();
                prop_assert_eq!(shown.parse::<Destination>().ok(), Some(destination));
            }
        }
    }
}

#[test]
fn a_list_is_one_image_on_each_line() {
    let content =
        "\u{feff}# images\n\nbusybox\r\n  quay.io/team/app:v1 # the app\nteam/**:stable\n";
    let rules = rules(FileFormat::List, content);
    let images: Vec<String> = rules
        .rules
        .iter()
        .map(|rule| format!("{}:{}", rule.source, chosen(rule, "")))
        .collect();
    assert_eq!(
        images,
        [
            "docker.io/library/busybox:latest",
            "quay.io/team/app:v1",
            "docker.io/team/**:stable"
        ]
    );
}

#[test]
fn images_of_a_list_may_have_digests() {
    let digest = tranship::Digest::of(b"x");
    let content = format!("alpine@{digest}\nalpine:3.19@{digest}\n");
    let rules = rules(FileFormat::List, &content);
    assert_eq!(rules.rules[0].tags.digests, [digest]);
    let tag: Tag = "3.19".parse().expect("a tag");
    assert_eq!(rules.rules[1].tags.pinned, [(tag, digest)]);
}

#[test]
fn a_malformed_line_of_a_list_is_named() {
    assert_errors(
        FileFormat::List,
        &[
            (
                "alpine\n\n  Bad Name",
                "f.yaml:3:3: a line has the name of one image",
            ),
            (
                "alpine:3\nquay.io",
                "f.yaml:2:1: \"quay.io\": the repository is missing",
            ),
            ("alpine:a b", "f.yaml:1:1: a line has"),
            ("é", "f.yaml:1:1: "),
            ("alpine@sha256:1", "f.yaml:1:1: "),
            (
                "team/*@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "f.yaml:1:1: docker.io/team/*: a digest cannot follow a pattern",
            ),
        ],
    );
}

#[test]
fn the_destination_is_that_of_the_command_line_unless_the_file_says_it() {
    let given: Destination = "reg.example/given".parse().expect("a destination");
    let with_given = |content: &str| {
        let rules = read(content, "f", None, Some(&given)).expect(content);
        rules.rules.iter().map(destination).collect::<Vec<_>>()
    };
    let own = "reg.example/own/{repository}";
    let given_shown = "reg.example/given/{repository}";
    assert_eq!(with_given("alpine"), [given_shown]);
    assert_eq!(
        with_given("docker.io: {images: {alpine: []}}"),
        [given_shown]
    );
    assert_eq!(with_given("images: [alpine]"), [given_shown]);
    assert_eq!(
        with_given("defaults: {to: reg.example/own}\nimages: [alpine]"),
        [own]
    );
    assert_eq!(
        with_given("images: [{from: alpine, to: reg.example/own}, alpine]"),
        [own, given_shown]
    );
    assert_eq!(
        with_given("sync: [{source: alpine, target: reg.example/a, type: repository}]"),
        ["reg.example/a:{tag}"]
    );
    let without = read("alpine", "f", None, None).expect("a list");
    assert_eq!(without.rules[0].destination, None);
}

#[test]
fn a_destination_with_a_tag_needs_one_image() {
    let given: Destination = "reg.example/app:v1".parse().expect("a destination");
    let reads = |content: &str| read(content, "f", None, Some(&given));
    assert!(reads("alpine:3").is_ok());
    for (content, place) in [
        ("team/*:3", "f:1:1: "),
        ("images: [alpine]", "f:1:10: "),
        ("docker.io: {images: {alpine: []}}", "f:1:22: "),
    ] {
        let message = reads(content).expect_err(content).to_string();
        let expected = format!("{place}\"reg.example/app:v1\": a destination with a tag needs");
        assert!(message.starts_with(&expected), "{message}");
    }
}
