//! A packet can do no harm (HC13): datagrams at random, and mutated from valid ones of every kind taken from a cluster's own traffic,
//! to every node's own address and to the group.
//!
//! With a key the cluster serves on, and its nodes agree afterwards. Without one forged messages may disturb the cluster; nothing
//! panics, loops, or goes uncounted. The ordinary run sends 200,000; `FUZZ_RUNS=n` as many as it says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use core::time::Duration;
use std::collections::BTreeMap;

use dataplane::sim::{EndpointId, Weather};
use history_checker::history::OperationOutcome;
use hovercraft::replica::{Counters, Mode};
use hovercraft_sim::client::Habits;
use hovercraft_sim::cluster::{Cluster, GROUP, address};
use hovercraft_sim::knobs::Knobs;
use hovercraft_sim::random::Random;
use r2p2::client::Mode as ClientMode;
use r2p2::service::state_hash;

const HABITS: Habits = Habits { open_max: 8, long_value: 8_000, ..Habits::USUAL };

/// How many of the attacker's datagrams arrive at a time, and how often.
const BATCH: u64 = 50;
const EVERY: Duration = Duration::from_millis(1);

fn datagrams() -> u64 {
    std::env::var("FUZZ_RUNS").map_or(200_000, |runs| runs.parse().unwrap())
}

fn cluster_of(mode: Mode, key: bool, seed: u64) -> Cluster {
    let delays = vec![Duration::from_micros(500); 3];
    let knobs = Knobs { key, application_delays: delays, ..Knobs::usual(seed, 3, mode) };
    let mut cluster = Cluster::new(knobs, Weather::CALM);
    cluster.checks.close_their_eyes();
    cluster.tap_max = 60_000;
    cluster.settle().unwrap();
    cluster
}

/// Traffic of all kinds: sessions and plain clients, loss and so recovery, elections, a transfer, a node that comes back.
fn live(cluster: &mut Cluster) {
    cluster.add_client(HABITS);
    cluster.add_client(Habits { mode: ClientMode::Plain, ..HABITS });
    cluster.network.set_weather(Weather { loss_ppm: 30_000, ..Weather::CALM });
    cluster.run_until(cluster.now + Duration::from_millis(300)).unwrap();
    let leader = cluster.leader().unwrap();
    let now = cluster.own_time(leader);
    let leading = &mut cluster.nodes[usize::from(leader) - 1];
    assert!(leading.replica.hand_leadership_over(now, None));
    cluster.run_until(cluster.now + Duration::from_millis(300)).unwrap();
    let leader = cluster.settle().unwrap();
    let endpoint = cluster.nodes[usize::from(leader) - 1].endpoint;
    cluster.network.isolate(endpoint);
    cluster.run_until(cluster.now + Duration::from_millis(800)).unwrap();
    cluster.network.heal();
    cluster.network.set_weather(Weather::CALM);
    cluster.run_until(cluster.now + Duration::from_millis(500)).unwrap();
}

