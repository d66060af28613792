use crate::support::{EMPTY, HELLO, NOTHING, Workplace};

fn at(digest: &str) -> String {
    format!("oci:hello@{digest}")
}

#[test]
fn a_blob_is_printed() {
    let here = Workplace::new();
    let ran = here.run(&["blob", "fetch", &at(EMPTY)]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("{}", ""));
}

#[test]
fn a_blob_is_written_to_a_file() {
    let here = Workplace::new();
    let stdout = here.ok(&["blob", "fetch", &at(EMPTY), "--output", "file"]);
    assert_eq!(stdout, "");
    assert_eq!(here.read("file"), b"{}");
    assert_eq!(here.files(), ["file", "hello"]);
}

#[test]
fn as_json_a_written_blob_is_described() {
    let here = Workplace::new();
    let json = here.json(&["blob", "fetch", &at(EMPTY), "-o", "file"]);
    assert_eq!(json["reference"], at(EMPTY));
    assert_eq!(json["bytes"], 2);
    assert_eq!(json["descriptor"]["digest"], EMPTY);
}

#[test]
fn a_part_of_a_blob_is_printed() {
    let here = Workplace::new();
    here.write("file", "hello");
    here.ok(&["blob", "push", "oci:hello", "file"]);
    for (range, part) in [("0-1", "he"), ("1-1", "e"), ("3-", "lo"), ("3-99", "lo")] {
        assert_eq!(
            here.ok(&["blob", "fetch", &at(HELLO), "--range", range]),
            part
        );
    }
    here.fails(2, &["blob", "fetch", &at(HELLO), "--range", "6-"]);
    here.fails(2, &["blob", "fetch", &at(HELLO), "--range", "2-1"]);
}

#[test]
fn a_damaged_blob_never_becomes_a_file() {
    let here = Workplace::new();
    here.damage("hello", EMPTY, b"[]");
    here.write("old", "old");
    here.fails(4, &["blob", "fetch", &at(EMPTY), "-o", "new"]);
    here.fails(4, &["blob", "fetch", &at(EMPTY), "-o", "old"]);
    assert_eq!(here.read("old"), b"old");
    assert_eq!(here.files(), ["hello", "old"]);
    assert_eq!(here.run(&["blob", "fetch", &at(EMPTY)]).code, Some(4));
}

#[test]
fn a_blob_is_named_by_its_digest_only() {
    let here = Workplace::new();
    here.fails(3, &["blob", "fetch", &at(NOTHING)]);
    here.fails(2, &["blob", "fetch", "oci:hello:v1"]);
    here.fails(2, &["blob", "fetch", "oci:hello"]);
}

#[test]
fn a_blob_is_pushed_from_a_file() {
    let here = Workplace::new();
    here.write("file", "hello");
    assert_eq!(here.ok(&["blob", "push", "oci:new", "file"]), HELLO);
    assert_eq!(
        here.ok(&["blob", "fetch", &format!("oci:new@{HELLO}")]),
        "hello"
    );
    assert_eq!(here.ok(&["blob", "push", "oci:new", "file"]), HELLO);
}

#[test]
fn a_blob_is_pushed_from_standard_input_of_unknown_size() {
    let here = Workplace::new();
    let content = vec![b'x'; 1_000_000];
    let ran = here.run_with(&["blob", "push", "oci:new", "-"], &content);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let location = format!("oci:new@{}", ran.stdout.trim());
    assert_eq!(here.ok(&["blob", "fetch", &location]).as_bytes(), content);
}

#[test]
fn a_blob_whose_digest_and_size_are_given_is_not_spooled() {
    let here = Workplace::new();
    let arguments = [
        "blob", "push", "oci:new", "-", "--digest", HELLO, "--size", "5",
    ];
    let child = here
        .command(&arguments)
        .env("TMPDIR", here.path("missing"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    let mut child = child.expect("started");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), b"hello").expect("read");
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, format!("{HELLO}\n").as_bytes());
}

#[test]
fn a_blob_may_be_named_by_sha512() {
    let here = Workplace::new();
    let digest = "sha512:9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043";
    here.write("file", "hello");
    let location = format!("oci:new@{digest}");
    assert_eq!(here.ok(&["blob", "push", &location, "file"]), digest);
    assert_eq!(here.ok(&["blob", "fetch", &location]), "hello");
}

#[test]
fn a_blob_that_is_not_what_it_should_be_is_not_pushed() {
    let here = Workplace::new();
    here.write("file", "hello");
    here.fails(4, &["blob", "push", "oci:new", "file", "--digest", NOTHING]);
    here.fails(4, &["blob", "push", "oci:new", "file", "--size", "6"]);
    here.fails(4, &["blob", "push", &format!("oci:new@{NOTHING}"), "file"]);
    let both = format!("oci:new@{HELLO}");
    here.fails(2, &["blob", "push", &both, "file", "--digest", NOTHING]);
    here.fails(2, &["blob", "push", "oci:new:v1", "file"]);
    here.fails(3, &["blob", "push", "oci:new", "missing"]);
    here.fails(2, &["blob", "push", "oci:new", "hello"]);
    let location = format!("oci:new@{HELLO}");
    assert_eq!(here.run(&["blob", "fetch", &location]).code, Some(3));
}

#[test]
fn standard_input_that_is_not_what_it_should_be_is_not_pushed() {
    let here = Workplace::new();
    let push = ["blob", "push", "oci:new", "-", "--digest", HELLO];
    let sized = [&push[..], &["--size", "5"]].concat();
    for input in ["jello", "hell", "hello!"] {
        assert_eq!(
            here.run_with(&push, input.as_bytes()).code,
            Some(4),
            "{input}"
        );
        assert_eq!(
            here.run_with(&sized, input.as_bytes()).code,
            Some(4),
            "{input}"
        );
    }
    let location = format!("oci:new@{HELLO}");
    assert_eq!(here.run(&["blob", "fetch", &location]).code, Some(3));
}

#[test]
fn as_json_a_pushed_blob_has_the_type_that_it_was_given() {
    let here = Workplace::new();
    here.write("file", "hello");
    let json = here.json(&[
        "blob",
        "push",
        "oci:new",
        "file",
        "--media-type",
        "text/plain",
    ]);
    assert_eq!(json["descriptor"]["mediaType"], "text/plain");
    assert_eq!(json["descriptor"]["size"], 5);
    assert_eq!(json["reference"], format!("oci:new@{HELLO}"));
}

#[test]
fn a_blob_is_deleted_after_a_yes() {
    let here = Workplace::new();
    here.write("file", "hello");
    here.ok(&["blob", "push", "oci:new", "file"]);
    let location = format!("oci:new@{HELLO}");
    here.fails(2, &["blob", "delete", &location]);
    here.ok(&["blob", "delete", "--yes", &location]);
    here.fails(3, &["blob", "fetch", &location]);
    here.fails(3, &["blob", "delete", "--yes", &location]);
}
