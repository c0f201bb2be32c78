//! A server of one node for tests: sessions, plain clients, and faults on demand. Feature `test-server`.
//!
//! It runs a service on a thread of its own, behind r2p2's server endpoint on a loopback socket. To a client it looks like
//! a group whose every request is ordered at once: each one executed takes a log index of its own, a repetition is answered
//! from the kept reply, an unknown session is refused. Only mode `unreplicated` reports no index.
//!
//! Faults ([`Faults`]) strike every n-th request, so that tests need no chance.

use core::net::SocketAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dataplane::backend::Queue;
use dataplane::udp::{Udp, UdpConfig};
use hovercraft_config::{Cluster, Mode};
use r2p2::answer::AnswerForm;
use r2p2::header::Policy;
use r2p2::opening::OpeningReply;
use r2p2::reassembly::Request;
use r2p2::refusal::{Reason, Refusal};
use r2p2::request_id::RequestId;
use r2p2::server::{Server, ServerConfig};
use r2p2::service::{Context, Reply, Service};

/// Longest wait of the thread: how late it may notice that it is to stop.
const WAIT_MAX: Duration = Duration::from_millis(5);

/// Port of the multicast group, in mode `hovercraft`; the group's address differs between servers.
const GROUP_PORT: u16 = 17_800;

/// What goes wrong, and what happened. Each n-th request is struck; 0 = none.
#[derive(Debug, Default)]
pub struct Faults {
    /// Lost before it is executed.
    pub lose_request_every: AtomicU64,
    /// Executed, and its answer lost.
    pub lose_answer_every: AtomicU64,
    /// Refused for overload, and not executed (NACK).
    pub refuse_every: AtomicU64,
    /// Every answer is sent twice.
    pub answer_twice: AtomicBool,
    /// Nothing is heard or said.
    pub silent: AtomicBool,
    /// All sessions are forgotten, once.
    pub forget_sessions: AtomicBool,
    /// Requests that came whole, repetitions too.
    pub requests: AtomicU64,
    /// Requests executed; what is repeated is executed once.
    pub executed: AtomicU64,
    /// Sessions opened.
    pub opened: AtomicU64,
    /// Sessions closed.
    pub closed: AtomicU64,
}

/// The server; stops when dropped.
#[derive(Debug)]
pub struct TestServer {
    mode: Mode,
    address: SocketAddr,
    group: SocketAddr,
    faults: Arc<Faults>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Serving {
    server: Server,
    service: Box<dyn Service + Send>,
    faults: Arc<Faults>,
    window: u32,
    mode: Mode,
    sessions: BTreeSet<u64>,
    /// Index and reply of everything executed.
    kept: BTreeMap<RequestId, (u64, Vec<u8>)>,
    index: u64,
    /// Requests that were neither answered before nor of a session's life: what faults count.
    struck: u64,
    reply: Vec<u8>,
}

impl TestServer {
    /// Starts a server on a free port of 127.0.0.1, in mode `hovercraft` also in a multicast group.
    ///
    /// # Panics
    ///
    /// When the system gives no socket: the test cannot go on.
    #[must_use]
    #[allow(clippy::expect_used, reason = "for tests, which fail by panicking")]
    pub fn start(mode: Mode, service: Box<dyn Service + Send>, window: u32) -> Self {
        static SERVERS: AtomicU64 = AtomicU64::new(1);
        let place = SERVERS.fetch_add(1, Relaxed) ^ u64::from(std::process::id());
        let [.., high, low] = place.to_be_bytes();
        let group = SocketAddr::from(([239, 77, high, low], GROUP_PORT));
        let groups = if mode == Mode::Hovercraft { vec![group] } else { Vec::new() };
        let config = UdpConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let queue = Udp::open(UdpConfig { groups, ..config }).expect("a socket on loopback");
        let (address, stop) = (queue.own(), Arc::new(AtomicBool::new(false)));
        let faults = Arc::new(Faults::default());
        let mut serving = Serving {
            server: Server::new(ServerConfig::default(), 1),
            service,
            faults: Arc::clone(&faults),
            window,
            mode,
            sessions: BTreeSet::new(),
            kept: BTreeMap::new(),
            index: 0,
            struck: 0,
            reply: Vec::new(),
        };
        let stopping = Arc::clone(&stop);
        let thread = thread::spawn(move || serving.run(queue, &stopping));
        Self { mode, address, group, faults, stop, thread: Some(thread) }
    }

