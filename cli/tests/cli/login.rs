//! `login` and `logout`, and where credentials come from.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::registries::{BASIC, PASSWORD, Scripted, TestRegistry, USER, message};
use crate::support::{INDEX, Ran, Workplace};

/// Logs in with the password on standard input.
fn login(here: &Workplace, host: &str, password: &str, more: &[&str]) -> Ran {
    let arguments = ["login", host, "--username", USER, "--password-stdin"];
    here.run_with(
        &[&arguments, more].concat(),
        format!("{password}\n").as_bytes(),
    )
}

fn document(here: &Workplace, name: &str) -> Value {
    serde_json::from_slice(&here.read(name)).expect("JSON")
}

/// That nothing secret is in what the program said.
fn tells_no_secret(ran: &Ran, secrets: &[&str]) {
    for secret in secrets {
        assert!(!ran.stdout.contains(secret), "{ran:?}");
        assert!(!ran.stderr.contains(secret), "{ran:?}");
    }
}

#[test]
fn a_login_is_stored_where_docker_reads_it_with_a_warning() {
    let here = Workplace::new();
    let registry = TestRegistry::closed(&here);
    let host = registry.host();
    let to = format!("{host}/hello");
    let before = here.fails(5, &["cp", "oci:hello:v1", &to]);
    assert!(before.contains(&format!("hint: log in with `tranship login {host}`")));

    let ran = login(&here, &host, PASSWORD, &[]);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran:?}");
    assert!(ran.stderr.contains(&format!("logged in to {host}")));
    let file = here.path("docker/config.json");
    let warning = format!("kept unencrypted in {}", file.display());
    assert!(ran.stderr.contains(&warning), "{ran:?}");
    let stored = document(&here, "docker/config.json");
    assert_eq!(stored, json!({"auths": {&host: {"auth": BASIC}}}));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    assert_eq!(here.ok(&["cp", "oci:hello:v1", &to]), INDEX);
    assert_eq!(here.ok(&["repo", "ls", &host]), "hello");
}

