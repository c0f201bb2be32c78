//! The network half of a node: packets, time and completions into the replica, its outputs out (design, section 5).
//!
//! One turn: the clock is read once, a burst is received, what the application half did is reported, the burst is ended,
//! time passes, and what the replica wants is done in order; then everything leaves in one flush.
//!
//! Invariants:
//! - N1. A turn allocates, locks and logs nothing, but for questions of the operator, which are rare.
//! - N2. Outputs are done in the order in which the replica gave them. In memory mode everything is durable at once, so
//!   none of them waits for its `needs`.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use crossbeam::channel::Sender;
use dataplane::backend::{ArrivedAt, Instant, Queue};
use dataplane::udp::Waker;
use hovercraft::audit::AuditEntry;
use hovercraft::command::Command;
use hovercraft::outbox::Output;
use hovercraft::replica::{Arrival, Counters, Replica, Status};
use raft_core::ids::{LogIndex, NodeId, NodeSet};
use rtrb::Producer;

use crate::board::{Board, Publisher, queue_totals};
use crate::link::{Mailbox, Shared};
use crate::turn::Turn;

/// Entries of an audit that are copied in one turn.
pub(crate) const AUDIT_PAGE: usize = 4_096;

/// Places for node ids.
const NODES: usize = NodeId::MAX_NODES as usize;

/// What the control thread and the admin endpoint ask.
#[derive(Debug)]
pub(crate) enum Question {
    /// How things are.
    View(Sender<View>),
    /// What happened how often; asks the kernel, too, so not for every look.
    Totals(Sender<HalfTotals>),
    /// The entries of the audit from this index on, at most [`AUDIT_PAGE`].
    Audit(LogIndex, Sender<AuditPage>),
    /// Hand leadership over; whether it began.
    HandOver(Option<NodeId>, Sender<bool>),
    /// End the thread.
    Stop,
}

/// One moment of the network half.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) status: Status,
    pub(crate) counters: Counters,
    /// Who last spoke another version, and which.
    pub(crate) other_version: Option<(SocketAddr, u8)>,
}

