//! Questions to a running node, from any thread.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crossbeam::channel::{self, Receiver, Sender};
use hovercraft::replica::Status;
use hovercraft::spans::SpansReader;
use hovercraft::trace::TraceReader;
use hovercraft_config::Mode;
use r2p2::service::snapshot_hash;
use raft_core::ids::{LogIndex, NodeId};
use thiserror::Error;

use crate::application;
use crate::board::Board;
use crate::link::{Asks, Shared};
use crate::network::{self, AuditPage, HalfTotals};
use crate::plan::Plan;
use crate::report::{NodeStatus, QueueStatus, Totals};
use crate::words;

/// How long a thread may take to answer a question: it looks once per turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks a node's threads; any thread may hold one.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    network: Asks<network::Question>,
    application: Asks<application::Question>,
    shared: Arc<Shared>,
    boards: Boards,
    plan: Plan,
    started: Instant,
}

/// What the halves publish.
#[derive(Debug)]
pub(crate) struct Boards {
    pub(crate) network: Arc<Board>,
    pub(crate) application: Arc<Board>,
    /// The last steps of requests; empty when the trace is off.
    pub(crate) traces: Vec<TraceReader>,
    /// How long requests take.
    pub(crate) spans: Vec<SpansReader>,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum AskError {
    /// Too many questions wait, or the thread is gone.
    #[error("the {0} thread takes no more questions")]
    Refused(&'static str),
    /// The thread is busy with one thing for long.
    #[error("no answer from the {0} thread within {PATIENCE:?}")]
    Silent(&'static str),
}

/// A service's state between two entries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StateReport {
    /// Last entry executed.
    pub applied: u64,
    /// `r2p2::service::state_hash` of the service.
    pub state_hash: u64,
    /// The answer to the query; `None` when there was none, or the service refused it.
    pub reply: Option<Vec<u8>>,
}

impl Handle {
    pub(crate) fn new(
        network: Asks<network::Question>,
        application: Asks<application::Question>,
        shared: Arc<Shared>,
        boards: Boards,
        plan: Plan,
    ) -> Self {
        let started = Instant::now();
        Self(Arc::new(Inner { network, application, shared, boards, plan, started }))
    }

    /// What the threads publish; needs no answer from them.
    pub(crate) fn boards(&self) -> &Boards {
        &self.0.boards
    }

    /// Since the node was made.
    pub(crate) fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// What the node was started with.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// Whether the service executes: false after a panic that it does not survive.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        !self.0.shared.is_stopped()
    }

    /// How the node is.
    ///
    /// # Errors
    ///
    /// [`AskError`] when one of its threads does not answer.
    pub fn status(&self) -> Result<NodeStatus, AskError> {
        let network = self.view()?;
        let plan = self.plan();
        let node = &plan.group.node;
        let Status { last, .. } = network.status;
        let queue = network.status.queues.iter().map(|queue| QueueStatus {
            id: queue.id.number(),
            depth: queue.depth,
            applied: queue.applied.to_wire(),
            matched: queue.matched.to_wire(),
            lag: last.since(queue.matched),
        });
        let status = &network.status;
        Ok(NodeStatus {
            id: status.id.number(),
            incarnation: format!("{:016x}", status.incarnation),
            cluster_id: format!("{:016x}", status.cluster_id),
            group: plan.group.name.clone(),
            mode: words::mode(plan.group.mode).to_owned(),
            role: status.role.name().to_owned(),
            term: status.term.to_wire(),
            leader: status.leader.map(NodeId::number),
            commit: status.commit.to_wire(),
            applied: status.applied.to_wire(),
            last: last.to_wire(),
            unordered: status.unordered,
            sessions: status.sessions as u64,
            missing_bodies: status.missing_bodies as u64,
            parked: status.parked as u64,
            queue: queue.collect(),
            service: plan.group.service.clone(),
            serving: self.is_serving() && status.lost_body.is_none(),
            threads: words::threads(node.threads).to_owned(),
            idle: words::idle(node.idle).to_owned(),
            uptime_s: self.uptime().as_secs(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            counters: self.totals()?,
        })
    }

    /// Totals since the start.
    ///
    /// # Errors
    ///
    /// [`AskError`] when one of its threads does not answer.
    pub fn totals(&self) -> Result<Totals, AskError> {
        let network = self.ask_network(network::Question::Totals)?;
        let application = self.ask_application(application::Question::Totals)?;
        Ok(totals(&network, &application))
    }

    /// Role and place of the replica, and whether the network thread answers at all.
    ///
    /// # Errors
    ///
    /// [`AskError`] when it does not.
    pub(crate) fn view(&self) -> Result<network::View, AskError> {
        self.ask_network(network::Question::View)
    }

    /// Asks the node to hand leadership over, to `to` or to whoever has most of the log; whether that began. It is over
    /// when [`Self::status`] shows another role.
    ///
    /// # Errors
    ///
    /// [`AskError`] when the network thread does not answer.
    pub fn hand_leadership_over(&self, to: Option<NodeId>) -> Result<bool, AskError> {
        self.ask_network(|answer| network::Question::HandOver(to, answer))
    }

    /// Whether the node keeps an audit: its configuration says so, and it has a log.
    #[must_use]
    pub fn keeps_audit(&self) -> bool {
        let group = &self.plan().group;
        group.node.audit && group.mode != Mode::Unreplicated
    }

    /// Entries of the audit from `from` on, a page at most.
    ///
    /// # Errors
    ///
    /// [`AskError`] when the network thread does not answer.
    pub(crate) fn audit(&self, from: LogIndex) -> Result<AuditPage, AskError> {
        self.ask_network(|answer| network::Question::Audit(from, answer))
    }

    /// The service's state after the last entry executed, and its answer to a query at that moment. Hashing is done
    /// here, not on the application's thread.
    ///
    /// # Errors
    ///
    /// [`AskError`] when the application thread does not answer.
    pub fn state(&self, query: Option<Vec<u8>>) -> Result<StateReport, AskError> {
        let mut view =
            self.ask_application(|answer| application::Question::State(query, answer))?;
        Ok(StateReport {
            applied: view.applied.to_wire(),
            state_hash: snapshot_hash(&mut *view.snapshot),
            reply: view.reply,
        })
    }

    fn ask_network<T>(
        &self,
        question: impl FnOnce(Sender<T>) -> network::Question,
    ) -> Result<T, AskError> {
        ask(&self.0.network, "network", question)
    }

    fn ask_application<T>(
        &self,
        question: impl FnOnce(Sender<T>) -> application::Question,
    ) -> Result<T, AskError> {
        ask(&self.0.application, "application", question)
    }

    /// Tells both threads to end; harmless when they have.
    pub(crate) fn stop(&self) {
        self.0.network.put(network::Question::Stop);
        self.0.application.put(application::Question::Stop);
    }
}

fn ask<Q, T>(
    thread: &Asks<Q>,
    name: &'static str,
    question: impl FnOnce(Sender<T>) -> Q,
) -> Result<T, AskError> {
    let (sender, answer): (Sender<T>, Receiver<T>) = channel::bounded(1);
    if !thread.put(question(sender)) {
        return Err(AskError::Refused(name));
    }
    answer.recv_timeout(PATIENCE).map_err(|_| AskError::Silent(name))
}

fn totals(network: &HalfTotals, application: &HalfTotals) -> Totals {
    let mut backend = BTreeMap::new();
    for &(name, total) in network.backend.iter().chain(&application.backend) {
        *backend.entry(name.to_owned()).or_insert(0) += total;
    }
    let named = |(name, total): (&str, u64)| (name.to_owned(), total);
    Totals {
        replica: network.totals.iter().copied().map(named).collect(),
        application: application.totals.iter().copied().map(named).collect(),
        backend,
    }
}
