//! `serve` with settings in a file.

use crate::registries::{HTPASSWD, USER};
use crate::serve::{Served, get, push};
use crate::support::Workplace;

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

#[test]
fn the_settings_are_checked_without_serving() {
    let workplace = Workplace::new();
    workplace.write("good.yaml", "listen: 127.0.0.1:0\nmax-blob-size: 10GiB\n");
    assert_eq!(workplace.ok(&["serve", "good.yaml", "--check-config"]), "");
    for (content, message) in [
        ("listne: x\n", "bad.yaml:1:1: unknown key `listne`; did you mean `listen`?"),
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
