//! The metrics of the audit log, which its sink counts.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::values::{counter, gauge};
use crate::audit::AuditSink;

/// Reads the state of the sink at each scrape.
#[derive(Debug)]
pub(super) struct AuditMetrics(pub(super) Arc<dyn AuditSink>);

impl Collector for AuditMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let state = self.0.state();
        for (name, help, count) in [
            (
                "audit_records",
                "Audit records that were written",
                state.written,
            ),
            (
                "audit_write_failures",
                "Attempts to write audit records that have failed",
                state.failed,
            ),
            (
                "audit_records_lost",
                "Audit records that were lost",
                state.lost,
            ),
        ] {
            counter(&mut encoder, name, help, count)?;
        }
        gauge(
            &mut encoder,
            "audit_records_queued",
            "Audit records that wait",
            state.queued,
        )?;
        let is_available = u64::from(self.0.is_available());
        let help = "Whether audit records can be written; while this is 0, nothing can be changed";
        gauge(&mut encoder, "audit_available", help, is_available)
    }
}
