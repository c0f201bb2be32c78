//! The network half of a node: one value fed with packets and time, drained of outputs (design, sections 4 and 5).
//!
//! ```text
//!   packets ──► receive ──► end_burst ──► poll_output ──► packets, commands
//!                  ▲            ▲                              │
//!    time ──► tick ┘            └── completed ◄── application half (crate::application)
//! ```
//!
//! The driver feeds it all that arrived, says that the burst has ended, and does what [`Replica::poll_output`] says, in order.
//! No socket, clock, thread, random source or logger inside. The rules of design.md are named where they are kept:
//!
//! | file | rules |
//! |---|---|
//! | `client.rs` | HC6d reassembly, HC7c and d repetitions seen early, HC10 admission |
//! | `ordering.rs` | HC4 repliers and bounds, HC6a entries, HC7e log time |
//! | `nodes.rs` | HC1a bodies before acknowledgement, HC13 strange packets |
//! | `bodies.rs` | HC1d, HC6c recovery |
//! | `forwarding.rs` | mode `raft`: what clients sent to a follower |
//! | `commit.rs` | HC3a repliers, HC5 reads, HC7a to c what is decided when applied |
//! | `core_outputs.rs` | HC1a bodies pinned, HC8 bodies returned |
//! | `lag.rs` | HC1d bodies let go, HC4 applied indexes told, HC12 a log full of what is not applied |
//! | `standing.rs` | HC11 birth, lives, who may vote |

#![allow(
    clippy::expect_used,
    reason = "each says which invariant of ours it holds by: a broken one stops the node"
)]

use core::net::SocketAddr;

use r2p2::Instant;
use r2p2::buffer::Pool;
use r2p2::reassembly::Reassembly;
use raft_core::election::Role as CoreRole;
use raft_core::entry::Entry;
use raft_core::ids::LogIndex;
use raft_core::raft::Raft;
use std::collections::VecDeque;

use crate::audit::AuditEntry;
use crate::birth::Birth;
use crate::entry::Request;
use crate::forwards::Forwards;
use crate::limits::Limits;
use crate::log_meta::{LogMeta, Unapplied};
use crate::log_time::Heard;
use crate::outbox::{Outbox, Output};
use crate::parked::Parked;
use crate::recovery::Recovery;
use crate::replier::Repliers;
use crate::spans::{Span, Spans};
use crate::store::Store;
use crate::table::Table;
use crate::totals::Refusals;
use crate::trace::Trace;
use crate::wire::{BodyHashKey, Encoder, GroupConfig, Head, PACKET_MAX, Packet, Way};

mod alone;
mod bodies;
mod client;
mod commit;
mod core_outputs;
mod counters;
mod forwarding;
mod inspect;
mod lag;
mod nodes;
mod numbers;
mod ordering;
mod protocol_state;
mod settings;
mod standing;
mod status;

pub use crate::recovery::LostBody;
pub use client::Arrival;
pub use counters::Counters;
pub use numbers::Gauges;
pub use protocol_state::ProtocolState;
pub use settings::{Mode, Settings};
pub use status::{Queue, Role, Status};

/// Raft over this crate's entries and configurations.
pub type Core = Raft<Request, GroupConfig>;

/// Bytes of packets between two drains of the outputs.
const OUTBOX_BYTES: usize = 4 << 20;
/// Chunks of bodies given to other nodes per turn: bounds what recovery costs a leader (HC6c).
const CHUNKS_PER_TURN: u32 = 128;

