//! One node, both halves of it, small so that its bounds are reached, and what must hold of it after every event.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use hovercraft::application::{Application, ApplicationSettings};
use hovercraft::command::Command;
use hovercraft::limits::Limits;
use hovercraft::outbox::Output;
use hovercraft::replica::{Arrival, Gauges, Mode, Replica, Settings};
use hovercraft::replier::ReplierPolicy;
use hovercraft::store::StoreSettings;
use hovercraft::wire::{Encoder, GroupConfig, MacKey, MemberAddress, PACKET_MAX, parse};
use kv::Kv;
use raft_core::ids::{Incarnation, NodeId, NodeSet};

pub(crate) const CLUSTER_KEY: [u8; 32] = [7; 32];
pub(crate) const ELECTION_MAX: Duration = Duration::from_millis(300);
const LOG_ENTRIES: u32 = 64;
const UNORDERED_MAX: u32 = 16;
const BODIES_MAX: u32 = LOG_ENTRIES + UNORDERED_MAX;
const BODY_BYTES: usize = 256 << 10;
const PARKED_MAX: u32 = 4;
const WANTS_MAX: u32 = 8;
const COMMANDS_MAX: u32 = 64;
/// Sessions, numbers above a floor and plain ids that any configuration here allows.
pub(crate) const LIMIT_MAX: u32 = 64;
/// Packets and commands that one event may cause. A leader tells every member of every entry, at most.
const OUTPUTS_MAX: usize = 2_000;
/// Turns at one moment after which a node has nothing due.
const TURNS_MAX: u32 = 8;

/// How the nodes of a group are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Shape {
    pub(crate) nodes: u8,
    pub(crate) mode: Mode,
    pub(crate) key: bool,
}

/// A packet on its way.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    ToNodes(NodeSet, Vec<u8>),
    ToClient(Vec<u8>),
}

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) replica: Replica,
    pub(crate) application: Application<Kv>,
    encoder: Encoder,
    commands: VecDeque<Command>,
    before: Gauges,
}

/// Where a node has its packets.
pub(crate) fn address(node: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, node], 8_000))
}

/// The limits of every group here: small.
pub(crate) fn limits() -> Limits {
    Limits {
        plain_ids_max: 16,
        sessions_max: 4,
        session_window: 8,
        reply_keep_max: 64,
        replies_bytes_max: 1 << 10,
        request_max: 20_000,
        reply_max: 20_000,
        ..Limits::default()
    }
}

/// What a configuration of such a group says beside its members.
pub(crate) fn group(nodes: u8, limits: Limits) -> GroupConfig {
    let member = |number| {
        let id = NodeId::new(number)?;
        let admin = SocketAddr::from(([10, 0, 1, number], 9_000));
        Some(MemberAddress { id, data: address(number), admin })
    };
    let addresses = (1..=nodes).filter_map(member).collect();
    GroupConfig { limits, addresses, name: "fuzz".into(), wrapped_hash_key: [0; 16] }
}

impl Host {
    /// Node `id` in its life number `life`.
    pub(crate) fn new(shape: Shape, id: u8, life: u64, now: Duration) -> Self {
        let settings = settings(shape, id, life);
        let (limits, seed) = (settings.group.limits, settings.seed);
        let application = ApplicationSettings {
            answer_ttl: limits.answer_ttl,
            long_answer_bytes: 64 << 10,
            reply_max: limits.reply_max,
            seed,
        };
        let encoder = Encoder::new(settings.mac.clone());
        let replica = Replica::new(settings, now);
        let before = replica.gauges();
        let application = Application::new(Kv::default(), application);
        Self { replica, application, encoder, commands: VecDeque::new(), before }
    }

    /// The encoder with this group's key.
    pub(crate) fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// How things stand, as of the last event.
    pub(crate) fn gauges(&self) -> Gauges {
        self.before
    }

    /// A packet came.
    pub(crate) fn receive(&mut self, now: Duration, from: SocketAddr, group: bool, bytes: &[u8]) {
        let not_before = now.saturating_sub(Duration::from_micros(30));
        self.replica.receive(now, &Arrival { from, group, not_before, bytes });
    }

    /// The application half does up to `count` commands and reports them.
    pub(crate) fn apply(&mut self, now: Duration, count: usize, sent: &mut Vec<Sent>) {
        let heard = self.replica.heard_us();
        let mut transmit = |_: SocketAddr, head: &[u8], payload: &[u8]| {
            sent.push(Sent::ToClient([head, payload].concat()));
        };
        self.application.tick(now, heard, &mut transmit);
        for _ in 0..count {
            let Some(command) = self.commands.pop_front() else { break };
            self.application.handle(now, heard, command, &mut transmit);
        }
        self.replica.completed(now, self.application.take_completion());
    }

