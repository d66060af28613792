//! Tells tracing and metrics of every call.

use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

use metrics::{SharedString, Unit, counter, describe_counter, describe_histogram, histogram};
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span, debug, debug_span, warn};

use super::intercept::{Intercepted, InterceptedCall, Interceptor, forward_to_intercepted};
use super::{Operation, OperationName};
use crate::*;

const OPERATIONS: &str = "tranship_operations_total";
const DURATION: &str = "tranship_operation_duration_seconds";
const BYTES: &str = "tranship_bytes_total";

/// A repository or registry whose calls are seen in traces, logs and metrics. Needs the feature `observe`.
///
/// Metrics go to the recorder of the crate [`metrics`], and spans and events to the subscriber of the crate
/// [`tracing`], which the program installs; without them this layer only passes calls on.
///
/// | Metric | Type | Labels |
/// |---|---|---|
/// | `tranship_operations_total` | counter | `operation`, `kind`, `outcome` |
/// | `tranship_operation_duration_seconds` | histogram | `operation`, `kind`, `outcome` |
/// | `tranship_bytes_total` | counter | `direction`: `read` or `write` |
///
/// - `operation` is the [name of the operation](OperationName::as_str), such as `read_range`.
/// - `kind` is `blob`, `manifest`, or `none` if the call is not about one kind of content.
/// - `outcome` is `ok`; the [kind of the error](ErrorKind::as_str) in snake case, such as `not_found`; or `dropped`
///   if the caller dropped the future or the listing before its end.
///
/// So the number of time series is bounded. Names of repositories, tags and digests are fields of the spans.
///
/// Each call is a span named `registry_operation` of the level `DEBUG`, with the fields `operation`, `kind`,
/// `repository`, `digest` and `tag`, and ends with an event that has the `outcome` and the `duration_seconds`. That
/// event has the level `DEBUG`, or `WARN` if the call has failed with another error than [`ErrorKind::NotFound`] and
/// [`ErrorKind::Unsupported`], which programs expect. Neither contains secrets: ids of uploads, for example, are left
/// out.
///
/// The duration of a call that opens content ends when it is open; the bytes are counted as they are read. That of a
/// listing is the time from its first item to its end, the pauses that the caller makes included. Bytes are counted as
/// written when a push has stored them, and when a piece of an upload has arrived.
///
/// ```
/// use tranship::layers::Observe;
/// use tranship::prelude::*;
/// # use tranship_memory::MemoryRepository;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// // metrics_exporter_prometheus::PrometheusBuilder::new().install()?;
/// let repository = Observe::new(MemoryRepository::new());
/// tranship::push_bytes(&repository, tranship::MediaType::OCTET_STREAM, "hello").await?;
/// // tranship_operations_total{operation="write",kind="blob",outcome="ok"} 1
/// // tranship_bytes_total{direction="write"} 5
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Observe<T>(Intercepted<T, Observer>);

impl<T> Observe<T> {
    /// Wraps `inner`, a backend or a registry, and describes the metrics to the recorder that is installed.
    pub fn new(inner: T) -> Self {
        describe_counter!(OPERATIONS, "Calls of repositories and registries.");
        describe_histogram!(
            DURATION,
            Unit::Seconds,
            "How long calls of repositories and registries take."
        );
        describe_counter!(BYTES, Unit::Bytes, "Bytes of content read and written.");
        Self(Intercepted::new(inner, Observer))
    }
}

forward_to_intercepted!(Observe);

#[derive(Debug)]
struct Observer;

impl Interceptor for Observer {
    type Call = Observed;

    async fn begin(&self, operation: Operation) -> Result<Observed> {
        let kind = match operation.kind {
            Some(ContentKind::Blob) => "blob",
            Some(ContentKind::Manifest) => "manifest",
            None => "none",
        };
        let span = debug_span!(
            "registry_operation",
            operation = operation.name.as_str(),
            kind,
            repository = Empty,
            digest = Empty,
            tag = Empty,
        );
        record(&span, "repository", operation.repository.as_ref());
        record(&span, "digest", operation.digest.as_ref());
        record(&span, "tag", operation.tag.as_ref());
        Ok(Observed {
            name: operation.name,
            kind,
            span,
            start: Instant::now(),
            ended: false,
        })
    }
}

fn record(span: &Span, field: &str, value: Option<impl fmt::Display>) {
    if let Some(value) = value {
        span.record(field, display(value));
    }
}

/// A call in progress. Dropping it counts it as dropped.
struct Observed {
    name: OperationName,
    kind: &'static str,
    span: Span,
    start: Instant,
    ended: bool,
}

impl InterceptedCall for Observed {
    async fn run<F: Future<Output: Send> + Send>(&mut self, inner: F) -> F::Output {
        inner.instrument(self.span.clone()).await
    }

    fn open(mut self, body: Body, _: u64) -> Body {
        self.end("ok", None);
        let bytes = counter!(BYTES, "direction" => "read");
        body.inspect(move |read| bytes.increment(read))
    }

    fn succeed(mut self, written: u64) {
        self.end("ok", None);
        if written > 0 {
            counter!(BYTES, "direction" => "write").increment(written);
        }
    }

    fn fail(mut self, error: Error) -> Error {
        self.end(snake_case(error.kind()), Some(&error));
        error
    }
}

impl Observed {
    fn end(&mut self, outcome: impl Into<Cow<'static, str>>, error: Option<&Error>) {
        self.ended = true;
        let (outcome, duration) = (outcome.into(), self.start.elapsed().as_secs_f64());
        let _entered = self.span.enter();
        match error {
            Some(error) if !error.is_not_found() && !error.is_unsupported() => {
                warn!(outcome = &*outcome, duration_seconds = duration, %error, "failed");
            }
            Some(error) => {
                debug!(outcome = &*outcome, duration_seconds = duration, %error, "failed");
            }
            None => debug!(outcome = &*outcome, duration_seconds = duration, "ended"),
        }
        let labels = [
            ("operation", SharedString::const_str(self.name.as_str())),
            ("kind", SharedString::const_str(self.kind)),
            ("outcome", SharedString::from(outcome)),
        ];
        counter!(OPERATIONS, &labels).increment(1);
        histogram!(DURATION, &labels).record(duration);
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if !self.ended {
            self.end("dropped", None);
        }
    }
}

fn snake_case(kind: ErrorKind) -> Cow<'static, str> {
    match kind {
        ErrorKind::Io => "io".into(),
        _ => kind.as_str().replace(' ', "_").into(),
    }
}
