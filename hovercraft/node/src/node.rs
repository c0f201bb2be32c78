//! A running node: its threads, and questions to them.

use core::time::Duration;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam::channel::{self, Sender};
use dataplane::backend::Queue;
use dataplane::error::BackendError;
use dataplane::udp::{BufferSizes, Udp, Waker};
use hovercraft::application::Application;
use hovercraft::replica::Replica;
use hovercraft::trace::Trace;
use hovercraft_config::Idle;
use r2p2::service::Service;
use rtrb::RingBuffer;
use thiserror::Error;

use crate::admin::Admin;
use crate::application::ApplicationHalf;
use crate::ffi;
use crate::handle::{Boards, Handle};
use crate::link::{Shared, mailbox};
use crate::network::Network;
use crate::plan::Plan;
use crate::turn::{self, Idling};

/// How long a thread may take to start.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a node cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data plane's sockets.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The admin port.
    #[error("{address}: cannot listen for administration: {cause}; is another process there?")]
    Admin {
        /// The member's admin address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// A thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// A core.
    #[error(
        "cores: cannot use core {core}: {cause}; choose cores that this machine has and this process may use"
    )]
    Core {
        /// Its number.
        core: usize,
        /// What the system says.
        cause: io::Error,
    },
}

/// A back end, opened: what each half sends and receives on, and what ends their sleep.
#[derive(Debug)]
pub(crate) struct Ends<Q> {
    pub(crate) network: Q,
    pub(crate) application: Q,
    pub(crate) wake_network: Option<Waker>,
    pub(crate) wake_application: Option<Waker>,
}

/// A node that runs in this process. Dropping it stops it at once; see the control thread for the polite way.
#[derive(Debug)]
pub struct Node {
    handle: Handle,
    threads: Vec<JoinHandle<()>>,
    admin: Option<Admin>,
    buffers: BufferSizes,
}

impl Node {
    /// Opens kernel UDP sockets and the admin port, takes the memory, starts the threads.
    ///
    /// # Errors
    ///
    /// [`StartError`]: what the system refused, with what to do.
    pub fn start<S: Service + Send + 'static>(plan: Plan, service: S) -> Result<Self, StartError> {
        let network = Udp::open(plan.udp.clone())?;
        let application = network.transmit_queue()?;
        let address = plan.member.admin;
        let listener =
            TcpListener::bind(address).map_err(|cause| StartError::Admin { address, cause })?;
        let buffers = network.buffers();
        let sleeps = plan.group.node.idle == Idle::Sleep;
        let wake_network = sleeps.then(|| network.waker());
        let wake_application = sleeps.then(|| application.waker());
        let ends = Ends { network, application, wake_network, wake_application };
        let mut node = Self::start_on(plan, service, ends, buffers)?;
        let admin = Admin::start(listener, node.handle()).map_err(StartError::Thread)?;
        node.admin = Some(admin);
        Ok(node)
    }

    /// On any back end, without an admin port.
    fn start_on<S: Service + Send + 'static, Q: Queue + 'static>(
        plan: Plan,
        service: S,
        ends: Ends<Q>,
        buffers: BufferSizes,
    ) -> Result<Self, StartError> {
        let Halves { network, application, handle } = halves(plan, service, ends);
        let node_config = &handle.plan().group.node;
        let idling = Idling::new(node_config.idle, handle.plan().group.limits.plain_window);
        let cores = [node_config.cores.first().copied(), node_config.cores.get(1).copied()];
        let (started, ready) = channel::bounded(2);
        let (second, third) = (handle.clone(), started.clone());
        let mut node = Self { handle: second, threads: Vec::new(), admin: None, buffers };
        if handle.plan().is_inline() {
            node.threads.push(spawn("hc-inline", cores[0], started, move || {
                turn::run_inline(network, application, idling);
            })?);
        } else {
            node.threads.push(spawn("hc-network", cores[0], started, move || {
                turn::run_network(network, idling);
            })?);
            node.threads.push(spawn("hc-application", cores[1], third, move || {
                turn::run_application(application, idling);
            })?);
        }
        for _ in 0..node.threads.len() {
            let refused = ready.recv_timeout(PATIENCE).ok().flatten();
            if let Some((core, cause)) = refused {
                return Err(StartError::Core { core, cause });
            }
        }
        Ok(node)
    }

    /// To ask its threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Socket buffers as the kernel gave them.
    #[must_use]
    pub fn buffers(&self) -> BufferSizes {
        self.buffers
    }

    /// Whether all its threads run. One that ended unasked had broken an invariant; it has said which on stderr.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }

    fn stop_threads(&mut self) {
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            // A mailbox that is full now empties within a turn; to be told twice harms nobody.
            self.handle.stop();
            thread::sleep(Duration::from_millis(1));
        }
        for thread in self.threads.drain(..) {
            // What a thread that panicked had to say stands on stderr.
            let _ = thread.join();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop_threads();
        if let Some(admin) = self.admin.take() {
            admin.stop();
        }
    }
}

