//! The pages of commands: each command on them does what the page says.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::registries::TestRegistry;
use crate::support::{Ran, Workplace, copy_directory};

const TASKS: &str = include_str!("../../../docs/tasks.md");
const OFFLINE: &str = include_str!("../../../docs/offline.md");
const SERVING: &str = include_str!("../../../docs/serving.md");

/// A command of the page, perhaps of several lines, and the lines that it prints.
#[derive(Debug)]
struct Step<'a> {
    line: usize,
    command: String,
    output: Vec<&'a str>,
}

/// The commands in the blocks of the page that are marked as `console`.
fn steps(page: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut is_inside = false;
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            is_inside = line == "```console";
        } else if !is_inside {
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                line: number + 1,
                command: command.to_owned(),
                output: Vec::new(),
            });
        } else if let (Some(more), Some(step)) = (line.strip_prefix("> "), steps.last_mut()) {
            step.command.push('\n');
            step.command.push_str(more);
        } else if let Some(step) = steps.last_mut() {
            step.output.push(line);
        }
    }
    steps
}

/// Whether a line is as the page shows it, where … stands for any text.
fn is_line(shown: &str, line: &str) -> bool {
    let mut parts = shown.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    true
}

/// Whether the output is as the page shows it, where a line of … stands for any lines.
fn is_output(shown: &[&str], lines: &[&str]) -> bool {
    match (shown, lines) {
        ([], []) => true,
        (["…", rest @ ..], _) => {
            (0..=lines.len()).any(|skipped| is_output(rest, &lines[skipped..]))
        }
        ([first, shown @ ..], [line, lines @ ..]) => {
            is_line(first, line) && is_output(shown, lines)
        }
        _ => false,
    }
}

#[test]
fn every_task_does_what_the_page_shows() {
    let here = workplace();
    let registries = [TestRegistry::open(), TestRegistry::open()];
    let hosts = [
        ("localhost:5000", registries[0].host()),
        ("localhost:5001", registries[1].host()),
    ];
    run(TASKS, &here, &hosts);
}

#[test]
fn the_cycle_of_an_air_gap_goes_as_its_page_shows() {
    let here = workplace();
    let registries = [TestRegistry::open(), TestRegistry::open()];
    let hosts = [
        ("localhost:5000", registries[0].host()),
        ("localhost:5001", registries[1].host()),
    ];
    run(OFFLINE, &here, &hosts);
}

/// A server in the background, whose process id is in a file, that is stopped when the test ends.
struct Background<'a>(&'a Workplace);

impl Drop for Background<'_> {
    fn drop(&mut self) {
        if let Ok(id) = fs::read_to_string(self.0.path("serve.pid")) {
            let _ = Command::new("kill").arg(id.trim()).status();
        }
    }
}

#[test]
fn a_registry_is_set_up_as_its_page_shows() {
    let here = workplace();
    let _background = Background(&here);
    let hub = TestRegistry::open();
    let image = format!("{}/library/alpine:3.20", hub.host());
    here.ok(&["cp", "oci:fixtures/hello:v1", &image]);
    // The page makes the same certificate with openssl, which a machine may not have.
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    here.write("cert.pem", made.cert.pem());
    here.write("key.pem", made.signing_key.serialize_pem());
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!(
        "localhost:{}",
        free.local_addr().expect("an address").port()
    );
    drop(free);
    let (start, end) = ("openssl req", "cert.pem");
    let page = SERVING
        .lines()
        .filter(|line| !(line.starts_with(&format!("$ {start}")) && line.ends_with(end)));
    let page: Vec<&str> = page.collect();
    let mirror = format!("mirror: ['docker.io=http://{}']", hub.host());
    let replaced = [("localhost:8443", address), ("mirror: [docker.io]", mirror)];
    run(&page.join("\n"), &here, &replaced);
}

fn workplace() -> Workplace {
    let here = Workplace::new();
    fs::create_dir(here.path("fixtures")).expect("created");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/hello");
    copy_directory(&fixture, &here.path("fixtures/hello"));
    here
}

/// Runs the commands of a page, and compares what they print. In commands, each text of `replaced` is replaced by the one
/// beside it.
fn run(page: &str, here: &Workplace, replaced: &[(&str, String)]) {
    let program = Path::new(env!("CARGO_BIN_EXE_tranship"));
    let programs = program.parent().expect("a directory").display();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
    let steps = steps(page);
    assert!(!steps.is_empty());
    for step in steps {
        let mut command = step.command.clone();
        for (shown, host) in replaced {
            command = command.replace(shown, host);
        }
        let mut bash = Command::new("bash");
        let prepared = here.command(&[]);
        for (name, value) in prepared.get_envs() {
            match value {
                Some(value) => bash.env(name, value),
                None => bash.env_remove(name),
            };
        }
        bash.args(["-c", &command])
            .env("PATH", &path)
            .current_dir(here.path("."));
        let ran = Ran::of(bash, b"");
        assert_eq!(
            ran.code,
            Some(0),
            "line {}: {}: {ran:?}",
            step.line,
            step.command
        );
        let mut printed = ran.stdout.clone();
        for (shown, host) in replaced {
            printed = printed.replace(host, shown);
        }
        let lines: Vec<&str> = printed.lines().collect();
        assert!(
            is_output(&step.output, &lines),
            "line {}: {}\nthe page has {:#?}\nprinted is {lines:#?}",
            step.line,
            step.command,
            step.output
        );
    }
}

#[test]
fn an_ellipsis_stands_for_text_or_for_lines() {
    for (shown, line, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a…", "abc", true),
        ("a…c", "abc", true),
        ("a…c…e", "abcde", true),
        ("a…c", "abd", false),
        ("…", "", true),
    ] {
        assert_eq!(is_line(shown, line), expected, "{shown}");
    }
    assert!(is_output(&["a", "…", "c"], &["a", "b", "b", "c"]));
    assert!(!is_output(&["a", "…", "c"], &["a", "b"]));
    assert!(!is_output(&["a"], &[]));
}
