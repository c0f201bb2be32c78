//! Whole clusters in one process, under a seed (design, section 8).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod client;
mod cluster;
mod random;

use core::time::Duration;

use client::{Habits, SimClient};
use cluster::{Cluster, GROUP, Shape, address};
use dataplane::sim::Weather;
use hovercraft::replica::Mode;
use hovercraft::replier::ReplierPolicy;

const HABITS: Habits = Habits {
    keys: 8,
    reads: 40,
    pause: Duration::from_millis(1),
    long_value: 0,
    give_up_after: Duration::from_secs(3),
};

fn shape(mode: Mode, nodes: u8) -> Shape {
    Shape {
        nodes,
        mode,
        replier: ReplierPolicy::Jbsq,
        bound: 128,
        key: true,
        application_delay: Duration::from_micros(20),
    }
}

fn add_clients(cluster: &mut Cluster, count: u64, habits: Habits) {
    for name in 0..count {
        let own = format!("10.0.2.{}:4000", name + 1).parse().unwrap();
        let endpoint = cluster.network.add_endpoint(own, &[]);
        let targets = match cluster.shape.mode {
            Mode::Hovercraft => vec![GROUP.parse().unwrap()],
            _ => (1..=cluster.shape.nodes).map(address).collect(),
        };
        cluster.clients.push(SimClient::new(name, cluster.seed, endpoint, own, targets, habits));
    }
}

#[test]
fn requests_are_answered_in_every_mode() {
    for mode in [Mode::Raft, Mode::Hovercraft] {
        let mut cluster = Cluster::new(1, shape(mode, 3), Weather::CALM);
        cluster.settle();
        add_clients(&mut cluster, 4, HABITS);
        cluster.run_until(cluster.now + Duration::from_secs(1));
        let answered: usize = cluster.clients.iter().map(|client| client.history.len()).sum();
        for node in 1..=3 {
            eprintln!("{:?}", cluster.status(node));
        }
        assert!(answered > 100, "{mode:?}: {answered} answers in a second");
    }
}
