//! How long requests take, for `GET /metrics`: the halves' spans as histograms of Prometheus, in seconds.

use core::fmt;

use hovercraft::spans::{BOUNDS, Histogram, Span, bound};
use hovercraft_config::Mode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::handle::Handle;

/// The spans of a request by the step that ends them.
const PHASES: [(&str, Span); 4] = [
    ("complete", Span::Complete),
    ("ordered", Span::Ordered),
    ("committed", Span::Committed),
    ("answered", Span::Answered),
];

const REQUEST: &str = "Time of a request until the phase: until complete (several packets) and ordered since its first packet, \
                       until committed and answered since it was in this node's log";
const APPLY: &str = "Time of one execution by the service, its answer included";
const ROUND_TRIP: &str = "Time from this leader to a member and back, by the answers to its rounds";

/// All of them.
pub(super) fn encode(
    handle: &Handle,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let mut request = describe(encoder, "request_duration", REQUEST)?;
    for (phase, span) in PHASES {
        let label = [("phase", phase)];
        histogram(&mut request.encode_family(&label)?, &read(handle, span))?;
    }
    let mut apply = describe(encoder, "apply_duration", APPLY)?;
    histogram(&mut apply, &read(handle, Span::Applied))?;
    let plan = handle.plan();
    let replicated = plan.group.mode != Mode::Unreplicated;
    let others = plan.group.members.iter().map(|member| member.id);
    let mut round_trips = describe(encoder, "peer_rtt", ROUND_TRIP)?;
    for peer in others.filter(|&id| replicated && id != plan.member.id) {
        let label = [("peer", peer.number().to_string())];
        let round_trip = read(handle, Span::RoundTrip(peer));
        histogram(&mut round_trips.encode_family(&label)?, &round_trip)?;
    }
    Ok(())
}

/// What the threads counted together: each span is measured on one of them.
fn read(handle: &Handle, span: Span) -> Histogram {
    let threads = handle.boards().spans.iter().map(|reader| reader.read(span));
    threads.fold(Histogram::default(), |all, one| all.and(&one))
}

fn describe<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)
}

fn histogram(metric: &mut MetricEncoder<'_>, counted: &Histogram) -> Result<(), fmt::Error> {
    // The encoder adds the counts up.
    let bounds = (0..BOUNDS).map(|place| bound(place).as_secs_f64()).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(counted.counts).collect();
    let sum = counted.sum.as_secs_f64();
    metric.encode_histogram::<[(&str, &str); 0]>(sum, counted.count(), &buckets, None)
}

#[cfg(test)]
mod tests;
