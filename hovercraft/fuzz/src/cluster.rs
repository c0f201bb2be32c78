//! A whole group whose network the fuzzer is: it chooses which packet arrives, twice or never, which node has a turn, and when time
//! passes. Requests of clients come between; one node may lose its memory.
//!
//! Nothing is forged unless the bytes say so. Without forgeries what Raft promises must hold between the nodes: one leader in a
//! term, equal decisions at equal indexes, equal states when equally far. With forgeries each node must keep its own promises.

use std::collections::BTreeMap;

use hovercraft::audit::AuditEntry;
use hovercraft::replica::Role;
use hovercraft::wire::PACKET_MAX;
use r2p2::service::state_hash;
use raft_core::ids::LogIndex;

use crate::draw::Draw;
use crate::group::{Group, settled};
use crate::host::{Host, Sent, address};
use crate::replica::{later, requested};

/// Events of one run, at most.
const EVENTS_MAX: usize = 400;
/// Packets under way, at most; the oldest is lost then.
const FLYING_MAX: usize = 64;

/// A packet under way.
struct Flying {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
}

struct World {
    group: Group,
    flying: Vec<Flying>,
    /// Leader by term.
    leaders: BTreeMap<u64, usize>,
    /// What was decided at an index, by whomever first.
    decided: BTreeMap<LogIndex, AuditEntry>,
    /// States by applied index.
    states: BTreeMap<LogIndex, u64>,
    /// Whether a node has lost its memory: one may.
    lost_memory: bool,
    forges: bool,
}

/// The body of fuzz target `cluster`. True when something was committed on the way.
///
/// # Panics
///
/// When a node breaks an invariant, or two nodes disagree though nothing was forged.
#[must_use]
pub fn cluster(bytes: &[u8]) -> bool {
    let mut draw = Draw::new(bytes);
    let forges = draw.one_in(4);
    let group = settled(draw.below(4));
    let begin = highest(&group);
    let mut world = World {
        group,
        flying: Vec::new(),
        leaders: BTreeMap::new(),
        decided: BTreeMap::new(),
        states: BTreeMap::new(),
        lost_memory: false,
        forges,
    };
    for _ in 0..EVENTS_MAX {
        if draw.is_empty() {
            break;
        }
        let place = draw.below(world.group.hosts.len());
        world.event(&mut draw, place);
        world.check(place);
    }
    highest(&world.group) > begin
}

/// The highest commit index.
fn highest(group: &Group) -> u64 {
    group.hosts.iter().map(|host| host.gauges().commit).max().unwrap_or_default()
}

impl World {
    fn event(&mut self, draw: &mut Draw<'_>, place: usize) {
        let mut sent = Vec::new();
        match draw.u8() % 32 {
            0..=9 => self.deliver(draw),
            10 if !self.flying.is_empty() => {
                // Lost.
                let at = draw.below(self.flying.len());
                self.flying.swap_remove(at);
            }
            11..=14 => self.ask(draw, place),
            15..=17 => {
                let count = draw.below(20);
                self.group.hosts[place].apply(self.group.now, count, &mut sent);
            }
            18..=20 => self.group.now = later(draw, &self.group, place),
            21 => self.deliver_all(),
            22 if self.forges => self.forge(draw, place),
            23 if draw.one_in(8) && !self.lost_memory => self.lose_memory(place),
            24 => {
                let host = &mut self.group.hosts[place];
                host.replica.hand_leadership_over(self.group.now, None);
            }
            _ => self.group.hosts[place].turn(self.group.now, &mut sent),
        }
        self.group.hosts[place].drain(&mut sent);
        sent.into_iter().for_each(|sent| self.send(place, sent));
    }

    fn send(&mut self, from: usize, sent: Sent) {
        let Sent::ToNodes(nodes, bytes) = sent else { return };
        for to in nodes.iter() {
            if self.flying.len() == FLYING_MAX {
                self.flying.remove(0);
            }
            let to = usize::from(to.number()) - 1;
            self.flying.push(Flying { from, to, bytes: bytes.clone() });
        }
    }

    /// One packet arrives; some stay under way, and will come again.
    fn deliver(&mut self, draw: &mut Draw<'_>) {
        if self.flying.is_empty() {
            return;
        }
        let at = draw.below(self.flying.len());
        let twice = draw.one_in(16);
        let Flying { from, to, bytes } = if twice {
            let Flying { from, to, ref bytes } = self.flying[at];
            Flying { from, to, bytes: bytes.clone() }
        } else {
            self.flying.remove(at)
        };
        self.group.deliver(from, to, &bytes);
    }

    /// All that is under way arrives, in order, and every node has a turn.
    fn deliver_all(&mut self) {
        for Flying { from, to, bytes } in core::mem::take(&mut self.flying) {
            self.group.deliver(from, to, &bytes);
        }
        for place in 0..self.group.hosts.len() {
            let (mut sent, now) = (Vec::new(), self.group.now);
            self.group.hosts[place].turn(now, &mut sent);
            sent.into_iter().for_each(|sent| self.send(place, sent));
            self.check(place);
        }
    }

    /// The same packet of a client's to one node, or to all.
    fn ask(&mut self, draw: &mut Draw<'_>, place: usize) {
        if draw.one_in(3) {
            return requested(draw, &mut self.group, place);
        }
        let mut packet = [0; PACKET_MAX];
        let len = self.group.with_forger(place, |forger| forger.request(draw, &mut packet));
        let from = crate::forge::client(draw);
        for host in &mut self.group.hosts {
            host.receive(self.group.now, from, true, &packet[..len]);
        }
    }

    fn forge(&mut self, draw: &mut Draw<'_>, place: usize) {
        let mut packet = [0; PACKET_MAX];
        let len = self.group.with_forger(place, |forger| forger.message(draw, &mut packet));
        self.group.hosts[place].receive(self.group.now, address(2), false, &packet[..len]);
    }

    fn lose_memory(&mut self, place: usize) {
        self.lost_memory = true;
        let id = u8::try_from(place + 1).unwrap_or_default();
        self.group.hosts[place] = Host::new(self.group.shape, id, 1, self.group.now);
    }

    fn check(&mut self, place: usize) {
        let host = &mut self.group.hosts[place];
        host.check();
        if self.forges {
            return;
        }
        let status = host.replica.status();
        if status.role == Role::Leader {
            let leader = *self.leaders.entry(status.term.to_wire()).or_insert(place);
            assert_eq!(leader, place, "two leaders in term {}", status.term);
        }
        for entry in host.replica.audit().iter().rev().take(32) {
            let first = self.decided.entry(entry.index).or_insert(*entry);
            assert_eq!(first, entry, "two decisions at index {}", entry.index);
        }
        let (applied, state) = (host.application.applied(), state_hash(host.application.service()));
        let first = *self.states.entry(applied).or_insert(state);
        assert_eq!(first, state, "two states at index {applied}");
    }
}
