//! What the seed decides: size and mode of the cluster, and how bad network, disks and machines are.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_core::Instant;
use raft_core::ids::{Member, NodeId};

use crate::support::{Packet, ms};

/// splitmix64.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn place(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.place(choices.len())]
    }
}

/// Chances are per mille.
#[derive(Clone, Debug)]
pub struct Weather {
    pub loss: u64,
    pub duplication: u64,
    pub delay_max: Duration,
    /// Per look, see `Cluster::mishap`.
    pub restart: u64,
    pub pause: u64,
    pub partition: u64,
    /// An append loses its end, as if a body were missing.
    pub cut: u64,
    /// Writes take up to this; none: they complete at once.
    pub disk_max: Duration,
    /// An acknowledgement passes the aggregator.
    pub aggregated: u64,
    /// The operator does something.
    pub operator: u64,
    /// The first node's application moves, per look.
    pub first_applies: u64,
}

impl Weather {
    pub fn draw(random: &mut Random) -> Self {
        Self {
            loss: random.one_of(&[0, 10, 100, 300]),
            duplication: random.one_of(&[0, 50, 200]),
            delay_max: ms(random.one_of(&[1, 5, 40, 150, 600])),
            restart: random.one_of(&[0, 20, 60]),
            pause: random.one_of(&[0, 20]),
            partition: random.one_of(&[0, 30, 100]),
            cut: random.one_of(&[0, 0, 100]),
            disk_max: ms(random.one_of(&[0, 0, 3, 60])),
            aggregated: random.one_of(&[0, 500, 1_000]),
            operator: random.one_of(&[0, 100, 300]),
            first_applies: random.one_of(&[300, 300, 2]),
        }
    }

    /// Fair: one to two milliseconds, nothing lost, nothing breaks.
    pub fn fair(&self) -> Self {
        Self {
            loss: 0,
            duplication: 0,
            delay_max: ms(1),
            restart: 0,
            pause: 0,
            partition: 0,
            cut: 0,
            disk_max: self.disk_max.min(ms(3)),
            aggregated: self.aggregated,
            operator: 0,
            first_applies: 300,
        }
    }
}

/// Packets under way, by the moment of their arrival.
#[derive(Clone, Debug, Default)]
pub struct Network {
    under_way: BTreeMap<(Instant, u64), (Member, NodeId, Packet)>,
    sent: u64,
    /// `blocked[from]` has a bit per destination.
    blocked: [u16; 16],
}

impl Network {
    pub fn send(
        &mut self,
        now: Instant,
        (from, to, packet): (Member, NodeId, Packet),
        weather: &Weather,
        random: &mut Random,
    ) {
        let lost = random.chance(weather.loss);
        let copies = if random.chance(weather.duplication) { 2 } else { 1 };
        if lost || self.blocked[from.id.place()] & (1 << to.number()) != 0 {
            return;
        }
        for _ in 0..copies {
            let micros = u64::try_from(weather.delay_max.as_micros()).unwrap();
            let at = now + ms(1) + Duration::from_micros(random.below(micros));
            self.under_way.insert((at, self.sent), (from, to, packet.clone()));
            self.sent += 1;
        }
    }

    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|&(at, _)| at)
    }

    pub fn arrive(&mut self, now: Instant) -> Option<(Member, NodeId, Packet)> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Cuts links, in one direction or both, or mends them all.
    pub fn partition(&mut self, nodes: usize, random: &mut Random) {
        self.mend();
        match random.below(4) {
            0 => {}
            1 => {
                // Halves.
                let half = u16::try_from(random.below(1 << nodes)).unwrap();
                for (from, blocked) in self.blocked.iter_mut().enumerate() {
                    *blocked = if half & (1 << from) == 0 { half } else { !half };
                }
            }
            2 => {
                // One hears nobody, or is heard by nobody.
                let one = random.place(nodes);
                if random.chance(500) {
                    self.blocked[one] = u16::MAX;
                } else {
                    self.blocked.iter_mut().for_each(|blocked| *blocked |= 1 << one);
                }
            }
            _ => {
                for blocked in &mut self.blocked {
                    *blocked = u16::try_from(random.next() & random.next() & 0xffff).unwrap();
                }
            }
        }
    }

    pub fn mend(&mut self) {
        self.blocked = [0; 16];
    }
}
