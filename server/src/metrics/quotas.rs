//! The metrics of quotas.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use tranship::layers::{QuotaUsage, RepositoryQuotas};

/// The name and the help of a gauge, and its value.
type QuotaGauge = (&'static str, &'static str, fn(&QuotaUsage) -> u64);

/// Reads what the repositories of each quota use at each scrape. The label `repository` is the name of the quota.
#[derive(Debug)]
pub(super) struct QuotaMetrics(pub(super) RepositoryQuotas);

impl Collector for QuotaMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let usage = self.0.usage();
        if usage.is_empty() {
            return Ok(());
        }
        let gauges: [QuotaGauge; 2] = [
            (
                "quota_used_bytes",
                "Bytes that the repositories of a quota store",
                |quota| quota.used,
            ),
            (
                "quota_limit_bytes",
                "Bytes that the repositories of a quota may store",
                |quota| quota.limit,
            ),
        ];
        for (name, help, value) in gauges {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for quota in &usage {
                let value = ConstGauge::new(i64::try_from(value(quota)).unwrap_or(i64::MAX));
                let label = [("repository", Arc::clone(&quota.name))];
                value.encode(metric.encode_family(&label)?)?;
            }
        }
        Ok(())
    }
}
