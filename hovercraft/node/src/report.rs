//! What a node says of itself, as JSON: types for the node that writes it and for tools that read it.
//!
//! Numbers of 64 bits that may have all of them in use (incarnation, cluster id) are 16 hexadecimal digits, since many
//! readers of JSON keep 53 bits only. Indexes are numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The answer to `GET /status`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodeStatus {
    /// The node's number.
    pub id: u8,
    /// This life of its memory, 16 hex digits.
    pub incarnation: String,
    /// Its cluster, 16 hex digits; zeros before it is in one.
    pub cluster_id: String,
    /// Name of its group.
    pub group: String,
    /// `unreplicated`, `raft` or `hovercraft`.
    pub mode: String,
    /// `joining`, `silent`, `follower`, `candidate`, `leader` or `alone`.
    pub role: String,
    /// Its term.
    pub term: u64,
    /// Whom it follows; itself when it leads.
    pub leader: Option<u8>,
    /// Committed up to here, as far as it knows.
    pub commit: u64,
    /// Applied up to here.
    pub applied: u64,
    /// Last entry of its log.
    pub last: u64,
    /// Requests that wait to be ordered.
    pub unordered: u32,
    /// Open sessions.
    pub sessions: u64,
    /// Bodies that its log names and that it has yet to get.
    pub missing_bodies: u64,
    /// Appends that wait for a body.
    pub parked: u64,
    /// The leader's view of each member that has reported in this term; empty on others.
    pub queue: Vec<QueueStatus>,
    /// What it serves.
    pub service: String,
    /// Whether the service still executes: false after a panic that it does not survive, or when nobody has a body that the log
    /// names.
    pub serving: bool,
    /// `split` or `inline`.
    pub threads: String,
    /// `spin`, `yield` or `sleep`.
    pub idle: String,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// The version of its program.
    pub version: String,
    /// Totals since it started.
    pub counters: Totals,
}

/// A member as its leader sees it (HC4).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct QueueStatus {
    /// Who.
    pub id: u8,
    /// Entries that it has yet to execute.
    pub depth: u64,
    /// How far it said it has applied.
    pub applied: u64,
    /// How far its log is known to equal the leader's.
    pub matched: u64,
    /// Entries of the leader's log that it is not known to have.
    pub lag: u64,
}

/// Totals by name, each since the node's start.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// Of the network half.
    pub replica: BTreeMap<String, u64>,
    /// Of the application half.
    pub application: BTreeMap<String, u64>,
    /// Of the back end, both queues together.
    pub backend: BTreeMap<String, u64>,
}

/// The answer to `POST /transfer`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TransferStarted {
    /// Whether leadership is on its way to somebody else.
    pub started: bool,
}

/// The answer to `GET /challenge`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Challenge {
    /// 32 hex digits, good for one command within [`crate::admin::CHALLENGE_LIFE`].
    pub challenge: String,
}

/// The answer to `GET /trace`: what one node's threads keep of some requests.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodeTrace {
    /// The node.
    pub node: u8,
    /// Events of its threads, in the order of its clock.
    pub events: Vec<TraceStep>,
}

/// One step of a request on one node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TraceStep {
    /// Nanoseconds of this node's clock, which no other node's is compared with.
    pub at_ns: u64,
    /// `network` or `application`.
    pub thread: String,
    /// As `hovercraft::trace::Phase` names it.
    pub phase: String,
    /// Log index; 0 = not known yet, or none.
    pub index: u64,
    /// The request, `session:number` or `ip:port:id`; none where the step does not know it.
    pub request: Option<String>,
    /// The node chosen to answer, or passed on to; 0 = none.
    pub replier: u8,
    /// Why a request was refused, as `r2p2::refusal::Reason`'s number; else 0.
    pub detail: u16,
}
