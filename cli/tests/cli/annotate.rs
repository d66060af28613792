//! `annotate`: annotations change, and nothing else.

use crate::support::{AMD64, INDEX, Workplace};

#[test]
fn an_index_is_annotated_and_its_tag_moves() {
    let here = Workplace::new();
    let arguments = [
        "annotate",
        "oci:hello:v1",
        "team=harbour",
        "org.opencontainers.image.title-",
    ];
    let ran = here.run(&arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains(&format!("{INDEX} becomes")), "{ran:?}");
    assert_eq!(here.ok(&["resolve", "oci:hello:v1"]), ran.stdout.trim_end());
    let shown = here.json(&["index", "show", "oci:hello:v1"]);
    assert_eq!(shown["annotations"]["team"], "harbour");
    assert_eq!(
        shown["annotations"]["org.opencontainers.image.title"],
        serde_json::Value::Null
    );
    let again = here.run(&arguments);
    assert!(again.stderr.contains("nothing to change"), "{again:?}");
}

#[test]
fn an_entry_of_an_index_is_annotated() {
    let here = Workplace::new();
    for entry in [AMD64, "linux/arm64"] {
        here.ok(&["annotate", "oci:hello:v1", "--entry", entry, "k=v=w"]);
    }
    let shown = here.json(&["index", "show", "oci:hello:v1"]);
    assert_eq!(shown["manifests"][0]["annotations"]["k"], "v=w");
    assert_eq!(shown["manifests"][1]["annotations"]["k"], "v=w");
    here.fails(
        3,
        &["annotate", "oci:hello:v1", "--entry", "linux/s390x", "k=v"],
    );
}

#[test]
fn a_warning_tells_of_signatures_of_the_old_manifest() {
    let here = Workplace::new();
    let ran = here.run(&[
        "annotate",
        "oci:hello:v1-amd64",
        "--remove",
        "absent",
        "k=v",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("warning: signatures"), "{ran:?}");
}

#[test]
fn a_manifest_named_by_its_digest_does_not_move_a_tag() {
    let here = Workplace::new();
    let before = here.ok(&["resolve", "oci:hello:v1-amd64"]);
    let ran = here.run(&[
        "annotate",
        &format!("oci:hello@{AMD64}"),
        "k=v",
        "--tag",
        "new",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(here.ok(&["resolve", "oci:hello:v1-amd64"]), before);
    assert_eq!(
        here.ok(&["resolve", "oci:hello:new"]),
        ran.stdout.trim_end()
    );
}

#[test]
fn what_is_not_a_change_is_wrong_usage() {
    let here = Workplace::new();
    here.fails(2, &["annotate", "oci:hello:v1", "novalue"]);
    here.fails(2, &["annotate", "oci:hello:v1", "=v"]);
    here.fails(2, &["annotate", "oci:hello:v1", "-"]);
    here.fails(
        2,
        &["annotate", "oci:hello:v1", "--entry", "nothing", "k=v"],
    );
}
