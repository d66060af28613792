use tranship::{Digest, PlatformSubset, Result, SubsetForm, Tag};

use super::super::tests::{assert_errors, chosen, destination, rules};
use super::super::{FileFormat, read};
use crate::rules::{Platforms, Referrers, Rule, Rules};

/// `docs/examples/regsync.yml` of regclient.
const EXAMPLE: &str = include_str!("../../../tests/files/regsync.yaml");

const LISTED: &str = "1 12 3 3.10 3.9 latest v1 v2.0.0-rc1 v2.1.0";

fn regsync(content: &str) -> Rules {
    rules(FileFormat::Regsync, content)
}

/// Reads a file with one step, in the flow style.
fn step(fields: &str) -> Rule {
    let rules = regsync(&format!("sync: [{{{fields}}}]")).rules;
    rules.into_iter().next().expect("a rule")
}

fn repository(fields: &str) -> Rule {
    step(&format!(
        "type: repository, source: alpine, target: 'r:5000/a', {fields}"
    ))
}

fn example_without_backup() -> String {
    let lines = EXAMPLE.lines().filter(|line| !line.contains("backup:"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_example_of_regclient_is_read_without_its_backup() {
    assert_eq!(FileFormat::detect("-", EXAMPLE), FileFormat::Regsync);
    assert_errors(
        FileFormat::Regsync,
        &[(
            EXAMPLE,
            "f.yaml:14:11: images that are replaced cannot be backed up",
        )],
    );
    let file = regsync(&example_without_backup());
    assert_eq!(file.concurrency.map(Into::into), Some(2_usize));
    let found: Vec<[String; 3]> = file
        .rules
        .iter()
        .map(|rule| {
            [
                rule.source.to_string(),
                chosen(rule, LISTED),
                destination(rule),
            ]
        })
        .collect();
    let expected = [
        [
            "docker.io/library/busybox",
            "latest",
            "registry:5000/library/busybox:{tag}",
        ],
        [
            "docker.io/library/alpine",
            "3 3.10 3.9 latest",
            "registry:5000/library/alpine:{tag}",
        ],
        [
            "docker.io/library/debian",
            "1 12 3",
            "registry:5000/library/debian:{tag}",
        ],
        [
            "ghcr.io/regclient/regctl",
            "latest",
            "registry:5000/regclient/regctl:{tag}",
        ],
    ];
    assert_eq!(found, expected);
    let settings: Vec<_> = file
        .registries
        .iter()
        .map(|(name, settings)| {
            (
                name.as_str(),
                settings.plain_http,
                settings.rate_limit_reserve,
            )
        })
        .collect();
    assert_eq!(
        settings,
        [
            ("docker.io", None, Some(100)),
            ("ghcr.io", None, Some(100)),
            ("registry:5000", Some(true), None)
        ]
    );
}

#[test]
fn settings_without_effect_are_noted_once_and_secrets_not_shown() {
    let notes = regsync(&example_without_backup()).notes;
    let expected = [
        "f.yaml:6:5: \"user\" is not used",
        "f.yaml:7:5: \"pass\" is not used",
        "f.yaml:13:3: \"interval\" has no effect: use --watch",
        "f.yaml:11:5: \"retry\" has no effect here",
        "f.yaml:32:5: \"mediaTypes\" has no effect",
    ];
    assert_eq!(notes.len(), expected.len(), "{notes:#?}");
    for expected in expected {
        assert!(
            notes.iter().any(|note| note.starts_with(expected)),
            "{expected}: {notes:#?}"
        );
    }
    assert!(!notes.concat().contains("hub_token"));
}

#[test]
fn unknown_fields_are_noted_except_extensions() {
    let notes =
        regsync("x-a: 1\ny: 2\nsync: [{type: image, source: a, target: 'r:1/a', z: 3}]").notes;
    assert_eq!(
        notes,
        [
            "f.yaml:2:1: unknown field \"y\" is ignored",
            "f.yaml:3:50: unknown field \"z\" is ignored"
        ]
    );
}

#[test]
fn notes_are_bounded() {
    let fields: String = (0..1000).map(|number| format!("y{number}: 1\n")).collect();
    let notes = regsync(&format!("sync: []\n{fields}")).notes;
    assert_eq!(notes.len(), 100);
}

#[test]
fn a_misspelled_filter_is_refused() {
    for (field, name) in [
        ("tags: {alow: [x]}", "alow"),
        ("tagSets: [{denny: [x]}]", "denny"),
    ] {
        let content = format!("sync: [{{type: repository, source: a, target: 'r:1/a', {field}}}]");
        let error = read(&content, "f.yaml", Some(FileFormat::Regsync), None).expect_err(name);
        let text = error.to_string();
        assert!(
            text.contains(&format!("unknown field \"{name}\"")),
            "{text}"
        );
    }
}

#[test]
fn filters_of_tags_are_united() {
    for (fields, expected) in [
        ("fastCheck: true", LISTED),
        ("tags: {}", LISTED),
        ("tags: {allow: [3, 3.9]}", "3 3.9"),
        ("tags: {deny: ['.*[0-9]']}", "latest"),
        ("tags: {allow: ['v.*'], deny: ['.*-rc.*']}", "v1 v2.1.0"),
        // Plain concatenation: ^3 or 2$.
        ("tags: {allow: ['3|2']}", "12 3 3.10 3.9"),
        ("tags: {deny: ['3|2|v|t']}", "1"),
        ("tags: {semverRange: ['>=1.9 <3']}", "v2.0.0-rc1 v2.1.0"),
        (
            "tags: {semverRange: ['>=2.1', '=1']}",
            "1 12 3 3.10 3.9 v1 v2.1.0",
        ),
        (
            "tags: {semverRange: ['>=2'], allow: ['v.*'], deny: ['.*rc1']}",
            "v2.1.0",
        ),
        (
            "tagSets: [{allow: ['3']}, {semverRange: ['>=2.1 <3']}]",
            "3 v2.1.0",
        ),
        (
            "tagSets: [{allow: ['3']}], tags: {allow: [latest]}",
            "3 latest",
        ),
        ("tagSets: [{}]", LISTED),
    ] {
        let found = chosen(&repository(fields), LISTED);
        let sorted = |tags: &str| {
            let mut tags: Vec<String> = tags.split(' ').map(str::to_owned).collect();
            tags.sort();
            tags
        };
        assert_eq!(sorted(&found), sorted(expected), "{fields}");
    }
}

#[test]
fn an_image_keeps_or_changes_its_tag() {
    let digest = Digest::of(b"x");
    for (source, target, tag, shown) in [
        ("busybox", "r:5000/b", "latest", "r:5000/b:{tag}"),
        ("busybox:1", "r:5000/b:1", "1", "r:5000/b:{tag}"),
        ("busybox:1", "r:5000/b:2", "1", "r:5000/b:2"),
        ("busybox:1", "r:5000/b", "1", "r:5000/b:latest"),
        ("busybox:1", "team/b:1", "1", "docker.io/team/b:{tag}"),
        ("busybox:1", "ocidir://dir:1", "1", "oci:dir"),
        ("ocidir://dir:1", "r:5000/b:1", "1", "r:5000/b:{tag}"),
    ] {
        let rule = step(&format!(
            "type: image, source: '{source}', target: '{target}'"
        ));
        assert_eq!(chosen(&rule, ""), tag, "{source}");
        assert_eq!(destination(&rule), shown, "{source}");
    }
    let rule = step(&format!(
        "type: image, source: 'busybox@{digest}', target: 'r:5000/b:2'"
    ));
    let tag: Tag = "2".parse().expect("a tag");
    assert_eq!(rule.tags.pinned, [(tag, digest)]);
}

#[test]
fn a_registry_is_filtered_by_regular_expressions() -> Result<()> {
    let rule = step(
        "type: registry, source: quay.io, target: 'r:5000/q', repos: {allow: ['team/.*', 'a|b'], deny: ['.*secret.*']}",
    );
    assert_eq!(rule.source.registry, "quay.io");
    assert_eq!(destination(&rule), "r:5000/q/{repository}");
    for (name, expected) in [
        ("team/app", true),
        ("other/team/app", false),
        ("abc", true),
        ("cab", true),
        ("cac", false),
        ("team/secret", false),
    ] {
        assert_eq!(rule.source.matches(&name.parse()?), expected, "{name}");
    }
    let all = step("type: registry, source: 'localhost:5000', target: quay.io");
    assert!(all.source.matches(&"any/name".parse()?));
    assert_eq!(destination(&all), "quay.io/{repository}");
    Ok(())
}

#[test]
fn platforms_and_referrers_are_read() -> Result<()> {
    let images = |fields: &str| repository(fields).images;
    assert_eq!(
        images("platform: linux/arm64").platforms,
        Platforms::One("linux/arm64".parse()?)
    );
    let mut subset = PlatformSubset::new(["linux/amd64".parse()?]);
    subset.form = SubsetForm::Sparse;
    subset.allow_missing = true;
    assert_eq!(
        images("platforms: [linux/amd64, '']").platforms,
        Platforms::Subset(subset)
    );
    assert!(images("includeExternal: true").include_non_distributable);
    assert_eq!(images("referrers: false").referrers, None);
    let default = Referrers::default();
    assert_eq!(images("referrers: true").referrers, Some(default.clone()));
    let mut expected = default.clone();
    expected.digest_tags = true;
    expected.only_of_changed = true;
    assert_eq!(
        images("digestTags: true, fastCheck: true").referrers,
        Some(expected)
    );
    let mut expected = default.clone();
    expected.artifact_types = vec!["a/b".parse()?, "c/d".parse()?];
    let filters = "referrers: true, referrerFilters: [{artifactType: a/b}, {artifactType: c/d}]";
    assert_eq!(images(filters).referrers, Some(expected));
    let mut expected = default.clone();
    expected.artifact_types = vec!["a/b".parse()?];
    expected.annotations = vec![("x".into(), Some("y".into())), ("z".into(), None)];
    let filters =
        "referrers: true, referrerFilters: [{artifactType: a/b, annotations: {x: y, z: ''}}]";
    assert_eq!(images(filters).referrers, Some(expected));
    let filters = "referrers: true, referrerFilters: [{artifactType: a/b}, {}]";
    assert_eq!(images(filters).referrers, Some(default));
    Ok(())
}

#[test]
fn a_step_replaces_what_the_defaults_say() {
    let content = "
defaults: {referrers: true, ratelimit: {min: 5}}
sync:
  - {type: image, source: a, target: 'r:1/a', referrers: false, ratelimit: {min: 50}}
  - {type: image, source: b, target: 'r:1/b'}
";
    let file = regsync(content);
    assert_eq!(file.rules[0].images.referrers, None);
    assert_eq!(file.rules[1].images.referrers, Some(Referrers::default()));
    assert_eq!(file.registries[0].1.rate_limit_reserve, Some(50));
}

#[test]
fn creds_say_how_registries_are_reached() {
    let content = "
creds:
  - {registry: 'a:1', tls: disabled, reqPerSec: 2.5, reqConcurrent: 3}
  - {registry: b.example, hostname: b.example, tls: insecure, reqPerSec: 0.5}
  - {registry: 'http://c.example', reqConcurrent: 0}
  - {registry: registry-1.docker.io, tls: Enabled}
  - {registry: myhost, hostname: '', tls: disabled}
  - {registry: d.example}
sync: []
";
    let file = regsync(content);
    let found: Vec<_> = file
        .registries
        .iter()
        .map(|(name, settings)| {
            let concurrency = settings.concurrency.map(usize::from);
            (
                name.as_str(),
                settings.plain_http,
                settings.insecure,
                settings.requests_per_second,
                concurrency,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("a:1", Some(true), None, Some(2), Some(3)),
            ("b.example", None, Some(true), Some(1), None),
            ("c.example", Some(true), None, None, None),
            ("docker.io", Some(false), None, None, None),
            ("myhost", Some(true), None, None, None),
        ]
    );
    assert_eq!(
        file.notes,
        ["f.yaml:4:74: \"reqPerSec\" below 1 is taken for 1"]
    );
}

#[test]
fn merged_steps_are_read() {
    let content = "
x-base: &base {type: repository, target: 'r:5000/a'}
sync:
  - {<<: *base, source: alpine}
  - {<<: *base, source: 'alpine:3', type: image}
";
    let file = regsync(content);
    assert_eq!(file.notes, [""; 0]);
    assert_eq!(chosen(&file.rules[0], "v1"), "v1");
    assert_eq!(chosen(&file.rules[1], "v1"), "3");
}

#[test]
fn a_repeated_key_replaces_the_first() {
    let rule = step("type: image, source: a, source: b, target: 'r:1/b'");
    assert_eq!(rule.source.to_string(), "docker.io/library/b");
}

#[test]
fn errors_have_a_line_and_a_column() {
    let step = |fields: &str| {
        format!("sync:\n  - type: repository\n    source: a\n    target: r:1/a\n    {fields}")
    };
    let steps = [
        (
            "tags: {allow: ['(']}",
            "f.yaml:5:20: \"^($\": not a regular expression: ",
        ),
        (
            "tags: {deny: ['a)(b']}",
            "f.yaml:5:19: \"^a)(b$\": not a regular expression: ",
        ),
        ("tags: {allow: x}", "f.yaml:5:19: expected a list"),
        (
            "tags: {semverRange: [x]}",
            "f.yaml:5:26: \"x\": not a range of versions: ",
        ),
        (
            "backup: old",
            "f.yaml:5:13: images that are replaced cannot be backed up",
        ),
        ("hooks: {pre: {type: x}}", "f.yaml:5:12: hooks are not run"),
        (
            "referrerSource: x/y",
            "f.yaml:5:21: referrers of another repository",
        ),
        (
            "referrerTarget: x/y",
            "f.yaml:5:21: referrers cannot be copied to another repository",
        ),
        ("referrers: maybe", "f.yaml:5:16: expected true or false"),
        (
            "referrers: true\n    referrerFilters: [{artifactType: a/b}, {annotations: {a: b}}]",
            "f.yaml:6:44: several filters of referrers",
        ),
        ("platform: x", "f.yaml:5:15: "),
        ("platforms: [x]", "f.yaml:5:17: "),
        (
            "ratelimit: {min: x}",
            "f.yaml:5:22: expected a whole number",
        ),
    ];
    let steps: Vec<(String, &str)> = steps
        .into_iter()
        .map(|(fields, expected)| (step(fields), expected))
        .collect();
    let steps: Vec<(&str, &str)> = steps
        .iter()
        .map(|(content, expected)| (content.as_str(), *expected))
        .collect();
    assert_errors(FileFormat::Regsync, &steps);
    assert_errors(
        FileFormat::Regsync,
        &[
            (
                "version: 2\nsync: []",
                "f.yaml:1:10: only the versions 0 and 1",
            ),
            ("sync: {}", "f.yaml:1:7: expected a list"),
            (
                "sync: [{source: a, target: b}]",
                "f.yaml:1:8: the field \"type\" is missing",
            ),
            (
                "sync: [{type: image, target: b}]",
                "f.yaml:1:8: the field \"source\" is missing",
            ),
            (
                "sync: [{type: x, source: a, target: b}]",
                "f.yaml:1:15: expected \"registry\", \"repository\" or \"image\"",
            ),
            (
                "sync:\n  - type: image\n    source: a\n    target: r:5000/{{ .Sync.Source }}",
                "f.yaml:4:13: templates of Go are not run",
            ),
            (
                "sync: [{type: image, source: 'a/*', target: b}]",
                "f.yaml:1:30: a name with wildcards is not an image",
            ),
            (
                "sync: [{type: image, source: A, target: b}]",
                "f.yaml:1:30: ",
            ),
            (
                "sync: [{type: repository, source: 'a:1', target: b}]",
                "f.yaml:1:35: a repository has a name without a tag or digest",
            ),
            (
                "sync: [{type: registry, source: a/b, target: quay.io}]",
                "f.yaml:1:33: ",
            ),
            (
                "sync: [{type: registry, source: a.b, target: q}]",
                "f.yaml:1:46: \"q\": the host is missing",
            ),
            (
                "sync: [{type: registry, source: a.b, target: q.b, repos: {allow: ['(']}}]",
                "f.yaml:1:67: \"^($\": not a regular expression: ",
            ),
            (
                "creds: [{tls: disabled}]",
                "f.yaml:1:9: the field \"registry\" is missing",
            ),
            (
                "creds: [{registry: a.b, hostname: c.d}]",
                "f.yaml:1:35: a registry cannot be reached by another name, \"c.d\"",
            ),
            (
                "creds: [{registry: a.b, tls: off}]",
                "f.yaml:1:30: expected \"enabled\", \"insecure\" or \"disabled\"",
            ),
            (
                "creds: [{registry: a.b, reqPerSec: fast}]",
                "f.yaml:1:36: expected a number of requests",
            ),
            (
                "creds: [{registry: '{{env \"X\"}}'}]",
                "f.yaml:1:20: templates of Go are not run",
            ),
        ],
    );
}
