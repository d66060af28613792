//! Registries as sources and destinations.

use std::fs;
use std::net::TcpListener;

use crate::registries::{PASSWORD, Scripted, TestRegistry, USER, message};
use crate::support::{AMD64, HELLO, INDEX, NOTHING, Ran, SBOM, Workplace};

/// The files of a layout's blobs, and what is in them.
fn blobs(here: &Workplace, layout: &str) -> Vec<(String, Vec<u8>)> {
    let directory = here.path(layout).join("blobs/sha256");
    let mut blobs: Vec<_> = fs::read_dir(directory)
        .expect("listed")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("Unicode");
            (name, fs::read(entry.path()).expect("read"))
        })
        .collect();
    blobs.sort();
    blobs
}

/// A registry that has the fixture as `team/hello`, with its referrers.
fn filled(here: &Workplace) -> TestRegistry {
    let registry = TestRegistry::open();
    let to = format!("{}/team/hello", registry.host());
    assert_eq!(here.ok(&["cp", "-r", "oci:hello:v1", &to]), INDEX);
    registry
}

#[test]
fn a_layout_comes_back_from_a_registry_byte_for_byte() {
    let here = Workplace::new();
    let registry = filled(&here);
    let from = format!("{}/team/hello:v1", registry.host());
    assert_eq!(here.ok(&["cp", "-r", &from, "oci:back"]), INDEX);
    assert_eq!(blobs(&here, "back"), blobs(&here, "hello"));
    assert_eq!(here.tags("oci:back"), ["v1"]);
}

#[test]
fn docker_in_front_means_the_same() {
    let here = Workplace::new();
    let registry = filled(&here);
    let reference = format!("docker://{}/team/hello:v1", registry.host());
    assert_eq!(here.ok(&["resolve", &reference]), INDEX);
}

#[test]
fn between_repositories_of_a_registry_blobs_are_mounted() {
    let here = Workplace::new();
    let registry = filled(&here);
    let from = format!("{}/team/hello:v1", registry.host());
    let to = format!("{}/other/hello:v2", registry.host());
    let json = here.json(&["cp", &from, &to]);
    assert_eq!(json["descriptor"]["digest"], INDEX);
    assert!(json["mounted"]["count"].as_u64() > Some(0), "{json}");
    let steps = json["steps"].as_array().expect("steps");
    let copied = steps.iter().filter(|step| step["action"] == "copy");
    let mut types = copied.filter_map(|step| step["descriptor"]["mediaType"].as_str());
    assert!(
        types.all(|kind| kind.contains("manifest") || kind.contains("index")),
        "{json}"
    );
}

#[test]
fn a_registry_lists_its_repositories_and_tags() {
    let here = Workplace::new();
    let registry = filled(&here);
    let host = registry.host();
    let hello = format!("{host}/team/hello");
    here.ok(&["cp", &format!("{hello}:v1"), &format!("{host}/a")]);
    assert_eq!(here.ok(&["repo", "ls", &host]), "a\nteam/hello");
    assert_eq!(here.tags(&hello), ["v1"]);
    assert_eq!(here.tags(&format!("{host}/nothing")), [""; 0]);
}

#[test]
fn tags_of_a_registry_are_set_and_removed() {
    let here = Workplace::new();
    let registry = filled(&here);
    let hello = format!("{}/team/hello", registry.host());
    let tagged = here.ok(&["tag", &format!("{hello}:v1"), "v2", "latest"]);
    assert_eq!(tagged, INDEX);
    assert_eq!(here.tags(&hello), ["latest", "v1", "v2"]);
    here.ok(&["untag", &format!("{hello}:v2")]);
    assert_eq!(here.tags(&hello), ["latest", "v1"]);
    let resolved = here.ok(&["resolve", "--full", &format!("{hello}:latest")]);
    assert_eq!(resolved, format!("{hello}@{INDEX}"));
}

#[test]
fn what_refers_to_a_manifest_of_a_registry_is_shown() {
    let here = Workplace::new();
    let registry = filled(&here);
    let tree = |location: &str| -> Vec<String> {
        let shown = here.ok(&["discover", location]);
        shown.lines().skip(1).map(ToOwned::to_owned).collect()
    };
    let remote = tree(&format!("{}/team/hello:v1", registry.host()));
    assert_eq!(remote, tree("oci:hello:v1"));
    assert!(remote[0].contains(SBOM), "{remote:?}");
}

