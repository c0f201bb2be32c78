//! One node of the model: both halves of the real one, and what happens to it.
//!
//! Its clock moves when a timer is due, and only then; a question for a vote arrives when the voter has not heard its leader for
//! the shortest election timeout. Bursts end, and leaders are elected, at the moment at which the scope began: there log time is
//! counted, which so stands still, and nothing expires. Thus no clock enters a state.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hovercraft::application::{Application, ApplicationSettings};
use hovercraft::command::Command;
use hovercraft::limits::Limits;
use hovercraft::outbox::Output;
use hovercraft::replica::{Arrival, Core, Mode, Replica, Role, Settings};
use hovercraft::replier::ReplierPolicy;
use hovercraft::store::StoreSettings;
use hovercraft::wire::{GroupConfig, MemberAddress};
use r2p2::Instant;
use raft_core::ids::{Incarnation, NodeId};

use crate::service::Recorder;

/// Nodes of the model, with ids from 1.
pub const NODES: u8 = 3;

/// Shortest election timeout, and longest.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
const TIMEOUT_MAX: Duration = Duration::from_millis(1_250);
/// Longer than a node waits before it asks for a body again, and much shorter than any timer of its core.
const ASK_AFTER: Duration = Duration::from_millis(40);

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// The network half.
    pub replica: Replica,
    /// The application half; it is never behind. Shared by all that executed the same.
    pub application: Arc<Application<Recorder>>,
    /// When the scope began, and bursts end.
    pub began: Instant,
    /// What its clock shows.
    pub now: Instant,
    mode: Mode,
}

/// What happens to a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Input<'a> {
    /// A packet arrives, alone in its burst.
    Packet(&'a Incoming),
    /// Its core's timer is due: an election of a follower, a heartbeat of a leader.
    Timer,
    /// It is time to ask for a body that is missed.
    Ask,
    /// A leader has waited for answers as long as it ever does (check-quorum).
    Quorum,
}

/// A packet as it arrives.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Incoming {
    /// Its sender's address.
    pub from: SocketAddr,
    /// Whether it came to the group.
    pub group: bool,
    /// Whether it asks for a vote.
    pub asks_for_vote: bool,
    /// Whether it is a vote that elects.
    pub elects: bool,
    /// UDP payload.
    pub bytes: Vec<u8>,
}

/// What a node sent meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// To nodes, by id.
    pub to_nodes: Vec<(u8, Vec<u8>)>,
    /// To clients.
    pub to_clients: Vec<Vec<u8>>,
}

impl Node {
    /// A node without memory; `life` tells its lives apart.
    #[must_use]
    pub fn new(id: u8, life: u8, shape: Shape, now: Instant) -> Self {
        let settings = settings(id, life, shape);
        let application = ApplicationSettings {
            answer_ttl: settings.group.limits.answer_ttl,
            long_answer_bytes: 1 << 16,
            reply_max: settings.group.limits.reply_max,
            seed: 1,
        };
        Self {
            replica: Replica::new(settings, now),
            application: Arc::new(Application::new(Recorder::default(), application)),
            began: now,
            now,
            mode: shape.mode,
        }
    }

    /// The node after it lost its memory: a fresh life, which has asked everybody once who is there.
    #[must_use]
    pub fn restarted(id: u8, shape: Shape, now: Instant) -> (Self, Sent) {
        let mut fresh = Self::new(id, 2, shape, now);
        fresh.replica.tick(now);
        let sent = fresh.finish(now);
        (fresh, sent)
    }

