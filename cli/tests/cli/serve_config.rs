//! `serve` with settings in a file.

use crate::registries::{HTPASSWD, USER};
use crate::serve::{Served, get, push};
use crate::support::Workplace;

/// Checks these settings, and returns what is printed if the exit code is `code`.
fn check(workplace: &Workplace, settings: &str, code: i32) -> String {
    workplace.write("users", HTPASSWD);
    workplace.write("serve.yaml", settings);
    let checked = workplace.run(&["serve", "serve.yaml", "--check-config"]);
    assert_eq!(checked.code, Some(code), "{settings}{}", checked.stderr);
    checked.stderr
}

#[test]
fn a_file_has_the_settings_of_the_command_line() {
    let workplace = Workplace::new();
    workplace.write(
        "serve.yaml",
        "root: ./registry\nread-only: true\nmax-blob-size: 3\ntimeout: 10s\nwarning: closing soon\n",
    );
    let mut served = Served::start(&workplace, &["serve.yaml"]);
    let host = served.host();
    assert!(get(&host, "/v2/").contains("299 - \"closing soon\""));
    assert!(push(&host).starts_with("HTTP/1.1 405"));

    // The command line takes precedence.
    let mut served = Served::start(&workplace, &["serve.yaml", "--warning", "never mind"]);
    assert!(get(&served.host(), "/v2/").contains("299 - \"never mind\""));
}

#[test]
fn repositories_have_settings_of_their_own() {
    let workplace = Workplace::new();
    workplace.ok(&["cp", "oci:hello:v1", "layouts:all//release/hello:v1"]);
    workplace.ok(&["cp", "oci:hello:v1", "layouts:all//other/hello:v1"]);
    workplace.write(
        "serve.yaml",
        "root: ./all\nrepositories:\n- {match: release/**, immutable-tags: ['v*']}\n- {match: app, read-only: true}\n",
    );
    let mut served = Served::start(&workplace, &["serve.yaml"]);
    let host = served.host();
    let refused = workplace.run(&["untag", &format!("{host}/release/hello:v1")]);
    let error = refused.stderr;
    assert!(error.contains("immutable"), "{error}");
    workplace.ok(&["untag", &format!("{host}/other/hello:v1")]);
    assert!(push(&host).starts_with("HTTP/1.1 405"), "app is read-only");
}

#[test]
fn a_changed_file_is_reloaded_and_a_broken_one_is_not() {
    let workplace = Workplace::new();
    workplace.write("serve.yaml", "root: ./registry\n");
    let mut served = Served::start(&workplace, &["serve.yaml"]);
    let host = served.host();
    assert!(push(&host).starts_with("HTTP/1.1 201"));

    workplace.write("serve.yaml", "root: ./elsewhere\nwarning: first\n");
    served.wait_for_log("root has changed");
    served.wait_for_log("the settings were reloaded");
    assert!(get(&host, "/v2/").contains("first"));

    workplace.write("serve.yaml", "warning: {a: b}\n");
    served.wait_for_log("not reloaded");
    assert!(get(&host, "/v2/").contains("first"));
    assert!(get(&host, "/v2/_catalog").contains("app"));
}

#[test]
fn a_reload_does_not_open_a_server_to_every_caller() {
    let workplace = Workplace::new();
    let create = [
        "token",
        "create",
        "ann",
        "--file",
        "users.json",
        "--grant",
        "**:rw",
    ];
    workplace.ok(&create);
    workplace.write("serve.yaml", "root: ./registry\nrobots: users.json\n");
    let mut served = Served::start(&workplace, &["serve.yaml"]);
    let host = served.host();
    assert!(push(&host).starts_with("HTTP/1.1 401"));
    workplace.write("serve.yaml", "root: ./registry\n");
    served.wait_for_log("not reloaded");
    assert!(push(&host).starts_with("HTTP/1.1 401"));
}

#[test]
fn a_reload_does_not_lose_all_grants() {
    let workplace = Workplace::new();
    workplace.write("users", HTPASSWD);
    let users = "root: ./registry\nhtpasswd: users\n";
    workplace.write("serve.yaml", format!("{users}grant: ['ann=team/**:r']\n"));
    let mut served = Served::start(&workplace, &["serve.yaml"]);
    served.host();
    workplace.write("serve.yaml", users);
    served.wait_for_log("every user would be allowed everything");
}

#[test]
fn a_reload_tells_what_it_allows() {
    let workplace = Workplace::new();
    workplace.write("users", HTPASSWD);
    let always = "htpasswd: users\ngrant: ['ann=team/**:r']\n";
    let limits = "read-only: true\nrepositories: [{match: 'a/**', immutable-tags: 'v*'}]\n";
    workplace.write("serve.yaml", format!("{always}{limits}"));
    let mut served = Served::start(&workplace, &["serve.yaml"]);
    served.host();
    let more = "anonymous-read: public/**\n";
    workplace.write("serve.yaml", format!("{always}{more}"));
    for change in [
        "read-only has changed",
        "every caller may read public/**",
        "tags v* of repositories a/** may be moved",
    ] {
        served.wait_for_log(&format!("allow more than before: {change}"));
    }
}

