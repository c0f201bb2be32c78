//! What a replica is told at its start.

use core::time::Duration;

use r2p2::reassembly;
use raft_core::ids::{Incarnation, NodeId};

use crate::replier::ReplierPolicy;
use crate::store::StoreSettings;
use crate::wire::{GroupConfig, MacKey};

/// How requests are replicated (design, section 2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mode {
    /// One server, no log.
    Unreplicated,
    /// Bodies travel in the leader's appends; the leader answers.
    Raft,
    /// Clients multicast; appends carry metadata; repliers are chosen per entry.
    Hovercraft,
}

/// Everything that a replica needs to know, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who this node is.
    pub me: NodeId,
    /// This life of its memory: wall-clock milliseconds at the start, then random bits (HC11).
    pub incarnation: Incarnation,
    /// How it replicates.
    pub mode: Mode,
    /// Members of the birth list, with their addresses, and the limits that a first configuration gets.
    pub group: GroupConfig,
    /// Key of messages between nodes; none = a trusted network (HC13).
    pub mac: Option<MacKey>,
    /// Secret from which the bodies' hash key is made at birth.
    pub cluster_key: Option<[u8; 32]>,
    /// Who answers.
    pub replier: ReplierPolicy,
    /// Replies that a node may owe (HC4).
    pub bound: u32,
    /// Heartbeats, elections, log and appends.
    pub raft: raft_core::config::Config,
    /// Longest election timeout: births wait three of it (HC11c).
    pub election_timeout_max: Duration,
    /// Entries of the log.
    pub log_entries: u32,
    /// Bounds of the body store.
    pub store: StoreSettings,
    /// Bytes of bodies in all states.
    pub body_bytes: usize,
    /// Requests unordered and in the log, not yet applied, before the leader refuses (HC10).
    pub in_system_max: u32,
    /// Appends that may wait for a body.
    pub parked_max: u32,
    /// Bodies that may be missed at a time.
    pub wants_max: u32,
    /// Messages that may be in reassembly.
    pub reassembly_max: u32,
    /// Bytes of their bodies, of [`Self::body_bytes`].
    pub reassembly_bytes: usize,
    /// How long a partial plain message lives (HC6d).
    pub reassembly_ttl: Duration,
    /// Commands that may be on their way to the application half.
    pub commands_max: u32,
    /// Newest decisions kept for a history check; 0 = none.
    pub audit_max: u32,
    /// Seed of everything random.
    pub seed: u64,
}

impl Settings {
    /// Mode `raft` always answers from the leader, as the paper's baseline does.
    pub(super) fn replier_policy(&self) -> ReplierPolicy {
        if self.mode == Mode::Raft { ReplierPolicy::Leader } else { self.replier }
    }

    pub(super) fn reassembly(&self) -> reassembly::Settings {
        reassembly::Settings {
            messages_max: self.reassembly_max as usize,
            bytes_max: self.reassembly_bytes,
            body_max: self.group.limits.request_max as usize,
            plain_ttl: self.reassembly_ttl,
            extended_ttl: self.group.limits.unordered_expiry,
            ..reassembly::Settings::default()
        }
    }
}
