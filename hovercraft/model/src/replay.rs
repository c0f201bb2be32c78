//! A path played again from the start, on real nodes that nothing was merged with.

use crate::checks::{self, Leaders, Record, Step, Violation, World};
use crate::explore::Move;
use crate::machine::input;
use crate::node::{Node, Sent};
use crate::packets::{PacketId, Packets};
use crate::scope::Scope;
use crate::view::View;
use crate::words;

/// What was seen.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Each event, and what became of its node.
    pub lines: Vec<String>,
    /// The rule that did not hold at the end.
    pub violation: Option<Violation>,
}

/// The nodes, and what happened.
struct Player<'a> {
    scope: Scope,
    packets: &'a mut Packets,
    nodes: Vec<Node>,
    views: Vec<View>,
    ended: Option<View>,
    record: Record,
    leaders: Leaders,
    /// What nodes sent so far.
    sent: Vec<PacketId>,
    lines: Vec<String>,
}

/// Plays `path`, which belongs to `scope`, until a check fails that is not one of `blind`.
pub fn replay(scope: Scope, packets: &mut Packets, path: &[Move], blind: &[String]) -> Replay {
    let nodes = scope.nodes();
    let views: Vec<_> = (1..).zip(&nodes).map(|(id, node)| View::of(id, node)).collect();
    let (mut record, mut leaders) = (Record::default(), Leaders::default());
    let mut lines = Vec::new();
    for view in &views {
        record = record.with(view).unwrap_or(record);
        if view.leads() {
            leaders = leaders.with(view.term, view.id);
        }
        lines.push(format!("      {}", words::node(view)));
    }
    let (sent, ended) = (Vec::new(), None);
    let mut player = Player { scope, packets, nodes, views, ended, record, leaders, sent, lines };
    for (number, step) in (1..).zip(path) {
        let violation = match *step {
            Move::Restart(slot) => {
                player.restart(number, slot);
                None
            }
            Move::Event(slot, event) => player.happen(number, slot, event, blind),
        };
        if violation.is_some() {
            return Replay { lines: player.lines, violation };
        }
    }
    Replay { lines: player.lines, violation: None }
}

impl Player<'_> {
    fn restart(&mut self, number: usize, slot: u8) {
        let (id, place) = (slot + 1, usize::from(slot));
        let (fresh, sent) = Node::restarted(id, self.scope.shape, self.nodes[place].began);
        self.take_up(id, sent);
        let view = View::of(id, &fresh);
        self.lines.push(format!("{number:4}. n{id} loses its memory and comes back"));
        self.nodes[place] = fresh;
        self.ended = Some(core::mem::replace(&mut self.views[place], view));
    }

    fn happen(
        &mut self,
        number: usize,
        slot: u8,
        event: u32,
        blind: &[String],
    ) -> Option<Violation> {
        let (id, place) = (slot + 1, usize::from(slot));
        let what = self.words_of(event);
        if !self.can_happen(event) {
            self.lines.push(format!("{number:4}. n{id} would have: {what}; nobody sent it"));
            return None;
        }
        let input = input(self.packets, event);
        let wrong = |what| Some(Violation { rule: "the node's own assertions", what });
        let sent = match self.nodes[place].step(input) {
            Ok(sent) => sent,
            Err(panic) => {
                self.lines.push(format!("{number:4}. n{id}: {what}"));
                return wrong(panic);
            }
        };
        let sent = self.take_up(id, sent);
        let after = View::of(id, &self.nodes[place]);
        self.lines.push(format!("{number:4}. n{id}: {what}\n      -> {}", words::node(&after)));
        let before = core::mem::replace(&mut self.views[place], after);
        self.check(&before, place, &sent, blind)
    }

    fn check(
        &mut self,
        before: &View,
        place: usize,
        sent: &[PacketId],
        blind: &[String],
    ) -> Option<Violation> {
        let after = &self.views[place];
        let sent: Vec<_> = sent.iter().map(|&packet| self.packets.get(packet)).collect();
        let step = Step { before, after, sent: &sent };
        let world = World {
            nodes: core::array::from_fn(|slot| &self.views[slot]),
            ended: self.ended.as_ref(),
            record: &self.record,
            leaders: self.leaders,
            before,
            after,
        };
        let wrong = checks::of_step(&step, blind).or_else(|| checks::of_world(&world, blind));
        if after.leads() {
            self.leaders = self.leaders.with(after.term, after.id);
        }
        if let Some(record) = self.record.with(after) {
            self.record = record;
        }
        wrong
    }

    fn take_up(&mut self, from: u8, sent: Sent) -> Vec<PacketId> {
        let packets = &mut *self.packets;
        let taken = sent.to_nodes.into_iter();
        let taken = taken.filter_map(|(to, bytes)| packets.of_node(from, to, bytes));
        let taken: Vec<_> = taken.collect();
        self.sent.extend(&taken);
        taken
    }

    fn words_of(&self, event: u32) -> String {
        let packet = || format!("gets {}", words::packet(self.packets.get(event)));
        crate::machine::name(event).map_or_else(packet, str::to_owned)
    }

    /// A packet arrives only when somebody sent it on this way.
    fn can_happen(&self, event: u32) -> bool {
        crate::machine::name(event).is_some()
            || self.sent.contains(&event)
            || self.packets.get(event).incoming.from == crate::scope::client()
    }
}
