//! The metrics of receivers of events, which a sink counts.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::events::{EventSink, ReceiverState};

/// The name and the help of a counter, and its value.
type ReceiverCounter = (&'static str, &'static str, fn(&ReceiverState) -> u64);

/// Reads the state of the receivers at each scrape. The label `endpoint` is the position of the receiver.
#[derive(Debug)]
pub(super) struct Receivers(pub(super) Arc<dyn EventSink>);

impl Collector for Receivers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let receivers = self.0.receivers();
        let counters: [ReceiverCounter; 3] = [
            (
                "events_delivered",
                "Events that a receiver has accepted",
                |receiver| receiver.delivered,
            ),
            (
                "events_failed",
                "Attempts to deliver an event that have failed",
                |receiver| receiver.failed,
            ),
            ("events_dropped", "Events that were given up", |receiver| {
                receiver.dropped
            }),
        ];
        for (name, help, value) in counters {
            let values = receivers.iter().map(value).map(ConstCounter::new);
            family(&mut encoder, name, help, values)?;
        }
        let queued = receivers.iter().map(|receiver| receiver.queued);
        let queued = queued.map(|queued| i64::try_from(queued).unwrap_or(i64::MAX));
        let help = "Events that wait for their delivery";
        family(
            &mut encoder,
            "events_queued",
            help,
            queued.map(ConstGauge::new),
        )
    }
}

/// Encodes the values of all receivers.
fn family(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = impl EncodeMetric>,
) -> fmt::Result {
    let mut values = values.enumerate().peekable();
    let Some((_, first)) = values.peek() else {
        return Ok(());
    };
    let mut metric = encoder.encode_descriptor(name, help, None, first.metric_type())?;
    for (position, value) in values {
        value.encode(metric.encode_family(&[("endpoint", position.to_string())])?)?;
    }
    Ok(())
}
