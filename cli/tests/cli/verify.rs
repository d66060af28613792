use crate::support::{AMD64, Workplace};

#[test]
fn a_sound_image_prints_nothing() {
    let here = Workplace::new();
    assert_eq!(here.ok(&["verify", "oci:hello:v1"]), "");
    assert_eq!(here.ok(&["verify", "-r", "--layers", "oci:hello"]), "");
    let json = here.json(&["verify", "oci:hello:v1"]);
    assert_eq!(json["sound"], true);
    assert_eq!(json["checked"]["count"], 11);
    here.fails(3, &["verify", "oci:hello:none"]);
}

#[test]
fn damage_is_printed_a_line_each() {
    let here = Workplace::new();
    here.damage("hello", AMD64, b"{}");
    let ran = here.run(&["verify", "oci:hello:latest"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let expected = format!("error: wrong size {AMD64}: ");
    assert!(ran.stdout.starts_with(&expected), "{ran:?}");
    assert!(ran.stderr.contains("1 error was found"), "{ran:?}");
    let ran = here.run(&["verify", "oci:hello:latest", "--format", "json"]);
    assert_eq!(ran.code, Some(4));
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(json["findings"][0]["kind"], "wrongSize");
    assert_eq!(json["findings"][0]["descriptor"]["digest"], AMD64);
}

#[test]
fn fsck_of_a_registry_points_to_it() {
    let here = Workplace::new();
    let error = here.fails(6, &["fsck", "localhost:5000/app"]);
    assert!(
        error.contains("tranship verify localhost:5000/app"),
        "{error}"
    );
}
