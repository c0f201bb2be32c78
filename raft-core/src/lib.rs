//! Raft over small copyable entries, pure: fed with messages and time, drained of outputs.
//!
//! [`raft::Raft`] is one node. Its inputs take the time; its [`output::Output`]s are values, in order. Where the figure 2
//! of the Raft paper (Ongaro and Ousterhout, 2014) is:
//!
//! | figure 2 | file |
//! |---|---|
//! | state, RPC arguments | `message`, `output` (what is persistent), `log`, `commit`, `progress` |
//! | `RequestVote`, rules for candidates | `election` |
//! | `AppendEntries`, receiver | `follow` |
//! | rules for leaders | `replicate`, `rounds` |
//! | cluster membership (section 6) | `membership`, `configurations`, `quorum` |
//!
//! Beyond the paper: pre-vote, check-quorum and leader stickiness; pipelined appends; an aggregator's word as an upper
//! bound of the commit index (`HovercRaft`'s; design HC2, HC9); members that are an id and an incarnation (HC11).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod commit;
pub mod config;
mod configurations;
pub mod counters;
mod durability;
pub mod election;
pub mod entry;
mod follow;
pub mod ids;
mod log;
mod membership;
pub mod message;
pub mod output;
pub mod progress;
mod protocol_state;
mod quorum;
pub mod raft;
mod replicate;
mod rounds;
mod view;

pub use config::{Config, ConfigError, Settings};
pub use counters::Counters;
pub use election::Role;
pub use protocol_state::ProtocolState;
pub use raft::{ProposeError, Raft, Start, TransferError};

/// A moment: time since the epoch of the node (monotonic, never a wall clock).
pub type Instant = core::time::Duration;
