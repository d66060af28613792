//! Platforms: the one of this machine, and copies of several.

use crate::support::Workplace;

#[test]
fn local_is_the_platform_of_this_machine() {
    let here = Workplace::new();
    let local = tranship::Platform::local().to_string();
    let arguments = ["resolve", "oci:hello:v1", "--platform"];
    let named = here.run(&[&arguments[..], &[&local]].concat());
    let by_word = here.run(&[&arguments[..], &["local"]].concat());
    assert_eq!(by_word.code, named.code);
    assert_eq!(by_word.stdout, named.stdout);

    let error = here.fails(2, &[&arguments[..], &["lokal"]].concat());
    assert!(error.contains("or local for this machine"), "{error}");
}
