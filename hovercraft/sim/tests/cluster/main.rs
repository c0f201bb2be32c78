//! Whole clusters in one process, under a seed (design, section 8).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod hazards;

use core::time::Duration;

use dataplane::sim::Weather;
use history_checker::history::OperationOutcome;
use hovercraft::replica::Mode;
use hovercraft_sim::client::Habits;
use hovercraft_sim::cluster::Cluster;
use hovercraft_sim::knobs::Knobs;
use hovercraft_sim::run::run;
use r2p2::client::Mode as ClientMode;

fn calm(seed: u64, mode: Mode, nodes: u8) -> Cluster {
    Cluster::new(Knobs::usual(seed, nodes, mode), Weather::CALM)
}

/// Table 1 of the paper (design, section 2): what the leader receives and sends for each request, under a steady stream with one
/// request per append. News of commits, heartbeats and applied indexes are counted apart.
#[test]
fn the_leader_handles_as_many_messages_per_request_as_table_1_says() {
    for mode in [Mode::Raft, Mode::Hovercraft] {
        for nodes in [3, 5, 7, 9] {
            let mut cluster = calm(9, mode, nodes);
            let leader = usize::from(cluster.settle().unwrap() - 1);
            cluster.add_client(Habits::USUAL);
            cluster.clients[0].stopping = true;
            // The session is open, and the client knows the leader.
            cluster.put_one_by_one(4).unwrap();
            let before = Load::of(&cluster, leader);
            let n = u64::from(nodes);
            let requests = 20 * n;
            cluster.put_one_by_one(requests).unwrap();
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
        let mut cluster = calm(5, mode, nodes);
        if mode != Mode::Unreplicated {
            cluster.settle().unwrap();
        }
        cluster.network.set_weather(Weather { loss_ppm: 20_000, ..Weather::CALM });
        let sessions =
            if mode == Mode::Unreplicated { ClientMode::Sessionless } else { ClientMode::Session };
        cluster.add_client(Habits { mode: sessions, open_max: 32, ..Habits::USUAL });
        let client = &mut cluster.clients[0];
        client.stopping = true;
        let part = vec![b'p'; 64 << 10];
        for key in 0..16u8 {
            client.put(cluster.now, &[key], &part);
        }
        let waits = |cluster: &Cluster| !cluster.clients[0].is_idle();
        assert!(cluster.run_while(Duration::from_secs(20), waits).unwrap());
        cluster.clients[0].scan(cluster.now);
        let waits = |cluster: &Cluster| !cluster.clients[0].is_idle();
        assert!(cluster.run_while(Duration::from_secs(20), waits).unwrap());
        let history = &cluster.clients[0].history;
        let answered =
            history.iter().filter(|operation| operation.outcome == OperationOutcome::Answered);
        let counters = cluster.nodes[0].replica.counters();
        assert_eq!(
            answered.count(),
            17,
            "{mode:?}: {:?} {counters:?}",
            cluster.clients[0].counters()
        );
        let scan = &history.last().unwrap().reply;
        assert!(scan.len() > 1 << 20, "{mode:?}: a reply of {} bytes", scan.len());
        let lost = cluster.network.counters().lost;
        assert!(lost > 10, "{mode:?}: {lost} packets lost");
    }
}

/// The same seed must give the same run, or no failure could be replayed.
#[test]
fn a_seed_decides_everything() {
    for seed in 1_000..1_005 {
        let (first, again) = (run(seed), run(seed));
        assert_eq!((first.trace, first.operations), (again.trace, again.operations), "seed {seed}");
        assert_eq!(first.story, again.story, "seed {seed}");
    }
}

/// A few seeds in the ordinary tests; `cargo xtask sim` runs as many as one likes.
#[test]
fn nothing_breaks_under_weather_and_faults() {
    for seed in 0..40 {
        let outcome = run(seed);
        assert_eq!(outcome.found, Ok(()), "cargo xtask sim --from {seed} --seeds 1");
    }
}