/// One node's replica.
#[derive(Clone, Debug)]
pub struct Replica {
    settings: Settings,
    encoder: Encoder,
    birth: Birth,
    /// Once the cluster is known and names this life.
    core: Option<Core>,
    cluster_id: u64,
    hash_key: BodyHashKey,
    limits: Limits,
    pool: Pool,
    store: Store,
    reassembly: Reassembly,
    forwards: Forwards,
    recovery: Recovery,
    parked: Parked<GroupConfig>,
    /// A body that they wait for came in this burst: with the rest of it they are handled and acknowledged once.
    unpark_due: bool,
    /// When parked appends are next looked after.
    parked_check: Instant,
    table: Table,
    repliers: Repliers,
    meta: LogMeta,
    heard: Heard,
    /// Entries up to here were decided and handed to the application half.
    handed: LogIndex,
    /// Entries up to here are applied.
    applied: LogIndex,
    /// The applied index that the leader was last told, and when.
    told: (LogIndex, Instant),
    /// Every member has acknowledged the log up to here, as the leader knows it, or told it last.
    held_by_all: LogIndex,
    /// What of that a leader told the others last, and when.
    told_held: (LogIndex, Instant),
    /// Handed over and not yet reported done.
    pending: VecDeque<LogIndex>,
    /// Commands on their way to the application half.
    outstanding: u32,
    /// In the log and not yet decided (HC7c).
    unapplied: Unapplied,
    /// Whether this node once applied all that it had heard to be committed.
    caught_up: bool,
    stopped: bool,
    /// A body that nobody has ended this node (HC1d).
    lost_body: Option<LostBody>,
    /// Set by taking the lead of a log without a configuration (HC7a).
    wants_configuration: bool,
    /// Own time at which it last took the lead (HC7e).
    elected_at: Instant,
    chunks_left: u32,
    scratch: Vec<Entry<Request>>,
    /// The packet being written.
    packet: Box<Packet>,
    configuration_bytes: Vec<u8>,
    audit: VecDeque<AuditEntry>,
    /// Who last spoke another version, and which.
    other_version: Option<(SocketAddr, u8)>,
    outbox: Outbox,
    counters: Counters,
    refusals: Refusals,
    trace: Trace,
    spans: Spans,
}

impl Replica {
    /// A node with an empty memory (HC11a).
    #[must_use]
    pub fn new(settings: Settings, now: Instant) -> Self {
        let limits = settings.group.limits;
        let commands = settings.commands_max as usize;
        let birth = standing::unborn(&settings, now);
        Self {
            encoder: Encoder::new(settings.mac.clone()),
            birth,
            core: None,
            cluster_id: 0,
            hash_key: standing::hash_key_at_birth(&settings, 0),
            limits,
            pool: Pool::new(settings.body_bytes),
            store: Store::new(settings.store),
            reassembly: Reassembly::new(settings.reassembly(), settings.seed),
            forwards: Forwards::new(settings.reassembly_max),
            recovery: Recovery::new(settings.wants_max, settings.seed),
            parked: Parked::new(settings.parked_max, crate::wire::ENTRIES_MAX),
            parked_check: now,
            unpark_due: false,
            table: Table::new(&limits, settings.seed),
            repliers: Repliers::new(settings.replier_policy(), settings.bound, settings.seed),
            meta: LogMeta::new(settings.log_entries as usize),
            heard: Heard::default(),
            handed: LogIndex::ZERO,
            applied: LogIndex::ZERO,
            told: (LogIndex::ZERO, now),
            held_by_all: LogIndex::ZERO,
            told_held: (LogIndex::ZERO, now),
            pending: VecDeque::with_capacity(commands),
            outstanding: 0,
            unapplied: Unapplied::default(),
            caught_up: settings.mode == Mode::Unreplicated,
            stopped: false,
            lost_body: None,
            wants_configuration: false,
            elected_at: now,
            chunks_left: CHUNKS_PER_TURN,
            scratch: Vec::with_capacity(crate::wire::ENTRIES_MAX),
            packet: Box::new([0; PACKET_MAX]),
            configuration_bytes: Vec::new(),
            audit: VecDeque::new(),
            other_version: None,
            outbox: Outbox::new(OUTBOX_BYTES, 2 * commands),
            counters: Counters::default(),
            refusals: Refusals::default(),
            trace: Trace::default(),
            spans: Spans::default(),
            settings,
        }
    }

    /// A packet came.
    pub fn receive(&mut self, now: Instant, arrival: &Arrival<'_>) {
        self.trace.at(now);
        self.counters.packets += 1;
        if self.lost_body.is_some() {
            return;
        }
        let kind = arrival.bytes.get(2).map_or(0, |byte| byte >> 4);
        if (5..=7).contains(&kind) && self.settings.mode != Mode::Unreplicated {
            self.receive_node(now, arrival);
        } else {
            self.receive_client(now, arrival);
        }
    }

