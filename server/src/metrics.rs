//! Counts of what happens, as Prometheus reads them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};

use crate::route::Endpoint;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"];

/// Status 0 stands for a client that hung up before there was an answer.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The upper ends of the buckets of durations, in seconds.
const BUCKETS: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 300.0];

const COUNTERS: usize = Endpoint::ALL.len() * METHODS.len() * CLASSES.len();

/// What one server counts. No lock, and nothing grows with what clients send.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: [AtomicU64; COUNTERS],
    durations: [Histogram; Endpoint::ALL.len()],
    in_flight: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS.len() + 1],
    microseconds: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: [const { AtomicU64::new(0) }; COUNTERS],
            durations: Default::default(),
            in_flight: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }
}

/// What is known of a request when it is over.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: &'a Method,
    pub(crate) status: Option<StatusCode>,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) took: Duration,
}

impl Metrics {
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self, outcome: &Outcome<'_>) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let counter = position(
            outcome.endpoint as usize,
            method_number(outcome.method),
            class_number(outcome.status),
        );
        if let Some(counter) = self.requests.get(counter) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(histogram) = self.durations.get(outcome.endpoint as usize) {
            histogram.add(outcome.took);
        }
        self.received.fetch_add(outcome.received, Ordering::Relaxed);
        self.sent.fetch_add(outcome.sent, Ordering::Relaxed);
    }

    /// The text that Prometheus reads.
    pub(crate) fn text(&self, uploads: usize) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text, uploads);
        text
    }

    fn write(&self, text: &mut String, uploads: usize) -> std::fmt::Result {
        begin(text, "requests_total", "counter", "Requests that are over.")?;
        for endpoint in Endpoint::ALL {
            for (method_number, method) in METHODS.iter().enumerate() {
                for (class_number, class) in CLASSES.iter().enumerate() {
                    let at = position(endpoint as usize, method_number, class_number);
                    let count = self.requests.get(at).map_or(0, load);
                    if count > 0 {
                        writeln!(
                            text,
                            "tranship_requests_total{{endpoint=\"{}\",method=\"{method}\",status=\"{class}\"}} {count}",
                            endpoint.name()
                        )?;
                    }
                }
            }
        }
        let help = "How long requests took, to the last byte of the answer.";
        begin(text, "request_duration_seconds", "histogram", help)?;
        for endpoint in Endpoint::ALL {
            if let Some(histogram) = self.durations.get(endpoint as usize) {
                histogram.write(text, endpoint.name())?;
            }
        }
        let simple = [
            (
                "requests_in_flight",
                "gauge",
                "Requests under way.",
                load(&self.in_flight),
            ),
            (
                "received_bytes_total",
                "counter",
                "Bytes of the bodies of requests.",
                load(&self.received),
            ),
            (
                "sent_bytes_total",
                "counter",
                "Bytes of the bodies of answers.",
                load(&self.sent),
            ),
            (
                "uploads_open",
                "gauge",
                "Uploads that are open here.",
                uploads as u64,
            ),
        ];
        for (name, kind, help, value) in simple {
            begin(text, name, kind, help)?;
            writeln!(text, "tranship_{name} {value}")?;
        }
        Ok(())
    }
}

impl Histogram {
    fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS.iter().position(|end| seconds <= *end);
        if let Some(bucket) = self.buckets.get(bucket.unwrap_or(BUCKETS.len())) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    fn write(&self, text: &mut String, endpoint: &str) -> std::fmt::Result {
        const NAME: &str = "tranship_request_duration_seconds";
        let mut count = 0;
        let ends = BUCKETS.iter().map(ToString::to_string);
        for (bucket, end) in self.buckets.iter().zip(ends.chain(["+Inf".to_owned()])) {
            count += load(bucket);
            writeln!(
                text,
                "{NAME}_bucket{{endpoint=\"{endpoint}\",le=\"{end}\"}} {count}"
            )?;
        }
        let seconds = Duration::from_micros(load(&self.microseconds)).as_secs_f64();
        writeln!(text, "{NAME}_sum{{endpoint=\"{endpoint}\"}} {seconds}")?;
        writeln!(text, "{NAME}_count{{endpoint=\"{endpoint}\"}} {count}")
    }
}

fn begin(text: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(text, "# HELP tranship_{name} {help}")?;
    writeln!(text, "# TYPE tranship_{name} {kind}")
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn position(endpoint: usize, method: usize, class: usize) -> usize {
    (endpoint * METHODS.len() + method) * CLASSES.len() + class
}

fn method_number(method: &Method) -> usize {
    let known = METHODS.iter().position(|name| *name == method.as_str());
    known.unwrap_or(METHODS.len() - 1)
}

fn class_number(status: Option<StatusCode>) -> usize {
    let class = status.map_or(0, |status| usize::from(status.as_u16() / 100));
    class.min(CLASSES.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_once_where_it_belongs() {
        let metrics = Metrics::default();
        metrics.begin();
        metrics.begin();
        metrics.end(&Outcome {
            endpoint: Endpoint::Blob,
            method: &Method::GET,
            status: Some(StatusCode::OK),
            received: 0,
            sent: 7,
            took: Duration::from_millis(3),
        });
        let text = metrics.text(4);
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
