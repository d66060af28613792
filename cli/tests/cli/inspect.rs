use crate::support::{AMD64, INDEX, Workplace};

#[test]
fn an_index_has_a_line_for_each_platform() {
    let here = Workplace::new();
    let page = here.ok(&["inspect", "oci:hello:v1"]);
    let first = format!("Name:        oci:hello@{INDEX}");
    assert_eq!(page.lines().next(), Some(&*first));
    for expected in [
        "Type:        index of 3 images, application/vnd.oci.image.index.v1+json",
        "Size:        17.9 KiB, 18348 bytes",
        "Shared:      5.0 KiB, 5143 bytes between platforms",
        &format!("  linux/amd64                         2  8.9 KiB  {AMD64}"),
        "  1 application/spdx+json",
    ] {
        assert!(
            page.lines().any(|line| line == expected),
            "{expected}\n{page}"
        );
    }
}

#[test]
fn an_image_has_layers_and_a_configuration() {
    let here = Workplace::new();
    let page = here.ok(&["inspect", "oci:hello:v1", "--platform", "linux/amd64"]);
    for expected in [
        "Platform:    linux/amd64",
        "COPY hello /bin/hello # buildkit",
        "  Entrypoint  [\"/bin/hello\"]",
        "  Env         PATH=/bin",
        "  org.opencontainers.image.title: hello",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
}

#[test]
fn as_json_it_is_complete() {
    let here = Workplace::new();
    let json = here.json(&["inspect", "oci:hello:v1"]);
    assert_eq!(json["reference"], format!("oci:hello@{INDEX}"));
    assert_eq!(json["kind"], "index");
    assert_eq!(json["totalSize"], 18348);
    assert_eq!(json["manifests"][0]["config"]["user"], "1000:1000");
    assert_eq!(
        json["manifests"][0]["layers"]
            .as_array()
            .expect("a list")
            .len(),
        2
    );
    assert_eq!(json["referrers"]["count"], 1);
    let json = here.json(&["inspect", "oci:hello:v1", "--no-referrers"]);
    assert!(json.get("referrers").is_none());
}

#[test]
fn stored_bytes_are_printed_as_they_are() {
    let here = Workplace::new();
    let raw = here.run(&["inspect", "--raw", "oci:hello:v1"]).stdout;
    assert_eq!(
        raw.as_bytes(),
        std::fs::read(here.blob("hello", INDEX)).expect("a blob")
    );
    let raw = here
        .run(&[
            "inspect",
            "--raw",
            "--platform",
            "linux/amd64",
            "oci:hello:v1",
        ])
        .stdout;
    assert_eq!(
        raw.as_bytes(),
        std::fs::read(here.blob("hello", AMD64)).expect("a blob")
    );
    let config = here.ok(&["inspect", "--config", "oci:hello:v1-amd64"]);
    assert!(config.starts_with("{\"created\""), "{config}");
    let error = here.fails(6, &["inspect", "--config", "oci:hello:v1"]);
    assert!(error.contains("--platform"), "{error}");
}

#[test]
fn what_an_image_says_of_itself_does_not_reach_the_terminal() {
    let here = Workplace::new();
    let manifest = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{"a\u001b[31m":"b\nName: x"}}"#;
    here.write("file", manifest);
    here.ok(&["manifest", "push", "oci:hello:bad", "file"]);
    let page = here.ok(&["inspect", "oci:hello:bad"]);
    assert!(page.contains(r"a\u{1b}[31m: b\nName: x"), "{page}");
}

#[test]
fn a_platform_that_is_missing_is_an_error_with_those_that_exist() {
    let here = Workplace::new();
    let error = here.fails(3, &["inspect", "oci:hello:v1", "--platform", "linux/s390x"]);
    assert!(error.contains("linux/arm64/v8"), "{error}");
}
