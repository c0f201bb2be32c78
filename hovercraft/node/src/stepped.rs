//! A node without threads of its own: whoever has it takes its turns, as one of several in one thread
//! (`hovercraft-lab run --wire inproc`).
//!
//! ```no_run
//! # use hovercraft_node::stepped::{AnyQueue, StepError};
//! # use hovercraft_node::{Plan, Services};
//! fn run(services: &Services, plan: Plan, queues: [AnyQueue; 2]) -> Result<(), StepError> {
//!     let (mut node, mut attendant) = services.step(plan, queues)?;
//!     std::thread::spawn(move || {
//!         loop {
//!             attendant.look();
//!             std::thread::sleep(hovercraft_node::stepped::LOOK_EVERY);
//!         }
//!     });
//!     loop {
//!         node.turn(); // and the other nodes', and what carries their packets
//!     }
//! }
//! ```
//!
//! Invariants:
//! - T1. A [`Stepped`] that is dropped is a node that was killed: nothing more is sent, nobody is told, its memory is gone.
//! - T2. Nothing in [`Stepped`] waits: what listens, logs and asks is the [`Attendant`]'s, which has threads of its own.

use std::net::TcpListener;
use std::time::Instant;

use dataplane::backend::Queue;
#[cfg(feature = "dpdk")]
use dataplane::clock::Clock;
#[cfg(feature = "dpdk")]
use dataplane::dpdk::{DpdkConfig, port::Device};
use r2p2::service::Service;
use thiserror::Error;
use tracing::{Span, info_span};

use crate::admin::Admin;
use crate::application::ApplicationHalf;
use crate::control::Watch;
use crate::handle::Handle;
use crate::logs;
use crate::network::Network;
use crate::node::{Ends, Halves, StartError, halves};
use crate::plan::{Plan, PlanError};
use crate::services::tell_start;

pub use crate::control::LOOK_EVERY;

/// Why a node cannot be stepped.
#[derive(Debug, Error)]
pub enum StepError {
    /// Its service.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Its admin address.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// A queue of any back end.
pub type AnyQueue = Box<dyn Queue>;

/// The halves of a node, to be stepped.
pub struct Stepped(Box<dyn Turns + Send>);

/// What serves a node's admin address, and logs what happens to it.
#[derive(Debug)]
pub struct Attendant {
    handle: Handle,
    watch: Watch,
    span: Span,
    /// Taken when it ends.
    admin: Option<Admin>,
}

trait Turns {
    fn turn(&mut self) -> bool;
}

struct Both<S> {
    network: Network<AnyQueue>,
    application: ApplicationHalf<S, AnyQueue>,
}

impl<S: Service> Turns for Both<S> {
    fn turn(&mut self) -> bool {
        let (first, second) = (self.network.turn(), self.application.turn());
        first.busy || second.busy
    }
}

impl Stepped {
    /// A turn of each half, the network's first; whether either found something to do.
    pub fn turn(&mut self) -> bool {
        self.0.turn()
    }
}

impl Attendant {
    /// Logs what has changed since the last look. The node must be stepped meanwhile.
    pub fn look(&mut self) {
        self.span.in_scope(|| self.watch.look(&self.handle, Instant::now()));
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        if let Some(admin) = self.admin.take() {
            admin.stop();
        }
    }
}

/// Logs of this process go to standard error, those of each node in a span `node` with its number.
pub fn log_to_stderr() {
    let read = logs::init("info", false);
    assert!(read.is_ok(), "{read:?}");
}

/// What a node's port of DPDK is opened with, as by a node that is a process.
#[cfg(feature = "dpdk")]
#[must_use]
pub fn dpdk_config(plan: &Plan, device: Device, clock: Clock) -> DpdkConfig {
    crate::dpdk::config(plan, device, clock)
}

/// A node over these queues, the network half's first, and its admin address served.
pub(crate) fn start<S: Service + Send + 'static>(
    plan: Plan,
    service: S,
    [network, application]: [AnyQueue; 2],
) -> Result<(Stepped, Attendant), StartError> {
    let span = info_span!("node", id = plan.member.id.number());
    span.in_scope(|| tell_start(&plan));
    let address = plan.member.admin;
    let listener =
        TcpListener::bind(address).map_err(|cause| StartError::Admin { address, cause })?;
    let ends = Ends { network, application, wake_network: None, wake_application: None };
    let Halves { network, application, handle } = halves(plan, service, ends);
    let admin = Some(Admin::start(listener, handle.clone())?);
    let stepped = Stepped(Box::new(Both { network, application }));
    Ok((stepped, Attendant { handle, watch: Watch::new(Instant::now()), span, admin }))
}
