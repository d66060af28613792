//! Metrics by the pattern that matches the repository of a request.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tranship::RepositoryName;

use super::{Outcome, status_label};
use crate::access::NamePattern;

/// The label of repositories that no pattern matches.
const OTHER: &str = "other";

/// The label of a repository: a pattern or [`OTHER`], so that their number is fixed.
pub(crate) type RepositoryLabel = Arc<str>;

type Labels<const N: usize> = [(&'static str, Arc<str>); N];

/// The metrics by patterns of repositories.
#[derive(Debug)]
pub(super) struct RepositoryMetrics {
    patterns: Vec<(NamePattern, RepositoryLabel)>,
    other: RepositoryLabel,
    requests: Family<Labels<3>, Counter>,
    received: Family<Labels<1>, Counter>,
    sent: Family<Labels<1>, Counter>,
}

impl RepositoryMetrics {
    pub(super) fn new(patterns: &[NamePattern], registry: &mut Registry) -> Self {
        let label = |pattern: &NamePattern| (pattern.clone(), pattern.to_string().into());
        let metrics = Self {
            patterns: patterns.iter().map(label).collect(),
            other: OTHER.into(),
            requests: Family::default(),
            received: Family::default(),
            sent: Family::default(),
        };
        registry.register(
            "repository_requests",
            "Requests that are over, by the pattern of the repository",
            metrics.requests.clone(),
        );
        registry.register(
            "repository_received_bytes",
            "Bytes of the bodies of requests, by the pattern of the repository",
            metrics.received.clone(),
        );
        registry.register(
            "repository_sent_bytes",
            "Bytes of the bodies of responses, by the pattern of the repository",
            metrics.sent.clone(),
        );
        metrics
    }

    /// Returns the label of the first pattern that matches `name`.
    pub(super) fn label(&self, name: &RepositoryName) -> RepositoryLabel {
        let mut patterns = self.patterns.iter();
        let found = patterns.find(|(pattern, _)| pattern.matches(name));
        Arc::clone(found.map_or(&self.other, |(_, label)| label))
    }

    /// Counts a request that has ended.
    pub(super) fn end(&self, label: &RepositoryLabel, outcome: &Outcome<'_>) {
        let repository = ("repository", Arc::clone(label));
        let labels = [
            repository.clone(),
            ("endpoint", outcome.endpoint.name().into()),
            ("status", status_label(outcome.status).into()),
        ];
        self.requests.get_or_create(&labels).inc();
        let labels = [repository];
        self.received
            .get_or_create(&labels)
            .inc_by(outcome.received);
        self.sent.get_or_create(&labels).inc_by(outcome.sent);
    }
}
