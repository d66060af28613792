//! Credential helpers for tests, in shell.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Puts a helper called `name`, which does what `script` says, into `directory`.
pub(super) fn install(directory: &Path, name: &str, script: &str) {
    let program = directory.join(format!("docker-credential-{name}"));
    let staged = directory.join(format!("staged-{name}"));
    std::fs::write(&staged, format!("#!/bin/sh\n{script}\n")).expect("written");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&staged, mode).expect("executable");
    // By another process: one that another test forks just now may hold a file that this one has
    // open for writing, and then the file cannot be executed.
    let copied = Command::new("cp")
        .arg("-p")
        .arg(&staged)
        .arg(&program)
        .status();
    assert!(copied.expect("cp runs").success());
}

/// A helper that keeps one credential for each server, in files beside it.
pub(super) const KEEPS: &str = r#"
cd "$(dirname "$0")" || exit 1
input=$(cat)
case "$1" in
    store) server=$(printf '%s' "$input" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/') ;;
    *) server=$input ;;
esac
file=kept-$(printf '%s' "$server" | tr '/:' '__')
case "$1" in
    store) printf '%s' "$input" > "$file" ;;
    get) cat "$file" 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
    erase) rm "$file" 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
esac
"#;
