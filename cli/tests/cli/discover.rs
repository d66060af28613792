use crate::registries::{Scripted, message};
use crate::support::{AMD64, ATTESTATION, INDEX, NOTHING, SBOM, SIGNATURE, Workplace};

#[test]
fn referrers_are_drawn_as_a_tree() {
    let here = Workplace::new();
    assert_eq!(
        here.ok(&["discover", "oci:hello:v1"]),
        format!(
            "oci:hello@{INDEX}\n\
             └── {SBOM} application/spdx+json\n    \
                 └── {SIGNATURE} application/vnd.example.signature.v1\n        \
                     └── {ATTESTATION} application/vnd.in-toto+json"
        )
    );
}

#[test]
fn siblings_are_joined_by_a_line() {
    let here = Workplace::new();
    for name in ["a", "b"] {
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","artifactType":"example/{name}","manifests":[],"subject":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{SIGNATURE}","size":720}}}}"#
        );
        here.write("file", manifest);
        here.ok(&["manifest", "push", "oci:hello", "file"]);
    }
    let tree = here.ok(&["discover", &format!("oci:hello@{SIGNATURE}")]);
    let marks: Vec<String> = tree
        .lines()
        .map(|line| {
            line.chars()
                .take_while(|c| !c.is_ascii_alphanumeric())
                .collect()
        })
        .collect();
    assert_eq!(marks, ["", "├── ", "├── ", "└── "]);
    let whole = here.ok(&["discover", "oci:hello:v1"]);
    assert_eq!(whole.lines().count(), 6, "{whole}");
}

/// Gives the manifest `attached` of the layout `hello` the tag that attaches it to the index.
fn attach(here: &Workplace, attached: &str, suffix: &str) -> String {
    let tag = format!("{}.{suffix}", INDEX.replace(':', "-"));
    here.ok(&["tag", &format!("oci:hello@{attached}"), &tag]);
    tag
}

#[test]
fn what_tags_attach_is_drawn_with_its_tag() {
    let here = Workplace::new();
    let (sig, sbom) = (attach(&here, AMD64, "sig"), attach(&here, SBOM, "sbom"));
    let tree = here.ok(&["discover", "oci:hello:v1", "--depth", "1"]);
    assert_eq!(
        tree,
        format!(
            "oci:hello@{INDEX}\n\
             ├── {SBOM} application/spdx+json (tag {sbom})\n\
             └── {AMD64} application/vnd.oci.image.config.v1+json (tag {sig})"
        )
    );
    let json = here.json(&["discover", "oci:hello:v1", "--depth", "1"]);
    assert_eq!(json["referrers"][1]["tag"], *sig);
    assert_eq!(json["referrers"][1]["descriptor"]["digest"], AMD64);

    let without = here.ok(&["discover", "oci:hello:v1", "--no-digest-tags"]);
    assert!(
        !without.contains(AMD64) && !without.contains("(tag"),
        "{without}"
    );
    let of_type = [
        "discover",
        "oci:hello:v1",
        "--artifact-type",
        "application/spdx+json",
    ];
    assert!(!here.ok(&of_type).contains(AMD64));
}

#[test]
fn annotations_are_shown_on_request() {
    let here = Workplace::new();
    for (name, subject) in [("a", SIGNATURE), ("b", SIGNATURE)] {
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","artifactType":"example/{name}","manifests":[],"annotations":{{"name":"{name}","note":"two\nlines"}},"subject":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{subject}","size":720}}}}"#
        );
        here.write("file", manifest);
        here.ok(&["manifest", "push", "oci:hello", "file"]);
    }
    let location = format!("oci:hello@{SIGNATURE}");
    let tree = here.ok(&["discover", &location, "--annotations"]);
    let lines: Vec<&str> = tree.lines().filter(|line| line.contains(": ")).collect();
    let is_drawn =
        |line: &&str| line.starts_with("│       name: ") || line.starts_with("        name: ");
    assert_eq!(
        lines.iter().filter(|line| is_drawn(line)).count(),
        2,
        "{tree}"
    );
    assert!(tree.contains(r"note: two\nlines"), "{tree}");
    assert!(!here.ok(&["discover", &location]).contains("name: "));
}

