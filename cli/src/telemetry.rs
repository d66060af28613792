//! Traces that are exported by OTLP over HTTP, as the standard variables of OpenTelemetry say.

use std::env;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer as _, Registry};
use tranship::{Error, ErrorKind, Result, blocking};

use crate::log::SpanLayer;

/// How long the last spans may take to be exported when the program ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time between two lines of the log about exports that fail.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);

/// How long an export may take, if the environment does not say.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The largest response of a collector that is read, in bytes.
const MAX_RESPONSE: usize = 64 * 1024;

/// The export of traces. Spans are exported on a thread, and lost if it cannot keep up.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to export, if the environment has an endpoint; `None` otherwise.
    ///
    /// # Errors
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if a variable cannot be understood.
    /// - [`Unsupported`](ErrorKind::Unsupported) for a protocol other than HTTP with protobuf.
    pub(crate) fn begin() -> Result<Option<Self>> {
        let endpoint = first_of([
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ]);
        let is_off = first_of(["OTEL_SDK_DISABLED"])
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || first_of(["OTEL_TRACES_EXPORTER"]).is_some_and(|name| name == "none");
        if endpoint.is_none() || is_off {
            return Ok(None);
        }
        check_protocol()?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender::new()?)
            .with_protocol(Protocol::HttpBinary)
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::InvalidInput, "the variables OTEL_* are invalid")
                    .with_source(error)
            })?;
        let mut resource = Resource::builder();
        let named = first_of(["OTEL_RESOURCE_ATTRIBUTES"]).unwrap_or_default();
        if first_of(["OTEL_SERVICE_NAME"]).is_none() && !named.contains("service.name=") {
            resource = resource.with_service_name("tranship");
        }
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.with_attribute(version).build())
            .build();
        global::set_text_map_propagator(TraceContextPropagator::new());
        Ok(Some(Self(provider)))
    }

    /// Returns the layer that exports the spans of requests.
    pub(crate) fn layer(&self) -> SpanLayer {
        let exported = tracing_opentelemetry::layer::<Registry>()
            .with_tracer(self.0.tracer("tranship"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        let is_request = filter_fn(|what| {
            what.is_span()
                && matches!(
                    what.target(),
                    "tranship_server::request" | "tranship_remote::request"
                )
        })
        .with_max_level_hint(LevelFilter::DEBUG);
        Box::new(exported.with_filter(is_request))
    }

    /// Exports the spans that have ended, and waits for that for some seconds.
    pub(crate) async fn shutdown(self) {
        let ended = blocking::run(move || {
            let ended = self.0.shutdown_with_timeout(PATIENCE);
            ended.map_err(|error| Error::io("the last traces are not exported", error_text(&error)))
        });
        if let Err(error) = ended.await {
            tracing::warn!(%error, "traces are lost");
        }
    }
}

fn error_text(error: &dyn std::error::Error) -> std::io::Error {
    std::io::Error::other(error.to_string())
}

/// Returns the first of the variables that is set and not empty, as the specification says.
fn first_of<const N: usize>(names: [&str; N]) -> Option<String> {
    let mut values = names.into_iter().filter_map(|name| env::var(name).ok());
    values.find(|value| !value.is_empty())
}

fn check_protocol() -> Result<()> {
    let protocol = first_of([
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
    ]);
    match protocol.as_deref() {
        None | Some("http/protobuf") => Ok(()),
        Some(other) => {
            let other = tranship::Printable(other);
            let message = format!("traces are not exported by the OTLP protocol {other}");
            Err(Error::unsupported(message).with_hint(
                "set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf, and the endpoint to a port for HTTP, usually 4318",
            ))
        }
    }
}

/// Sends spans to the collector, and warns when that fails.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    /// The exporter has a thread that is not one of the runtime.
    runtime: Handle,
    warned: Mutex<Option<Instant>>,
}

impl Sender {
    fn new() -> Result<Self> {
        tranship_backends::ensure_tls_provider()?;
        let client = reqwest::Client::builder()
            .user_agent(concat!("tranship/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(timeout()?)
            .build()
            .map_err(|error| {
                let message = "traces cannot be sent";
                Error::new(ErrorKind::InvalidInput, message).with_source(error.without_url())
            })?;
        Ok(Self {
            client,
            runtime: Handle::current(),
            warned: Mutex::default(),
        })
    }

    /// Warns, at most once a minute.
    fn warn(&self, problem: &str) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|at| at.elapsed() >= BETWEEN_WARNINGS) {
            *warned = Some(Instant::now());
            tracing::warn!("traces cannot be exported: {problem}");
        }
    }
}

fn timeout() -> Result<Duration> {
    let set = first_of([
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
    ]);
    let Some(set) = set else { return Ok(TIMEOUT) };
    let milliseconds = set.parse().map_err(|error| {
        let message = "OTEL_EXPORTER_OTLP_TIMEOUT is not a number of milliseconds";
        Error::new(ErrorKind::InvalidInput, message).with_source(error)
    })?;
    Ok(Duration::from_millis(milliseconds))
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sending = send(self.client.clone(), request);
        let outcome = match self.runtime.spawn(sending).await {
            Ok(outcome) => outcome,
            Err(_) => Err("the program ends".to_owned()),
        };
        match &outcome {
            Ok(response) if !response.status().is_success() => {
                let status = response.status();
                self.warn(&format!("the collector responds with {status}"));
            }
            Ok(_) => {}
            Err(problem) => self.warn(problem),
        }
        outcome.map_err(Into::into)
    }
}

/// Sends one request. An error is a text without the URL, which may have a secret.
async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
    let text = |error: reqwest::Error| {
        let error = error.without_url();
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(next) = cause {
            text = format!("{text}: {next}");
            cause = next.source();
        }
        text
    };
    let request = request.try_into().map_err(text)?;
    let mut response = client.execute(request).await.map_err(text)?;
    let mut received = Response::builder().status(response.status());
    if let Some(headers) = received.headers_mut() {
        headers.extend(response.headers().clone());
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(text)? {
        if body.len() + piece.len() > MAX_RESPONSE {
            return Err("the response of the collector is too large".to_owned());
        }
        body.extend_from_slice(&piece);
    }
    received
        .body(body.into())
        .map_err(|error| error.to_string())
}
