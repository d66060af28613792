//! `serve`.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::registries::HTPASSWD;
use crate::support::{AMD64, HELLO, INDEX, Ran, Workplace};

/// A server that is killed when the test ends.
pub(crate) struct Served {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
}

impl Served {
    pub(crate) fn start(workplace: &Workplace, arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        Self::run(workplace.command(&arguments))
    }

    pub(crate) fn run(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// With a certificate of its own, in `certificate.pem`, and its key in `key.pem`.
    fn start_over_tls(workplace: &Workplace) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("made");
        workplace.write("certificate.pem", made.cert.pem());
        workplace.write("key.pem", made.signing_key.serialize_pem());
        let tls = ["--tls-cert", "certificate.pem", "--tls-key", "key.pem"];
        Self::start(workplace, &tls)
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    pub(crate) fn host(&mut self) -> String {
        let line = self.line();
        let host = line.split_once("://").map(|(_, host)| host);
        host.unwrap_or_else(|| panic!("no URL: {line}")).to_owned()
    }

    /// Waits until it logs a line with `text`.
    pub(crate) fn wait_for_log(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let length = self.stderr.read_line(&mut line).expect("a line");
            assert_ne!(length, 0, "the log ended without {text:?}");
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Asks it to stop, and returns how it ended and the rest of its log.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        let mut log = String::new();
        self.stderr.read_to_string(&mut log).expect("a log");
        (self.child.wait().expect("ended").code(), log)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pushes a blob that says hello.
pub(crate) fn push(host: &str) -> String {
    let mut stream = TcpStream::connect(host).expect("connected");
    let request = format!(
        "POST /v2/app/blobs/uploads/?digest={HELLO} HTTP/1.1\r\nHost: {host}\r\n\
         Connection: close\r\nContent-Length: 5\r\n\r\nhello"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

pub(crate) fn get(host: &str, target: &str) -> String {
    get_as(host, host, target)
}

/// Sends the request to `address` and names `host` in it.
pub(crate) fn get_as(host: &str, address: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn pages_are_served_on_a_loopback_address_unless_refused() {
    let workplace = Workplace::new();
    for (arguments, status) in [(&[][..], "200"), (&["--ui"], "200"), (&["--no-ui"], "404")] {
        let mut served = Served::start(&workplace, arguments);
        let host = served.host();
        let page = get(&host, "/ui/");
        let expected = format!("HTTP/1.1 {status}");
        assert!(page.starts_with(&expected), "{arguments:?}: {page}");
        assert!(get(&host, "/v2/").starts_with("HTTP/1.1 200"));
    }
    let both = workplace.run(&["serve", "--ui", "--no-ui", "--check-config"]);
    assert!(
        both.stderr.contains("cannot be used together"),
        "{}",
        both.stderr
    );
}

#[test]
fn without_a_root_an_empty_registry_is_served() {
    let workplace = Workplace::new();
    let mut served = Served::start(&workplace, &[]);
    let host = served.host();
    assert!(get(&host, "/v2/").starts_with("HTTP/1.1 200"));
    assert!(get(&host, "/v2/_catalog").ends_with(r#"{"repositories":[]}"#));
    assert!(push(&host).starts_with("HTTP/1.1 201"));

    let mut small = Served::start(&workplace, &["--quota", "4"]);
    assert!(push(&small.host()).starts_with("HTTP/1.1 507"));
}

#[test]
fn a_directory_of_layouts_is_served() {
    let workplace = Workplace::new();
    workplace.ok(&["cp", "-r", "oci:hello:v1", "layouts:all//library/hello"]);
    let root = workplace.path("all");
    let root = root.to_str().expect("Unicode");
    for root in ["layouts:all", root] {
        let mut served = Served::start(&workplace, &["--root", root, "--read-only"]);
        let host = served.host();
        assert!(get(&host, "/v2/_catalog").contains("library/hello"));
        let manifest = get(&host, &format!("/v2/library/hello/manifests/{AMD64}"));
        let stored = workplace.read(&format!("hello/blobs/{}", AMD64.replace(':', "/")));
        assert!(manifest.ends_with(std::str::from_utf8(&stored).expect("text")));
    }
}

#[test]
fn what_is_pushed_is_in_the_layouts_then() {
    let workplace = Workplace::new();
    let mut served = Served::start(&workplace, &["--root", "./new"]);
    let host = served.host();
    assert!(push(&host).starts_with("HTTP/1.1 201"));
    served.stop();
    assert_eq!(
        workplace.ok(&["blob", "fetch", &format!("layouts:new//app@{HELLO}")]),
        "hello"
    );
}

#[test]
fn a_server_that_is_told_to_stop_ends_well() {
    let workplace = Workplace::new();
    let mut served = Served::start(&workplace, &[]);
    let host = served.host();
    let id = "c2VjcmV0";
    get(&host, &format!("/v2/app/blobs/uploads/{id}?_state=secret"));
    let (code, log) = served.stop();
    assert_eq!(code, Some(0), "{log}");
    let line = log
        .lines()
        .find(|line| line.contains("/v2/app/blobs/uploads/"));
    let line = line.unwrap_or_else(|| panic!("not logged: {log}"));
    assert!(line.contains("404") && !line.contains(id), "{line}");
    assert!(!line.contains("secret"), "{line}");
}

#[cfg(target_os = "linux")]
#[test]
fn signals_are_handled_before_the_address_is_printed() {
    let workplace = Workplace::new();
    // Handlers that are installed later are missing for a moment only.
    for _ in 0..10 {
        let mut served = Served::start(&workplace, &["--audit-log", "audit.jsonl"]);
        served.line();
        let status = fs::read_to_string(format!("/proc/{}/status", served.child.id()));
        let status = status.expect("read");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.expect("a mask").trim(), 16).expect("a mask");
        for (name, number) in [("SIGHUP", 1), ("SIGINT", 2), ("SIGTERM", 15)] {
            assert_ne!(caught & (1 << (number - 1)), 0, "{name} ends the server");
        }
    }
}

#[test]
fn the_log_is_json_where_the_format_is() {
    let workplace = Workplace::new();
    let mut served = Served::start(&workplace, &["--format", "json"]);
    let mut document = String::new();
    // A document of several lines ends with a brace of its own.
    while !document.trim_end().ends_with('}') {
        document.push_str(&served.line());
    }
    let listening: Value = serde_json::from_str(&document).expect("JSON");
    let host = listening["address"].as_str().expect("an address");
    assert_eq!(listening["url"], format!("http://{host}"));
    get(host, "/v2/");
    let (_, log) = served.stop();
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert!(
        events
            .iter()
            .any(|event| event["path"] == "/v2/" && event["status"] == 200)
    );
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let workplace = Workplace::new();
    let missing = workplace.fails(3, &["serve", "--htpasswd", "missing"]);
    assert!(missing.contains("missing"), "{missing}");
    workplace.write("users", "ann:plain\n");
    let plain = workplace.fails(2, &["serve", "--htpasswd", "users"]);
    assert!(plain.contains("line 1"), "{plain}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let taken = listener.local_addr().expect("an address").to_string();
    let taken = workplace.fails(1, &["serve", "--listen", &taken]);
    assert!(taken.contains("cannot listen on the address"), "{taken}");
    workplace.fails(2, &["serve", "--root", "oci:hello"]);
    assert_eq!(workplace.run(&["serve", "--anonymous-read"]).code, Some(2));
}

#[test]
fn over_tls_a_client_trusts_the_authority_that_it_is_given() {
    let here = Workplace::new();
    let mut served = Served::start_over_tls(&here);
    let host = served.host();
    let app = format!("{host}/app");
    let copy = ["cp", "oci:hello:v1", &app];
    let trusted = here.ok(&[&copy[..], &["--ca-file", "certificate.pem"]].concat());
    assert_eq!(trusted, INDEX);
    assert_eq!(here.ok(&[&copy[..], &["--insecure"]].concat()), INDEX);

    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("made");
    here.write("other.pem", other.cert.pem());
    let unknown = here.fails(8, &[&copy[..], &["--ca-file", "other.pem"]].concat());
    assert!(unknown.contains("certificate is not accepted"), "{unknown}");
    assert!(unknown.contains("hint: "), "{unknown}");
    // Without an option https is found too, and its certificate is looked at.
    let found = here.fails(8, &copy);
    assert!(found.contains("certificate is not accepted"), "{found}");
    assert!(found.contains("--ca-file"), "{found}");
    let clear = here.fails(8, &[&copy[..], &["--plain-http"]].concat());
    assert!(clear.contains("leave out --plain-http"), "{clear}");
    let mut trusting = here.command(&copy);
    trusting.env("SSL_CERT_FILE", here.path("certificate.pem"));
    let ran = Ran::of(trusting, b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let kept = here.path(&format!("home/.config/containers/certs.d/{host}"));
    fs::create_dir_all(&kept).expect("created");
    fs::copy(here.path("certificate.pem"), kept.join("ca.crt")).expect("copied");
    assert_eq!(here.ok(&copy), INDEX);
    here.fails(3, &[&copy[..], &["--ca-file", "missing"]].concat());
    let key = here.fails(2, &[&copy[..], &["--ca-file", "key.pem"]].concat());
    assert!(key.contains("read key.pem: holds no certificate"), "{key}");
}

#[test]
fn one_end_of_a_copy_may_speak_https_and_the_other_not() {
    let here = Workplace::new();
    let mut served = Served::start(&here, &[]);
    let mut served_over_tls = Served::start_over_tls(&here);
    let (clear, secure) = (served.host(), served_over_tls.host());
    let (from, to) = (format!("{clear}/app:v1"), format!("{secure}/app"));
    here.ok(&["cp", "oci:hello:v1", &from]);

    let copied = |options: &[&str]| here.ok(&[&["cp", &from, &to], options].concat());
    let insecure = format!("--insecure={secure}");
    assert_eq!(copied(&[&insecure]), INDEX);
    let plain = format!("--plain-http={clear}");
    assert_eq!(copied(&[&plain, "--ca-file", "certificate.pem"]), INDEX);
    assert_eq!(copied(&[&plain, "--insecure"]), INDEX);
    assert_eq!(copied(&["--plain-http", &insecure]), INDEX);
    // On this machine each is found out.
    assert_eq!(copied(&["--insecure"]), INDEX);
    assert_eq!(copied(&["--ca-file", "certificate.pem"]), INDEX);

    let contradiction = format!("--plain-http={secure}");
    for options in [
        &["--insecure", "--plain-http"][..],
        &["--plain-http", "--ca-file", "certificate.pem"],
        &[&insecure, &contradiction],
        &["--plain-http=no registry"],
    ] {
        let ran = here.run(&[&["cp", &from, &to], options].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
}

#[test]
fn a_proxy_is_read_only_unless_told_otherwise() {
    let here = Workplace::new();
    let mut behind = Served::start(&here, &[]);
    let behind = behind.host();
    let proxy = ["--root", &behind, "--plain-http"];
    let mut closed = Served::start(&here, &proxy);
    let host = closed.host();
    assert!(push(&host).starts_with("HTTP/1.1 405"));
    assert!(get(&host, "/v2/_catalog").ends_with(r#"{"repositories":[]}"#));
    let (_, log) = closed.stop();
    assert!(log.contains("your login"), "{log}");
    assert!(log.contains("read-only; --read-write"), "{log}");

    let mut open = Served::start(&here, &[&proxy[..], &["--read-write"]].concat());
    assert!(push(&open.host()).starts_with("HTTP/1.1 201"));
    let (_, log) = open.stop();
    assert!(log.contains("read, write and delete"), "{log}");
    let both = here.run(&["serve", "--read-only", "--read-write"]);
    assert_eq!(both.code, Some(2));
}

#[test]
fn a_layout_as_the_root_is_told_from_a_directory_of_them() {
    let here = Workplace::new();
    for root in ["hello", "layouts:hello"] {
        let message = here.fails(2, &["serve", "--root", root]);
        assert!(message.contains("is an image layout itself"), "{message}");
        assert!(message.contains("oci:"), "{message}");
    }
    here.fails(2, &["repo", "ls", "layouts:hello"]);
    let mut served = Served::start(&here, &["--root", "."]);
    assert!(get(&served.host(), "/v2/_catalog").contains(r#"["hello"]"#));
}

#[test]
fn an_index_may_be_sparse_if_told_so() {
    let here = Workplace::new();
    let digest = HELLO;
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":5}}]}}"#
    );
    here.write("sparse.json", index);
    let media_type = "--media-type=application/vnd.oci.image.index.v1+json";
    let mut strict = Served::start(&here, &[]);
    let target = format!("{}/app:v1", strict.host());
    let refused = here.run(&["manifest", "push", &target, "sparse.json", media_type]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(refused.stderr.contains(digest), "{refused:?}");
    let mut lenient = Served::start(&here, &["--sparse"]);
    let target = format!("{}/app:v1", lenient.host());
    here.ok(&["manifest", "push", &target, "sparse.json", media_type]);
}

#[cfg(target_os = "linux")]
#[test]
fn as_many_files_may_be_open_as_the_system_allows() {
    let here = Workplace::new();
    let program = here.command(&[]).get_program().to_owned();
    let mut command = Command::new("sh");
    let script = "ulimit -S -n 64; exec \"$0\" serve --listen 127.0.0.1:0";
    command.args(["-c", script]).arg(program);
    let mut served = Served::run(command);
    served.host();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", served.child.id()));
    let limits = limits.expect("read");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let numbers: Vec<&str> = line.expect("a limit").split_whitespace().skip(3).collect();
    assert_eq!(numbers[0], numbers[1], "{numbers:?}");
}

#[test]
fn an_address_without_a_host_is_met_with_how_to_write_one() {
    let here = Workplace::new();
    for address in ["5000", ":5000"] {
        let error = here.run(&["serve", "--listen", address]).stderr;
        assert!(error.contains("127.0.0.1:5000"), "{error}");
    }
}

#[test]
fn a_local_server_is_not_reached_by_other_names() {
    let workplace = Workplace::new();
    workplace.write("users", HTPASSWD);
    let attacker = "attacker.example:5000";
    for (arguments, status) in [
        (&[][..], "421"),
        (&["--allow-host", "attacker.example"], "200"),
        (&["--public-url", "http://attacker.example:5000"], "200"),
        (&["--htpasswd", "users"], "401"),
    ] {
        let mut served = Served::start(&workplace, arguments);
        let address = served.host();
        let reply = get_as(attacker, &address, "/v2/");
        assert!(
            reply.starts_with(&format!("HTTP/1.1 {status}")),
            "{arguments:?} {reply}"
        );
        let reply = get_as("localhost:1", &address, "/v2/");
        assert!(!reply.starts_with("HTTP/1.1 421"), "{reply}");
        let probe = get_as(attacker, &address, "/healthz");
        assert!(probe.starts_with("HTTP/1.1 200"), "{probe}");
    }
}