    /// Lets one thing happen.
    ///
    /// # Errors
    ///
    /// The message of an assertion of the node's own that did not hold.
    pub fn step(&mut self, input: Input<'_>) -> Result<Sent, String> {
        catch_unwind(AssertUnwindSafe(|| {
            // One packet comes after the other.
            self.now += Duration::from_micros(1);
            let due = self.replica.core().map_or(self.now, Core::deadline).max(self.now);
            match input {
                Input::Packet(packet) if packet.asks_for_vote => {
                    self.receive(self.now + TIMEOUT_MIN, packet);
                }
                Input::Packet(packet) if packet.elects => {
                    let led = self.replica.status().role == Role::Leader;
                    self.receive(self.began, packet);
                    if !led && self.replica.status().role == Role::Leader {
                        self.now = self.began;
                    }
                }
                Input::Packet(packet) => self.receive(self.now, packet),
                Input::Timer => self.tick(due),
                Input::Ask => self.tick(self.now + ASK_AFTER),
                Input::Quorum => self.tick(due + 2 * TIMEOUT_MAX),
            }
            self.finish(self.began)
        }))
        .map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            text.unwrap_or_else(|| "a panic without a message".to_owned())
        })
    }

    fn tick(&mut self, now: Instant) {
        self.now = now;
        self.replica.tick(now);
    }

    /// A packet, in a burst that goes on. Requests of clients are all of one age where they wait, and just sent where they are
    /// passed on.
    pub(crate) fn receive(&mut self, now: Instant, packet: &Incoming) {
        let Incoming { from, group, ref bytes, .. } = *packet;
        let waits = group && self.mode == Mode::Hovercraft;
        let not_before = if waits { self.began } else { now };
        self.replica.receive(now, &Arrival { from, group, not_before, bytes });
    }

    /// The end of a burst: the application half does what there is to do.
    pub(crate) fn finish(&mut self, now: Instant) -> Sent {
        let mut sent = Sent::default();
        loop {
            self.replica.end_burst(now);
            let mut commands = self.drain(&mut sent);
            if commands.is_empty() {
                return sent;
            }
            let heard = self.replica.heard_us();
            let answers = &mut sent.to_clients;
            let mut transmit = |_: SocketAddr, head: &[u8], payload: &[u8]| {
                answers.push([head, payload].concat());
            };
            let application = Arc::make_mut(&mut self.application);
            for command in commands.drain(..) {
                application.handle(now, heard, command, &mut transmit);
            }
            let completion = application.take_completion();
            self.replica.completed(now, completion);
        }
    }

    fn drain(&mut self, sent: &mut Sent) -> VecDeque<Command> {
        let mut commands = VecDeque::new();
        while let Some(output) = self.replica.poll_output() {
            match output {
                Output::ToNodes { nodes, packet, .. } => {
                    sent.to_nodes.extend(nodes.iter().map(|to| (to.number(), packet.to_vec())));
                }
                Output::ToClient { packet, .. } => sent.to_clients.push(packet.to_vec()),
                Output::Command(command) => commands.push_back(command),
            }
        }
        commands
    }
}

/// What the nodes of a scope are told at their start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shape {
    /// How they replicate.
    pub mode: Mode,
    /// Entries in one append.
    pub append_entries_max: u16,
}

/// A node's address.
#[must_use]
pub fn address(id: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, id], 8_000))
}

fn settings(id: u8, life: u8, shape: Shape) -> Settings {
    let limits = Limits {
        // Longer than any path of events takes.
        unordered_expiry: Duration::from_secs(2_000),
        plain_window: Duration::from_secs(3_600),
        session_expiry: Duration::from_secs(36_000),
        plain_ids_max: 16,
        sessions_max: 2,
        session_window: 16,
        ..Limits::default()
    };
    let timing = raft_core::config::Settings {
        heartbeat_interval: TIMEOUT_MIN / 10,
        election_timeout_min: TIMEOUT_MIN,
        election_timeout_max: TIMEOUT_MAX,
        log_capacity: 16,
        log_reserve: 4,
        append_bytes: 1_300,
        append_entries_max: shape.append_entries_max,
        inflight_max: 8,
    };
    let node = |id| NodeId::new(id).unwrap_or_default();
    let member = |id| MemberAddress { id: node(id), data: address(id), admin: address(id) };
    Settings {
        me: node(id),
        incarnation: Incarnation::from_wire(u64::from(life) << 8 | u64::from(id)),
        mode: shape.mode,
        group: GroupConfig {
            limits,
            addresses: (1..=NODES).map(member).collect(),
            name: "model".into(),
            wrapped_hash_key: [0; 16],
        },
        mac: None,
        cluster_key: None,
        replier: ReplierPolicy::Leader,
        bound: 128,
        #[expect(clippy::expect_used, reason = "these do, and every run asks")]
        raft: timing.try_into().expect("the settings hold together"),
        election_timeout_max: TIMEOUT_MAX,
        log_entries: 16,
        store: StoreSettings { bodies_max: 8, unordered_max: 8, unordered_bytes: 1 << 16 },
        body_bytes: 1 << 20,
        in_system_max: 16,
        parked_max: 8,
        wants_max: 8,
        reassembly_max: 2,
        reassembly_bytes: 1 << 16,
        reassembly_ttl: Duration::from_millis(5),
        commands_max: 64,
        audit_max: 0,
        seed: u64::from(id) << 8 | u64::from(life),
    }
}