#[test]
fn manifests_of_a_registry_are_read_stored_and_deleted() {
    let here = Workplace::new();
    let registry = filled(&here);
    let hello = format!("{}/team/hello", registry.host());
    let ran = here.run(&["manifest", "fetch", &format!("{hello}@{AMD64}")]);
    let stored = fs::read(here.blob("hello", AMD64)).expect("there");
    assert_eq!(ran.stdout.as_bytes(), stored);

    here.write("manifest", &stored);
    let pushed = here.ok(&["manifest", "push", &format!("{hello}:amd64"), "manifest"]);
    assert_eq!(pushed, AMD64);
    assert_eq!(here.tags(&hello), ["amd64", "v1"]);

    let named = format!("{hello}@{INDEX}");
    here.ok(&["manifest", "delete", "-y", &named]);
    assert_eq!(here.tags(&hello), ["amd64"]);
    here.fails(3, &["manifest", "delete", "-y", &named]);
}

#[test]
fn blobs_of_a_registry_are_read_stored_and_deleted() {
    let here = Workplace::new();
    let registry = TestRegistry::open();
    let app = format!("{}/app", registry.host());
    let pushed = here.run_with(&["blob", "push", &app, "-"], b"hello");
    assert_eq!(pushed.stdout.trim_end(), HELLO, "{pushed:?}");
    let named = format!("{app}@{HELLO}");
    assert_eq!(here.ok(&["blob", "fetch", &named]), "hello");
    here.ok(&["blob", "delete", "-y", &named]);
    let gone = here.fails(3, &["blob", "fetch", &named]);
    assert!(gone.contains("404"), "{gone}");
}

#[test]
fn a_tag_that_a_registry_does_not_have_comes_with_a_hint() {
    let here = Workplace::new();
    let registry = filled(&here);
    let hello = format!("{}/team/hello", registry.host());
    let stderr = here.fails(3, &["resolve", &format!("{hello}:v2")]);
    let hint = format!("hint: `tranship repo tags {hello}` lists the tags");
    assert_eq!(stderr.lines().nth(1), Some(&*hint));
    let stderr = here.fails(3, &["manifest", "fetch", &format!("{hello}@{NOTHING}")]);
    assert!(!stderr.contains("hint"), "{stderr}");
    let stderr = here.fails(2, &["resolve", &hello]);
    assert!(stderr.contains("repo tags"), "{stderr}");
}

#[test]
fn where_nobody_listens_the_user_is_told_what_to_look_at() {
    let here = Workplace::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let free = listener.local_addr().expect("an address");
    drop(listener);
    let stderr = here.fails(8, &["resolve", &format!("{free}/app:v1")]);
    assert!(stderr.contains("cannot be reached"), "{stderr}");
    assert!(stderr.contains("hint: look at its name"), "{stderr}");
}

#[test]
fn http_on_this_machine_is_found_whatever_the_options_for_tls() {
    let here = Workplace::new();
    let registry = filled(&here);
    let reference = format!("{}/team/hello:v1", registry.host());
    let insecure = format!("--insecure={}", registry.host());
    for option in ["--insecure", &insecure] {
        assert_eq!(here.ok(&["resolve", &reference, option]), INDEX);
    }
}

#[test]
fn http_where_https_is_spoken_is_met_with_the_option() {
    let here = Workplace::new();
    // What rustls and OpenSSL send, and what Go answers to a GET.
    let alert = "\u{15}\u{3}\u{3}\u{0}\u{2}\u{2}\u{50}".to_owned();
    let sentence = "Client sent an HTTP request to an HTTPS server.\n";
    for answer in [alert, message("400 Bad Request", &[], sentence)] {
        let server = Scripted::start(move |_| answer.clone());
        let reference = format!("{}/app:v1", server.host());
        let ran = here.run(&["manifest", "fetch", &reference, "--plain-http"]);
        assert_ne!(ran.code, Some(0));
        let hint = ran.stderr.lines().nth(1).unwrap_or_default();
        assert!(hint.contains("https"), "{ran:?}");
        assert!(hint.contains("leave out --plain-http"), "{ran:?}");
    }
}