/// Both halves, ready to run, and the handle to ask them.
pub(crate) struct Halves<S, Q> {
    pub(crate) network: Network<Q>,
    pub(crate) application: ApplicationHalf<S, Q>,
    pub(crate) handle: Handle,
}

/// The halves of a node, not yet on any thread.
pub(crate) fn halves<S: Service, Q: Queue>(plan: Plan, service: S, ends: Ends<Q>) -> Halves<S, Q> {
    let shared = Arc::new(Shared::default());
    let commands_max = plan.replica.commands_max as usize;
    let (producer, consumer) = RingBuffer::new(commands_max);
    let inline = plan.is_inline();
    // One thread that runs both halves sleeps on the network's queue alone, and needs no waking by itself.
    let woken = if inline { ends.wake_network.clone() } else { ends.wake_application.clone() };
    let (ask_network, network_mailbox) = mailbox(ends.wake_network.clone());
    let (ask_application, application_mailbox) = mailbox(woken);
    let now = ends.network.now();
    let (events, me) = (plan.group.node.trace_events, plan.member.id);
    let (network_trace, application_trace) = (Trace::new(events, me, 0), Trace::new(events, me, 1));
    let traces = [network_trace.reader(), application_trace.reader()];
    let traces = traces.into_iter().flatten().collect();
    let mut replica = Replica::new(plan.replica.clone(), now);
    replica.set_trace(network_trace);
    let mut application = Application::new(service, plan.application);
    application.set_trace(application_trace);
    let network = Network::new(
        ends.network,
        replica,
        plan.group.members.iter().map(|member| (member.id, member.data)),
        producer,
        Arc::clone(&shared),
        network_mailbox,
        ends.wake_application.filter(|_| !inline),
    );
    let application = ApplicationHalf::new(
        ends.application,
        application,
        consumer,
        Arc::clone(&shared),
        application_mailbox,
        ends.wake_network.filter(|_| !inline),
        plan.application.reply_max as usize,
    );
    let boards = Boards { network: network.board(), application: application.board(), traces };
    let handle = Handle::new(ask_network, ask_application, shared, boards, plan);
    Halves { network, application, handle }
}

/// A core that cannot be had.
type Refused = Option<(usize, io::Error)>;

/// Starts a thread, pinned to `core` if there is one, and reports on `started` how that went.
fn spawn(
    name: &str,
    core: Option<usize>,
    started: Sender<Refused>,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let thread = thread::Builder::new().name(name.to_owned());
    let thread = thread.spawn(move || {
        let pinned = core.map(|core| ffi::pin_to(core).map_err(|cause| (core, cause)));
        let refused = pinned.and_then(Result::err);
        let goes_on = refused.is_none();
        // Somebody waits for it, with room.
        let _ = started.send(refused);
        if goes_on {
            body();
        }
    });
    thread.map_err(StartError::Thread)
}

#[cfg(test)]
mod tests;