#[test]
fn a_single_value_is_a_list_of_one() {
    let workplace = Workplace::new();
    workplace.write("users", HTPASSWD);
    workplace.write(
        "good.yaml",
        "mirror: docker.io\nhtpasswd: users\nanonymous-read: true\ngrant: 'ann=**:r'\n\
         webhook: {url: 'http://localhost/', actions: push}\n\
         repositories: {match: 'a', immutable-tags: 'v*', retention: {tags: 'x', keep-last: 1}}\n",
    );
    workplace.ok(&["serve", "good.yaml", "--check-config"]);
    workplace.write(
        "good.yaml",
        "htpasswd: users\nanonymous-read: ['a/**', 'b']\n",
    );
    workplace.ok(&["serve", "good.yaml", "--check-config"]);
}

#[test]
fn settings_without_effect_are_told() {
    let workplace = Workplace::new();
    workplace.write("users", HTPASSWD);
    workplace.write(
        "odd.yaml",
        format!(
            "mirror: docker.io\nhtpasswd: users\nmirror-pin: docker.io/alpine\n\
             grant: ['{USER}=docker.io/**:r', 'unknown=a:rw']\n"
        ),
    );
    let checked = workplace.run(&["serve", "odd.yaml", "--check-config"]);
    assert_eq!(checked.code, Some(0));
    let told = checked.stderr;
    assert_eq!(told.matches("warning: ").count(), 2, "{told}");
    assert!(told.contains("grant unknown=a:rw"), "{told}");
    assert!(told.contains("write docker.io/library/alpine"), "{told}");
}

/// Paths that a server cannot use. The check, the start and a reload refuse them alike.
#[cfg(unix)]
#[test]
fn paths_that_cannot_be_used_are_refused_before_they_are() {
    let workplace = Workplace::new();
    workplace.write("file", "");
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, workplace.path(name)).expect("linked");
    };
    link("missing/log", "dangling");
    link("future", "to-create");
    std::fs::create_dir(workplace.path("directory")).expect("created");
    let made = std::process::Command::new("mkfifo")
        .arg(workplace.path("pipe"))
        .status();
    assert!(made.expect("mkfifo runs").success());
    workplace.write("running.yaml", "{}");
    let mut served = Served::start(&workplace, &["running.yaml"]);
    served.host();
    for (content, path) in [
        ("audit-log: pipe", "pipe"),
        ("audit-log: directory", "directory"),
        ("audit-log: missing/log", "missing/log"),
        ("audit-log: file/log", "file/log"),
        ("audit-log: dangling", "dangling"),
        ("root: ./file", "file"),
        ("root: ./file/below", "file/below"),
        ("root: ./dangling", "dangling"),
        ("state: file", "file"),
        ("state: file/below", "file/below"),
        ("state: dangling", "dangling"),
        ("root: ./new\nmirror: a.example\nstate: pipe", "pipe"),
    ] {
        workplace.write("bad.yaml", content);
        for arguments in [
            &["serve", "bad.yaml", "--check-config"][..],
            &["serve", "bad.yaml", "--listen", "127.0.0.1:0"],
        ] {
            let refused = workplace.run(arguments);
            assert!(matches!(refused.code, Some(1..)), "{content}: {refused:?}");
            assert!(refused.stderr.contains(path), "{content}: {refused:?}");
        }
        // A reload takes seconds, and checks in the same way.
        if ["audit-log: pipe", "root: ./dangling", "state: file"].contains(&content) {
            workplace.write("running.yaml", content);
            served.wait_for_log("not reloaded");
        }
    }
    for content in [
        "audit-log: to-create",
        "audit-log: /dev/null",
        "audit-log: '-'",
    ] {
        workplace.write("good.yaml", content);
        workplace.ok(&["serve", "good.yaml", "--check-config"]);
    }
    let created = ["future", "new", "log"];
    assert!(
        !workplace
            .files()
            .iter()
            .any(|name| created.contains(&&**name))
    );
}

#[test]
fn settings_that_are_never_used_are_told() {
    let workplace = Workplace::new();
    let settings = "root: ./a/b\nlisten: 0.0.0.0:0\nhtpasswd: users\nallow-host: a.example\n\
         repositories:\n\
         - {match: 'team/**', retention: [{tags: '*', keep-last: 1}, {tags: 'pr-*', keep-last: 2}]}\n\
         - match: 'other/*'\n\
         - match: 'team/app'\n";
    let told = check(&workplace, settings, 0);
    assert_eq!(told.matches("warning: ").count(), 4, "{told}");
    for text in [
        "allow-host has no effect",
        "repositories[2], team/app, is never used: the earlier team/**",
        "retention[1] of repositories team/** is never used",
        "does not exist; both are created",
    ] {
        assert!(told.contains(text), "{told}");
    }
}

