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
//!
//! A cluster of one in memory mode, from its election to its first commit:
//!
//! ```
//! use raft_core::entry::{Command, Configuration};
//! use raft_core::ids::{Incarnation, LogIndex, Member, NodeId};
//! use raft_core::output::Output;
//! use raft_core::{Config, Instant, Raft, Start};
//!
//! #[derive(Clone, Copy, Debug, Eq, PartialEq)]
//! struct Number(u64);
//!
//! impl Command for Number {
//!     fn wire_len(&self) -> usize {
//!         8
//!     }
//! }
//!
//! let id = NodeId::new(0).expect("below 16");
//! let me = Member { id, incarnation: Incarnation::from_wire(1) };
//! let birth = Configuration { voters: vec![me], ..Configuration::<()>::default() };
//! let mut raft = Raft::new(me, Config::default(), birth, Start::default(), 42, Instant::ZERO);
//! let mut committed = LogIndex::ZERO;
//!
//! // The driver's loop: what is due, what arrived, the end of the burst, and after each the outputs.
//! for _ in 0..3 {
//!     let now = raft.deadline();
//!     raft.tick(now);
//!     while let Some(output) = raft.poll_output() {
//!         match *output {
//!             Output::Persist { seq, .. } => raft.persisted(now, seq), // memory mode: at once
//!             Output::Committed(index) => committed = index,
//!             Output::BecameLeader { .. } => {} // propose from now on
//!             _ => {} // a cluster of one sends nothing
//!         }
//!     }
//!     if raft.propose(now, Number(7)).is_ok() {
//!         raft.end_burst(now);
//!     }
//!     while let Some(output) = raft.poll_output() {
//!         if let Output::Persist { seq, .. } = *output {
//!             raft.persisted(now, seq);
//!         } else if let Output::Committed(index) = *output {
//!             committed = index;
//!         }
//!     }
//! }
//! assert!(committed >= LogIndex::from_wire(2)); // its no-op, and a number
//! ```
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
