//! The pages of commands: each command on them does what the page says.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::registries::TestRegistry;
use crate::support::{Ran, Workplace, copy_directory};

const TASKS: &str = include_str!("../../../docs/tasks.md");
const OFFLINE: &str = include_str!("../../../docs/offline.md");

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
    run(TASKS);
}

#[test]
fn the_cycle_of_an_air_gap_goes_as_its_page_shows() {
    run(OFFLINE);
}

/// Runs the commands of a page, with two registries, and compares what they print.
fn run(page: &str) {
    let here = Workplace::new();
    fs::create_dir(here.path("fixtures")).expect("created");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/hello");
    copy_directory(&fixture, &here.path("fixtures/hello"));
    let registries = [TestRegistry::open(), TestRegistry::open()];
    let hosts = [
        ("localhost:5000", registries[0].host()),
        ("localhost:5001", registries[1].host()),
    ];
    let program = Path::new(env!("CARGO_BIN_EXE_tranship"));
    let programs = program.parent().expect("a directory").display();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
    let steps = steps(page);
    assert!(!steps.is_empty());
    for step in steps {
        let mut command = step.command.clone();
        for (shown, host) in &hosts {
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
        for (shown, host) in &hosts {
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
