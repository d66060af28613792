//! Traces of `serve`, as a collector receives them.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;

use crate::serve::{Served, get};
use crate::support::Workplace;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A request to a collector.
struct Received {
    /// The request line and the headers.
    head: Vec<String>,
    body: Vec<u8>,
}

/// Starts a collector that accepts everything, and returns its address and what it receives.
fn collector(status: &'static str) -> (String, Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, received) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut stream = BufReader::new(stream.expect("a connection"));
                while let Some(request) = receive(&mut stream) {
                    let _ = sender.send(request);
                    let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                    let _ = stream.get_mut().write_all(response.as_bytes());
                }
            });
        }
    });
    (address.to_string(), received)
}

fn receive(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_ascii_lowercase()),
        }
    }
    let mut lengths = head.iter();
    let length = lengths.find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.parse().expect("a length")];
    stream.read_exact(&mut body).ok()?;
    Some(Received { head, body })
}

/// A span with its attributes as text, and the name of its service.
struct Exported {
    span: Span,
    service: String,
    attributes: HashMap<String, String>,
}

/// Returns the spans that were received.
fn spans(received: &Receiver<Received>) -> Vec<Exported> {
    let mut spans = Vec::new();
    for request in received.try_iter() {
        let request = ExportTraceServiceRequest::decode(&*request.body).expect("spans");
        for resource in request.resource_spans {
            let described = resource.resource.expect("a resource");
            let service = texts(described.attributes).remove("service.name");
            let service = service.expect("a name");
            for span in resource.scope_spans.into_iter().flat_map(|it| it.spans) {
                let attributes = texts(span.attributes.clone());
                let service = service.clone();
                spans.push(Exported {
                    span,
                    service,
                    attributes,
                });
            }
        }
    }
    spans
}

fn texts(
    attributes: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>,
) -> HashMap<String, String> {
    let texts = attributes.into_iter().map(|attribute| {
        let value = attribute.value.and_then(|value| value.value);
        let text = match value {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        (attribute.key, text)
    });
    texts.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Starts a server that exports its traces to `collector`.
fn traced(workplace: &Workplace, collector: &str, service: &str, arguments: &[&str]) -> Served {
    let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
    let mut command = workplace.command(&arguments);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}"))
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=secret-key")
        .env("OTEL_SERVICE_NAME", service);
    Served::run(command)
}

#[test]
fn a_pull_through_a_mirror_is_one_trace() {
    let workplace = Workplace::new();
    workplace.ok(&["cp", "-r", "oci:hello:v1", "layouts:all//library/hello:v1"]);
    let (collector, received) = collector("200 OK");
    let mut upstream = traced(
        &workplace,
        &collector,
        "upstream",
        &["--root", "layouts:all"],
    );
    let mirror = format!("docker.io=http://{}", upstream.host());
    let arguments = ["--root", "./cache", "--mirror", &mirror];
    let mut mirror = traced(&workplace, &collector, "mirror", &arguments);
    let host = mirror.host();
    let mut client = TcpStream::connect(&host).expect("connected");
    let request = format!(
        "GET /v2/docker.io/library/hello/manifests/v1?secret=x HTTP/1.1\r\nHost: {host}\r\n\
         traceparent: 00-{TRACE}-{PARENT}-01\r\nConnection: close\r\n\r\n"
    );
    client.write_all(request.as_bytes()).expect("sent");
    let mut response = String::new();
    client.read_to_string(&mut response).expect("a response");
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    // A server that stops exports the remaining spans.
    mirror.stop();
    upstream.stop();

    let spans = spans(&received);
    let trace: Vec<&Exported> = spans
        .iter()
        .filter(|it| hex(&it.span.trace_id) == TRACE)
        .collect();
    let route = "/v2/{name}/manifests/{reference}";
    let at_mirror = trace
        .iter()
        .find(|it| it.service == "mirror" && it.span.kind == SpanKind::Server as i32);
    let at_mirror = at_mirror.expect("the span of the pull");
    assert_eq!(hex(&at_mirror.span.parent_span_id), PARENT);
    assert_eq!(at_mirror.span.name, format!("GET {route}"));
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", route),
        ("url.path", "/v2/docker.io/library/hello/manifests/v1"),
        ("http.response.status_code", "200"),
        ("client.address", "127.0.0.1"),
    ] {
        let found = at_mirror.attributes.get(name);
        assert_eq!(found.map(String::as_str), Some(value), "{name}");
    }
    let fetches: Vec<_> = trace
        .iter()
        .filter(|it| it.span.kind == SpanKind::Client as i32)
        .collect();
    assert!(!fetches.is_empty(), "requests to the upstream");
    for fetch in &fetches {
        assert_eq!(fetch.span.parent_span_id, at_mirror.span.span_id);
    }
    let mut at_upstream = trace.iter().filter(|it| it.service == "upstream");
    let continued = at_upstream.any(|it| {
        let parent = &it.span.parent_span_id;
        fetches.iter().any(|fetch| fetch.span.span_id == *parent)
    });
    assert!(continued, "the upstream continues the trace");
    for exported in &spans {
        let shown = format!("{:?}", exported.attributes);
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[test]
fn exports_have_the_headers_of_the_environment() {
    let workplace = Workplace::new();
    let (collector, received) = collector("200 OK");
    let mut served = traced(&workplace, &collector, "registry", &[]);
    get(&served.host(), "/v2/");
    served.stop();
    let request = received.recv().expect("an export");
    assert_eq!(request.head[0], "post /v1/traces http/1.1");
    for header in [
        "x-api-key: secret-key",
        "content-type: application/x-protobuf",
    ] {
        assert!(request.head.iter().any(|line| line == header), "{header}");
    }
}

#[test]
fn a_collector_that_refuses_does_not_stop_the_server() {
    let workplace = Workplace::new();
    let (collector, received) = collector("503 Service Unavailable");
    let mut served = traced(&workplace, &collector, "registry", &[]);
    let host = served.host();
    assert!(get(&host, "/v2/").starts_with("HTTP/1.1 200"));
    received.recv().expect("an attempt");
    assert!(get(&host, "/v2/").starts_with("HTTP/1.1 200"));
    let (code, log) = served.stop();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches("traces cannot be exported").count(), 1, "{log}");
    assert!(!log.contains("secret-key"), "{log}");
}

#[test]
fn variables_that_cannot_be_used_are_reported() {
    let workplace = Workplace::new();
    let mut command = workplace.command(&["serve", "--listen", "127.0.0.1:0"]);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let ran = crate::support::Ran::of(command, b"");
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("http/protobuf"), "{}", ran.stderr);
}