    /// Nothing more has arrived: requests are ordered, appends and acknowledgements for the whole burst leave now.
    pub fn end_burst(&mut self, now: Instant) {
        self.trace.at(now);
        if self.lost_body.is_some() {
            return;
        }
        self.chunks_left = CHUNKS_PER_TURN;
        if core::mem::take(&mut self.unpark_due) {
            self.unpark(now);
        }
        if self.core.is_some() {
            self.order(now);
            if let Some(core) = &mut self.core {
                core.end_burst(now);
            }
            self.settle(now, now);
            self.tell_applied(now);
            self.mind_the_log(now);
            self.tell_held(now);
        }
        self.store.end_burst();
        self.make_room();
        self.hear_own(now);
        self.heard.sample(now, self.limits.unordered_expiry);
        self.spans.flush();
    }

    /// Time passed. Harmless when early.
    pub fn tick(&mut self, now: Instant) {
        self.trace.at(now);
        if self.lost_body.is_some() {
            return;
        }
        if self.settings.mode != Mode::Unreplicated {
            self.tick_birth(now);
        }
        if self.core.as_ref().is_some_and(|core| core.deadline() <= now) {
            if let Some(core) = &mut self.core {
                core.tick(now);
            }
            self.settle(now, now);
        }
        self.look_after_parked(now);
        self.ask_for_bodies(now);
        self.ask_clients(now);
        self.reassembly.expire(now, &mut self.pool);
        self.forwards.expire(now, &mut self.pool);
        let expiry = self.limits.unordered_expiry;
        self.store.expire(now, self.heard.passed_us(), expiry, &mut self.pool);
    }

    /// What to do next: packets, oldest first, then commands, oldest first.
    #[inline]
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        self.outbox.poll()
    }

    /// When [`Self::tick`] next has something to do.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        if self.lost_body.is_some() {
            return Instant::MAX;
        }
        let core = self.core.as_ref().map(Core::deadline);
        let others = [
            core,
            self.birth_deadline(),
            self.recovery.deadline(),
            (!self.parked.is_empty()).then_some(self.parked_check),
            self.tell_deadline(),
            self.reassembly.ask_deadline().filter(|_| self.asks_clients()),
            self.reassembly.deadline(),
            self.store.expires_at(self.limits.unordered_expiry),
        ];
        others.into_iter().flatten().min().unwrap_or(Instant::MAX)
    }

    /// The highest log time heard from the newest leader, in microseconds: the application half judges late answers by it (HC3c).
    #[must_use]
    pub fn heard_us(&self) -> u64 {
        self.heard.in_term_us()
    }

    /// What this node decided last, by index, when its settings ask for an audit.
    #[must_use]
    pub fn audit(&self) -> &VecDeque<AuditEntry> {
        &self.audit
    }

    /// Who last spoke another version of the messages between nodes, and which: refused, and to be told to the operator.
    #[must_use]
    pub fn other_version(&self) -> Option<(SocketAddr, u8)> {
        self.other_version
    }

    /// Keeps what happens to requests from now on; off before.
    pub fn set_trace(&mut self, trace: Trace) {
        self.trace = trace;
    }

    /// Counts from now on how long requests take; off before.
    pub fn set_spans(&mut self, spans: Spans) {
        self.spans = spans;
    }

    /// A span that began at `since` ends now.
    fn took(&mut self, span: Span, since: Instant) {
        self.spans.took(span, since, self.trace.now_ns());
    }

    /// Totals.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn leads(&self) -> bool {
        self.core.as_ref().is_some_and(is_leader)
    }

    /// What stands in every message of this node.
    fn head(&self, now: Instant) -> Head {
        Head {
            way: Way::Direct,
            sender: raft_core::ids::Member {
                id: self.settings.me,
                incarnation: self.settings.incarnation,
            },
            cluster_id: self.cluster_id,
            log_time_us: self.log_time_us(now),
            applied: self.applied,
            state_hash: 0,
        }
    }
}

/// Whether this node leads.
fn is_leader(core: &Core) -> bool {
    core.role() == CoreRole::Leader
}