#[test]
fn plain_text_that_is_refused_is_not_stored() {
    let here = Workplace::new();
    let registry = TestRegistry::closed(&here);
    let ran = login(&here, &registry.host(), PASSWORD, &["--no-plain-text"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(
        ran.stderr.contains("hint: name a credential helper"),
        "{ran:?}"
    );
    tells_no_secret(&ran, &[PASSWORD, BASIC]);
    assert!(!here.path("docker").exists());
}

#[test]
fn what_the_registry_does_not_accept_is_not_stored() {
    let here = Workplace::new();
    let registry = TestRegistry::closed(&here);
    let ran = login(&here, &registry.host(), "hunter2", &[]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.stderr.contains("hint: nothing was kept"), "{ran:?}");
    assert!(!here.path("docker").exists());
}

#[test]
fn a_refused_login_leaves_the_earlier_one() {
    let here = Workplace::new();
    let registry = TestRegistry::closed(&here);
    login(&here, &registry.host(), PASSWORD, &[]);
    let before = here.read("docker/config.json");
    assert_eq!(login(&here, &registry.host(), "hunter2", &[]).code, Some(5));
    assert_eq!(here.read("docker/config.json"), before);
}

#[test]
fn a_logout_forgets_the_credentials_and_leaves_the_rest() {
    let here = Workplace::new();
    let registry = TestRegistry::closed(&here);
    let host = registry.host();
    fs::create_dir(here.path("docker")).expect("created");
    let other = json!({"auths": {"other.example": {"auth": "YTpi"}}, "psFormat": "table"});
    here.write("docker/config.json", other.to_string());
    assert_eq!(login(&here, &host, PASSWORD, &[]).code, Some(0));
    let out = here.run(&["logout", &host]);
    assert_eq!((out.code, &*out.stdout), (Some(0), ""), "{out:?}");
    assert!(out.stderr.contains(&format!("logged out of {host}")));
    assert_eq!(document(&here, "docker/config.json"), other);
    here.fails(5, &["repo", "ls", &host]);
    let again = here.run(&["logout", &host]);
    assert_eq!(again.code, Some(0));
    assert!(again.stderr.contains("there were no credentials"));
}

#[test]
fn as_json_login_and_logout_say_where_the_credentials_were() {
    let here = Workplace::new();
    let registry = TestRegistry::closed(&here);
    let host = registry.host();
    let ran = login(&here, &host, PASSWORD, &["--format", "json"]);
    let said: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let file = here.path("docker/config.json").display().to_string();
    assert_eq!(said, json!({"registry": host, "file": file}));
    let out = here.json(&["logout", &host]);
    assert_eq!(out, json!({"registry": host, "hadCredentials": true}));
    let out = here.json(&["logout", &host]);
    assert_eq!(out["hadCredentials"], false);
}

#[test]
fn a_file_that_is_named_takes_the_place_of_all_others() {
    let here = Workplace::new();
    let registry = TestRegistry::closed(&here);
    let host = registry.host();
    let config = ["--registry-config", "mine.json"];
    assert_eq!(login(&here, &host, PASSWORD, &config).code, Some(0));
    assert!(!here.path("docker").exists());
    assert_eq!(document(&here, "mine.json")["auths"][&host]["auth"], BASIC);
    here.fails(5, &["repo", "ls", &host]);
    here.ok(&[&["repo", "ls", &host], &config[..]].concat());
    for other in [
        &["--config", "mine.json"][..],
        &["--config=mine.json"],
        &["--authfile", "mine.json"],
    ] {
        here.ok(&[&["repo", "ls", &host], other].concat());
    }
    here.ok(&[&["logout", &host], &config[..]].concat());
    here.fails(5, &[&["repo", "ls", &host], &config[..]].concat());
}

#[test]
fn podmans_file_counts_before_dockers() {
    let here = Workplace::new();
    let registry = TestRegistry::closed(&here);
    let host = registry.host();
    for (directory, file, auth) in [
        ("docker", "docker/config.json", "dGVzdGVyOndyb25n"),
        ("run/containers", "run/containers/auth.json", BASIC),
    ] {
        fs::create_dir_all(here.path(directory)).expect("created");
        here.write(file, json!({"auths": {&host: {"auth": auth}}}).to_string());
    }
    let list = ["repo", "ls", &host];
    here.fails(5, &list);
    let mut command = here.command(&list);
    command.env("XDG_RUNTIME_DIR", here.path("run"));
    let ran = Ran::of(command, b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn the_environment_has_credentials_for_one_registry() {
    let here = Workplace::new();
    let registry = TestRegistry::closed(&here);
    let host = registry.host();
    let run = |meant: Option<&str>| {
        let mut command = here.command(&["repo", "ls", &host]);
        command.env("TRANSHIP_USERNAME", USER);
        command.env("TRANSHIP_PASSWORD", PASSWORD);
        command.envs(meant.map(|name| ("TRANSHIP_REGISTRY", name)));
        let ran = Ran::of(command, b"");
        tells_no_secret(&ran, &[PASSWORD, BASIC]);
        ran
    };
    assert_eq!(run(Some(&host)).code, Some(0));
    assert_eq!(run(Some("other.example")).code, Some(5));
    let nobody = run(None);
    assert_eq!(nobody.code, Some(2));
    assert!(nobody.stderr.contains("TRANSHIP_REGISTRY"), "{nobody:?}");
}

#[test]
fn docker_auth_config_is_used_and_a_login_says_so() {
    let here = Workplace::new();
    let registry = TestRegistry::closed(&here);
    let host = registry.host();
    let given = json!({"auths": {&host: {"auth": BASIC}}}).to_string();
    let run = |arguments: &[&str]| {
        let mut command = here.command(arguments);
        command.env("DOCKER_AUTH_CONFIG", &given);
        let ran = Ran::of(command, PASSWORD.as_bytes());
        tells_no_secret(&ran, &[PASSWORD, BASIC]);
        ran
    };
    assert_eq!(run(&["repo", "ls", &host]).code, Some(0));
    here.fails(5, &["repo", "ls", &host]);
    // A file that is named by hand is the only one.
    assert_eq!(
        run(&["repo", "ls", &host, "--registry-config", "none.json"]).code,
        Some(5)
    );
    let login = run(&["login", &host, "-u", USER, "--password-stdin"]);
    assert_eq!(login.code, Some(0), "{login:?}");
    assert!(
        login.stderr.contains("DOCKER_AUTH_CONFIG is set"),
        "{login:?}"
    );
    let logout = run(&["logout", &host]);
    assert!(
        logout.stderr.contains("DOCKER_AUTH_CONFIG is set"),
        "{logout:?}"
    );
}

/// A helper that keeps what it is told in the directory `keys`, and the `PATH` to find it.
#[cfg(unix)]
fn helper(here: &Workplace) -> std::ffi::OsString {
    use std::os::unix::fs::PermissionsExt as _;
    let keys = here.path("keys");
    fs::create_dir(&keys).expect("created");
    let script = format!(
        "#!/bin/sh\ncd '{}'\ncase $1 in\nstore) cat >kept ;;\nget) cat kept 2>/dev/null || \
         {{ echo credentials not found in native keychain; exit 1; }} ;;\nerase) rm -f kept ;;\nesac\n",
        keys.display()
    );
    let program = keys.join("docker-credential-test");
    fs::write(&program, script).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    fs::create_dir(here.path("docker")).expect("created");
    here.write("docker/config.json", r#"{"credsStore": "test"}"#);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::iter::once::<PathBuf>(keys).chain(std::env::split_paths(&path));
    std::env::join_paths(directories).expect("a path")
}

#[cfg(unix)]
#[test]
fn a_credential_helper_keeps_the_password() {
    let here = Workplace::new();
    let registry = TestRegistry::closed(&here);
    let host = registry.host();
    let path = helper(&here);
    let run = |arguments: &[&str], input: &str| {
        let mut command = here.command(arguments);
        command.env("PATH", &path);
        Ran::of(command, input.as_bytes())
    };
    let arguments = ["login", &host, "-u", USER, "--password-stdin"];
    let ran = run(&arguments, PASSWORD);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("docker-credential-test keeps"),
        "{ran:?}"
    );
    assert!(!ran.stderr.contains("unencrypted"), "{ran:?}");
    let kept = document(&here, "keys/kept");
    let expected = json!({"ServerURL": &host, "Username": USER, "Secret": PASSWORD});
    assert_eq!(kept, expected);
    let stored = document(&here, "docker/config.json");
    assert_eq!(stored["auths"], json!({&host: {}}));

    assert_eq!(run(&["repo", "ls", &host], "").code, Some(0));
    assert_eq!(run(&["logout", &host], "").code, Some(0));
    assert!(!here.path("keys/kept").exists());
    assert_eq!(run(&["repo", "ls", &host], "").code, Some(5));
}

#[test]
fn an_identity_token_is_exchanged_and_never_shown_to_the_registry() {
    let here = Workplace::new();
    let registry = Scripted::start(|asked| {
        let host = asked.header("host").unwrap_or_default();
        match &*asked.line {
            "POST /token" => message("200 OK", &[], r#"{"access_token":"short-lived"}"#),
            _ if asked.header("authorization") == Some("Bearer short-lived") => {
                message("200 OK", &[], "{}")
            }
            _ => {
                let realm = format!("http://{host}/token");
                let challenge =
                    format!(r#"WWW-Authenticate: Bearer realm="{realm}",service="test""#);
                message("401 Unauthorized", &[&challenge], "")
            }
        }
    });
    let host = registry.host();
    let arguments = ["login", host, "--identity-token-stdin", "-v"];
    let ran = here.run_with(&arguments, b"long-lived\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    tells_no_secret(&ran, &["long-lived", "short-lived"]);
    let stored = document(&here, "docker/config.json");
    assert_eq!(stored["auths"][host]["identitytoken"], "long-lived");
    for asked in registry.asked() {
        let shows = asked.body.contains("refresh_token=long-lived");
        assert_eq!(shows, asked.line == "POST /token", "{asked:?}");
        assert!(!format!("{:?}", asked.headers).contains("long-lived"));
    }
}

#[test]
fn secrets_are_in_no_output() {
    let here = Workplace::new();
    let registry = TestRegistry::closed(&here);
    let host = registry.host();
    // `tester:hunter2`, and the right password.
    let secrets = ["hunter2", "dGVzdGVyOmh1bnRlcjI=", PASSWORD, BASIC, "s3cr3t"];
    let header = ["--header", "X-Key: s3cr3t"];
    for format in ["text", "json"] {
        let more = [&header[..], &["-v", "--format", format]].concat();
        for password in ["hunter2", PASSWORD] {
            tells_no_secret(&login(&here, &host, password, &more), &secrets);
        }
        let missing = format!("{host}/app:v1");
        let ran = here.run(&[&["resolve", &missing], &more[..]].concat());
        assert_eq!(ran.code, Some(3), "{ran:?}");
        tells_no_secret(&ran, &secrets);
        let malformed = here.run(&["resolve", &missing, "-H", "s3cr3t", "--format", format]);
        assert_eq!(malformed.code, Some(2), "{malformed:?}");
        tells_no_secret(&malformed, &secrets);
    }
}

#[test]
fn a_password_on_the_command_line_is_taken_with_a_warning() {
    let here = Workplace::new();
    let registry = TestRegistry::closed(&here);
    let host = registry.host();
    let ran = here.run(&["login", &host, "-u", USER, "-p", PASSWORD]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("--password-stdin"), "{ran:?}");
    tells_no_secret(&ran, &[PASSWORD]);
    let nameless = here.run(&["login", &host, "-p", PASSWORD]);
    assert_eq!(nameless.code, Some(2), "{nameless:?}");
    let twice = [
        "login",
        &host,
        "-u",
        USER,
        "-p",
        PASSWORD,
        "--password-stdin",
    ];
    tells_no_secret(&here.run(&twice), &[PASSWORD]);
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let here = Workplace::new();
    let name = here.fails(2, &["login", "registry.example"]);
    assert!(name.contains("--username"), "{name}");
    let password = here.fails(2, &["login", "registry.example", "-u", USER]);
    assert!(password.contains("--password-stdin"), "{password}");
    let name = here.fails(2, &["login", "registry.example", "--password-stdin"]);
    assert!(name.contains("--username"), "{name}");
    let empty = login(&here, "registry.example", "", &[]);
    assert_eq!(empty.code, Some(2), "{empty:?}");
}