#[test]
fn a_tree_is_cut_at_a_depth() {
    let here = Workplace::new();
    let tree = here.ok(&["discover", "oci:hello:v1", "--depth", "2"]);
    assert_eq!(tree.lines().count(), 3, "{tree}");
}

#[test]
fn only_referrers_of_one_type_are_followed() {
    let here = Workplace::new();
    let spdx = here.ok(&[
        "discover",
        "oci:hello:v1",
        "--artifact-type",
        "application/spdx+json",
    ]);
    assert_eq!(spdx.lines().count(), 2, "{spdx}");
    let other = here.ok(&[
        "discover",
        "oci:hello:v1",
        "--artifact-type",
        "example/other",
    ]);
    assert_eq!(other, format!("oci:hello@{INDEX}"));
}

#[test]
fn the_referrers_of_a_platform_are_its_own() {
    let here = Workplace::new();
    let tree = here.ok(&["discover", "oci:hello:v1", "--platform", "linux/amd64"]);
    let lines: Vec<&str> = tree.lines().collect();
    assert_eq!(lines[0], format!("oci:hello@{AMD64}"));
    assert!(
        lines[1].ends_with("application/vnd.example.sbom.config.v1+json"),
        "{tree}"
    );
    assert_eq!(lines.len(), 2);
}

#[test]
fn as_json_referrers_are_a_list_in_the_order_of_the_tree() {
    let here = Workplace::new();
    let json = here.json(&["discover", "oci:hello:v1"]);
    assert_eq!(json["reference"], format!("oci:hello@{INDEX}"));
    assert_eq!(json["descriptor"]["digest"], INDEX);
    let referrers = json["referrers"].as_array().expect("a list");
    let seen: Vec<_> = referrers
        .iter()
        .map(|referrer| {
            let text = |value: &serde_json::Value| value.as_str().map(ToOwned::to_owned);
            let digest = text(&referrer["descriptor"]["digest"]);
            (
                text(&referrer["subject"]),
                referrer["depth"].as_u64(),
                digest,
            )
        })
        .collect();
    let edge = |subject: &str, depth, digest: &str| {
        (
            Some(subject.to_owned()),
            Some(depth),
            Some(digest.to_owned()),
        )
    };
    assert_eq!(
        seen,
        [
            edge(INDEX, 1, SBOM),
            edge(SBOM, 2, SIGNATURE),
            edge(SIGNATURE, 3, ATTESTATION)
        ]
    );
}

#[test]
fn what_is_not_there_has_no_referrers_to_show() {
    let here = Workplace::new();
    here.fails(3, &["discover", "oci:hello:v9"]);
    here.fails(3, &["discover", &format!("oci:hello@{NOTHING}")]);
    here.fails(2, &["discover", "oci:hello"]);
    here.fails(3, &["discover", "oci:missing:v1"]);
}

#[test]
fn referrers_of_referrers_without_end_come_to_one() {
    let here = Workplace::new();
    // Each digest has one referrer, whose digest is new.
    let registry = Scripted::start(|asked| {
        let Some((_, digest)) = asked.line.rsplit_once("sha256:") else {
            return message("404 Not Found", &[], "");
        };
        let kind = ["content-type: application/vnd.oci.image.index.v1+json"];
        if !asked.line.contains("/referrers/") {
            let kind = ["content-type: application/vnd.oci.image.manifest.v1+json"];
            return message("200 OK", &kind, "");
        }
        let number = u64::from_str_radix(&digest[48..], 16).expect("a number");
        let next = format!("sha256:{:064x}", number + 1);
        let body = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{next}","size":2}}]}}"#
        );
        message("200 OK", &kind, &body)
    });
    let reference = format!("{}/app@{NOTHING}", registry.host());
    let stderr = here.fails(7, &["discover", &reference]);
    assert!(stderr.contains("more than 100 levels"), "{stderr}");
    assert!(stderr.contains("--depth"), "{stderr}");
    let some = here.ok(&["discover", &reference, "--depth", "3"]);
    assert_eq!(some.lines().count(), 4, "{some}");
}
