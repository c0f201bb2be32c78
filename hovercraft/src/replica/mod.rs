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
//! | `nodes.rs` | HC1a bodies before acknowledgement, HC6c recovery, HC13 strange packets |
//! | `commit.rs` | HC3a repliers, HC5 reads, HC7a to c what is decided when applied |
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
use raft_core::entry::{Entry, Payload};
use raft_core::ids::{LogIndex, NodeId, NodeSet, Seq, Term};
use raft_core::message::{Append, Message};
use raft_core::output::Output as CoreOutput;
use raft_core::progress::Progress;
use raft_core::raft::Raft;
use std::collections::VecDeque;

use crate::audit::AuditEntry;
use crate::birth::Birth;
use crate::entry::{EntryKind, Request};
use crate::forwards::Forwards;
use crate::limits::Limits;
use crate::log_meta::{EntryMeta, LogMeta};
use crate::log_time::{Heard, LastStamp};
use crate::outbox::{Outbox, Output};
use crate::parked::Parked;
use crate::recovery::Recovery;
use crate::replier::Repliers;
use crate::store::Store;
use crate::table::Table;
use crate::wire::{BodyHashKey, Encoder, GroupConfig, Head, PACKET_MAX, Way};

mod alone;
mod client;
mod commit;
mod counters;
mod nodes;
mod ordering;
mod settings;
mod standing;
mod status;

