//! One machine: both halves of a node, its clock, and how it stands.

use core::time::Duration;
use std::collections::VecDeque;

use dataplane::sim::EndpointId;
use hovercraft::application::{Application, ApplicationSettings};
use hovercraft::audit::AuditEntry;
use hovercraft::command::Command;
use hovercraft::replica::{Replica, Settings};
use hovercraft::store::StoreSettings;
use hovercraft::wire::{GroupConfig, MacKey, MemberAddress};
use kv::Kv;
use raft_core::ids::{Incarnation, Member, NodeId};

use crate::clock::Clock;
use crate::cluster::address;
use crate::knobs::Knobs;

/// Key of every cluster that has one.
const CLUSTER_KEY: [u8; 32] = [7; 32];
/// Shortest and longest election timeout.
pub const ELECTION_TIMEOUT: (Duration, Duration) =
    (Duration::from_millis(150), Duration::from_millis(300));

/// One node.
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// Where it is on the network.
    pub endpoint: EndpointId,
    /// The network half.
    pub replica: Replica,
    /// The application half.
    pub application: Application<Kv>,
    pub(crate) commands: VecDeque<Command>,
    /// What it takes for the time.
    pub clock: Clock,
    /// It stands still as a whole until then.
    pub paused_until: Duration,
    /// Its application half does.
    pub application_paused_until: Duration,
    pub(crate) application_due: Option<Duration>,
    pub(crate) application_delay: Duration,
    /// It has to end its burst.
    pub touched: bool,
    /// When it last looked for packets.
    pub(crate) looked: Duration,
    /// Not crashed.
    pub alive: bool,
    /// Lives before this one.
    pub lives: u64,
    /// What lives before this one decided.
    pub past_audits: Vec<Vec<AuditEntry>>,
}

impl Node {
    /// A fresh life, number `lives` from 0, at cluster time `now`.
    #[must_use]
    pub fn new(
        id: NodeId,
        endpoint: EndpointId,
        knobs: &Knobs,
        lives: u64,
        epoch: Duration,
        now: Duration,
    ) -> Self {
        let place = usize::from(id.number() - 1);
        let clock = Clock::new(now, epoch, knobs.clock_rates[place]);
        let settings = settings(id, knobs, lives);
        let application = ApplicationSettings {
            answer_ttl: knobs.limits.answer_ttl,
            long_answer_bytes: 4 << 20,
            reply_max: knobs.limits.reply_max,
            seed: knobs.seed,
        };
        Self {
            id,
            endpoint,
            replica: Replica::new(settings, clock.own(now)),
            application: Application::new(Kv::default(), application),
            commands: VecDeque::new(),
            clock,
            paused_until: Duration::ZERO,
            application_paused_until: Duration::ZERO,
            application_due: None,
            application_delay: knobs.application_delays[place],
            touched: true,
            looked: now,
            alive: true,
            lives,
            past_audits: Vec::new(),
        }
    }

    /// Which life it is.
    #[must_use]
    pub fn life(&self) -> Member {
        let incarnation = Incarnation::from_wire(self.replica.status().incarnation);
        Member { id: self.id, incarnation }
    }

    /// Cluster time at which it next has something to do.
    pub(crate) fn next_event(&self) -> Duration {
        if !self.alive {
            return Duration::MAX;
        }
        let mut next = self.clock.when(self.replica.deadline());
        let long = self.application.deadline().map(|at| self.clock.when(at));
        for due in self.application_due.into_iter().chain(long) {
            next = next.min(due.max(self.application_paused_until));
        }
        next.max(self.paused_until)
    }

    /// Its memory is gone.
    pub(crate) fn die(&mut self) {
        self.alive = false;
        self.past_audits.push(self.replica.audit().iter().copied().collect());
        self.commands.clear();
    }
}

/// The key of messages between nodes.
#[must_use]
pub fn mac_key(knobs: &Knobs) -> Option<MacKey> {
    knobs.key.then(|| MacKey::derive(&CLUSTER_KEY))
}

fn settings(me: NodeId, knobs: &Knobs, lives: u64) -> Settings {
    let room = &knobs.room;
    let timing = raft_core::config::Settings {
        heartbeat_interval: Duration::from_millis(40),
        election_timeout_min: ELECTION_TIMEOUT.0,
        election_timeout_max: ELECTION_TIMEOUT.1,
        log_capacity: room.log_entries,
        log_reserve: 64,
        append_bytes: 1_300,
        append_entries_max: room.append_entries_max,
        inflight_max: room.inflight_max,
    };
    let members = (1..=knobs.nodes).map(|id| MemberAddress {
        id: NodeId::new(id).expect("from 1 on"),
        data: address(id),
        admin: core::net::SocketAddr::from(([10, 0, 1, id], 9_000)),
    });
    let id = u64::from(me.number());
    Settings {
        me,
        incarnation: Incarnation::from_wire(1 + (lives << 20) + (knobs.seed << 32) + id),
        mode: knobs.mode,
        group: GroupConfig {
            limits: knobs.limits,
            addresses: members.collect(),
            name: "sim".into(),
            wrapped_hash_key: [0; 16],
        },
        mac: mac_key(knobs),
        cluster_key: knobs.key.then_some(CLUSTER_KEY),
        replier: knobs.replier,
        bound: knobs.bound,
        raft: timing.try_into().expect("timing that holds together"),
        election_timeout_max: ELECTION_TIMEOUT.1,
        log_entries: room.log_entries,
        store: StoreSettings {
            bodies_max: room.log_entries + room.unordered_max,
            unordered_max: room.unordered_max,
            unordered_bytes: 16 << 20,
        },
        body_bytes: 64 << 20,
        in_system_max: room.in_system_max,
        parked_max: room.parked_max,
        wants_max: room.wants_max,
        reassembly_max: room.reassembly_max,
        reassembly_bytes: 16 << 20,
        reassembly_ttl: Duration::from_millis(5),
        commands_max: room.commands_max,
        audit_max: 1 << 20,
        seed: knobs.seed ^ id << 48 ^ lives << 40,
    }
}
