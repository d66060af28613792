//! `serve` with users, tokens and robot accounts, and `token`.

use crate::registries::{HTPASSWD, PASSWORD, USER};
use crate::serve::{Served, get};
use crate::support::Workplace;

/// Writes the users and the account `ci`, which may write `team/**`, and returns its secret.
fn users(workplace: &Workplace) -> String {
    workplace.write("users", HTPASSWD);
    let grant = ["--grant", "team/**:rw"];
    let create = [
        &["token", "create", "ci", "--file", "robots.json"],
        &grant[..],
    ]
    .concat();
    let secret = workplace.ok(&create).trim().to_owned();
    assert!(secret.starts_with("tsp_"), "{secret}");
    secret
}

/// Copies with the credentials of `user`, or without any.
fn copy(workplace: &Workplace, user: Option<(&str, &str)>, from: &str, to: &str) -> Option<i32> {
    let mut command = workplace.command(&["cp", from, to]);
    if let Some((name, password)) = user {
        let registry = to.split('/').next().expect("a host");
        command
            .env("TRANSHIP_REGISTRY", registry)
            .env("TRANSHIP_USERNAME", name)
            .env("TRANSHIP_PASSWORD", password);
    }
    command.output().expect("started").status.code()
}

#[test]
fn pulling_needs_no_login_where_every_caller_may_read() {
    let here = Workplace::new();
    let secret = users(&here);
    let arguments = [
        "--htpasswd",
        "users",
        "--robots",
        "robots.json",
        "--anonymous-read=team/**",
    ];
    let mut served = Served::start(&here, &arguments);
    let host = served.host();
    let challenge = get(&host, "/v2/");
    let realm = format!("Bearer realm=\"http://{host}/v2/auth/token\"");
    assert!(challenge.contains(&realm), "{challenge}");
    let (team, secret_app) = (format!("{host}/team/app:v1"), format!("{host}/secret:v1"));
    assert_eq!(copy(&here, None, "oci:hello:v1", &team), Some(5));
    assert_eq!(
        copy(&here, Some(("ci", &secret)), "oci:hello:v1", &team),
        Some(0)
    );
    assert_eq!(
        copy(&here, Some((USER, PASSWORD)), "oci:hello:v1", &secret_app),
        Some(0)
    );
    assert_eq!(copy(&here, None, &team, "oci:pulled:v1"), Some(0));
    assert_ne!(copy(&here, None, &secret_app, "oci:other:v1"), Some(0));

    here.ok(&["token", "revoke", "ci", "--file", "robots.json"]);
    // The server checks its files once a second. A tag that exists already would need no login.
    let mut number = 2;
    loop {
        let next = format!("{host}/team/app:v{number}");
        if copy(&here, Some(("ci", &secret)), "oci:hello:v1", &next) != Some(0) {
            break;
        }
        number += 1;
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn accounts_are_listed_without_their_secrets() {
    let here = Workplace::new();
    let secret = users(&here);
    let arguments = [
        "token",
        "create",
        "old",
        "--file",
        "robots.json",
        "--grant",
        "a:r",
        "--grant",
        "b:rw",
        "--expires",
        "0s",
    ];
    let created = here.json(&arguments);
    assert_eq!(created["name"], "old");
    assert!(created["secret"].is_string() && created["expires"].is_string());
    let list = here.ok(&["token", "list", "--file", "robots.json"]);
    assert!(
        list.contains("team/**:rw") && list.contains("never"),
        "{list}"
    );
    assert!(
        list.contains("a:r b:rw") && list.contains("(expired)"),
        "{list}"
    );
    assert!(!list.contains(&secret), "{list}");
    let json = here.json(&["token", "list", "--file", "robots.json"]);
    assert_eq!(json["accounts"][0]["name"], "ci");
    assert_eq!(json["accounts"][0]["expired"], false);
    assert_eq!(json["accounts"][1]["expired"], true);
    let again = here.run(&[
        "token",
        "create",
        "ci",
        "--file",
        "robots.json",
        "--grant",
        "a:r",
    ]);
    assert_ne!(again.code, Some(0));
    assert!(again.stderr.contains("revoke it first"), "{}", again.stderr);
    for arguments in [
        &["token", "revoke", "none", "--file", "robots.json"][..],
        &["token", "list", "--file", "missing.json"],
        &[
            "token",
            "create",
            "a$b",
            "--file",
            "robots.json",
            "--grant",
            "a:r",
        ],
        &[
            "token",
            "create",
            "a",
            "--file",
            "robots.json",
            "--grant",
            "a:x",
        ],
        &["token", "create", "a", "--file", "robots.json"],
    ] {
        assert_ne!(here.run(arguments).code, Some(0), "{arguments:?}");
    }
}

#[test]
fn settings_about_users_must_fit_each_other() {
    let here = Workplace::new();
    here.write("users", HTPASSWD);
    here.write("key", "0123456789abcdef0123456789abcdef");
    let check = |arguments: &[&str]| here.run(&[&["serve", "--check-config"], arguments].concat());
    let good = [
        "--htpasswd",
        "users",
        "--token-key",
        "key",
        "--public-url",
        "https://registry.example",
        "--token-lifetime",
        "10m",
    ];
    assert_eq!(check(&good).code, Some(0));
    let oidc = "oidc:\n- issuer: https://ci.example\n  audience: registry.example\n  rules:\n  \
                - claims: {repository: acme/app, ref: 'refs/heads/*'}\n    grant: ['acme/**:rw']\n";
    here.write("oidc.yaml", oidc);
    assert_eq!(check(&["oidc.yaml"]).code, Some(0));
    here.write(
        "open.yaml",
        oidc.replace("{repository: acme/app, ref: 'refs/heads/*'}", "{}"),
    );
    here.write("clear.yaml", oidc.replace("https://", "http://"));
    for (arguments, message) in [
        (&["open.yaml"][..], "has no claims"),
        (&["clear.yaml"], "not an https URL"),
        (
            &["--token-key", "key"][..],
            "token-key needs the setting htpasswd",
        ),
        (
            &["--auth-realm", "https://a.example"],
            "auth-realm needs the setting auth-service",
        ),
        (
            &["--auth-keys", "key"],
            "auth-keys needs the setting auth-realm",
        ),
        (
            &["--htpasswd", "users", "--token-key", "missing"],
            "missing",
        ),
        (
            &["--htpasswd", "users", "--public-url", "registry"],
            "not a URL",
        ),
    ] {
        let refused = check(arguments);
        assert_ne!(refused.code, Some(0), "{arguments:?}");
        assert!(refused.stderr.contains(message), "{}", refused.stderr);
    }
}

#[test]
fn a_refused_caller_is_told_how_to_log_in() {
    let workplace = Workplace::new();
    users(&workplace);
    let mut served = Served::start(&workplace, &["--htpasswd", "users"]);
    let host = served.host();
    let image = format!("{host}/team/app:v1");
    for arguments in [["cp", "oci:hello:v1", &image], ["cp", &image, "oci:x:v1"]] {
        let refused = workplace.run(&arguments);
        let hint = format!("hint: log in with `tranship login {host}`");
        assert!(refused.stderr.contains(&hint), "{}", refused.stderr);
    }
}
