//! `serve` with settings in a file.

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
fn the_settings_are_checked_without_serving() {
    let workplace = Workplace::new();
    workplace.write("good.yaml", "listen: 127.0.0.1:0\nmax-blob-size: 10GiB\n");
    assert_eq!(workplace.ok(&["serve", "good.yaml", "--check-config"]), "");
    for (content, message) in [
        ("listne: x\n", "bad.yaml:1:1: unknown field"),
        (
            "root: .\nmax-blob-size: huge\n",
            "bad.yaml:2:16: invalid size",
        ),
        ("root: [\n", "bad.yaml:"),
        (
            "anonymous-read: ['**']\n",
            "anonymous-read needs the setting htpasswd, robots, oidc, tls-client-ca or auth-realm",
        ),
        ("htpasswd: missing\n", "missing"),
        (
            "repositories: [{match: 'A'}]\n",
            "bad.yaml:1:24: invalid pattern",
        ),
    ] {
        workplace.write("bad.yaml", content);
        let refused = workplace.run(&["serve", "bad.yaml", "--check-config"]);
        assert_ne!(refused.code, Some(0), "{content}");
        let error = refused.stderr;
        assert!(error.contains(message), "{content} gives {error}");
    }
}
