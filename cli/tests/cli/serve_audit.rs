//! `serve` with an audit log.

use std::fs;

use serde_json::Value;

use crate::retention::artifact;
use crate::serve::{Served, get, push};
use crate::support::{HELLO, Workplace};

/// Waits until the log has `count` lines, and returns them.
fn lines(workplace: &Workplace, name: &str, count: usize) -> Vec<Value> {
    loop {
        let text = fs::read_to_string(workplace.path(name)).unwrap_or_default();
        if text.lines().count() >= count && text.ends_with('\n') {
            let lines = text.lines().map(serde_json::from_str);
            return lines.map(|line| line.expect("JSON")).collect();
        }
        std::thread::yield_now();
    }
}

#[test]
fn changes_are_in_a_file_that_only_its_owner_reads() {
    let here = Workplace::new();
    let mut served = Served::start(&here, &["--audit-log", "audit.jsonl"]);
    let host = served.host();
    assert!(push(&host).starts_with("HTTP/1.1 201"));
    get(&host, "/v2/_catalog");
    let (code, log) = served.stop();
    assert_eq!(code, Some(0), "{log}");
    let lines = lines(&here, "audit.jsonl", 1);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["operation"], "push-blob");
    assert_eq!(lines[0]["digest"], HELLO);
    let id = lines[0]["request"].as_str().expect("an id");
    let time = lines[0]["time"].as_str().expect("a time");
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    let access = log.lines().find(|line| line.contains(id));
    let access = access.unwrap_or_else(|| panic!("no {id} in {log}"));
    assert!(access.contains("/v2/app/blobs/uploads/"), "{access}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = fs::metadata(here.path("audit.jsonl")).expect("a file");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_rotated_log_is_continued_in_a_new_file() {
    let here = Workplace::new();
    let mut served = Served::start(&here, &["--audit-log", "audit.jsonl", "--audit-pulls"]);
    let host = served.host();
    push(&host);
    lines(&here, "audit.jsonl", 1);
    fs::rename(here.path("audit.jsonl"), here.path("audit.1")).expect("renamed");
    get(&host, "/v2/_catalog");
    assert_eq!(lines(&here, "audit.jsonl", 1)[0]["operation"], "catalog");
    fs::rename(here.path("audit.jsonl"), here.path("audit.2")).expect("renamed");
    served.signal("HUP");
    while !here.path("audit.jsonl").exists() {
        std::thread::yield_now();
    }
    assert_eq!(lines(&here, "audit.1", 1).len(), 1);
    assert_eq!(served.stop().0, Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_changes_and_not_reads() {
    let here = Workplace::new();
    let arguments = ["--root", "./all", "--audit-log", "/dev/full"];
    let mut served = Served::start(&here, &arguments);
    let host = served.host();
    // Its record is the first that cannot be written.
    assert!(push(&host).starts_with("HTTP/1.1 201"));
    served.wait_for_log("the audit log cannot be written");
    let refused = push(&host);
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("audit log"), "{refused}");
    let blob = get(&host, &format!("/v2/app/blobs/{HELLO}"));
    assert!(blob.starts_with("HTTP/1.1 200"), "{blob}");
    let metrics = get(&host, "/metrics");
    assert!(metrics.contains("tranship_audit_available 0"), "{metrics}");
    let (code, log) = served.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("audit records are lost"), "{log}");
}

#[test]
fn two_servers_append_to_one_file() {
    let here = Workplace::new();
    let arguments = ["--root", "./all", "--audit-log", "audit.jsonl"];
    let mut servers = [0, 1].map(|_| Served::start(&here, &arguments));
    let hosts = servers.each_mut().map(Served::host);
    std::thread::scope(|scope| {
        for host in &hosts {
            scope.spawn(move || (0..20).for_each(|_| drop(push(host))));
        }
    });
    let lines = lines(&here, "audit.jsonl", 40);
    assert!(lines.iter().all(|line| line["operation"] == "push-blob"));
}

#[test]
fn deletions_by_the_server_are_recorded() {
    let here = Workplace::new();
    artifact(&here, "layouts:all//app:old", "2020-01-01T00:00:00Z");
    here.write(
        "serve.yaml",
        "root: ./all\naudit-log: audit.jsonl\nretention-every: 1s\n\
         repositories: [{match: app, retention: [{tags: '*', older-than: 30d}]}]\n",
    );
    let mut served = Served::start(&here, &["serve.yaml"]);
    served.wait_for_log("retention has ended");
    let line = &lines(&here, "audit.jsonl", 1)[0];
    assert_eq!(line["actor"], "retention");
    assert_eq!(line["user"], Value::Null);
    assert_eq!(line["operation"], "delete-manifest");
    assert_eq!(line["repository"], "app");
    assert!(line["digest"].is_string(), "{line}");
}

#[test]
fn the_log_can_be_on_standard_output() {
    let here = Workplace::new();
    let mut served = Served::start(&here, &["--audit-log", "-"]);
    assert!(push(&served.host()).starts_with("HTTP/1.1 201"));
    let line: Value = serde_json::from_str(&served.line()).expect("JSON");
    assert_eq!(line["operation"], "push-blob");
}

#[test]
fn an_impossible_log_is_found_before_serving() {
    let here = Workplace::new();
    for arguments in [
        &["--audit-log", "missing/audit.jsonl"][..],
        &["--audit-log", "."],
        &["--audit-pulls"],
    ] {
        let check = [&["serve", "--check-config"], arguments].concat();
        let error = here.run(&check).stderr;
        assert!(error.contains("audit"), "{arguments:?}: {error}");
        let serve = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let error = here.run(&serve).stderr;
        assert!(error.contains("audit"), "{arguments:?}: {error}");
    }
}
