//! The metrics of garbage collection, which a program does beside the server.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How a run of garbage collection has ended.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcOutcome {
    /// The garbage of every repository was collected.
    Success,
    /// At least one repository was left out because of an error.
    Failure,
}

/// Runs of garbage collection.
#[derive(Debug, Default)]
pub(super) struct GcMetrics {
    runs: Family<[(&'static str, &'static str); 1], Counter>,
    freed: Counter,
    last_success: Gauge,
}

impl GcMetrics {
    /// Creates the metrics and gives them their names.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "gc_runs",
            "Runs of garbage collection",
            metrics.runs.clone(),
        );
        registry.register(
            "gc_freed_bytes",
            "Bytes that garbage collection has freed",
            metrics.freed.clone(),
        );
        registry.register(
            "gc_last_success_timestamp_seconds",
            "When garbage collection last succeeded, in seconds since 1970; 0 for never",
            metrics.last_success.clone(),
        );
        metrics
    }

    pub(super) fn count(&self, outcome: GcOutcome, freed: u64) {
        let label = match outcome {
            GcOutcome::Success => "success",
            GcOutcome::Failure => "failure",
        };
        self.runs.get_or_create(&[("outcome", label)]).inc();
        self.freed.inc_by(freed);
        if outcome == GcOutcome::Success {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let seconds = now.map_or(0, |now| now.as_secs());
            self.last_success
                .set(i64::try_from(seconds).unwrap_or(i64::MAX));
        }
    }
}
