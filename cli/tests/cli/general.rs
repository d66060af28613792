//! What holds for every command.

use std::process::Stdio;

use crate::support::Workplace;

#[test]
fn help_and_version_are_results() {
    let here = Workplace::new();
    let help = here.ok(&["--help"]);
    assert!(help.contains("Exit codes:"), "{help}");
    assert!(help.contains("oci:PATH"), "{help}");
    let version = here.ok(&["--version"]);
    assert_eq!(version, concat!("tranship ", env!("CARGO_PKG_VERSION")));
    for command in [
        "cp", "resolve", "tag", "untag", "manifest", "blob", "repo", "discover",
    ] {
        assert!(here.ok(&["help", command]).contains("Usage:"), "{command}");
    }
}

#[test]
fn no_command_and_unknown_options_are_wrong_usage() {
    let here = Workplace::new();
    for arguments in [
        &[][..],
        &["fly"],
        &["cp"],
        &["cp", "--fly", "oci:a:b", "oci:c"],
    ] {
        let ran = here.run(arguments);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert_eq!(ran.stdout, "");
        assert!(!ran.stderr.is_empty());
    }
}

#[test]
fn as_json_every_error_is_one_object_on_standard_error() {
    let here = Workplace::new();
    for (arguments, code, kind) in [
        (&["resolve", "oci:hello:v9"][..], 3, "not found"),
        (&["resolve", "alpine"], 2, "invalid reference"),
        (&["resolve", "--fly"], 2, "usage"),
        (&["resolve"], 2, "usage"),
        (&["gc", "registry.example/app"], 6, "unsupported"),
    ] {
        let arguments = [arguments, &["--format=json"]].concat();
        let ran = here.run(&arguments);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert_eq!(ran.stdout, "");
        let json: serde_json::Value = serde_json::from_str(&ran.stderr).expect("JSON");
        assert_eq!(json["error"]["kind"], kind, "{ran:?}");
        assert_eq!(json["error"]["exitCode"], code, "{ran:?}");
        assert!(json["error"]["message"].is_string(), "{ran:?}");
    }
}

#[test]
fn verbose_shows_the_causes() {
    let here = Workplace::new();
    let arguments = ["manifest", "fetch", "oci:hello:v1", "-o", "missing/file"];
    let short = here.fails(3, &arguments);
    assert_eq!(short.lines().count(), 1, "{short}");
    let long = here.run(&[&arguments[..], &["--verbose"]].concat());
    assert!(long.stderr.contains("caused by: "), "{long:?}");
}