/// What happened how often on one thread: in its half, and in its queue.
#[derive(Clone, Debug)]
pub(crate) struct HalfTotals {
    pub(crate) totals: Vec<(&'static str, u64)>,
    pub(crate) backend: Vec<(&'static str, u64)>,
}

impl HalfTotals {
    pub(crate) fn new(totals: Vec<(&'static str, u64)>, queue: &impl Queue) -> Self {
        let mut backend = Vec::new();
        queue_totals(queue, &mut |name, total| backend.push((name, total)));
        Self { totals, backend }
    }
}

/// A part of the audit.
#[derive(Clone, Debug)]
pub(crate) struct AuditPage {
    pub(crate) entries: Vec<AuditEntry>,
    /// Entries up to here are decided and applied.
    pub(crate) applied: LogIndex,
}

/// The network half.
#[derive(Debug)]
pub(crate) struct Network<Q> {
    queue: Q,
    replica: Replica,
    commands: Producer<Command>,
    shared: Arc<Shared>,
    mailbox: Mailbox<Question>,
    /// Ends the application thread's sleep; none when it does not sleep.
    wake_application: Option<Waker>,
    /// Where the members are, by [`NodeId::place`].
    addresses: [Option<SocketAddr>; NODES],
    /// Commands that the application half is known to have taken.
    taken: u64,
    publisher: Publisher,
}

/// Names on the board for each member, by [`NodeId::place`]; depth [`UNKNOWN`] = the leader has not heard of it, or this
/// node does not lead.
pub(crate) const PEER: [&str; 3] = ["peer_depth", "peer_applied", "peer_matched"];

/// Stands for a peer's depth that is not known.
pub(crate) const UNKNOWN: u64 = u64::MAX;

impl<Q: Queue> Network<Q> {
    /// Around a replica. `commands` has room for all that the replica may have under way (L2).
    pub(crate) fn new(
        queue: Q,
        replica: Replica,
        members: impl Iterator<Item = (NodeId, SocketAddr)>,
        commands: Producer<Command>,
        shared: Arc<Shared>,
        mailbox: Mailbox<Question>,
        wake_application: Option<Waker>,
    ) -> Self {
        let mut addresses = [None; NODES];
        for (id, address) in members {
            addresses[id.place()] = Some(address);
        }
        let names = replica.gauges().iter().chain(replica.totals()).map(|(name, _)| name);
        let peers = (0..NODES).flat_map(|_| PEER);
        let publisher = Publisher::new(Board::new(&queue, names.chain(peers)));
        let taken = 0;
        Self {
            queue,
            replica,
            commands,
            shared,
            mailbox,
            wake_application,
            addresses,
            taken,
            publisher,
        }
    }

    /// What this half publishes.
    pub(crate) fn board(&self) -> Arc<Board> {
        self.publisher.board()
    }

    /// Does what is to be done now.
    pub(crate) fn turn(&mut self) -> Turn {
        let now = self.queue.now();
        let replica = &mut self.replica;
        let mut work = self.queue.receive(&mut |arrival| {
            let group = matches!(arrival.to, ArrivedAt::Group(_));
            let (from, not_before, bytes) = (arrival.from, arrival.not_before, arrival.bytes);
            replica.receive(now, &Arrival { from, group, not_before, bytes });
        });
        if let Some(completion) = self.shared.completion(&mut self.taken) {
            work += 1;
            self.replica.completed(now, completion);
        }
        let mut stop = false;
        let (replica, queue) = (&mut self.replica, &self.queue);
        work += self.mailbox.take(|question| match question {
            Question::Stop => stop = true,
            question => answer(replica, queue, now, question),
        });
        self.replica.end_burst(now);
        if self.replica.deadline() <= now {
            self.replica.tick(now);
        }
        // Before the commands: whoever takes one of them from the ring sees it (HC3c).
        self.shared.hear(self.replica.heard_us());
        work += self.perform();
        self.queue.flush();
        let (queue, replica, busy) = (&self.queue, &self.replica, work > 0);
        self.publisher.turn(now, busy, |tell| queue_totals(queue, tell), || numbers(replica));
        Turn { now, busy, stop }
    }

    /// How things are, for tests that run the turns themselves.
    #[cfg(test)]
    pub(crate) fn status(&self) -> Status {
        self.replica.status()
    }

    /// When the next turn is needed though nothing comes.
    pub(crate) fn deadline(&self) -> Instant {
        self.replica.deadline()
    }

    /// Waits until a packet or a waker comes, or the time is over.
    pub(crate) fn wait(&mut self, for_at_most: Duration) {
        self.publisher.before_sleep(|| numbers(&self.replica));
        self.queue.wait(for_at_most);
    }

    /// Does what the replica wants, in order; returns how much that was.
    fn perform(&mut self) -> usize {
        let (mut done, mut commands) = (0, 0);
        while let Some(output) = self.replica.poll_output() {
            done += 1;
            match output {
                Output::ToNodes { nodes, packet, needs: _ } => {
                    let (to, count) = destinations(&self.addresses, nodes);
                    self.queue.send_all(&to[..count], packet, &[]);
                }
                Output::ToClient { to, packet } => {
                    self.queue.send(to, packet, &[]);
                }
                Output::Command(command) => {
                    commands += 1;
                    let pushed = self.commands.push(command);
                    assert!(pushed.is_ok(), "L2: the ring has room for commands_max commands");
                }
            }
        }
        if let Some(waker) = self.wake_application.as_ref().filter(|_| commands > 0) {
            waker.wake();
        }
        done
    }
}

/// What stands on the board, in its order.
fn numbers(replica: &Replica) -> impl Iterator<Item = u64> + '_ {
    let named = replica.gauges().iter().chain(replica.totals()).map(|(_, value)| value);
    let peers = NodeId::all().flat_map(|id| {
        let queue = replica.queue_of(id);
        queue.map_or([UNKNOWN, 0, 0], |queue| {
            [queue.depth, queue.applied.to_wire(), queue.matched.to_wire()]
        })
    });
    named.chain(peers)
}

/// The addresses of `nodes`: the first of the array, as many as the number says.
fn destinations(
    addresses: &[Option<SocketAddr>; NODES],
    nodes: NodeSet,
) -> ([SocketAddr; NODES], usize) {
    let nobody = SocketAddr::from(([0; 4], 0));
    let (mut to, mut count) = ([nobody; NODES], 0);
    for address in nodes.iter().filter_map(|node| addresses[node.place()]) {
        to[count] = address;
        count += 1;
    }
    (to, count)
}

/// An asker that has gone meanwhile is no concern of ours (L3).
fn answer<Q: Queue>(replica: &mut Replica, queue: &Q, now: Instant, question: Question) {
    match question {
        Question::View(to) => {
            let _ = to.try_send(View {
                status: replica.status(),
                counters: *replica.counters(),
                other_version: replica.other_version(),
            });
        }
        Question::Totals(to) => {
            let totals = replica.totals().collect();
            let _ = to.try_send(HalfTotals::new(totals, queue));
        }
        Question::Audit(from, to) => {
            let _ = to.try_send(audit_page(replica, from));
        }
        Question::HandOver(node, to) => {
            let _ = to.try_send(replica.hand_leadership_over(now, node));
        }
        Question::Stop => {}
    }
}

fn audit_page(replica: &Replica, from: LogIndex) -> AuditPage {
    let audit = replica.audit();
    let begin = audit.partition_point(|entry| entry.index < from);
    let applied = replica.status().applied;
    let end = audit.partition_point(|entry| entry.index <= applied).max(begin);
    let entries = audit.range(begin..end).take(AUDIT_PAGE).copied().collect();
    AuditPage { entries, applied }
}