#[test]
fn a_destination_that_is_not_there_is_met_with_a_hint() {
    let here = Workplace::new();
    let server = Scripted::start(move |_| message("404 Not Found", &[], ""));
    let new = format!("{}/team/new:v1", server.host());
    let resolve = ["--resolve", "myuser:443:127.0.0.1"];
    for push in [
        ["cp", "oci:hello:v1", &new].as_slice(),
        &["manifest", "push", &new, "hello/index.json"],
        &["blob", "push", &new[..new.len() - 3], "hello/index.json"],
    ] {
        let stderr = here.fails(3, push);
        assert!(stderr.contains("created before the first push"), "{stderr}");
    }
    for push in [
        ["cp", "oci:hello:v1", "myuser/app:v1"].as_slice(),
        &["manifest", "push", "myuser/app:v1", "hello/index.json"],
        &["blob", "push", "myuser/app", "hello/index.json"],
        &["cp", "myuser/app:v1", "oci:new"],
    ] {
        let ran = here.run(&[push, &resolve].concat());
        let write = "write docker.io/myuser/app";
        assert!(ran.stderr.contains(write), "{ran:?}");
    }
}

#[test]
fn a_web_page_does_not_resolve() {
    let here = Workplace::new();
    let headers = &["Content-Type: text/html"][..];
    let server = Scripted::start(move |_| message("200 OK", headers, "<html></html>"));
    let reference = format!("{}/app:v1", server.host());
    let stderr = here.fails(8, &["resolve", &reference]);
    assert!(stderr.contains("text/html"), "{stderr}");
}

#[test]
fn an_option_that_was_not_given_is_not_to_be_left_out() {
    let here = Workplace::new();
    let server = Scripted::start(move |_| message("400 Bad Request", &[], "no"));
    let reference = format!("{}/app:v1", server.host());
    let stderr = here.fails(1, &["manifest", "fetch", &reference]);
    assert!(!stderr.contains("--plain-http"), "{stderr}");
}

#[test]
fn a_registry_that_asks_for_a_long_pause_may_work_later() {
    let here = Workplace::new();
    let headers = &["Retry-After: 3600", "Content-Type: application/json"][..];
    let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"100 pulls are enough"}]}"#;
    let server = Scripted::start(move |_| message("429 Too Many Requests", headers, body));
    let reference = format!("{}/app:v1", server.host());
    let arguments = ["manifest", "fetch", &reference];
    let stderr = here.fails(8, &arguments);
    assert!(stderr.contains("100 pulls are enough"), "{stderr}");
    assert_eq!(server.asked().len(), 1, "it is not asked again at once");

    let ran = here.run(&["manifest", "fetch", &reference, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stderr).expect("JSON");
    assert_eq!(json["error"]["kind"], "rate limited");
    assert_eq!(json["error"]["retryable"], true);
    assert_eq!(json["error"]["exitCode"], 8);
    let entry = &json["error"]["registryErrors"][0];
    assert_eq!(entry["code"], "TOOMANYREQUESTS");
}

#[test]
fn a_registry_that_will_not_is_a_refusal() {
    let here = Workplace::new();
    let registry = TestRegistry::readable(&here);
    let app = format!("{}/app", registry.host());
    let anonymous = here.fails(5, &["cp", "oci:hello:v1", &app]);
    assert!(anonymous.contains("tranship login"), "{anonymous}");
    let arguments = ["login", &registry.host(), "-u", USER, "--password-stdin"];
    assert_eq!(here.run_with(&arguments, PASSWORD.as_bytes()).code, Some(0));
    let user = here.fails(5, &["cp", "oci:hello:v1", &app]);
    assert!(!user.contains("tranship login"), "{user}");
    let list = ["repo", "ls", &registry.host()];
    assert_eq!(here.ok(&list), "", "and nothing was stored");
}

#[test]
fn a_header_goes_to_the_registry_and_to_nobody_else() {
    let here = Workplace::new();
    let elsewhere = Scripted::start(|_| message("200 OK", &[], "hello"));
    let location = format!("Location: http://{}/blob", elsewhere.host());
    let registry = Scripted::start(move |_| message("307 Temporary Redirect", &[&location], ""));
    let blob = format!("{}/app@{HELLO}", registry.host());
    let header = ["-H", "X-Team: build", "--header", "X-Key: hunter2"];
    let fetched = here.ok(&[&["blob", "fetch", &blob], &header[..]].concat());
    assert_eq!(fetched, "hello");
    let asked = registry.asked();
    assert_eq!(asked[0].header("x-team"), Some("build"));
    assert_eq!(asked[0].header("x-key"), Some("hunter2"));
    for asked in elsewhere.asked() {
        assert_eq!(
            (asked.header("x-team"), asked.header("x-key")),
            (None, None)
        );
    }
    assert_eq!(elsewhere.asked().len(), 1);
}

