//! `serve` with retention and garbage collection.

use std::fs;

use crate::retention::artifact;
use crate::serve::{Served, get};
use crate::serve_webhooks::{listen, receive};
use crate::support::Workplace;

/// A registry with artifacts of 2020 under these tags.
fn registry(tags: &[&str]) -> Workplace {
    let here = Workplace::new();
    for tag in tags {
        artifact(
            &here,
            &format!("layouts:all//app:{tag}"),
            "2020-01-01T00:00:00Z",
        );
    }
    here
}

fn tags(here: &Workplace) -> Vec<String> {
    let tags = here.ok(&["tags", "layouts:all//app"]);
    tags.lines().map(str::to_owned).collect()
}

#[test]
fn old_tags_are_deleted_except_for_immutable_ones() {
    let here = registry(&["pr-1", "pr-2", "pr-keep", "v1"]);
    artifact(&here, "layouts:all//app:pr-new", "2999-01-01T00:00:00Z");
    let (listener, url) = listen();
    here.write(
        "serve.yaml",
        format!(
            "root: ./all\nwebhook: ['{url}']\nretention-every: 1s\nrepositories:\n- match: app\n  immutable-tags: [pr-keep]\n  \
             retention:\n  - {{tags: 'pr-*', older-than: 30d}}\n"
        ),
    );
    let mut served = Served::start(&here, &["serve.yaml"]);
    for _ in 0..2 {
        let (_, body) = receive(&listener);
        assert!(body.contains("\"action\":\"delete\""), "{body}");
        assert!(body.contains("tranship-retention"), "{body}");
    }
    served.wait_for_log("retention has ended");
    assert_eq!(tags(&here), ["pr-keep", "pr-new", "v1"]);
}

#[test]
fn a_dry_run_only_logs_what_would_be_deleted() {
    let here = registry(&["v1", "v2"]);
    here.write(
        "serve.yaml",
        "root: ./all\nretention-every: 1s\nretention-dry-run: true\n\
         repositories: [{match: '**', retention: [{tags: ['*'], keep-last: 1}]}]\n",
    );
    let mut served = Served::start(&here, &["serve.yaml"]);
    served.wait_for_log("would be deleted by retention");
    served.wait_for_log("retention has ended");
    assert_eq!(tags(&here), ["v1", "v2"]);
}

#[test]
fn a_pull_keeps_a_tag_after_a_restart() {
    let here = registry(&["used", "unused"]);
    let settings = |interval: &str| {
        let rule = "{tags: '*', not-pulled-for: 1h}";
        format!(
            "root: ./all\nretention-every: {interval}\nrepositories: [{{match: app, retention: [{rule}]}}]\n"
        )
    };
    // All pulls since 1970 are known.
    fs::create_dir_all(here.path("all/.tranship")).expect("created");
    here.write(
        "all/.tranship/pulls.jsonl",
        "{\"since\":0,\"patterns\":[\"+app\"]}\n",
    );
    here.write("serve.yaml", settings("1000h"));
    let mut served = Served::start(&here, &["serve.yaml"]);
    assert!(get(&served.host(), "/v2/app/manifests/used").starts_with("HTTP/1.1 200"));
    let (code, log) = served.stop();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(tags(&here), ["unused", "used"]);

    here.write("serve.yaml", settings("1s"));
    let mut served = Served::start(&here, &["serve.yaml"]);
    served.wait_for_log("retention has ended");
    assert_eq!(tags(&here), ["used"]);
}

#[test]
fn without_a_record_of_pulls_nothing_counts_as_unused() {
    let here = registry(&["v1"]);
    here.write(
        "serve.yaml",
        "root: ./all\nretention-every: 1s\nrepositories: [{match: app, retention: [{tags: '*', not-pulled-for: 1h}]}]\n",
    );
    let mut served = Served::start(&here, &["serve.yaml"]);
    served.wait_for_log("retention has ended");
    assert_eq!(tags(&here), ["v1"]);
}

#[test]
fn garbage_is_collected_at_intervals_and_counted() {
    let here = registry(&["v1"]);
    let mut served = Served::start(&here, &["--root", "./all", "--gc-every", "1s"]);
    let host = served.host();
    served.wait_for_log("garbage collection has ended");
    let metrics = get(&host, "/metrics");
    assert!(
        metrics.contains("tranship_gc_runs_total{outcome=\"success\"}"),
        "{metrics}"
    );
    assert!(
        !metrics.contains("tranship_gc_last_success_timestamp_seconds 0\n"),
        "{metrics}"
    );
    assert_eq!(tags(&here), ["v1"]);
}

#[test]
fn another_server_that_has_the_lock_does_the_work() {
    let here = registry(&["v1"]);
    let path = here.path("all/.tranship");
    fs::create_dir_all(&path).expect("created");
    let lock = fs::File::create(path.join("lock-upkeep")).expect("created");
    lock.lock().expect("locked");
    let mut served = Served::start(&here, &["--root", "./all", "--gc-every", "1s"]);
    served.wait_for_log("another server does retention and garbage collection");
    drop(lock);
    served.wait_for_log("garbage collection has ended");
}

#[test]
fn settings_that_make_no_sense_are_found_by_the_check() {
    let here = Workplace::new();
    let with_rule = |rule: &str, more: &str| {
        format!("root: .\n{more}repositories: [{{match: app, retention: [{rule}]}}]\n")
    };
    for (content, message) in [
        (
            "gc-every: 1h\n".to_owned(),
            "gc-every needs the setting root",
        ),
        ("root: .\ngc-every: 0s\n".to_owned(), "must be at least 1s"),
        (
            "root: .\nretention-every: 1h\n".to_owned(),
            "retention-every needs the setting retention",
        ),
        (with_rule("{tags: 'pr-*'}", ""), "would delete every tag"),
        (
            with_rule("{tags: [], keep-last: 1}", ""),
            "needs patterns in tags",
        ),
        (
            with_rule("{tags: '*', semver: latest, keep-last: 1}", ""),
            "bad.yaml:2:",
        ),
        (
            with_rule("{tags: '*', keep-last: 1}", "read-only: true\n"),
            "and read-only cannot be used together",
        ),
        (
            with_rule("{tags: '*', not-pulled-for: 7d}", "shared: true\n"),
            "cannot be used with shared",
        ),
    ] {
        here.write("bad.yaml", &content);
        let refused = here.run(&["serve", "bad.yaml", "--check-config"]);
        assert_ne!(refused.code, Some(0), "{content}");
        let error = refused.stderr;
        assert!(error.contains(message), "{content} gives {error}");
    }
}