    /// What goes wrong, and what happened.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The text of a cluster.ron that names this server, behind members (`before`) that do not exist in mode `raft`.
    #[must_use]
    pub fn config(&self, before: &[SocketAddr]) -> String {
        let mode = match self.mode {
            Mode::Unreplicated => "unreplicated",
            Mode::Raft => "raft",
            Mode::Hovercraft => "hovercraft",
        };
        let members: String = (1_u16..)
            .zip(before.iter().chain([&self.address]))
            .map(|(id, data)| {
                format!("(id: {id}, data: \"{data}\", admin: \"127.0.0.1:{}\"), ", 19_000 + id)
            })
            .collect();
        let multicast = match self.mode {
            Mode::Hovercraft => format!("multicast: \"{}\", ", self.group),
            Mode::Unreplicated | Mode::Raft => String::new(),
        };
        format!("(groups: [(name: \"test\", mode: {mode}, {multicast}members: [{members}])])")
    }

    /// That file, checked.
    ///
    /// # Panics
    ///
    /// When the configuration is refused: the test cannot go on.
    #[must_use]
    #[allow(clippy::expect_used, reason = "for tests, which fail by panicking")]
    pub fn cluster(&self, before: &[SocketAddr]) -> Cluster {
        Cluster::from_str_at(Path::new("test.ron"), &self.config(before))
            .expect("a configuration that holds together")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the service has been printed; the test sees no answers.
            let _ = thread.join();
        }
    }
}

impl Serving {
    fn run(&mut self, mut queue: Udp, stop: &AtomicBool) {
        let mut requests = Vec::new();
        while !stop.load(Relaxed) {
            let now = queue.now();
            let (server, silent) = (&mut self.server, self.faults.silent.load(Relaxed));
            let received = queue.receive(&mut |packet| {
                if !silent {
                    requests.extend(server.receive(now, now, packet.from, packet.bytes));
                }
            });
            for request in requests.drain(..) {
                self.on_request(queue.now(), &request);
                self.server.give_back(request.body);
            }
            self.server.tick(queue.now());
            let twice = self.faults.answer_twice.load(Relaxed);
            while let Some(packet) = self.server.poll_transmit() {
                for _ in 0..=u8::from(twice) {
                    queue.send(packet.to, packet.head, packet.tail);
                }
            }
            queue.flush();
            if received == 0 {
                let due = self.server.deadline().map(|at| at.saturating_sub(queue.now()));
                queue.wait(due.unwrap_or(WAIT_MAX).min(WAIT_MAX));
            }
        }
    }

    fn on_request(&mut self, now: Duration, request: &Request) {
        self.faults.requests.fetch_add(1, Relaxed);
        let (to, form) = (request.client.socket(), AnswerForm::new(&request.id, request.plain));
        let session = request.id.session;
        if self.faults.forget_sessions.swap(false, Relaxed) {
            self.sessions.clear();
        }
        if request.flags.opens {
            self.open(request);
        } else if session != 0 && !self.sessions.contains(&session) {
            self.server.refuse(to, form, Refusal::new(Reason::UnknownSession));
        } else if request.flags.closes {
            self.sessions.remove(&session);
            self.faults.closed.fetch_add(1, Relaxed);
            self.server.answer(now, to, form, self.index, &[]);
        } else if let Some((index, reply)) = self.kept.get(&request.id) {
            self.server.answer(now, to, form, *index, reply);
        } else {
            self.serve(now, request, form);
        }
    }

    fn open(&mut self, request: &Request) {
        self.index += 1;
        let (nonce, session) = (request.id.number, self.index ^ (0xC1 << 56));
        self.sessions.insert(session);
        self.faults.opened.fetch_add(1, Relaxed);
        let reply = OpeningReply { window: self.window, expiry_ms: 60_000 };
        self.server.opened(request.client.socket(), nonce, session, self.index, reply);
    }

    fn serve(&mut self, now: Duration, request: &Request, form: AnswerForm) {
        self.struck += 1;
        let every = |fault: &AtomicU64| {
            let every = fault.load(Relaxed);
            every != 0 && self.struck.is_multiple_of(every)
        };
        if every(&self.faults.lose_request_every) {
            return;
        }
        let to = request.client.socket();
        if every(&self.faults.refuse_every) {
            self.server.refuse(to, form, Refusal::new(Reason::Overload));
            return;
        }
        let lost = every(&self.faults.lose_answer_every);
        self.index += 1;
        self.faults.executed.fetch_add(1, Relaxed);
        let context = Context { index: self.index, log_time_us: 0 };
        let mut reply = Reply::new(&mut self.reply, 1 << 20);
        if request.policy == Policy::ReplicatedRead {
            if self.service.query(&context, &request.body, &mut reply).is_err() {
                self.server.refuse(to, form, Refusal::new(Reason::ChangesState));
                return;
            }
        } else {
            self.service.execute(&context, &request.body, &mut reply);
        }
        let told = if self.mode == Mode::Unreplicated { 0 } else { self.index };
        self.kept.insert(request.id, (told, self.reply.clone()));
        if !lost {
            self.server.answer(now, to, form, told, &self.reply);
        }
    }
}