#[test]
fn the_settings_are_checked_without_serving() {
    let workplace = Workplace::new();
    workplace.write("good.yaml", "listen: 127.0.0.1:0\nmax-blob-size: 10GiB\n");
    assert_eq!(workplace.ok(&["serve", "good.yaml", "--check-config"]), "");
    for (content, message) in [
        (
            "listne: x\n",
            "bad.yaml:1:1: unknown key `listne`; did you mean `listen`?",
        ),
        (
            "root: .\nmax-blob-size: huge\n",
            "bad.yaml:2:16: max-blob-size: invalid size",
        ),
        ("root: [\n", "bad.yaml:"),
        ("colour: red\n", "docs/cli.md has the keys"),
        (
            "repositories: [{match: a, retention: [{tags: {a: b}}]}]\n",
            "repositories[0].retention[0].tags: ",
        ),
        (
            "allow-host: https://a.example\n",
            "bad.yaml:1:13: allow-host: invalid host",
        ),
        ("allow-host: ['*.example']\n", "invalid host"),
        ("allow-host: a.example:5000\n", "invalid host"),
        (
            "public-url: nonsense\n",
            "bad.yaml:1:13: public-url: nonsense: the URL of the server is not a URL",
        ),
        ("max-connections: 0\n", "max-connections must be at least 1"),
        ("timeout: 0s\n", "timeout must be more than 0s"),
        (
            "anonymous-read: ['**']\n",
            "anonymous-read needs the setting htpasswd, robots, oidc, tls-client-ca or auth-realm",
        ),
        ("htpasswd: missing\n", "missing"),
        (
            "mirror: true\n",
            "bad.yaml:1:1: mirror: unexpected boolean `true`",
        ),
        ("listen: '5000'\n", "write 127.0.0.1:5000 for"),
        ("listen: 192.0.2.1:5000\n", "cannot listen on the address"),
        ("listen: 127.0.0.1\n", "add a port, as in 127.0.0.1:5000"),
        ("mirror: a.io\ncache-size: 0\n", "nothing could be stored"),
        (
            "webhook: [{url: 'http://localhost/', actions: []}]\n",
            "an empty list",
        ),
        (
            "webhook: http://ann:secret@localhost/\n",
            "send them in headers",
        ),
        (
            "repositories: [{match: 'A'}]\n",
            "bad.yaml:1:24: repositories[0].match: invalid pattern",
        ),
    ] {
        workplace.write("bad.yaml", content);
        let refused = workplace.run(&["serve", "bad.yaml", "--check-config"]);
        assert_ne!(refused.code, Some(0), "{content}");
        let error = refused.stderr;
        assert!(error.contains(message), "{content} gives {error}");
    }
}

#[test]
fn a_key_without_a_value_is_an_error() {
    let workplace = Workplace::new();
    for (settings, place) in [
        ("listen: 127.0.0.1:0\nhtpasswd:\n", "serve.yaml:2"),
        ("quota: ~\n", "quota"),
        ("rate-limit: null\n", "rate-limit"),
        (
            "repositories:\n- match: '**'\n  quota:\n",
            "repositories[0].quota",
        ),
        (
            "webhook:\n- url: https://a.example\n  secret-file:\n",
            "webhook[0].secret-file",
        ),
    ] {
        let error = check(&workplace, settings, 2);
        for text in [place, "the value is empty"] {
            assert!(error.contains(text), "{settings}{error}");
        }
    }
}

#[test]
fn urls_with_a_password_are_refused_and_not_shown() {
    let workplace = Workplace::new();
    for (settings, message) in [
        (
            "public-url: https://u:s3cr3t@registry.example\n",
            "a user or a password",
        ),
        ("public-url: https://u:s3cr3t@a b\n", "not a URL"),
        (
            "auth-realm: https://u:s3cr3t@tokens.example/\nauth-service: a\nauth-issuer: b\nauth-keys: users\n",
            "a user or a password",
        ),
        (
            "oidc: {issuer: 'https://u:s3cr3t@ci.example', audience: a, rules: [{claims: {sub: a}, grant: '**:r'}]}\n",
            "a user or a password",
        ),
        (
            "root: s3://bucket\nredirect-blobs: true\nredirect-endpoint: https://u:s3cr3t@bucket.example\n",
            "a user or a password",
        ),
    ] {
        let error = check(&workplace, settings, 2);
        assert!(error.contains(message), "{settings}{error}");
        assert!(!error.contains("s3cr3t"), "{error}");
    }
}

#[test]
fn a_server_that_every_machine_may_change_is_warned_of() {
    let workplace = Workplace::new();
    for (settings, is_open) in [
        ("listen: 0.0.0.0:0\n", true),
        ("listen: 127.0.0.1:0\n", false),
        ("listen: 0.0.0.0:0\nhtpasswd: users\n", false),
    ] {
        let warnings = check(&workplace, settings, 0);
        let is_warned = warnings.contains("push and delete everything");
        assert_eq!(is_warned, is_open, "{settings}{warnings}");
    }
}