#[test]
fn a_header_may_be_for_one_registry_alone() {
    let here = Workplace::new();
    let told = |server: &Scripted, options: &[&str]| {
        let reference = format!("{}/app:v1", server.host());
        let ran = here.run(&[&["resolve", &reference], options].concat());
        assert_eq!(ran.code, Some(3), "{ran:?}");
        let asked = server.asked().remove(0);
        let value = |name| asked.header(name).unwrap_or("none").to_owned();
        ["x-both", "x-team", "x-key"].map(value)
    };
    let one = Scripted::start(|_| message("404 Not Found", &[], ""));
    let other = Scripted::start(|_| message("404 Not Found", &[], ""));
    let host = one.host();
    let both = ["-H", "X-Both: yes", "-H", "X-Team: all"];
    let key = ["--header-for", host, "X-Key: hunter2"];
    let team = ["--header-for", host, "X-Team: one"];
    let options = [&both[..], &key, &team].concat();
    assert_eq!(told(&one, &options), ["yes", "one", "hunter2"]);
    assert_eq!(told(&other, &options), ["yes", "all", "none"]);

    for (registry, header) in [("no registry", "X-Key: hunter2"), (host, "hunter2")] {
        let copy = ["cp", "oci:hello:v1", "oci:new", "--header-for"];
        let ran = here.run(&[&copy[..], &[registry, header]].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn an_address_stands_in_for_a_name() {
    let here = Workplace::new();
    let registry = filled(&here);
    let port = registry.port();
    let reference = format!("registry.test:{port}/team/hello:v1");
    let resolve = format!("registry.test:{port}:127.0.0.1");
    let arguments = ["resolve", &reference, "--plain-http", "--resolve", &resolve];
    assert_eq!(here.ok(&arguments), INDEX);
    let wrong = here.run(&["resolve", &reference, "--resolve", "registry.test"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[test]
fn a_warning_of_the_registry_is_told_once() {
    let here = Workplace::new();
    let warning = r#"Warning: 299 - "this registry is switched off \"soon\"""#;
    let server = Scripted::start(move |_| message("404 Not Found", &[warning], ""));
    let reference = format!("{}/app:v1", server.host());
    let ran = here.run(&["cp", &reference, "oci:new"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let told = r#"warning: this registry is switched off "soon""#;
    assert_eq!(ran.stderr.matches(told).count(), 1, "{ran:?}");
}

#[test]
fn a_proxy_comes_from_the_environment() {
    let here = Workplace::new();
    let proxy = Scripted::start(|_| message("404 Not Found", &[], ""));
    let registry = filled(&here);
    let run = |reference: &str| {
        let mut command = here.command(&["manifest", "fetch", reference, "--plain-http"]);
        command.env("HTTP_PROXY", format!("http://{}", proxy.host()));
        Ran::of(command, b"").code
    };
    assert_eq!(run("registry.test/app:v1"), Some(3));
    // What is on this machine is not reached by way of another.
    assert_eq!(run(&format!("{}/team/hello:v1", registry.host())), Some(0));
    let asked = proxy.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].line,
        "GET http://registry.test/v2/app/manifests/v1"
    );
    assert_eq!(asked[0].header("host"), Some("registry.test"));

    // Nor is what NO_PROXY lists, with a port as Go writes it and with a blank as curl does.
    let host = registry.host();
    let (_, port) = host.rsplit_once(':').expect("a port");
    let reference = format!("registry.test:{port}/team/hello:v1");
    let resolve = format!("registry.test:{port}:127.0.0.1");
    let arguments = [
        "manifest",
        "fetch",
        &reference,
        "--plain-http",
        "--resolve",
        &resolve,
    ];
    let mut command = here.command(&arguments);
    command.env("HTTP_PROXY", proxy.host());
    command.env("NO_PROXY", format!("other.test:1 .test:{port}"));
    let ran = Ran::of(command, b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(proxy.asked().len(), 1);
}
