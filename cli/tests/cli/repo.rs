use crate::support::Workplace;

#[test]
fn tags_are_listed_one_a_line() {
    let here = Workplace::new();
    assert_eq!(
        here.ok(&["repo", "tags", "oci:hello"]),
        "latest\nv1\nv1-amd64"
    );
}

#[test]
fn a_list_begins_behind_a_name_and_ends_at_a_limit() {
    let here = Workplace::new();
    assert_eq!(
        here.ok(&["repo", "tags", "oci:hello", "--last", "latest"]),
        "v1\nv1-amd64"
    );
    assert_eq!(
        here.ok(&["repo", "tags", "oci:hello", "--limit", "1"]),
        "latest"
    );
    assert_eq!(here.ok(&["repo", "tags", "oci:hello", "--limit", "0"]), "");
}

#[test]
fn as_json_tags_are_a_list() {
    let here = Workplace::new();
    assert_eq!(
        here.json(&["repo", "tags", "oci:hello", "--last", "v1"]),
        serde_json::json!({"repository": "oci:hello", "tags": ["v1-amd64"]})
    );
}

#[test]
fn a_missing_layout_has_no_tags_to_list() {
    let here = Workplace::new();
    here.fails(3, &["repo", "tags", "oci:missing"]);
    assert_eq!(here.files(), ["hello"]);
}

#[test]
fn a_repository_is_named_without_a_tag() {
    let here = Workplace::new();
    here.fails(2, &["repo", "tags", "oci:hello:v1"]);
}

#[test]
fn repositories_are_listed_one_a_line() {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1", "layouts:root//team/b"]);
    here.ok(&["cp", "oci:hello:v1", "layouts:root//team/a"]);
    assert_eq!(here.ok(&["repo", "ls", "layouts:root"]), "team/a\nteam/b");
    assert_eq!(
        here.ok(&["repo", "ls", "layouts:root", "--last", "team/a"]),
        "team/b"
    );
    assert_eq!(
        here.ok(&["repo", "ls", "layouts:root", "--limit", "1"]),
        "team/a"
    );
    assert_eq!(
        here.json(&["repo", "ls", "layouts:root"]),
        serde_json::json!({"registry": "layouts:root", "repositories": ["team/a", "team/b"]})
    );
}

#[test]
fn a_layout_is_no_registry() {
    let here = Workplace::new();
    here.fails(3, &["repo", "ls", "layouts:missing"]);
    here.fails(2, &["repo", "ls", "oci:hello"]);
    assert_eq!(here.files(), ["hello"]);
}

#[test]
fn a_registry_without_tags_is_told() {
    let here = Workplace::new();
    let registry = crate::registries::TestRegistry::open();
    let ran = here.run(&["tags", &format!("{}/misspelt", registry.host())]);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""));
    assert!(ran.stderr.contains("has no tags"), "{ran:?}");
}
