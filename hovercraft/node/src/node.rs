//! A running node: its threads, and questions to them.

use core::time::Duration;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam::channel;
use dataplane::backend::Queue;
use dataplane::capture::{Capture, CaptureTotals};
use dataplane::error::BackendError;
use dataplane::udp::{BufferSizes, Udp, Waker};
use hovercraft::application::Application;
use hovercraft::replica::Replica;
use hovercraft::spans::Spans;
use hovercraft::trace::Trace;
use hovercraft_config::{Group, Idle, NodeConfig};
use r2p2::service::Service;
use rtrb::RingBuffer;
use thiserror::Error;
use tracing::{info, warn};

use crate::admin::Admin;
use crate::application::ApplicationHalf;
use crate::handle::{Boards, Handle};
use crate::link::{Shared, mailbox};
use crate::network::Network;
use crate::plan::Plan;
use crate::threads::{self, Started};
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
    Thread(#[from] io::Error),
    /// DPDK.
    #[cfg(feature = "dpdk")]
    #[error(transparent)]
    Dpdk(#[from] crate::dpdk::DpdkStartError),
    /// A plan for DPDK in a program without it.
    #[error("this program was built without DPDK: build it with the feature `dpdk`")]
    NoDpdk,
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
    started: Vec<Started>,
    admin: Option<Admin>,
    wire: Wire,
    capture: Option<Capture>,
}

/// What a node's packets go through.
#[derive(Debug)]
pub enum Wire {
    /// Kernel sockets, with their buffers as the kernel gave them.
    Udp(BufferSizes),
    /// A port of DPDK: release, device and queues in words.
    Dpdk(String),
}

impl Node {
    /// Opens the back end and the admin port, takes the memory, starts the threads.
    ///
    /// # Errors
    ///
    /// [`StartError`]: what the system refused, with what to do.
    pub fn start<S: Service + Send + 'static>(plan: Plan, service: S) -> Result<Self, StartError> {
        let address = plan.member.admin;
        let listener =
            TcpListener::bind(address).map_err(|cause| StartError::Admin { address, cause })?;
        let mut node = match plan.dpdk.clone() {
            None => Self::start_on_udp(plan, service)?,
            #[cfg(feature = "dpdk")]
            Some(options) => {
                let opened = crate::dpdk::open(&plan, &options)?;
                let wire = Wire::Dpdk(opened.description);
                let mut node = Self::start_on(plan, service, opened.ends, &opened.cores, wire)?;
                node.capture = opened.capture;
                node
            }
            #[cfg(not(feature = "dpdk"))]
            Some(_) => return Err(StartError::NoDpdk),
        };
        node.admin = Some(Admin::start(listener, node.handle())?);
        Ok(node)
    }

    fn start_on_udp<S: Service + Send + 'static>(
        plan: Plan,
        service: S,
    ) -> Result<Self, StartError> {
        let network = Udp::open(plan.udp.clone())?;
        let application = network.transmit_queue()?;
        let wire = Wire::Udp(network.buffers());
        let sleeps = plan.group.node.idle == Idle::Sleep;
        let wake_network = sleeps.then(|| network.waker());
        let wake_application = sleeps.then(|| application.waker());
        let ends = Ends { network, application, wake_network, wake_application };
        let cores: Vec<_> = plan.group.node.cores.iter().copied().map(Some).collect();
        Self::start_on(plan, service, ends, &cores, wire)
    }

    /// On any back end, without an admin port.
    fn start_on<S: Service + Send + 'static, Q: Queue + 'static>(
        plan: Plan,
        service: S,
        ends: Ends<Q>,
        cores: &[Option<usize>],
        wire: Wire,
    ) -> Result<Self, StartError> {
        let Halves { network, application, handle } = halves(plan, service, ends);
        let Group { node: NodeConfig { idle, .. }, limits, .. } = &handle.plan().group;
        let (policy, window) = (*idle, limits.plain_window);
        let wanted = |thread, place: usize| {
            let core = cores.get(place).copied().flatten();
            let others = cores.iter().enumerate().filter(|&(other, _)| other != place);
            let others: Vec<usize> = others.filter_map(|(_, &core)| core).collect();
            Started { thread, core, idle: threads::idle(policy, core, &others) }
        };
        let (started, ready) = channel::bounded(2);
        let mut node = Self {
            handle: handle.clone(),
            threads: Vec::new(),
            started: Vec::new(),
            admin: None,
            wire,
            capture: None,
        };
        if handle.plan().is_inline() {
            let wanted = wanted("hc-inline", 0);
            let idling = Idling::new(wanted.idle, window);
            let body = move || turn::run_inline(network, application, idling);
            node.threads.push(threads::spawn(wanted, started, body)?);
        } else {
            let wanted = [wanted("hc-network", 0), wanted("hc-application", 1)];
            let idling = wanted.map(|wanted| Idling::new(wanted.idle, window));
            let body = move || turn::run_network(network, idling[0]);
            node.threads.push(threads::spawn(wanted[0], started.clone(), body)?);
            let body = move || turn::run_application(application, idling[1]);
            node.threads.push(threads::spawn(wanted[1], started, body)?);
        }
        for _ in 0..node.threads.len() {
            match ready.recv_timeout(PATIENCE) {
                Ok(Ok(started)) => node.started.push(started),
                Ok(Err((core, cause))) => return Err(StartError::Core { core, cause }),
                Err(_) => return Err(StartError::Thread(io::ErrorKind::TimedOut.into())),
            }
        }
        Ok(node)
    }

    /// To ask its threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The threads that carry requests, in no order.
    #[must_use]
    pub fn started(&self) -> &[Started] {
        &self.started
    }

    /// What packets go through.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.wire
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
        if let Some(stopped) = self.capture.take().map(Capture::stop) {
            match stopped {
                Ok(CaptureTotals { written, dropped, past_limit }) => {
                    info!(written, dropped, past_limit, "frames captured");
                }
                Err(error) => warn!("--pcap: {error}"),
            }
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
    let (network_spans, application_spans) = (Spans::new(), Spans::new());
    let spans = [network_spans.reader(), application_spans.reader()];
    let spans = spans.into_iter().flatten().collect();
    replica.set_spans(network_spans);
    let mut application = Application::new(service, plan.application);
    application.set_trace(application_trace);
    application.set_spans(application_spans);
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
    let (network_board, application_board) = (network.board(), application.board());
    let boards = Boards { network: network_board, application: application_board, traces, spans };
    let handle = Handle::new(ask_network, ask_application, shared, boards, plan);
    Halves { network, application, handle }
}

#[cfg(test)]
mod tests;
