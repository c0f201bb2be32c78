//! One replica of a group, fed with arbitrary well-formed messages, packets of clients, bytes and time (HC13).
//!
//! Its cluster id and the MAC are right: what arrives is what somebody with the key could send, or, in a cluster without one,
//! anybody. Such a one may disturb consensus (HC13). But nothing panics, indexes and terms do not fall, every bound holds, and what
//! the node says itself is well-formed.

use core::time::Duration;

use hovercraft::wire::PACKET_MAX;
use raft_core::ids::NodeId;

use crate::draw::Draw;
use crate::forge::client;
use crate::group::{Group, settled};
use crate::host::{ELECTION_MAX, address};

/// Events of one run, at most.
const EVENTS_MAX: usize = 300;

/// The body of fuzz target `replica`: the bytes choose a group, a node of it, and what happens to that. True when the node has
/// committed something on the way.
///
/// # Panics
///
/// When the node breaks an invariant.
#[must_use]
pub fn replica(bytes: &[u8]) -> bool {
    let mut draw = Draw::new(bytes);
    let which = draw.below(6);
    let mut group = settled(which);
    let place = match draw.u8() % 8 {
        // One that knows nobody yet.
        0 => {
            group = Group { sessions: group.sessions, ..Group::unborn(group.shape) };
            0
        }
        1..=4 => group.leader().unwrap_or_default(),
        other => usize::from(other) % group.hosts.len(),
    };
    let begin = group.hosts[place].gauges().commit;
    for _ in 0..EVENTS_MAX {
        if draw.is_empty() {
            break;
        }
        event(&mut draw, &mut group, place);
        group.hosts[place].check();
    }
    group.hosts[place].gauges().commit > begin
}

fn event(draw: &mut Draw<'_>, group: &mut Group, place: usize) {
    let mut sent = Vec::new();
    match draw.u8() % 16 {
        0..=5 => forged(draw, group, place),
        6..=8 => requested(draw, group, place),
        9 => {
            let bytes = draw.bytes(200);
            group.hosts[place].receive(group.now, address(2), draw.one_in(2), bytes);
        }
        10 => {
            let to = NodeId::new(draw.u8() % 5);
            group.hosts[place].replica.hand_leadership_over(group.now, to);
        }
        11 | 12 => {
            let count = draw.below(20);
            group.hosts[place].apply(group.now, count, &mut sent);
        }
        13 => group.now = later(draw, group, place),
        _ => group.hosts[place].turn(group.now, &mut sent),
    }
    group.hosts[place].drain(&mut sent);
}

/// A message under the right id and with the right MAC.
fn forged(draw: &mut Draw<'_>, group: &mut Group, place: usize) {
    let mut packet = [0; PACKET_MAX];
    let len = group.with_forger(place, |forger| forger.message(draw, &mut packet));
    group.hosts[place].receive(group.now, address(2), false, &packet[..len]);
}

/// A packet of a client's.
pub(crate) fn requested(draw: &mut Draw<'_>, group: &mut Group, place: usize) {
    let mut packet = [0; PACKET_MAX];
    let len = group.with_forger(place, |forger| forger.request(draw, &mut packet));
    let from = client(draw);
    group.hosts[place].receive(group.now, from, draw.u8() < 200, &packet[..len]);
}

/// The next moment at which something is due, or any other.
pub(crate) fn later(draw: &mut Draw<'_>, group: &Group, place: usize) -> Duration {
    let now = group.now;
    let due = group.hosts[place].replica.deadline();
    let soon = now + ELECTION_MAX;
    match draw.u8() % 8 {
        0..=3 => due.clamp(now, soon),
        4 | 5 => now + Duration::from_micros(draw.u16().into()),
        6 => now + Duration::from_millis(draw.u8().into()),
        _ => now + Duration::from_secs(draw.u8().into()),
    }
}
