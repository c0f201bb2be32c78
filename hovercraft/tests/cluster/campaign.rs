//! One seed, one run: a safety phase under weather and faults, then a calm one in which everything must come to an end.
//!
//! The seed draws the size of the cluster, the mode, the policy, the weather and the faults. What is checked: at every moment
//! `Cluster::check_always`; in the end that clients' requests end, that nodes agree, and the whole history.

use core::time::Duration;

use dataplane::sim::Weather;
use hovercraft::replica::{Mode, Role};
use hovercraft::replier::ReplierPolicy;
use r2p2::client::Mode as ClientMode;

use crate::client::Habits;
use crate::cluster::{Cluster, Shape};
use crate::history;
use crate::random::Random;

/// How long faults go on.
const STORM: Duration = Duration::from_millis(1_500);
/// How long everything may take to come to an end.
const CALM: Duration = Duration::from_secs(10);

/// Runs a seed; gives the hash of all packets and the number of operations.
pub(crate) fn run(seed: u64) -> (u64, u64) {
    let mut random = Random::new(seed.wrapping_mul(0x2545_F491_4F6C_DD1D));
    let shape = draw_shape(&mut random);
    let mut cluster = Cluster::new(seed, shape, Weather::CALM);
    cluster.settle();
    let plain = random.chance(25);
    let habits = Habits {
        mode: if plain { ClientMode::Plain } else { ClientMode::Session },
        open_max: [1, 1, 4, 32][usize::try_from(random.below(4)).unwrap()],
        keys: 1 + random.below(8),
        reads: random.below(80),
        pause: Duration::from_micros(1_000 + random.below(8_000)),
        long_value: if random.chance(25) { 20_000 } else { 0 },
        give_up_after: Duration::from_millis(500 + random.below(3_000)),
    };
    crate::add_clients(&mut cluster, 2 + random.below(5), habits);
    cluster.network.set_weather(draw_weather(&mut random));
    let end = cluster.now + STORM;
    let mut crashes_left = u64::from(shape.nodes - 1) / 2;
    while cluster.now < end {
        cluster.run_until(cluster.now + Duration::from_millis(20 + random.below(150)));
        disturb(&mut cluster, &mut random, &mut crashes_left);
    }
    cluster.network.heal();
    cluster.network.set_weather(Weather::CALM);
    for node in &mut cluster.nodes {
        node.network_paused_until = cluster.now;
        node.application_paused_until = cluster.now;
    }
    come_to_an_end(&mut cluster);
    history::check(&cluster);
    let operations: usize = cluster.clients.iter().map(|client| client.history.len()).sum();
    (cluster.network.trace(), operations as u64)
}

fn draw_shape(random: &mut Random) -> Shape {
    let policies = [ReplierPolicy::Jbsq, ReplierPolicy::Random, ReplierPolicy::Leader];
    Shape {
        nodes: [3, 3, 5, 7][usize::try_from(random.below(4)).unwrap()],
        mode: if random.chance(30) { Mode::Raft } else { Mode::Hovercraft },
        replier: policies[usize::try_from(random.below(3)).unwrap()],
        bound: [1, 4, 128][usize::try_from(random.below(3)).unwrap()],
        key: random.chance(50),
        application_delay: Duration::from_micros(
            [1, 50, 3_000][usize::try_from(random.below(3)).unwrap()],
        ),
    }
}

/// From calm to worse than the protocol is made for.
fn draw_weather(random: &mut Random) -> Weather {
    Weather {
        loss_ppm: u32::try_from(random.below(100_000)).unwrap(),
        duplicate_ppm: u32::try_from(random.below(50_000)).unwrap(),
        delay_min: Duration::from_micros(5),
        delay_max: Duration::from_micros(10 + random.below(2_000)),
        late_ppm: u32::try_from(random.below(30_000)).unwrap(),
        late_max: Duration::from_micros(1 + random.below(400_000)),
    }
}

fn disturb(cluster: &mut Cluster, random: &mut Random, crashes_left: &mut u64) {
    let node = 1 + u8::try_from(random.below(cluster.shape.nodes.into())).unwrap();
    let victim = if random.chance(40) { cluster.leader().unwrap_or(node) } else { node };
    let place = usize::from(victim - 1);
    let endpoint = cluster.nodes[place].endpoint;
    let until = cluster.now + Duration::from_micros(random.below(600_000));
    match random.below(10) {
        0 => cluster.network.isolate(endpoint),
        1 => {
            let other = usize::try_from(random.below(cluster.nodes.len() as u64)).unwrap();
            let other = cluster.nodes[other].endpoint;
            cluster.network.partition(endpoint, other);
        }
        2 | 3 => cluster.network.heal(),
        4 => cluster.nodes[place].network_paused_until = until,
        5 => cluster.nodes[place].application_paused_until = until,
        6 => cluster.network.set_deaf(endpoint, true),
        7 => cluster.network.set_weather(draw_weather(random)),
        8 if *crashes_left > 0 && cluster.nodes[place].alive && cluster.nodes[place].lives == 0 => {
            *crashes_left -= 1;
            cluster.crash(victim);
        }
        9 => {
            let dead = cluster.nodes.iter().position(|node| !node.alive);
            if let Some(dead) = dead {
                cluster.restart(u8::try_from(dead + 1).unwrap());
            }
        }
        _ => {}
    }
}

/// Liveness: with the network whole, every request ends and every member applies everything.
fn come_to_an_end(cluster: &mut Cluster) {
    for client in &mut cluster.clients {
        client.stopping = true;
    }
    let ended = cluster.run_while(CALM, |cluster| {
        let idle = cluster.clients.iter().all(crate::client::SimClient::is_idle);
        !idle || !members_agree(cluster)
    });
    if !ended {
        for node in cluster.nodes.iter().filter(|node| node.alive) {
            eprintln!("{:?}", node.replica.status());
            eprintln!("  {:?}", node.replica.counters());
        }
        let open = cluster.clients.iter().filter(|client| !client.is_idle()).count();
        panic!(
            "seed {}: {open} clients still wait, or members disagree, after {CALM:?} of calm",
            cluster.seed
        );
    }
}

/// Whether every live member has applied all that the leader has in its log.
fn members_agree(cluster: &Cluster) -> bool {
    let Some(leader) = cluster.leader() else { return false };
    let last = cluster.status(leader).last;
    cluster.nodes.iter().filter(|node| node.alive).all(|node| {
        let status = node.replica.status();
        matches!(status.role, Role::Silent | Role::Joining)
            || (status.applied == last && status.commit == last)
    })
}
