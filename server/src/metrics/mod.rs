//! The metrics of a server, in the text format of Prometheus.

mod audit;
mod garbage;
mod mirrors;
mod quotas;
mod receivers;
mod repositories;
mod values;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tranship::RepositoryName;

use crate::endpoint::Endpoint;
use crate::mirrors::Mirrors;
use crate::options::ServerOptions;
use audit::AuditMetrics;
use garbage::GcMetrics;
pub use garbage::GcOutcome;
use mirrors::MirrorMetrics;
use quotas::QuotaMetrics;
use receivers::Receivers;
pub(crate) use repositories::RepositoryLabel;
use repositories::RepositoryMetrics;

/// The `Content-Type` of [`Metrics::encode`].
pub(crate) use prometheus_text::CONTENT_TYPE;

/// The upper bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 300.0];

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The metrics of one server. All labels have a fixed set of values, so that clients cannot make them grow.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Labels<3>, Counter>,
    durations: Family<Labels<1>, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    received: Counter,
    sent: Counter,
    uploads: Gauge,
    repositories: Option<RepositoryMetrics>,
    garbage: GcMetrics,
    mirrors: MirrorMetrics,
}

impl Metrics {
    pub(crate) fn new(options: &ServerOptions) -> Self {
        let mut registry = Registry::with_prefix("tranship");
        let mut metrics = Self {
            garbage: GcMetrics::new(&mut registry),
            registry,
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
            received: Counter::default(),
            sent: Counter::default(),
            uploads: Gauge::default(),
            repositories: None,
            mirrors: MirrorMetrics::default(),
        };
        // A rate can be computed from the first scrape on if every histogram exists.
        for endpoint in Endpoint::ALL {
            drop(
                metrics
                    .durations
                    .get_or_create(&[("endpoint", endpoint.name())]),
            );
        }
        if !options.metrics_patterns.is_empty() {
            let patterns = &options.metrics_patterns;
            let repositories = RepositoryMetrics::new(patterns, &mut metrics.registry);
            metrics.repositories = Some(repositories);
        }
        if let Some(sink) = &options.events {
            let receivers = Receivers(sink.clone());
            metrics.registry.register_collector(Box::new(receivers));
        }
        if let Some(quotas) = &options.quotas {
            let quotas = QuotaMetrics(quotas.clone());
            metrics.registry.register_collector(Box::new(quotas));
        }
        if let Some(audit) = &options.audit {
            let audit = AuditMetrics(audit.sink.clone());
            metrics.registry.register_collector(Box::new(audit));
        }
        let mirrors = metrics.mirrors.clone();
        metrics.registry.register_collector(Box::new(mirrors));
        metrics.registered()
    }
}

/// The facts of a request that has ended.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) endpoint: Endpoint,
    /// `None` if the request is not one of a repository, or repositories are not counted.
    pub(crate) repository: Option<&'a RepositoryLabel>,
    pub(crate) method: &'a Method,
    /// `None` if the client closed the connection before there was a response.
    pub(crate) status: Option<StatusCode>,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) took: Duration,
}

impl Metrics {
    /// Gives every metric its name. The library adds `_total` to those of counters, and a full stop to each help.
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("requests", "Requests that are over", self.requests.clone());
        registry.register(
            "request_duration_seconds",
            "How long requests took, to the last byte of the response",
            self.durations.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests under way",
            self.in_flight.clone(),
        );
        registry.register(
            "received_bytes",
            "Bytes of the bodies of requests",
            self.received.clone(),
        );
        registry.register(
            "sent_bytes",
            "Bytes of the bodies of responses",
            self.sent.clone(),
        );
        registry.register(
            "uploads_open",
            "Uploads that are open here",
            self.uploads.clone(),
        );
        self
    }

    /// Counts a request that begins.
    pub(crate) fn begin(&self) {
        self.in_flight.inc();
    }

    /// Counts a request that has ended.
    pub(crate) fn end(&self, outcome: &Outcome<'_>) {
        self.in_flight.dec();
        let endpoint = ("endpoint", outcome.endpoint.name());
        let labels = [
            endpoint,
            ("method", method_label(outcome.method)),
            ("status", status_label(outcome.status)),
        ];
        self.requests.get_or_create(&labels).inc();
        let duration = outcome.took.as_secs_f64();
        self.durations.get_or_create(&[endpoint]).observe(duration);
        self.received.inc_by(outcome.received);
        self.sent.inc_by(outcome.sent);
        if let (Some(label), Some(repositories)) = (outcome.repository, &self.repositories) {
            repositories.end(label, outcome);
        }
    }

    /// Counts a run of garbage collection.
    pub(crate) fn count_gc(&self, outcome: GcOutcome, freed: u64) {
        self.garbage.count(outcome, freed);
    }

    /// Returns the label by which requests of the repository `name` are counted; `None` if they are not.
    pub(crate) fn repository_label(&self, name: &RepositoryName) -> Option<RepositoryLabel> {
        Some(self.repositories.as_ref()?.label(name))
    }

    /// Returns all metrics as text of the type [`CONTENT_TYPE`]. `uploads` is the number of open uploads.
    pub(crate) fn encode(&self, uploads: usize, mirrors: Option<Arc<Mirrors>>) -> String {
        self.mirrors.set(mirrors);
        self.uploads.set(i64::try_from(uploads).unwrap_or(i64::MAX));
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

fn method_label(method: &Method) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
        .into_iter()
        .find(|name| *name == method.as_str())
        .unwrap_or("other")
}

fn status_label(status: Option<StatusCode>) -> &'static str {
    match status.map(|status| status.as_u16() / 100) {
        None => "none",
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(_) => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_success_of_garbage_collection_has_a_time() {
        let metrics = Metrics::new(&ServerOptions::default());
        let never = "tranship_gc_last_success_timestamp_seconds 0";
        metrics.count_gc(GcOutcome::Failure, 3);
        assert!(metrics.encode(0, None).lines().any(|line| line == never));
        metrics.count_gc(GcOutcome::Success, 4);
        let text = metrics.encode(0, None);
        assert!(!text.lines().any(|line| line == never));
        for line in [
            "tranship_gc_runs_total{outcome=\"failure\"} 1",
            "tranship_gc_runs_total{outcome=\"success\"} 1",
            "tranship_gc_freed_bytes_total 7",
        ] {
            assert!(text.lines().any(|each| each == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_request_is_counted_once() {
        let metrics = Metrics::new(&ServerOptions::default());
        metrics.begin();
        metrics.begin();
        metrics.end(&Outcome {
            endpoint: Endpoint::Blob,
            repository: None,
            method: &Method::GET,
            status: Some(StatusCode::OK),
            received: 0,
            sent: 7,
            took: Duration::from_millis(3),
        });
        let text = metrics.encode(4, None);
        for line in [
            "tranship_requests_total{endpoint=\"blob\",method=\"GET\",status=\"2xx\"} 1",
            "tranship_request_duration_seconds_bucket{endpoint=\"blob\",le=\"0.001\"} 0",
            "tranship_request_duration_seconds_bucket{endpoint=\"blob\",le=\"0.005\"} 1",
            "tranship_request_duration_seconds_bucket{endpoint=\"blob\",le=\"+Inf\"} 1",
            "tranship_request_duration_seconds_count{endpoint=\"blob\"} 1",
            "tranship_requests_in_flight 1",
            "tranship_sent_bytes_total 7",
            "tranship_uploads_open 4",
        ] {
            assert!(text.lines().any(|each| each == line), "{line} in\n{text}");
        }
        assert_eq!(text.matches("tranship_requests_total{").count(), 1);
    }
}
