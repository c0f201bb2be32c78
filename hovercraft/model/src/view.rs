//! What the checks look at of a node, and the number by which equal nodes are one.

use core::hash::{Hash, Hasher};

use hovercraft::replica::{Core, Replica, Role};
use hovercraft::wire::{BodyHashKey, body_hash};
use raft_core::entry::Payload;
use raft_core::ids::LogIndex;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::node::Node;

/// One entry of a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EntryView {
    /// Its term.
    pub term: u64,
    /// Of all that it says.
    pub digest: u64,
    /// Its request: who asks, and the hash of the body; none of a no-op or configuration.
    pub request: Option<(u64, u64)>,
}

/// A node as the checks see it.
#[derive(Clone, Debug)]
pub struct View {
    /// Its id.
    pub id: u8,
    /// Its term; 0 without a cluster.
    pub term: u64,
    /// Its role.
    pub role: Role,
    /// The newest round that it opened as leader.
    pub round: u64,
    /// Whether it misses a body.
    pub misses: bool,
    /// Commit index.
    pub commit: u64,
    /// What is known to equal the log of the term's leader.
    pub verified: u64,
    /// The log, from index 1 on.
    pub log: Vec<EntryView>,
    /// Index and digest of what it executed, in that order.
    pub executed: Vec<(u64, u64)>,
    /// The first entry that is bound to another body than the one that it names.
    pub wrong_body: Option<u64>,
    /// The first entry, not applied here, that is bound to none though it names one.
    pub missing_body: Option<u64>,
}

impl View {
    /// Of this node.
    #[must_use]
    pub fn of(id: u8, node: &Node) -> Self {
        let replica = &node.replica;
        let status = replica.status();
        let core = replica.core();
        let log = core.map_or_else(Vec::new, log_of);
        let executed = &node.application.service().executed;
        Self {
            id,
            term: status.term.to_wire(),
            role: status.role,
            round: core.map_or(0, |core| core.newest_round().0.to_wire()),
            misses: status.missing_bodies > 0,
            commit: status.commit.to_wire(),
            verified: core.map_or(0, |core| core.verified().to_wire()),
            wrong_body: wrong_body(replica, &log, executed, status.cluster_id),
            missing_body: missing_body(replica, &log, status.applied.to_wire()),
            log,
            executed: executed.iter().map(|(index, bytes)| (*index, digest(bytes))).collect(),
        }
    }

    /// The entry at `index`.
    #[must_use]
    pub fn entry(&self, index: u64) -> Option<&EntryView> {
        self.log.get(usize::try_from(index.checked_sub(1)?).ok()?)
    }

    /// Index of the last entry.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.log.len() as u64
    }

    /// Whether it leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.role == Role::Leader
    }

    /// Whether this life belongs to no cluster: it came back with an empty memory.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        matches!(self.role, Role::Joining | Role::Silent)
    }
}

/// The number of a node: of its protocol state, and of what its service executed.
#[must_use]
pub fn fingerprint(node: &Node) -> u128 {
    let mut hasher = SipHasher13::new();
    node.replica.protocol_state().hash(&mut hasher);
    node.application.service().executed.hash(&mut hasher);
    hasher.finish128().as_u128()
}

fn log_of(core: &Core) -> Vec<EntryView> {
    let (first, second) = core.entries(LogIndex::from_wire(1), core.last_index());
    let view = |entry: &raft_core::entry::Entry<_>| EntryView {
        term: entry.term.to_wire(),
        digest: digest(entry),
        request: match entry.payload {
            Payload::Command(hovercraft::entry::Request { id, hash, .. }) => {
                Some((digest(&(id.client, id.session, id.number)), hash))
            }
            Payload::NoOp | Payload::Configuration => None,
        },
    };
    first.iter().chain(second).map(view).collect()
}

/// HC6c: of each entry the body that it is bound to here, or that was executed for it, has the hash that it names.
fn wrong_body(
    replica: &Replica,
    log: &[EntryView],
    executed: &[(u64, Vec<u8>)],
    cluster_id: u64,
) -> Option<u64> {
    let key = BodyHashKey::at_birth(&[0; 32], cluster_id);
    (1..).zip(log).find_map(|(index, entry)| {
        let (_, hash) = entry.request?;
        let done = || executed.iter().find(|done| done.0 == index).map(|done| &done.1[..]);
        let body = replica.body_at(LogIndex::from_wire(index)).or_else(done)?;
        (body_hash(&key, body) != hash).then_some(index)
    })
}

/// HC1a: an entry of the log whose body is not here.
fn missing_body(replica: &Replica, log: &[EntryView], applied: u64) -> Option<u64> {
    let names_one = (1..).zip(log).filter(|(_, entry)| entry.request.is_some());
    let mut waiting = names_one.map(|(index, _)| index).filter(|&index| index > applied);
    waiting.find(|&index| replica.body_at(LogIndex::from_wire(index)).is_none())
}

/// 64 bits of anything.
#[must_use]
pub fn digest(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish()
}