#[test]
fn nothing_is_drawn_where_there_is_no_terminal() {
    let here = Workplace::new();
    let ran = here.run(&["cp", "oci:hello:v1", "oci:copy"]);
    assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
    assert!(!ran.stderr.contains('\r'), "{ran:?}");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let here = Workplace::new();
    for arguments in [
        &["repo", "tags", "oci:hello"][..],
        &["manifest", "fetch", "oci:hello:v1"],
        &["discover", "oci:hello:v1", "--format", "json"],
        &["completion", "bash"],
        &["--help"],
    ] {
        let mut child = here
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("ended");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(output.stderr, b"", "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_a_failure() {
    let here = Workplace::new();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let output = here
        .command(&["repo", "tags", "oci:hello"])
        .stdout(full.expect("opened"))
        .output()
        .expect("ended");
    assert_eq!(output.status.code(), Some(7));
}

/// The program waits for its input when the signal comes: it says so by having read the first part.
#[cfg(unix)]
fn stop_while_reading(signal: &str) -> (Option<i32>, Vec<String>) {
    use std::io::Write as _;

    let here = Workplace::new();
    std::fs::create_dir(here.path("tmp")).expect("created");
    let mut child = here
        .command(&["blob", "push", "oci:new", "-"])
        .env("TMPDIR", here.path("tmp"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut stdin = child.stdin.take().expect("a pipe");
    // More than a pipe and the program's buffers hold, so that most of it has been read.
    stdin.write_all(&vec![0; 4 << 20]).expect("read");
    let kill = format!("kill {signal} {}", child.id());
    let killed = std::process::Command::new("sh")
        .args(["-c", &kill])
        .status();
    assert!(killed.expect("kill").success());
    let output = child.wait_with_output().expect("ended");
    drop(stdin);
    assert_eq!(output.stdout, b"");
    let left = std::fs::read_dir(here.path("tmp")).expect("listed");
    let left = left.map(|entry| entry.expect("an entry").file_name());
    let mut left: Vec<String> = left.map(|name| name.to_string_lossy().into()).collect();
    left.extend(here.files().into_iter().filter(|name| name == "new"));
    (output.status.code(), left)
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_program_and_leaves_nothing() {
    assert_eq!(stop_while_reading("-INT"), (Some(130), Vec::new()));
}

#[cfg(unix)]
#[test]
fn a_termination_ends_the_program_and_leaves_nothing() {
    assert_eq!(stop_while_reading("-TERM"), (Some(143), Vec::new()));
}

#[test]
fn completions_are_made_for_every_shell() {
    let here = Workplace::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(
            here.ok(&["completion", shell]).contains("tranship"),
            "{shell}"
        );
    }
    assert_eq!(here.run(&["completion", "tcsh"]).code, Some(2));
}

#[cfg(feature = "man")]
#[test]
fn there_is_a_manual_page_for_every_command() {
    let here = Workplace::new();
    assert!(here.ok(&["man"]).contains("EXIT STATUS"));
    here.ok(&["man", "--output", "pages"]);
    for command in [
        "",
        "-cp",
        "-resolve",
        "-manifest-push",
        "-blob-fetch",
        "-repo-ls",
    ] {
        let page = here.read(&format!("pages/tranship{command}.1"));
        let page = String::from_utf8(page).expect("UTF-8");
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
    here.fails(1, &["man", "--output", "hello/index.json"]);
}

#[test]
fn words_of_other_tools_lead_to_those_of_this_one() {
    let here = Workplace::new();
    for (arguments, hint) in [
        (&["catalog", "localhost:5000"][..], "repo ls"),
        (&["raw", "oci:hello:v1"], "inspect REF"),
        (&["download", "alpine"], "cp HOST"),
        (&["resolve", "docker-daemon:alpine"], "docker-archive:FILE"),
        (
            &[
                "resolve",
                "library/alpine:3",
                "--resolve",
                "library:443:127.0.0.1",
            ],
            "docker.io/library/alpine:3",
        ),
    ] {
        let ran = here.run(arguments);
        assert_ne!(ran.code, Some(0));
        assert!(ran.stderr.contains(hint), "{arguments:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("'tag'"), "{}", ran.stderr);
    }
    assert_eq!(
        here.ok(&["digest", "oci:hello:v1"]),
        here.ok(&["resolve", "oci:hello:v1"])
    );
    let error = here.run(&["cp", "oci:hello:v1", "oci:x", "-p"]).stderr;
    assert!(
        error.contains("'-p'") && !error.contains("-- -p"),
        "{error}"
    );
}

#[test]
fn a_missing_tag_is_not_found_and_no_status() {
    let here = Workplace::new();
    let error = here.fails(3, &["resolve", "oci:hello:v9"]);
    assert!(
        error.starts_with("error: oci:hello: v9: not found\n"),
        "{error}"
    );
}

#[test]
fn commands_and_options_of_other_tools_below_a_command_have_hints() {
    let here = Workplace::new();
    for (arguments, hint) in [
        (
            &["manifest", "fetch-config", "oci:hello:v1"][..],
            "inspect --config",
        ),
        (&["index", "append", "oci:hello:v1"], "index add"),
        (&["tags", "--include", "v*", "oci:hello"], "--match"),
        (&["rm", "--force", "oci:hello:v1"], "--yes"),
    ] {
        let error = here.run(arguments).stderr;
        assert!(error.contains(hint), "{arguments:?}: {error}");
        assert!(!error.contains("--insecure"), "{arguments:?}: {error}");
    }
}
