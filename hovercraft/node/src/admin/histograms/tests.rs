use core::time::Duration;
use std::collections::BTreeMap;

use hovercraft_client::{Client, Kind, Options};
use kv::Kv;
use r2p2::service::{ChangesState, Context, Outcome, Reply, RestoreError, Service, Snapshot};

use super::super::metrics::tests::samples;
use super::super::tests::get;
use super::*;
use crate::node::Node;
use crate::plan::Plan;
use crate::testing::cluster;

/// A write takes at least this long.
const SLOW: Duration = Duration::from_millis(4);

#[derive(Debug, Default)]
struct SlowKv(Kv);

impl Service for SlowKv {
    fn execute(&mut self, at: &Context, request: &[u8], reply: &mut Reply<'_>) -> Outcome {
        std::thread::sleep(SLOW);
        self.0.execute(at, request, reply)
    }

    fn query(
        &self,
        at: &Context,
        request: &[u8],
        reply: &mut Reply<'_>,
    ) -> Result<Outcome, ChangesState> {
        self.0.query(at, request, reply)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        self.0.snapshot()
    }

    fn restore(&mut self, snapshot: &mut dyn Snapshot) -> Result<(), RestoreError> {
        self.0.restore(snapshot)
    }
}

/// One histogram as a reader of the text has it.
#[derive(Debug, PartialEq)]
struct Read {
    /// Count at most each bound, by the bound in nanoseconds.
    below: BTreeMap<u64, u64>,
    count: u64,
    sum: f64,
}

impl Read {
    /// How many were at most so long.
    fn at_most(&self, time: Duration) -> u64 {
        let ns = u64::try_from(time.as_nanos()).unwrap();
        self.below.range(..=ns).next_back().map_or(0, |(_, &count)| count)
    }
}

/// The histogram of this name and label; asks that it is one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test's small numbers"
)]
fn read_back(samples: &BTreeMap<String, f64>, name: &str, label: &str) -> Read {
    let own = |end: &str| match label {
        "" => samples[&format!("{name}_{end}")],
        label => samples[&format!("{name}_{end}{{{label}}}")],
    };
    let (count, sum) = (own("count") as u64, own("sum"));
    let comma = if label.is_empty() { "" } else { "," };
    let mut below = BTreeMap::new();
    for (sample, &value) in samples {
        let start = format!("{name}_bucket{{{label}{comma}le=\"");
        let start = start.replace(&format!("{label}{comma}le"), "le");
        let (Some(rest), true) = (sample.strip_prefix(&start), sample.contains(label)) else {
            continue;
        };
        let bound = rest.split('"').next().unwrap();
        if bound == "+Inf" {
            assert_eq!(value as u64, count, "{sample}");
        } else {
            let ns = bound.parse::<f64>().unwrap() * 1e9;
            assert!(below.insert(ns.round() as u64, value as u64).is_none(), "{sample}: twice");
        }
    }
    let bounds = (0..BOUNDS).map(|place| bound(place).as_nanos());
    assert!(below.keys().map(|&ns| u128::from(ns)).eq(bounds), "{name} {label}: {below:?}");
    assert!(below.values().is_sorted() && below.values().all(|&value| value <= count));
    Read { below, count, sum }
}

#[test]
fn a_slow_service_is_seen_in_the_histograms() {
    let cluster = cluster(1, "mode: unreplicated, idle: sleep");
    let plan = Plan::new(cluster.clone(), None, Some(1)).unwrap();
    let address = plan.member.admin;
    let _node = Node::start(plan, SlowKv::default()).unwrap();
    let read = |name: &str, label: &str| {
        let samples = samples(&get(address, "/metrics").unwrap());
        read_back(&samples, &format!("hovercraft_{name}_seconds"), label)
    };
    let apply = || read("apply_duration", "");
    let phase = |phase: &str| read("request_duration", &format!("phase=\"{phase}\""));
    assert_eq!((apply().count, apply().sum, phase("answered").count), (0, 0.0, 0));
    let mut client = Client::connect(&cluster, &Options::default()).unwrap();
    let mut body = Vec::new();
    kv::Request::Get { key: b"k" }.encode(&mut body).unwrap();
    for _ in 0..5 {
        client.call(Kind::Read, &body).unwrap();
    }
    let quick = apply();
    assert_eq!(quick.count, 5);
    body.clear();
    kv::Request::Increment { key: b"n", by: 1 }.encode(&mut body).unwrap();
    for _ in 0..10 {
        client.call(Kind::Write, &body).unwrap();
    }
    let slow = apply();
    let slower = slow.at_most(Duration::MAX.min(bound(BOUNDS - 1))) - quick.count;
    assert_eq!((slow.count, slower), (15, 10), "none takes seconds");
    assert!(slow.sum - quick.sum >= 10.0 * SLOW.as_secs_f64(), "{slow:?}");
    assert_eq!(slow.at_most(SLOW), quick.at_most(SLOW), "{slow:?}");
    let answered = phase("answered");
    assert_eq!(answered.count, 15);
    assert!(answered.sum >= slow.sum * 0.99, "it includes the execution: {answered:?}");
    for none in ["complete", "ordered", "committed"] {
        assert_eq!(phase(none).count, 0, "one packet each, and no log");
    }
}
