//! Whole clusters in one process, under a seed (design, section 8).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod campaign;
mod client;
mod cluster;
mod history;
mod random;

use core::time::Duration;

use client::{Habits, SimClient};
use cluster::{Cluster, GROUP, Shape, address};
use dataplane::sim::Weather;
use hovercraft::replica::Mode;
use hovercraft::replier::ReplierPolicy;
use r2p2::client::ClientConfig;

const HABITS: Habits = Habits {
    mode: r2p2::client::Mode::Session,
    open_max: 4,
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
        let servers = (1..=cluster.shape.nodes).map(address).collect();
        let multicast = cluster.shape.mode == Mode::Hovercraft;
        let config = ClientConfig {
            group: multicast.then(|| GROUP.parse().unwrap()),
            pool_bytes: 16 << 20,
            ..ClientConfig::new(habits.mode, servers)
        };
        let now = cluster.now;
        let client = SimClient::new(name, cluster.seed, endpoint, own, config, habits, now);
        cluster.clients.push(client);
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

/// Ordinary runs take 500 seeds; `SIM_SEED=n` replays one, `SIM_RUNS=n` takes more.
#[test]
fn nothing_breaks_under_weather_and_faults() {
    let pinned = std::env::var("SIM_SEED").ok().map(|seed| seed.parse().unwrap());
    let runs = std::env::var("SIM_RUNS").map_or(500, |runs| runs.parse().unwrap());
    let mut operations = 0;
    for seed in pinned.map_or(0..runs, |seed: u64| seed..seed + 1) {
        println!("replay with SIM_SEED={seed}");
        operations += campaign::run(seed).1;
    }
    println!("{operations} operations");
}

/// The same seed must give the same run, or no failure could be replayed.
#[test]
fn a_seed_decides_everything() {
    for seed in 1_000..1_005 {
        assert_eq!(campaign::run(seed), campaign::run(seed), "seed {seed}");
    }
}
