//! The halves of a node and the link between them, for `cargo bench -p hovercraft-node`: no part of what users call.

use std::sync::Arc;

use dataplane::backend::Queue;
use hovercraft::command::{AnswerTo, Command, Completion};
use r2p2::refusal::Reason;
use r2p2::service::Service;
use raft_core::ids::LogIndex;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::application::ApplicationHalf;
use crate::link::Shared;
use crate::network::Network;
use crate::node::{Ends, Halves};
use crate::plan::Plan;

/// The network half of a node.
#[derive(Debug)]
pub struct NetworkTurns<Q>(Network<Q>);

/// The application half.
#[derive(Debug)]
pub struct ApplicationTurns<S, Q>(ApplicationHalf<S, Q>);

/// Both, over these queues.
pub fn halves<S: Service, Q: Queue>(
    plan: Plan,
    service: S,
    [network, application]: [Q; 2],
) -> (NetworkTurns<Q>, ApplicationTurns<S, Q>) {
    let ends = Ends { network, application, wake_network: None, wake_application: None };
    let Halves { network, application, handle: _ } = crate::node::halves(plan, service, ends);
    (NetworkTurns(network), ApplicationTurns(application))
}

impl<Q: Queue> NetworkTurns<Q> {
    /// One turn; whether it found something to do.
    pub fn turn(&mut self) -> bool {
        self.0.turn().busy
    }
}

impl<S: Service, Q: Queue> ApplicationTurns<S, Q> {
    /// As [`NetworkTurns::turn`].
    pub fn turn(&mut self) -> bool {
        self.0.turn().busy
    }
}

/// The network half's end of the link.
#[derive(Debug)]
pub struct Giving {
    commands: Producer<Command>,
    shared: Arc<Shared>,
    taken: u64,
}

/// The application half's end.
#[derive(Debug)]
pub struct Taking {
    commands: Consumer<Command>,
    shared: Arc<Shared>,
}

/// A ring for so many commands, with the numbers beside it.
#[must_use]
pub fn link(commands: usize) -> (Giving, Taking) {
    let (producer, consumer) = RingBuffer::new(commands);
    let shared = Arc::new(Shared::default());
    let taking = Taking { commands: consumer, shared: Arc::clone(&shared) };
    (Giving { commands: producer, shared, taken: 0 }, taking)
}

impl Giving {
    /// Hands one command over; false when the ring is full.
    pub fn give(&mut self, number: u64) -> bool {
        let to = AnswerTo { number, ..AnswerTo::default() };
        self.commands.push(Command::Refuse { to, reason: Reason::Overload }).is_ok()
    }

    /// Commands that were done since the last time.
    pub fn done(&mut self) -> u32 {
        self.shared.completion(&mut self.taken).map_or(0, |completion| completion.commands)
    }
}

impl Taking {
    /// Takes one command and reports it done; its number.
    pub fn take(&mut self) -> Option<u64> {
        let Command::Refuse { to, .. } = self.commands.pop().ok()? else { return None };
        let applied = LogIndex::from_wire(to.number);
        self.shared.report(Completion { commands: 1, applied, stopped: false });
        Some(to.number)
    }
}