pub use client::Arrival;
pub use counters::Counters;
pub use settings::{Mode, Settings};
pub use status::{Role, Status};

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
    /// Handed over and not yet reported done.
    pending: VecDeque<LogIndex>,
    /// Commands on their way to the application half.
    outstanding: u32,
    /// Sessionless writes in the log and not yet decided (HC7c).
    plain_unapplied: u32,
    /// Whether this node once applied all that it had heard to be committed.
    caught_up: bool,
    stopped: bool,
    /// Set by taking the lead of a log without a configuration (HC7a).
    wants_configuration: bool,
    chunks_left: u32,
    scratch: Vec<Entry<Request>>,
    configuration_bytes: Vec<u8>,
    audit: Vec<AuditEntry>,
    /// Who last spoke another version, and which.
    other_version: Option<(SocketAddr, u8)>,
    outbox: Outbox,
    counters: Counters,
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
            recovery: Recovery::new(settings.wants_max),
            parked: Parked::new(settings.parked_max, crate::wire::ENTRIES_MAX),
            parked_check: now,
            table: Table::new(&limits, settings.seed),
            repliers: Repliers::new(settings.replier_policy(), settings.bound, settings.seed),
            meta: LogMeta::new(settings.log_entries as usize),
            heard: Heard::default(),
            handed: LogIndex::ZERO,
            applied: LogIndex::ZERO,
            told: (LogIndex::ZERO, now),
            pending: VecDeque::with_capacity(commands),
            outstanding: 0,
            plain_unapplied: 0,
            caught_up: settings.mode == Mode::Unreplicated,
            stopped: false,
            wants_configuration: false,
            chunks_left: CHUNKS_PER_TURN,
            scratch: Vec::with_capacity(crate::wire::ENTRIES_MAX),
            configuration_bytes: Vec::new(),
            audit: Vec::new(),
            other_version: None,
            outbox: Outbox::new(OUTBOX_BYTES, 2 * commands),
            counters: Counters::default(),
            settings,
        }
    }

    /// A packet came.
    pub fn receive(&mut self, now: Instant, arrival: &Arrival<'_>) {
        self.counters.packets += 1;
        let kind = arrival.bytes.get(2).map_or(0, |byte| byte >> 4);
        if (5..=7).contains(&kind) && self.settings.mode != Mode::Unreplicated {
            self.receive_node(now, arrival.from, arrival.bytes);
        } else {
            self.receive_client(now, arrival);
        }
    }

    /// Nothing more has arrived: requests are ordered, appends and acknowledgements for the whole burst leave now.
    pub fn end_burst(&mut self, now: Instant) {
        self.chunks_left = CHUNKS_PER_TURN;
        if self.core.is_some() {
            self.order(now);
            if let Some(core) = &mut self.core {
                core.end_burst(now);
            }
            self.settle(now, now);
            self.tell_applied(now);
            self.mind_the_log(now);
        }
        self.make_room();
        self.hear_own(now);
        self.heard.sample(now);
    }

    /// Time passed. Harmless when early.
    pub fn tick(&mut self, now: Instant) {
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
        self.store.expire(now, self.heard.us(), expiry, &mut self.pool);
    }

    /// What to do next, oldest first.
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        self.outbox.poll()
    }

    /// When [`Self::tick`] next has something to do.
    #[must_use]
    pub fn deadline(&self) -> Instant {
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

    /// Hands leadership to the follower that has most of the log, if this node leads.
    pub fn hand_leadership_over(&mut self, now: Instant, to: Option<NodeId>) -> bool {
        let Some(core) = &mut self.core else { return false };
        let me = core.me().id;
        let voters = &core.configuration().voters;
        let newest = core.followers().iter().map(|one| one.answered.to_wire()).max();
        // Who is dead may hold as much of an idle log as anybody, but has not answered of late.
        let merit = |one: &&Progress| {
            let lives = Some(one.answered.to_wire() + 1) >= newest;
            (lives, one.matched, one.answered)
        };
        let others = core.followers().iter().filter(|one| one.member.id != me);
        let best = others.filter(|one| voters.contains(&one.member)).max_by_key(merit);
        let best = best.map(|one| one.member.id);
        let Some(to) = to.or(best) else { return false };
        let started = is_leader(core) && core.transfer(now, to).is_ok();
        self.settle(now, now);
        started
    }

    /// What this node decided, when its settings ask for an audit.
    #[must_use]
    pub fn audit(&self) -> &[AuditEntry] {
        &self.audit
    }

    /// Who last spoke another version of the messages between nodes, and which: refused, and to be told to the operator.
    #[must_use]
    pub fn other_version(&self) -> Option<(SocketAddr, u8)> {
        self.other_version
    }

    /// Totals.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn leads(&self) -> bool {
        self.core.as_ref().is_some_and(is_leader)
    }

    /// Does what the core wants, until it wants nothing more. Entries that are new in the log came at `arrived`.
    fn settle(&mut self, now: Instant, arrived: Instant) {
        loop {
            let mut durable = Seq::ZERO;
            while let Some(output) = self.core.as_mut().and_then(Core::poll_output) {
                match output {
                    CoreOutput::Persist { seq, .. } => durable = durable.max(seq),
                    CoreOutput::Truncated { from } => self.on_truncated(from),
                    CoreOutput::BecameLeader { .. } => self.on_leading(),
                    CoreOutput::BecameFollower { term, .. } => {
                        self.repliers.reset();
                        self.enter(term);
                    }
                    CoreOutput::Committed(_) => {}
                    CoreOutput::Send { to, message, needs } => {
                        let mut packet = [0; PACKET_MAX];
                        let len = self.encoder.raft(&mut packet, &self.head(now), &message);
                        self.outbox.to_nodes(NodeSet::only(to), &packet[..len], needs);
                        if matches!(message, Message::Ack { .. } | Message::Reject { .. }) {
                            self.told = (self.applied, now);
                        }
                    }
                    CoreOutput::Append { to, append, needs } => {
                        self.sync_meta(arrived);
                        self.send_append(now, to, append, needs);
                    }
                }
            }
            self.sync_meta(arrived);
            let Some(core) = &mut self.core else { return };
            if durable > Seq::ZERO {
                // Memory mode: what stands in memory is as durable as it gets (HC1c).
                core.persisted(now, durable);
            } else if core::mem::take(&mut self.wants_configuration) {
                self.propose_configuration(now);
            } else {
                break;
            }
        }
        self.hand_over();
    }

    /// Gives every entry that is new in the log its meta, and pins its body (HC1a, S1).
    fn sync_meta(&mut self, arrived: Instant) {
        let Some(core) = &self.core else { return };
        while self.meta.last() < core.last_index() {
            let index = self.meta.last().next();
            let entry = core.entry(index).expect("the log has every entry up to its last");
            let mut meta =
                EntryMeta { arrived, stamp: self.meta.last_stamp(), ..EntryMeta::default() };
            if let Payload::Command(request) = entry.payload {
                let key = nodes::key_of(entry).expect("a command names a body");
                let body = self.store.find(&key).expect("HC1a: no entry without its body");
                self.store.pin(body, index);
                meta.body = Some(body);
                let stamp_us = request.stamp_us;
                meta.stamp = LastStamp { stamp_us, appended_at: arrived, term: core.term() };
                meta.plain_write = is_plain_write(&request);
                self.plain_unapplied += u32::from(meta.plain_write);
            }
            self.meta.push(meta);
        }
    }

    /// HC8: truncation returns bodies to the unordered set, with their age.
    fn on_truncated(&mut self, from: LogIndex) {
        while let Some(meta) = self.meta.pop_from(from) {
            self.plain_unapplied -= u32::from(meta.plain_write);
            if let Some(body) = meta.body {
                self.store.unpin_truncated(body);
            }
        }
    }

    fn on_leading(&mut self) {
        self.counters.elections_won += 1;
        self.repliers.reset();
        self.parked.clear();
        self.report_own();
        let unborn = |core: &Core| core.configuration().epoch == LogIndex::ZERO;
        self.wants_configuration = self.core.as_ref().is_some_and(unborn);
    }

    fn send_append(&mut self, now: Instant, to: NodeSet, append: Append, needs: Seq) {
        let mut packet = [0; PACKET_MAX];
        let head = self.head(now);
        let Some(core) = &self.core else { return };
        let mut writer = self.encoder.append(&mut packet, &head, &append);
        let places = 0..usize::from(append.count);
        let indexes = places.map(|place| append.previous_index.plus(1 + place as u64));
        let mut configures = false;
        for index in indexes.clone() {
            let entry = core.entry(index).expect("an append's entries are in the log");
            configures = entry.payload == Payload::Configuration;
            writer.entry(entry);
        }
        if configures {
            let configuration = core.configuration_at(append.last_index());
            self.configuration_bytes.clear();
            let encoded =
                crate::wire::configuration::encode(configuration, &mut self.configuration_bytes);
            encoded.expect("a configuration in the log was checked");
            writer.configuration(&self.configuration_bytes);
        }
        if self.settings.mode == Mode::Raft {
            for (place, index) in indexes.enumerate() {
                let entry = core.entry(index).expect("an append's entries are in the log");
                if !matches!(entry.payload, Payload::Command(request) if request.inline) {
                    continue;
                }
                let key = nodes::key_of(entry).expect("a command names a body");
                // A body that was let go is recovered by whoever needs it.
                if let Some(body) = self.store.find(&key) {
                    writer.body(place, self.store.body(body));
                }
            }
        }
        let len = writer.finish();
        self.outbox.to_nodes(to, &packet[..len], needs);
        if append.count > 0 {
            self.counters.appends_sent += u64::from(to.len());
        } else {
            self.counters.empty_appends_sent += u64::from(to.len());
        }
    }

    /// HC12: a log full of what is not applied here makes a poor candidate, and a poor leader; HC1d: what every member has
    /// acknowledged need not be kept for them.
    fn mind_the_log(&mut self, now: Instant) {
        let applied = self.applied;
        let Some(core) = &mut self.core else { return };
        let (room, reserve) = core.room();
        // Requests are refused (HC10) long before the ring itself is full.
        let refuses = core.last_index().since(applied) >= self.settings.in_system_max.into();
        let is_full = (room <= reserve || refuses) && applied < core.commit();
        core.set_campaign_delay(is_full);
        if !is_leader(core) {
            return;
        }
        let everybody = core.configuration().everybody();
        let held = everybody.iter().map(|id| core.match_index(id).unwrap_or_default()).min();
        self.store.release(held.unwrap_or_default().min(applied), &mut self.pool);
        let last = core.last_index();
        let better = |id: &NodeId| {
            core.match_index(*id) == Some(last)
                && self.repliers.applied(*id).is_some_and(|theirs| theirs > applied)
        };
        let successor = everybody.iter().find(better).filter(|_| is_full);
        if let Some(to) = successor.filter(|_| !core.is_transferring()) {
            self.counters.handed_over_full += 1;
            self.hand_leadership_over(now, Some(to));
        }
    }

    /// HC4: a follower whose applied index runs away from what its leader knows says so outside an acknowledgement.
    fn tell_applied(&mut self, now: Instant) {
        let Some(core) = &self.core else { return };
        let behind = self.applied.since(self.told.0);
        let waited = now.saturating_sub(self.told.1) >= TELL_AFTER;
        let due = behind >= u64::from(self.settings.bound / 4).max(1) || (behind > 0 && waited);
        let Some(leader) = core.leader().filter(|_| due && !is_leader(core)) else { return };
        let mut packet = [0; PACKET_MAX];
        let len = self.encoder.applied(&mut packet, &self.head(now), core.term());
        self.outbox.to_nodes(NodeSet::only(leader), &packet[..len], Seq::ZERO);
        self.counters.reports_sent += 1;
        self.told = (self.applied, now);
    }

    /// When news of an applied index is due that no acknowledgement has carried.
    fn tell_deadline(&self) -> Option<Instant> {
        let core = self.core.as_ref()?;
        let follows = core.leader().is_some() && !is_leader(core);
        (follows && self.applied > self.told.0).then_some(self.told.1 + TELL_AFTER)
    }

    /// Appends of earlier terms are void, and with them what they missed.
    pub(super) fn enter(&mut self, term: Term) {
        if self.parked.enter(term) {
            self.recovery.clear(&mut self.pool);
        }
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

/// How long news of an applied index may wait for an acknowledgement to ride on.
const TELL_AFTER: Instant = Instant::from_millis(2);

/// Whether this node leads.
fn is_leader(core: &Core) -> bool {
    core.role() == CoreRole::Leader
}

fn is_plain_write(request: &Request) -> bool {
    request.id.session == 0 && request.kind != EntryKind::Read
}
