//! What the switch tells: `/metrics` and `/livez`, read from what its thread publishes.

use core::fmt;
use core::time::Duration;
use std::io::{self, Write};
use std::sync::Arc;

use dataplane::clock::Clock;
use dataplane::dpdk::forward::LegCounters;
use dataplane::dpdk::port::PortWatch;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use crate::admin::http::{Answer, Request, Respond, Status, write};
use crate::admin::metrics::{count, describe, one, seconds, text_of};
use crate::admin::routes::health;
use crate::board::{Board, Publisher};
use crate::health::Check;

/// How long the switch's thread may take for a turn.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// What is published of the whole.
const ADDRESSES: &str = "addresses";

/// What a switch's thread publishes, for readers. Copies read the same.
#[derive(Clone, Debug)]
pub(super) struct Reports {
    clock: Clock,
    whole: Arc<Board>,
    ports: Vec<PortReport>,
}

#[derive(Clone, Debug)]
struct PortReport {
    name: String,
    board: Arc<Board>,
    watch: PortWatch,
}

/// The writing end.
#[derive(Debug)]
pub(super) struct Publishers {
    whole: Publisher,
    ports: Vec<Publisher>,
}

/// Boards for a switch whose ports have these names.
pub(super) fn boards(clock: Clock, ports: Vec<(String, PortWatch)>) -> (Publishers, Reports) {
    let board = |names: &[&'static str]| Board::with(vec![], names.iter().copied(), clock.now());
    let whole = board(&[ADDRESSES]);
    let ports: Vec<PortReport> = ports
        .into_iter()
        .map(|(name, watch)| PortReport { name, board: board(&LegCounters::NAMES), watch })
        .collect();
    let writers = ports.iter().map(|port| Publisher::new(Arc::clone(&port.board))).collect();
    let publishers = Publishers { whole: Publisher::new(Arc::clone(&whole)), ports: writers };
    (publishers, Reports { clock, whole, ports })
}

impl Publishers {
    /// At the end of a turn that began at `now`.
    #[inline]
    pub(super) fn turn(
        &mut self,
        now: Duration,
        busy: bool,
        addresses: usize,
        ports: impl Iterator<Item = LegCounters>,
    ) {
        self.whole.turn(now, busy, |_| (), || core::iter::once(addresses as u64));
        for (publisher, counters) in self.ports.iter_mut().zip(ports) {
            publisher.turn(now, busy, |_| (), || counters.values().into_iter());
        }
    }
}

impl Reports {
    /// Each port's name, and whether its link is up.
    pub(super) fn links(&self) -> impl Iterator<Item = (&str, bool)> {
        self.ports.iter().map(|port| (port.name.as_str(), port.watch.is_up()))
    }

    fn age(&self) -> Duration {
        self.clock.now().saturating_sub(self.whole.last_beat())
    }

    fn live_checks(&self) -> Vec<Check> {
        let age = self.age();
        vec![Check::new("switch-thread", age <= STUCK_AFTER, || {
            format!("no turn for {:.1} s: stuck, or ended", age.as_secs_f64())
        })]
    }
}

impl Respond for Reports {
    fn answer(&self, request: &Request<'_>, out: &mut impl Write) -> io::Result<()> {
        let answer = match (request.method, request.path) {
            ("GET", "/livez") => health("livez", &self.live_checks(), request),
            ("GET", "/metrics") => text_of("hovercraft_switch", self.clone()),
            (_, "/livez" | "/metrics") => Answer::text(Status::MethodNotAllowed, "ask with GET"),
            _ => Answer::text(Status::NotFound, "a switch has /livez and /metrics"),
        };
        write(out, &answer)
    }
}

impl Collector for Reports {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let encoder = &mut encoder;
        one(encoder, "build_info", "The program", &[("version", env!("CARGO_PKG_VERSION"))])?;
        let age = self.age().as_secs_f64();
        seconds(encoder, "turn_age", "Time since the last turn began")?.encode_gauge(&age)?;
        let addresses = self.whole.read().get(ADDRESSES);
        let text = "Ethernet addresses that are remembered";
        describe(encoder, "addresses", text, MetricType::Gauge)?.encode_gauge(&addresses)?;
        let text = "1 while somebody is at the port";
        let mut links = describe(encoder, "port_up", text, MetricType::Gauge)?;
        for port in &self.ports {
            let up = u64::from(port.watch.is_up());
            links.encode_family(&[("port", port.name.as_str())])?.encode_gauge(&up)?;
        }
        for (name, text) in [("received", "Frames that came in"), ("sent", "Frames that went out")]
        {
            let metric = format!("{name}_frames");
            let mut family = describe(encoder, &metric, text, MetricType::Counter)?;
            for port in &self.ports {
                let label = [("port", port.name.as_str())];
                count(&mut family.encode_family(&label)?, port.board.read().get(name))?;
            }
        }
        let text = "Frames and copies that were dropped at a port";
        let mut family = describe(encoder, "dropped_frames", text, MetricType::Counter)?;
        for port in &self.ports {
            for (reason, value) in port.board.read().iter().skip(2) {
                let labels = [("port", port.name.as_str()), ("reason", reason)];
                count(&mut family.encode_family(&labels)?, value)?;
            }
        }
        Ok(())
    }
}