    /// A turn of the driver's: what is due, and the end of the burst, until nothing is due any more.
    pub(crate) fn turn(&mut self, now: Duration, sent: &mut Vec<Sent>) {
        for turn in 0.. {
            self.replica.tick(now);
            self.replica.end_burst(now);
            self.drain(sent);
            if self.replica.deadline() > now {
                return;
            }
            assert!(
                turn < TURNS_MAX,
                "due again and again at {now:?}: {:?} {:?}",
                self.replica.deadline(),
                self.replica.status()
            );
        }
    }

    /// Takes what the replica wants sent; every message of its own is one that a node reads.
    pub(crate) fn drain(&mut self, sent: &mut Vec<Sent>) {
        let begin = sent.len() + self.commands.len();
        while let Some(output) = self.replica.poll_output() {
            match output {
                Output::ToNodes { nodes, packet, .. } => {
                    check_own(packet, &self.encoder);
                    sent.push(Sent::ToNodes(nodes, packet.to_vec()));
                }
                Output::ToClient { packet, .. } => sent.push(Sent::ToClient(packet.to_vec())),
                Output::Command(command) => self.commands.push_back(command),
            }
        }
        let outputs = sent.len() + self.commands.len() - begin;
        assert!(outputs <= OUTPUTS_MAX, "{outputs} outputs of one event");
    }

    /// What must hold after every event, whatever came.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub(crate) fn check(&mut self) {
        let (before, now) = (self.before, self.replica.gauges());
        assert!(now.term >= before.term, "the term fell: {before:?} {now:?}");
        assert!(now.commit >= before.commit, "HC2b: the commit index fell: {before:?} {now:?}");
        assert!(now.applied >= before.applied, "applied fell: {before:?} {now:?}");
        assert!(now.applied <= now.commit, "applied what is not committed: {now:?}");
        assert!(now.commit <= now.last, "committed what is not in the log: {now:?}");
        let limit = u64::from(LIMIT_MAX);
        let bounds = [
            // What recovery brought and what truncation gave back waits beyond `unordered_max`, in the store's slots.
            ("unordered", now.unordered, u64::from(BODIES_MAX)),
            ("missing_bodies", now.missing_bodies, u64::from(WANTS_MAX)),
            ("parked", now.parked, u64::from(PARKED_MAX)),
            ("sessions", now.sessions, limit),
            ("plain_ids", now.plain_ids, limit),
            ("kept_replies", now.kept_replies, limit * limit + limit),
            ("body_bytes", now.body_bytes, BODY_BYTES as u64),
            ("log_room", now.log_room, LOG_ENTRIES.into()),
            ("outstanding", now.outstanding, COMMANDS_MAX.into()),
            ("commands", self.commands.len() as u64, 2 * u64::from(COMMANDS_MAX)),
        ];
        for (what, found, bound) in bounds {
            assert!(found <= bound, "HC12: {what} is {found}, at most {bound}");
        }
        self.before = now;
    }
}

/// A replica's own message is one that another node reads, to the byte.
fn check_own(packet: &[u8], encoder: &Encoder) {
    match parse(packet, encoder.key()) {
        Ok((head, message)) => {
            let mut again = [0; PACKET_MAX];
            let len = encoder.message(&mut again, &head, &message);
            assert_eq!(&again[..len], packet, "{message:?}");
        }
        Err(error) => panic!("a replica's own message is refused: {error}: {packet:02x?}"),
    }
}

fn settings(shape: Shape, id: u8, life: u64) -> Settings {
    let Shape { nodes, mode, key } = shape;
    let timing = raft_core::config::Settings {
        heartbeat_interval: Duration::from_millis(40),
        election_timeout_min: Duration::from_millis(150),
        election_timeout_max: ELECTION_MAX,
        log_capacity: LOG_ENTRIES,
        log_reserve: 8,
        append_bytes: 1_300,
        append_entries_max: 20,
        inflight_max: 4,
    };
    let cluster_key = key.then_some(CLUSTER_KEY);
    Settings {
        me: NodeId::new(id).unwrap_or_default(),
        incarnation: Incarnation::from_wire(1 + (life << 20) + u64::from(id)),
        mode,
        group: group(nodes, limits()),
        mac: cluster_key.as_ref().map(MacKey::derive),
        cluster_key,
        replier: ReplierPolicy::Jbsq,
        bound: 4,
        raft: timing.try_into().unwrap_or_else(|error| panic!("{error}")),
        election_timeout_max: ELECTION_MAX,
        log_entries: LOG_ENTRIES,
        store: StoreSettings {
            bodies_max: BODIES_MAX,
            unordered_max: UNORDERED_MAX,
            unordered_bytes: 64 << 10,
        },
        body_bytes: BODY_BYTES,
        in_system_max: 32,
        parked_max: PARKED_MAX,
        wants_max: WANTS_MAX,
        reassembly_max: 4,
        reassembly_bytes: 64 << 10,
        reassembly_ttl: Duration::from_millis(5),
        commands_max: COMMANDS_MAX,
        audit_max: 256,
        seed: u64::from(id) << 48 ^ life,
    }
}
