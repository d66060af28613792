//! `serve` with quotas of repositories.

use std::fs;

use crate::retention::artifact;
use crate::serve::{Served, get, push};
use crate::support::{HELLO, Workplace};

/// Settings with a quota of `limit` bytes for all repositories.
fn settings(here: &Workplace, limit: &str, more: &str) {
    here.write(
        "serve.yaml",
        format!("root: ./all\n{more}repositories: [{{match: '**', quota: {limit}}}]\n"),
    );
}

/// Returns the number of used bytes in `/metrics`.
fn used(host: &str) -> u64 {
    let metrics = get(host, "/metrics");
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("tranship_quota_used_bytes{repository=\"**\"} "));
    let line = line.unwrap_or_else(|| panic!("no quota in {metrics}"));
    line.parse().expect("a number")
}

#[test]
fn a_push_over_the_quota_is_refused_with_the_reason() {
    let here = Workplace::new();
    settings(&here, "4", "");
    let mut served = Served::start(&here, &["serve.yaml"]);
    let host = served.host();
    let refused = push(&host);
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    for part in ["DENIED", "quota of **", "0 B of 4 B are used", "5 B more"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert_eq!(used(&host), 0);
    assert!(get(&host, "/metrics").contains("tranship_quota_limit_bytes{repository=\"**\"} 4"));

    settings(&here, "7", "");
    served.wait_for_log("the settings were reloaded");
    assert!(push(&host).starts_with("HTTP/1.1 201"));
    assert_eq!(used(&host), 5);
}

#[test]
fn the_size_is_known_after_a_restart_without_a_count() {
    let here = Workplace::new();
    settings(&here, "7", "quota-recount: 1000h\n");
    let mut served = Served::start(&here, &["serve.yaml"]);
    served.wait_for_log("the size of repositories was counted");
    assert!(push(&served.host()).starts_with("HTTP/1.1 201"));
    let (code, log) = served.stop();
    assert_eq!(code, Some(0), "{log}");
    let saved = here.read("all/.tranship/stored-bytes.jsonl");
    let saved = String::from_utf8(saved).expect("text");
    assert_eq!(
        saved,
        "{\"repository\":\"app\",\"bytes\":5}\n{\"complete\":true}\n"
    );

    let mut served = Served::start(&here, &["serve.yaml"]);
    assert_eq!(used(&served.host()), 5);
    let (_, log) = served.stop();
    assert!(!log.contains("was counted"), "{log}");
}

#[test]
fn what_others_store_and_remove_is_counted() {
    let here = Workplace::new();
    here.ok(&["cp", "oci:hello:v1", "layouts:all//team/app:v1"]);
    settings(&here, "10MiB", "quota-recount: 1s\n");
    let mut served = Served::start(&here, &["serve.yaml"]);
    let host = served.host();
    served.wait_for_log("the size of repositories was counted");
    let files = fs::read_dir(here.path("all/team/app/blobs/sha256")).expect("listed");
    let sizes = files.map(|file| file.expect("an entry").metadata().expect("a file").len());
    let stored: u64 = sizes.sum();
    assert_eq!(used(&host), stored);
    here.write("hello.txt", "hello");
    here.ok(&["blob", "push", "layouts:all//other", "hello.txt"]);
    served.wait_for_log("the size of repositories was counted");
    served.wait_for_log("the size of repositories was counted");
    assert_eq!(used(&host), stored + 5);
    // Through the server it counts at once.
    here.ok(&["blob", "rm", "--yes", &format!("{host}/other@{HELLO}")]);
    assert_eq!(used(&host), stored);
}

#[test]
fn deletions_by_retention_make_room() {
    let here = Workplace::new();
    artifact(&here, "layouts:all//app:old", "2020-01-01T00:00:00Z");
    artifact(&here, "layouts:all//app:new", "2999-01-01T00:00:00Z");
    settings(&here, "10MiB", "");
    let mut served = Served::start(&here, &["serve.yaml"]);
    let host = served.host();
    served.wait_for_log("the size of repositories was counted");
    let before = used(&host);
    served.stop();
    here.write(
        "serve.yaml",
        "root: ./all\nretention-every: 1s\n\
         repositories: [{match: '**', quota: 10MiB, retention: [{tags: '*', older-than: 30d}]}]\n",
    );
    let mut served = Served::start(&here, &["serve.yaml"]);
    let host = served.host();
    served.wait_for_log("retention has ended");
    assert!(used(&host) < before);
}

#[test]
fn a_quota_fits_the_other_settings() {
    let here = Workplace::new();
    for (content, message) in [
        (
            "root: registry.example\nrepositories: [{match: '**', quota: 1GiB}]\n",
            "quota of an entry in repositories and root, the host of another registry, cannot be used together",
        ),
        (
            "quota-recount: 1h\n",
            "quota-recount needs the setting quota",
        ),
        (
            "repositories: [{match: '**', quota: many}]\n",
            "invalid size",
        ),
    ] {
        here.write("serve.yaml", content);
        let error = here.run(&["serve", "serve.yaml", "--check-config"]).stderr;
        assert!(error.contains(message), "{content} gives {error}");
    }
}