/// R2P2's types, and the kinds of messages between nodes as 100 and more.
fn kinds_of(packets: &[Vec<u8>]) -> BTreeMap<u8, u64> {
    let mut kinds = BTreeMap::new();
    for packet in packets {
        let kind = packet[2] >> 4;
        let kind = if (5..=7).contains(&kind) { 100 + packet[9] } else { kind };
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

/// One datagram of every kind is as likely as one of any other.
fn by_kind(packets: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let mut kinds: BTreeMap<u8, Vec<Vec<u8>>> = BTreeMap::new();
    for packet in packets {
        let kind = kinds_of(core::slice::from_ref(&packet)).into_keys().next().unwrap();
        kinds.entry(kind).or_default().push(packet);
    }
    kinds.into_values().collect()
}

fn noise(random: &mut Random) -> Vec<u8> {
    let len = if random.chance(25) { random.below(1_600) } else { random.below(200) };
    let mut bytes: Vec<u8> = (0..len).map(|_| random.draw().to_le_bytes()[0]).collect();
    let likely: [(usize, &[u8]); 6] = [
        (0, &[0xCC]),
        (1, &[8, 8, 32, 40]),
        (2, &[0x01, 0x02, 0x03, 0x31, 0x51, 0x61, 0x71]),
        (3, &[0xC0, 0x80, 0x40, 0]),
        (8, &[1]),
        (9, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]),
    ];
    for (at, values) in likely {
        if let Some(byte) = bytes.get_mut(at)
            && random.chance(90)
        {
            *byte = values[usize::try_from(random.below(values.len() as u64)).unwrap()];
        }
    }
    bytes
}

/// A datagram that was valid once, or still is.
fn mutated(random: &mut Random, valid: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let pick =
        |random: &mut Random, len: usize| usize::try_from(random.below(len.max(1) as u64)).unwrap();
    let kind = &valid[pick(random, valid.len())];
    let mut bytes = kind[pick(random, kind.len())].clone();
    for _ in 0..random.below(4) {
        // Heads are short and decide; what follows gets its share.
        let reach = if random.chance(70) { bytes.len().min(130) } else { bytes.len() };
        let at = pick(random, reach);
        match random.below(10) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), random.draw().to_le_bytes()[0]),
            2 if at < bytes.len() => {
                bytes.extend_from_within(at..);
                bytes.truncate(1_600);
            }
            3 if bytes.len() >= 8 => {
                let value = [0, 1, u64::MAX, 1 << 62, (1 << 62) - 1, random.draw()];
                let at = at.min(bytes.len() - 8) & !7;
                let value = value[pick(random, value.len())];
                bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    bytes
}

/// Sends `count` datagrams while the clients go on; from an address of its own, under no name.
fn attack(cluster: &mut Cluster, count: u64, valid: &[Vec<Vec<u8>>]) {
    let from: EndpointId = cluster.network.add_endpoint("10.0.3.9:666".parse().unwrap(), &[]);
    let mut random = Random::new(cluster.knobs.seed);
    let nodes = u64::from(cluster.knobs.nodes);
    for number in 0..count {
        let bytes =
            if random.chance(30) { noise(&mut random) } else { mutated(&mut random, valid) };
        let to = match random.below(nodes + 1) {
            0 => GROUP.parse().unwrap(),
            node => address(u8::try_from(node).unwrap()),
        };
        cluster.network.send(cluster.now, from, to, &bytes);
        if number % BATCH == BATCH - 1 {
            cluster.run_until(cluster.now + EVERY).unwrap();
        }
    }
    cluster.run_until(cluster.now + Duration::from_millis(200)).unwrap();
}

fn refused(counters: &Counters) -> u64 {
    counters.bad_packets
        + counters.bad_mac
        + counters.other_version
        + counters.other_cluster
        + counters.own_packets
        + counters.unexpected_packets
}

/// Every datagram that a node got is in its count.
fn all_is_counted(cluster: &Cluster) {
    for node in &cluster.nodes {
        let received = cluster.network.endpoint_counters(node.endpoint).received;
        assert_eq!(node.replica.counters().packets, received, "of {received} datagrams");
        assert!(refused(node.replica.counters()) > 1_000, "{:?}", node.replica.counters());
    }
}

/// A client that comes afterwards is served, and the nodes agree.
fn serves(cluster: &mut Cluster) {
    for client in &mut cluster.clients {
        client.stopping = true;
    }
    cluster.run_until(cluster.now + Duration::from_secs(4)).unwrap();
    cluster.add_client(Habits { long_value: 0, ..HABITS });
    let place = cluster.clients.len() - 1;
    cluster.clients[place].stopping = true;
    for number in 0..20u64 {
        let now = cluster.now;
        cluster.clients[place].put(now, b"after", &number.to_be_bytes());
        let waits = |cluster: &Cluster| !cluster.clients[place].is_idle();
        assert!(
            cluster.run_while(Duration::from_secs(5), waits).unwrap(),
            "put {number} is not answered"
        );
    }
    let answered = &cluster.clients[place].history;
    assert!(answered.iter().all(|done| done.outcome == OperationOutcome::Answered));
    cluster.run_until(cluster.now + Duration::from_millis(200)).unwrap();
    let states: Vec<_> = cluster
        .nodes
        .iter()
        .map(|node| (node.replica.status().applied, state_hash(node.application.service())))
        .collect();
    assert!(states.iter().all(|state| *state == states[0]), "the nodes differ: {states:?}");
}

#[test]
fn with_a_key_no_datagram_harms_a_serving_cluster() {
    for (mode, seed) in [(Mode::Hovercraft, 11), (Mode::Raft, 12)] {
        let mut cluster = cluster_of(mode, true, seed);
        live(&mut cluster);
        let packets = core::mem::take(&mut cluster.tapped);
        let kinds = kinds_of(&packets);
        // Requests and wanted packets of clients; all kinds of nodes but what only a switch sends (7), or only this mode (10).
        let wanted = [0, 101, 102, 103, 104, 105, 106, 108, 109, 111, 112, 113];
        assert!(wanted.iter().all(|kind| kinds.contains_key(kind)), "{mode:?} {kinds:?}");
        assert_eq!(kinds.contains_key(&110), mode == Mode::Raft, "{kinds:?}");
        attack(&mut cluster, datagrams() / 2, &by_kind(packets));
        serves(&mut cluster);
        all_is_counted(&cluster);
    }
}

#[test]
fn without_a_key_no_datagram_makes_a_node_panic() {
    for (mode, seed) in [(Mode::Hovercraft, 21), (Mode::Raft, 22)] {
        let mut cluster = cluster_of(mode, false, seed);
        live(&mut cluster);
        let valid = by_kind(core::mem::take(&mut cluster.tapped));
        attack(&mut cluster, datagrams() / 2, &valid);
        all_is_counted(&cluster);
    }
}
