//! Whole clusters in one process, under a seed (design, section 8).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod campaign;
mod client;
mod cluster;
mod hazards;
mod history;
mod random;

use core::time::Duration;

use client::{Habits, SimClient};
use cluster::{Cluster, GROUP, Shape, address};
use dataplane::sim::Weather;
use history_checker::history::OperationOutcome;
use hovercraft::replica::Mode;
use hovercraft::replier::ReplierPolicy;
use r2p2::client::{ClientConfig, Mode as ClientMode};

const HABITS: Habits = Habits {
    mode: ClientMode::Session,
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

/// Table 1 of the paper (design, section 2): what the leader receives and sends for each request, under a steady stream with one
/// request per append. News of commits, heartbeats and applied indexes are counted apart.
#[test]
fn the_leader_handles_as_many_messages_per_request_as_table_1_says() {
    for mode in [Mode::Raft, Mode::Hovercraft] {
        for nodes in [3, 5, 7, 9] {
            let mut cluster = Cluster::new(9, shape(mode, nodes), Weather::CALM);
            let leader = usize::from(cluster.settle() - 1);
            add_clients(&mut cluster, 1, HABITS);
            cluster.clients[0].stopping = true;
            // The session is open, and the client knows the leader.
            cluster.put_one_by_one(4);
            let before = Load::of(&cluster, leader);
            let n = u64::from(nodes);
            let requests = 20 * n;
            cluster.put_one_by_one(requests);
            let load = Load::of(&cluster, leader).since(&before);
            let answers = if mode == Mode::Raft { requests } else { requests / n };
            let table = Load {
                requests_in: requests,
                acks_in: requests * (n - 1),
                appends_out: requests * (n - 1),
                answers_out: answers,
            };
            assert_eq!(load, table, "{mode:?}, {nodes} nodes, {requests} requests");
        }
    }
}

/// Messages of one node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Load {
    requests_in: u64,
    acks_in: u64,
    appends_out: u64,
    answers_out: u64,
}

impl Load {
    fn of(cluster: &Cluster, node: usize) -> Self {
        let node = &cluster.nodes[node];
        let counters = node.replica.counters();
        Self {
            requests_in: counters.request_packets,
            acks_in: counters.append_acks_received,
            appends_out: counters.appends_sent,
            answers_out: node.application.counters.answers,
        }
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            requests_in: self.requests_in - before.requests_in,
            acks_in: self.acks_in - before.acks_in,
            appends_out: self.appends_out - before.appends_out,
            answers_out: self.answers_out - before.answers_out,
        }
    }
}

/// A 1 MiB reply and a 64 KiB request, in sessions, while every fiftieth packet is lost.
#[test]
fn long_messages_arrive_in_every_mode_though_2_percent_of_packets_are_lost() {
    for mode in [Mode::Unreplicated, Mode::Raft, Mode::Hovercraft] {
        let nodes = if mode == Mode::Unreplicated { 1 } else { 3 };
        let mut cluster = Cluster::new(5, shape(mode, nodes), Weather::CALM);
        if mode != Mode::Unreplicated {
            cluster.settle();
        }
        cluster.network.set_weather(Weather { loss_ppm: 20_000, ..Weather::CALM });
        let sessions =
            if mode == Mode::Unreplicated { ClientMode::Sessionless } else { ClientMode::Session };
        add_clients(&mut cluster, 1, Habits { mode: sessions, open_max: 32, ..HABITS });
        let client = &mut cluster.clients[0];
        client.stopping = true;
        let part = vec![b'p'; 64 << 10];
        for key in 0..16u8 {
            client.put(cluster.now, &[key], &part);
        }
        assert!(
            cluster.run_while(Duration::from_secs(20), |cluster| !cluster.clients[0].is_idle())
        );
        cluster.clients[0].scan(cluster.now);
        assert!(
            cluster.run_while(Duration::from_secs(20), |cluster| !cluster.clients[0].is_idle())
        );
        let history = &cluster.clients[0].history;
        let answered =
            history.iter().filter(|operation| operation.outcome == OperationOutcome::Answered);
        let counters = cluster.nodes[0].replica.counters();
        assert_eq!(
            answered.count(),
            17,
            "{mode:?}: {:?} {counters:?}",
            cluster.clients[0].client.counters()
        );
        let scan = &history.last().unwrap().reply;
        assert!(scan.len() > 1 << 20, "{mode:?}: a reply of {} bytes", scan.len());
        let lost = cluster.network.counters().lost;
        assert!(lost > 10, "{mode:?}: {lost} packets lost");
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
