//! `GET /metrics`: what the threads publish, in the text form of Prometheus and OpenMetrics.
//!
//! Every total that a thread publishes is here: the ones of [`COUNTERS`] under names of their own, any other as
//! `hovercraft_events_total`, by its name.

use core::fmt;

use hovercraft::replica::Role;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::histograms;
use super::http::{Answer, Content, Status};
use super::metric_names::{BACKEND_GAUGES, COUNTERS, Counter, GAUGES};
use crate::board::Numbers;
use crate::handle::Handle;
use crate::network::{PEER, UNKNOWN};
use crate::words;

/// The whole text.
pub(super) fn answer(handle: &Handle) -> Answer {
    text_of("hovercraft", Snapshot::of(handle.clone()))
}

/// What a collector collects, under names with this prefix.
pub(crate) fn text_of(prefix: &str, collector: impl Collector) -> Answer {
    let mut registry = Registry::with_prefix(prefix);
    registry.register_collector(Box::new(collector));
    let mut text = String::with_capacity(16 << 10);
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => {
            Answer { status: Status::Ok, content: Content::OpenMetrics, body: text.into_bytes() }
        }
        Err(error) => Answer::text(Status::ServiceUnavailable, &error.to_string()),
    }
}

/// One moment of a node, as its threads last published it.
#[derive(Debug)]
struct Snapshot {
    handle: Handle,
    network: Numbers,
    application: Numbers,
}

impl Snapshot {
    fn of(handle: Handle) -> Self {
        let boards = handle.boards();
        let (network, application) = (boards.network.read(), boards.application.read());
        Self { handle, network, application }
    }

    /// Of the thread that a table names.
    fn numbers(&self, thread: &str) -> &Numbers {
        if thread == "network" { &self.network } else { &self.application }
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.node(&mut encoder)?;
        let has = |number| self.network.iter().any(|(name, _)| name == number);
        let of_this_backend = BACKEND_GAUGES.iter().filter(|gauge| has(gauge.number));
        for gauge in GAUGES.iter().chain(of_this_backend) {
            let value = self.network.get(gauge.number);
            let mut metric = describe(&mut encoder, gauge.name, gauge.help, MetricType::Gauge)?;
            metric.encode_gauge(&value)?;
        }
        self.peers(&mut encoder)?;
        for family in COUNTERS {
            let kind = MetricType::Counter;
            let mut metric = describe(&mut encoder, family.name, family.help, kind)?;
            for Counter { thread, total, labels } in family.counters {
                let value = self.numbers(thread).get(total);
                match labels {
                    [] => count(&mut metric, value)?,
                    labels => count(&mut metric.encode_family(labels)?, value)?,
                }
            }
        }
        histograms::encode(&self.handle, &mut encoder)?;
        self.others(&mut encoder)
    }
}

impl Snapshot {
    /// What the node is, and whether its threads turn.
    fn node(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let plan = self.handle.plan();
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        one(encoder, "build_info", "The program", &build)?;
        let info = [
            ("group", &*plan.group.name),
            ("mode", words::mode(plan.group.mode)),
            ("service", &*plan.group.service),
            ("threads", words::threads(plan.group.node.threads)),
            ("idle", words::idle(plan.group.node.idle)),
        ];
        one(
            encoder,
            "node_info",
            "How it was started; the mode is how requests are replicated",
            &info,
        )?;
        let uptime = self.handle.uptime().as_secs_f64();
        seconds(encoder, "uptime", "Time since the start")?.encode_gauge(&uptime)?;
        let mut ages =
            seconds(encoder, "thread_turn_age", "Time since a thread's last turn began")?;
        for (name, age) in self.handle.threads() {
            let label = [("thread", name)];
            ages.encode_family(&label)?.encode_gauge(&age.as_secs_f64())?;
        }
        let serving = u64::from(self.handle.is_serving());
        let text = "1 while the service executes, 0 after a panic that ended it";
        describe(encoder, "service_serving", text, MetricType::Gauge)?.encode_gauge(&serving)?;
        let text = "1 for the role that the node has";
        let mut roles = describe(encoder, "role", text, MetricType::Gauge)?;
        let now = self.network.get("role");
        for role in Role::ALL {
            let label = [("role", role.name())];
            roles.encode_family(&label)?.encode_gauge(&u64::from(now == role as u64))?;
        }
        let has_leader = u64::from(self.network.get("leader") != 0);
        let text = "1 while a leader is known";
        describe(encoder, "has_leader", text, MetricType::Gauge)?.encode_gauge(&has_leader)?;
        let text = "Seconds of log time, the cluster's only clock";
        #[expect(clippy::cast_precision_loss, reason = "microseconds of centuries fit")]
        let log_time = self.network.get("log_time_us") as f64 / 1e6;
        seconds(encoder, "log_time", text)?.encode_gauge(&log_time)
    }

