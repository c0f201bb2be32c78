//! The application half of a node: takes commands from the ring, executes them, sends the answers on its own queue.
//!
//! Invariants:
//! - P1. A turn allocates, locks and logs nothing, but for what the service does and for questions of the operator.
//! - P2. Progress is reported after each command: the leader's view of this node's queue is as fresh as it can be (HC4).
//! - P3. Answers leave after [`TURN_MAX`] and one execution at the latest.

use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam::channel::Sender;
use dataplane::backend::{Instant, Queue};
use dataplane::udp::Waker;
use hovercraft::application::Application;
use hovercraft::command::Command;
use r2p2::service::{Context, Reply, Service, Snapshot};
use raft_core::ids::LogIndex;
use rtrb::Consumer;

use crate::board::{Board, Publisher, queue_totals};
use crate::link::{Mailbox, Shared};
use crate::network::HalfTotals;
use crate::turn::Turn;

/// Commands of one turn.
const BURST: usize = 32;

/// A turn takes no further command after this time: with both halves on one thread the network must not wait long.
const TURN_MAX: Duration = Duration::from_micros(50);

/// What the control thread and the admin endpoint ask.
#[derive(Debug)]
pub(crate) enum Question {
    /// What happened how often.
    Totals(Sender<HalfTotals>),
    /// The state, and the answer to a query.
    State(Option<Vec<u8>>, Sender<StateView>),
    /// End the thread.
    Stop,
}

/// The service's state between two commands.
pub(crate) struct StateView {
    /// Last entry executed.
    pub(crate) applied: LogIndex,
    /// The state, to be hashed by whoever asked.
    pub(crate) snapshot: Box<dyn Snapshot>,
    /// The query's answer; `None` when the service refused it.
    pub(crate) reply: Option<Vec<u8>>,
}

/// The application half.
#[derive(Debug)]
pub(crate) struct ApplicationHalf<S, Q> {
    queue: Q,
    application: Application<S>,
    commands: Consumer<Command>,
    shared: Arc<Shared>,
    mailbox: Mailbox<Question>,
    /// Ends the network thread's sleep; none when it does not sleep.
    wake_network: Option<Waker>,
    reply_max: usize,
    publisher: Publisher,
}

impl<S: Service, Q: Queue> ApplicationHalf<S, Q> {
    /// Around an application. `reply_max` bounds answers to the operator's queries, in bytes.
    pub(crate) fn new(
        queue: Q,
        application: Application<S>,
        commands: Consumer<Command>,
        shared: Arc<Shared>,
        mailbox: Mailbox<Question>,
        wake_network: Option<Waker>,
        reply_max: usize,
    ) -> Self {
        let names = application.totals().map(|(name, _)| name);
        let publisher = Publisher::new(Board::new(&queue, names));
        Self { queue, application, commands, shared, mailbox, wake_network, reply_max, publisher }
    }

    /// What this half publishes.
    pub(crate) fn board(&self) -> Arc<Board> {
        self.publisher.board()
    }

    /// Does what is to be done now.
    pub(crate) fn turn(&mut self) -> Turn {
        let begin = self.queue.now();
        let mut stop = false;
        let (application, queue) = (&self.application, &self.queue);
        let reply_max = self.reply_max;
        let asked = self.mailbox.take(|question| match question {
            Question::Stop => stop = true,
            question => answer(application, queue, reply_max, question),
        });
        let done = self.execute(begin);
        if self.application.deadline().is_some_and(|deadline| deadline <= begin) {
            let heard_us = self.shared.heard_us();
            let queue = &mut self.queue;
            self.application.tick(begin, heard_us, &mut |to, head, payload| {
                queue.send(to, head, payload);
            });
        }
        self.queue.flush();
        if let Some(waker) = self.wake_network.as_ref().filter(|_| done > 0) {
            waker.wake();
        }
        let (queue, application, busy) = (&self.queue, &self.application, done + asked > 0);
        self.publisher.turn(begin, busy, |tell| queue_totals(queue, tell), || numbers(application));
        Turn { now: begin, busy, stop }
    }

    /// Writes executed, for tests that run the turns themselves.
    #[cfg(test)]
    pub(crate) fn executed(&self) -> u64 {
        self.application.counters.executed
    }

    /// When the next turn is needed though nothing comes.
    pub(crate) fn deadline(&self) -> Instant {
        self.application.deadline().unwrap_or(Instant::MAX)
    }

    /// Waits until a waker comes, or the time is over.
    pub(crate) fn wait(&mut self, for_at_most: Duration) {
        self.before_sleep();
        self.queue.wait(for_at_most);
    }

    /// Publishes what happened, if the thread sleeps on something else.
    pub(crate) fn before_sleep(&mut self) {
        self.publisher.before_sleep(|| numbers(&self.application));
    }

    /// Takes commands until none is left, or a turn's share is done; returns how many.
    fn execute(&mut self, begin: Instant) -> usize {
        // An execution may be long, and answers that come too late are held back by this time (HC3c): read it each time.
        let mut now = begin;
        for done in 0..BURST {
            if now > begin + TURN_MAX {
                return done;
            }
            let Ok(command) = self.commands.pop() else { return done };
            // After the command was taken: what was heard before it was put in is seen.
            let heard_us = self.shared.heard_us();
            let queue = &mut self.queue;
            self.application.handle(now, heard_us, command, &mut |to, head, payload| {
                queue.send(to, head, payload);
            });
            self.shared.report(self.application.take_completion());
            now = self.queue.now();
            self.application.handled(now);
            self.publisher.beat(now);
        }
        BURST
    }
}

/// What stands on the board, in its order.
fn numbers<S: Service>(application: &Application<S>) -> impl Iterator<Item = u64> + use<S> {
    application.totals().map(|(_, value)| value)
}

/// An asker that has gone meanwhile is no concern of ours (L3).
fn answer<S: Service, Q: Queue>(
    application: &Application<S>,
    queue: &Q,
    reply_max: usize,
    question: Question,
) {
    match question {
        Question::Totals(to) => {
            let totals = application.totals().collect();
            let _ = to.try_send(HalfTotals::new(totals, queue));
        }
        Question::State(query, to) => {
            let context = application.context();
            let reply =
                query.and_then(|query| ask(application.service(), &context, &query, reply_max));
            let snapshot = application.service().snapshot();
            let _ = to.try_send(StateView { applied: application.applied(), snapshot, reply });
        }
        Question::Stop => {}
    }
}

/// The service's answer; `None` when it refuses, panics, or says more than fits.
fn ask<S: Service>(
    service: &S,
    context: &Context,
    query: &[u8],
    reply_max: usize,
) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut reply = Reply::new(&mut bytes, reply_max);
    let asked = catch_unwind(AssertUnwindSafe(|| service.query(context, query, &mut reply)));
    let answered = matches!(asked, Ok(Ok(_))) && !reply.overflowed();
    answered.then_some(bytes)
}
