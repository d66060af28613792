use std::fs;

use crate::support::{AMD64, SBOM, Workplace};

const AMD: [&str; 2] = ["--platform", "linux/amd64"];

#[test]
fn directories_are_listed() {
    let here = Workplace::new();
    let list = |options: &[&str]| here.ok(&[&["fs", "ls", "oci:hello:v1"], options, &AMD].concat());
    assert_eq!(list(&[]), "bin\netc\nusr");
    assert_eq!(list(&["/usr/share/"]), "hello");
    assert_eq!(list(&["etc/passwd"]), "passwd");
    let all = list(&["-R"]);
    assert_eq!(all.lines().next(), Some("/bin"));
    assert!(all.ends_with("/usr/share/hello/greetings.txt"), "{all}");
    let long = list(&["-l", "/bin"]);
    assert_eq!(long, "-rwxr-xr-x  0:0  174  2026-01-01T00:00:00Z  hello");
    let json = here.json(&[&["fs", "ls", "oci:hello:v1", "/bin"], &AMD[..]].concat());
    assert_eq!(json["entries"][0]["path"], "/bin/hello");
    assert_eq!(json["entries"][0]["type"], "file");
    assert_eq!(json["entries"][0]["size"], 174);
    assert_eq!(json["reference"], format!("oci:hello@{AMD64}"));
}

#[test]
fn files_are_printed() {
    let here = Workplace::new();
    let passwd = here.run(&[&["fs", "cat", "oci:hello:v1-amd64", "/etc/passwd"][..]].concat());
    assert_eq!(passwd.stdout.len(), 66);
    let twice = here.run(&[
        "fs",
        "cat",
        "oci:hello:v1-amd64",
        "/etc/passwd",
        "etc/passwd",
    ]);
    assert_eq!(twice.stdout, passwd.stdout.repeat(2));
    for (path, code) in [("/none", 3), ("/etc", 2), ("/etc/passwd/x", 3)] {
        here.fails(code, &["fs", "cat", "oci:hello:v1-amd64", path]);
    }
    // Nothing is printed if one of several is missing.
    here.fails(
        3,
        &["fs", "cat", "oci:hello:v1-amd64", "/etc/passwd", "/none"],
    );
}

#[test]
fn files_are_copied_and_not_overwritten() {
    let here = Workplace::new();
    let copy = ["fs", "cp", "oci:hello:v1-amd64", "/etc/passwd", "out"];
    assert_eq!(here.ok(&copy), "out/passwd");
    assert_eq!(here.read("out/passwd").len(), 66);
    let error = here.fails(1, &copy);
    assert!(error.contains("--overwrite"), "{error}");
    here.ok(&[&copy[..], &["--overwrite"]].concat());
    here.ok(&["fs", "cp", "oci:hello:v1-amd64", "/", "all"]);
    assert_eq!(here.read("all/bin/hello").len(), 174);
    let json = here.json(&["fs", "cp", "oci:hello:v1-amd64", "/usr", "out"]);
    assert_eq!(json["files"], 1);
    assert_eq!(json["written"][0], "out/usr");
    let left: Vec<_> = fs::read_dir(here.path("out")).expect("listed").collect();
    assert_eq!(left.len(), 2);
}

#[test]
fn an_archive_is_exported() {
    let here = Workplace::new();
    let names = |tar: &[u8]| -> Vec<String> {
        let mut archive = tar::Archive::new(tar);
        let entries = archive.entries().expect("an archive");
        entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .path()
                    .expect("a path")
                    .display()
                    .to_string()
            })
            .collect()
    };
    let command = ["fs", "export", "oci:hello:v1-amd64"];
    let output = here.command(&command).output().expect("run");
    assert_eq!(names(&output.stdout)[0], "bin/");
    here.ok(&[&command[..], &["-o", "rootfs.tar"]].concat());
    assert_eq!(here.read("rootfs.tar"), output.stdout);
    assert_eq!(names(&output.stdout).len(), 8);
}

#[test]
fn a_damaged_layer_leaves_no_archive() {
    let here = Workplace::new();
    let json = here.json(&["inspect", "oci:hello:v1-amd64"]);
    let layer = json["manifests"][0]["layers"][0]["descriptor"]["digest"].as_str();
    here.damage("hello", layer.expect("a digest"), &[7; 5000]);
    let before = here.files();
    here.fails(
        4,
        &["fs", "export", "oci:hello:v1-amd64", "-o", "rootfs.tar"],
    );
    here.fails(4, &["fs", "cp", "oci:hello:v1-amd64", "/", "out"]);
    assert_eq!(here.files(), before);
}

#[test]
fn two_platforms_are_compared() {
    let here = Workplace::new();
    let compare = [
        "fs",
        "diff",
        "oci:hello:v1",
        "oci:hello:v1",
        "--platform",
        "linux/amd64",
    ];
    assert_eq!(here.ok(&compare), "");
    let arm64 = [&compare[..], &["--other-platform", "linux/arm64"]].concat();
    assert_eq!(here.ok(&arm64), "~ /bin/hello (size 174 -> 173)");
    let json = here.json(&arm64);
    assert_eq!(json["changes"][0]["kind"], "changed");
    assert_eq!(json["changes"][0]["fields"][0], "size");
    assert_eq!(json["changes"][0]["after"]["size"], 173);
}

#[test]
fn an_artifact_does_not_have_files() {
    let here = Workplace::new();
    let error = here.fails(6, &["fs", "ls", &format!("oci:hello@{SBOM}")]);
    assert!(error.contains("not an image"), "{error}");
}