    /// The leader's view of each member that has reported in its term.
    fn peers(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let column = |name: &'static str| {
            let found = self.network.iter().filter(move |(known, _)| *known == name);
            found.map(|(_, value)| value)
        };
        let last = self.network.get("last");
        let peers = column(PEER[0]).zip(column(PEER[1])).zip(column(PEER[2])).enumerate();
        let peers: Vec<_> = peers.filter(|(_, ((depth, _), _))| *depth != UNKNOWN).collect();
        let mut family = |name, help, value: &dyn Fn(u64, u64, u64) -> u64| {
            let mut metric = describe(encoder, name, help, MetricType::Gauge)?;
            for &(id, ((depth, applied), matched)) in &peers {
                let label = [("peer", id.to_string())];
                metric.encode_family(&label)?.encode_gauge(&value(depth, applied, matched))?;
            }
            Ok(())
        };
        let text = "Entries that a member has yet to execute, as its leader counts them";
        family("replier_queue_depth", text, &|depth, _, _| depth)?;
        let text = "Entries of the leader's log that a member is not known to have";
        family("peer_lag_entries", text, &|_, _, matched| last.saturating_sub(matched))?;
        let text = "How far a member said that it has applied";
        family("peer_applied_index", text, &|_, applied, _| applied)
    }

    /// Totals without a name of their own.
    fn others(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let text = "Other things that happened; hovercraft-ctl status --json has the same names";
        let mut metric = describe(encoder, "events", text, MetricType::Counter)?;
        for (thread, numbers) in [("network", &self.network), ("application", &self.application)] {
            for (event, value) in numbers.iter().filter(|(name, _)| !is_named(thread, name)) {
                let labels = [("thread", thread), ("event", event)];
                count(&mut metric.encode_family(&labels)?, value)?;
            }
        }
        Ok(())
    }
}

/// Whether a number of this thread has a metric of its own.
fn is_named(thread: &str, number: &str) -> bool {
    let own = ["role", "leader", "log_time_us"].contains(&number) || PEER.contains(&number);
    let counters = || COUNTERS.iter().flat_map(|family| family.counters);
    let gauge = thread == "network"
        && (own || GAUGES.iter().chain(BACKEND_GAUGES).any(|gauge| gauge.number == number));
    gauge || counters().any(|counter| (counter.thread, counter.total) == (thread, number))
}

pub(crate) fn describe<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
    kind: MetricType,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, None, kind)
}

/// A gauge whose name ends with its unit.
pub(crate) fn seconds<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)
}

/// A gauge that is 1, and says what it has to say by its labels.
pub(crate) fn one(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    labels: &impl EncodeLabelSet,
) -> Result<(), fmt::Error> {
    let mut metric = describe(encoder, name, help, MetricType::Gauge)?;
    metric.encode_family(labels)?.encode_gauge(&1_u64)
}

pub(crate) fn count(metric: &mut MetricEncoder<'_>, value: u64) -> Result<(), fmt::Error> {
    metric.encode_counter::<[(&str, &str); 0], _, u64>(&value, None)
}

#[cfg(test)]
pub(super) mod tests;
