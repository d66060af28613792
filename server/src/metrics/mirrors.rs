//! The metrics of mirrors, which their cache counts.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::gauge::ConstGauge;

use super::values::{counter, gauge};
use crate::mirrors::Mirrors;

/// Reads the counts of the mirrors at each scrape. A change of the settings may replace the mirrors, and their counts
/// begin anew then.
#[derive(Debug, Clone, Default)]
pub(super) struct MirrorMetrics(Arc<Mutex<Option<Arc<Mirrors>>>>);

impl MirrorMetrics {
    /// Sets the mirrors of the next scrape.
    pub(super) fn set(&self, mirrors: Option<Arc<Mirrors>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = mirrors;
    }
}

impl Collector for MirrorMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mirrors = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(mirrors) = mirrors else {
            return Ok(());
        };
        let stats = mirrors.stats();
        for (name, help, count) in [
            (
                "mirror_hits",
                "Reads of content that was stored",
                stats.hits,
            ),
            (
                "mirror_misses",
                "Reads of content that had to be fetched",
                stats.misses,
            ),
            (
                "mirror_stale",
                "Tags that were resolved without their registry, which was down",
                stats.stale,
            ),
            (
                "mirror_evictions",
                "Pieces of content that were deleted to make room",
                stats.evicted,
            ),
        ] {
            counter(&mut encoder, name, help, count)?;
        }
        let help = "Whether a mirrored registry is left alone since it could not be reached";
        let kind = ConstGauge::<i64>::new(0).metric_type();
        let mut down = encoder.encode_descriptor("mirror_down", help, None, kind)?;
        for (host, is_down) in mirrors.circuits() {
            let labels = [("registry", host)];
            ConstGauge::new(i64::from(is_down)).encode(down.encode_family(&labels)?)?;
        }
        let help = "Bytes of the content that may be deleted to make room";
        gauge(&mut encoder, "mirror_stored_bytes", help, stats.bytes)
    }
}
