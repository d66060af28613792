//! `serve` with receivers of events.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::serve::{Served, get, push};
use crate::support::{HELLO, Workplace};

/// Accepts one request, responds with 200, and returns its head, in lower case, and its body.
pub(crate) fn receive(listener: &TcpListener) -> (String, String) {
    let (stream, _) = listener.accept().expect("a connection");
    let mut reader = BufReader::new(&stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let length = reader.read_line(&mut head).expect("a line");
        assert_ne!(length, 0, "the request ended: {head}");
    }
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).expect("a length");
    let length = length
        .lines()
        .next()
        .expect("a line")
        .parse()
        .expect("a number");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    respond(&stream);
    (head, String::from_utf8(body).expect("text"))
}

fn respond(mut stream: &TcpStream) {
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(response).expect("sent");
}

pub(crate) fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, format!("http://{address}/hook"))
}

#[test]
fn a_push_is_sent_to_the_webhook_of_the_command_line() {
    let workplace = Workplace::new();
    let (listener, url) = listen();
    let arguments = ["--webhook", &url, "--public-url", "https://r.example"];
    let mut served = Served::start(&workplace, &arguments);
    let host = served.host();
    assert!(push(&host).starts_with("HTTP/1.1 201"));
    let (head, body) = receive(&listener);
    assert!(head.starts_with("post /hook http/1.1"), "{head}");
    let media_type = "content-type: application/vnd.docker.distribution.events.v2+json";
    assert!(head.contains(media_type), "{head}");
    let blob = format!("\"url\":\"https://r.example/v2/app/blobs/{HELLO}\"");
    assert!(body.contains(&blob), "{body}");
    assert!(get(&host, "/metrics").contains("tranship_events_dropped_total{endpoint=\"0\"} 0"));
    let (code, log) = served.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("/hook"), "the URL may be secret: {log}");
}

#[test]
fn an_event_is_delivered_after_a_restart() {
    let workplace = Workplace::new();
    let (listener, url) = listen();
    let port = listener.local_addr().expect("an address");
    drop(listener);
    let arguments = ["--webhook", &*url, "--state", "queue"];
    let mut served = Served::start(&workplace, &arguments);
    assert!(push(&served.host()).starts_with("HTTP/1.1 201"));
    served.wait_for_log("an event could not be delivered");
    served.stop();

    let listener = TcpListener::bind(port).expect("the same port");
    let _served = Served::start(&workplace, &arguments);
    let (_, body) = receive(&listener);
    assert!(body.contains(HELLO), "{body}");
}

#[test]
fn a_file_has_filters_headers_and_the_secret_of_a_webhook() {
    let workplace = Workplace::new();
    let (listener, url) = listen();
    workplace.write("secret", "whsec_MDEyMzQ1Njc4OWFiY2RlZg==\n");
    workplace.write(
        "serve.yaml",
        format!(
            "webhook:\n- url: {url}\n  format: cloudevents\n  secret-file: secret\n  headers: {{X-Team: ann}}\n  \
             actions: [push]\n  media-types: [application/octet-*]\n  repositories: [app]\n  timeout: 5s\n"
        ),
    );
    let mut served = Served::start(&workplace, &["serve.yaml"]);
    assert!(push(&served.host()).starts_with("HTTP/1.1 201"));
    let (head, body) = receive(&listener);
    for header in [
        "content-type: application/cloudevents+json",
        "x-team: ann",
        "webhook-signature: v1,",
    ] {
        assert!(head.contains(header), "{header} in {head}");
    }
    assert!(
        body.contains("\"type\":\"io.github.tranship.blob.pushed\""),
        "{body}"
    );
}

#[test]
fn invalid_webhooks_and_redirects_are_found_by_the_check() {
    let workplace = Workplace::new();
    workplace.write("weak", "SECRET");
    for (content, message) in [
        ("webhook: [SECRET]\n", "invalid URL of a webhook"),
        (
            "webhook: [{url: http://x, headers: {'a b': SECRET}}]\n",
            "invalid header",
        ),
        (
            "webhook: [{url: http://x, secret-file: weak}]\n",
            "fewer than 16 bytes",
        ),
        ("webhook: [{url: http://x, secret-file: none}]\n", "none"),
        (
            "webhook: [{url: http://x, actions: [eat]}]\n",
            "bad.yaml:1:",
        ),
        ("webhook: [{uri: http://x}]\n", "bad.yaml:1:"),
        (
            "redirect-blobs: true\nroot: .\n",
            "redirect-blobs needs the setting root",
        ),
        (
            "redirect-expiry: 5m\n",
            "redirect-expiry needs the setting redirect-blobs",
        ),
        ("metrics-repository: ['A']\n", "bad.yaml:1:"),
    ] {
        workplace.write("bad.yaml", content);
        let refused = workplace.run(&["serve", "bad.yaml", "--check-config"]);
        assert_ne!(refused.code, Some(0), "{content}");
        let error = refused.stderr;
        assert!(error.contains(message), "{content} gives {error}");
        assert!(!error.contains("SECRET"), "{error}");
    }
}

#[test]
fn a_new_public_url_is_in_the_next_event() {
    let workplace = Workplace::new();
    let (receiver, url) = listen();
    let settings = |public: &str| format!("webhook: {url}\npublic-url: {public}\n");
    workplace.write("serve.yaml", settings("https://old.example"));
    let mut served = Served::start(&workplace, &["serve.yaml"]);
    let host = served.host();
    workplace.write("serve.yaml", settings("https://new.example/"));
    served.wait_for_log("reloaded");
    push(&host);
    let (_, event) = receive(&receiver);
    assert!(event.contains("https://new.example/v2/app"), "{event}");
}
